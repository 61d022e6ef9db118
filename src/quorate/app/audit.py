"""What happened, in the words of the audit log: who did what, to what, from where.

Source: native contract b.7 and (d) 45, 50.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.app.actor import Actor
from quorate.app.directory import Desk
from quorate.app.gate import KIND
from quorate.domain import events as happened
from quorate.domain import refusals as no
from quorate.domain.events import Choice, Event
from quorate.domain.permissions import AUDIT_READ
from quorate.store import audit as store
from quorate.store.audit import FAILURES, Pattern, Row, Wanted
from quorate.store.tx import Tx

__all__ = ["KINDS", "Audit", "Occurrence", "Pattern", "Recorded", "Sort", "Sought", "actions"]

Sort = Literal["timestamp", "action", "resourceType", "userId"]

_SORTS: Final = {"timestamp": "at", "action": "type", "resourceType": "subject_kind", "userId": "actor_id"}
# What can be told of by its id alone: with these the key of history is an index that serves.
KINDS: Final = (
    "request",
    "grant",
    "user",
    KIND,
    "service",
    "role",
    "group",
    "resource",
    "key",
    "credential",
    "delegation",
    "workflow",
    "policy",
    "operation",
    "execution",
    "webhook",
    "identity_provider",
    "tenant",
)


class Sought(Struct, frozen=True, kw_only=True):
    """What is looked for; `before` is excluded. `status`: success or failure.

    `patterns`: events by what they are recorded as, instead of by `action`; `kinds`: by the kind of their subject,
    instead of by `resource_type`. `credential`: what was done with this one.
    """

    actor: UUID | None = None
    action: str | None = None
    resource_type: str | None = None
    resource: UUID | None = None
    since: datetime | None = None
    before: datetime | None = None
    status: str | None = None
    sort: Sort = "timestamp"
    descending: bool = True
    patterns: tuple[Pattern, ...] = ()
    kinds: tuple[str, ...] = ()
    credential: UUID | None = None


class Occurrence(Struct, frozen=True, kw_only=True):
    """One thing that happened. `actor` None: time, a policy or the operator did it, or somebody unknown tried.

    `agent`: what the actor's program said it is, where that is kept: with sign-ins and second factors.
    `recorded`: how history has it, with the kind and the id of its subject there. `credential`: of the actor.
    """

    id: str
    action: str
    resource_type: str
    resource: UUID
    actor: UUID | None
    actor_email: str | None
    address: str | None
    agent: str | None
    at: datetime
    is_failure: bool
    details: dict[str, Any]
    recorded: "Recorded"
    actor_is_service: bool
    credential: UUID | None


class Recorded(Struct, frozen=True):
    """An event as history has it. `number` is its place among all; `cause` is of what came to its end."""

    kind: str
    subject: UUID
    type: str
    number: int
    is_access: bool = False
    status: str | None = None
    cause: str | None = None

    def fits(self, pattern: Pattern) -> bool:
        """Say whether a pattern, which names no target, means this event."""
        return (
            pattern.kind == self.kind
            and pattern.type == self.type
            and pattern.is_access in (None, self.is_access)
            and pattern.status in (None, self.status)
            and pattern.cause in (None, self.cause)
            and (pattern.not_cause is None or pattern.not_cause != self.cause)
        )


class Audit:
    """The use cases. What others did needs `audit:read`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def page(self, actor: Actor, sought: Sought, limit: int, offset: int) -> tuple[list[Occurrence], int]:
        """Read a page of what happened, and how much there is in all. Raises: NotPermitted."""
        async with self._desk.look(actor, AUDIT_READ) as look:
            return await _page(look.tx, look.tenant, sought, limit, offset)

    async def after(
        self, actor: Actor, sought: Sought, limit: int, behind: tuple[datetime, int] | None = None
    ) -> list[Occurrence]:
        """Read what happened, newest first, from behind the moment and number of the last one. Raises: NotPermitted."""
        async with self._desk.look(actor, AUDIT_READ) as look:
            wanted = msgspec.structs.replace(await _wanted(look.tx, look.tenant, sought), behind=behind)
            return [_told(row) for row in await store.after(look.tx, look.tenant, wanted, limit)]

    async def mine(self, actor: Actor, sought: Sought, limit: int, offset: int) -> tuple[list[Occurrence], int]:
        """Read a page of what the caller did."""
        async with self._desk.look(actor) as look:
            own = msgspec.structs.replace(sought, actor=actor.principal)
            return await _page(look.tx, look.tenant, own, limit, offset)

    async def read(self, actor: Actor, id: str) -> Occurrence:
        """Read one. Raises: NotPermitted; NoSuchTarget: there is no event of this id."""
        async with self._desk.look(actor, AUDIT_READ) as look:
            key = _key(id)
            row = None if key is None else await store.read(look.tx, look.tenant, *key)
        if row is None:
            raise no.NoSuchTarget("event", id)
        return _told(row)


