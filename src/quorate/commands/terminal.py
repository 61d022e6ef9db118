"""What an operator sees: results on standard output, everything else on standard error, colour only on a terminal."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TextIO

PATIENCE_S = 1.0  # Whatever takes longer says that it is at work.
STILL_S = 10.0

GREEN, YELLOW, RED, BOLD, DIM = "32", "33", "31", "1", "2"


class Trouble(Exception):
    """What was asked cannot be done. The text is one line for the operator: what is wrong, and what to do."""


def out(text: str = "") -> None:
    """Write a line of the result."""
    print(text, flush=True)


def note(text: str) -> None:
    """Write a line about the work."""
    print(text, file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """Write the one line that says why nothing came of it."""
    note(f"{paint('quorate:', RED, sys.stderr)} {' '.join(text.split())}")


def warn(text: str) -> None:
    note(f"{paint('warning:', YELLOW, sys.stderr)} {text}")


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Colour a text if whoever reads the stream (standard output unless given) is a terminal and wants colour."""
    stream = stream or sys.stdout
    wanted = stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return f"\x1b[{colour}m{text}\x1b[0m" if wanted else text


@asynccontextmanager
async def progress(what: str) -> AsyncIterator[None]:
    """Say what is going on if it takes longer than a moment, and that it still is if it takes much longer."""

    async def tell() -> None:
        await asyncio.sleep(PATIENCE_S)
        note(f"{what} …")
        while True:
            await asyncio.sleep(STILL_S)
            note(f"still {what} …")

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
