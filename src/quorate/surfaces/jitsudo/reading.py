"""What callers send: who they are, the bodies, the queries, the cursors.

Source: JITSudo contract b.1, b.3, b.5–b.7; (d) 6–9, 12, 22, 23, 30, 31.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from quorate.app.actor import Actor
from quorate.app.cursors import BadCursor
from quorate.app.tenants import Naming
from quorate.domain import refusals as no
from quorate.domain.events import Outcome
from quorate.domain.grants import State
from quorate.domain.permissions import REQUEST_APPROVE
from quorate.domain.policy import MAX_DURATION_S, MAX_PRIORITY, MAX_TIMEOUT_S, Effect, Mode
from quorate.domain.refusals import Refusal
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.signin import by_key_or_bearer
from quorate.surfaces.jitsudo.services import SURFACE, Call

Word = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
ResourceId = Annotated[str, Meta(min_length=1, max_length=2048, pattern=r"\S")]
Reason = Annotated[str, Meta(max_length=4000)]
Content = Annotated[str, Meta(min_length=1, max_length=4000, pattern=r"\S")]
Seconds = Annotated[int, Meta(ge=1, le=MAX_DURATION_S)]
Timeout = Annotated[int, Meta(ge=1, le=MAX_TIMEOUT_S)]
Priority = Annotated[int, Meta(ge=-MAX_PRIORITY, le=MAX_PRIORITY)]
Cedar = Annotated[str, Meta(max_length=65_536)]
Ordinal = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Scope = Literal["any", "eq", "in", "is", "is_in"]
ChannelEvent = Literal[
    "request.pending",
    "request.approved",
    "request.denied",
    "request.expired",
    "grant.active",
    "grant.expired",
    "grant.revoked",
]

TENANT: Final = {"X-Tenant-ID": "the tenant that the credential belongs to"}
_KEY: Final = "api_key:"
_FORMATS: Final = {
    "aws_account": re.compile(r"[0-9]{12}"),
    "aws_ec2_instance": re.compile(r"i-.+"),
    "aws_organizational_unit": re.compile(r"ou-.+"),
    "aws_permission_set": re.compile(r"arn:.+"),
    "aws_rds_instance": re.compile(r"arn:.+"),
}
"""What ids of these types must look like where the tenant wants it so. Source: (d) 23."""


class Resource(Struct, frozen=True):
    """What access is asked for: its type, and the id it has there."""

    type: Word
    id: ResourceId


class NewRequest(Struct, frozen=True):
    """A request for access. Without `duration_seconds` it lasts as long as the policy says, or the tenant."""

    resource: Resource
    action: Word
    reason: Reason | None = None
    duration_seconds: Seconds | None = None
    break_glass: bool | None = None
    metadata: dict[str, Any] | None = None


class Decision(Struct, frozen=True):
    """Why it is approved or denied."""

    reasoning: Reason | None = None


class NewMessage(Struct, frozen=True):
    """Something to say about a request."""

    content: Content
    metadata: dict[str, Any] | None = None


class Entitlement(Struct, frozen=True):
    """A permission set (`role`) in an account: `AWS::Account::{account_id}`."""

    target: Annotated[str, Meta(max_length=2048, pattern=r"^AWS::Account::\S+$")]
    role: Word
    duration_seconds: Seconds | None = None


class Justification(Struct, frozen=True):
    reason: Reason | None = None
    attachments: Annotated[list[Reason], Meta(max_length=20)] = []


class Ensuring(Struct, frozen=True):
    """What the caller needs now. `dry_run`: only say what would happen."""

    entitlements: Annotated[list[Entitlement], Meta(min_length=1, max_length=20)]
    justification: Justification | None = None
    dry_run: bool | None = None


class NewPolicy(Struct, frozen=True):
    """A policy to make, and its rules as Cedar text. Higher priorities go first."""

    name: Word
    max_duration_seconds: Seconds
    description: Reason | None = None
    enabled: bool = True
    priority: Priority = 0
    default_duration_seconds: Seconds | None = None
    notification_channel: Word | None = None
    cedar_policy_set: Cedar | None = None
    approval_mode: Mode = Mode.REQUIRE
    approval_timeout_seconds: Timeout | None = None


class ChangedPolicy(Struct, frozen=True):
    """What shall change in a policy; what is not said stays."""

    name: Word | UnsetType = UNSET
    description: Reason | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    max_duration_seconds: Seconds | UnsetType = UNSET
    default_duration_seconds: Seconds | UnsetType | None = UNSET
    notification_channel: Word | UnsetType | None = UNSET
    approval_mode: Mode | UnsetType = UNSET
    approval_timeout_seconds: Timeout | UnsetType | None = UNSET


class NewRule(Struct, frozen=True):
    """A rule to add: one Cedar statement, which wins, or its parts.

    The id of `is_in` is what it is in: an entity such as `Group::"ops"`, or the id of a group or resource alone.
    """

    policy_text: Cedar | None = None
    effect: Effect | None = None
    principal_scope_type: Scope = "any"
    principal_entity_type: Word | None = None
    principal_entity_id: ResourceId | None = None
    action_scope_type: Literal["any", "eq", "in"] = "any"
    action_ids: Annotated[list[Word], Meta(max_length=20)] | None = None
    resource_scope_type: Scope = "any"
    resource_entity_type: Word | None = None
    resource_entity_id: ResourceId | None = None
    conditions: Cedar | None = None
    ordinal: Ordinal | None = None
    notice: Annotated[str, Meta(max_length=1000)] | None = None
    audit_session: bool | None = None
    approval_mode: Mode | None = None
    approval_timeout_seconds: Timeout | None = None


class Evaluation(Struct, frozen=True):
    """May this principal do this to that? `resource` is `type:id`."""

    principal: Word
    resource: Annotated[str, Meta(max_length=2048, pattern=r"^[^:\s]+:.*\S")]
    action: Word
    groups: Annotated[list[Word], Meta(max_length=100)] | None = None


class NewKey(Struct, frozen=True):
    """An API key to make, and what it may do."""

    name: Word
    permissions: Annotated[tuple[Word, ...], Meta(max_length=50)] = (REQUEST_APPROVE,)


class NewChannel(Struct, frozen=True):
    """A webhook to make. `event_filters`: what it shall be told; none: all of these. `headers` must be empty."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
    url: Annotated[str, Meta(min_length=1, max_length=2000)]
    headers: dict[str, str] | None = None
    enabled: bool = True
    event_filters: Annotated[tuple[ChannelEvent, ...], Meta(max_length=50)] | None = None


