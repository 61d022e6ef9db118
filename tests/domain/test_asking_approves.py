"""Whoever asks for another, and is an approver, has approved by asking: where that is settled and may be."""

from typing import Any

import pytest
from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain.events import Choice, Decided, FellBack, Filing, Outcome, RequestKind, StepOpened
from quorate.domain.evidence import Demand
from quorate.domain.refusals import AlreadyDecided
from quorate.domain.workflows import Count, Kind, Leaf, Node, OwnSay, Route, Step, Wants
from tests.cast import ADA, ANA, APPROVE, BEN, BOT, CYD, MONA, NOON, RHEA, SECURITY, World, group, n_of, step, user

MANAGER = Leaf(Kind.MANAGER, "requester")
FOR_RHEA = Filing(RequestKind.ACCESS, filed_by=MONA, requester=MONA, beneficiary=RHEA)
PASSWORD = Demand(password=True)


def world(*steps: Step, allowed: bool = True, own_say: OwnSay | None = OwnSay.DIRECT, **filing: Any) -> World:
    """Mona, Rhea's manager and one of Security, asks for her."""
    laid = tuple(replace(one, own_say=own_say) for one in steps)
    made = World(Route(laid), filing=replace(FOR_RHEA, **filing))
    made.change(
        MONA, groups=frozenset({SECURITY}), roles=frozenset({"leads"}), permissions=frozenset({"request:approve"})
    )
    made.change(BOT, owner=MONA, permissions=frozenset({"request:for-others"}))
    made.self_approval = allowed
    return made.submit()


def own(one: World) -> list[Decided]:
    return [event for event in one.history if isinstance(event, Decided) and event.auto]


@pytest.mark.parametrize(
    ("leaf", "direct"),
    [
        (user(MONA), True),
        (MANAGER, True),
        (group(), False),
        (Leaf(Kind.ROLE, "leads"), False),
        (Leaf(Kind.HOLDER, "request:approve"), False),
    ],
)
def test_who_is_named_approves_by_asking_and_who_is_one_of_many_where_that_is_said(leaf: Leaf, direct: bool) -> None:
    assert (world(step(leaf)).request.status is Outcome.APPROVED) is direct
    indirect = world(step(leaf), own_say=OwnSay.INDIRECT)
    assert indirect.request.status is Outcome.APPROVED
    [made] = own(indirect)
    assert made == Decided(NOON, 0, MONA, MONA, Choice.APPROVE, (leaf,), is_own=True, auto=True)
    assert own(world(step(leaf), own_say=None)) == []


def test_it_is_one_decision_among_others_and_cannot_be_made_twice() -> None:
    one = world(step(n_of(2, MANAGER, user(ANA))))
    assert len(own(one)) == 1
    assert one.request.is_open
    one.decide(ANA, APPROVE)
    assert one.request.status is Outcome.APPROVED


def test_every_step_is_looked_at_when_it_opens() -> None:
    one = world(step(MANAGER), step(user(MONA), 2), step(user(ANA), 3), step(user(MONA), 4))
    assert [type(event).__name__ for event in one.history[1:]] == ["StepOpened", "Decided"] * 2 + ["StepOpened"]
    one.decide(ANA, APPROVE)
    assert [made.step for made in own(one)] == [0, 1, 3]
    assert one.request.status is Outcome.APPROVED


NOT: dict[str, dict[str, Any]] = {
    "where the tenant lets nobody decide what is their own": {"allowed": False},
    "for oneself": {"requester": RHEA, "filed_by": RHEA},
    "by a service for its owner": {"beneficiary": MONA, "requester": BOT, "filed_by": BOT},
    "for nobody we know": {"beneficiary": None, "kind": RequestKind.GENERIC},
    "by nobody we know": {"requester": None, "kind": RequestKind.GENERIC},
    "an operation": {"kind": RequestKind.OPERATION},
    "what carries permissions": {"target_has_permissions": True},
    "a review": {"kind": RequestKind.GENERIC, "is_review": True},
}


@pytest.mark.parametrize("case", NOT)
def test_asking_never_approves(case: str) -> None:
    one = world(step(n_of(1, user(MONA), user(RHEA), user(ANA))), **NOT[case])
    assert own(one) == []
    assert one.request.is_open


@pytest.mark.parametrize(
    "wants",
    [
        step(Node(Count(1), (user(MONA), user(ANA)), PASSWORD)),
        step(n_of(1, user(MONA), Node(Count(1), (user(ANA),), PASSWORD))),
        step(user(MONA), requires_comment=Wants.APPROVAL),
        step(user(MONA), requires_comment=Wants.ALL),
    ],
)
def test_a_step_that_wants_evidence_or_a_comment_waits_for_them(wants: Step) -> None:
    assert own(world(wants)) == []


def test_a_say_that_is_lent_or_that_one_fell_back_to_is_not_used_by_asking() -> None:
    one = world(step(user(ANA)), own_say=OwnSay.INDIRECT)
    assert own(one) == []
    lent = World(Route((step(user(ANA), own_say=OwnSay.INDIRECT),)), filing=FOR_RHEA)
    lent.change(MONA, delegators=(ANA,))
    lent.self_approval = True
    assert own(lent.submit()) == []
    nobodys = world(step(group("nobody"), fallback=(user(MONA), user(ADA))), own_say=OwnSay.INDIRECT)
    assert isinstance(nobodys.history[-1], FellBack)
    assert own(nobodys) == []


def test_a_step_that_is_out_of_reach_even_so_falls_back() -> None:
    one = world(step(n_of(2, MANAGER, user(BEN))))
    one.change(BEN, active=False)
    stuck = World(one.route, filing=one.filing)
    stuck.persons, stuck.self_approval = one.persons, True
    stuck.submit()
    assert [type(event) for event in stuck.history[1:]] == [StepOpened, Decided, FellBack]
    stuck.decide(ADA, APPROVE)
    assert stuck.request.status is Outcome.APPROVED


def test_a_service_that_is_an_approver_uses_its_owners_one_say() -> None:
    one = world(step(n_of(2, Leaf(Kind.SERVICE, str(BOT)), user(MONA), user(CYD))), requester=BOT, filed_by=BOT)
    [made] = own(one)
    assert (made.by, made.human) == (BOT, MONA)
    with pytest.raises(AlreadyDecided):
        one.do(do.Decide(MONA, APPROVE))
    assert one.request.is_open
