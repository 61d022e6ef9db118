"""The documents, as the tests read them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^ {4}.*\n)+", re.MULTILINE)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block: the word behind the fence, and the text."""

    kind: str
    text: str


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(text: str) -> list[Block]:
    return [Block(*found.groups()) for found in _FENCE.finditer(text)]


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text)


def links(text: str) -> Iterator[str]:
    return (found[1] for found in _LINK.finditer(prose(text)))


def code(text: str) -> Iterator[str]:
    """Everything that is set as code: words between backticks, and the lines of blocks that are no pictures."""
    yield from (found[1] for found in _CODE.finditer(prose(text)))
    for block in blocks(text):
        if block.kind in {"", "bash", "console"}:
            yield from block.text.splitlines()
    for found in _INDENTED.finditer(prose(text)):
        yield from (line.strip() for line in found[0].splitlines())


def anchors(text: str) -> set[str]:
    """What can be linked to within a page, as GitHub makes it from headings."""
    found = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower().replace(" ", "-") for heading in found}