class OidcSettings(Struct, frozen=True):
    """Who shall say who somebody is. Without `client_secret` the one there is stays; null removes it."""

    issuer_url: Annotated[str, Meta(min_length=1, max_length=2000)]
    client_id: Annotated[str, Meta(min_length=1, max_length=255)]
    client_secret: Annotated[str, Meta(min_length=1, max_length=2000)] | UnsetType | None = UNSET
    scopes: Annotated[tuple[Word, ...], Meta(max_length=20)] | None = None


class NewTenant(Struct, frozen=True):
    """A tenant to make, and who looks after it. `locale` and `sso_…` are kept; nothing here uses them."""

    name: Word
    slug: Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    owner_email: Annotated[str, Meta(max_length=255, pattern=r"^[^@\s]+@[^@\s]+$")]
    owner_name: Word | None = None
    locale: Word | None = None
    sso_start_url: Annotated[str, Meta(max_length=2000, pattern=r"^https?://[^\s/@]+(/\S*)?$")] | None = None
    sso_region: Word | None = None


class Departure(Struct, frozen=True):
    """Whose provider a browser wants to sign in at: it cannot send a header."""

    tenant_id: UUID


class Arrival(Struct, frozen=True):
    """What a browser brings back from a provider. `error`: the provider has refused; `iss`: who says so."""

    state: Annotated[str, Meta(min_length=1, max_length=255)]
    code: Annotated[str, Meta(max_length=4000)] | None = None
    error: Annotated[str, Meta(max_length=255)] | None = None
    iss: Annotated[str, Meta(max_length=2000)] | None = None


class Listing(Struct, frozen=True, kw_only=True):
    """The query of every list."""

    limit: Annotated[int, Meta(ge=1, le=250)] = 50
    cursor: Annotated[str, Meta(max_length=2048)] | None = None


class RequestListing(Listing, frozen=True, kw_only=True):
    status: Literal["pending", "approved", "denied", "expired", "cancelled"] | None = None
    requester_id: Word | None = None

    @property
    def outcome(self) -> Outcome | None:
        return Outcome("rejected" if self.status == "denied" else self.status) if self.status else None


class GrantListing(Listing, frozen=True, kw_only=True):
    status: State | None = None
    grantee_id: Word | None = None


class AuditListing(Listing, frozen=True, kw_only=True, rename={"from_": "from"}):
    actor_id: Word | None = None
    resource_type: Word | None = None
    resource_id: Word | None = None
    action: Word | None = None
    from_: Annotated[datetime, Meta(tz=True)] | None = None
    to: Annotated[datetime, Meta(tz=True)] | None = None


async def sign_in(http: Call) -> Actor:
    """Sign in by `Authorization: Bearer` or `X-API-Key`; the tenant header must be there and agree."""
    return await by_key_or_bearer(http, SURFACE, key="X-API-Key")


def id_of(http: Call, name: str = "id", absent: Callable[[str], Refusal] = no.NoSuchRequest) -> UUID:
    """Read the id in the path. What is no id names nothing: raises what `absent` makes. Source: (d) 7."""
    text = http.path[name]
    try:
        if len(text) != 36:
            raise ValueError
        return UUID(text)
    except ValueError:
        raise absent(text) from None


def demand_named(naming: Naming, type: str, id: str, field: str = "resource") -> None:
    """Hold a resource against how the tenant names them. Raises: BadInput."""
    if type not in naming.types:
        raise BadInput.at(f"{field}.type", "must be one of " + ", ".join(naming.types))
    if naming.is_strict and type in _FORMATS and not _FORMATS[type].fullmatch(id):
        raise BadInput.at(f"{field}.id", f"is no id of the type {type}")


async def account(http: Call, written: str) -> UUID | None:
    """Read who is meant by an id as we show it: an account's, or `api_key:<key id>`. None: nobody."""
    try:
        id = UUID(written.removeprefix(_KEY))
    except ValueError:
        return None
    return await http.services.keys.holder(http.actor, id) if written.startswith(_KEY) else id


def key_meant(written: str) -> UUID | None:
    """Read the key that `api_key:<key id>` means; None where something else is meant."""
    if not written.startswith(_KEY):
        return None
    try:
        return UUID(written.removeprefix(_KEY))
    except ValueError:
        return UUID(int=0)


def place(http: Call, wanted: Listing, of: str, *kinds: type[Any]) -> Any:
    """Open the cursor of a query for a list; None on the first page. Raises: BadInput."""
    if wanted.cursor is None:
        return None
    try:
        return http.services.cursors.take(http.actor, of, wanted.cursor, *kinds)
    except BadCursor:
        raise BadInput.at("cursor", "is not a cursor that this list gave out to you") from None
