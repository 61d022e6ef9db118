"""From what somebody asks for to a request: who it is for, what it is about, which route it takes.

Worked out inside the transaction that files it, so that what was true when it was looked up is true when it counts.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from quorate.app.asking import AskAccess, Asking, AskOperation, Start, Terms, accounts, as_id, duplicate_key
from quorate.app.cedar.schema import REQUEST_ACCESS
from quorate.app.operations import asking as operations
from quorate.app.planning import Planned
from quorate.app.record import NOWHERE, Origin
from quorate.app.tenants import Rules
from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.approval import together
from quorate.domain.breakglass import GlassRules, duration_allowed
from quorate.domain.events import Cause, Duration, Filing, RequestKind, Target
from quorate.domain.events import Outcome as Ending
from quorate.domain.grants import lasting, span
from quorate.domain.people import People, Person
from quorate.domain.permissions import REQUEST_FOR_OTHERS, WORKFLOW_WRITE, allows
from quorate.domain.policy import Because, Outcome, Verdict, weigh
from quorate.domain.workflows import Route, Status, Workflow
from quorate.store.targets import TargetRow

WAIVED: Final = do.Settled(Ending.APPROVED, Cause.WAIVED, "approval defaults", "Nobody had to approve it")

__all__ = [
    "AskAccess",
    "AskOperation",
    "Asking",
    "Planned",
    "Start",
    "Terms",
    "accounts",
    "break_glass",
    "duplicate_key",
    "submission",
]


def submission(
    actor: UUID,
    asking: Asking,
    planned: Planned,
    people: People,
    duplicate: UUID | None,
    rules: Rules,
    at: datetime,
    origin: Origin = NOWHERE,
) -> do.Submit:
    """Make the command that files an asking. `duplicate` is the open request it would repeat.

    `origin`: of the call; policies are told.

    Raises, in this order:
        AccountInactive, NotPermitted: the caller may not ask this (for that person).
        NoSuchUser, NoSuchTarget, NoSuchWorkflow: what it is about is not there.
        DuplicateRequest; DurationTooLong: a policy allows less; NoWorkflow, WorkflowNotActive.
        For an operation: as `operations.asking.submission`.

    A policy that forbids makes a request that is rejected at once; where one decides, nothing is waived.
    Source of the order: native contract (d) 32.
    """
    if not people.is_active(actor):
        raise no.AccountInactive(actor)
    match asking:
        case AskAccess():
            return _access(actor, asking, planned, people, duplicate, rules.usual_s, at, origin)
        case Start():
            return _start(actor, asking, planned, people)
        case AskOperation():
            assert planned.governed is not None
            found, route = planned.governed, planned.route
            return operations.submission(actor, asking, found, route, people, rules.operation_expiry_s)


def _access(
    actor: UUID,
    asking: AskAccess,
    planned: Planned,
    people: People,
    duplicate: UUID | None,
    usual_s: int,
    at: datetime,
    origin: Origin,
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
    approval = together(planned.target.approvals)
    if approval.justification == "required" and not (asking.justification or "").strip():
        raise no.BadReference("justification", "is required")
    outcome = _judged(actor, asking, planned, people.person(beneficiary), at, origin)
    duration = _duration(asking.duration, approval.valid_for, outcome, usual_s if asking.terms.must_end else None)
    settled = _settled(outcome, workflow)
    is_waived = planned.is_waived and outcome is None
    if is_waived:
        settled = WAIVED
    if planned.route is None and settled is None:
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
        target=_filed(planned, planned.target),
        target_has_permissions=planned.target.has_permissions,
        justification=asking.justification,
        duration=duration,
        time_to_decide_s=_time_to_decide_s(outcome, approval.time_to_approve) if settled is None else None,
        duplicate_key=duplicate_key(replace(asking, target=str(planned.target.id)), actor),
        subject={"userId": str(actor), "reason": asking.justification},
        metadata=asking.metadata,
        details=asking.details,
        action=asking.action,
        waived=is_waived,
    )
    route = planned.route if planned.route and settled is None else Route()
    return do.Submit(actor, filing, route, settled)


def _filed(planned: Planned, found: TargetRow) -> Target:
    if planned.kind != "resource":
        return Target(planned.kind, str(found.id), found.name)
    return Target(
        planned.kind, str(found.id), found.name, found.type, found.external_id, found.within, found.within_name
    )


def _judged(
    actor: UUID, asking: AskAccess, planned: Planned, beneficiary: Person, at: datetime, origin: Origin
) -> Outcome | None:
    """Give what the policies decide; None where they leave it to the workflow."""
    outcome = weigh(())
    if planned.judge is not None:
        outcome = planned.judge.says(
            beneficiary,
            actor=actor,
            action=asking.action or REQUEST_ACCESS,
            duration=asking.duration,
            reason=asking.justification,
            at=at,
            origin=origin,
        )
    leaves_it = outcome.because is Because.NO_RULE and not asking.terms.needs_permit
    return None if leaves_it else outcome


def _duration(
    asked: Duration | None, valid_for: Duration | None, outcome: Outcome | None, usual_s: int | None
) -> Duration | None:
    """Say how long the access shall last: as asked, else as is said of the thing, else as the policies that permit it
    say, else as usual.
    """
    permitted = outcome if outcome is not None and outcome.is_permitted else None
    limits = [permitted.max_duration_seconds if permitted else None, _seconds(valid_for)]
    most_s = min((limit for limit in limits if limit is not None), default=None)
    if asked is not None:
        if most_s is not None and span(asked).total_seconds() > most_s:
            raise no.DurationTooLong(most_s)
        return asked
    if valid_for is not None and _seconds(valid_for) == most_s:
        return valid_for
    usual_s = (permitted.default_duration_seconds if permitted else None) or usual_s or most_s
    return lasting(min(usual_s, most_s or usual_s)) if usual_s else None


def _time_to_decide_s(outcome: Outcome | None, time_to_approve: Duration | None) -> int | None:
    limits = [outcome.approval_timeout_seconds if outcome else None, _seconds(time_to_approve)]
    return min((limit for limit in limits if limit is not None), default=None)


def _seconds(duration: Duration | None) -> int | None:
    return None if duration is None else int(span(duration).total_seconds())


def _settled(outcome: Outcome | None, workflow: Workflow | None) -> do.Settled | None:
    """Say whether the policies end the matter: they forbid it, or approve it where the workflow lets them."""
    if outcome is None:
        return None
    by = ", ".join(outcome.rules) or "policy"
    if outcome.verdict is Verdict.DENY:
        return do.Settled(
            Ending.REJECTED, Cause.POLICY, by, "\n".join(outcome.notices) or outcome.reason, outcome.notices
        )
    if outcome.verdict is Verdict.AUTO and (workflow is None or workflow.auto_approve == "policy"):
        return do.Settled(Ending.APPROVED, Cause.POLICY, by, "\n".join(outcome.notices) or None, outcome.notices)
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
        target=_filed(planned, planned.target),
        justification=asking.justification,
        duration=lasts,
        subject={"userId": str(actor), "reason": asking.justification},
        metadata=asking.metadata,
        details=asking.details,
        action=asking.action,
        broke_glass=True,
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
    subject = as_id(asking.subject.get("userId"))
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
        waived=planned.is_waived,
    )
    assert planned.route is not None, "a workflow has a route"
    return do.Submit(actor, filing, Route(), WAIVED) if planned.is_waived else do.Submit(actor, filing, planned.route)
