"""Signing in and out, and who is at the other end.

Source: Fortanix contract §1, §2 (`/sys/v1/session/…`, `health`, `version`), §7 rows 12 and 13.
"""

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace
from starlette.responses import Response

from quorate import __version__
from quorate.app.actor import Actor, NotSignedIn
from quorate.app.cases import UseCases
from quorate.app.evidence import ToSign
from quorate.app.sessions import Opened
from quorate.surfaces.fortanix.factors import MfaChallenge, U2fKey, options, text, u2f_keys
from quorate.surfaces.fortanix.reading import Account, SignIn, as_service, basic
from quorate.surfaces.fortanix.shown import Id
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body
from quorate.surfaces.http.signin import LONGEST_CREDENTIAL, bearer, demand_tenant, named_tenant

SURFACE: Final = "fortanix"
_NOT_KEPT: Final = {"Cache-Control": "no-store"}


class MfaDevice(Struct, frozen=True):
    """A security key, by its own id."""

    name: str
    type: Literal["Fido2"] = "Fido2"


class Fido2Method(Struct, frozen=True):
    challenge: MfaChallenge
    challenge_token: str
    mfa_devices: list[MfaDevice]


class U2fChallenge(Struct, frozen=True):
    """The key's challenge once more, as clients wrote it before FIDO2; what a key answers goes to `2fa/fido2`."""

    u2f_challenge: str
    u2f_keys: list[U2fKey]


class AuthResponse(Struct, frozen=True):
    """A session. `expires_in` is in seconds. With methods for a second factor, it waits for one."""

    token_type: Literal["Bearer"]
    expires_in: int
    access_token: str
    entity_id: Id
    fido2_assertion_options: MfaChallenge | UnsetType = UNSET
    allowed_mfa_methods: list[dict[Literal["Fido2"], Fido2Method]] | UnsetType = UNSET
    challenge: U2fChallenge | UnsetType = UNSET


class SelectAccount(Struct, frozen=True):
    cookie: None = None


class Version(Struct, frozen=True):
    version: str
    api_version: Annotated[str, Meta(examples=["v1"])]
    server_mode: Literal["Software"]
    fips_level: int | UnsetType = UNSET


async def sign_in(http: Http[UseCases]) -> Actor:
    """Find who calls: by `Bearer`, or by `Basic` with a program's API key. A login and password open a session only.

    Raises: NotSignedIn; OtherTenant: X-Tenant-ID, which nobody need send, names another.
    """
    credentials = http.services.credentials
    given = http.headers.getlist("authorization")
    if len(given) == 1 and given[0][:6].lower() == "basic ":
        name, secret = _basic(given[0])
        service = as_service(name)
        if service is None:
            raise NotSignedIn
        actor = await credentials.program(service, secret, surface=SURFACE, address=http.address)
    else:
        actor = await credentials.actor(bearer(http), surface=SURFACE, address=http.address)
    demand_tenant(http, actor)
    return actor


async def auth(http: Http[UseCases]) -> Response:
    asked = await body(http, SignIn, optional=True)
    if asked.token_type != "Bearer":  # noqa: S105  # A word of the protocol.
        raise BadInput.at("token_type", "must be Bearer")

    match asked.method:
        case "password":
            opened = await _by_password(http, _given(asked.email, "email"), _given(asked.password, "password"))
        case "auth-by-app-name":
            tenant, name = _given(asked.acct_id, "acct_id"), _given(asked.name, "name")
            secret = _given(asked.password, "password")
            opened = await http.services.sessions.by_name(tenant, name, secret, address=http.address)
        case None:
            opened = await _by_header(http)

    return answer(_session(opened), headers=_NOT_KEPT)


async def reauth(http: Http[UseCases]) -> Response:
    opened = await http.services.sessions.again(http.actor)

    return answer(_session(opened), headers=_NOT_KEPT)


async def refresh(http: Http[UseCases]) -> Response:
    await http.services.sessions.prolong(http.actor)

    return Response(status_code=204)


async def terminate(http: Http[UseCases]) -> Response:
    await http.services.sessions.end(http.telling_actor)

    return Response(status_code=204)


async def select_account(http: Http[UseCases]) -> Response:
    """A session has its one account from the start, so there is nothing to select but that (§7, row 13)."""
    asked = await body(http, Account)
    if asked.acct_id != http.actor.tenant:
        raise BadInput.at("acct_id", "is no account of yours")

    return answer(SelectAccount())


async def health(_: Http[UseCases]) -> Response:
    return Response(status_code=204)


async def version(_: Http[UseCases]) -> Response:
    return answer(Version(__version__, "v1", "Software"))


async def _by_header(http: Http[UseCases]) -> Opened:
    given = http.headers.getlist("authorization")
    if len(given) != 1:
        raise NotSignedIn
    name, secret = _basic(given[0])
    service = as_service(name)
    if service is not None:
        return await http.services.sessions.by_secret(service, secret, address=http.address)
    return await _by_password(http, name, secret)


async def _by_password(http: Http[UseCases], login: str, password: str) -> Opened:
    return await http.services.sessions.by_password(
        named_tenant(http), login, password, address=http.address, surface=SURFACE, agent=http.agent
    )


def _basic(header: str) -> tuple[str, str]:
    parts = basic(header) if len(header) <= LONGEST_CREDENTIAL else None
    if parts is None or not all(parts):
        raise NotSignedIn
    return parts


def _given(value: Any, name: str) -> Any:
    if value is None:
        raise BadInput.at(name, "is required")
    return value


def _session(opened: Opened) -> AuthResponse:
    session = AuthResponse("Bearer", opened.expires_in_s, opened.token, str(opened.account))
    if not opened.awaits_factor:
        return session
    if opened.to_sign is None or not opened.to_sign.key_ids:
        return replace(session, allowed_mfa_methods=[])  # One-time codes, which this API has no place for.
    asked = options(opened.to_sign)
    devices = [MfaDevice(key.id) for key in asked.allow_credentials or []]
    method = Fido2Method(asked, str(asked.challenge), devices)
    old = _as_u2f(opened.to_sign) if opened.to_sign.takes_u2f else UNSET
    return replace(session, fido2_assertion_options=asked, allowed_mfa_methods=[{"Fido2": method}], challenge=old)


def _as_u2f(asked: ToSign) -> U2fChallenge:
    return U2fChallenge(text(asked.challenge), u2f_keys(asked))
