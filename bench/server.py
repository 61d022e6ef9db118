"""What is measured, as processes of its own: PostgreSQL and `quorate serve`, and what they cost."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from quorate.store.embedded import Embedded, child, cluster
from quorate.store.embedded.child import User
from quorate.store.migrate import migrate

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
START_S = 60
CLIENTS = "150"


@dataclass(frozen=True)
class Cost:
    """CPU seconds spent so far, by the server and by all of PostgreSQL's processes."""

    server_s: float
    postgres_s: float

    def __sub__(self, before: "Cost") -> "Cost":
        return Cost(self.server_s - before.server_s, self.postgres_s - before.postgres_s)


class Postgres:
    """A running PostgreSQL. `pid` is its first process."""

    def __init__(self, dsn: str, pid: int) -> None:
        self.dsn, self.pid = dsn, pid

    @property
    def cpu_s(self) -> float:
        """Of every process it has and had."""
        ended = sum(_stat(self.pid)[13:15])
        return (ended + sum(sum(_stat(pid)[11:13]) for pid in self._family())) / TICKS_A_SECOND

    @property
    def memory_mb(self) -> float:
        """Of all its processes, what they share counted once."""
        with self.eyes():
            return sum(_pss_kb(pid) for pid in self._family()) / 1024

    def eyes(self) -> AbstractContextManager[None]:
        """Look into its processes as the user it runs as."""
        is_ = os.stat(f"/proc/{self.pid}")
        return User(is_.st_uid, is_.st_gid).eyes()

    def _family(self) -> list[int]:
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [self.pid, *map(int, text.split())]


class Server:
    """A running `quorate serve`. `started_s`: what it took until calls were answered."""

    def __init__(self, url: str, pid: int, started_s: float, postgres: Postgres) -> None:
        self.url, self.pid, self.started_s, self.postgres = url, pid, started_s, postgres

    @property
    def address(self) -> tuple[str, int]:
        found = re.fullmatch(r"http://(.+):(\d+)", self.url)
        assert found is not None
        return found[1], int(found[2])

    @property
    def cost(self) -> Cost:
        return Cost(sum(_stat(self.pid)[11:13]) / TICKS_A_SECOND, self.postgres.cpu_s)

    @property
    def memory_mb(self) -> float:
        """What it has in memory, shared libraries included."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0


@asynccontextmanager
async def postgres(data: Path, *, launch: Path | None = None) -> AsyncIterator[Postgres]:
    """Run the embedded PostgreSQL on a directory, migrated. `launch` stands in for the program that starts it.

    It is as users have it, but that a new one takes as many clients as pgbench is.
    """
    usual, defaults = child.LAUNCH, cluster.DEFAULTS
    child.LAUNCH, cluster.DEFAULTS = launch or usual, defaults | {"max_connections": CLIENTS}
    try:
        running = await Embedded.start(data)
    finally:
        child.LAUNCH, cluster.DEFAULTS = usual, defaults
    try:
        await migrate(running.dsn)
        yield await given(running.dsn)
    finally:
        await running.stop()


async def given(dsn: str) -> Postgres:
    """Take a PostgreSQL that runs on this machine already, and is migrated."""
    connection = await asyncpg.connect(dsn)
    try:
        return Postgres(dsn, _stat(int(await connection.fetchval("SELECT pg_backend_pid()")))[1])
    finally:
        await connection.close()


@asynccontextmanager
async def server(postgres: Postgres, place: Path, **settings: object) -> AsyncIterator[Server]:
    """Run the server, the one users start. `place` keeps its secret key; `settings` are options by name."""
    os.makedirs(place, mode=0o700, exist_ok=True)
    began = time.perf_counter()
    with (place / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "quorate", "serve", "--port", "0", "--data", str(place)),
            *("--database-url", postgres.dsn, "--log-level", "warning"),
            *(word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        said = (await asyncio.wait_for(process.stdout.readline(), START_S)).decode()
        found = re.search(r"http://[\w.:\[\]]+\d", said)
        if found is None:
            raise RuntimeError(f"the server did not start: {said} {(place / 'log').read_text()[-2000:]}")
        yield Server(found[0], process.pid, time.perf_counter() - began, postgres)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), START_S)


def _stat(pid: int) -> list[int]:
    """Read /proc/PID/stat from its third field on: [1] the parent, [11:13] ticks of its own, [13:15] of its ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return [0] * 40
    return [0, *map(int, words[1:])]


def _pss_kb(pid: int) -> int:
    try:
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return int(found[1]) if found else 0
