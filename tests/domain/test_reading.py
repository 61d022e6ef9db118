"""Who may read a request and speak in it: native contract (d) 10, design §6."""

from uuid import UUID

import pytest

from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import Annotated, Commented, Filing, Outcome
from quorate.domain.lifecycle import MOST_NOTES, may_read
from quorate.domain.refusals import AlreadyClosed, BadReference, NotAnApprover, NotPermitted, OwnRequest
from tests.cast import ADA, ANA, APPROVE, BEN, BOT, CYD, MONA, NOON, OLU, RHEA, World, a_request_to, group, n_of, user

READ = frozenset({"workflow:read"})


def reads(world: World, actor: UUID) -> bool:
    return may_read(world.request, world.people.person(actor), world.people)


def test_those_it_is_by_or_for_and_its_approvers_may_read_it_and_nobody_else() -> None:
    world = a_request_to(group(), MONA)

    assert {id for id in (RHEA, ANA, BEN, CYD, MONA, ADA, OLU, BOT) if reads(world, id)} == {RHEA, ANA, BEN, CYD, ADA}


def test_a_permission_lets_somebody_read() -> None:
    world = a_request_to(ANA)
    assert not reads(world, BEN)
    world.change(BEN, permissions=READ)

    assert reads(world, BEN)


def test_who_has_decided_reads_on_whatever_becomes_of_their_role() -> None:
    world = a_request_to(n_of(2, group()))
    world.decide(ANA, APPROVE)
    world.change(ANA, groups=frozenset())
    world.change(CYD, groups=frozenset())

    assert reads(world, ANA)
    assert not reads(world, CYD)


def test_who_gave_their_say_away_and_who_lent_it_read_on() -> None:
    world = a_request_to(n_of(2, user(ANA), user(BEN)))
    world.change(CYD, delegators=(BEN,))
    world.do(do.Reassign(ANA, MONA))
    assert reads(world, CYD)
    world.decide(CYD, APPROVE)

    assert all(reads(world, id) for id in (ANA, MONA, BEN, CYD))


def test_approvers_of_an_earlier_step_and_of_a_closed_request_read_on() -> None:
    world = a_request_to(group(), MONA)
    world.decide(ANA, APPROVE)
    world.decide(MONA, APPROVE)

    assert all(reads(world, id) for id in (ANA, BEN, MONA))


def test_a_suspended_account_reads_nothing() -> None:
    world = a_request_to(ANA)
    for id in (ANA, RHEA, ADA):
        world.change(id, active=False)
        assert not reads(world, id)


def test_the_owner_of_a_service_reads_what_it_asked_for() -> None:
    world = World(a_request_to(ANA).route)
    world.change(BOT, owner=BEN)
    world.filing = Filing(world.filing.kind, filed_by=BOT, requester=BOT, beneficiary=BOT)
    world.submit()

    assert reads(world, BEN)


def test_whoever_reads_it_may_comment_even_when_it_is_closed() -> None:
    world = a_request_to(ANA)
    world.do(do.Comment(RHEA, UUID(int=1), "please", {"kind": "nudge"}))
    world.decide(ANA, APPROVE)

    events = world.do(do.Comment(ANA, UUID(int=2), "done"))

    assert events == [Commented(NOON, UUID(int=2), ANA, "Ana Ott", "done")]
    assert world.request.status is Outcome.APPROVED
    for stranger in (OLU, BEN, MONA):
        with pytest.raises(no.NotPermitted):
            world.do(do.Comment(stranger, UUID(int=3), "hello"))


def test_approvers_and_administrators_put_notes_beside_a_request_and_nobody_else() -> None:
    world = a_request_to(ANA, BEN)

    events = world.do(do.Annotate(ANA, UUID(int=9), {"ticket": "T-1", "colour": "blue"}, (), "see the ticket"))
    world.do(do.Annotate(ADA, UUID(int=9), {"ticket": "T-2"}, ("colour",)))

    assert events == [
        Annotated(NOON, ANA, {"ticket": "T-1", "colour": "blue"}),
        Commented(NOON, UUID(int=9), ANA, "Ana Ott", "see the ticket"),
    ]
    assert world.request.notes == {"ticket": "T-2"}
    for who, refusal in ((RHEA, OwnRequest), (BEN, NotAnApprover), (MONA, NotAnApprover), (OLU, NotAnApprover)):
        with pytest.raises(refusal):
            world.do(do.Annotate(who, UUID(int=9), {"a": "b"}))
    with pytest.raises(BadReference):
        world.do(do.Annotate(ANA, UUID(int=9), {str(number): "" for number in range(MOST_NOTES)}))
    world.do(do.Cancel(RHEA))
    with pytest.raises(AlreadyClosed):
        world.do(do.Annotate(ANA, UUID(int=9), {"a": "b"}))


def test_what_an_administrator_sent_along_with_a_seat_is_kept() -> None:
    world = a_request_to(ANA)

    world.do(do.TakeSeat(ADA, APPROVE, attached={"ticket": "T-1"}))

    assert world.request.current.decisions[0].attached == {"ticket": "T-1"}


def test_a_program_that_may_passes_on_what_an_approver_decides() -> None:
    world = a_request_to(ANA)
    for who in (BOT, MONA, OLU, ADA):  # One that may not, people, a stranger, an administrator: not even she.
        with pytest.raises(NotPermitted):
            world.do(do.Decide(ANA, APPROVE, through=who))
    world.change(BOT, permissions=frozenset({"act:for"}), owner=RHEA)
    with pytest.raises(OwnRequest):
        world.do(do.Decide(ANA, APPROVE, through=BOT))
    world.change(BOT, owner=None)
    with pytest.raises(NotAnApprover):
        world.do(do.Decide(BEN, APPROVE, through=BOT))

    world.do(do.Decide(ANA, APPROVE, through=BOT))

    assert world.request.current.decisions[0].by == ANA
