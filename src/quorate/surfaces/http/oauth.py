"""`/oauth/token` and the public keys: one small surface for all who speak OAuth 2.0.

RFC 6749 §4.4 (client credentials), answered with the keys all vendors' clients look for; errors as §5.2.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_plus

import msgspec
from starlette.responses import Response

from quorate.app.limits import TooOften
from quorate.app.signin import InvalidClient, InvalidScope, SignIn
from quorate.app.tokens import Tokens
from quorate.domain.refusals import Refusal
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.problems import (
    BadInput,
    InternalError,
    NoSuchPath,
    Problem,
    TooLarge,
    TryAgain,
    WrongMethod,
)
from quorate.surfaces.http.reading import form
from quorate.surfaces.http.surface import Route, Surface, Who

# Neither the token nor what was wrong with the secret may stay in a cache (RFC 6749 §5.1).
_NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_LONGEST = 512  # characters of a client id or a secret


class TokenRequest(msgspec.Struct, frozen=True):
    """The form."""

    grant_type: str = ""
    client_id: str = ""
    client_secret: str = ""
    scope: str = ""


class TokenAnswer(msgspec.Struct, frozen=True):
    """A token, and what the vendors' clients read beside it."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int
    scope: str
    tenant_id: str
    org: str
    pod: str
    jti: str
    identity_id: str | msgspec.UnsetType = msgspec.UNSET  # Whom it acts as, where that is a person.


class OAuthError(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as RFC 6749 §5.2 spells it."""

    error: str
    error_description: str = ""


@dataclass(frozen=True, slots=True)
class Services:
    """What the surface needs. `pod` is what SailPoint's clients call the region."""

    signin: SignIn
    tokens: Tokens
    pod: str


@dataclass(eq=False)
class UnsupportedGrant(Problem):
    """Only client credentials are exchanged here."""


def surface(services: Services) -> Surface[Services]:
    """Make the surface."""
    return Surface(
        "oauth",
        [
            Route(
                method="POST",
                path="/oauth/token",
                handler=token,
                summary="Exchange client credentials for an access token",
                who=Who.ANYONE,
                body=TokenRequest,
                body_is_form=True,
                answer=TokenAnswer,
                errors=(400, 401, 429),
            ),
            Route(
                method="GET",
                path="/.well-known/jwks.json",
                handler=jwks,
                summary="The public keys that verify our tokens",
                who=Who.ANYONE,
            ),
        ],
        services=services,
        words=words,
        prefixes=("/oauth/token", "/.well-known/jwks.json$"),
        title="Tokens",
        error=OAuthError,
    )


async def token(http: Http[Services]) -> Response:
    asked = await form(http, TokenRequest)
    if not asked.grant_type:
        raise BadInput.at("grant_type", "is required")
    if asked.grant_type != "client_credentials":
        raise UnsupportedGrant
    client_id, secret = _client(http, asked)

    given = await http.services.signin.client(client_id, secret, asked.scope, address=http.address)

    made = TokenAnswer(
        access_token=given.access.token,
        token_type="bearer",  # noqa: S106  # A word of the protocol.
        expires_in=given.access.expires_in_s,
        scope=" ".join(given.scope),
        tenant_id=str(given.tenant),
        org=given.slug,
        pod=http.services.pod,
        jti=given.access.id,
        identity_id=str(given.user) if given.user else msgspec.UNSET,
    )
    return answer(made, headers=_NOT_KEPT)


async def jwks(http: Http[Services]) -> Response:
    return answer(http.services.tokens.jwks(), headers={"Cache-Control": "public, max-age=300"})


def words(no: Problem | Refusal) -> Response:
    match no:
        case InvalidClient():
            return _error(401, "invalid_client", {"WWW-Authenticate": 'Basic realm="quorate"'})
        case InvalidScope():
            return _error(400, "invalid_scope")
        case UnsupportedGrant():
            return _error(400, "unsupported_grant_type")
        case TooOften():
            return _error(429, "temporarily_unavailable")
        case TooLarge():
            return _error(413, "invalid_request")
        case BadInput(details):
            return _error(
                400, "invalid_request", text="; ".join(f"{one.field or 'body'} {one.message}" for one in details)
            )
        case NoSuchPath():
            return _error(404, "not_found")
        case WrongMethod():
            return _error(405, "invalid_request")
        case TryAgain():
            return _error(503, "temporarily_unavailable")
        case InternalError():
            return _error(500, "server_error")
        case _:
            return _error(400, "invalid_request")


def _client(http: Http[Any], asked: TokenRequest) -> tuple[str, str]:
    """Find the client's id and secret: HTTP Basic, or the form. Both at once is an error (RFC 6749 §2.3)."""
    header = http.headers.get("authorization")
    if header is None:
        client_id, secret = asked.client_id, asked.client_secret
    else:
        if asked.client_secret:
            raise BadInput.at("client_secret", "was given twice, in the header and in the body")
        client_id, secret = _basic(header)
        if asked.client_id and asked.client_id != client_id:
            raise BadInput.at("client_id", "differs from the header's")
    if not client_id or not secret or len(client_id) > _LONGEST or len(secret) > _LONGEST:
        raise InvalidClient
    return client_id, secret


def _basic(header: str) -> tuple[str, str]:
    scheme, _, coded = header.partition(" ")
    try:
        text = base64.b64decode(coded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidClient from None
    client_id, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise InvalidClient
    # Both parts are form-encoded before they are joined (§2.3.1).
    return unquote_plus(client_id), unquote_plus(secret)


def _error(status: int, error: str, headers: dict[str, str] | None = None, text: str = "") -> Response:
    return answer(OAuthError(error, text), status, _NOT_KEPT | (headers or {}))
