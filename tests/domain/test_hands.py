"""Says that change hands: delegation, reassignment, services with owners. Design §3, rules 5 and 12."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import Closed, Decided, Outcome, Reassigned
from quorate.domain.workflows import Count, Node, Route, Unit
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
    RHEA,
    World,
    a_request_to,
    group,
    n_of,
    service,
    step,
    user,
)


def test_a_delegate_decides_on_behalf_of_the_delegator() -> None:
    world = a_request_to(ANA)
    world.change(BEN, delegators=(ANA,))

    decided = world.decide(BEN, APPROVE)[0]

    assert isinstance(decided, Decided)
    assert (decided.by, decided.human, decided.on_behalf_of) == (BEN, BEN, ANA)
    assert world.request.status is Outcome.APPROVED


@pytest.mark.parametrize(("first", "second"), [(ANA, CYD), (CYD, ANA)])
def test_of_delegator_and_delegate_whoever_comes_first_decides(first: UUID, second: UUID) -> None:
    world = a_request_to(n_of(2, user(ANA), user(BEN)))
    world.change(CYD, delegators=(ANA,))
    world.decide(first, APPROVE)

    with pytest.raises(no.AlreadyDecided):
        world.decide(second, APPROVE)

    assert world.request.is_open


def test_a_delegation_is_not_transitive() -> None:
    world = a_request_to(ANA)
    world.change(BEN, delegators=(ANA,))
    world.change(CYD, delegators=(BEN,))

    with pytest.raises(no.NotAnApprover):
        world.decide(CYD, APPROVE)


def test_a_delegate_of_two_is_still_one_person() -> None:
    world = a_request_to(n_of(2, user(ANA), user(BEN)))
    world.change(CYD, delegators=(ANA, BEN))
    world.decide(CYD, APPROVE)

    with pytest.raises(no.AlreadyDecided):
        world.decide(CYD, APPROVE)


def test_a_delegate_uses_a_say_that_is_still_there() -> None:
    world = a_request_to(n_of(2, user(ANA), user(BEN)))
    world.change(CYD, delegators=(ANA, BEN))
    world.decide(ANA, APPROVE)

    decided = world.decide(CYD, APPROVE)[0]

    assert isinstance(decided, Decided)
    assert decided.on_behalf_of == BEN
    assert world.request.status is Outcome.APPROVED


def test_a_delegate_who_is_an_approver_uses_their_own_say() -> None:
    world = a_request_to(n_of(2, user(ANA), user(BEN)))
    world.change(BEN, delegators=(ANA,))
    decided = world.decide(BEN, APPROVE)[0]

    assert isinstance(decided, Decided)
    assert decided.on_behalf_of is None
    with pytest.raises(no.AlreadyDecided):
        world.decide(BEN, APPROVE)


def test_a_suspended_delegator_lends_no_say() -> None:
    world = a_request_to(ANA)
    world.change(BEN, delegators=(ANA,))
    world.change(ANA, active=False)

    with pytest.raises(no.NotAnApprover):
        world.decide(BEN, APPROVE)


def test_a_requester_lends_no_say() -> None:
    world = a_request_to(n_of(1, user(RHEA), user(ANA)))
    world.change(BEN, delegators=(RHEA,))

    with pytest.raises(no.NotAnApprover):
        world.decide(BEN, APPROVE)


def test_a_delegate_does_not_give_away_what_is_lent() -> None:
    world = a_request_to(ANA)
    world.change(BEN, delegators=(ANA,))

    with pytest.raises(no.CannotReassign):
        world.do(do.Reassign(BEN, CYD))
    with pytest.raises(no.NotPermitted):
        world.do(do.Reassign(BEN, CYD, ANA))


def test_a_user_leaf_is_replaced() -> None:
    world = a_request_to(ANA)

    [moved] = world.do(do.Reassign(ANA, BEN, note="away"))

    assert moved == Reassigned(NOON, 0, ANA, ANA, BEN, (user(ANA),), (1,), "away")
    assert world.request.tree.members == (user(BEN),)
    with pytest.raises(no.NotAnApprover):
        world.decide(ANA, APPROVE)
    world.decide(BEN, APPROVE)
    assert world.request.status is Outcome.APPROVED


def test_a_member_of_a_group_is_excluded_and_the_new_person_gets_a_leaf() -> None:
    world = a_request_to(n_of(2, group()))
    world.do(do.Reassign(ANA, MONA))

    assert world.request.tree.members == (group(), user(MONA))
    with pytest.raises(no.NotAnApprover):
        world.decide(ANA, APPROVE)
    world.decide(MONA, APPROVE)
    world.decide(BEN, APPROVE)
    assert world.request.status is Outcome.APPROVED


def test_a_say_may_be_given_back() -> None:
    world = a_request_to(n_of(1, user(ANA), group()))
    world.do(do.Reassign(ANA, MONA))

    world.do(do.Reassign(MONA, ANA))

    assert world.request.current.excluded == {MONA}
    with pytest.raises(no.NotAnApprover):
        world.decide(MONA, APPROVE)
    world.decide(ANA, APPROVE)
    assert world.request.status is Outcome.APPROVED


def test_reassigning_holds_for_this_step_alone() -> None:
    world = a_request_to(group(), group())
    world.do(do.Reassign(ANA, MONA))
    world.decide(MONA, APPROVE)

    world.decide(ANA, APPROVE)

    assert world.request.status is Outcome.APPROVED


def test_a_say_through_several_nodes_goes_as_a_whole_and_equal_nodes_stay_two() -> None:
    pair = n_of(1, user(ANA), group())
    world = a_request_to(n_of(2, pair, pair))

    world.do(do.Reassign(ANA, MONA))

    assert world.request.tree == n_of(2, n_of(1, user(MONA), group()), n_of(1, user(MONA), group()))
    world.decide(MONA, APPROVE)
    assert world.request.is_open
    world.decide(BEN, APPROVE)
    assert world.request.status is Outcome.APPROVED


@pytest.mark.parametrize(
    ("actor", "to", "giver", "refusal", "why"),
    [
        (ANA, RHEA, None, no.CannotReassign, "requester"),
        (ADA, RHEA, ANA, no.CannotReassign, "requester"),
        (ANA, OLU, None, no.CannotReassign, "inactive"),
        (ANA, BOT, None, no.CannotReassign, "inactive"),
        (ANA, BEN, None, no.CannotReassign, "approver"),
        (ANA, ANA, None, no.CannotReassign, "approver"),
        (ADA, MONA, OLU, no.CannotReassign, "no_say"),
        (ADA, MONA, None, no.CannotReassign, "no_say"),
        (ADA, MONA, RHEA, no.CannotReassign, "no_say"),
        (ANA, CYD, None, no.CannotReassign, "decided"),
        (ADA, MONA, CYD, no.AlreadyDecided, None),
        (CYD, MONA, None, no.AlreadyDecided, None),
        (ANA, MONA, BEN, no.NotPermitted, None),
        (OLU, MONA, ANA, no.NotAnApprover, None),
        (MONA, MONA, ANA, no.NotAnApprover, None),
        (RHEA, MONA, ANA, no.OwnRequest, None),
    ],
)
def test_reassigning_is_refused(
    actor: UUID, to: UUID, giver: UUID | None, refusal: type[no.Refusal], why: str | None
) -> None:
    world = a_request_to(n_of(3, group()))
    world.decide(CYD, APPROVE)

    with pytest.raises(refusal) as refused:
        world.do(do.Reassign(actor, to, giver))

    assert getattr(refused.value, "why", None) == why


def test_a_say_is_not_given_to_the_person_behind_a_service_that_decides() -> None:
    world = a_request_to(n_of(2, user(ANA), service(BOT)))
    world.change(BOT, owner=MONA)

    with pytest.raises(no.CannotReassign) as refused:
        world.do(do.Reassign(ANA, MONA))

    assert refused.value.why == "approver"


def test_a_suspended_person_gets_no_say() -> None:
    world = a_request_to(ANA)
    world.change(MONA, active=False)

    with pytest.raises(no.CannotReassign):
        world.do(do.Reassign(ANA, MONA))


def test_a_service_gives_away_its_own_say() -> None:
    world = a_request_to(n_of(1, service(BOT), user(BEN)))
    world.change(BOT, owner=ANA)

    world.do(do.Reassign(BOT, CYD))

    assert world.request.tree.members == (user(CYD), user(BEN))


def test_nothing_is_reassigned_once_the_step_is_over() -> None:
    world = a_request_to(group(), MONA)
    world.decide(ANA, APPROVE)

    with pytest.raises(no.AlreadyClosed):
        world.do(do.Reassign(BEN, ADA, step=0))
    with pytest.raises(no.NotAnApprover):
        world.do(do.Reassign(BEN, ADA))


def test_a_fraction_is_counted_again_when_a_say_changes_hands_and_may_be_met_by_it() -> None:
    world = a_request_to(Node(Count(50, Unit.PERCENT), (group(),)))
    world.decide(ANA, APPROVE)
    assert world.request.current.needs == (2,)
    world.change(CYD, groups=frozenset())

    events = world.do(do.Reassign(BEN, MONA))

    assert [type(event) for event in events] == [Reassigned, Closed]
    assert world.request.status is Outcome.APPROVED


def test_a_service_with_an_owner_is_the_person_behind_it() -> None:
    world = a_request_to(n_of(2, service(BOT), user(ANA), user(BEN)))
    world.change(BOT, owner=ANA)
    decided = world.decide(BOT, APPROVE)[0]

    assert isinstance(decided, Decided)
    assert (decided.by, decided.human) == (BOT, ANA)
    with pytest.raises(no.AlreadyDecided):
        world.decide(ANA, APPROVE)
    world.decide(BEN, APPROVE)
    assert world.request.status is Outcome.APPROVED


def test_two_services_of_one_owner_are_one_person() -> None:
    other = UUID(int=77)
    world = World(Route((step(n_of(2, service(BOT), service(other), user(BEN))),)))
    world.change(BOT, owner=ANA)
    world.persons[other] = replace(world.persons[BOT], id=other)
    world.submit().decide(BOT, APPROVE)

    with pytest.raises(no.AlreadyDecided):
        world.decide(other, APPROVE)


@pytest.mark.parametrize("suspended", [ANA, BOT])
def test_a_service_decides_only_while_it_and_its_owner_are_active(suspended: UUID) -> None:
    world = a_request_to(service(BOT))
    world.change(BOT, owner=ANA)
    world.change(suspended, active=False)

    with pytest.raises(no.NotAnApprover):
        world.decide(BOT, APPROVE)


def test_a_service_without_an_owner_is_somebody_of_its_own() -> None:
    world = a_request_to(n_of(2, service(BOT), user(ANA)))
    world.decide(BOT, APPROVE)
    world.decide(ANA, APPROVE)

    assert world.request.status is Outcome.APPROVED


def test_who_gave_their_say_away_is_not_let_in_again_as_a_delegate() -> None:
    world = a_request_to(n_of(2, user(ANA), user(BEN)))
    world.change(ANA, delegators=(BEN,))
    world.do(do.Reassign(ANA, MONA))

    with pytest.raises(no.NotAnApprover):
        world.decide(ANA, APPROVE)


@pytest.mark.parametrize(("giver", "other"), [(BOT, ANA), (ANA, BOT)])
def test_a_person_and_their_service_have_one_say_to_give_away(giver: UUID, other: UUID) -> None:
    world = a_request_to(n_of(2, service(BOT), user(ANA), user(BEN)))
    world.change(BOT, owner=ANA)
    world.do(do.Reassign(giver, CYD))

    for actor in (giver, other):
        with pytest.raises(no.NotAnApprover):
            world.decide(actor, APPROVE)
    world.decide(CYD, APPROVE)
    world.decide(BEN, APPROVE)
    assert world.request.status is Outcome.APPROVED


def test_a_say_that_was_given_away_is_not_lent_any_more() -> None:
    world = a_request_to(group())
    world.change(MONA, delegators=(ANA,))
    world.do(do.Reassign(ANA, ADA))

    with pytest.raises(no.NotAnApprover):
        world.decide(MONA, APPROVE)


def test_a_service_that_has_decided_does_not_decide_again_for_its_next_owner() -> None:
    world = a_request_to(n_of(2, service(BOT), user(BEN)))
    world.change(BOT, owner=ANA)
    world.decide(BOT, APPROVE)
    world.change(BOT, owner=CYD)

    with pytest.raises(no.AlreadyDecided):
        world.decide(BOT, APPROVE)
