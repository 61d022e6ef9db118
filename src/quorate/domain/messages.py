"""Which messages the world is owed because of what happened: their names, and what they say.

A message says that something happened and to what, by id. People's names and what they wrote stay out of it: what
has left cannot be erased when the law demands it, and whoever may know can ask the API. A name always comes with the
same shape; new keys may join it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.domain import events as happened
from quorate.domain.events import Event, Outcome, RequestKind
from quorate.domain.grants import Grant, Granted, GrantEvent, GrantExpired, GrantFailed, GrantRevoked
from quorate.domain.operations import State
from quorate.domain.requests import Request

EVENTS: Final[Mapping[str, str]] = {
    "access_request.created": "access was asked for",
    "access_request.approved": "the last step passed, or a policy approved",
    "access_request.rejected": "an approver, an administrator or a policy said no",
    "access_request.expired": "nobody decided in time",
    "access_request.cancelled": "it was withdrawn, or what was asked for was renamed, moved or removed",
    "access_request.commented": "somebody wrote a comment",
    "workflow_instance.started": "a request that is not for access, or an operation, was filed",
    "workflow_instance.approved": "the last step passed, or a policy approved",
    "workflow_instance.rejected": "an approver, an administrator or a policy said no",
    "workflow_instance.expired": "nobody decided in time",
    "workflow_instance.cancelled": "it was withdrawn, or what it was about was renamed, moved or removed",
    "workflow_instance.commented": "somebody wrote a comment",
    "approval.requested": "a step opened and waits for its approvers",
    "approval.decided": "an approver approved or rejected",
    "approval.overridden": "an administrator settled the step",
    "approval.passed_by_time": "the step's time ran out, which approves it",
    "approval.fell_back": "nobody could decide the step, and the fallback approvers joined it",
    "approval.reassigned": "somebody's say went to another",
    "approval.escalated": "more approvers joined",
    "approval.reminded": "the approvers were reminded: by somebody, or because it was time",
    "grant.active": "access that was approved took effect",
    "grant.failed": "access was approved, but what it was for, or whom, was no longer there",
    "grant.expired": "its time is over",
    "grant.revoked": "it was given back or taken back",
    "operation.succeeded": "an approved operation was carried out",
    "operation.failed": "an approved operation was tried and refused, or could not be carried out",
    "operation.unknown": "an approved call was sent, and nobody can say whether it arrived",
    "workflow.created": "a draft was made",
    "workflow.updated": "a definition changed",
    "workflow.activated": "requests may walk through it",
    "workflow.deactivated": "it takes no more requests",
    "workflow.deleted": "a definition was deleted",
    "policy.created": "a policy was made",
    "policy.updated": "a policy changed",
    "policy.deleted": "a policy was deleted",
    "user.created": "an account was made",
    "user.updated": "an account changed",
    "user.suspended": "an account may do nothing for now",
    "user.reactivated": "a suspended account may act again",
    "user.deleted": "an account was deleted",
    "service.created": "a service was made",
    "service.updated": "a service changed",
    "service.deleted": "a service was deleted",
    "role.created": "a role was made",
    "role.updated": "a role changed",
    "role.deleted": "a role was deleted",
    "role.assigned": "somebody was given a role",
    "role.revoked": "somebody lost a role",
    "group.created": "a group was made",
    "group.updated": "a group changed",
    "group.deleted": "a group was deleted",
    "group.member_added": "somebody joined a group",
    "group.member_removed": "somebody left a group",
    "resource.created": "a resource was made",
    "resource.updated": "a resource changed",
    "resource.deleted": "a resource was deleted",
    "key.created": "a key was made",
    "key.updated": "a key's secret, name or end changed",
    "key.revoked": "a key was revoked",
    "factor.registered": "somebody registered a security key, or an app for one-time codes",
    "factor.removed": "somebody's second factor was taken away",
    "auth.signed_in": "somebody signed in",
    "auth.failed": "somebody tried to sign in as an account that exists, and could not",
    "auth.signed_out": "somebody signed out",
    "security.lockout": "five wrong tries in a row: for five minutes nothing counts, not even what is right",
    "identity_provider.changed": "who outside says who somebody is was settled",
    "identity_provider.removed": "nobody outside says any more who somebody is",
    "tenant.created": "a tenant was made: this one, or by this one's administrators another",
    "tenant.changed": "what is settled for the steps of all workflows changed",
    "delegation.created": "somebody lent their say",
    "delegation.updated": "a delegation changed",
    "delegation.deleted": "a delegation was ended",
    "webhook.created": "a webhook was made",
    "webhook.disabled": "a webhook's receiver said that it wants no more",
    "webhook.deleted": "a webhook was deleted",
}
"""Every message there is, and what it means."""

NOUNS: Final = frozenset(name.split(".")[0] for name in EVENTS)

FACTS: Final = frozenset(
    {
        "userId",
        "serviceId",
        "roleId",
        "groupId",
        "resourceId",
        "requestId",
        "grantId",
        "ownerId",
        "from",
        "to",
        "resourceType",
        "resourceName",
        "permissions",
        "lockedOutOf",
        "startsAt",
        "endsAt",
        "expiresAt",
        "revokedAt",
        "status",
        "version",
    }
)
"""What of an event's own body may leave: ids, kinds, moments, and the names of things."""


