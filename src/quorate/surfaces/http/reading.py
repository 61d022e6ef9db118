"""Reading what a caller sends, so that past this file a handler holds values, not hopes.

Limits: 1 MB of body (by `Content-Length` before reading, and counted while reading) and 64 levels
(before decoding). Content types are tolerated: a body is taken for JSON. Refused anywhere in a body,
because PostgreSQL or the history's canonical form could not keep them: the NUL character, lone
surrogates, integers beyond 64 bits, NaN and infinity. Of a key given twice the last one counts.
"""

import asyncio
import functools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import HTTP
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from quorate.surfaces.http.call import Http
from quorate.surfaces.http.explain import faults
from quorate.surfaces.http.problems import BadInput, CallerGone, Detail, TooLarge

T = TypeVar("T")

BODY_LIMIT = 1_000_000  # bytes
DEPTH_LIMIT = 64  # nested objects and lists
FIELDS_LIMIT = 200  # parameters of a query or a form
BODY_TIMEOUT_S = 30.0  # for the whole body, so that nobody holds a call open drop by drop

# One alternative always matches at a quote, to the end if need be, so that the scan stays linear.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# What the slow look is for: an escaped NUL, or digits enough to leave 64 bits.
_SUSPECT = re.compile(rb"\\u0000|[0-9]{19}")
_WIDEST = 2**63


async def body(http: Http[Any], kind: type[T], *, optional: bool = False) -> T:
    """Read the body as a `kind`, by the struct's types and constraints.

    Args:
        optional: an empty body counts as `{}`.

    Raises:
        BadInput: with all that is wrong, field by field.
        TooLarge: it is longer than `BODY_LIMIT`.
        CallerGone: the caller hung up.
    """
    return decoded(await raw_body(http), kind, optional=optional)


def decoded(data: bytes, kind: type[T], *, optional: bool = False) -> T:
    """Decode JSON text as a `kind`. Raises `BadInput`."""
    if not data.strip():
        if not optional:
            raise BadInput.at(None, "a JSON body is required")
        data = b"{}"
    if deeper_than(data, DEPTH_LIMIT):
        raise BadInput.at(None, f"the body is nested deeper than {DEPTH_LIMIT} levels, or not JSON")
    try:
        if _SUSPECT.search(data):
            _demand_storable(_plain(data))
        value: T = _decoder(kind).decode(data)
        return value
    except msgspec.ValidationError as wrong:
        raise BadInput(_explained(data, kind, str(wrong))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadInput.at(None, "the body is not valid JSON") from None


async def raw_body(http: Http[Any], limit: int = BODY_LIMIT) -> bytes:
    """Read the body's bytes; one that is too long is not read to its end.

    Raises `TooLarge`, `CallerGone`, or `BadInput` when it takes more than `BODY_TIMEOUT_S`.
    """
    said = http.headers.get("content-length")
    if said is not None and said.isdecimal() and int(said[:20]) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _received(http, limit)
    except TimeoutError:
        raise BadInput.at(None, f"the body did not arrive within {BODY_TIMEOUT_S:.0f} seconds") from None


async def _received(http: Http[Any], limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await http.receive()
        if message["type"] == "http.disconnect":
            raise CallerGone(http.request_id)
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def query(http: Http[Any], kind: type[T]) -> T:
    """Read the query as a flat struct; numbers and booleans are text there.

    A parameter left blank counts as absent; of one given twice the last one counts; unknown ones are
    ignored. Raises `BadInput`.
    """
    return _lax(_pairs(http.scope["query_string"]), kind)


async def form(http: Http[Any], kind: type[T]) -> T:
    """Read fields from a form of either content type, else from the query, as a flat struct by the rules of `query`."""
    data, of_type = await raw_body(http), http.headers.get("content-type", "")
    given = _parts(of_type, data) if of_type.lower().startswith("multipart/form-data") else _pairs(data)
    return _lax(_pairs(http.scope["query_string"]) | given, kind)


def _parts(of_type: str, data: bytes) -> dict[str, str]:
    """Take a `multipart/form-data` body apart. Files and other parts without a text are passed over."""
    head = f"Content-Type: {of_type}\r\n\r\n".encode("latin-1", "replace")
    whole = message_from_bytes(head + data, policy=HTTP)
    found: dict[str, str] = {}
    for part in islice(whole.walk(), FIELDS_LIMIT + 2):
        name = part.get_param("name", header="content-disposition")
        text = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(text, bytes) and part.get_filename() is None:
            found[name] = text.decode("utf-8", "replace").removesuffix("\r\n")
    if len(found) > FIELDS_LIMIT or any("\0" in value for value in found.values()):
        raise BadInput.at(None, "the form is not valid")
    return {name: value for name, value in found.items() if value.strip()}


def storable(at: datetime, name: str) -> datetime:
    """Give a moment in UTC, as the database keeps it. Raises `BadInput`: its year there is below 1 or above 9999."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise BadInput.at(name, "must be in the years 1 to 9999") from None


def deeper_than(data: bytes, levels: int) -> bool:
    """Whether JSON text nests deeper than that. Text whose brackets do not pair may count as deeper too.

    Brackets outside strings are kept, and the innermost pairs removed once a level: all at C speed.
    """
    if data.count(b"[") + data.count(b"{") <= levels:
        return False
    shape = _STRINGS.sub(b"", data).translate(_TO_SQUARE, _NOT_BRACKETS)
    for _ in range(levels):
        if not shape:
            return False
        shape = shape.replace(b"[]", b"")
    return bool(shape)


def _pairs(text: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=False, errors="strict", max_num_fields=FIELDS_LIMIT)
    except (UnicodeDecodeError, ValueError):
        raise BadInput.at(None, "the parameters are not valid") from None
    bad = [name for name, value in pairs if "\0" in value]
    if bad:
        raise BadInput(tuple(Detail("must not hold the NUL character", name) for name in dict.fromkeys(bad)))
    return {name: value for name, value in pairs if value.strip()}


def _lax(values: dict[str, str], kind: type[T]) -> T:
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as wrong:
        raise BadInput(faults(values, kind, lax=True, otherwise=str(wrong))) from None


def _explained(data: bytes, kind: type[Any], otherwise: str) -> tuple[Detail, ...]:
    try:
        plain = _plain(data)
    except msgspec.MsgspecError:
        return (Detail(otherwise),)
    return faults(plain, kind, lax=False, otherwise=otherwise)


def _demand_storable(value: Any) -> None:
    found = tuple(Detail(message, path or None) for path, message in _unstorable(value, ""))
    if found:
        raise BadInput(found[:100])


def _unstorable(value: Any, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case str() if "\0" in value:
            yield path, "must not hold the NUL character"
        case int() if not -_WIDEST <= value < _WIDEST:
            yield path, "must fit 64 bits"
        case list():
            for index, inner in enumerate(value):
                yield from _unstorable(inner, f"{path}[{index}]")
        case dict():
            for key, inner in value.items():
                if "\0" in key:
                    yield path, "must not have names that hold the NUL character"
                yield from _unstorable(inner, f"{path}.{key}" if path else key)
        case _:
            return


def _too_large(limit: int) -> TooLarge:
    return TooLarge((Detail(f"the body is longer than {limit} bytes"),), limit)


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return _made(kind)


@functools.cache
def _made(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


_plain = msgspec.json.Decoder().decode
