"""Our values as JITSudo shows them. Source: JITSudo contract b.4–b.6; (d) 4, 16, 25–27, 34, 36; design §6."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Generic, Literal, TypeVar
from uuid import UUID

from msgspec import Meta, Struct

from quorate.domain.events import Commented, Decided, Filing, Outcome, Target
from quorate.domain.grants import Grant, State, span
from quorate.domain.requests import Request
from quorate.surfaces.http.answering import moment, moment_or_none
from quorate.surfaces.jitsudo.words import STATUSES

T = TypeVar("T")

Id = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Status = Literal["pending", "approved", "denied", "expired", "cancelled"]

ACTION: Final = "request_access"
SYSTEM: Final = "system"


class Listed(Struct, Generic[T], frozen=True):
    """A page of a list, and the cursor of the next one."""

    data: list[T]
    next_cursor: str | None
    has_more: bool


class ResourceShown(Struct, frozen=True):
    type: str
    id: str


class RequestShown(Struct, frozen=True):
    """A request for access."""

    id: Id
    requester_id: str
    resource: ResourceShown
    action: str
    reason: str | None
    status: Status
    decision_reasoning: str | None
    decided_by: str | None
    approval_mode: Literal["require", "auto", "break_glass"]
    break_glass: bool
    duration_seconds: int | None
    metadata: dict[str, Any]
    created_at: Moment
    updated_at: Moment


class MessageShown(Struct, frozen=True):
    id: Id
    request_id: Id
    author_type: Literal["user", "approver", "system", "ai"]
    author_id: str
    content: str
    metadata: dict[str, Any]
    created_at: Moment


class GrantShown(Struct, frozen=True):
    """Access that a request gave. `expires_at` null: until it is revoked."""

    id: Id
    request_id: Id | None
    grantee_id: str
    resource: ResourceShown
    action: str
    status: State
    expires_at: Moment | None
    granted_at: Moment
    revoked_at: Moment | None
    metadata: dict[str, Any]
    created_at: Moment
    updated_at: Moment


def who(account: UUID | None, credential: UUID | None) -> str:
    """Name an account: a service by the key it used, a user by id. Source: (d) 4."""
    return f"api_key:{credential}" if credential else str(account)


def request(one: Request, at: datetime) -> RequestShown:
    filing, status = one.filing, one.shown_at(at)
    has_decision = status in (Outcome.APPROVED, Outcome.REJECTED)
    return RequestShown(
        id=str(one.id),
        requester_id=_requester(filing),
        resource=resource(filing.target),
        action=filing.action or ACTION,
        reason=filing.justification,
        status=STATUSES.get(status.value, status.value),  # type: ignore[arg-type]  # The rest are the same words.
        decision_reasoning=one.closing_note or None if has_decision else None,
        decided_by=_decided_by(one) if has_decision else None,
        approval_mode=_mode(one),
        break_glass=filing.broke_glass,
        duration_seconds=int(span(filing.duration).total_seconds()) if filing.duration else None,
        metadata=filing.metadata,
        created_at=moment(one.created_at),
        updated_at=moment(one.updated_at if status is one.status else one.expires_at or at),
    )


def message(said: Commented, about: Request) -> MessageShown:
    return MessageShown(
        id=str(said.id),
        request_id=str(about.id),
        author_type="user" if said.by in (about.filing.requester, about.filing.beneficiary) else "approver",
        author_id=who(said.by, said.credential),
        content=said.text,
        metadata=said.details,
        created_at=moment(said.at),
    )


def grant(one: Grant, given_by: Request, at: datetime) -> GrantShown:
    filing, state = given_by.filing, one.state_at(at)
    changed = {State.REVOKED: one.revoked_at, State.EXPIRED: one.ends_at, State.ACTIVE: None}[state]
    same = one.holder == filing.requester
    return GrantShown(
        id=str(one.id),
        request_id=str(one.request),
        grantee_id=_requester(filing) if same else str(one.holder),
        resource=resource(filing.target),
        action=filing.action or ACTION,
        status=state,
        expires_at=moment_or_none(one.ends_at),
        granted_at=moment(one.starts_at),
        revoked_at=moment_or_none(one.revoked_at),
        metadata=filing.metadata,
        created_at=moment(one.starts_at),
        updated_at=moment(changed or one.starts_at),
    )


def resource(target: Target | None) -> ResourceShown:
    assert target is not None, "a request for access is about something"
    return ResourceShown(target.own_type or target.type, target.external_id or target.id)


def said_of(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(metadata or {})


def _requester(filing: Filing) -> str:
    return who(filing.requester, filing.filed_with if filing.filed_by == filing.requester else None)


def _decided_by(one: Request) -> str:
    """Name who decided: the account of the decision that ended it, or the system."""
    if one.closed_by is None:
        return SYSTEM
    if one.walk and one.current.settled_by == one.closed_by:
        return who(one.closed_by, one.current.settled_with)
    last = next((made for made in _decisions(one) if made.by == one.closed_by), None)
    return who(one.closed_by, last.credential if last else None)


def _decisions(one: Request) -> Iterator[Decided]:
    for state in reversed(one.walk):
        yield from reversed(state.decisions)


def _mode(one: Request) -> Literal["require", "auto", "break_glass"]:
    if one.filing.broke_glass:
        return "break_glass"
    return "auto" if not one.route.steps and one.status is Outcome.APPROVED else "require"
