"""Pages made from code are as the code makes them now."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.generated import PAGES


@pytest.mark.parametrize(("path", "text"), PAGES.items(), ids=lambda value: getattr(value, "name", ""))
def test_a_generated_page_is_current(path: Path, text: Callable[[], str]) -> None:
    assert path.read_text("utf-8") == text(), "run `make docs`"
