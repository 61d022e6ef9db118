"""One-time codes of an authenticator app. Source: RFC 6238, with the parameters every such app knows.

SHA-1 (as RFC 4226 has it; only its keyed form is used), six digits, thirty seconds.
"""

import base64
import hmac
import struct
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

PERIOD_S: Final = 30
DIGITS: Final = 6
DRIFT: Final = 1  # periods that a clock may be early or late
SECRET_BYTES: Final = 20


def period_of(at: datetime) -> int:
    """Number the period a moment is in."""
    return int(at.timestamp()) // PERIOD_S


def code(secret: bytes, period: int) -> str:
    """Give the code of a period."""
    mac = hmac.digest(secret, struct.pack(">Q", period), "sha1")
    start = mac[-1] & 0x0F
    number = struct.unpack(">I", mac[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def period_shown(secret: bytes, shown: str, at: datetime, last: int) -> int | None:
    """Say which period, later than the last one used, a code is of; None if it is of none that counts now."""
    plain, now = shown.replace(" ", "").encode(), period_of(at)
    found = None
    for period in range(now - DRIFT, now + DRIFT + 1):  # All are looked at, so that the time it takes tells nothing.
        if hmac.compare_digest(code(secret, period).encode(), plain) and period > last and found is None:
            found = period
    return found


def as_text(secret: bytes) -> str:
    """Write a secret as people type it into an app."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri(secret: bytes, *, issuer: str, account: str) -> str:
    """Write what an app reads from a QR code."""
    said = {"secret": as_text(secret), "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": PERIOD_S}
    return f"otpauth://totp/{quote(f'{issuer}:{account}', safe='')}?{urlencode(said)}"
