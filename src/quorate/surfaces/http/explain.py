"""Says everything that is wrong with an input, field by field.

msgspec decides whether an input fits a struct and stops at the first thing that does not. Only then
does this walk the input beside the type and collect every fault in words for people. So the type stays
the one description (the OpenAPI document is made from it too), and what is accepted is never a matter
of two opinions.
"""

import functools
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import inspect

from quorate.surfaces.http.problems import Detail

MOST_DETAILS = 100  # A hundred faults say enough; an answer does not grow with the input.


def faults(value: Any, kind: Any, *, lax: bool, otherwise: str) -> tuple[Detail, ...]:
    """List what keeps a plain value (dicts, lists, text, numbers) from being a `kind`.

    Args:
        lax: the value comes from a query or a form, where numbers and booleans are text.
        otherwise: the message when this finds nothing that msgspec found; never an empty answer.
    """
    found: list[Detail] = []
    for detail in _walk(value, _type(kind), "", lax):
        found.append(detail)
        if len(found) == MOST_DETAILS:
            break
    return tuple(found) or (Detail(otherwise),)


def _walk(value: Any, kind: inspect.Type, path: str, lax: bool) -> Iterator[Detail]:
    match kind:
        case inspect.Metadata(inner):
            yield from _walk(value, inner, path, lax)
        case inspect.CustomType() | inspect.AnyType() | inspect.RawType():
            return
        case inspect.UnionType(types):
            yield from _walk_union(value, types, path, lax)
        case inspect.StructType():
            yield from _walk_struct(value, kind, path, lax)
        case inspect.ListType(item) | inspect.VarTupleType(item) | inspect.SetType(item) | inspect.FrozenSetType(item):
            yield from _walk_list(value, item, kind, path, lax)
        case inspect.DictType(_, of):
            if not isinstance(value, dict):
                yield _detail(path, "must be an object")
            else:
                for key, inner in value.items():
                    yield from _walk(inner, of, _under(path, str(key)), lax)
        case _:
            message = _leaf(value, kind, lax)
            if message is not None:
                yield _detail(path, message)


def _walk_struct(value: Any, kind: inspect.StructType, path: str, lax: bool) -> Iterator[Detail]:
    if not isinstance(value, dict):
        yield _detail(path, "must be an object")
        return
    if kind.tag_field is not None and value.get(kind.tag_field) != kind.tag:
        yield _detail(_under(path, kind.tag_field), f"must be {kind.tag}")
    for one in kind.fields:
        name = _under(path, one.encode_name)
        if one.encode_name in value:
            yield from _walk(value[one.encode_name], one.type, name, lax)
        elif one.required:
            yield _detail(name, "is required")


def _walk_list(value: Any, item: inspect.Type, kind: Any, path: str, lax: bool) -> Iterator[Detail]:
    if not isinstance(value, list | tuple):
        yield _detail(path, "must be a list")
        return
    if kind.min_length is not None and len(value) < kind.min_length:
        yield _detail(path, "must not be empty" if kind.min_length == 1 else f"must have {kind.min_length} or more")
    if kind.max_length is not None and len(value) > kind.max_length:
        yield _detail(path, f"must have at most {kind.max_length}")
    for index, inner in enumerate(value):
        yield from _walk(inner, item, f"{path}[{index}]", lax)


def _walk_union(value: Any, types: Sequence[inspect.Type], path: str, lax: bool) -> Iterator[Detail]:
    """A union is met by any member. Of several, the fullest explanation is that of the member of the same shape."""
    if value is None and any(isinstance(one, inspect.NoneType) for one in types):
        return
    members = [one for one in types if not isinstance(one, inspect.NoneType)]
    if len(members) == 1:
        yield from _walk(value, members[0], path, lax)
        return
    explained = [list(_walk(value, one, path, lax)) for one in members]
    if not all(explained):
        return
    inside = [found for found in explained if any(detail.field != (path or None) for detail in found)]
    if inside:
        yield from min(inside, key=len)
    else:
        yield _detail(path, " or ".join(dict.fromkeys(found[0].message for found in explained)))


def _leaf(value: Any, kind: inspect.Type, lax: bool) -> str | None:
    match kind:
        case inspect.StrType():
            return _text(value, kind)
        case inspect.BoolType():
            fits = isinstance(value, bool) or (lax and str(value).lower() in ("true", "false", "1", "0"))
            return None if fits else "must be true or false"
        case inspect.IntType() | inspect.FloatType():
            return _number(value, kind, lax)
        case inspect.EnumType(cls):
            words = [member.value for member in cls]
        case inspect.LiteralType(values):
            words = list(values)
        case inspect.NoneType():
            return None if value is None else "must be null"
        case inspect.UUIDType():
            return None if _converts(value, kind) else "must be a UUID"
        case inspect.DateTimeType():
            return None if _converts(value, kind) else "must be a moment like 2026-01-31T12:00:00Z"
        case _:
            return None
    if lax and any(str(word) == value for word in words):
        return None
    same = any(word == value and isinstance(word, bool) == isinstance(value, bool) for word in words)
    return None if same else "must be one of " + ", ".join(map(str, words))


def _text(value: Any, kind: inspect.StrType) -> str | None:
    if not isinstance(value, str):
        return "must be text"
    if kind.min_length is not None and len(value) < kind.min_length:
        return "must not be blank" if kind.min_length == 1 else f"must have {kind.min_length} or more characters"
    if kind.max_length is not None and len(value) > kind.max_length:
        return f"must have at most {kind.max_length} characters"
    if kind.pattern is not None and not _converts(value, kind):
        return "must not be blank" if kind.pattern == r"\S" else f"must match {kind.pattern}"
    return None


def _number(value: Any, kind: inspect.IntType | inspect.FloatType, lax: bool) -> str | None:
    whole = isinstance(kind, inspect.IntType)
    if lax and isinstance(value, str):
        try:
            value = int(value) if whole else float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        # msgspec takes 3.0 for 3 nowhere, and so do we: one spelling per value.
        return "must be an integer" if whole else "must be a number"
    if kind.ge is not None and value < kind.ge:
        return f"must be {kind.ge} or more"
    if kind.le is not None and value > kind.le:
        return f"must be {kind.le} or less"
    if kind.gt is not None and value <= kind.gt:
        return f"must be more than {kind.gt}"
    if kind.lt is not None and value >= kind.lt:
        return f"must be less than {kind.lt}"
    return None


def _converts(value: Any, kind: inspect.Type) -> bool:
    python: Any = str
    constraint: tuple[str, Any] | None = None
    match kind:
        case inspect.UUIDType():
            python = UUID
        case inspect.DateTimeType(tz):
            python, constraint = datetime, ("tz", tz)
        case inspect.StrType(_, _, pattern):
            constraint = ("pattern", pattern)
        case _:
            raise AssertionError(kind)
    try:
        msgspec.convert(value, _annotated(python, constraint))
    except msgspec.ValidationError:
        return False
    return True


@functools.cache
def _annotated(python: Any, constraint: tuple[str, Any] | None) -> Any:
    return Annotated[python, msgspec.Meta(**dict([constraint]))] if constraint else python


@functools.cache
def _type(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _detail(path: str, message: str) -> Detail:
    return Detail(message, path or None)
