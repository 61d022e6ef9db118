"""Filing, routing, withdrawing and reminding: design §3, rules 2 and 13; native contract (d) 1 and 10."""

from datetime import timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import (
    ApprovedByPolicy,
    Cause,
    Choice,
    Closed,
    Discarded,
    Filing,
    Outcome,
    RequestKind,
    StepOpened,
    Submitted,
)
from quorate.domain.history import replay
from quorate.domain.lifecycle import submit
from quorate.domain.people import People
from quorate.domain.routing import Candidate, choose
from quorate.domain.workflows import OnTimeout, Route
from tests.cast import (
    ADA,
    ANA,
    BEN,
    BOT,
    HOUR,
    MONA,
    NOON,
    OLU,
    REQUEST,
    RHEA,
    TENANT,
    World,
    a_request_to,
    group,
    step,
    user,
)


def test_the_route_is_frozen_at_submission() -> None:
    world = a_request_to(ANA, BEN)
    [first, *rest] = world.history

    assert isinstance(first, Submitted)
    assert first.route == world.route
    assert replay(TENANT, REQUEST, [first, *rest]).route == world.route


def test_filing_for_somebody_else_takes_a_permission_or_being_their_manager() -> None:
    def filed_by(actor: UUID, **facts: object) -> World:
        filing = Filing(RequestKind.ACCESS, filed_by=actor, requester=actor, beneficiary=RHEA)
        world = World(Route((step(group()),)), filing=filing)
        if facts:
            world.change(actor, **facts)
        return world.submit()

    for stranger in (ANA, BOT):
        with pytest.raises(no.NotPermitted):
            filed_by(stranger)
    with pytest.raises(no.AccountInactive):
        filed_by(OLU)
    assert filed_by(MONA).request.is_open
    assert filed_by(ANA, permissions=frozenset({"request:for-others"})).request.is_open


def test_a_policy_may_approve_at_once() -> None:
    world = World(Route())
    file = do.Submit(RHEA, world.filing, Route(), settled=do.Settled(Outcome.APPROVED, Cause.POLICY, "base"))

    request, events = submit(TENANT, REQUEST, file, People(world.persons), at=NOON)

    assert events[1:] == [ApprovedByPolicy(NOON, "base"), Closed(NOON, Outcome.APPROVED, Cause.POLICY)]
    assert request.status is Outcome.APPROVED
    assert request.due_at is None
    assert request.expires_at is None


@pytest.mark.parametrize(
    "facts", [{"target_has_permissions": True}, {"kind": RequestKind.OPERATION}], ids=["permissions", "operation"]
)
def test_a_step_may_not_pass_by_time_for_a_target_with_permissions_or_an_operation(facts: dict[str, object]) -> None:
    world = World(Route((step(ANA_ALONE, on_timeout=OnTimeout.APPROVE),)))
    world.filing = replace(world.filing, **facts)

    with pytest.raises(no.TimedApprovalForbidden):
        world.submit()


ANA_ALONE = user(ANA)


def test_a_step_opens_with_its_deadline() -> None:
    world = a_request_to(ANA, timeout_s=3600)

    assert world.history[-1] == StepOpened(NOON, 0, (1,), NOON + HOUR)


def test_the_workflow_of_a_request_is_the_targets_own_then_one_of_its_type_then_a_generic_one() -> None:
    own, older, newer, generic = (UUID(int=number) for number in range(1, 5))
    active = [
        Candidate(own, ("group",), NOON),
        Candidate(older, ("role",), NOON),
        Candidate(newer, ("role", "group"), NOON + HOUR),
        Candidate(generic, None, NOON + 2 * HOUR),
    ]

    assert choose(active, "role", own) == own
    assert choose(active, "role", UUID(int=9)) == newer
    assert choose(active, "role", None) == newer
    assert choose(active, "resource", None) == generic
    assert choose(active[:3], "resource", None) is None
    assert choose(active[:2], "group", None) == own


def test_a_request_is_reminded_of_at_most_once_an_hour() -> None:
    world = a_request_to(ANA)
    world.do(do.Remind(RHEA))
    with pytest.raises(no.RemindedRecently):
        world.do(do.Remind(ADA), at=NOON + HOUR - timedelta(seconds=1))
    world.do(do.Remind(ADA), at=NOON + HOUR)

    with pytest.raises(no.NotPermitted):
        world.do(do.Remind(ANA), at=NOON + 2 * HOUR)


@pytest.mark.parametrize("actor", [RHEA, ADA])
def test_a_request_is_withdrawn_by_those_it_is_by_or_for_and_by_administrators(actor: UUID) -> None:
    world = a_request_to(ANA)
    with pytest.raises(no.NotPermitted):
        world.do(do.Cancel(ANA))

    world.do(do.Cancel(actor, "never mind"))

    assert world.history[-1] == Closed(NOON, Outcome.CANCELLED, Cause.CANCEL, actor, "never mind")
    with pytest.raises(no.AlreadyClosed):
        world.do(do.Cancel(actor))


def test_a_request_is_discarded_only_by_those_it_is_by_or_for() -> None:
    world = a_request_to(ANA)
    for actor in (ANA, ADA):
        with pytest.raises(no.NotPermitted):
            world.do(do.Discard(actor))

    world.do(do.Discard(RHEA))

    assert world.history[-2:] == [Closed(NOON, Outcome.CANCELLED, Cause.CANCEL, RHEA), Discarded(NOON, RHEA)]
    with pytest.raises(no.AlreadyClosed):
        world.do(do.Decide(ANA, Choice.APPROVE))
    with pytest.raises(no.AlreadyClosed):
        world.do(do.Discard(RHEA))


def test_a_request_that_was_decided_stays_so_when_it_is_discarded() -> None:
    world = a_request_to(ANA)
    world.do(do.Decide(ANA, Choice.APPROVE, attached={"ticket": [1, None]}))

    world.do(do.Discard(RHEA))

    assert world.request.status is Outcome.APPROVED
    assert world.request.discarded_at == NOON
    assert world.request.current.decisions[0].attached == {"ticket": [1, None]}


def test_a_type_of_resource_is_governed_by_what_governs_resources_too() -> None:
    plain, exact = UUID(int=1), UUID(int=2)
    of_resources = Candidate(plain, ("resource",), NOON)
    of_accounts = Candidate(exact, ("aws_account",), NOON + HOUR)

    assert choose([of_resources], "aws_account", None) is None
    assert choose([of_resources], "aws_account", None, "resource") == plain
    assert choose([of_resources, of_accounts], "aws_account", None, "resource") == exact
