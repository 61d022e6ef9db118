"""Nobody decides their own request, through no path: design §3, rule 4."""

from collections.abc import Callable
from uuid import UUID

import pytest
from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import Choice, Closed, Decided, Filing, Outcome, Overridden, Reassigned, RequestKind
from quorate.domain.workflows import Joined, Kind, Leaf, OnTimeout, Route
from tests.cast import (
    ADA,
    ANA,
    APPROVE,
    BEN,
    BOT,
    CYD,
    HOUR,
    NOON,
    REJECT,
    RHEA,
    SECURITY,
    World,
    a_request_to,
    group,
    n_of,
    role,
    service,
    step,
    user,
)

ALL = frozenset({"admin"})
Paths = Callable[[World], UUID]


def by_name(world: World) -> UUID:
    return RHEA


def by_group(world: World) -> UUID:
    world.change(RHEA, groups=frozenset({SECURITY}))
    return RHEA


def by_role(world: World) -> UUID:
    world.change(RHEA, roles=frozenset({"leads"}))
    return RHEA


def by_permission(world: World) -> UUID:
    world.change(RHEA, permissions=ALL)
    return RHEA


def as_their_own_manager(world: World) -> UUID:
    world.change(RHEA, manager=RHEA)
    return RHEA


def as_a_delegate(world: World) -> UUID:
    world.change(RHEA, delegators=(ANA,))
    return RHEA


def through_a_delegate(world: World) -> UUID:
    world.change(RHEA, groups=frozenset({SECURITY}))
    world.change(BOT, delegators=(RHEA,))
    return BOT


def through_a_service(world: World) -> UUID:
    world.change(BOT, owner=RHEA, groups=frozenset({SECURITY}))
    return BOT


EVERYONE = n_of(
    1, user(RHEA), user(ANA), group(), role("leads"), Leaf(Kind.HOLDER, "x:y"), Leaf(Kind.MANAGER, "requester")
)
PATHS = (
    by_name,
    by_group,
    by_role,
    by_permission,
    as_their_own_manager,
    as_a_delegate,
    through_a_delegate,
    through_a_service,
)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
@pytest.mark.parametrize("choice", [APPROVE, REJECT])
def test_nobody_decides_their_own_request(path: Paths, choice: Choice) -> None:
    world = World(Route((step(EVERYONE),)))
    actor = path(world)
    world.submit()

    with pytest.raises((no.OwnRequest, no.NotAnApprover)):
        world.decide(actor, choice)

    assert world.request.is_open


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
def test_where_the_tenant_allows_it_every_such_decision_is_marked(path: Paths) -> None:
    world = World(Route((step(EVERYONE),)))
    world.self_approval = True
    actor = path(world)
    world.submit()

    decided = world.decide(actor, APPROVE)[0]

    assert isinstance(decided, Decided)
    assert decided.is_own
    assert world.request.status is Outcome.APPROVED


def test_a_decision_on_somebody_elses_request_is_not_marked() -> None:
    decided = a_request_to(ANA).decide(ANA, APPROVE)[0]

    assert isinstance(decided, Decided)
    assert not decided.is_own


FILINGS = {
    "beneficiary": (Filing(RequestKind.ACCESS, filed_by=RHEA, requester=RHEA, beneficiary=ANA), ANA),
    "requester": (Filing(RequestKind.ACCESS, filed_by=RHEA, requester=ANA, beneficiary=RHEA), ANA),
    "whoever started it": (Filing(RequestKind.GENERIC, filed_by=ANA), ANA),
    "owner of the service it is for": (Filing(RequestKind.GENERIC, filed_by=RHEA, beneficiary=BOT), ANA),
    "owner of the service that asks": (Filing(RequestKind.GENERIC, filed_by=RHEA, requester=BOT), ANA),
    "owner of the service that started it": (Filing(RequestKind.GENERIC, filed_by=BOT), ANA),
}


@pytest.mark.parametrize(("filing", "actor"), FILINGS.values(), ids=FILINGS)
def test_those_a_request_is_by_or_for_are_kept_out(filing: Filing, actor: UUID) -> None:
    world = World(Route((step(n_of(1, user(ANA), user(BEN))),)), filing=filing)
    world.change(BOT, owner=ANA)
    world.change(RHEA, permissions=frozenset({"request:for-others"}))
    world.change(ANA, permissions=ALL)
    world.submit()

    for command in (do.Decide(actor, APPROVE), do.Override(actor, APPROVE), do.TakeSeat(actor, APPROVE)):
        with pytest.raises(no.OwnRequest):
            world.do(command)
    with pytest.raises(no.CannotReassign):
        world.do(do.Reassign(ADA, actor, BEN))

    world.decide(BEN, APPROVE)
    assert world.request.status is Outcome.APPROVED


