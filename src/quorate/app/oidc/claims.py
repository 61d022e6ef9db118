"""What a provider's token proves. Pure: the key, the provider and the moment are handed in.

Source: OpenID Connect Core 1.0, §3.1.3.7; RFC 8725 (best practices for JWTs), §3.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import jwt
import msgspec
from jwt.utils import base64url_decode
from msgspec import Meta, Struct

from quorate.app.oidc.keys import Key, signed

LEEWAY: Final = timedelta(seconds=60)  # How far an issuer's clock may be ahead of ours.
OLDEST: Final = timedelta(hours=24)  # However long an issuer lets a token count: it cannot be called back.
LONGEST: Final = 16_384  # characters of a token

_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_Moment = Annotated[float, Meta(ge=0, lt=2**33)]
_Word = Annotated[str, Meta(max_length=2_000)]


class NotProved(Exception):
    """A token proves nothing here. Why is nobody's business but the log's."""


class Head(Struct, frozen=True):
    """The header of a token: how it says it is signed, and with which key."""

    alg: str
    kid: _Word | None = None
    typ: str | None = None
    crit: Any = None


class Body(Struct, frozen=True, kw_only=True):
    """The claims of a token that we read."""

    iss: _Word
    sub: Annotated[str, Meta(min_length=1, max_length=255)]
    aud: _Word | Annotated[list[_Word], Meta(max_length=50)]
    exp: _Moment
    iat: _Moment
    nbf: _Moment = 0
    azp: _Word | None = None
    nonce: _Word | None = None
    email: _Word | None = None
    email_verified: Any = None

    @property
    def audience(self) -> list[str]:
        return [self.aud] if isinstance(self.aud, str) else self.aud

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(min(self.exp, self.iat + OLDEST.total_seconds()), UTC)


class Wanted(Struct, frozen=True):
    """What a token must say. `nonce`: None where none was sent."""

    issuer: str
    client_id: str
    tenant: UUID
    slug: str
    tenant_claim: str | None
    nonce: str | None = None


def unproved(token: str) -> tuple[Head, Body]:
    """Read a token without believing it: to find out whose provider to ask. Raises: NotProved."""
    parts = token.split(".")
    if len(token) > LONGEST or len(parts) != 3:
        raise NotProved("no token")
    try:
        head = msgspec.json.decode(base64url_decode(parts[0]), type=Head)
        body = msgspec.json.decode(base64url_decode(parts[1]), type=Body)
    except (ValueError, RecursionError) as error:  # binascii's and msgspec's errors are ValueErrors.
        raise NotProved("no token") from error
    if head.crit is not None or (head.typ or "JWT").lower() not in _TYPES:
        raise NotProved("another kind of token")
    return head, body


def proved(token: str, key: Key, wanted: Wanted, at: datetime) -> Body:
    """Give the claims of a token that is signed with this key, says what it must, and counts now. Raises: NotProved."""
    try:
        payload = signed(token, key)
        body = msgspec.json.decode(payload, type=Body)
        plain = msgspec.json.decode(payload, type=dict[str, Any])
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise NotProved("the signature") from error
    audience = body.audience
    if body.iss != wanted.issuer:
        raise NotProved("the issuer")
    if wanted.client_id not in audience:
        raise NotProved("the audience")
    if (body.azp is not None or len(audience) > 1) and body.azp != wanted.client_id:
        raise NotProved("the party it was made for")
    if wanted.nonce is not None and body.nonce != wanted.nonce:
        raise NotProved("the nonce")
    if body.expires_at <= at:
        raise NotProved("its time is over")
    if max(body.iat, body.nbf) > (at + LEEWAY).timestamp():
        raise NotProved("its time has not come")
    if wanted.tenant_claim is not None and not _names(plain, wanted):
        raise NotProved("the tenant")
    return body


def email_of(body: Body) -> str:
    """Give the e-mail address that the issuer has verified.

    ASCII only: other letters can have one of ours for a small letter, and so stand for somebody else.

    Raises: NotProved.
    """
    if not body.email or body.email_verified is not True or not body.email.isascii():
        raise NotProved("no verified e-mail address")
    return body.email


def _names(claims: Mapping[str, Any], wanted: Wanted) -> bool:
    said = claims.get(str(wanted.tenant_claim))
    return isinstance(said, str) and said.lower() in (str(wanted.tenant), wanted.slug)
