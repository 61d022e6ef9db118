"""The vendor's filter language: text in, a tree of comparisons out. What they mean stands in `filters`.

    expr := or ;  or := and ("or" and)* ;  and := not ("and" not)* ;  not := "not" not | "(" expr ")" | prim
    prim := field op value | field ("in"|"ca") "(" value ("," value)* ")" | field "isnull" | "pr" field

Source: SailPoint contract §5; the vendor's page "Standard collection parameters".
"""

import re
from typing import Final, TypeAlias

from msgspec import Struct

LONGEST: Final = 8_000  # characters of a filter
DEEPEST: Final = 50  # levels of parentheses and of `not`
MOST: Final = 100  # comparisons

ONE: Final = frozenset({"eq", "ne", "co", "sw", "gt", "ge", "lt", "le"})
MANY: Final = frozenset({"in", "ca"})
_WORDS: Final = ONE | MANY | {"and", "or", "not", "isnull", "pr"}

_TOKEN: Final = re.compile(r'\s*(?:(?P<mark>[(),])|"(?P<quoted>(?:[^"\\]|\\["\\])*)"|(?P<bare>[^\s(),"]+))')
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]*\Z")


class BadFilter(Exception):
    """The text is no filter. Says why, for people."""


class Comparison(Struct, frozen=True):
    """`field op value`; several values for `in` and `ca`, none for `isnull` and `pr`."""

    field: str
    op: str
    values: tuple[str, ...] = ()


class And(Struct, frozen=True):
    members: "tuple[Filter, ...]"


class Or(Struct, frozen=True):
    members: "tuple[Filter, ...]"


class Not(Struct, frozen=True):
    member: "Filter"


Filter: TypeAlias = Comparison | And | Or | Not


def parse(text: str) -> Filter:
    """Read a filter. Raises `BadFilter`."""
    if len(text) > LONGEST:
        raise BadFilter(f"a filter may be at most {LONGEST} characters long")
    reader = _Reader(_tokens(text))
    found = reader.any_of(0)
    if reader.left:
        raise BadFilter(f"did not expect {reader.peek()!r}")
    return found


class _Token(Struct, frozen=True):
    text: str
    is_quoted: bool = False

    def __repr__(self) -> str:
        return f'"{self.text}"' if self.is_quoted else self.text


def _tokens(text: str) -> list[_Token]:
    found, place, end = [], 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise BadFilter(f"cannot read the filter from character {place + 1}")
        place = match.end()
        quoted = match["quoted"]
        if quoted is not None:
            found.append(_Token(re.sub(r"\\(.)", r"\1", quoted), is_quoted=True))
        else:
            found.append(_Token(match["mark"] or match["bare"]))
    return found


class _Reader:
    """Takes tokens from the front."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.left = tokens[::-1]
        self._compared = 0

    def peek(self) -> _Token | None:
        return self.left[-1] if self.left else None

    def any_of(self, depth: int) -> Filter:
        members = [self._all_of(depth)]
        while self._takes("or"):
            members.append(self._all_of(depth))
        return members[0] if len(members) == 1 else Or(tuple(members))

    def _all_of(self, depth: int) -> Filter:
        members = [self._one(depth)]
        while self._takes("and"):
            members.append(self._one(depth))
        return members[0] if len(members) == 1 else And(tuple(members))

    def _one(self, depth: int) -> Filter:
        if depth > DEEPEST:
            raise BadFilter(f"a filter may be at most {DEEPEST} levels deep")
        if self._takes("not"):
            return Not(self._one(depth + 1))
        if self._takes("("):
            inner = self.any_of(depth + 1)
            self._demand(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Comparison:
        self._compared += 1
        if self._compared > MOST:
            raise BadFilter(f"a filter may have at most {MOST} comparisons")
        if self._takes("pr"):
            return Comparison(self._field(), "pr")
        field = self._field()
        op = self._next()
        if op.is_quoted or op.text not in ONE | MANY | {"isnull"}:
            raise BadFilter(f"{op!r} is no operator")
        if op.text == "isnull":
            return Comparison(field, op.text)
        if op.text in ONE:
            return Comparison(field, op.text, (self._value(),))
        self._demand("(")
        values = [self._value()]
        while self._takes(","):
            values.append(self._value())
        self._demand(")")
        return Comparison(field, op.text, tuple(values))

    def _field(self) -> str:
        token = self._next()
        if token.is_quoted or token.text in _WORDS or not _FIELD.match(token.text):
            raise BadFilter(f"{token!r} is no field")
        return token.text

    def _value(self) -> str:
        token = self._next()
        if not token.is_quoted and token.text in ("(", ")", ","):
            raise BadFilter(f"a value was expected, not {token!r}")
        return token.text

    def _takes(self, word: str) -> bool:
        token = self.peek()
        if token is None or token.is_quoted or token.text != word:
            return False
        self.left.pop()
        return True

    def _demand(self, mark: str) -> None:
        token = self._next()
        if token.is_quoted or token.text != mark:
            raise BadFilter(f"{mark} was expected, not {token!r}")

    def _next(self) -> _Token:
        if not self.left:
            raise BadFilter("the filter ends too soon")
        return self.left.pop()
