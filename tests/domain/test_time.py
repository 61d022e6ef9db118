"""A deadline is a fact, not a worker's event: design §3, rules 7 and 13."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import Cause, Closed, Escalated, Outcome, PassedByTime, StepOpened
from quorate.domain.workflows import Joined, Leaf, OnTimeout, Rejection, Route, Rule
from tests.cast import (
    ADA,
    ANA,
    APPROVE,
    BEN,
    CYD,
    HOUR,
    MONA,
    NOON,
    OLU,
    REJECT,
    RHEA,
    World,
    a_request_to,
    group,
    n_of,
    role,
    step,
    user,
)

AN_HOUR = 3600
MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)


def within(seconds: int, *steps: object) -> World:
    """A request with a deadline for the whole."""
    world = World(Route(steps))  # type: ignore[arg-type]  # Steps, however many.
    world.filing = replace(world.filing, time_to_decide_s=seconds)
    return world.submit()


def test_a_decision_after_the_deadline_is_refused_even_if_no_timer_has_run() -> None:
    world = a_request_to(ANA, timeout_s=AN_HOUR)

    with pytest.raises(no.AlreadyClosed) as refused:
        world.decide(ANA, APPROVE, at=NOON + DAY)

    assert refused.value.status is Outcome.EXPIRED
    assert world.history[-1] == Closed(NOON + HOUR, Outcome.EXPIRED, Cause.TIME)


def test_a_decision_just_in_time_counts_and_one_at_the_deadline_is_late() -> None:
    in_time, late = (a_request_to(ANA, timeout_s=AN_HOUR) for _ in range(2))
    in_time.decide(ANA, APPROVE, at=NOON + HOUR - MOMENT)
    with pytest.raises(no.AlreadyClosed):
        late.decide(ANA, APPROVE, at=NOON + HOUR)

    assert in_time.request.status is Outcome.APPROVED
    assert late.request.status is Outcome.EXPIRED


def test_a_stranger_learns_nothing_from_a_late_request_either() -> None:
    world = a_request_to(ANA, timeout_s=AN_HOUR)

    with pytest.raises(no.NotAnApprover):
        world.decide(OLU, APPROVE, at=NOON + DAY)

    assert world.request.status is Outcome.EXPIRED


@pytest.mark.parametrize(("step_s", "whole_s", "hours"), [(1, 2, 1), (2, 1, 1), (None, 1, 1), (2, 2, 2)])
def test_the_earlier_of_two_deadlines_rules(step_s: int | None, whole_s: int, hours: int) -> None:
    timeout_s = None if step_s is None else step_s * AN_HOUR
    world = within(whole_s * AN_HOUR, step(user(ANA), timeout_s=timeout_s))

    assert world.request.due_at == world.request.expires_at == NOON + hours * HOUR
    assert world.lapse(NOON + DAY) == [Closed(NOON + hours * HOUR, Outcome.EXPIRED, Cause.TIME)]


def test_a_request_without_deadlines_waits_for_ever() -> None:
    world = a_request_to(ANA, timeout_s=None)

    assert world.request.due_at is None
    assert world.request.expires_at is None
    assert world.lapse(NOON + 3650 * DAY) == []


def test_every_step_has_a_deadline_of_its_own_from_when_it_opened() -> None:
    world = a_request_to(ANA, BEN, timeout_s=AN_HOUR)
    world.decide(ANA, APPROVE, at=NOON + HOUR / 2)

    assert world.request.due_at == NOON + HOUR + HOUR / 2


def test_time_escalates_a_step_once_renews_its_deadline_and_then_it_expires() -> None:
    world = a_request_to(
        n_of(2, user(ANA), user(BEN)), timeout_s=AN_HOUR, on_timeout=OnTimeout.ESCALATE, escalate_to=role("admins")
    )
    world.decide(ANA, APPROVE)
    joined = Leaf(role("admins").kind, "admins", joined=Joined.ESCALATION)

    assert world.lapse(NOON + HOUR) == [Escalated(NOON + HOUR, 0, (joined,), NOON + 2 * HOUR)]
    assert world.request.current.needs == (2,)
    assert world.lapse(NOON + 2 * HOUR) == [Closed(NOON + 2 * HOUR, Outcome.EXPIRED, Cause.TIME)]


def test_those_a_step_escalates_to_decide_beside_its_approvers_and_earlier_decisions_stay() -> None:
    world = a_request_to(
        n_of(2, user(ANA), user(BEN)), timeout_s=AN_HOUR, on_timeout=OnTimeout.ESCALATE, escalate_to=role("admins")
    )
    world.decide(ANA, APPROVE)
    with pytest.raises(no.NotAnApprover):
        world.decide(ADA, APPROVE)

    world.decide(ADA, APPROVE, at=NOON + HOUR)

    assert world.request.status is Outcome.APPROVED


def test_a_rejection_after_an_escalation_looks_at_those_who_joined() -> None:
    world = a_request_to(
        user(ANA),
        timeout_s=AN_HOUR,
        on_timeout=OnTimeout.ESCALATE,
        escalate_to=role("admins"),
        rejection=Rejection(Rule.UNREACHABLE),
    )
    world.decide(ANA, REJECT, at=NOON + HOUR)

    assert world.request.is_open


def test_a_step_is_escalated_once_by_hand_or_by_time() -> None:
    world = a_request_to(ANA, timeout_s=AN_HOUR, on_timeout=OnTimeout.ESCALATE, escalate_to=user(BEN))
    [escalated] = world.do(do.Escalate(ADA), at=NOON + HOUR / 2)

    assert isinstance(escalated, Escalated)
    assert (escalated.by, escalated.due_at) == (ADA, NOON + HOUR + HOUR / 2)
    with pytest.raises(no.CannotEscalate):
        world.do(do.Escalate(ADA), at=NOON + HOUR)
    assert world.lapse(NOON + DAY) == [Closed(NOON + HOUR + HOUR / 2, Outcome.EXPIRED, Cause.TIME)]


def test_there_must_be_somebody_to_escalate_to() -> None:
    world = a_request_to(ANA)
    with pytest.raises(no.CannotEscalate):
        world.do(do.Escalate(ADA))

    world.do(do.Escalate(ADA, user(MONA)))
    world.decide(MONA, APPROVE)

    assert world.request.status is Outcome.APPROVED


def test_a_step_may_pass_by_time() -> None:
    world = a_request_to(ANA, timeout_s=AN_HOUR, on_timeout=OnTimeout.APPROVE)

    assert world.lapse(NOON + DAY) == [
        PassedByTime(NOON + HOUR, 0),
        Closed(NOON + HOUR, Outcome.APPROVED, Cause.TIME),
    ]


def test_several_things_that_time_did_each_have_their_own_moment() -> None:
    """A worker that was down for a day finds three deadlines past."""
    first = step(user(ANA), 1, AN_HOUR, on_timeout=OnTimeout.APPROVE)
    second = step(user(BEN), 2, AN_HOUR, on_timeout=OnTimeout.ESCALATE, escalate_to=user(CYD))
    world = World(Route((first, second))).submit()

    events = world.lapse(NOON + DAY)

    assert [(type(event), event.at - NOON) for event in events] == [
        (PassedByTime, HOUR),
        (StepOpened, HOUR),
        (Escalated, 2 * HOUR),
        (Closed, 3 * HOUR),
    ]
    assert world.request.closed_at == NOON + 3 * HOUR


def test_the_whole_requests_deadline_cuts_a_chain_of_lapses_short() -> None:
    steps = [step(user(ANA), order, AN_HOUR, on_timeout=OnTimeout.APPROVE) for order in (1, 2, 3)]
    world = within(2 * AN_HOUR, *steps)

    events = world.lapse(NOON + DAY)

    assert [type(event) for event in events] == [PassedByTime, StepOpened, Closed]
    assert events[-1] == Closed(NOON + 2 * HOUR, Outcome.EXPIRED, Cause.TIME)


def test_a_step_that_passes_by_time_is_decided_in_time() -> None:
    world = a_request_to(ANA, BEN, timeout_s=AN_HOUR, on_timeout=OnTimeout.APPROVE)
    world.decide(BEN, APPROVE, at=NOON + HOUR)

    assert world.request.status is Outcome.APPROVED


@pytest.mark.parametrize(
    ("on_timeout", "whole_s", "shown"),
    [
        (None, None, Outcome.EXPIRED),
        (OnTimeout.EXPIRE, None, Outcome.EXPIRED),
        (OnTimeout.ESCALATE, None, Outcome.PENDING),
        (OnTimeout.APPROVE, None, Outcome.PENDING),
        (OnTimeout.APPROVE, 2 * AN_HOUR, Outcome.PENDING),
        (OnTimeout.APPROVE, AN_HOUR, Outcome.EXPIRED),
        (OnTimeout.ESCALATE, 2 * AN_HOUR, Outcome.EXPIRED),
    ],
)
def test_only_what_is_certain_is_shown_expired_before_anybody_has_looked(
    on_timeout: OnTimeout | None, whole_s: int | None, shown: Outcome
) -> None:
    world = World(Route((step(user(ANA), 1, AN_HOUR, on_timeout=on_timeout, escalate_to=user(BEN)),)))
    world.filing = replace(world.filing, time_to_decide_s=whole_s)
    request = world.submit().request

    assert request.shown_at(NOON + HOUR - MOMENT) is Outcome.PENDING
    assert request.shown_at(NOON + 2 * HOUR) is shown
    world.lapse(NOON + 2 * HOUR)
    assert world.request.shown_at(NOON + 2 * HOUR) is world.request.status
    assert shown in (Outcome.PENDING, world.request.status)


def test_nothing_lapses_twice_or_after_the_end() -> None:
    world = a_request_to(ANA, timeout_s=AN_HOUR)
    world.do(do.Cancel(RHEA))

    assert world.lapse(NOON + DAY) == []
    assert world.request.shown_at(NOON + DAY) is Outcome.CANCELLED


def test_a_decision_in_an_escalated_step_that_is_late_again_is_refused() -> None:
    world = a_request_to(group(), timeout_s=AN_HOUR, on_timeout=OnTimeout.ESCALATE, escalate_to=user(MONA))

    with pytest.raises(no.AlreadyClosed):
        world.decide(MONA, APPROVE, at=NOON + 2 * HOUR)

    assert [type(event) for event in world.history[-2:]] == [Escalated, Closed]
