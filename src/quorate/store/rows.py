"""Values to rows and back, many at a time.

A batch of values travels as one JSON array, which `jsonb_to_recordset` turns into rows: unlike parallel arrays it can
carry lists and objects in a column. Fields are named like the columns; bytes arrive as base64.
"""

from collections.abc import Iterable
from typing import TypeVar

import msgspec
from asyncpg import Record

Value = TypeVar("Value", bound=msgspec.Struct)


def encoded(values: Iterable[msgspec.Struct]) -> bytes:
    """The JSON array that stands for these values in a statement."""
    return msgspec.json.encode(list(values))


def decoded(kind: type[Value], row: Record, *json: str) -> Value:
    """The value a row stands for; `json` names its jsonb columns."""
    values = dict(row)
    for column in json:
        if values[column] is not None:
            values[column] = msgspec.json.decode(values[column])
    return msgspec.convert(values, kind)
