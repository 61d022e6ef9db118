"""The kinds of value a file may hold: each a function of reader, value and path that gives the value as we use it."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from quorate.app.definitions import as_given, read_leaf, read_leaves, read_steps
from quorate.app.timing import read_escalations, read_reminders
from quorate.app.values import MAX_NAME, MAX_TEXT, Reader, is_storable, suggestion
from quorate.domain.permissions import KNOWN
from quorate.domain.workflows import Leaf

Field = Callable[[Reader, object, str], Any]

YEAR_S: Final = 366 * 86400


def name(reader: Reader, value: object, path: str) -> str:
    return _quoted(reader, value, path, MAX_NAME)


def text(reader: Reader, value: object, path: str) -> str:
    """Free text, which may be empty."""
    return "" if value == "" else _quoted(reader, value, path, MAX_TEXT)


def cedar(reader: Reader, value: object, path: str) -> str:
    """The text of a policy, exactly as written, so that its lines count as they stand there. It may be empty."""
    if not isinstance(value, str):
        reader.wrong(path, "must be text: put it in quotes")
    elif not is_storable(value):
        reader.wrong(path, "has characters that are no text")
    else:
        return value
    return ""


def secret(reader: Reader, value: object, path: str) -> str:
    """A secret, exactly as written; never part of a problem."""
    if not isinstance(value, str):
        reader.wrong(path, "must be text: put it in quotes")
    elif not 1 <= len(value) <= 1024 or not is_storable(value):
        reader.wrong(path, "must have 1 to 1024 characters that are text")
    else:
        return value
    return ""


def flag(reader: Reader, value: object, path: str) -> bool | None:
    return reader.flag(value, path)


def uuid(reader: Reader, value: object, path: str) -> UUID | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        return UUID(value)
    reader.wrong(path, "must be a UUID, like 3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a")
    return None


def moment(reader: Reader, value: object, path: str) -> datetime | None:
    """A moment with its offset, in UTC."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is not None and at.tzinfo is not None and 1970 < at.year < 9000:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    reader.wrong(path, "must be a moment with its offset, like 2026-03-02T12:00:00Z")
    return None


def slug(reader: Reader, value: object, path: str) -> str:
    found = name(reader, value, path)
    if found and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", found):
        reader.wrong(path, "must be lower-case letters, digits and dashes, at most 63")
    return found


def permission(reader: Reader, value: object, path: str) -> str:
    found = name(reader, value, path)
    if found and found not in KNOWN:
        reader.wrong(path, f"there is no permission {found!r}{suggestion(found, KNOWN)}")
    return found


def web_address(reader: Reader, value: object, path: str) -> str:
    found = _quoted(reader, value, path, 2000)
    try:
        parts = urlsplit(found)
        fits = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        fits = False
    if found and not fits:
        reader.wrong(path, "must be an address like https://host/path")
    return found


def base64url(reader: Reader, value: object, path: str) -> str:
    found = _quoted(reader, value, path, 2000)
    if found and not re.fullmatch(r"[A-Za-z0-9_-]+", found):
        reader.wrong(path, "must be base64url without padding")
    return found


def whole(least: int, most: int) -> Field:
    return lambda reader, value, path: reader.whole(value, path, least, most)


def word(*words: str) -> Field:
    def read(reader: Reader, value: object, path: str) -> str:
        if value not in words or not isinstance(value, str):
            reader.wrong(path, f"must be one of {', '.join(words)}{suggestion(value, words)}")
            return words[0]
        return value

    return read


