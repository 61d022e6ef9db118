"""From what somebody asks for to a request: who it is for, what it is about, which route it takes.

Worked out inside the transaction that files it, so that what was true when it was looked up is true when it counts.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from quorate.app.cedar.ready import Shelf
from quorate.app.judging import Judge, judges
from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain import routing
from quorate.domain.breakglass import REVIEW_WITHIN, GlassRules, duration_allowed
from quorate.domain.events import Cause, Duration, Filing, RequestKind, Target
from quorate.domain.events import Outcome as Ending
from quorate.domain.grants import lasting, span
from quorate.domain.people import People
from quorate.domain.permissions import REQUEST_FOR_OTHERS, WORKFLOW_WRITE, allows
from quorate.domain.policy import Outcome, Verdict
from quorate.domain.workflows import Route, Status, Workflow
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
    breaks_glass: bool = False


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
    has_overdue_review: bool = False
    judge: Judge | None = None


def duplicate_key(asking: Asking, actor: UUID) -> str | None:
    """Name what there may be only one open request for. Source: native contract (d) 31."""
    if isinstance(asking, Start) or asking.breaks_glass or not asking.refuses_duplicates:
        return None
    return f"{asking.beneficiary or actor}:{asking.type}:{asking.target.lower()}"


def accounts(asking: Asking) -> list[UUID]:
    """Name the accounts that an asking mentions beside whoever asks."""
    if isinstance(asking, AskAccess):
        return [asking.beneficiary] if asking.beneficiary else []
    subject = _as_id(asking.subject.get("userId"))
    return [subject] if subject else []


async def plan(tx: Tx, askings: Sequence[tuple[UUID, UUID, Asking]], shelf: Shelf, at: datetime) -> list[Planned]:
    """Look up targets, workflows and policies for askings, each of a tenant and an actor. Answers in the same order."""
    breaking = {Key(tenant, actor) for tenant, actor, asking in askings if _breaks(asking)}
    overdue = await store.overdue_reviews(tx, breaking, at - REVIEW_WITHIN) if breaking else set()
    found = await _plan(tx, [(tenant, asking) for tenant, _, asking in askings])
    wanted = [
        (tenant, asking.type, planned.target.id) if isinstance(asking, AskAccess) and planned.target else None
        for (tenant, _, asking), planned in zip(askings, found, strict=True)
    ]
    known = await judges(tx, shelf, [one for one in wanted if one]) if any(wanted) else {}
    return [
        replace(
            planned,
            has_overdue_review=_breaks(asking) and Key(tenant, actor) in overdue,
            judge=known.get(one) if one else None,
        )
        for (tenant, actor, asking), planned, one in zip(askings, found, wanted, strict=True)
    ]


def _breaks(asking: Asking) -> bool:
    return isinstance(asking, AskAccess) and asking.breaks_glass


async def _plan(tx: Tx, askings: Sequence[tuple[UUID, Asking]]) -> list[Planned]:
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


def submission(
    actor: UUID, asking: Asking, planned: Planned, people: People, duplicate: UUID | None, at: datetime
) -> do.Submit:
    """Make the command that files an asking. `duplicate` is the open request it would repeat.

    Raises, in this order:
        AccountInactive, NotPermitted: the caller may not ask this (for that person).
        NoSuchUser, NoSuchTarget, NoSuchWorkflow: what it is about is not there.
        DuplicateRequest; DurationTooLong: a policy allows less; NoWorkflow, WorkflowNotActive.

    A policy that forbids makes a request that is rejected at once. Source of the order: native contract (d) 32.
    """
    if not people.is_active(actor):
        raise no.AccountInactive(actor)
    match asking:
        case AskAccess():
            return _access(actor, asking, planned, people, duplicate, at)
        case Start():
            return _start(actor, asking, planned, people)


def _access(
    actor: UUID, asking: AskAccess, planned: Planned, people: People, duplicate: UUID | None, at: datetime
) -> do.Submit:
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
    person, workflow = people.person(actor), planned.workflow
    outcome = None
    if planned.judge is not None:
        outcome = planned.judge.says(
            people.person(beneficiary), actor=actor, duration=asking.duration, reason=asking.justification, at=at
        )
    duration = _duration(asking.duration, outcome)
    settled = _settled(outcome, workflow)
    if workflow is None and settled is None:
        raise no.NoWorkflow(asking.type)
    filing = Filing(
        kind=RequestKind.ACCESS,
        filed_by=actor,
        requester=actor,
        beneficiary=beneficiary,
        requester_name=person.name,
        requester_email=person.email,
        workflow=workflow.id if workflow else None,
        workflow_name=workflow.name if workflow else None,
        target=Target(asking.type, str(planned.target.id), planned.target.name),
        target_has_permissions=planned.target.has_permissions,
        justification=asking.justification,
        duration=duration,
        time_to_decide_s=outcome.approval_timeout_seconds if outcome and settled is None else None,
        duplicate_key=duplicate_key(replace(asking, target=str(planned.target.id)), actor),
        subject={"userId": str(actor), "reason": asking.justification},
        details=asking.details,
    )
    route = workflow.route if workflow and settled is None else Route()
    return do.Submit(actor, filing, route, settled)


def _duration(asked: Duration | None, outcome: Outcome | None) -> Duration | None:
    """Say how long the access shall last: as asked, else as the policies that permit it say."""
    if outcome is None or not outcome.is_permitted:
        return asked
    most_s = outcome.max_duration_seconds
    if asked is None:
        usual_s = outcome.default_duration_seconds or most_s
        return lasting(min(usual_s, most_s or usual_s)) if usual_s else None
    if most_s is not None and span(asked).total_seconds() > most_s:
        raise no.DurationTooLong(most_s)
    return asked


def _settled(outcome: Outcome | None, workflow: Workflow | None) -> do.Settled | None:
    """Say whether the policies end the matter: they forbid it, or approve it where the workflow lets them."""
    if outcome is None:
        return None
    by = ", ".join(outcome.rules) or "policy"
    if outcome.verdict is Verdict.DENY:
        return do.Settled(Ending.REJECTED, Cause.POLICY, by, "\n".join(outcome.notices) or outcome.reason)
    if outcome.verdict is Verdict.AUTO and (workflow is None or workflow.auto_approve == "policy"):
        return do.Settled(Ending.APPROVED, Cause.POLICY, by, "\n".join(outcome.notices) or None)
    return None


def break_glass(actor: UUID, asking: AskAccess, planned: Planned, people: People, rules: GlassRules) -> do.Submit:
    """Make the command that gives access at once. Raises: AccountInactive, NoSuchTarget, BreakGlassForbidden."""
    if not people.is_active(actor):
        raise no.AccountInactive(actor)
    person = people.person(actor)
    lasts = duration_allowed(
        rules,
        person,
        asked_as=asking.type,
        resource_type=planned.target.type if planned.target else None,
        for_self=asking.beneficiary in (None, actor),
        duration=asking.duration,
        has_overdue_review=planned.has_overdue_review,
    )
    assert planned.target is not None, "what is not there has no type that may be asked for"
    filing = Filing(
        kind=RequestKind.ACCESS,
        filed_by=actor,
        requester=actor,
        beneficiary=actor,
        requester_name=person.name,
        requester_email=person.email,
        target=Target(asking.type, str(planned.target.id), planned.target.name),
        justification=asking.justification,
        duration=lasts,
        subject={"userId": str(actor), "reason": asking.justification},
        details=asking.details,
    )
    broken = do.Settled(Ending.APPROVED, Cause.BREAK_GLASS, "break-glass", "Access was given at once; it is reviewed")
    return do.Submit(actor, filing, Route(), broken)


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
