"""What administrators may do to a step: overrides and seats. Design §3, rule 11."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import Decided, Outcome, Overridden, Reassigned, RequestKind, StepOpened
from quorate.domain.workflows import Kind, Leaf, Node, Rejection, Route, Rule
from tests.cast import (
    ADA,
    ANA,
    APPROVE,
    BEN,
    BOT,
    CYD,
    MONA,
    NOON,
    OLU,
    REJECT,
    RHEA,
    World,
    a_request_to,
    group,
    n_of,
    service,
    step,
    user,
)

MANAGER = Leaf(Kind.MANAGER, "requester")


def test_an_override_passes_the_open_step_and_no_more() -> None:
    world = a_request_to(n_of(2, group()), BEN)

    overridden, opened = world.do(do.Override(ADA, APPROVE, "urgent"))

    assert overridden == Overridden(NOON, 0, ADA, ADA, APPROVE, "urgent")
    assert isinstance(opened, StepOpened)
    world.do(do.Override(ADA, APPROVE))
    assert world.request.status is Outcome.APPROVED


def test_an_override_may_reject_whatever_the_rejection_rule() -> None:
    world = a_request_to(group(), rejection=Rejection(Rule.COUNT, 3))
    world.do(do.Override(ADA, REJECT, "no"))

    assert world.request.status is Outcome.REJECTED


@pytest.mark.parametrize("facts", [{"kind": RequestKind.OPERATION}, {"is_review": True}, None])
@pytest.mark.parametrize(
    "command",
    [do.Override(ADA, APPROVE), do.TakeSeat(ADA, APPROVE), do.Reassign(ADA, to=ADA, giver=ANA)],
    ids=["override", "seat", "reassigning to oneself"],
)
def test_operations_reviews_and_steps_that_say_so_are_kept_from_administrators(
    facts: dict[str, object] | None, command: do.Command
) -> None:
    world = World(Route((step(group(), override=None if facts else False),)))
    world.filing = replace(world.filing, **(facts or {}))
    world.submit()

    with pytest.raises(no.OverrideForbidden):
        world.do(command)


def test_an_administrator_gives_a_say_in_an_operation_to_somebody_else() -> None:
    world = World(Route((step(user(ANA)),)))
    world.filing = replace(world.filing, kind=RequestKind.OPERATION)
    world.submit()

    world.do(do.Reassign(ADA, to=BEN, giver=ANA))

    assert world.request.tree.members == (user(BEN),)


def test_a_seat_counts_as_one_decision_and_does_not_settle_the_step() -> None:
    world = a_request_to(n_of(2, user(ANA), user(BEN)))

    moved, decided = world.do(do.TakeSeat(ADA, APPROVE))

    assert moved == Reassigned(NOON, 0, ADA, ANA, ADA, (user(ANA),), (2,))
    assert isinstance(decided, Decided)
    with pytest.raises(no.NotAnApprover):
        world.decide(ANA, APPROVE)
    with pytest.raises(no.AlreadyDecided):
        world.do(do.TakeSeat(ADA, APPROVE))
    world.decide(BEN, APPROVE)
    assert world.request.status is Outcome.APPROVED


@pytest.mark.parametrize(
    ("tree", "giver", "after"),
    [
        (n_of(2, user(ANA), user(BEN)), BEN, (user(ANA), user(ADA))),
        (n_of(2, group(), user(MONA)), None, (group(), user(ADA))),
        (n_of(2, group()), None, (group(), user(ADA))),
        (n_of(2, group(), MANAGER), None, (group(), user(ADA))),
    ],
    ids=["the named one's", "the first single approver's", "beside a crowd", "the manager's"],
)
def test_the_seat_that_is_taken_is(tree: Node, giver: UUID | None, after: tuple[Leaf, ...]) -> None:
    world = a_request_to(tree)
    world.do(do.TakeSeat(ADA, APPROVE, giver=giver))

    assert world.request.tree.members == after


def test_an_administrator_who_is_an_approver_takes_nobodys_seat() -> None:
    world = a_request_to(n_of(2, user(ADA), user(ANA)))

    assert [type(event) for event in world.do(do.TakeSeat(ADA, APPROVE))] == [Decided]


@pytest.mark.parametrize(
    ("giver", "refusal"), [(CYD, no.CannotReassign), (BEN, no.AlreadyDecided), (OLU, no.CannotReassign)]
)
def test_a_seat_that_is_not_there_is_not_taken(giver: UUID, refusal: type[no.Refusal]) -> None:
    world = a_request_to(n_of(2, user(ANA), user(BEN)))
    world.decide(BEN, APPROVE)

    with pytest.raises(refusal):
        world.do(do.TakeSeat(ADA, APPROVE, giver=giver))


def test_an_administrator_may_take_the_seat_of_their_own_service() -> None:
    world = a_request_to(n_of(2, service(BOT), user(ANA)))
    world.change(BOT, owner=ADA)

    world.do(do.TakeSeat(ADA, APPROVE, giver=BOT))

    assert world.request.tree.members == (user(ADA), user(ANA))
    assert not world.request.current.excluded
    world.decide(ANA, APPROVE)
    assert world.request.status is Outcome.APPROVED


def test_there_is_no_seat_when_all_have_decided_or_gone() -> None:
    world = a_request_to(user(ANA))
    world.change(ANA, active=False)

    with pytest.raises(no.CannotReassign):
        world.do(do.TakeSeat(ADA, APPROVE))


def test_a_program_that_is_nobody_takes_no_seat() -> None:
    world = a_request_to(ANA)
    world.change(BOT, permissions=frozenset({"workflow:write"}))

    with pytest.raises(no.CannotReassign):
        world.do(do.TakeSeat(BOT, APPROVE))


@pytest.mark.parametrize("actor", [RHEA, ANA, MONA, OLU])
def test_overriding_seats_and_escalating_take_the_permission(actor: UUID) -> None:
    world = a_request_to(ANA)

    for command in (do.Override(actor, APPROVE), do.TakeSeat(actor, APPROVE), do.Escalate(actor, user(BEN))):
        with pytest.raises(no.NotPermitted):
            world.do(command)
