"""What callers send: who they are, the queries, the bodies, the ids. Source: Britive contract §1, §2, §5."""

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from uuid import UUID

from msgspec import Meta, Struct
from starlette.responses import Response

from quorate.app.actor import Actor, NotSignedIn, OtherTenant
from quorate.app.cursors import BadCursor
from quorate.domain import refusals as no
from quorate.domain.permissions import ACT_FOR
from quorate.surfaces.britive.services import SURFACE, Call, Services
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.signin import LONGEST_CREDENTIAL
from quorate.surfaces.http.surface import Handler

SCHEMES: Final = ("token", "bearer", "workloadtoken")
SUFFIX: Final = "britive-app.com"
REQUEST_TYPE: Final = r"^\s*(myApprovals|myRequests)\s*$"
RequestType = Annotated[str, Meta(pattern=REQUEST_TYPE)]
Comment = Annotated[str, Meta(max_length=4000)]


class Getting(Struct, frozen=True, kw_only=True, rename="camel"):
    """The query of one approval."""

    request_type: RequestType | None = None


class Listing(Getting, frozen=True, kw_only=True, rename="camel"):
    """The query of the list. Without `requestType` it is of all there are, which takes a permission."""

    filter: Annotated[str, Meta(max_length=2000)] | None = None
    consumer: Annotated[str, Meta(max_length=255)] | None = None
    active_status: Literal["all", "active", "inactive"] = "all"
    created_within_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None
    page_token: Annotated[str, Meta(max_length=2048)] | None = None


class Deciding(Struct, frozen=True, kw_only=True, rename="camel"):
    """The query of a decision, or of taking back what one gave."""

    approve_request: Literal["yes", "no", "revoke"]
    kill_session: bool = True


class Decision(Struct, frozen=True, rename="camel"):
    approver_comment: Comment | None = None


class Revocation(Struct, frozen=True, rename="camel"):
    """What is to be taken back, and why."""

    approvals: Annotated[list[str], Meta(min_length=1, max_length=100)]
    revoker_comment: Annotated[str, Meta(min_length=1, max_length=255)]
    kill_session: bool = True


class Withdrawal(Struct, frozen=True, kw_only=True, rename="camel"):
    """The query of a withdrawal by what was asked for: `{profileId}/{environmentId}`."""

    resource_id: Annotated[str, Meta(max_length=4096)]


class Asking(Struct, frozen=True, rename="camel"):
    justification: Comment | None = None
    ticket_id: Annotated[str, Meta(max_length=255)] | None = None
    ticket_type: Annotated[str, Meta(max_length=255)] | None = None


class StepUp(Struct, frozen=True):
    """What is shown: a code; of a security key, the JSON text of what it signed, or nothing to be asked to sign."""

    otp: Annotated[str, Meta(max_length=20_000)] | None = None


async def sign_in(http: Call) -> Actor:
    """Sign in by any of the three schemes; the SDK chooses one by the look of the credential, and so do others.

    Raises:
        NotSignedIn: before all else.
        OtherTenant: the sub-domain that was called names another tenant.
        NotPermitted: the call is for somebody else, and the caller is no program that may call so.
    """
    credential = _credential(http)
    actor = await http.services.credentials.actor(credential, surface=SURFACE, address=http.address)
    named = {label for header in ("host", "x-forwarded-host") if (label := subdomain(http.headers.get(header, "")))}
    if named and named != {await http.services.tenants.slug(actor.tenant)}:
        raise OtherTenant
    if _named(http) and not (actor.is_service and actor.may(ACT_FOR)):
        raise no.NotPermitted(ACT_FOR)
    return actor


async def acting_for(http: Call) -> UUID | None:
    """Read for whom a program calls: a login, or a credential of theirs. None: for itself.

    Raises: NotPermitted: nobody in this tenant is meant.
    """
    named = _named(http)
    if not named:
        return None
    scheme, _, credential = named.partition(" ")
    if scheme.lower() in SCHEMES and credential.strip():
        try:
            them = await http.services.credentials.actor(credential.strip(), surface=SURFACE, address=http.address)
        except NotSignedIn:
            raise no.NotPermitted(ACT_FOR) from None
        found = them.principal if them.tenant == http.actor.tenant else None
    else:
        found = await http.services.tenants.user(http.actor.tenant, named)
    if found is None:
        raise no.NotPermitted(ACT_FOR)
    return found


def for_oneself(handler: Handler[Services]) -> Handler[Services]:
    """Let nobody do this for somebody else. Raises: NotPermitted."""

    async def alone(http: Call) -> Response:
        if _named(http):
            raise no.NotPermitted(ACT_FOR)
        return await handler(http)

    return alone


def _named(http: Call) -> str:
    return http.headers.get("x-on-behalf-of", "").strip()


def _credential(http: Call) -> str:
    given = http.headers.getlist("authorization")
    if len(given) != 1:
        raise NotSignedIn
    scheme, _, credential = given[0].partition(" ")
    credential = credential.strip()
    if scheme.lower() not in SCHEMES or not credential.isascii() or not 0 < len(credential) <= LONGEST_CREDENTIAL:
        raise NotSignedIn
    return credential


def subdomain(host: str) -> str | None:
    """Read which tenant a host names: `acme` of `acme.britive-app.com` and of `acme.lab-britive-app.com`."""
    try:
        name = urlsplit(f"//{host.split(',')[0].strip()}").hostname or ""
    except ValueError:
        return None
    label, dot, _ = name.removesuffix(SUFFIX).partition(".")
    return label if dot and name.endswith(SUFFIX) else None


def id_of(http: Call) -> UUID:
    """Read the id in the path. What is no id names nothing. Raises: NoSuchRequest."""
    return request_id(http.path["id"])


def request_id(text: str) -> UUID:
    try:
        if len(text) != 36:
            raise ValueError
        return UUID(text)
    except ValueError:
        raise no.NoSuchRequest(text) from None


def request_type(text: str) -> str:
    """Read what kind of list is meant, where it stands in the path. Raises: BadInput."""
    if re.search(REQUEST_TYPE, text) is None:
        raise BadInput.at("requestType", "must be myApprovals or myRequests")
    return text


def place(http: Call, wanted: Listing, person: UUID | None) -> Any:
    """Open a page token: None on the first page. Raises: BadInput."""
    if wanted.page_token is None:
        return None
    try:
        return http.services.cursors.take(http.actor, question(wanted, person), wanted.page_token, datetime, UUID)
    except BadCursor:
        raise BadInput.at("pageToken", "is not a token that this list gave out to you") from None


def question(wanted: Listing, person: UUID | None) -> str:
    """Say what a list was asked for, and for whom: a page token is good for this question alone."""
    kind = wanted.request_type.strip() if wanted.request_type else None
    asked = (person, kind, wanted.filter, wanted.consumer, wanted.active_status, wanted.created_within_days)
    return f"britive approvals {asked!r}"
