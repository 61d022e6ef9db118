"""Checks what a security key signed: WebAuthn assertions (FIDO2), and U2F signatures for those who still have them.

Source: WebAuthn Level 3 §7.2; FIDO U2F Raw Message Formats §5.4; Fortanix contract §6.
"""

import hashlib
import hmac
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import Struct
from webauthn import verify_authentication_response
from webauthn.helpers.structs import AuthenticationCredential, AuthenticatorAssertionResponse

from quorate.app.verify.jwk import BadKey, as_base64url, base64url, p256, to_cose

LONGEST: Final = 16 * 1024  # characters of one part; real ones have hundreds


class KeyRules(Struct, frozen=True):
    """What a tenant settled about security keys. `origins` are where its people sign, without a closing slash.

    `app_id` stands for `rp_id` where a key was registered for U2F.
    """

    rp_id: str
    origins: tuple[str, ...]
    app_id: str
    demands_user: bool = False
    takes_u2f: bool = False
    to_sign_in: bool = False


class Passkey(Struct, frozen=True):
    """A registered security key: the id of our credential, the key's own id, its public key, and where it counts."""

    credential: UUID
    id: bytes
    public_key: Mapping[str, Any]
    sign_count: int


class U2f(Struct, frozen=True):
    """A U2F signature as it comes from the key: client data is JSON, signature data is presence, counter, signature."""

    key_handle: bytes
    client_data: bytes
    signature_data: bytes

    def __repr__(self) -> str:
        return "U2f(…)"


class Shown(Struct, frozen=True):
    """Which second factor was shown, and the count it showed."""

    credential: UUID
    count: int


class Wrong(Exception):
    """What was shown proves nothing. Why is for tests and debuggers: it is said to nobody."""


def check_assertion(assertion: Mapping[str, Any], challenge: bytes, keys: Sequence[Passkey], rules: KeyRules) -> Shown:
    """Check an assertion, in the form that a browser's `PublicKeyCredential.toJSON()` has, against somebody's keys.

    Raises: Wrong.
    """
    try:
        id = part(assertion, "id")
        said = assertion.get("response")
        if not isinstance(said, Mapping):
            raise Wrong("no response")
        response = AuthenticatorAssertionResponse(
            client_data_json=part(said, "clientDataJSON"),
            authenticator_data=part(said, "authenticatorData"),
            signature=part(said, "signature"),
        )
    except ValueError as error:
        raise Wrong("not base64url") from error
    if assertion.get("type") != "public-key" or part(assertion, "rawId", id) != id:
        raise Wrong("not one public key")
    key = _registered(id, keys)
    extensions = assertion.get("clientExtensionResults")
    as_u2f = isinstance(extensions, Mapping) and extensions.get("appid") is True
    try:
        verified = verify_authentication_response(
            credential=AuthenticationCredential(id=as_base64url(id), raw_id=id, response=response),
            expected_challenge=challenge,
            expected_rp_id=rules.app_id if as_u2f else rules.rp_id,
            expected_origin=list(rules.origins),
            credential_public_key=to_cose(key.public_key),
            credential_current_sign_count=key.sign_count,
            require_user_verification=rules.demands_user,
        )
    except Exception as error:  # The library lets through what its parsers raise: whatever it is, it is a no.
        raise Wrong("the assertion does not verify") from error
    return Shown(key.credential, verified.new_sign_count)


def check_u2f(signature: U2f, challenge: bytes, keys: Sequence[Passkey], rules: KeyRules) -> Shown:
    """Check a U2F signature against somebody's keys. Raises: Wrong."""
    key = _registered(signature.key_handle, keys)
    if not rules.takes_u2f:
        raise Wrong("the tenant takes no U2F")
    if len(signature.client_data) > LONGEST or not 5 < len(signature.signature_data) <= LONGEST:
        raise Wrong("too long or too short")
    try:
        said = msgspec.json.decode(signature.client_data)
        asked = base64url(said["challenge"])
        if said["typ"] != "navigator.id.getAssertion" or said["origin"] not in rules.origins:
            raise Wrong("made for something else")
    except (msgspec.DecodeError, ValueError, KeyError, TypeError) as error:
        raise Wrong("the client data is malformed") from error
    presence, count = struct.unpack(">BI", signature.signature_data[:5])
    if not hmac.compare_digest(asked, challenge) or not presence & 1:
        raise Wrong("another challenge, or nobody was there")
    if count <= key.sign_count and (count, key.sign_count) != (0, 0):
        raise Wrong("the counter went back")
    signed = _sha256(rules.app_id.encode()) + signature.signature_data[:5] + _sha256(signature.client_data)
    try:
        p256(key.public_key).verify(signature.signature_data[5:], signed, ec.ECDSA(SHA256()))
    except (InvalidSignature, BadKey) as error:
        raise Wrong("the signature does not verify") from error
    return Shown(key.credential, count)


def _registered(id: bytes, keys: Iterable[Passkey]) -> Passkey:
    for key in keys:
        if hmac.compare_digest(key.id, id):
            return key
    raise Wrong("not one of this person's keys")


def part(said: Mapping[str, Any], name: str, default: bytes | None = None) -> bytes:
    """Read one part. Raises: ValueError."""
    text = said.get(name)
    if text is None and default is not None:
        return default
    if not isinstance(text, str) or len(text) > LONGEST:
        raise ValueError(name)
    return base64url(text)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