MOMENTS: Final = frozenset({"startsAt", "endsAt", "expiresAt", "revokedAt"})
"""Those of FACTS that are moments."""


class Subscription(Struct, frozen=True):
    """What one webhook wants to hear: names, `noun.*` or `*`."""

    webhook: UUID
    events: tuple[str, ...]

    def wants(self, name: str) -> bool:
        noun = name.split(".")[0]
        return any(one in (name, f"{noun}.*", "*") for one in self.events)


class Owed(Struct, frozen=True):
    """One message to one webhook. `body` is JSON: type, timestamp, tenantId, data."""

    webhook: UUID
    name: str
    body: bytes


class Fact(Struct, frozen=True, kw_only=True):
    """Something that happened to anything but a request: its name is one of EVENTS."""

    name: str
    kind: str
    subject: UUID
    at: datetime
    actor: UUID | None = None
    body: Mapping[str, Any] = {}


class Payload(Struct, frozen=True):
    """What a message says. Source: the Standard Webhooks specification, "Payload structure"; `tenantId` is ours."""

    type: str
    timestamp: str
    tenantId: UUID  # noqa: N815  # As it is spelled on the wire.
    data: Any


def is_known(pattern: str) -> bool:
    """Say whether there is anything a subscription to this would hear."""
    noun, _, rest = pattern.partition(".")
    return pattern == "*" or pattern in EVENTS or (rest == "*" and noun in NOUNS)


def owed(
    before: Request | None,
    after: Request,
    tasks: Sequence[UUID],
    events: Iterable[tuple[Event, UUID | None]],
    subscriptions: Sequence[Subscription],
) -> list[Owed]:
    """Name the messages that a request's events owe.

    Args:
        tasks: the ids of its tasks, one for each step opened.
        events: what led from `before` to `after`, each with the account that acted.
    """
    if not subscriptions:
        return []
    return [message for said in _said(before, after, tasks, events) for message in _to_whom(said, subscriptions)]


def owed_of_facts(tenant: UUID, facts: Iterable[Fact], subscriptions: Sequence[Subscription]) -> list[Owed]:
    """Name the messages that other events owe."""
    if not subscriptions:
        return []
    said = (
        Payload(
            fact.name,
            _moment(fact.at),
            tenant,
            {
                "subject": {"kind": fact.kind, "id": fact.subject},
                "actorId": fact.actor,
                "details": {key: _told(key, value) for key, value in fact.body.items() if key in FACTS},
            },
        )
        for fact in facts
    )
    return [message for one in said for message in _to_whom(one, subscriptions)]


def _told(key: str, value: Any) -> Any:
    """Say a moment as every moment of a message is said, however it stands in the history."""
    return _moment(datetime.fromisoformat(value)) if key in MOMENTS and value is not None else value


def grant_fact(grant: Grant, event: GrantEvent, actor: UUID | None) -> Fact:
    """Put what happened to a grant into the form of other events. Its reason stays."""
    match event:
        case Granted():
            name, status = "grant.active", "active"
        case GrantFailed():
            name, status = "grant.failed", "failed"
        case GrantExpired():
            name, status = "grant.expired", "expired"
        case GrantRevoked():
            name, status = "grant.revoked", "revoked"
    body = {
        "requestId": grant.request,
        "userId": grant.holder,
        "resourceType": grant.target.type,
        "resourceId": grant.target.id,
        "resourceName": grant.target.name,
        "startsAt": _moment(grant.starts_at),
        "endsAt": None if grant.ends_at is None else _moment(grant.ends_at),
        "status": status,
    }
    return Fact(name=name, kind="grant", subject=grant.id, at=event.at, actor=actor, body=body)


