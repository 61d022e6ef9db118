"""The tutorial and the README work: their commands are run as they stand and show what the pages say.

Each page gets one shell and a demo of its own. Nothing is changed but the address, which is that of a free port.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import ROOT, Block, blocks, name
from tests.programs import needs

PAGES = [ROOT / "README.md", ROOT / "docs/tutorial.md"]
USUAL = "http://127.0.0.1:8080"  # Where the pages say that the demo answers.
START_S = 60.0
RUN_S = 60.0
STOP_S = 20.0


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[str]:
    """A demo of its own, and where it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = tmp_path / "said"
    with said.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "quorate", "demo", "--data", str(tmp_path / "demo"), "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(server, url, said)
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(STOP_S)


def _environment() -> dict[str, str]:
    """What a reader's shell has: nothing of ours is set."""
    return {word: value for word, value in os.environ.items() if word != "URL" and not word.startswith("QUORATE_")}


def _wait_until_ready(server: "subprocess.Popen[bytes]", url: str, said: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            if httpx.get(f"{url}/readyz", timeout=2).is_success:
                return
        except httpx.TransportError:
            pass
        try:
            server.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"the demo did not start:\n{said.read_text('utf-8')}")


@needs("curl")
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_of_a_page_shows_what_the_page_says(page: Path, demo: str) -> None:
    steps = _steps(blocks(page.read_text("utf-8").replace(USUAL, demo)))
    mark = "=== block "
    script = "set -euo pipefail\n" + "".join(f"echo '{mark}{place}'\n{run}" for place, (run, _) in enumerate(steps))

    done = subprocess.run(["bash", "-c", script], env=_environment(), capture_output=True, text=True, timeout=RUN_S)

    shown = re.split(rf"^{mark}\d+\n", done.stdout, flags=re.MULTILINE)[1:]
    for (run, wanted), got in zip(steps, shown, strict=False):
        if wanted is not None:
            assert _pattern(wanted).fullmatch(got), f"{run}\nshould show\n{wanted}\nbut shows\n{got}{done.stderr}"
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(shown) == len(steps)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_shows_what_comes_of_most_of_its_commands(page: Path) -> None:
    steps = _steps(blocks(page.read_text("utf-8")))

    assert sum(wanted is not None for _, wanted in steps) > len(steps) / 2


@pytest.mark.parametrize(("wanted", "got"), [("a …\n", "a b\n"), ("[\n…\n]\n", "[\n1,\n2\n]\n"), ("a\n", "a\n")])
def test_an_ellipsis_stands_for_what_differs(wanted: str, got: str) -> None:
    assert _pattern(wanted).fullmatch(got)


@pytest.mark.parametrize(("wanted", "got"), [("a …\n", "a b\nc\n"), ("a\n", "b\n"), ("a.\n", "ab\n")])
def test_nothing_else_may_differ(wanted: str, got: str) -> None:
    assert not _pattern(wanted).fullmatch(got)


def _steps(found: list[Block]) -> list[tuple[str, str | None]]:
    """Pair each block of commands with the output that follows it, if one does."""
    steps: list[tuple[str, str | None]] = []
    for block in found:
        if block.kind == "bash":
            steps.append((block.text, None))
        elif block.kind == "output":
            run, before = steps[-1]
            assert before is None, f"two outputs follow one block:\n{run}"
            steps[-1] = (run, block.text)
    return steps


def _pattern(wanted: str) -> re.Pattern[str]:
    """An ellipsis stands for anything within a line; alone in a line, for any lines."""
    lines = [
        "(?:.*\n)*?" if line.strip() == "…" else "[^\n]*".join(map(re.escape, line.split("…"))) + "\n"
        for line in wanted.splitlines()
    ]
    return re.compile("".join(lines))
