"""Signing in at a provider: there and back again (authorization code flow with PKCE).

Nothing is kept while somebody is away. What must come back unchanged is sealed and left with their browser: a nonce,
the PKCE verifier, where they shall come back to. Whoever comes back brings it, and with it the `state` that belongs to
it; so what one browser began no other can finish. A sign-in that came back is noted, and counts once.

Source: OpenID Connect Core 1.0, §3.1; RFC 7636; RFC 9700, §2.1.
"""

import base64
import hmac
import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, TypeVar
from urllib.parse import quote_plus, urlencode
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.app.gate import Whence
from quorate.app.limits import Attempts
from quorate.app.oidc.claims import Body, NotProved, email_of
from quorate.app.oidc.issuers import Endpoints, Issuers, ProviderAway
from quorate.app.oidc.proofs import Proofs, Trusted
from quorate.app.oidc.providers import NoSuchProvider, Provider, purpose
from quorate.app.seal import BadSecretKey, Sealer
from quorate.app.signin import InvalidCredentials, SignedIn, SignIn
from quorate.store import providers
from quorate.store.database import Database

log = logging.getLogger(__name__)

T = TypeVar("T")

LIFE: Final = timedelta(minutes=10)
_SEALED_FOR: Final = "sign-in at a provider"
_RANDOM_BYTES: Final = 32
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


class Begun(Struct, frozen=True):
    """Where the caller's browser shall go, and what it shall keep until it comes back."""

    url: str
    kept: str

    def __repr__(self) -> str:
        return "Begun()"


class _Away(Struct, frozen=True):
    """What a browser keeps, sealed, while somebody is away."""

    id: UUID
    nonce: str
    verifier: str
    redirect_uri: str
    stamp: UUID
    expires_at: datetime


class _Given(Struct, frozen=True):
    """What a provider answers for a code."""

    id_token: str
    access_token: str | None = None


class _Info(Struct, frozen=True):
    """What a provider says of a user beside the token."""

    sub: str
    email: str | None = None
    email_verified: Any = None


