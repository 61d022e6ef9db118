"""The public keys of issuers, and the only three ways to sign that count: RS256, ES256 and EdDSA with Ed25519.

Which of them a key is for follows from what kind of key it is, and from nothing a token says. So none that is secret
can be, and no public key is ever taken for a secret one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from msgspec import Struct

MOST_KEYS: Final = 64  # of an issuer; the rest is left
LEAST_BITS, MOST_BITS = 2048, 8192  # of an RSA key: weaker is no proof, longer is slow to use

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class Key(Struct, frozen=True):
    """A public key, and the one algorithm it is used with."""

    id: str | None
    algorithm: str
    public: PublicKey


def read_keys(jwks: Sequence[Any]) -> tuple[Key, ...]:
    """Read the keys of a JWK set (RFC 7517); those that sign nothing for us are passed over."""
    found = (_key(one) for one in jwks[:MOST_KEYS] if isinstance(one, Mapping))
    return tuple(key for key in found if key is not None)


def fitting(keys: Sequence[Key], id: str | None, algorithm: str) -> Key | None:
    """Find the key a token names; without a name, the only one there is for its algorithm."""
    found = [key for key in keys if key.algorithm == algorithm and (id is None or key.id == id)]
    return found[0] if len(found) == 1 else None


def signed(token: str, key: Key) -> bytes:
    """Give the payload of a token that this key has signed. Raises: jwt.InvalidTokenError."""
    payload: bytes = jwt.PyJWS([key.algorithm]).decode(token, key.public, [key.algorithm])
    return payload


def _key(jwk: Mapping[str, Any]) -> Key | None:
    id, said = jwk.get("kid"), dict(jwk)
    if "d" in said or said.get("use", "sig") != "sig" or not isinstance(id, str | None):
        return None
    try:
        algorithm, public = _loaded(said)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return Key(id, algorithm, public) if said.get("alg", algorithm) == algorithm else None


def _loaded(jwk: dict[str, Any]) -> tuple[str, PublicKey]:
    match jwk.get("kty"):
        case "RSA":
            rsa = RSAAlgorithm.from_jwk(jwk)
            if isinstance(rsa, RSAPublicKey) and LEAST_BITS <= rsa.key_size <= MOST_BITS:
                return "RS256", rsa
        case "EC":
            curve = ECAlgorithm.from_jwk(jwk)
            if isinstance(curve, EllipticCurvePublicKey) and isinstance(curve.curve, SECP256R1):
                return "ES256", curve
        case "OKP":
            edwards = OKPAlgorithm.from_jwk(jwk)
            if isinstance(edwards, Ed25519PublicKey):
                return "EdDSA", edwards
        case _:
            pass
    raise ValueError("of no use here")
