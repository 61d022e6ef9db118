"""A little identity provider on loopback: real HTTP, real keys, and a tongue that a test may twist."""

import base64
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.app.directory import Clock
from tests.receiver import Got, Receiver, answer, receiving

JSON = "Content-Type: application/json"
KEYS: Mapping[str, tuple[str, Any]] = {
    "r": ("RS256", rsa.generate_private_key(65537, 2048)),
    "e": ("ES256", ec.generate_private_key(ec.SECP256R1())),
    "d": ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    "stranger": ("RS256", rsa.generate_private_key(65537, 2048)),
}
_WRITERS: Mapping[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


class Idp:
    """The provider.

    `published`: which of KEYS it shows; `signs_with`: which it uses; `says`: claims beside or instead of the usual,
    None to leave one out; `document`, `info`: what it publishes and says at `/userinfo` beside the usual; `thin`: its
    tokens hold no e-mail address.
    """

    def __init__(self, receiver: Receiver, clock: Clock) -> None:
        self._receiver, self._clock = receiver, clock
        self.issuer = receiver.url("")
        self.secret: str | None = "a-secret/of:theirs"
        self.published = ["r", "e", "d"]
        self.signs_with = "r"
        self.says: dict[str, Any] = {}
        self.document: dict[str, Any] = {}
        self.info: dict[str, Any] = {}
        self.thin = False
        self.is_away = False
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        receiver.answer = self._answer

    def token(self, email: str, client: str, /, *, header: Mapping[str, Any] | None = None, **more: Any) -> str:
        """Sign what it would say of somebody to a client."""
        at = int(self._clock().timestamp())
        claims = {
            "iss": self.issuer,
            "sub": f"sub of {email}",
            "aud": client,
            "iat": at,
            "exp": at + 300,
            "email": email,
            "email_verified": True,
            **self.says,
            **more,
        }
        algorithm, key = KEYS[self.signs_with]
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, key, algorithm, {"kid": self.signs_with, **(header or {})})

    def signed_in(self, url: str, email: str) -> str:
        """Play the browser at the provider: somebody signs in, and is sent back to this URL."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert url.startswith(f"{self.issuer}/authorize?")
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked | {"email": email}
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"

    def times_asked(self, path: str) -> int:
        return self.asked.count(path)

    async def _answer(self, got: Got) -> bytes:
        path = got.line.split()[1]
        self.asked.append(path)
        if self.is_away:
            return answer(503)
        match path:
            case "/.well-known/openid-configuration":
                return _json(
                    {
                        "issuer": self.issuer,
                        "authorization_endpoint": f"{self.issuer}/authorize",
                        "token_endpoint": f"{self.issuer}/token",
                        "jwks_uri": f"{self.issuer}/jwks",
                        "userinfo_endpoint": f"{self.issuer}/userinfo",
                        **self.document,
                    }
                )
            case "/jwks":
                return _json({"keys": [_jwk(name) for name in self.published]})
            case "/token":
                return self._exchange(got)
            case "/userinfo":
                email = got.headers["authorization"].removeprefix("Bearer ")
                return _json({"sub": f"sub of {email}", "email": email, "email_verified": True} | self.info)
            case _:
                return answer(404)

    def _exchange(self, got: Got) -> bytes:
        said = dict(parse_qsl(got.body.decode(), strict_parsing=True))
        asked = self._codes.pop(said["code"], None)
        if asked is None or asked["redirect_uri"] != said["redirect_uri"] or not self._knows(got, said):
            return _json({"error": "invalid_grant"}, 400)
        challenge = base64.urlsafe_b64encode(sha256(said["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if challenge != asked["code_challenge"]:
            return _json({"error": "invalid_grant"}, 400)
        email = asked["email"]
        more = {"email": None, "email_verified": None} if self.thin else {}
        token = self.token(email, asked["client_id"], **{"nonce": asked["nonce"], **more, **self.says})
        return _json({"id_token": token, "access_token": email, "token_type": "Bearer"})

    def _knows(self, got: Got, said: Mapping[str, str]) -> bool:
        if self.secret is None:
            return "authorization" not in got.headers and "client_secret" not in said
        if "client_secret" in said:
            return said["client_secret"] == self.secret
        pair = base64.b64decode(got.headers["authorization"].removeprefix("Basic ")).decode()
        id, _, secret = pair.partition(":")
        return (unquote_plus(id), unquote_plus(secret)) == (said["client_id"], self.secret)


def public_pem(name: str) -> bytes:
    """Give a public key as text: what a careless verifier takes for a shared secret."""
    public: bytes = (
        KEYS[name][1]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return public


@asynccontextmanager
async def providing(clock: Clock) -> AsyncIterator[Idp]:
    """Open an identity provider on a port of loopback."""
    async with receiving() as receiver:
        yield Idp(receiver, clock)


def _jwk(name: str) -> dict[str, Any]:
    algorithm, key = KEYS[name]
    jwk: dict[str, Any] = _WRITERS[algorithm].to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": name, "use": "sig", "alg": algorithm}


def _json(value: Any, status: int = 200) -> bytes:
    return answer(status, msgspec.json.encode(value), JSON)
