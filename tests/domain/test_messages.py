"""Which messages what happened owes, to whom, and what they say."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain.events import (
    ApprovedByPolicy,
    Cause,
    Closed,
    Commented,
    Event,
    FellBack,
    Filing,
    Outcome,
    RequestKind,
)
from quorate.domain.messages import (
    EVENTS,
    Fact,
    Owed,
    Subscription,
    is_known,
    name_of,
    owed,
    owed_of_facts,
)
from quorate.domain.workflows import Joined, Kind, Leaf
from tests.cast import ADA, ANA, APPROVE, BEN, CYD, NOON, REJECT, RHEA, TENANT, World, a_request_to

HOOK, OTHER = UUID(int=901), UUID(int=902)
TASKS = [UUID(int=801), UUID(int=802), UUID(int=803)]
ALL = [Subscription(HOOK, ("*",))]


def told(world: World, *subscriptions: Subscription, since: int = 0) -> list[Owed]:
    """What the whole history of a request owes."""
    tasks = TASKS[: len(world.request.walk)]
    events = [(event, getattr(event, "by", None)) for event in world.history[since:]]
    return owed(None, world.request, tasks, events, subscriptions or ALL)


def said(message: Owed) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(message.body)
    return decoded


def test_the_walk_through_two_steps_is_told_in_order() -> None:
    world = a_request_to(ANA, BEN)
    world.decide(ANA, APPROVE)
    world.decide(BEN, APPROVE)

    messages = told(world)

    assert [message.name for message in messages] == [
        "access_request.created",
        "approval.requested",
        "approval.decided",
        "approval.requested",
        "approval.decided",
        "access_request.approved",
    ]
    assert [said(message)["data"]["request"]["status"] for message in messages] == [*["pending"] * 5, "approved"]
    approvals = [said(message)["data"].get("approval") for message in messages]
    assert [one and (one["id"], one["step"]) for one in approvals] == [
        None,
        (str(TASKS[0]), 1),
        (str(TASKS[0]), 1),
        (str(TASKS[1]), 2),
        (str(TASKS[1]), 2),
        None,
    ]


def test_a_decision_says_who_decided_what() -> None:
    world = a_request_to(ANA)
    world.decide(ANA, REJECT, "not this quarter")

    [decided] = [message for message in told(world) if message.name == "approval.decided"]

    assert said(decided) == {
        "type": "approval.decided",
        "timestamp": "2026-03-02T12:00:00Z",
        "tenantId": str(TENANT),
        "data": {
            "request": {
                "id": str(world.request.id),
                "kind": "access",
                "status": "pending",
                "requesterId": str(RHEA),
                "beneficiaryId": str(RHEA),
                "workflowId": None,
                "workflowName": None,
                "resourceType": "role",
                "resourceId": world.request.filing.target.id if world.request.filing.target else None,
                "resourceName": "auditors",
                "createdAt": "2026-03-02T12:00:00Z",
            },
            "approval": {"id": str(TASKS[0]), "step": 1, "stepName": "Step 1"},
            "actorId": str(ANA),
            "decision": "reject",
            "onBehalfOf": None,
            "isOwn": False,
        },
    }


def test_an_expiry_carries_the_deadline_and_nobody() -> None:
    world = a_request_to(ANA)
    world.wait(timedelta(hours=60)).lapse()

    last = said(told(world)[-1])

    assert (last["type"], last["timestamp"]) == ("access_request.expired", "2026-03-04T12:00:00Z")
    assert (last["data"]["actorId"], last["data"]["cause"]) == (None, "time")


def test_what_people_wrote_and_what_they_are_called_is_not_told() -> None:
    world = a_request_to(ANA, BEN)
    world.do(do.Comment(RHEA, UUID(int=77), "a private remark"))
    world.decide(ANA, APPROVE, "a private note")
    world.do(do.Cancel(RHEA, "a private reason"))

    everything = b" ".join(message.body for message in told(world))

    assert "access_request.commented" in everything.decode()
    for private in (b"private", b"quarter end", b"Rhea", b"rhea@"):
        assert private not in everything


def test_other_names_for_what_is_not_asked_as_access() -> None:
    world = a_request_to(ANA)
    generic = replace(world.request, filing=replace(world.request.filing, kind=RequestKind.GENERIC))

    messages = owed(None, generic, TASKS[:1], [(event, None) for event in world.history], ALL)

    assert [message.name for message in messages] == ["workflow_instance.started", "approval.requested"]


def test_each_webhook_hears_what_it_asked_for_and_nobody_else() -> None:
    world = a_request_to(ANA)
    world.decide(ANA, APPROVE)

    messages = told(
        world,
        Subscription(HOOK, ("approval.*", "access_request.approved")),
        Subscription(OTHER, ("access_request.created",)),
        Subscription(UUID(int=903), ("grant.*",)),
    )

    assert [(message.webhook, message.name) for message in messages] == [
        (OTHER, "access_request.created"),
        (HOOK, "approval.requested"),
        (HOOK, "approval.decided"),
        (HOOK, "access_request.approved"),
    ]


def test_without_webhooks_nothing_is_even_looked_at() -> None:
    class Untouchable:
        def __iter__(self) -> Any:
            raise AssertionError("looked at")

    world = a_request_to(ANA)
    assert owed(None, world.request, TASKS[:1], Untouchable(), ()) == []


def test_a_comment_on_what_is_over_says_that_it_is_over() -> None:
    world = a_request_to(ANA)
    world.decide(ANA, REJECT)
    before = world.request
    commented: list[Event] = [Commented(NOON, UUID(int=77), RHEA, "Rhea", "why?")]

    [message] = owed(before, before, TASKS[:1], [(commented[0], RHEA)], ALL)

    assert said(message)["data"]["request"]["status"] == "rejected"
    assert said(message)["data"]["commentId"] == str(UUID(int=77))


def test_reassigning_escalating_reminding_and_falling_back_are_told() -> None:
    world = a_request_to(ANA, escalate_to=Leaf(Kind.USER, str(CYD)))
    world.do(do.Remind(RHEA))
    world.do(do.Reassign(ANA, BEN))
    world.do(do.Escalate(ADA))
    fell = FellBack(NOON, 0, (Leaf(Kind.HOLDER, "admin", joined=Joined.FALLBACK),), is_stuck=True)

    messages = told(world) + owed(world.request, world.request, TASKS[:1], [(fell, None)], ALL)

    assert [message.name for message in messages][2:] == [
        "approval.reminded",
        "approval.reassigned",
        "approval.escalated",
        "approval.fell_back",
    ]
    assert said(messages[3])["data"]["from"] == str(ANA)
    assert said(messages[3])["data"]["to"] == str(BEN)
    assert said(messages[4])["data"]["dueAt"] == "2026-03-04T12:00:00Z"
    assert said(messages[5])["data"]["isStuck"] is True


@pytest.mark.parametrize("kind", list(RequestKind))
@pytest.mark.parametrize("status", [one for one in Outcome if one.is_final])
def test_every_end_of_every_kind_has_a_name_of_its_own(kind: RequestKind, status: Outcome) -> None:
    name = name_of(Closed(NOON, status, Cause.DECISION), kind)

    assert name is not None
    assert name in EVENTS
    assert name.endswith(f".{status.value}")


def test_an_approval_by_policy_is_told_by_the_end_that_follows_it() -> None:
    assert name_of(ApprovedByPolicy(NOON, "base"), RequestKind.ACCESS) is None


def test_of_other_events_only_ids_kinds_and_moments_leave() -> None:
    assigned = Fact(
        name="role.assigned",
        kind="role",
        subject=UUID(int=5),
        at=NOON,
        actor=ANA,
        body={"userId": str(RHEA), "name": "Rhea Ray", "note": "welcome"},
    )

    [message] = owed_of_facts(TENANT, [assigned], [Subscription(HOOK, ("role.*",)), Subscription(OTHER, ("user.*",))])

    assert message.webhook == HOOK
    assert said(message) == {
        "type": "role.assigned",
        "timestamp": "2026-03-02T12:00:00Z",
        "tenantId": str(TENANT),
        "data": {
            "subject": {"kind": "role", "id": str(UUID(int=5))},
            "actorId": str(ANA),
            "details": {"userId": str(RHEA)},
        },
    }


def test_a_moment_that_an_event_kept_in_full_leaves_in_the_form_of_all_moments() -> None:
    lent = Fact(
        name="delegation.created",
        kind="delegation",
        subject=UUID(int=5),
        at=NOON,
        actor=ANA,
        body={"startsAt": "2026-03-02T13:00:00.123456+01:00", "endsAt": "2026-03-03T12:00:00Z", "expiresAt": None},
    )

    [message] = owed_of_facts(TENANT, [lent], ALL)

    assert said(message)["data"]["details"] == {
        "startsAt": "2026-03-02T12:00:00Z",
        "endsAt": "2026-03-03T12:00:00Z",
        "expiresAt": None,
    }


@pytest.mark.parametrize(
    ("pattern", "known"),
    [
        ("*", True),
        ("grant.expired", True),
        ("grant.*", True),
        ("user.*", True),
        ("grant.expire", False),
        ("grant", False),
        ("grants.*", False),
        ("*.expired", False),
        ("", False),
        ("grant.**", False),
    ],
)
def test_a_pattern_that_nothing_would_match_is_found_out(pattern: str, known: bool) -> None:
    assert is_known(pattern) is known


def test_a_request_without_a_target_says_so() -> None:
    world = World(a_request_to(ANA).route, filing=Filing(kind=RequestKind.GENERIC, filed_by=RHEA)).submit()

    started = said(told(world)[0])["data"]["request"]

    assert (started["resourceType"], started["requesterId"], started["kind"]) == (None, None, "generic")
