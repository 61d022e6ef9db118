"""Makes an approved call, and says what came of it. Its headers may be secret, and are kept sealed."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.app.outgoing import Answer, BadTarget, CallFailed, Outgoing
from quorate.app.seal import Sealer
from quorate.domain.operations import Call, Operation, Retry, State, filled

LONGEST_REFUSAL: Final = 4_000  # characters
_PASSING: Final = frozenset({429, 502, 503, 504})
_BODILESS: Final = frozenset({"GET", "HEAD"})


class Answered(Struct, frozen=True):
    """What an operation produced: an HTTP status, a JSON value, and, of a refusal, what it says to people."""

    status: int
    body: Any = None
    refused: str | None = None

    @property
    def state(self) -> State:
        return State.after(self.status)


class Sent(Struct, frozen=True):
    """What came of a call. `may_repeat`: it did no harm, or its receiver knows a repeat."""

    state: State
    answered: Answered | None = None
    failure: str | None = None
    was_sent: bool = True
    may_repeat: bool = False


async def send(
    outgoing: Outgoing, operation: Operation, call: Call, headers: Mapping[str, str], idempotency_key: str
) -> Sent:
    """Make a call. Whatever happens is an answer."""
    data = b""
    headers = {"Accept": "application/json", **headers, "Idempotency-Key": idempotency_key}
    if operation.method not in _BODILESS and operation.body is not None:
        data = msgspec.json.encode(operation.body)
        headers = {"Content-Type": "application/json", **headers}
    may_repeat = call.retry is Retry.ALWAYS
    try:
        async with asyncio.timeout(call.timeout_s):
            came = await outgoing.call(operation.method, filled(call.url, operation.params), headers, data)
    except BadTarget as bad:
        return Sent(State.FAILED, failure=str(bad), was_sent=False)
    except CallFailed as failed:
        if not failed.was_sent:
            return Sent(State.FAILED, failure=str(failed), was_sent=False, may_repeat=True)
        return Sent(State.UNKNOWN, failure=str(failed), may_repeat=may_repeat)
    except TimeoutError:
        return Sent(State.UNKNOWN, failure=f"no answer within {call.timeout_s} s", may_repeat=may_repeat)
    answered = read(came)
    why = "the answer was longer than 1 MB and was not kept" if came.is_cut else None
    return Sent(answered.state, answered, why, may_repeat=may_repeat and came.status in _PASSING)


def read(came: Answer) -> Answered:
    """Read an answer: as the JSON it is, else as text. One that was too long is left."""
    body = None if came.is_cut or not came.body.strip() else _readable(came.body)
    refused = None
    if came.status >= 300:
        refused = body if isinstance(body, str) else came.body.decode(errors="replace")
    return Answered(came.status, body, refused[:LONGEST_REFUSAL] if refused else None)


def sealed_headers(seal: Sealer, tenant: UUID, rule: UUID, headers: Mapping[str, str]) -> str:
    """Seal headers as a rule keeps them."""
    return seal.seal(msgspec.json.encode(headers), tenant=tenant, purpose=_purpose(rule)).hex()


def opened_headers(seal: Sealer, tenant: UUID, rule: UUID, sealed: str | Mapping[str, str] | None) -> Mapping[str, str]:
    """Open what `sealed_headers` made; what was applied before headers were sealed is plain. Raises: BadSecretKey."""
    if not isinstance(sealed, str):
        return sealed or {}
    plain = seal.open(bytes.fromhex(sealed), tenant=tenant, purpose=_purpose(rule))
    return msgspec.json.decode(plain, type=dict[str, str])


def _purpose(rule: UUID) -> str:
    return f"headers of operation {rule}"


def _readable(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")
