"""Reminders, and people who join a step one after another: decision 28."""

from datetime import datetime, timedelta

import pytest

from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.cadence import Cadence
from quorate.domain.defaults import Defaults, Scope, Settled, laid_over
from quorate.domain.events import Cause, Closed, Escalated, Event, Outcome, PassedByTime, Reminded
from quorate.domain.evidence import Demand
from quorate.domain.workflows import Count, Escalations, Joined, Leaf, Node, OnTimeout, Reminders, Route, Step
from tests.cast import (
    ADA,
    ANA,
    APPROVE,
    BEN,
    BOT,
    CYD,
    HOUR,
    MONA,
    NOON,
    REJECT,
    RHEA,
    World,
    a_request_to,
    group,
    n_of,
    role,
    service,
    step,
    user,
)

AN_HOUR, DAY = 3600, timedelta(days=1)
HOURLY = Cadence(AN_HOUR, every_s=AN_HOUR)
ON_THE_HOUR = Cadence(cron="0 * * * *")


def chain(*leaves: Leaf, cadence: Cadence = HOURLY) -> Escalations:
    return Escalations(cadence, leaves)


def joined(leaf: Leaf) -> Leaf:
    return Leaf(leaf.kind, leaf.value, joined=Joined.ESCALATION)


def moments(events: list[Event]) -> list[tuple[type[Event], timedelta]]:
    return [(type(event), event.at - NOON) for event in events]


# Escalations.


def test_they_join_one_after_another_however_late_anybody_looks() -> None:
    world = a_request_to(ANA, timeout_s=None, escalations=chain(user(BEN), group(), role("admins")))

    events = world.lapse(NOON + 3 * HOUR)

    assert events == [
        Escalated(NOON + HOUR, 0, (joined(user(BEN)),), place=1, next_at=NOON + 2 * HOUR),
        Escalated(NOON + 2 * HOUR, 0, (joined(group()),), place=2, next_at=NOON + 3 * HOUR),
        Escalated(NOON + 3 * HOUR, 0, (joined(role("admins")),), NOON + 4 * HOUR, place=3),
    ]
    assert world.request.current.escalations == 3


def test_a_step_without_a_deadline_gives_the_last_as_long_as_the_first_waited() -> None:
    world = a_request_to(ANA, timeout_s=None, escalations=chain(user(BEN), user(CYD)))
    assert (world.request.due_at, world.request.wakes_at) == (None, NOON + HOUR)
    world.lapse(NOON + HOUR)
    assert (world.request.due_at, world.request.expires_at) == (None, None)

    assert moments(world.lapse(NOON + DAY)) == [(Escalated, 2 * HOUR), (Closed, 3 * HOUR)]
    assert world.request.status is Outcome.EXPIRED


@pytest.mark.parametrize(
    ("when_late", "end"), [(OnTimeout.EXPIRE, Outcome.EXPIRED), (OnTimeout.APPROVE, Outcome.APPROVED)]
)
def test_a_deadline_stays_what_it_is_beside_escalations(when_late: OnTimeout, end: Outcome) -> None:
    escalations = chain(user(BEN), user(CYD), user(MONA))
    world = a_request_to(ANA, timeout_s=2 * AN_HOUR + 1800, on_timeout=when_late, escalations=escalations)
    assert world.request.due_at == NOON + 2.5 * HOUR

    events = world.lapse(NOON + DAY)

    closed = [PassedByTime] if when_late is OnTimeout.APPROVE else []
    assert [type(event) for event in events] == [Escalated, Escalated, *closed, Closed]
    assert {event.due_at for event in events if isinstance(event, Escalated)} == {NOON + 2.5 * HOUR}
    assert (world.request.status, world.request.closed_at) == (end, NOON + 2.5 * HOUR)


def test_at_the_deadline_itself_nobody_joins_any_more() -> None:
    world = a_request_to(ANA, timeout_s=AN_HOUR, escalations=chain(user(BEN)))

    assert world.lapse(NOON + DAY) == [Closed(NOON + HOUR, Outcome.EXPIRED, Cause.TIME)]


