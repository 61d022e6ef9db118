"""Short-lived tokens (JWT, RS256) and the keys that sign them.

A token says who somebody is and in which tenant. Its other claims are information for whoever holds it:
what its subject may do is read from the directory on every call. Keys have ids, so that they rotate: the
newest signs, an older one verifies until the last token it signed has run out.
"""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from quorate.app.actor import NotSignedIn
from quorate.app.seal import Sealer
from quorate.store import signing
from quorate.store.database import Database

ALGORITHM = "RS256"  # The native contract demands it (b.1); no other is ever accepted.
ACCESS = "urn:quorate:api"  # audience of access tokens
IDENTITY = "urn:quorate:user"  # audience of id tokens, which open nothing here
PURPOSE = "signing key"
KEY_BITS = 2048
LOOK_AGAIN = timedelta(seconds=1)  # An unknown key id asks the database no more often than this.
LOOK_ANYWAY = timedelta(minutes=1)  # How long another process may go on signing with a key that is not the newest.

_DEMANDED = ["sub", "iss", "aud", "exp", "iat", "jti", "tenant_id"]


@dataclass(frozen=True, slots=True)
class Issued:
    """A token as sent, with what may be told about it. The token itself stays out of logs."""

    token: str = field(repr=False)
    id: str
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class Claims:
    """What we take from a token we signed: whose it is, and what must still be alive behind it."""

    tenant: UUID
    subject: UUID
    expires_at: datetime
    session: UUID | None
    credential: UUID | None