def actions() -> tuple[str, ...]:
    """Name the actions that requests and grants are told with."""
    return tuple(dict.fromkeys(action for action, _ in _NAMED))


async def _page(tx: Tx, tenant: UUID, sought: Sought, limit: int, offset: int) -> tuple[list[Occurrence], int]:
    wanted = await _wanted(tx, tenant, sought)
    rows, total = await store.page(
        tx, tenant, wanted, sort=_SORTS[sought.sort], descending=sought.descending, limit=limit, offset=offset
    )
    return [_told(row) for row in rows], total


async def _wanted(tx: Tx, tenant: UUID, sought: Sought) -> Wanted:
    kinds: tuple[str, ...] | None = None
    is_access, target = None, None
    ids: list[UUID] | None = None
    match sought.resource_type:
        case None:
            kinds = KINDS if sought.resource is not None else None
        case "access_request" | "workflow_instance" as noun:
            kinds, is_access = ("request",), noun == "access_request"
        case "role" | "group" | "resource" as noun:
            kinds, target = (noun, "grant"), noun
        case "user":
            kinds = ("user", KIND)
        case kind:
            kinds = (kind,)
    if sought.resource is not None:
        ids = [sought.resource]
        if kinds is None or "grant" in kinds:
            ids += await store.grants_of(tx, tenant, sought.resource)
    patterns = sought.patterns or (None if sought.action is None else _patterns(sought.action))
    return Wanted(
        actor=sought.actor,
        credential=sought.credential,
        patterns=patterns,
        kinds=sought.kinds or kinds,
        is_access=is_access,
        target=target,
        ids=ids,
        since=sought.since,
        before=sought.before,
        is_failure=None if sought.status is None else sought.status == "failure",
    )


def _patterns(action: str) -> list[Pattern]:
    return [Pattern(None, action), *(pattern for named, pattern in _NAMED if named == action)]


def _key(id: str) -> tuple[UUID, int] | None:
    command, dash, place = id[:36], id[36:37], id[37:]
    if dash != "-" or not place.isascii() or not place.isdecimal() or len(place) > 9:
        return None
    try:
        return UUID(command), int(place)
    except ValueError:
        return None


def _told(row: Row) -> Occurrence:
    kind, subject, details = row.kind, row.subject, row.body
    if row.kind == "request":
        kind = "access_request" if row.is_access else "workflow_instance"
        details = dict(_of_request(row))
    elif row.kind == "grant":
        kind, subject = row.target or kind, row.target_id or subject
        details = dict(_of_grant(row))
    elif row.kind == KIND:
        kind = "user"
    agent = details.get("userAgent")
    details = {name: value for name, value in details.items() if name != "userAgent"}
    return Occurrence(
        id=f"{row.command}-{row.place}",
        action=_action(row),
        resource_type=kind,
        resource=subject,
        actor=row.actor,
        actor_email=row.actor_email,
        address=row.address,
        agent=agent,
        at=row.at,
        is_failure=row.type in FAILURES,
        details={"surface": row.surface, **details} if row.surface else details,
        recorded=Recorded(
            row.kind,
            row.subject,
            row.type,
            row.number,
            bool(row.is_access),
            row.body.get("status"),
            row.body.get("cause"),
        ),
        actor_is_service=bool(row.actor_is_service),
        credential=row.credential,
    )


def _action(row: Row) -> str:
    for action, pattern in _NAMED:
        fits = (
            pattern.kind == row.kind
            and pattern.type == row.type
            and pattern.is_access in (None, bool(row.is_access))
            and pattern.status in (None, row.body.get("status"))
            and pattern.target in (None, row.target)
        )
        if fits:
            return action
    return row.type


