"""Text to values that remember their lines. YAML (with the plain truth values of 1.2: `on` and `no` are text) or JSON.

Built from the parser's events and without recursion, so that neither depth nor aliases can hurt: nesting and the
size that aliases unfold to are bounded.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 40
MAX_REPEATED: Final = 100_000  # values that aliases may add to what is written out

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TRUTHS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
# A number with leading zeros is text: whoever wrote it means a code.
_WHOLE: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_REAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")
_STEP: Final = re.compile(r"\[([0-9]+)\]|([^.\[\]]+)")


class Misread(Exception):
    """The text is no YAML or JSON we take. `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class Table(dict[str, Any]):
    """An object that knows the line each key stands on."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class Series(list[Any]):
    """A list that knows the line each item starts on."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


def read(text: str) -> Any:
    """Read one document: Table, Series, str, int, float, bool or None.

    Raises:
        Misread: it is malformed, has an object with the same key twice, a tag, more than one document,
            is nested too deeply or unfolds to too much.
    """
    if len(text) > MAX_BYTES:
        raise Misread(1, f"the file has more than {MAX_BYTES} characters")
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] in ("{", "["):
        text = _as_yaml(text)
    try:
        return _Builder().build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.rstrip().count("\n")) if mark else 0
        raise Misread(line + 1, error.problem or "is malformed") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        raise Misread(before.count("\n") + 1, "has a character that no text file may have") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise Misread(1, str(error).splitlines()[0][:200] if str(error) else "is malformed") from None


def line_of(value: Any, path: str) -> int:
    """Find the line of what a path like `tenants[0].users[3].login` leads to, or of the nearest thing above it."""
    line = value.line if isinstance(value, Table | Series) else 1
    for index, key in _STEP.findall(path):
        if isinstance(value, Series) and index and int(index) < len(value):
            line, value = value.lines[int(index)], value[int(index)]
        elif isinstance(value, Table) and key in value:
            line, value = value.lines[key], value[key]
        else:
            break
    return line


def plain(word: str) -> Any:
    """Give what an unquoted word means: null, a truth value, a number, else the text itself."""
    if word in _NULLS:
        return None
    if word in _TRUTHS:
        return _TRUTHS[word]
    if _WHOLE.fullmatch(word):
        return int(word)
    if _REAL.fullmatch(word) and not word.lstrip("+-").isdigit():
        number = float(word)
        return number if math.isfinite(number) else word
    return word


class _Builder:
    """Puts values together as events come in."""

    def __init__(self) -> None:
        self._open: list[Table | Series] = []
        self._names: list[str | None] = []  # The anchor of each open value.
        self._sizes: list[int] = []
        self._keys: list[str | None] = []  # The key that waits for its value, of each open object.
        self._known: dict[str, tuple[Any, int]] = {}
        self._repeated = 0
        self._result: list[Any] = []

    def build(self, events: Iterator[Any]) -> Any:
        for event in events:
            line = event.start_mark.line + 1 if event.start_mark else 1
            match event:
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._start(event, line)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case yaml.ScalarEvent():
                    self._scalar(event, line)
                case yaml.AliasEvent():
                    self._alias(event, line)
                case yaml.DocumentStartEvent() if self._result:
                    raise Misread(line, "a second document begins; one file is one document")
                case _:
                    pass
        return self._result[0] if self._result else None

    def _start(self, event: Any, line: int) -> None:
        _refuse_tag(event.tag, line)
        if self._awaits_key:
            raise Misread(line, "a key must be text")
        if len(self._open) >= MAX_DEPTH:
            raise Misread(line, f"nested more than {MAX_DEPTH} levels deep")
        made: Table | Series = Table(line) if isinstance(event, yaml.MappingStartEvent) else Series(line)
        self._put(made, line)
        self._open.append(made)
        self._names.append(event.anchor)
        self._sizes.append(1)
        self._keys.append(None)

    def _end(self) -> None:
        value, name, size = self._open.pop(), self._names.pop(), self._sizes.pop()
        self._keys.pop()
        if self._sizes:
            self._sizes[-1] += size
        if name:
            self._known[name] = (value, size)

    def _scalar(self, event: Any, line: int) -> None:
        _refuse_tag(event.tag, line)
        if self._awaits_key:
            self._key(event.value, line)
            return
        value = plain(event.value) if event.implicit[0] else event.value
        if event.anchor:
            self._known[event.anchor] = (value, 1)
        self._put(value, line)

    def _alias(self, event: Any, line: int) -> None:
        if event.anchor not in self._known:
            raise Misread(line, f"there is no complete &{event.anchor} before this")
        value, size = self._known[event.anchor]
        self._repeated += size
        if self._repeated > MAX_REPEATED:
            raise Misread(line, "aliases unfold to too much")
        if self._awaits_key:
            if not isinstance(value, str):
                raise Misread(line, "a key must be text")
            self._key(value, line)
            return
        if self._sizes:
            self._sizes[-1] += size - 1
        self._put(value, line)

    @property
    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1], Table) and self._keys[-1] is None

    def _key(self, key: str, line: int) -> None:
        table = self._open[-1]
        assert isinstance(table, Table)
        if key in table:
            raise Misread(line, f"{key[:60]} stands here twice, first on line {table.lines[key]}")
        self._keys[-1] = key
        table.lines[key] = line

    def _put(self, value: Any, line: int) -> None:
        if not self._open:
            self._result.append(value)
            return
        self._sizes[-1] += 1
        match self._open[-1]:
            case Table() as table:
                key = self._keys[-1]
                assert key is not None
                table[key], self._keys[-1] = value, None
            case Series() as series:
                series.append(value)
                series.lines.append(line)


def _refuse_tag(tag: str | None, line: int) -> None:
    if tag not in (None, "!"):
        raise Misread(line, f"tags such as {tag[:60]} are not taken")


_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\t', re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\.|[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]",
    re.DOTALL,
)


def _as_yaml(text: str) -> str:
    """Respell what JSON allows and YAML does not: tabs between values, halves of a character, odd characters."""
    return _STRING.sub(lambda found: " " if found[0] == "\t" else _ESCAPE.sub(_respelt, found[0]), text)


def _respelt(found: re.Match[str]) -> str:
    part = found[0]
    if len(part) == 1:
        return f"\\u{ord(part):04x}"
    return bytes.fromhex(part[2:6] + part[8:12]).decode("utf-16-be") if len(part) == 12 else part