def execution_fact(id: UUID, request: UUID, state: State, at: datetime, actor: UUID | None, **more: Any) -> Fact:
    """Put the end of an execution into the form of other events. What it answered stays."""
    body = {"requestId": str(request), "status": state.value, **more}
    return Fact(name=f"operation.{state.value}", kind="execution", subject=id, at=at, actor=actor, body=body)


def _to_whom(said: Payload, subscriptions: Sequence[Subscription]) -> Iterator[Owed]:
    wanting = [one.webhook for one in subscriptions if one.wants(said.type)]
    if wanting:
        body = msgspec.json.encode(said)
        yield from (Owed(webhook, said.type, body) for webhook in wanting)


def _said(
    before: Request | None, after: Request, tasks: Sequence[UUID], events: Iterable[tuple[Event, UUID | None]]
) -> Iterator[Payload]:
    status = before.status if before else Outcome.PENDING
    for event, actor in events:
        if isinstance(event, happened.Closed):
            status = event.status
        name = name_of(event, after.filing.kind)
        if name is None:
            continue
        data: dict[str, Any] = {"request": _request(after, status)}
        data |= _step(event, after, tasks)
        data["actorId"] = actor
        yield Payload(name, _moment(event.at), after.tenant, data | _more(event))


def name_of(event: Event, kind: RequestKind) -> str | None:
    """Name the message that tells of an event; None when what follows it tells enough."""
    noun = "access_request" if kind is RequestKind.ACCESS else "workflow_instance"
    match event:
        case happened.Submitted():
            return f"{noun}.created" if kind is RequestKind.ACCESS else f"{noun}.started"
        case happened.Closed(status=status):
            return f"{noun}.{status.value}"
        case happened.Commented():
            return f"{noun}.commented"
        case happened.StepOpened():
            return "approval.requested"
        case happened.Decided():
            return "approval.decided"
        case happened.Overridden():
            return "approval.overridden"
        case happened.PassedByTime():
            return "approval.passed_by_time"
        case happened.FellBack():
            return "approval.fell_back"
        case happened.Reassigned():
            return "approval.reassigned"
        case happened.Escalated():
            return "approval.escalated"
        case happened.Reminded():
            return "approval.reminded"
        case happened.ApprovedByPolicy() | happened.Discarded() | happened.Annotated():
            return None


def _request(request: Request, status: Outcome) -> dict[str, Any]:
    filing, target = request.filing, request.filing.target
    return {
        "id": request.id,
        "kind": filing.kind.value,
        "status": status.value,
        "requesterId": filing.requester,
        "beneficiaryId": filing.beneficiary,
        "workflowId": filing.workflow,
        "workflowName": filing.workflow_name,
        "resourceType": target.type if target else None,
        "resourceId": target.id if target else None,
        "resourceName": target.name if target else None,
        "createdAt": _moment(request.created_at),
    }


def _step(event: Event, request: Request, tasks: Sequence[UUID]) -> dict[str, Any]:
    """Say which approval an event belongs to, where it belongs to one."""
    index = getattr(event, "step", None)
    if index is None:
        return {}
    task = next(task for state, task in zip(request.walk, tasks, strict=True) if state.index == index)
    step = request.route.steps[index]
    return {"approval": {"id": task, "step": step.order, "stepName": step.name}}


def _more(event: Event) -> dict[str, Any]:
    """Say what only this kind of event knows."""
    match event:
        case happened.StepOpened(due_at=due_at) | happened.Escalated(due_at=due_at):
            return {"dueAt": None if due_at is None else _moment(due_at)}
        case happened.Decided(choice=choice, on_behalf_of=lender, is_own=is_own, auto=auto):
            said = {"decision": choice.value, "onBehalfOf": lender, "isOwn": is_own}
            return said | {"auto": True} if auto else said
        case happened.Overridden(choice=choice, is_own=is_own):
            return {"decision": choice.value, "isOwn": is_own}
        case happened.Reassigned(giver=giver, to=to):
            return {"from": giver, "to": to}
        case happened.FellBack(is_stuck=is_stuck):
            return {"isStuck": is_stuck}
        case happened.Commented(id=id):
            return {"commentId": id}
        case happened.Closed(cause=cause):
            return {"cause": cause.value}
        case _:
            return {}


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
