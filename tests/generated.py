"""The pages made from code. `python -m tests.generated` (`make docs`) writes them; a test says if they are."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.commands import page as configuration
from tests.domain import page as lifecycle

PAGES: Mapping[Path, Callable[[], str]] = {
    lifecycle.PAGE: lifecycle.page,
    configuration.PAGE: configuration.page,
}
"""Where each page is, and what makes its text."""


def main() -> None:
    for path, text in PAGES.items():
        print(f"writing {path.name}", flush=True)
        path.write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