class Tokens:
    """Signs and verifies. `start` must have run first.

    Args:
        issuer: the `iss` claim, demanded when verifying.
        life: how long an access token counts.
    """

    def __init__(
        self, db: Database, sealer: Sealer, *, issuer: str, life: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._db = db
        self._sealer = sealer
        self._issuer = issuer
        self._life = life
        self._clock = clock
        self._signing: tuple[str, RSAPrivateKey] | None = None
        self._verifying: dict[str, RSAPublicKey] = {}
        self._public: list[dict[str, Any]] = []
        self._looked_at = datetime.min.replace(tzinfo=UTC)

    async def start(self) -> None:
        """Read the keys; make the first one if there is none. Seals again what an older secret key sealed.

        Raises:
            BadSecretKey: the signing key was sealed with a secret key we were not given.
        """
        await self._load()
        if self._signing is None:
            await self.rotate()

    async def rotate(self) -> str:
        """Sign with a new key from now on. Answers its id."""
        private = await asyncio.to_thread(generate_private_key, 65537, KEY_BITS)
        public = _jwk(private.public_key())
        pem = private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key_id = str(public["kid"])
        sealed = self._sealer.seal(pem, tenant=None, purpose=PURPOSE)
        await signing.add(self._db, signing.StoredKey(key_id, msgspec.json.encode(public), sealed, self._clock()))
        await self._load()
        return key_id

    def access(
        self, claims: Mapping[str, Any], *, session: UUID | None = None, credential: UUID | None = None
    ) -> Issued:
        """Sign an access token. `claims` must hold `sub` and `tenant_id`."""
        behind = {"sid": session, "cid": credential}
        return self._sign(ACCESS, {**claims, **{name: str(one) for name, one in behind.items() if one}})

    def identity(self, claims: Mapping[str, Any]) -> Issued:
        """Sign an id token: for the caller to read; it is no credential."""
        return self._sign(IDENTITY, claims)

    async def look(self) -> None:
        """Notice, within a minute, a key that another process made. To be called before signing."""
        if self._clock() - self._looked_at >= LOOK_ANYWAY:
            await self._load()

    async def verify(self, token: str) -> Claims:
        """Verify an access token. Raises `NotSignedIn`, whatever is wrong with it."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise NotSignedIn from None
        if header.get("alg") != ALGORITHM:
            raise NotSignedIn
        key = await self._key(str(header.get("kid")))
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=ACCESS,
                issuer=self._issuer,
                # Time is judged below, by our own clock.
                options={"require": _DEMANDED, "verify_exp": False, "verify_iat": False, "strict_aud": True},
            )
            found = _claims(claims)
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):  # msgspec's are ValueErrors.
            raise NotSignedIn from None
        if found.expires_at <= self._clock():
            raise NotSignedIn("expired")
        return found

    def claims_to_be_ours(self, token: str) -> bool:
        """Say whether a token names us as its issuer, or nobody. Nothing is verified by this."""
        try:
            issuer = msgspec.json.decode(_unpadded(token.split(".")[1]), type=_Issuer).iss
        except (ValueError, IndexError):  # binascii's and msgspec's errors are ValueErrors.
            return True  # Then `verify` refuses it.
        return issuer in (None, self._issuer)

    def jwks(self) -> dict[str, Any]:
        """Give the public keys, for `/.well-known/jwks.json`."""
        return {"keys": self._public}

    async def _key(self, key_id: str) -> RSAPublicKey:
        if key_id not in self._verifying and self._clock() - self._looked_at >= LOOK_AGAIN:
            await self._load()  # Another process may have made it.
        key = self._verifying.get(key_id)
        if key is None:
            raise NotSignedIn
        return key

    async def _load(self) -> None:
        self._looked_at = at = self._clock()
        stored = _counting(await signing.keys(self._db), at - self._life - LOOK_ANYWAY)
        public = [msgspec.json.decode(key.public) for key in stored]
        self._verifying = {key.id: _public_key(jwk) for key, jwk in zip(stored, public, strict=True)}
        self._public = public
        if stored and (self._signing is None or self._signing[0] != stored[0].id):
            self._signing = (stored[0].id, await self._open(stored[0]))

    async def _open(self, key: signing.StoredKey) -> RSAPrivateKey:
        secret = self._sealer.open(key.sealed, tenant=None, purpose=PURPOSE)
        if not self._sealer.is_current(key.sealed):
            await signing.seal_again(self._db, key.id, self._sealer.seal(secret, tenant=None, purpose=PURPOSE))
        private = serialization.load_der_private_key(secret, None)
        assert isinstance(private, RSAPrivateKey)
        return private

    def _sign(self, audience: str, claims: Mapping[str, Any]) -> Issued:
        assert self._signing is not None, "Tokens.start has not run"
        key_id, private = self._signing
        at, jti, life_s = self._clock(), str(uuid4()), int(self._life.total_seconds())
        iat = int(at.timestamp())
        payload = {**claims, "iss": self._issuer, "aud": audience, "iat": iat, "exp": iat + life_s, "jti": jti}
        return Issued(jwt.encode(payload, private, ALGORITHM, {"kid": key_id}), jti, life_s)


class _Issuer(msgspec.Struct, frozen=True):
    iss: str | None = None


class _Written(msgspec.Struct, frozen=True):
    """The claims we read, as a token spells them."""

    sub: UUID
    tenant_id: UUID
    exp: int
    sid: UUID | None = None
    cid: UUID | None = None


def _claims(claims: Mapping[str, Any]) -> Claims:
    written = msgspec.convert(claims, _Written)
    expires_at = datetime.fromtimestamp(written.exp, UTC)
    return Claims(written.tenant_id, written.sub, expires_at, written.sid, written.cid)


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _counting(keys: list[signing.StoredKey], since: datetime) -> list[signing.StoredKey]:
    """Leave out the keys whose successor was made before `since`; keys come with the newest first."""
    return [key for place, key in enumerate(keys) if place == 0 or keys[place - 1].created_at > since]


def _jwk(key: RSAPublicKey) -> dict[str, Any]:
    """Write a public key as a JWK; its id is its thumbprint (RFC 7638)."""
    whole = RSAAlgorithm.to_jwk(key, as_dict=True)
    members = {name: whole[name] for name in ("e", "kty", "n")}
    thumbprint = hashlib.sha256(msgspec.json.encode(members, order="sorted")).digest()
    key_id = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
    return {**members, "kid": key_id, "alg": ALGORITHM, "use": "sig"}


def _public_key(jwk: Mapping[str, Any]) -> RSAPublicKey:
    key = RSAAlgorithm.from_jwk(dict(jwk))
    assert isinstance(key, RSAPublicKey)
    return key
