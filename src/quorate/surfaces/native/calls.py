"""What several handlers read from a call or put around an answer."""

import hashlib
from typing import Any, Final, TypeVar

import msgspec
from starlette.responses import Response

from quorate.app import orders
from quorate.app.orders import Idempotency
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import decoded, raw_body
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shown import Done, Ok
from quorate.surfaces.native.words import REPLAYED

T = TypeVar("T")

IDEMPOTENCY: Final = {"Idempotency-Key": "makes a repetition of this call get the first one's answer, for 24 hours"}
_LONGEST_KEY = 255


async def body_and_key(http: Call, kind: type[T], *, optional: bool = False) -> tuple[T, Idempotency | None]:
    """Read the body, and the `Idempotency-Key` with a hash of what the call says. Raises `BadInput`."""
    data = await raw_body(http)
    read = decoded(data, kind, optional=optional)
    given = http.headers.getlist("idempotency-key")
    if not given:
        return read, None
    key = given[0].strip()
    if len(given) > 1 or not 0 < len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise BadInput.at("Idempotency-Key", f"must be one key of 1 to {_LONGEST_KEY} visible characters")
    return read, Idempotency(key, _fingerprint(http, data))


def _fingerprint(http: Call, data: bytes) -> bytes:
    """Hash method, path and body. Evidence is left out: nobody shall find a password by trying against a hash."""
    plain: Any = msgspec.json.decode(data) if data.strip() else {}
    plain.pop("evidence", None)
    said = [http.method, str(http.scope["path"]), plain]
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).digest()


def given(data: Any, done: orders.Done | None = None, status: int = 200) -> Response:
    """Answer a success that gives something."""
    return answer(Ok(data=data), status, _replayed(done))


def said(message: str, done: orders.Done | None = None) -> Response:
    """Answer a success that says so."""
    return answer(Done(message=message), 200, _replayed(done))


def _replayed(done: orders.Done | None) -> dict[str, str] | None:
    return REPLAYED if done is not None and done.replayed else None
