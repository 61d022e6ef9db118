"""Finds what stands at a path. Literals win over parameters; nothing redirects.

A path is taken apart before it is decoded, so `%2F` never makes a segment. A segment that decodes to a
slash, a NUL or no UTF-8, and `.` and `..`, match nothing: a proxy in front may read such a path
differently from us.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

V = TypeVar("V")

_NOWHERE = "\0"  # A segment that matches no literal and no parameter.


def segments(scope: Scope) -> list[str]:
    """Take the path of a call apart: `/a/b%20c` is `["a", "b c"]`. A trailing slash leaves a last empty one."""
    raw = scope.get("raw_path")
    if raw is None:
        raw = str(scope["path"]).encode("utf-8", "surrogateescape")
    if not raw.startswith(b"/"):
        return [_NOWHERE]
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        return [_segment(part) for part in raw[1:].split(b"/")]
    parts = text[1:].split("/")
    if "%" in text or "." in text:
        return [_segment(part.encode()) for part in parts]
    return parts


def _segment(part: bytes) -> str:
    try:
        text = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return _NOWHERE
    return _NOWHERE if "/" in text or "\0" in text or text in (".", "..") else text


class _Node(Generic[V]):
    __slots__ = ("below", "here", "literals", "parameters")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[V]] = {}
        self.parameters: list[tuple[str, _Node[V]]] = []  # (literal beginning, node), the longest first
        self.here: V | None = None  # for the whole path
        self.below: V | None = None  # for this path and all under it


class Paths(Generic[V]):
    """A tree of path templates.

    A template's segment is a literal, `{name}`, or a literal with a parameter behind it
    (`requestType={name}`). A parameter takes one segment that is not empty.
    """

    def __init__(self) -> None:
        self._root: _Node[V] = _Node()

    def at(self, template: str) -> V | None:
        """Give the value set for exactly this template."""
        return self._make(template).here

    def put(self, template: str, value: V) -> None:
        """Set the value for paths that match the template as a whole."""
        node = self._make(template)
        assert node.here is None, f"two values at {template}"
        node.here = value

    def put_below(self, template: str, value: V) -> None:
        """Set the value for the paths that match the template or begin with it; a longer template wins."""
        node = self._make(template)
        assert node.below is None, f"two values below {template}"
        node.below = value

    def find(self, path: list[str]) -> tuple[V, list[str]] | None:
        """Find the value for the whole path, and what its parameters stand for."""
        taken: list[str] = []
        found = _find(self._root, path, 0, taken)
        return None if found is None else (found, taken)

    def owner(self, path: list[str]) -> V | None:
        """Find the value for the whole path, else that of the longest template it begins with."""
        best: tuple[int, V] | None = None
        for depth, node in _reached(self._root, path, 0):
            if depth == len(path) and node.here is not None:
                return node.here
            if node.below is not None and (best is None or depth > best[0]):
                best = (depth, node.below)
        return best[1] if best else None

    def _make(self, template: str) -> _Node[V]:
        node = self._root
        for segment in _template(template):
            beginning, brace, _ = segment.partition("{")
            if not brace:
                node = node.literals.setdefault(segment, _Node())
                continue
            known = next((child for start, child in node.parameters if start == beginning), None)
            if known is None:
                known = _Node()
                node.parameters.append((beginning, known))
                node.parameters.sort(key=lambda entry: -len(entry[0]))
            node = known
        return node


def parameters(template: str) -> tuple[str, ...]:
    """Name the parameters of a template, in order."""
    return tuple(part.partition("{")[2].rstrip("}") for part in _template(template) if "{" in part)


def _template(template: str) -> list[str]:
    assert template == "" or template.startswith("/"), template
    return template[1:].split("/") if template else []


def _find(node: _Node[V], path: list[str], depth: int, taken: list[str]) -> V | None:
    if depth == len(path):
        return node.here
    segment = path[depth]
    literal = node.literals.get(segment)
    if literal is not None:
        found = _find(literal, path, depth + 1, taken)
        if found is not None:
            return found
    for beginning, child in node.parameters:
        if _takes(beginning, segment):
            taken.append(segment[len(beginning) :])
            found = _find(child, path, depth + 1, taken)
            if found is not None:
                return found
            taken.pop()
    return None


def _reached(node: _Node[V], path: list[str], depth: int) -> Iterator[tuple[int, _Node[V]]]:
    """Walk every node the path reaches, literals before parameters."""
    yield depth, node
    if depth == len(path):
        return
    segment = path[depth]
    if segment in node.literals:
        yield from _reached(node.literals[segment], path, depth + 1)
    for beginning, child in node.parameters:
        if _takes(beginning, segment):
            yield from _reached(child, path, depth + 1)


def _takes(beginning: str, segment: str) -> bool:
    return segment != _NOWHERE and len(segment) > len(beginning) and segment.startswith(beginning)