def _named() -> Iterator[tuple[str, Pattern]]:
    """Name the actions that requests and grants are told with. All else is recorded under its action's name."""
    for noun, is_access in (("access_request", True), ("workflow_instance", False)):
        yield f"{noun}.{'created' if is_access else 'started'}", Pattern("request", "Submitted", is_access)
        for status in ("approved", "rejected", "cancelled", "expired"):
            yield f"{noun}.{status}", Pattern("request", "Closed", is_access, status)
        yield f"{noun}.commented", Pattern("request", "Commented", is_access)
        yield f"{noun}.annotated", Pattern("request", "Annotated", is_access)
        yield f"{noun}.discarded", Pattern("request", "Discarded", is_access)
    for name, kind in {
        "decided": "Decided",
        "requested": "StepOpened",
        "passed_by_time": "PassedByTime",
        "decided_by_policy": "ApprovedByPolicy",
        "fell_back": "FellBack",
        "reassigned": "Reassigned",
        "escalated": "Escalated",
        "reminded": "Reminded",
    }.items():
        yield f"approval.{name}", Pattern("request", kind)
    yield "approval.decided", Pattern("request", "Overridden")
    for target, given, taken in (
        ("role", "role.assigned", "role.revoked"),
        ("group", "group.member_added", "group.member_removed"),
        ("resource", "resource.granted", "resource.revoked"),
    ):
        for kind in ("Granted", "GrantFailed"):
            yield given, Pattern("grant", kind, target=target)
        for kind in ("GrantRevoked", "GrantExpired"):
            yield taken, Pattern("grant", kind, target=target)


_NAMED: Final = tuple(_named())


def _of_grant(row: Row) -> Iterator[tuple[str, Any]]:
    yield "grantId", str(row.subject)
    yield "userId", str(row.holder)
    yield "resourceName", row.target_name
    yield "requestId", str(row.request)
    if row.type == "GrantRevoked":
        yield "reason", row.body.get("reason")
    if row.type == "GrantExpired":
        yield "reason", "expired"
    if row.type in ("Granted", "GrantFailed"):
        yield "endsAt", row.body.get("grant", {}).get("ends_at")


def _of_request(row: Row) -> Iterator[tuple[str, Any]]:
    """Say what an auditor must know of an event; decisions carry the flags of bypass and self-approval."""
    event: Event = msgspec.convert(row.body, Event)
    if row.step is not None:
        yield "step", row.step
    match event:
        case happened.Submitted(filing=filing):
            yield "requesterId", _text(filing.requester)
            yield "beneficiaryId", _text(filing.beneficiary)
            yield "workflowId", _text(filing.workflow)
            yield "workflowName", filing.workflow_name
            if filing.target is not None:
                yield "resourceType", filing.target.type
                yield "resourceId", filing.target.id
                yield "resourceName", filing.target.name
            yield "justification", filing.justification
        case happened.Decided() | happened.Overridden():
            yield from _of_decision(event)
        case happened.StepOpened(due_at=due_at) | happened.Escalated(due_at=due_at):
            yield "dueAt", None if due_at is None else due_at.isoformat()
        case happened.FellBack(is_stuck=is_stuck):
            yield "stuck", is_stuck
        case happened.ApprovedByPolicy(policy=policy):
            yield "policy", policy
        case happened.Reassigned(giver=giver, to=to, note=note):
            yield "from", _text(giver)
            yield "to", _text(to)
            yield "note", note
        case happened.Commented(id=id, text=text):
            yield "commentId", str(id)
            yield "text", text
        case happened.Closed(cause=cause, note=note):
            yield "cause", cause.value
            yield "note", note
        case happened.Annotated(put=put, removed=removed):
            yield "put", put
            yield "removed", list(removed)
        case happened.PassedByTime() | happened.Reminded() | happened.Discarded():
            pass


def _of_decision(event: happened.Decided | happened.Overridden) -> Iterator[tuple[str, Any]]:
    is_bypass = isinstance(event, happened.Overridden)
    yield "decision", event.choice.value
    yield "note", event.note
    yield "bypass", is_bypass
    if isinstance(event, happened.Decided) and event.auto:
        yield "auto", True
    yield "selfApproval", event.is_own and event.choice is Choice.APPROVE
    yield "onBehalfOf", None if isinstance(event, happened.Overridden) else _text(event.on_behalf_of)
    yield "showedPassword", event.showed_password
    yield "showedSecondFactor", event.showed_second_factor
    if isinstance(event, happened.Decided) and event.attached is not None:
        yield "attached", event.attached


def _text(id: UUID | None) -> str | None:
    return None if id is None else str(id)
