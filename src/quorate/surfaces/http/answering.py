"""Answers: bytes made with msgspec, and the few headers every surface shares."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.responses import Response

from quorate.surfaces.http.problems import BadInput

JSON = "application/json"


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer a value as JSON.

    Moments inside a value are written by msgspec with offset and fraction; a contract with another
    spelling takes `moment` into its structs.
    """
    return Response(_encode(value), status, headers, JSON)


def moment(at: datetime) -> str:
    """Write a moment as `YYYY-MM-DDTHH:MM:SSZ`, the fraction cut off (native contract b.1)."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_or_none(at: datetime | None) -> str | None:
    return None if at is None else moment(at)


def etag(*parts: object) -> str:
    """Make a strong entity tag from what identifies a version, for instance an id and `updated_at`."""
    text = "\x1f".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in parts)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def matches(if_match: str | None, current: str) -> bool:
    """Whether a caller's `If-Match` admits the current version. An absent header admits any.

    Raises:
        BadInput: the header is no list of entity tags. (A weak tag never matches: RFC 9110 §13.1.1.)
    """
    if if_match is None or if_match.strip() == "*":
        return True
    tags = [tag.strip() for tag in if_match.split(",") if tag.strip()]
    if not tags or not all(tag.removeprefix("W/").startswith('"') and tag.endswith('"') for tag in tags):
        raise BadInput.at("If-Match", "must be an entity tag in double quotes, or *")
    return current in tags


_encode = msgspec.json.Encoder().encode
