"""Who may import whom. The table is the design's; a new folder without a row fails."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "quorate"

MAY = {
    "domain": {"domain"},
    "store": {"domain", "store"},
    "app": {"domain", "store", "app"},
    "surfaces": {"domain", "app"},  # And surfaces/http, and its own folder; see _surface.
    "workers": {"domain", "app", "workers"},
    "wiring": {"domain", "store", "app", "surfaces", "workers", "commands", "wiring", "settings"},
    "commands": {"domain", "store", "app", "surfaces", "workers", "commands", "wiring", "settings"},
    "settings": {"settings"},
    "__main__": {"commands"},
    "__init__": set(),
}
DECIDES = {"lifecycle", "quorum", "routing", "tally"}  # Rules that only the app runs.
PURE = {"msgspec"}  # What the domain may use beside the standard library.
IMPURE = {"asyncio", "datetime.now", "os", "pathlib", "random", "secrets", "socket", "time", "threading"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, by its full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    layer = parts[0]
    assert layer in MAY, f"{layer} has no row in the table"
    for name in imports(path):
        top, *rest = name.split(".")
        if layer == "domain":
            assert name not in IMPURE, f"the domain is pure: {name}"
            assert top not in IMPURE, f"the domain is pure: {name}"
        if top != "quorate":
            continue
        other = rest[0] if rest else "__init__"
        if other == "__version__":
            continue
        if layer == "surfaces" and other == "surfaces":
            assert rest[1] in {"http", parts[1]}, f"a surface knows no other surface: {name}"
            continue
        assert other in MAY[layer], f"{layer} may not import {name}"
        if layer in {"surfaces", "workers"} and other == "domain":
            assert rest[1] not in DECIDES, f"{layer} may use values and refusals, not the rules: {name}"


def test_the_domain_uses_no_library_but_msgspec() -> None:
    import sys

    for path in (ROOT / "domain").rglob("*.py"):
        for name in imports(path):
            top = name.split(".")[0]
            assert top in PURE | {"quorate"} | sys.stdlib_module_names, f"{path.name} imports {name}"