class ProviderSignIn:
    """The use cases."""

    def __init__(
        self,
        db: Database,
        proofs: Proofs,
        issuers: Issuers,
        signin: SignIn,
        seal: Sealer,
        attempts: Attempts,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._db, self._proofs, self._issuers, self._signin = db, proofs, issuers, signin
        self._seal, self._attempts, self._clock, self._new_id = seal, attempts, clock, new_id

    async def offered(self, tenant: UUID) -> Provider | None:
        """Read who says who somebody is; None: nobody, or there is no such tenant."""
        of = await self._proofs.trusted(tenant)
        return None if of is None else of.provider

    async def begin(self, tenant: UUID, redirect_uri: str, *, address: str) -> Begun:
        """Send somebody to their provider. Raises: TooOften, NoSuchProvider, ProviderAway."""
        id = self._new_id()
        self._attempts.take("provider", id.hex, address)
        of = await self._proofs.trusted(tenant)
        if of is None:
            raise NoSuchProvider
        endpoints = await self._issuers.endpoints(of.provider.issuer)
        away = _Away(id, _random(), _random(), redirect_uri, of.provider.stamp, self._clock() + LIFE)
        asked = {
            "response_type": "code",
            "client_id": of.provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(of.provider.scopes),
            "state": id.hex,
            "nonce": away.nonce,
            "code_challenge": _unpadded(sha256(away.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        at = endpoints.authorization_endpoint
        sealed = self._seal.seal(msgspec.json.encode(away), tenant=tenant, purpose=_SEALED_FOR)
        return Begun(f"{at}{'&' if '?' in at else '?'}{urlencode(asked)}", f"{tenant.hex}.{_unpadded(sealed)}")

    async def finish(
        self, kept: str | None, state: str, code: str | None, *, issuer: str | None, origin: Whence
    ) -> SignedIn:
        """Sign in who has come back. It counts once, whatever comes of it.

        Args:
            kept: what their browser kept.
            code: None: the provider has refused.
            issuer: who says that they have come from there, if it says so (RFC 9207).

        Raises:
            TooOften, ProviderAway;
            InvalidCredentials: whatever else is wrong: with what came back, or with the account it is about.
        """
        self._attempts.take("sign-in", state, origin.address)
        tenant, away = self._opened(kept)
        if not hmac.compare_digest(state.encode(), away.id.hex.encode()):
            raise _refused("another browser's, or another state")
        of = await self._proofs.trusted(tenant)
        if of is None or of.provider.stamp != away.stamp:
            raise _refused("the provider was changed")
        async with self._db.tx({tenant}) as tx:
            if not await providers.take(tx, tenant, away.id, self._clock(), away.expires_at):
                raise _refused("it came back before")
        if code is None or issuer not in (None, of.provider.issuer):
            raise _refused("the provider refused, or it was another")
        try:
            email = email_of(await self._said(of, away, code))
        except NotProved as no:
            raise _refused(str(no)) from None
        account = await self._proofs.account(tenant, email)
        if account is None:
            raise _refused("nobody's e-mail address")
        return await self._signin.by_provider(account, of.provider.stamp, of.provider.issuer, origin)

    def _opened(self, kept: str | None) -> tuple[UUID, _Away]:
        try:
            tenant_hex, _, sealed = (kept or "").partition(".")
            tenant = UUID(hex=tenant_hex)
            data = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            away = msgspec.json.decode(self._seal.open(data, tenant=tenant, purpose=_SEALED_FOR), type=_Away)
        except (ValueError, BadSecretKey):  # binascii's and msgspec's errors are ValueErrors.
            raise _refused("nothing was kept") from None
        if away.expires_at <= self._clock():
            raise _refused("it came back too late")
        return tenant, away

    async def _said(self, of: Trusted, away: _Away, code: str) -> Body:
        """Exchange a code for what the provider says. Raises: NotProved, ProviderAway."""
        endpoints = await self._issuers.endpoints(of.provider.issuer)
        given = await self._exchanged(of, away, code, endpoints)
        body = await self._proofs.read(given.id_token, of, away.nonce)
        if body.email is None and given.access_token is not None and endpoints.userinfo_endpoint is not None:
            info = await self._asked(endpoints.userinfo_endpoint, given.access_token)
            if info.sub != body.sub:  # Core §5.3.2: else one token could stand in for another's.
                raise NotProved("somebody else's particulars")
            body = msgspec.structs.replace(body, email=info.email, email_verified=info.email_verified)
        return body

    async def _exchanged(self, of: Trusted, away: _Away, code: str, endpoints: Endpoints) -> _Given:
        said = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": away.redirect_uri,
            "client_id": of.provider.client_id,
            "code_verifier": away.verifier,
        }
        headers, secret = dict(_FORM), self._secret(of)
        if secret is not None and _takes_form(endpoints):
            said["client_secret"] = secret
        elif secret is not None:
            pair = f"{quote_plus(of.provider.client_id)}:{quote_plus(secret)}"  # RFC 6749 §2.3.1.
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        status, body = await self._issuers.call("POST", endpoints.token_endpoint, headers, urlencode(said).encode())
        return _read(status, body, _Given)

    async def _asked(self, endpoint: str, token: str) -> _Info:
        if not token.isascii() or not token.isprintable():
            raise NotProved("an odd token")
        return _read(*await self._issuers.call("GET", endpoint, {"Authorization": f"Bearer {token}"}), _Info)

    def _secret(self, of: Trusted) -> str | None:
        if of.provider.sealed is None:
            return None
        try:
            return self._seal.open(of.provider.sealed, tenant=of.tenant, purpose=purpose(of.provider.issuer)).decode()
        except BadSecretKey as error:
            log.error("a client secret cannot be opened: %s", error, extra={"tenant": str(of.tenant)})
            raise ProviderAway from error


def _refused(why: str) -> InvalidCredentials:
    """One answer for everything; the log alone says why."""
    log.info("a sign-in at a provider is refused: %s", why)
    return InvalidCredentials()


def _takes_form(endpoints: Endpoints) -> bool:
    ways = endpoints.token_endpoint_auth_methods_supported
    return "client_secret_basic" not in ways and "client_secret_post" in ways


def _read(status: int, body: bytes, kind: type[T]) -> T:
    if status >= 500:
        raise ProviderAway
    try:
        if status == 200:
            return msgspec.json.decode(body, type=kind)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors.
        pass
    raise NotProved(f"the provider answered {status}")


def _random() -> str:
    return _unpadded(secrets.token_bytes(_RANDOM_BYTES))


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
