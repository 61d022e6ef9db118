"""Sends one message to a webhook, signed.

Source: the Standard Webhooks specification (standardwebhooks.com): the three `webhook-…` headers, the signature over
`id.timestamp.body`, 2xx is success and all else failure.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from standardwebhooks import Webhook

from quorate.app.outgoing import BadTarget, CallFailed, Outgoing
from quorate.app.sending import Parcel, Sent
from quorate.app.webhooks import Tried

SHOWN: Final = 500  # bytes of the answer that are kept


async def send(
    parcel: Parcel, outgoing: Outgoing, at: datetime, *, seconds: Callable[[], float] = time.monotonic
) -> Sent:
    """Make one attempt. Whatever goes wrong on the way is an answer and not an error."""
    if parcel.secret is None:
        return Sent(Tried(at=at, took_ms=0, trouble="the secret cannot be opened: it was sealed with another key"))
    began = seconds()
    try:
        answer = await outgoing.call("POST", parcel.url, headers(parcel, at), parcel.body)
    except (BadTarget, CallFailed) as trouble:
        return Sent(Tried(at=at, took_ms=_ms(seconds() - began), trouble=str(trouble)))
    tried = Tried(at=at, took_ms=_ms(seconds() - began), status=answer.status, answer=_beginning(answer.body))
    return Sent(tried, _whole_seconds(answer.headers.get("retry-after", "")))


def headers(parcel: Parcel, at: datetime) -> dict[str, str]:
    """Name the message, the moment of this attempt, and sign both with the body."""
    assert parcel.secret is not None
    signature = Webhook(parcel.secret).sign(str(parcel.id), at, parcel.body.decode())
    return {
        "Content-Type": "application/json",
        "webhook-id": str(parcel.id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }


def _beginning(body: bytes) -> str:
    return body[:SHOWN].decode(errors="replace").replace("\0", "\ufffd")


def _whole_seconds(text: str) -> int:
    """Read Retry-After where it is a number; a date is left alone, our own rest is long enough."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
