"""Public keys of passkeys: we keep them as JWK (RFC 7517), authenticators speak COSE (RFC 9053)."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import encode_cbor, parse_cbor
from webauthn.helpers.cose import COSECRV, COSEKTY, COSEAlgorithmIdentifier, COSEKey
from webauthn.helpers.exceptions import InvalidCBORData

_CURVES: Final = {
    "P-256": (COSECRV.P256, COSEAlgorithmIdentifier.ECDSA_SHA_256),
    "P-521": (COSECRV.P521, COSEAlgorithmIdentifier.ECDSA_SHA_512),
}
_NAMES: Final = {curve.value: name for name, (curve, _) in _CURVES.items()}


class BadKey(ValueError):
    """A public key that is none of the kinds we verify."""


def base64url(text: object) -> bytes:
    """Read base64url; padding and the standard alphabet pass too. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("not text")
    try:
        plain = text.translate(str.maketrans("-_", "+/")).rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def as_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def to_cose(jwk: Mapping[str, Any]) -> bytes:
    """Put a JWK into COSE. Raises BadKey."""
    parts: dict[int, int | bytes]
    try:
        match jwk.get("kty"):
            case "EC":
                curve, algorithm = _CURVES[jwk["crv"]]
                x, y = base64url(jwk["x"]), base64url(jwk["y"])
                parts = {
                    COSEKey.KTY: COSEKTY.EC2,
                    COSEKey.ALG: algorithm,
                    COSEKey.CRV: curve,
                    COSEKey.X: x,
                    COSEKey.Y: y,
                }
            case "OKP" if jwk["crv"] == "Ed25519":
                parts = {
                    COSEKey.KTY: COSEKTY.OKP,
                    COSEKey.ALG: COSEAlgorithmIdentifier.EDDSA,
                    COSEKey.CRV: COSECRV.ED25519,
                    COSEKey.X: base64url(jwk["x"]),
                }
            case "RSA":
                parts = {
                    COSEKey.KTY: COSEKTY.RSA,
                    COSEKey.ALG: COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
                    COSEKey.N: base64url(jwk["n"]),
                    COSEKey.E: base64url(jwk["e"]),
                }
            case _:
                raise BadKey("not a kind of key we verify")
    except (KeyError, ValueError) as error:
        raise BadKey("not a kind of key we verify") from error
    return encode_cbor({int(name): value if isinstance(value, bytes) else int(value) for name, value in parts.items()})


def from_cose(key: bytes) -> dict[str, str]:
    """Put a COSE key into JWK. Raises BadKey."""
    try:
        said = parse_cbor(key)
        match said[COSEKey.KTY]:
            case COSEKTY.EC2:
                curve = _NAMES[said[COSEKey.CRV]]
                return {"kty": "EC", "crv": curve, **_text(said, x=COSEKey.X, y=COSEKey.Y)}
            case COSEKTY.OKP if said[COSEKey.CRV] == COSECRV.ED25519:
                return {"kty": "OKP", "crv": "Ed25519", **_text(said, x=COSEKey.X)}
            case COSEKTY.RSA:
                return {"kty": "RSA", **_text(said, n=COSEKey.N, e=COSEKey.E)}
            case _:
                raise BadKey("not a kind of key we verify")
    except (KeyError, TypeError, ValueError, InvalidCBORData) as error:
        raise BadKey("not a kind of key we verify") from error


def p256(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    """Make the public key of a JWK on P-256, the only curve of U2F. Raises BadKey."""
    if (jwk.get("kty"), jwk.get("crv")) != ("EC", "P-256"):
        raise BadKey("not a key on P-256")
    try:
        x, y = (int.from_bytes(base64url(jwk[name]), "big") for name in ("x", "y"))
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except (KeyError, ValueError, UnsupportedAlgorithm) as error:
        raise BadKey("not a key on P-256") from error


def _text(said: Mapping[Any, Any], **members: COSEKey) -> dict[str, str]:
    return {name: as_base64url(bytes(said[place])) for name, place in members.items()}
