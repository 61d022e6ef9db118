"""What callers see, as structs that encode it.

Source: Fortanix contract §2 ("ApprovalRequest", "AuthResponse"), §4; design §6 for requests from elsewhere.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from quorate.app.panel import Keeping, Member, Panel
from quorate.domain.events import Choice, Outcome
from quorate.domain.operations import Execution, State
from quorate.domain.requests import Request
from quorate.surfaces.fortanix.reading import Status

Id: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Moment: TypeAlias = Annotated[str, Meta(pattern=r"^\d{8}T\d{6}Z$")]


class Principal(Struct, frozen=True):
    """A person or a program: exactly one of the two."""

    user: Id | UnsetType = UNSET
    app: Id | UnsetType = UNSET

    def is_(self, id: UUID) -> bool:
        return str(id) in (self.user, self.app)


class Reviewer(Principal, frozen=True):
    requires_password: bool | UnsetType = UNSET
    requires_2fa: bool | UnsetType = UNSET


class Subject(Struct, frozen=True):
    """What the operation touches: exactly one key."""

    group: Id | UnsetType = UNSET
    role: Id | UnsetType = UNSET
    sobject: Id | UnsetType = UNSET

    def is_(self, id: UUID) -> bool:
        return str(id) in (self.group, self.role, self.sobject)


class ApprovalRequest(Struct, frozen=True):
    request_id: Id
    requester: Principal
    created_at: Moment
    acct_id: Id
    operation: str
    method: str
    body: Any
    approvers: list[Principal]
    reviewers: list[Reviewer]
    subjects: list[Subject]
    status: Status
    description: str | None
    denial_reason: str | None
    expiry: Moment
    result_viewed: bool
    denier: Principal | UnsetType = UNSET


class Result(Struct, frozen=True):
    """What an approved operation answered. `body`: its JSON, or the message of a failure."""

    status: Annotated[int, Meta(ge=0, le=65535)]
    body: Any


def request(one: Request, panel: Panel, keeping: Keeping, execution: Execution | None, at: datetime) -> ApprovalRequest:
    """Show a request that is not hidden."""
    filing, services = one.filing, panel.services
    operation = filing.operation
    denier = _denier(one)
    return ApprovalRequest(
        request_id=str(one.id),
        requester=_principal(filing.requester or filing.filed_by, services),
        created_at=moment(one.created_at),
        acct_id=str(one.tenant),
        operation=operation.path if operation else _elsewhere(one),
        method=operation.method if operation else "POST",
        body=operation.body if operation else None,
        approvers=[_principal(id, services) for id in _approvers(one)],
        reviewers=[_reviewer(member, services) for member in panel.members],
        subjects=subjects(one),
        status=status(one, execution, at),
        description=filing.justification,
        denial_reason=(one.closing_note or None) if one.status is Outcome.REJECTED else None,
        expiry=moment(expires_at(one, keeping, at)),
        result_viewed=execution is not None and execution.viewed_at is not None,
        denier=UNSET if denier is None else _principal(denier, services),
    )


def in_order(them: Iterable[ApprovalRequest]) -> list[ApprovalRequest]:
    """Put the newest first, and those of one second in the order of their ids (§7, row 11)."""
    by_id = sorted(them, key=lambda one: one.request_id)
    return sorted(by_id, key=lambda one: one.created_at, reverse=True)


def is_hidden(one: Request, keeping: Keeping, at: datetime) -> bool:
    """Say whether nobody is shown it any more: deleted, withdrawn, or expired where expired ones are not kept (§4)."""
    if one.discarded_at is not None or one.status is Outcome.CANCELLED:
        return True
    return not keeping.retains and is_over(one, keeping, at)


def is_over(one: Request, keeping: Keeping, at: datetime) -> bool:
    """Say whether its expiry has passed: nothing can be done with it any more."""
    return one.shown_at(at) is Outcome.EXPIRED or expires_at(one, keeping, at) <= at


def expires_at(one: Request, keeping: Keeping, at: datetime) -> datetime:
    """Say until when it can be acted on: from creation, and from approval anew (§4).

    A request from elsewhere has the deadline that it has; one without is never shown to end before it does.
    """
    if one.status is Outcome.APPROVED and one.closed_at is not None:
        return one.closed_at + keeping.period
    own = one.expires_at or (one.closed_at if one.status is Outcome.EXPIRED else None)
    if own is not None:
        return own
    usual = one.created_at + keeping.period
    return max(usual, at + keeping.period) if one.is_open and usual <= at else usual


def status(one: Request, execution: Execution | None, at: datetime) -> Status:
    """Say how it stands. There is no word for expired; cancelled ones are hidden."""
    match one.shown_at(at):
        case Outcome.APPROVED:
            failed = execution is not None and execution.state in (State.FAILED, State.UNKNOWN)
            return "FAILED" if failed else "APPROVED"
        case Outcome.REJECTED:
            return "DENIED"
        case Outcome.PENDING | Outcome.EXPIRED | Outcome.CANCELLED:
            return "PENDING"


def subjects(one: Request) -> list[Subject]:
    """Say what it touches, as far as that has an id of ours."""
    target = one.filing.target
    if target is None or not _is_uuid(target.id):
        return []
    match target.type:
        case "group":
            return [Subject(group=target.id.lower())]
        case "role":
            return [Subject(role=target.id.lower())]
        case _:
            return [Subject(sobject=target.id.lower())]


def moment(at: datetime) -> str:
    """Write a moment without separators, the fraction cut off."""
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _elsewhere(one: Request) -> str:
    """Name what was asked through another surface. Source: design §6."""
    filing = one.filing
    if filing.target is not None:
        return f"{filing.kind.value}/{filing.target.type}/{filing.target.id}"
    return filing.kind.value if filing.workflow is None else f"{filing.kind.value}/{filing.workflow}"


def _approvers(one: Request) -> Iterable[UUID]:
    """Name who approved, in order; who passed a step as an administrator too."""
    for state in one.walk:
        yield from (made.by for made in state.decisions if made.choice is Choice.APPROVE)
        if state.settled is Choice.APPROVE and state.settled_by is not None:
            yield state.settled_by


def _denier(one: Request) -> UUID | None:
    if one.status is not Outcome.REJECTED:
        return None
    made = [made.by for state in one.walk for made in state.decisions if made.choice is Choice.REJECT]
    return one.closed_by or (made[-1] if made else None)


def _reviewer(member: Member, services: frozenset[UUID]) -> Reviewer:
    demand = member.demand
    if member.id in services:
        return Reviewer(app=str(member.id))
    return Reviewer(user=str(member.id), requires_password=demand.password, requires_2fa=demand.second_factor)


def _principal(id: UUID, services: frozenset[UUID]) -> Principal:
    return Principal(app=str(id)) if id in services else Principal(user=str(id))


def _is_uuid(text: str) -> bool:
    try:
        return len(text) == 36 and bool(UUID(text))
    except ValueError:
        return False
