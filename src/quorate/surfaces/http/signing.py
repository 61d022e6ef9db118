"""What a browser is given so that a security key can sign: the options of WebAuthn, as JSON.

Source: WebAuthn Level 3 §5.5, `PublicKeyCredentialRequestOptionsJSON`.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from quorate.app.evidence import ToSign
from quorate.app.verify.jwk import as_base64url


class KeyNamed(Struct, frozen=True):
    """A security key by its own id."""

    id: str
    type: Literal["public-key"] = "public-key"


class Extensions(Struct, frozen=True):
    """For keys that were registered for U2F."""

    appid: str


class AssertionOptions(Struct, frozen=True, rename="camel"):
    """What a signature is asked for. `timeout` is in milliseconds; after that, or once it was tried, ask again."""

    challenge: str
    timeout: int
    rp_id: str
    allow_credentials: list[KeyNamed]
    user_verification: Literal["required", "preferred"]
    extensions: Extensions | UnsetType = UNSET


def options(asked: ToSign) -> AssertionOptions:
    """Show what is to be signed as a browser's `navigator.credentials.get` wants it."""
    return AssertionOptions(
        challenge=as_base64url(asked.challenge),
        timeout=asked.timeout_s * 1000,
        rp_id=asked.rp_id,
        allow_credentials=[KeyNamed(as_base64url(id)) for id in asked.key_ids],
        user_verification="required" if asked.demands_user else "preferred",
        extensions=Extensions(asked.app_id) if asked.takes_u2f else UNSET,
    )