def each(field: Field, *, unique: bool = True) -> Field:
    """A list. `unique`: nothing may stand in it twice."""

    def read(reader: Reader, value: object, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            reader.wrong(path, "must be a list")
            return ()
        found = [field(reader, item, f"{path}[{index}]") for index, item in enumerate(value)]
        for index, item in enumerate(found) if unique and all(isinstance(item, str) for item in found) else ():
            if item and item in found[:index]:
                reader.wrong(f"{path}[{index}]", "stands here twice")
        return tuple(found)

    return read


def table(fields: Mapping[str, Field], *required: str) -> Field:
    """An object: what is written in it, key by key. A key whose value is null is kept as None."""

    def read(reader: Reader, value: object, path: str) -> dict[str, Any]:
        return read_table(reader, value, path, fields, required)

    return read


def read_table(
    reader: Reader, value: object, path: str, fields: Mapping[str, Field], required: tuple[str, ...]
) -> dict[str, Any]:
    given = reader.fields(value, path, tuple(fields))
    if given is None:
        return {}
    for key in required:
        if given.get(key) is None:
            reader.wrong(path, f"{key} is needed")
    inside = f"{path}." if path else ""
    return {
        key: None if item is None else fields[key](reader, item, f"{inside}{key}")
        for key, item in given.items()
        if key in fields
    }


def anything(reader: Reader, value: object, path: str) -> Any:
    """Any value that JSON knows, as plain lists and objects."""
    match value:
        case Mapping():
            return {_key(reader, key, path): anything(reader, item, f"{path}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [anything(reader, item, f"{path}[{index}]") for index, item in enumerate(value)]
        case str() if not is_storable(value):
            reader.wrong(path, "has characters that are no text")
            return ""
        case _:
            return value


def free_table(reader: Reader, value: object, path: str) -> dict[str, Any]:
    """An object of any content."""
    if not isinstance(value, Mapping):
        reader.wrong(path, "must be an object")
        return {}
    found: dict[str, Any] = anything(reader, value, path)
    return found


def public_key(reader: Reader, value: object, path: str) -> dict[str, str]:
    """A public key as a JWK: every member is text, and `kty` is one of them. Source: RFC 7517 §4.1."""
    found = free_table(reader, value, path)
    if isinstance(value, Mapping) and "kty" not in found:
        reader.wrong(path, "must have a kty")
    for key, item in found.items():
        if not isinstance(item, str):
            reader.wrong(f"{path}.{key}", "must be text")
    return found


def headers(reader: Reader, value: object, path: str) -> dict[str, str]:
    found = free_table(reader, value, path)
    for key, item in found.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", key):
            reader.wrong(f"{path}.{key}", "is no name of a header")
        if not isinstance(item, str) or not re.fullmatch(r"[\t -~\x80-\xff]{0,4000}", item):
            reader.wrong(f"{path}.{key}", "must be text of one line")
    return found


def steps(reader: Reader, value: object, path: str) -> object:
    """The steps of a workflow: checked here for their shape, kept as written until names can be resolved."""
    reader.problems += read_steps(value, as_given, path=path, strict=True)[1]
    return value


def leaves(reader: Reader, value: object, path: str) -> object:
    """A list of approvers: checked for its shape, kept as written."""
    reader.problems += read_leaves(value, as_given, path=path, strict=True)[1]
    return value


def one_leaf(reader: Reader, value: object, path: str) -> object:
    """One approver: checked for its shape, kept as written."""
    reader.problems += read_leaf(value, as_given, path=path, strict=True)[1]
    return value


def reminders(reader: Reader, value: object, path: str) -> object:
    """When steps remind: checked here, kept as written."""
    read_reminders(reader, value, path)
    return value


def escalations(reader: Reader, value: object, path: str) -> object:
    """Who join steps and when: checked for its shape, kept as written until names can be resolved."""

    def shaped(items: object, at: str) -> tuple[Leaf, ...]:
        found, wrong = read_leaves(items, as_given, path=at, strict=True)
        reader.problems += wrong
        return found

    read_escalations(reader, value, path, shaped)
    return value


def span(**units: int) -> Field:
    """A duration such as `{value: 5, unit: days}`; of each unit at most so many."""
    fields = {"value": whole(1, YEAR_S), "unit": word(*units)}

    def read(reader: Reader, value: object, path: str) -> dict[str, Any]:
        before = len(reader.problems)
        found = read_table(reader, value, path, fields, ("value", "unit"))
        if len(reader.problems) == before and found["value"] > units[found["unit"]]:
            reader.wrong(f"{path}.value", f"must be at most {units[found['unit']]} {found['unit']}")
        return found

    return read


def _quoted(reader: Reader, value: object, path: str, most: int) -> str:
    if isinstance(value, bool | int | float):
        reader.wrong(path, "must be text: put it in quotes")
        return ""
    return reader.text(value, path, most)


def _key(reader: Reader, key: str, path: str) -> str:
    if not is_storable(key):
        reader.wrong(path, "has a key whose characters are no text")
        return ""
    return key
