"""Approving, rejecting, who is told what: design §3, rules 1, 3, 5 and 6."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import (
    Cause,
    Choice,
    Closed,
    Decided,
    Filing,
    Outcome,
    RequestKind,
)
from quorate.domain.history import replay
from quorate.domain.lifecycle import submit
from quorate.domain.workflows import Count, Kind, Leaf, Node, Rejection, Route, Rule, Unit, Wants
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
    REQUEST,
    RHEA,
    SECURITY,
    TENANT,
    World,
    a_request_to,
    group,
    n_of,
    role,
    service,
    step,
    user,
)

MANAGER = Leaf(Kind.MANAGER, "requester")


@pytest.mark.parametrize(
    ("leaf", "approver"),
    [
        (user(ANA), ANA),
        (service(BOT), BOT),
        (group(), BEN),
        (role("admins"), ADA),
        (MANAGER, MONA),
        (Leaf(Kind.HOLDER, "request:approve"), ADA),
    ],
)
def test_each_kind_of_approver_decides_and_nobody_else(leaf: Leaf, approver: UUID) -> None:
    world = a_request_to(leaf)
    for stranger in {ANA, BEN, BOT, ADA, MONA, OLU} - {approver, *({ANA, BEN} if leaf == group() else ())}:
        with pytest.raises(no.NotAnApprover):
            world.decide(stranger, APPROVE)

    world.decide(approver, APPROVE)

    assert world.request.status is Outcome.APPROVED
    assert world.history[-1] == Closed(NOON, Outcome.APPROVED, Cause.DECISION, approver)


def test_a_role_is_named_by_its_name_or_its_id() -> None:
    for named in ("approvers", "5d1c"):
        world = World(Route((step(role(named)),)))
        world.change(ANA, roles=frozenset({"approvers", "5d1c"}))
        world.submit().decide(ANA, APPROVE)
        assert world.request.status is Outcome.APPROVED


def test_the_manager_of_a_service_is_its_owners() -> None:
    filing = Filing(RequestKind.ACCESS, filed_by=BOT, requester=BOT, beneficiary=BOT)
    world = World(Route((step(MANAGER),)), filing=filing)
    world.change(BOT, owner=RHEA)

    world.submit().decide(MONA, APPROVE)

    assert world.request.status is Outcome.APPROVED


def test_a_request_walks_through_its_steps_one_after_the_other() -> None:
    world = a_request_to(ANA, BEN)
    with pytest.raises(no.NotAnApprover):
        world.decide(BEN, APPROVE)

    world.decide(ANA, APPROVE)
    assert (world.request.status, world.request.current.index) == (Outcome.PENDING, 1)
    world.decide(BEN, APPROVE)

    assert world.request.status is Outcome.APPROVED
    assert [type(event).__name__ for event in world.history] == [
        "Submitted",
        "StepOpened",
        "Decided",
        "StepOpened",
        "Decided",
        "Closed",
    ]
    assert replay(TENANT, REQUEST, world.history) == world.request


def test_a_step_passes_at_the_first_moment_its_quorum_is_met() -> None:
    world = a_request_to(n_of(2, group()))

    assert [type(event) for event in world.decide(ANA, APPROVE)] == [Decided]
    assert [type(event) for event in world.decide(CYD, APPROVE)] == [Decided, Closed]


def test_one_person_may_decide_in_several_steps_but_once_in_each() -> None:
    world = a_request_to(n_of(2, group()), group())
    world.decide(ANA, APPROVE)
    with pytest.raises(no.AlreadyDecided):
        world.decide(ANA, APPROVE)
    with pytest.raises(no.AlreadyDecided):
        world.decide(ANA, REJECT)
    world.decide(BEN, APPROVE)

    world.decide(ANA, APPROVE)

    assert world.request.status is Outcome.APPROVED


def test_the_second_of_two_at_once_is_told_that_it_is_closed() -> None:
    world = a_request_to(group())
    world.decide(ANA, APPROVE)

    with pytest.raises(no.AlreadyClosed) as refused:
        world.decide(BEN, REJECT)

    assert refused.value.status == "approved"


def test_a_decision_on_a_step_that_has_passed_is_too_late_for_its_approvers_and_nothing_to_others() -> None:
    world = a_request_to(group(), MONA)
    world.decide(ANA, APPROVE)

    for actor, refusal in ((BEN, no.AlreadyClosed), (ANA, no.AlreadyDecided), (OLU, no.NotAnApprover)):
        with pytest.raises(refusal):
            world.do(do.Decide(actor, APPROVE, step=0))
    with pytest.raises(no.NotAnApprover):
        world.do(do.Decide(MONA, APPROVE, step=5))


@pytest.mark.parametrize(
    "command",
    [
        do.Decide(OLU, APPROVE),
        do.Decide(OLU, REJECT, may_refuse_own=True),
        do.Override(OLU, APPROVE),
        do.TakeSeat(OLU, APPROVE),
        do.Reassign(OLU, OLU, ANA),
        do.Comment(OLU, UUID(int=1), "hi"),
        do.Cancel(OLU),
        do.Escalate(OLU),
        do.Remind(OLU),
    ],
    ids=lambda command: type(command).__name__,
)
@pytest.mark.parametrize("stranger", [OLU, BOT, MONA])
def test_a_stranger_cannot_tell_a_closed_request_from_an_open_one(command: do.Command, stranger: UUID) -> None:
    closed = a_request_to(ANA)
    closed.decide(ANA, APPROVE)
    by_policy = World(Route())
    file = do.Submit(RHEA, by_policy.filing, Route(), settled=do.Settled(Outcome.APPROVED, Cause.POLICY, "base"))
    by_policy.request, _ = submit(TENANT, REQUEST, file, by_policy.people, at=NOON)

    told = set()
    for world in (a_request_to(ANA), closed, by_policy):
        with pytest.raises(no.Refusal) as refused:
            world.do(replace(command, actor=stranger))
        told.add(str(refused.value))
    assert len(told) == 1


def test_who_leaves_a_group_loses_the_power_at_once_and_who_joins_gains_it() -> None:
    world = a_request_to(n_of(2, group()))
    world.change(ANA, groups=frozenset())
    world.change(MONA, groups=frozenset({SECURITY}))

    with pytest.raises(no.NotAnApprover):
        world.decide(ANA, APPROVE)
    world.decide(MONA, APPROVE)
    world.decide(BEN, APPROVE)

    assert world.request.status is Outcome.APPROVED


def test_a_decision_stands_when_its_maker_leaves_the_group() -> None:
    world = a_request_to(n_of(2, group()))
    world.decide(ANA, APPROVE)
    world.change(ANA, groups=frozenset())

    world.decide(BEN, APPROVE)

    assert world.request.status is Outcome.APPROVED


@pytest.mark.parametrize("facts", [{"active": False}, None])
def test_a_decision_does_not_count_while_its_maker_is_suspended_or_gone_and_counts_again(facts: object) -> None:
    world = a_request_to(n_of(2, group()))
    world.decide(ANA, APPROVE)
    ana = world.persons.pop(ANA)
    if facts:
        world.persons[ANA] = replace(ana, active=False)
    world.decide(BEN, APPROVE)
    assert world.request.is_open

    world.persons[ANA] = ana
    events = world.do(do.Recheck())

    assert events == [Closed(NOON, Outcome.APPROVED, Cause.DECISION)]


def test_a_rejection_counts_again_when_its_maker_comes_back() -> None:
    world = a_request_to(n_of(3, group(), user(MONA)), rejection=Rejection(Rule.COUNT, 2))
    world.decide(ANA, REJECT)
    world.change(ANA, active=False)
    world.decide(BEN, REJECT)
    assert world.request.is_open
    world.change(ANA, active=True)

    assert world.do(do.Recheck()) == [Closed(NOON, Outcome.REJECTED, Cause.DECISION)]


def test_a_suspended_approver_may_not_decide() -> None:
    world = a_request_to(group())
    world.change(ANA, active=False)

    with pytest.raises(no.NotAnApprover):
        world.decide(ANA, APPROVE)


def test_the_denominator_of_a_fraction_is_kept_from_when_the_step_opened() -> None:
    world = a_request_to(Node(Count(100, Unit.PERCENT), (group(),)))
    world.change(CYD, groups=frozenset())
    world.decide(ANA, APPROVE)
    world.decide(BEN, APPROVE)
    assert world.request.is_open
    world.change(MONA, groups=frozenset({SECURITY}))

    world.decide(MONA, APPROVE)

    assert world.request.status is Outcome.APPROVED


@pytest.mark.parametrize(
    ("percent", "needed"), [(25, 1), (50, 2), (67, 3), (100, 3)], ids=["QUARTER", "HALF", "two thirds", "ALL"]
)
def test_a_fraction_of_three_rounds_up(percent: int, needed: int) -> None:
    world = a_request_to(Node(Count(percent, Unit.PERCENT), (group(),)))

    assert world.request.current.needs == (needed,)


def test_a_fraction_leaves_out_requester_beneficiary_and_suspended() -> None:
    world = World(Route((step(Node(Count(100, Unit.PERCENT), (group(), user(MONA)))),)))
    world.filing = replace(world.filing, beneficiary=CYD)
    world.change(RHEA, groups=frozenset({SECURITY}), permissions=frozenset({"request:for-others"}))
    world.change(BEN, active=False)

    assert world.submit().request.current.needs == (2,)


@pytest.mark.parametrize(("count", "needed"), [(1, 1), (2, 2), (3, 2)], ids=["SINGLE", "DOUBLE", "TRIPLE"])
def test_a_capped_count_is_never_more_than_the_approvers(count: int, needed: int) -> None:
    world = a_request_to(Node(Count(count, Unit.CAPPED), (user(ANA), user(BEN))))

    assert world.request.current.needs == (needed,)


def test_by_default_one_rejection_ends_the_request() -> None:
    world = a_request_to(n_of(2, group()), MONA)
    world.decide(ANA, APPROVE)

    world.decide(BEN, REJECT, "no")

    assert world.history[-1] == Closed(NOON, Outcome.REJECTED, Cause.DECISION, BEN, "no")


def test_unreachable_ends_the_request_when_the_quorum_can_no_longer_be_met() -> None:
    world = a_request_to(n_of(2, group()), rejection=Rejection(Rule.UNREACHABLE))

    world.decide(ANA, REJECT)
    assert world.request.is_open
    world.decide(BEN, REJECT)

    assert world.request.status is Outcome.REJECTED


def test_unreachable_looks_into_the_tree() -> None:
    tree = n_of(2, user(ANA), n_of(1, user(BEN), user(CYD)))
    world = a_request_to(tree, rejection=Rejection(Rule.UNREACHABLE))
    world.decide(BEN, REJECT)
    assert world.request.is_open

    world.decide(ANA, REJECT)

    assert world.request.status is Outcome.REJECTED


def test_a_count_of_rejections_ends_the_request() -> None:
    world = a_request_to(n_of(1, group()), rejection=Rejection(Rule.COUNT, 2))

    world.decide(ANA, REJECT)
    assert world.request.is_open
    world.decide(BEN, REJECT)

    assert world.request.status is Outcome.REJECTED


def test_a_count_that_can_no_longer_be_reached_does_not_hold_up_a_request_that_cannot_pass() -> None:
    world = a_request_to(n_of(2, user(ANA), user(BEN)), rejection=Rejection(Rule.COUNT, 3))

    world.decide(ANA, REJECT)

    assert world.request.status is Outcome.REJECTED


@pytest.mark.parametrize(
    ("wants", "choice", "is_refused"),
    [
        (None, APPROVE, False),
        (None, REJECT, False),
        (Wants.NONE, REJECT, False),
        (Wants.APPROVAL, APPROVE, True),
        (Wants.APPROVAL, REJECT, False),
        (Wants.REJECTION, APPROVE, False),
        (Wants.REJECTION, REJECT, True),
        (Wants.ALL, APPROVE, True),
        (Wants.ALL, REJECT, True),
    ],
)
def test_a_step_may_want_a_note(wants: Wants | None, choice: Choice, is_refused: bool) -> None:
    world = a_request_to(ANA, requires_comment=wants)
    if is_refused:
        with pytest.raises(no.CommentRequired):
            world.decide(ANA, choice)
        assert world.request.is_open

    world.decide(ANA, choice, "because")

    assert not world.request.is_open


def test_a_step_that_wants_a_note_wants_it_of_an_administrator_too() -> None:
    world = a_request_to(ANA, requires_comment=Wants.ALL)

    for command in (do.Override(ADA, APPROVE), do.TakeSeat(ADA, APPROVE)):
        with pytest.raises(no.CommentRequired):
            world.do(command)
