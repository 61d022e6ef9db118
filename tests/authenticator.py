"""A security key in software: EC P-256, a counter, and the two protocols. Every lie it can tell has a parameter."""

import hashlib
import json
import secrets
import struct
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import encode_cbor

from quorate.app.verify.assertions import U2f
from quorate.app.verify.jwk import to_cose

RP_ID, ORIGIN = "keys.acme.example", "https://keys.acme.example"
SETTINGS = {"rpId": RP_ID, "origins": [ORIGIN], "signIn": False}


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Authenticator:
    """One key pair. `count` is its counter; `step` by how much each signature moves it (0: it does not count)."""

    def __init__(self, count: int = 0, step: int = 1) -> None:
        self.private, self.id = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(32)
        self.count, self.step = count, step

    @property
    def public(self) -> dict[str, Any]:
        """What is kept of it: id and JWK."""
        numbers = self.private.public_key().public_numbers()
        x, y = (b64(one.to_bytes(32, "big")) for one in (numbers.x, numbers.y))
        return {"id": b64(self.id), "publicKey": {"kty": "EC", "crv": "P-256", "x": x, "y": y}}

    def sign(
        self, challenge: bytes, *, rp_id: str = RP_ID, origin: str = ORIGIN, flags: int = 5, kind: str = "webauthn.get"
    ) -> dict[str, Any]:
        """Answer a WebAuthn challenge, as a browser's `PublicKeyCredential.toJSON()`."""
        self.count += self.step
        client = json.dumps({"type": kind, "challenge": b64(challenge), "origin": origin}).encode()
        data = hashlib.sha256(rp_id.encode()).digest() + struct.pack(">BI", flags, self.count)
        signature = self.private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        parts = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        response = {name: b64(part) for name, part in parts.items()}
        id = b64(self.id)
        return {"id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {}}

    def make(
        self,
        challenge: bytes,
        *,
        rp_id: str = RP_ID,
        origin: str = ORIGIN,
        flags: int = 0x45,
        kind: str = "webauthn.create",
    ) -> dict[str, Any]:
        """Answer a call for a new key, without attestation, as a browser's `PublicKeyCredential.toJSON()`."""
        client = json.dumps({"type": kind, "challenge": b64(challenge), "origin": origin}).encode()
        data = hashlib.sha256(rp_id.encode()).digest() + struct.pack(">BI", flags, self.count)
        data += bytes(16) + struct.pack(">H", len(self.id)) + self.id + to_cose(self.public["publicKey"])
        attestation = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        response = {"clientDataJSON": b64(client), "attestationObject": b64(attestation)}
        id = b64(self.id)
        return {"id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {}}

    def sign_u2f(
        self,
        challenge: bytes,
        *,
        app_id: str = ORIGIN,
        origin: str = ORIGIN,
        presence: int = 1,
        what: str = "getAssertion",
    ) -> U2f:
        """Answer a U2F challenge."""
        self.count += self.step
        client = json.dumps({"typ": f"navigator.id.{what}", "challenge": b64(challenge), "origin": origin}).encode()
        shown = struct.pack(">BI", presence, self.count)
        signed = hashlib.sha256(app_id.encode()).digest() + shown + hashlib.sha256(client).digest()
        return U2f(self.id, client, shown + self.private.sign(signed, ec.ECDSA(SHA256())))