def test_a_step_may_be_escalated_when_it_is_late_as_well() -> None:
    world = a_request_to(
        ANA,
        timeout_s=2 * AN_HOUR,
        on_timeout=OnTimeout.ESCALATE,
        escalate_to=user(MONA),
        escalations=chain(user(BEN), user(CYD), role("admins")),
    )

    events = world.lapse(NOON + DAY)

    assert [(event.at - NOON) / HOUR for event in events] == [1, 2, 2, 3, 4]
    assert [event.place for event in events if isinstance(event, Escalated)] == [1, None, 2, 3]
    assert events[-1] == Closed(NOON + 4 * HOUR, Outcome.EXPIRED, Cause.TIME)


def test_who_has_joined_decides_from_that_moment_on_even_if_no_timer_has_run() -> None:
    world = a_request_to(n_of(2, user(ANA), user(CYD)), escalations=chain(user(BEN)))
    world.decide(ANA, APPROVE)
    with pytest.raises(no.NotAnApprover):
        world.decide(BEN, APPROVE, at=NOON + HOUR - timedelta(microseconds=1))

    world.decide(BEN, APPROVE, at=NOON + HOUR)

    assert world.request.status is Outcome.APPROVED


def test_nobody_decides_their_own_request_by_being_escalated_to() -> None:
    world = a_request_to(ANA, escalations=chain(user(RHEA)))

    with pytest.raises(no.OwnRequest):
        world.decide(RHEA, APPROVE, at=NOON + HOUR)


def test_who_joins_takes_over_what_the_step_demands() -> None:
    world = a_request_to(Node(Count(1), (user(ANA),), Demand(password=True)), escalations=chain(user(BEN)))

    with pytest.raises(no.EvidenceMissing):
        world.decide(BEN, APPROVE, at=NOON + HOUR)
    world.decide(BEN, REJECT)
    assert world.request.status is Outcome.REJECTED


def test_each_step_has_escalations_of_its_own_and_a_step_that_is_over_has_none() -> None:
    world = a_request_to(ANA, BEN, timeout_s=None, escalations=chain(user(CYD)))
    world.decide(ANA, APPROVE, at=NOON + HOUR / 2)

    wakes_at = [world.request.wakes_at]
    world.do(do.Cancel(RHEA))
    wakes_at.append(world.request.wakes_at)

    assert wakes_at == [NOON + 1.5 * HOUR, None]
    assert world.lapse(NOON + DAY) == []


def test_a_schedule_says_when_the_next_one_joins() -> None:
    world = a_request_to(ANA, escalations=chain(user(BEN), user(CYD), cadence=Cadence(600, cron="0 * * * *")))

    assert [(event.at - NOON) for event in world.lapse(NOON + 2 * HOUR)] == [timedelta(minutes=10), HOUR]


# Reminders.


def remind(world: World, at: datetime) -> list[Event]:
    return world.do(do.Remind(None), at)


def test_time_reminds_when_it_is_due_and_then_by_the_schedule() -> None:
    world = a_request_to(ANA, reminders=Reminders(Cadence(600, cron="0 * * * *")))
    assert world.request.remind_at == NOON + timedelta(minutes=10)

    assert remind(world, NOON + timedelta(minutes=9)) == []
    assert remind(world, NOON + timedelta(minutes=11)) == [
        Reminded(NOON + timedelta(minutes=11), 0, next_at=NOON + HOUR)
    ]
    assert remind(world, NOON + timedelta(minutes=12)) == []


def test_who_comes_late_reminds_once_and_not_for_every_moment_missed() -> None:
    world = a_request_to(ANA, reminders=Reminders(HOURLY))

    assert remind(world, NOON + 9.5 * HOUR) == [Reminded(NOON + 9.5 * HOUR, 0, next_at=NOON + 10.5 * HOUR)]
    assert world.request.current.reminders == 1


