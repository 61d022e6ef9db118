"""The command line in processes of its own: started, listened to, signalled, and never left behind."""

import asyncio
import contextlib
import importlib.metadata
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.store.embedded_world import SRC, Installation, an_installation, as_user

PATIENCE_S = 30
RUNTIME = SRC.parent / "requirements" / "runtime.txt"
OURS = Installation(Path(sys.executable), {"PYTHONPATH": str(SRC)}, Path())


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    said: str

    @property
    def trouble(self) -> str:
        """The one line that says why nothing came of it."""
        assert self.code == 1, self
        [line] = [line for line in self.said.splitlines() if line.startswith("quorate: ")]
        assert "Traceback" not in self.said
        return line


class Program:
    """A command that goes on until it is stopped. It leads a process group of its own, as in a terminal."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid
        self.out: list[str] = []
        self.said: list[str] = []

    async def answers(self) -> str:
        """Wait until it says where it answers; answers that URL."""
        while True:
            line = await self._line(self._process.stdout, self.out)
            if "Quorate answers" in line:
                found = re.search(r"http://\S+", "\n".join(self.out))
                assert found is not None
                return found[0].rstrip(",")

    async def says(self, what: str) -> None:
        """Wait until it says this on standard error."""
        while what not in await self._line(self._process.stderr, self.said):
            pass

    async def _line(self, stream: asyncio.StreamReader | None, kept: list[str]) -> str:
        assert stream is not None
        line = (await asyncio.wait_for(stream.readline(), PATIENCE_S)).decode()
        assert line, f"it ended: {self.out} {self.said} {await self.ended()}"
        kept.append(line.rstrip("\n"))
        return line

    def ctrl_c(self) -> None:
        """What a terminal does: SIGINT to the whole process group."""
        os.killpg(self.pid, signal.SIGINT)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> Ended:
        out, said = await asyncio.wait_for(self._process.communicate(), PATIENCE_S)
        assert self._process.returncode is not None
        return Ended(
            self._process.returncode,
            "\n".join([*self.out, out.decode()]),
            "\n".join([*self.said, said.decode()]),
        )


@asynccontextmanager
async def started(
    *words: str | Path, env: Mapping[str, str] | None = None, of: Installation = OURS, user: int | None = None
) -> AsyncIterator[Program]:
    """Start a command; whatever happens, it does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        str(of.python),
        "-B",
        "-m",
        "quorate",
        *map(str, words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "TMPDIR": tempfile.gettempdir(), **of.env, **(env or {})},
        cwd="/",
        start_new_session=True,
        **as_user(user),
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


async def ran(
    *words: str | Path,
    env: Mapping[str, str] | None = None,
    given: str = "",
    of: Installation = OURS,
    user: int | None = None,
) -> Ended:
    """Run a command to its end. `given` is its standard input."""
    async with started(*words, env=env, of=of, user=user) as program:
        out, said = await asyncio.wait_for(program._process.communicate(given.encode()), PATIENCE_S)
        assert program._process.returncode is not None
        return Ended(program._process.returncode, out.decode(), said.decode())


async def in_a_shell(lines: str) -> str:
    """Run lines as somebody who copied them into a shell would; answers what they printed."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", lines, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        out, said = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    finally:
        if process.returncode is None:
            process.kill()
    assert said == b"", said
    return out.decode()


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def a_whole_installation(place: Path) -> Installation:
    """Copy all that Quorate needs to where every user of the machine can reach it."""
    made = an_installation(place)
    site = Path(made.env["PYTHONPATH"])
    shutil.copytree(SRC / "quorate", site / "quorate", dirs_exist_ok=True)
    for name in re.findall(r"^([a-z0-9._-]+)==", RUNTIME.read_text(), re.MULTILINE):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # Not every pin is for this machine.
            _copy(importlib.metadata.distribution(name), site)
    return made


def _copy(distribution: importlib.metadata.Distribution, site: Path) -> None:
    for file in distribution.files or ():
        to = site / file
        if ".." in file.parts or to.exists() or "pginstall" in str(file):
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(str(distribution.locate_file(file)), to)  # With its time, so that what is compiled counts.
