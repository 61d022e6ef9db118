"""What can be wrong with an HTTP call itself, before any use case has a say.

A surface puts each of these, and every `Refusal` of the use cases, into its own words. None knows a
status code: which one a vendor answers is the vendor's affair.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong with the input. `field` is dotted and indexed: `steps[0].order`."""

    message: str
    field: str | None = None


class Found(Protocol):
    """What a use case found wrong with something written, for instance with a workflow's steps."""

    @property
    def path(self) -> str: ...
    @property
    def message(self) -> str: ...


class Problem(Exception):
    """The call itself is at fault (or, for `InternalError`, we are)."""


@dataclass(eq=False)
class BadInput(Problem):
    """The body, the query or a header does not fit. All that is wrong is in `details`."""

    details: tuple[Detail, ...]

    @classmethod
    def at(cls, name: str | None, message: str) -> "BadInput":
        """Make the problem of one field; None for the input as a whole."""
        return cls((Detail(message, name),))

    @classmethod
    def of(cls, found: Iterable[Found]) -> "BadInput":
        """Make the problem of what a use case found; an empty path is the input as a whole."""
        return cls(tuple(Detail(one.message, one.path or None) for one in found))


@dataclass(eq=False)
class TooLarge(BadInput):
    """The body is longer than we read. A surface that has no word for it answers its `BadInput`."""

    limit_bytes: int = 0


@dataclass(eq=False)
class NoSuchPath(Problem):
    """Nothing stands at this path."""


@dataclass(eq=False)
class WrongMethod(Problem):
    """The path exists, the method does not. The plumbing adds the `Allow` header."""

    allowed: tuple[str, ...]


@dataclass(eq=False)
class InternalError(Problem):
    """We made a mistake. The log has it under `request_id`; the caller learns no more than that."""

    request_id: str


@dataclass(eq=False)
class TryAgain(Problem):
    """Nothing is wrong with the call: the database is away for a moment, or this server is about to stop.

    The plumbing raises it, and adds the `Retry-After` header.
    """

    retry_after_s: int = 1


@dataclass(eq=False)
class CallerGone(Exception):
    """The caller hung up before the body was complete; there is nobody to answer."""

    request_id: str = field(default="")


V = TypeVar("V")


def entry(table: Mapping[type[Any], V], no: BaseException) -> V:
    """Look a problem or refusal up in a table by its class, else by the nearest class above it.

    Raises:
        KeyError: neither is there.
    """
    for kind in type(no).__mro__:
        if kind in table:
            return table[kind]
    raise KeyError(type(no).__name__)


PROBLEMS: tuple[type[Problem], ...] = (BadInput, TooLarge, NoSuchPath, WrongMethod, InternalError, TryAgain)