def test_there_are_so_many_reminders_and_no_more() -> None:
    world = a_request_to(ANA, reminders=Reminders(HOURLY, 2))
    sent = [len(remind(world, NOON + number * HOUR)) for number in range(1, 5)]

    assert sent == [1, 1, 0, 0]
    assert world.request.remind_at is None


def test_a_reminder_by_hand_leaves_those_by_time_alone() -> None:
    world = a_request_to(ANA, reminders=Reminders(HOURLY, 1))
    world.do(do.Remind(RHEA))

    assert world.request.remind_at == NOON + HOUR
    assert len(remind(world, NOON + HOUR)) == 1


def test_nobody_is_reminded_of_what_is_over_or_late() -> None:
    over, late, next_step = (a_request_to(ANA, BEN, timeout_s=AN_HOUR, reminders=Reminders(HOURLY)) for _ in range(3))
    over.decide(ANA, REJECT)
    next_step.decide(ANA, APPROVE, at=NOON + HOUR / 2)

    assert over.request.remind_at is None
    assert remind(over, NOON + HOUR) == []
    assert remind(late, NOON + HOUR) == []
    assert late.request.status is Outcome.EXPIRED
    assert next_step.request.remind_at == NOON + 1.5 * HOUR


def test_a_step_without_reminders_is_never_reminded_of_by_time() -> None:
    world = a_request_to(ANA)

    assert remind(world, NOON + HOUR) == []
    assert world.request.remind_at is None


# Laid over a route.

WEEK_S = 7 * 86_400


def over(one: Step, *settled: Defaults, target: str = "t") -> Step:
    scopes = (Scope.TENANT, Scope.TYPE, Scope.TARGET)
    subjects = ("", "access", target)
    found = [Settled(scope, subject, one) for scope, subject, one in zip(scopes, subjects, settled, strict=False)]
    [laid] = laid_over(Route((one,)), found, "access", "t", has_permissions=False).steps
    return laid


def test_settled_escalations_put_a_workflows_own_deadline_aside_unless_one_is_settled() -> None:
    own = step(user(ANA), timeout_s=AN_HOUR, on_timeout=OnTimeout.ESCALATE, escalate_to=user(BEN))
    escalations, timeout = Defaults(escalations=chain(user(CYD))), Defaults(timeout_s=WEEK_S)
    both = Defaults(escalations=chain(user(CYD)), timeout_s=WEEK_S)

    alone = over(own, escalations)
    assert (alone.timeout_s, alone.on_timeout, alone.escalate_to) == (None, None, None)
    assert {over(own, *settled).timeout_s for settled in ((both,), (escalations, timeout), (timeout, escalations))} == {
        WEEK_S
    }
    assert over(own, Defaults(reminders=Reminders(HOURLY))).timeout_s == AN_HOUR


def test_the_narrower_of_two_settlements_counts() -> None:
    wide = Defaults(reminders=Reminders(HOURLY), escalations=chain(user(CYD)))
    narrow = Defaults(reminders=Reminders(ON_THE_HOUR, 3))

    laid = over(step(user(ANA)), wide, narrow)

    assert (laid.reminders, laid.escalations) == (narrow.reminders, wide.escalations)


def test_a_service_is_left_out_of_the_chain_of_a_step_that_demands_evidence() -> None:
    demanding = step(Node(Count(1), (user(ANA),), Demand(password=True)))

    some = over(demanding, Defaults(escalations=chain(service(BOT), user(BEN))))
    none = over(demanding, Defaults(escalations=chain(service(BOT))))

    assert some.escalations == chain(user(BEN))
    assert none.escalations is None


def test_an_administrator_may_escalate_beside() -> None:
    world = a_request_to(ANA, timeout_s=None, escalations=chain(user(BEN)))
    world.lapse(NOON + HOUR)
    [escalated] = world.do(do.Escalate(ADA, user(MONA)), at=NOON + 1.5 * HOUR)

    assert isinstance(escalated, Escalated)
    assert escalated.due_at == world.request.due_at == NOON + 2 * HOUR