@pytest.mark.parametrize("actor", [RHEA, BOT])
def test_an_administrator_neither_passes_nor_takes_a_seat_in_their_own_request(actor: UUID) -> None:
    world = World(Route((step(group()),)))
    world.change(RHEA, permissions=ALL)
    world.change(BOT, owner=RHEA, permissions=ALL)
    world.submit()

    for command in (
        do.Override(actor, APPROVE),
        do.Override(actor, REJECT),
        do.TakeSeat(actor, APPROVE),
        do.TakeSeat(actor, APPROVE, giver=ANA),
        do.Reassign(actor, BEN, ANA),
        do.Escalate(actor, user(BEN)),
    ):
        with pytest.raises(no.OwnRequest):
            world.do(command)


def test_an_administrator_may_escalate_their_own_request_to_whom_the_step_names() -> None:
    world = World(Route((step(user(ANA), escalate_to=user(BEN)),)))
    world.change(RHEA, permissions=ALL)

    world.submit().do(do.Escalate(RHEA))
    world.decide(BEN, APPROVE)

    assert world.request.status is Outcome.APPROVED


def test_escalation_gives_a_requester_no_say() -> None:
    world = World(Route((step(user(ANA), timeout_s=3600, on_timeout=OnTimeout.ESCALATE, escalate_to=role("admins")),)))
    world.change(RHEA, roles=frozenset({"admins"}))
    world.submit()

    with pytest.raises(no.OwnRequest):
        world.decide(RHEA, APPROVE, at=NOON + HOUR)


@pytest.mark.parametrize("to", [RHEA])
@pytest.mark.parametrize("self_approval", [False, True])
def test_a_say_is_never_given_to_the_requester(to: UUID, self_approval: bool) -> None:
    world = a_request_to(group())
    world.self_approval = self_approval

    for giver in (ANA, ADA):
        with pytest.raises(no.CannotReassign) as refused:
            world.do(do.Reassign(giver, to, ANA))
        assert refused.value.why == "requester"


def test_where_it_is_allowed_an_administrator_passes_their_own_and_it_is_marked() -> None:
    world = World(Route((step(user(ANA)),)))
    world.self_approval = True
    world.change(RHEA, permissions=ALL)

    overridden = world.submit().do(do.Override(RHEA, APPROVE))[0]

    assert isinstance(overridden, Overridden)
    assert overridden.is_own


@pytest.mark.parametrize("self_approval", [False, True])
def test_a_requester_is_never_a_fallback_approver(self_approval: bool) -> None:
    """Neither in their own name, nor as a delegate, nor by taking a seat among them."""
    world = World(Route((step(role("nobody"), fallback=(group(), user(RHEA))),)))
    world.self_approval = self_approval
    world.change(RHEA, groups=frozenset({SECURITY}), delegators=(ANA,), permissions=ALL)
    world.submit()
    assert all(leaf.joined is Joined.FALLBACK for leaf in world.request.tree.leaves[1:])

    with pytest.raises(no.OwnRequest):
        world.decide(RHEA, APPROVE)
    with pytest.raises((no.OwnRequest, no.CannotReassign)):
        world.do(do.TakeSeat(RHEA, APPROVE, giver=ANA))

    world.decide(ANA, APPROVE)
    assert world.request.status is Outcome.APPROVED


def test_a_requester_who_takes_a_seat_gets_none_of_its_share_in_the_fallback() -> None:
    world = World(Route((step(n_of(3, user(ANA), user(BEN)), fallback=(group(),)),)))
    world.self_approval = True
    world.change(RHEA, permissions=ALL)
    world.submit()

    moved, *_ = world.do(do.TakeSeat(RHEA, APPROVE, giver=ANA))

    assert isinstance(moved, Reassigned)
    assert moved.leaves == (user(ANA),)


def test_a_surface_may_let_a_requester_who_is_a_reviewer_stop_their_own() -> None:
    world = World(Route((step(n_of(2, user(RHEA), user(ANA), user(BEN))),)))
    world.submit()
    with pytest.raises(no.OwnRequest):
        world.do(do.Decide(RHEA, APPROVE, may_refuse_own=True))

    decided, closed = world.do(do.Decide(RHEA, REJECT, may_refuse_own=True))

    assert isinstance(decided, Decided)
    assert decided.is_own
    assert isinstance(closed, Closed)
    assert closed.status is Outcome.REJECTED


def test_a_requester_who_is_no_reviewer_stops_nothing() -> None:
    world = a_request_to(ANA)

    with pytest.raises(no.OwnRequest):
        world.do(do.Decide(RHEA, REJECT, may_refuse_own=True))


def test_a_manager_who_files_for_a_report_does_not_decide_it() -> None:
    manager = Leaf(Kind.MANAGER, "requester")
    world = World(Route((step(n_of(1, manager, user(CYD))),)))
    world.filing = replace(world.filing, filed_by=ANA, requester=ANA)
    world.change(RHEA, manager=ANA)
    world.submit()

    with pytest.raises(no.OwnRequest):
        world.decide(ANA, APPROVE)


def test_a_service_leaf_of_the_requesters_own_service_leaves_the_step_to_the_fallback() -> None:
    world = World(Route((step(service(BOT)),)))
    world.change(BOT, owner=RHEA)

    world.submit()

    assert world.request.tree.leaves[-1] == Leaf(Kind.HOLDER, "admin", joined=Joined.FALLBACK)
