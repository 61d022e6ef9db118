"""Operations: a call that waits for approval, which rule it falls under, and what becomes of it once approved."""

import enum
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote
from uuid import UUID

from msgspec import Struct

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
EXPIRY_S: Final = 30 * 24 * 3600
"""How long an operation may be decided, and its result fetched, unless the tenant says otherwise.

Source: Fortanix contract §4.
"""


class Retry(enum.StrEnum):
    """May a call be repeated of which it is not known whether it arrived? `always`: its receiver knows a repeat."""

    NEVER = "never"
    ALWAYS = "always"


class Internal(Struct, frozen=True, tag="internal"):
    """One of our own administrative use cases, done as the requester."""


class Reply(Struct, frozen=True, tag="reply"):
    """A fixed answer."""

    status: int
    body: Any = None


class Call(Struct, frozen=True, tag="call", omit_defaults=True):
    """A call to somebody else. In `url`, `{name}` stands for what the path has there."""

    url: str
    retry: Retry = Retry.NEVER
    timeout_s: int = 30


Execute = Internal | Reply | Call


class Operation(Struct, frozen=True, omit_defaults=True):
    """What was asked, as it was written, and how it is carried out once approved: fixed at submission.

    `rule` is the id of what said so; the headers of a call stay there, because they may be secret.
    """

    method: str
    path: str
    rule: UUID
    execute: Execute
    body: Any = None
    params: dict[str, str] = {}


class State(enum.StrEnum):
    """What became of an approved operation. Unknown: it was sent, and nobody can say whether it arrived."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        return self not in (State.WAITING, State.RUNNING)

    @classmethod
    def after(cls, status: int) -> "State":
        """Say what an answer with this HTTP status means."""
        return cls.SUCCEEDED if 200 <= status < 300 else cls.FAILED


class Execution(Struct, frozen=True):
    """One carrying out. `status` is the HTTP status it produced, `failure` a sentence that says why there is none.

    `viewed_at`: when its requester first fetched the result.
    """

    id: UUID
    request: UUID
    state: State
    created_at: datetime
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    status: int | None = None
    failure: str | None = None
    viewed_at: datetime | None = None


class Templated(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...


Rule = TypeVar("Rule", bound=Templated)


def segments(path: str) -> tuple[str, ...]:
    """Take a path apart. A leading slash and what follows a `?` or `#` say nothing; an id is in lower case."""
    plain = path.partition("#")[0].partition("?")[0]
    return tuple(_canonical(part) for part in plain.removeprefix("/").split("/"))


def match(template: str, path: str) -> dict[str, str] | None:
    """Say what a template's parameters stand for in a path; None when it is not of this shape.

    A parameter takes one whole segment, which is neither empty nor `.` nor `..`.
    """
    wanted, given = segments(template), segments(path)
    if len(wanted) != len(given):
        return None
    found = {}
    for want, have in zip(wanted, given, strict=True):
        if not is_parameter(want):
            if want != have:
                return None
        elif have in ("", ".", ".."):
            return None
        else:
            found[want[1:-1]] = have
    return found


def closest(rules: Iterable[Rule], method: str, path: str) -> tuple[Rule, dict[str, str]] | None:
    """Find the rule a call falls under, and what its parameters stand for. The one with the longest literals wins."""
    found = [
        (rule, params)
        for rule in rules
        if rule.method == method.upper() and (params := match(rule.path, path)) is not None
    ]
    return max(found, key=lambda one: _literal(one[0].path), default=None)


def shape(path: str) -> tuple[str, ...]:
    """Give a template without the names of its parameters: two of one shape match the same paths."""
    return tuple("{}" if is_parameter(part) else part for part in segments(path))


def parameters(template: str) -> tuple[str, ...]:
    """Name the parameters of a template, in order."""
    return tuple(part[1:-1] for part in segments(template) if is_parameter(part))


def is_parameter(segment: str) -> bool:
    return len(segment) > 2 and segment.startswith("{") and segment.endswith("}")


def filled(url: str, params: Mapping[str, str]) -> str:
    """Put what a path's parameters stand for into a URL, each escaped, so that it stays what it stands for."""
    for name, value in params.items():
        url = url.replace(f"{{{name}}}", quote(value, safe=""))
    return url


def _literal(template: str) -> tuple[int, tuple[bool, ...]]:
    parts = segments(template)
    return sum(len(part) for part in parts if not is_parameter(part)), tuple(not is_parameter(part) for part in parts)


def _canonical(part: str) -> str:
    """Give an id its one spelling: whoever writes it in capitals means the same thing."""
    if len(part) == 36:
        try:
            return str(UUID(part))
        except ValueError:
            return part
    return part
