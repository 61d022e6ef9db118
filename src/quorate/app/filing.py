"""From what somebody asks for to a request: who it is for, what it is about, which route it takes.

Worked out inside the transaction that files it, so that what was true when it was looked up is true when it counts.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain import routing
from quorate.domain.events import Duration, Filing, RequestKind, Target
from quorate.domain.people import People
from quorate.domain.permissions import REQUEST_FOR_OTHERS, WORKFLOW_WRITE, allows
from quorate.domain.workflows import Status, Workflow
from quorate.store import targets as store
from quorate.store.requests import Key
from quorate.store.targets import TargetRow
from quorate.store.tx import Tx


class AskAccess(Struct, frozen=True):
    """Ask for a role, a group or a resource. `beneficiary` None: for oneself. `target` is an id, as it was given."""

    type: str
    target: str
    justification: str | None
    duration: Duration | None = None
    beneficiary: UUID | None = None
    workflow: UUID | None = None
    details: dict[str, Any] = {}
    refuses_duplicates: bool = True


class Start(Struct, frozen=True):
    """Start a workflow by hand, about anything. `subject` may name a user we know as `userId`."""

    workflow: UUID | str
    subject: dict[str, Any]
    metadata: dict[str, Any] = {}
    details: dict[str, Any] = {}


Asking = AskAccess | Start


class Planned(Struct, frozen=True):
    """What was found for an asking: its target and the workflow that would govern it, where there are such."""

    target: TargetRow | None = None
    workflow: Workflow | None = None


def duplicate_key(asking: Asking, actor: UUID) -> str | None:
    """Name what there may be only one open request for. Source: native contract (d) 31."""
    if isinstance(asking, Start) or not asking.refuses_duplicates:
        return None
    return f"{asking.beneficiary or actor}:{asking.type}:{asking.target.lower()}"


def accounts(asking: Asking) -> list[UUID]:
    """Name the accounts that an asking mentions beside whoever asks."""
    if isinstance(asking, AskAccess):
        return [asking.beneficiary] if asking.beneficiary else []
    subject = _as_id(asking.subject.get("userId"))
    return [subject] if subject else []


async def plan(tx: Tx, askings: Sequence[tuple[UUID, Asking]]) -> list[Planned]:
    """Look up targets and workflows for askings, each of a tenant. Answers in the same order."""
    wanted = {
        (tenant, asking.type, id)
        for tenant, asking in askings
        if isinstance(asking, AskAccess) and (id := _as_id(asking.target))
    }
    found = await store.targets(tx, wanted) if wanted else {}
    chosen = await _choose(tx, askings, found)
    keys = {key for key in chosen if key is not None}
    workflows = await store.workflows(tx, keys) if keys else {}
    return [
        Planned(_target(tenant, asking, found), workflows.get(key) if key else None)
        for (tenant, asking), key in zip(askings, chosen, strict=True)
    ]


async def _choose(
    tx: Tx, askings: Sequence[tuple[UUID, Asking]], found: dict[tuple[UUID, str, UUID], TargetRow]
) -> list[Key | None]:
    access = [(tenant, asking) for tenant, asking in askings if isinstance(asking, AskAccess)]
    candidates = {}
    if access:
        types = {asking.type for _, asking in access} | {row.type for row in found.values()}
        own = {row.workflow for row in found.values() if row.workflow}
        own |= {asking.workflow for _, asking in access if asking.workflow}
        candidates = await store.candidates(tx, {tenant for tenant, _ in access}, types, own)
    chosen: list[Key | None] = []
    for tenant, asking in askings:
        if isinstance(asking, Start):
            id = _as_id(asking.workflow)
        else:
            row = _target(tenant, asking, found)
            preferred = asking.workflow or (row.workflow if row else None)
            id = routing.choose(candidates[tenant], asking.type, preferred, row.type if row else None)
        chosen.append(Key(tenant, id) if id else None)
    return chosen


def _target(tenant: UUID, asking: Asking, found: dict[tuple[UUID, str, UUID], TargetRow]) -> TargetRow | None:
    if isinstance(asking, Start) or not (id := _as_id(asking.target)):
        return None
    return found.get((tenant, asking.type, id))


def submission(actor: UUID, asking: Asking, planned: Planned, people: People, duplicate: UUID | None) -> do.Submit:
    """Make the command that files an asking. `duplicate` is the open request it would repeat.

    Raises, in this order:
        AccountInactive, NotPermitted: the caller may not ask this (for that person).
        NoSuchUser, NoSuchTarget, NoSuchWorkflow: what it is about is not there.
        DuplicateRequest; NoWorkflow, WorkflowNotActive.

    Source of the order: native contract (d) 32.
    """
    if not people.is_active(actor):
        raise no.AccountInactive(actor)
    match asking:
        case AskAccess():
            return _access(actor, asking, planned, people, duplicate)
        case Start():
            return _start(actor, asking, planned, people)


def _access(actor: UUID, asking: AskAccess, planned: Planned, people: People, duplicate: UUID | None) -> do.Submit:
    beneficiary = asking.beneficiary or actor
    if beneficiary != actor:
        is_manager = people.manager_of(beneficiary) == actor
        if not is_manager and not allows(people.person(actor).permissions, REQUEST_FOR_OTHERS):
            raise no.NotPermitted(REQUEST_FOR_OTHERS)
        if not people.is_active(beneficiary):
            raise no.NoSuchUser(beneficiary)
    if planned.target is None:
        raise no.NoSuchTarget(asking.type, asking.target)
    if duplicate is not None:
        raise no.DuplicateRequest(duplicate)
    if planned.workflow is None:
        raise no.NoWorkflow(asking.type)
    person = people.person(actor)
    filing = Filing(
        kind=RequestKind.ACCESS,
        filed_by=actor,
        requester=actor,
        beneficiary=beneficiary,
        requester_name=person.name,
        requester_email=person.email,
        workflow=planned.workflow.id,
        workflow_name=planned.workflow.name,
        target=Target(asking.type, str(planned.target.id), planned.target.name),
        target_has_permissions=planned.target.has_permissions,
        justification=asking.justification,
        duration=asking.duration,
        duplicate_key=duplicate_key(replace(asking, target=str(planned.target.id)), actor),
        subject={"userId": str(actor), "reason": asking.justification},
        details=asking.details,
    )
    return do.Submit(actor, filing, planned.workflow.route)


def _start(actor: UUID, asking: Start, planned: Planned, people: People) -> do.Submit:
    if not allows(people.person(actor).permissions, WORKFLOW_WRITE):
        raise no.NotPermitted(WORKFLOW_WRITE)
    if planned.workflow is None:
        raise no.NoSuchWorkflow(asking.workflow)
    if planned.workflow.status is not Status.ACTIVE:
        raise no.WorkflowNotActive(asking.workflow)
    subject = _as_id(asking.subject.get("userId"))
    about = people.persons.get(subject) if subject else None
    reason = asking.subject.get("reason")
    filing = Filing(
        kind=RequestKind.GENERIC,
        filed_by=actor,
        requester=about.id if about else None,
        beneficiary=about.id if about else None,
        requester_name=about.name if about else None,
        requester_email=about.email if about else None,
        workflow=planned.workflow.id,
        workflow_name=planned.workflow.name,
        justification=reason if isinstance(reason, str) else None,
        subject=asking.subject,
        metadata=asking.metadata,
        details=asking.details,
    )
    return do.Submit(actor, filing, planned.workflow.route)


def _as_id(value: object) -> UUID | None:
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or len(value) != 36:
        return None
    try:
        return UUID(value)
    except ValueError:
        return None
