"""Signing in over OpenID Connect, and who is asked. Source: JITSudo contract b.1, b.8.

A browser begins at `login`, signs in at its provider, and comes back to `callback`, which answers the JWT. Between the
two it keeps a cookie, so that nobody can finish what somebody else began. No call is signed in by it.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from starlette.responses import Response

from quorate.app.gate import Whence
from quorate.app.oidc.flow import LIFE
from quorate.app.oidc.providers import USUAL, Provider, ProviderDraft
from quorate.app.signin import InvalidCredentials
from quorate.surfaces.http.answering import answer, moment
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.http.signin import named_tenant
from quorate.surfaces.jitsudo import shown
from quorate.surfaces.jitsudo.reading import Arrival, Departure, OidcSettings
from quorate.surfaces.jitsudo.services import SURFACE, Call
from quorate.surfaces.jitsudo.shown import Listed

LOGIN: Final = "/v1/auth/login"
CALLBACK: Final = "/v1/auth/callback"
COOKIE: Final = "__Host-quorate-sign-in"
_KEPT: Final = "Path=/; Secure; HttpOnly; SameSite=Lax"
# What is on its way to a provider or back stays out of caches, and out of what browsers say of where they were.
_PRIVATE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_LONGEST_COOKIE: Final = 4096


class ProviderOffered(Struct, frozen=True):
    """Where one can sign in: a browser begins at `login_url`."""

    type: Literal["oidc"]
    issuer_url: str
    login_url: str


class OidcShown(Struct, frozen=True):
    """Who says who somebody is. The client's secret is shown to nobody."""

    issuer_url: str
    client_id: str
    scopes: list[str]
    created_at: shown.Moment
    updated_at: shown.Moment


class TokenShown(Struct, frozen=True):
    """A JWT for `Authorization: Bearer`, good for `expires_in` seconds."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Meta(ge=1)]
    tenant_id: shown.Id
    user_id: shown.Id


async def providers(http: Call) -> Response:
    """Say where the people of a tenant sign in. A tenant that is not there has nothing to offer either."""
    tenant = named_tenant(http)
    if tenant is None:
        raise BadInput.at("X-Tenant-ID", "is required")

    found = await http.services.provider_signin.offered(tenant)

    offered = [ProviderOffered("oidc", found.issuer, f"{http.origin}{LOGIN}?tenant_id={tenant}")] if found else []
    return answer(Listed(offered, None, has_more=False))


async def login(http: Call) -> Response:
    asked = query(http, Departure)

    begun = await http.services.provider_signin.begin(asked.tenant_id, f"{http.origin}{CALLBACK}", address=http.address)

    life_s = int(LIFE.total_seconds())
    cookie = f"{COOKIE}={begun.kept}; Max-Age={life_s}; {_KEPT}"
    return Response(status_code=302, headers={"Location": begun.url, "Set-Cookie": cookie, **_PRIVATE})


async def callback(http: Call) -> Response:
    came = query(http, Arrival)

    opened = await http.services.provider_signin.finish(
        _kept(http),
        came.state,
        None if came.error else came.code,
        issuer=came.iss,
        origin=Whence(http.address, SURFACE, http.agent),
    )

    made = TokenShown(
        access_token=opened.access.token,
        token_type="Bearer",  # noqa: S106  # A word of the protocol.
        expires_in=opened.access.expires_in_s,
        tenant_id=str(opened.account.tenant),
        user_id=str(opened.account.id),
    )
    return answer(made, headers={"Set-Cookie": f"{COOKIE}=; Max-Age=0; {_KEPT}", **_PRIVATE})


async def put(http: Call) -> Response:
    asked = await body(http, OidcSettings)

    settled = await http.services.providers.put(
        http.actor,
        ProviderDraft(
            issuer=asked.issuer_url,
            client_id=asked.client_id,
            client_secret=asked.client_secret,
            scopes=asked.scopes or USUAL,
        ),
    )

    return answer(_shown(settled))


def _shown(provider: Provider) -> OidcShown:
    return OidcShown(
        issuer_url=provider.issuer,
        client_id=provider.client_id,
        scopes=list(provider.scopes),
        created_at=moment(provider.created_at),
        updated_at=moment(provider.updated_at),
    )


def _kept(http: Call) -> str | None:
    """Read what the browser kept; of several cookies by this name, none. Raises: InvalidCredentials: it is too long."""
    pairs = (pair.strip().partition("=") for header in http.headers.getlist("cookie") for pair in header.split(";"))
    found = [value for name, _, value in pairs if name == COOKIE]
    if any(len(value) > _LONGEST_COOKIE for value in found):
        raise InvalidCredentials
    return found[0] if len(found) == 1 else None
