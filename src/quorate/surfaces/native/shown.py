"""What callers see, as structs that encode it: exactly the keys of the contract, and ours beside them.

Source: native contract b.1–b.8; (d) 27–30.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, json

from quorate.app.definitions import show_leaves, show_step
from quorate.app.recent import Recent
from quorate.app.search import Approver, Task
from quorate.app.workflows import Definition
from quorate.domain.events import Decided, Duration, Outcome, Overridden, RequestKind
from quorate.domain.grants import span
from quorate.domain.requests import Request
from quorate.surfaces.http.answering import moment, moment_or_none
from quorate.surfaces.native.steps import LEAVES_SCHEMA, STEP_SCHEMA

Data = TypeVar("Data")
Id = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Status = Literal["pending", "approved", "rejected", "expired", "cancelled"]
StepShown = Annotated[dict[str, Any], Meta(extra_json_schema=STEP_SCHEMA)]
LeavesShown = Annotated[list[dict[str, str]], Meta(extra_json_schema=LEAVES_SCHEMA)]


class HasRequest(Protocol):
    """What lists of requests hold."""

    @property
    def request(self) -> Request: ...


class Ok(Struct, Generic[Data], frozen=True, kw_only=True):
    """A success that gives something."""

    success: Literal[True] = True
    data: Data


class Done(Struct, frozen=True, kw_only=True):
    """A success that says so."""

    success: Literal[True] = True
    message: str


class WorkflowShown(Struct, frozen=True, rename="camel"):
    """A definition."""

    id: Id
    tenant_id: Id
    name: str
    description: str | None
    status: Literal["draft", "active", "inactive"]
    steps: list[StepShown]
    created_at: Moment
    updated_at: Moment
    resource_types: tuple[str, ...] | UnsetType = UNSET
    auto_approve: Literal["none", "policy"] | UnsetType = UNSET
    fallback_approvers: LeavesShown | UnsetType = UNSET


class WorkflowList(Struct, frozen=True, rename="camel"):
    workflows: list[WorkflowShown]
    total: int


class WorkflowStatus(Struct, frozen=True, rename="camel"):
    """What activating and deactivating answer."""

    id: Id
    status: Literal["draft", "active", "inactive"]
    updated_at: Moment


class Started(Struct, frozen=True, rename="camel"):
    """What starting by hand answers."""

    instance_id: Id
    workflow_id: Id
    status: Status
    current_step: int | None
    created_at: Moment


class InstanceListed(Struct, frozen=True, rename="camel"):
    id: Id
    workflow_id: Id | None
    workflow_name: str | None
    status: Status
    current_step: int | None
    created_at: Moment
    updated_at: Moment


class InstanceList(Struct, frozen=True, rename="camel"):
    instances: list[InstanceListed]
    total: int


class InstanceShown(Struct, frozen=True, rename="camel"):
    id: Id
    workflow_id: Id | None
    workflow_name: str | None
    status: Status
    current_step: int | None
    total_steps: int
    subject: dict[str, Any]
    metadata: dict[str, Any]
    created_at: Moment
    updated_at: Moment


class DurationShown(Struct, frozen=True, rename="camel"):
    value: Annotated[int, Meta(ge=1)]
    unit: Literal["hours", "days"]


class RequestMade(Struct, frozen=True, rename="camel"):
    """An access request as filing it answers. The keys from `decisionNote` on are ours.

    `durationSeconds` is there where `duration` cannot say it exactly.
    """

    id: Id
    requester_id: Id
    resource_type: Literal["role", "group", "resource"]
    resource_id: str
    resource_name: str
    justification: str | None
    status: Status
    workflow_instance_id: Id
    duration: DurationShown | None
    created_at: Moment
    updated_at: Moment
    decision_note: str | None
    decided_by: Id | None
    decided_at: Moment | None
    access_expires_at: Moment | None
    for_user_id: Id | UnsetType = UNSET
    duration_seconds: int | UnsetType = UNSET


class RequestShown(RequestMade, frozen=True, rename="camel", kw_only=True):
    """An access request in lists and by itself."""

    requester_name: str | None
    requester_email: str | None


class RequestList(Struct, frozen=True, rename="camel"):
    requests: list[RequestShown]
    total: int


class PendingListed(Struct, frozen=True, rename="camel"):
    id: Id
    requester_name: str | None
    requester_email: str | None
    resource_type: Literal["role", "group", "resource"]
    resource_name: str
    justification: str | None
    status: Status
    current_step: int | None
    current_step_name: str | None
    created_at: Moment


class PendingList(Struct, frozen=True, rename="camel"):
    requests: list[PendingListed]
    total: int


class ApprovalListed(Struct, frozen=True, rename="camel"):
    """An open task as its approver sees it. Without an access request, what belongs to one is null."""

    id: Id
    access_request_id: Id | None
    workflow_instance_id: Id
    step: int
    step_name: str
    requester_name: str | None
    requester_email: str | None
    resource_type: Literal["role", "group", "resource"] | None
    resource_name: str | None
    justification: str | None
    requested_at: Moment
    expires_at: Moment | None


class ApprovalList(Struct, frozen=True, rename="camel"):
    approvals: list[ApprovalListed]
    total: int


class ApprovalListWritten(Struct, frozen=True):
    """The same, of approvals that are JSON already."""

    approvals: list[Raw]
    total: int


class DecisionShown(Struct, frozen=True, rename="camel"):
    approval_id: Id
    decision: Literal["approve", "reject"]
    access_request_status: Status | None
    decided_at: Moment


class ApproverShown(Struct, frozen=True, rename="camel"):
    user_id: Id
    name: str
    via: str


class ApproverList(Struct, frozen=True, rename="camel"):
    approvers: list[ApproverShown]
    total: int


def workflow(tenant: UUID, one: Definition) -> WorkflowShown:
    made = one.workflow
    return WorkflowShown(
        id=str(made.id),
        tenant_id=str(tenant),
        name=made.name,
        description=made.description,
        status=made.status.value,
        steps=[show_step(step) for step in made.steps],
        created_at=moment(one.created_at),
        updated_at=moment(one.updated_at),
        resource_types=UNSET if made.resource_types is None else made.resource_types,
        auto_approve="policy" if made.auto_approve == "policy" else UNSET,
        fallback_approvers=show_leaves(made.fallback) if made.fallback else UNSET,
    )


def instance_listed(one: Request, at: datetime) -> InstanceListed:
    return InstanceListed(
        id=str(one.id),
        workflow_id=_text(one.filing.workflow),
        workflow_name=one.filing.workflow_name,
        status=one.shown_at(at).value,
        current_step=_order(one),
        created_at=moment(one.created_at),
        updated_at=_updated(one, at),
    )


def instance(one: Request, at: datetime) -> InstanceShown:
    filing = one.filing
    told = filing.subject
    if told is None:
        told = {"userId": _text(filing.requester), "reason": filing.justification}
    return InstanceShown(
        id=str(one.id),
        workflow_id=_text(filing.workflow),
        workflow_name=filing.workflow_name,
        status=one.shown_at(at).value,
        current_step=_order(one),
        total_steps=len(one.route.steps),
        subject=told,
        metadata=filing.metadata,
        created_at=moment(one.created_at),
        updated_at=_updated(one, at),
    )


def started(one: Request, at: datetime) -> Started:
    return Started(str(one.id), str(one.filing.workflow), one.shown_at(at).value, _order(one), moment(one.created_at))


def request_made(one: Request, at: datetime) -> RequestMade:
    return RequestMade(**_request(one, at))


def request(one: Request, at: datetime, override: Overridden | None = None) -> RequestShown:
    """Show a request. `override`: how an administrator last passed a step of it, if it is still open."""
    filing = one.filing
    return RequestShown(
        **_request(one, at, override), requester_name=filing.requester_name, requester_email=filing.requester_email
    )


def pending(one: Request, at: datetime) -> PendingListed:
    filing = one.filing
    assert filing.target is not None, "access is access to something"
    return PendingListed(
        id=str(one.id),
        requester_name=filing.requester_name,
        requester_email=filing.requester_email,
        resource_type=_type(filing.target.type),
        resource_name=filing.target.name,
        justification=filing.justification,
        status=one.shown_at(at).value,
        current_step=_order(one),
        current_step_name=one.step.name if one.walk else None,
        created_at=moment(one.created_at),
    )


def approvals(tasks: Iterable[Task], total: int) -> ApprovalListWritten:
    return ApprovalListWritten([_written(task) for task in tasks], total)


def _written(task: Task) -> Raw:
    """Write a task, unless this very one was written before."""
    known = _WRITTEN.get(task.id)
    if known is None or known[0] is not task:
        _WRITTEN.put(task.id, known := (task, Raw(_encode(_approval(task)))))
    return known[1]


_encode = json.Encoder().encode
_WRITTEN: Recent[UUID, tuple[Task, Raw]] = Recent(4096)


def _approval(task: Task) -> ApprovalListed:
    one, state = task.held.request, task.state
    filing, step = one.filing, one.route.steps[state.index]
    is_access = filing.kind is RequestKind.ACCESS and filing.target is not None
    ends = [due for due in (state.due_at, one.due_by) if due is not None]
    return ApprovalListed(
        id=str(task.id),
        access_request_id=str(one.id) if is_access else None,
        workflow_instance_id=str(one.id),
        step=step.order,
        step_name=step.name,
        requester_name=filing.requester_name,
        requester_email=filing.requester_email,
        resource_type=_type(filing.target.type) if is_access and filing.target else None,
        resource_name=filing.target.name if is_access and filing.target else None,
        justification=filing.justification,
        requested_at=moment(one.created_at),
        expires_at=moment_or_none(min(ends, default=None)),
    )


def decision(task: UUID, one: Request, made: Decided) -> DecisionShown:
    is_access = one.filing.kind is RequestKind.ACCESS
    return DecisionShown(str(task), made.choice.value, one.status.value if is_access else None, moment(made.at))


def approvers(found: Iterable[Approver], total: int) -> ApproverList:
    return ApproverList([ApproverShown(str(one.id), one.name, one.via) for one in found], total)


def _request(one: Request, at: datetime, override: Overridden | None = None) -> dict[str, Any]:
    filing = one.filing
    assert filing.target is not None, "access is access to something"
    note, decider, decided_at = _latest_decision(one, at, override)
    return {
        "id": str(one.id),
        "requester_id": str(filing.requester),
        "resource_type": _type(filing.target.type),
        "resource_id": filing.target.id,
        "resource_name": filing.target.name,
        "justification": filing.justification,
        "status": one.shown_at(at).value,
        "workflow_instance_id": str(one.id),
        **_duration(filing.duration),
        "created_at": moment(one.created_at),
        "updated_at": _updated(one, at),
        "decision_note": note,
        "decided_by": _text(decider),
        "decided_at": moment_or_none(decided_at),
        "access_expires_at": moment_or_none(_access_ends_at(one)),
        "for_user_id": UNSET if filing.beneficiary == filing.requester else _text(filing.beneficiary),
    }


def _duration(asked: Duration | None) -> dict[str, Any]:
    """Show a duration in days or whole hours, at least one. Where that is not exact the truth stands beside it."""
    if asked is None:
        return {"duration": None}
    if asked.unit == "days":
        return {"duration": DurationShown(asked.value, "days")}
    seconds = int(span(asked).total_seconds())
    hours, rest = divmod(seconds, 3600)
    shown = {"duration": DurationShown(max(hours, 1), "hours")}
    return shown | {"duration_seconds": seconds} if rest else shown


def _latest_decision(
    one: Request, at: datetime, override: Overridden | None
) -> tuple[str | None, UUID | None, datetime | None]:
    """Find what was decided last: note, by whom, when. The end of a request counts as its last decision."""
    if one.closed_at is not None:
        return one.closing_note, one.closed_by, one.closed_at
    if one.shown_at(at) is Outcome.EXPIRED:
        return None, None, one.expires_at
    made: list[Decided | Overridden] = [made for state in one.walk for made in state.decisions]
    if override is not None:
        made.append(override)
    latest = max(made, key=lambda made: made.at, default=None)
    return (latest.note, latest.by, latest.at) if latest else (None, None, None)


def _access_ends_at(one: Request) -> datetime | None:
    """The access lasts from the final approval. Source: native contract (d) 21."""
    if one.status is not Outcome.APPROVED or one.closed_at is None or one.filing.duration is None:
        return None
    return one.closed_at + span(one.filing.duration)


def _updated(one: Request, at: datetime) -> str:
    """A request that has expired unnoticed changed when it expired."""
    unnoticed = one.expires_at is not None and one.shown_at(at) is not one.status
    return moment(one.expires_at if unnoticed and one.expires_at else one.updated_at)


def _order(one: Request) -> int | None:
    return one.step.order if one.walk else None


def _type(asked: str) -> Literal["role", "group", "resource"]:
    """Requests from other surfaces may be for types we have no word for: they are resources."""
    match asked:
        case "role" | "group":
            return asked
        case _:
            return "resource"


def _text(id: UUID | None) -> str | None:
    return None if id is None else str(id)
