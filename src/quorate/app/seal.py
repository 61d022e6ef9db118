"""Seals secrets that must be read back, so that a copy of the database does not give them away.

AES-256-GCM; the tenant and the purpose are bound in, so that a sealed secret moved to another row does
not open there.
"""

import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_FILE = "secret.key"
_FORMAT = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12


class BadSecretKey(Exception):
    """A secret key is not 32 bytes of base64 or hex, or a sealed secret needs a key we were not given."""


class Sealer:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: list[bytes]) -> None:
        if not keys or any(len(key) != 32 for key in keys):
            raise BadSecretKey("a secret key must have 32 bytes")
        self._keys = {_key_id(key): AESGCM(key) for key in keys}
        self._current = _key_id(keys[0])

    def seal(self, secret: bytes, *, tenant: UUID | None, purpose: str) -> bytes:
        """Seal a secret: format, key id, nonce, ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._keys[self._current].encrypt(nonce, secret, _context(tenant, purpose))
        return _FORMAT + self._current + nonce + sealed

    def open(self, sealed: bytes, *, tenant: UUID | None, purpose: str) -> bytes:
        """Open what `seal` made for the same tenant and purpose. Raises `BadSecretKey`."""
        key_id, rest = sealed[1 : 1 + _ID_BYTES], sealed[1 + _ID_BYTES :]
        key = self._keys.get(key_id)
        if sealed[:1] != _FORMAT or key is None:
            raise BadSecretKey("sealed with a secret key that is not among ours")
        try:
            return key.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _context(tenant, purpose))
        except InvalidTag:
            raise BadSecretKey("the sealed secret was changed, or belongs elsewhere") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the first key; if not, it is time to seal it again."""
        return sealed[1 : 1 + _ID_BYTES] == self._current


def sealer(secret_key: str | None, data: Path) -> Sealer:
    """Make the sealer from the setting, else from `secret.key` in the data directory, made when missing.

    Raises:
        BadSecretKey: neither is usable. The text names the place and not the key.
    """
    if secret_key is not None:
        return Sealer([_key(word.strip(), "QUORATE_SECRET_KEY") for word in secret_key.split(",") if word.strip()])
    path = data / KEY_FILE
    text = base64.b64encode(secrets.token_bytes(32)).decode()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        text = path.read_text().strip()
    else:
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    return Sealer([_key(text, str(path))])


def _key(text: str, place: str) -> bytes:
    try:
        key = (
            bytes.fromhex(text)
            if len(text) == 64
            else base64.b64decode(text.replace("-", "+").replace("_", "/") + "==")
        )
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != 32:
        raise BadSecretKey(f"{place} does not hold 32 bytes as base64 or hex")
    return key


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"quorate secret key id\0" + key).digest()[:_ID_BYTES]


def _context(tenant: UUID | None, purpose: str) -> bytes:
    return f"{tenant or ''}\0{purpose}".encode()
