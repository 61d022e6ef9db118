"""Our values as Britive shows them. Source: Britive contract §2 (approval object), §3; design §6."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, Final, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from quorate.app.offers import Around, Resource, leaves_of
from quorate.domain.events import Duration, Filing, Outcome
from quorate.domain.grants import Grant, State, span
from quorate.domain.requests import Request
from quorate.domain.workflows import Kind, Leaf
from quorate.surfaces.britive.words import ACTIONS, CONSUMERS, ENVIRONMENT, SECRET, Consumer

Status = Literal["PENDING", "APPROVED", "REJECTED", "TIMEOUT", "CANCELLED", "REVOKED"]
SYSTEM: Final = "system"
MOST_MINUTES: Final = 43_200
MOST_DAYS: Final = 365
_STATUSES: Final[Mapping[Outcome, Status]] = {
    Outcome.PENDING: "PENDING",
    Outcome.APPROVED: "APPROVED",
    Outcome.REJECTED: "REJECTED",
    Outcome.EXPIRED: "TIMEOUT",
    Outcome.CANCELLED: "CANCELLED",
}


class ApproversShown(Struct, frozen=True, rename="camel"):
    """Who may decide the current level: by login, and as members of tags."""

    user_ids: list[str]
    tags: list[str] | UnsetType = UNSET


class ApprovalShown(Struct, frozen=True, rename="camel", kw_only=True):
    """A request for access. What is not decided has neither `actionBy` nor `updatedAt`."""

    request_id: str
    user_id: str
    resource: str
    resource_name: str
    action: str
    consumer: str
    justification: str | None
    approvers: ApproversShown
    created_at: str
    updated_at: str | UnsetType = UNSET
    status: Status
    overall_status: Status
    valid_for: int
    valid_for_in_days: bool
    time_to_approve: int
    expiration_time_for_approve_request: str
    expiration_time_approval: str | UnsetType = UNSET
    action_by: str | UnsetType = UNSET
    approver_comment: str | UnsetType = UNSET
    multilevel_approval_support: bool
    tracking_id: str
    high_risk: bool | None
    context: dict[str, str] | UnsetType = UNSET


class Pagination(Struct, frozen=True):
    """`next` is the whole address of the next page; empty when there is none."""

    next: str


class ApprovalsShown(Struct, frozen=True):
    result: list[ApprovalShown]
    pagination: Pagination


def approval(one: Request, around: Around, at: datetime, tenant_url: str) -> ApprovalShown:
    filing, grant = one.filing, around.grants.get(one.id)
    consumer, status = consumer_of(filing), status_of(one, grant, at)
    minutes, deadline = _time_to_approve(one)
    length, in_days = _valid_for(filing.duration)
    decided = one.status in (Outcome.APPROVED, Outcome.REJECTED)
    target = around.resources.get(UUID(filing.target.id)) if filing.target else None
    outer = around.resources.get(target.parent_id) if target and target.parent_id else None
    return ApprovalShown(
        request_id=str(one.id),
        user_id=around.account(filing.requester) or filing.requester_email or "",
        resource=resource(filing),
        resource_name=_resource_name(filing, consumer),
        action=ACTIONS[consumer],
        consumer=CONSUMERS[consumer],
        justification=filing.justification,
        approvers=_approvers(one, around),
        created_at=millis(one.created_at),
        updated_at=_updated_at(one, grant),
        status=status,
        overall_status=status,
        valid_for=length,
        valid_for_in_days=in_days,
        time_to_approve=minutes,
        expiration_time_for_approve_request=millis(deadline),
        expiration_time_approval=_ends_at(grant),
        action_by=(around.account(one.closed_by) or SYSTEM) if decided else UNSET,
        approver_comment=(one.closing_note or "") if decided else UNSET,
        multilevel_approval_support=len(one.route.steps) > 1,
        tracking_id=filing.tracking or "",
        high_risk=_high_risk(target, outer),
        context=UNSET if consumer is Consumer.SECRETS else _context(one, consumer, target, outer, tenant_url),
    )


def status_of(one: Request, grant: Grant | None, at: datetime) -> Status:
    """Say how it stands: access that was given may have run out, or been taken back.

    An approval that could give nothing, because what was asked for is gone, counts as cancelled. Source: contract §3.
    """
    shown = one.shown_at(at)
    if shown is Outcome.APPROVED:
        if grant is None:
            return "CANCELLED"
        match grant.state_at(at):
            case State.REVOKED:
                return "REVOKED"
            case State.EXPIRED:
                return "TIMEOUT"
            case State.ACTIVE:
                pass
    return _STATUSES[shown]


def consumer_of(filing: Filing) -> Consumer:
    """Say which part of Britive it would come from. Source: contract §2; design §6, last paragraph."""
    target = filing.target
    if target is None or target.own_type == ENVIRONMENT:
        return Consumer.ACCESS
    if target.own_type == SECRET:
        return Consumer.SECRETS
    return Consumer.RESOURCES if target.within is not None else Consumer.ACCESS


def resource(filing: Filing) -> str:
    assert filing.target is not None, "a request for access is about something"
    own = filing.target.external_id or filing.target.id
    return f"{filing.target.within}/{own}" if filing.target.within is not None else own


def goes_by(one: Resource) -> str:
    """Name a resource as paths and `resource` do."""
    return one.external_id or str(one.id)


def app_and_profile(outer: Resource) -> tuple[str, str]:
    """Name the application of a profile, and the profile in it: `Billing:Admin` unless its attributes say more."""
    app, colon, profile = outer.name.partition(":")
    attributes = outer.attributes
    return str(attributes.get("appName") or app), str(attributes.get("profileName") or (profile if colon else app))


def millis(at: datetime) -> str:
    """Write a moment with exactly three digits of its second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _resource_name(filing: Filing, consumer: Consumer) -> str:
    target = filing.target
    assert target is not None, "a request for access is about something"
    if consumer is Consumer.ACCESS and target.within_name is not None:
        return target.within_name
    return target.name


def _approvers(one: Request, around: Around) -> ApproversShown:
    users: set[str] = set()
    tags: set[str] = set()
    for leaf in leaves_of(one):
        name = _named(leaf, one, around)
        if name is not None:
            (tags if leaf.kind in (Kind.GROUP, Kind.ROLE) else users).add(name)
    return ApproversShown(sorted(users), sorted(tags) if tags else UNSET)


def _named(leaf: Leaf, one: Request, around: Around) -> str | None:
    """Name who a leaf stands for. None: holders of a permission, for whom Britive has no place; no owner of a thing."""
    match leaf.kind:
        case Kind.USER | Kind.SERVICE:
            return around.account(_id(leaf.value))
        case Kind.GROUP | Kind.ROLE:
            return around.names.sets.get(_id(leaf.value), leaf.value)
        case Kind.MANAGER:
            managed = leaf.managed(one.beneficiary)
            return around.account(around.managers.get(managed)) if managed else None
        case Kind.HOLDER | Kind.OWNER:
            return None


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def _time_to_approve(one: Request) -> tuple[int, datetime]:
    """Give the minutes the current level may take, counted from the start, and when they are over.

    What may take for ever is shown with the longest time there is: Britive cannot say "never".
    """
    ends = [one.due_by, one.current.due_at if one.walk else None]
    deadline = min((end for end in ends if end is not None), default=None)
    if deadline is None:
        return MOST_MINUTES, one.created_at + timedelta(minutes=MOST_MINUTES)
    return max(1, round((deadline - one.created_at) / timedelta(minutes=1))), deadline


def _valid_for(duration: Duration | None) -> tuple[int, bool]:
    """Give how long access lasts, and whether that is in days; else it is in minutes. Without an end: a year."""
    if duration is None:
        return MOST_DAYS, True
    if duration.unit == "days":
        return duration.value, True
    return ceil(span(duration) / timedelta(minutes=1)), False


def _updated_at(one: Request, grant: Grant | None) -> str | UnsetType:
    if one.closed_at is None or one.status is Outcome.EXPIRED:
        return UNSET
    return millis(grant.revoked_at if grant is not None and grant.revoked_at is not None else one.closed_at)


def _ends_at(grant: Grant | None) -> str | UnsetType:
    return UNSET if grant is None or grant.ends_at is None else millis(grant.ends_at)


def _high_risk(*things: Resource | None) -> bool | None:
    said = next((one.attributes["highRisk"] for one in things if one and "highRisk" in one.attributes), None)
    return said if isinstance(said, bool) else None


def _context(
    one: Request, consumer: Consumer, target: Resource | None, outer: Resource | None, tenant_url: str
) -> dict[str, str]:
    """Say what it is about, in strings alone."""
    filing = one.filing
    assert filing.target is not None, "a request for access is about something"
    profile = outer or target
    app, name = app_and_profile(profile) if profile else ("", filing.target.name)
    attributes: Mapping[str, Any] = profile.attributes if profile else {}
    said = {
        "profileName": name,
        "profileId": filing.target.within or (goes_by(profile) if profile else filing.target.id),
        "justification": filing.justification or "",
        "userId": str(filing.requester or ""),
    }
    if consumer is Consumer.RESOURCES:
        return said | {
            "permissionId": str(attributes.get("permissionId") or ""),
            "permissionName": str(attributes.get("permissionName") or ""),
            "permissionVersion": str(attributes.get("permissionVersion") or ""),
            "resourceId": filing.target.external_id or filing.target.id,
            "resourceName": filing.target.name,
            "resourceType": filing.target.own_type or filing.target.type,
        }
    return said | {
        "appName": app,
        "appId": str(attributes.get("appId") or app),
        "envId": filing.target.external_id or filing.target.id,
        "tenantUrl": tenant_url,
        "iconUrl": str(attributes.get("iconUrl") or ""),
        "highRisk": "true" if _high_risk(target, outer) else "false",
    }
