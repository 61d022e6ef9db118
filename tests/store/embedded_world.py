"""Hands for the tests of the embedded database: other processes, users and installations, and eyes on /proc."""

import asyncio
import importlib.util
import json
import os
import pwd
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from quorate.store.embedded import binaries
from quorate.store.embedded.child import User

SRC = Path(__file__).parents[2] / "src"
OWNER = Path(__file__).with_name("database_owner.py")
NOBODY = pwd.getpwnam("nobody")
PATIENCE_S = 30


class Other:
    """Another process that owns or borrows a database (`database_owner.py`)."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def hears(self, line: str = "") -> dict[str, Any]:
        """Send a line if there is one, and return the next answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if line:
            self._process.stdin.write(f"{line}\n".encode())
        answer: dict[str, Any] = json.loads(await asyncio.wait_for(self._process.stdout.readline(), PATIENCE_S))
        return answer

    async def killed(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def ended(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await asyncio.wait_for(self._process.wait(), PATIENCE_S)

    def ctrl_c(self) -> None:
        """Send what a terminal sends: SIGINT to the whole process group."""
        os.killpg(self._process.pid, signal.SIGINT)


@dataclass(frozen=True)
class Installation:
    """An interpreter and what it imports."""

    python: Path
    env: Mapping[str, str]
    script: Path

    @property
    def wheel(self) -> Path:
        """The wheel's record of itself; only copies should be written to."""
        (dist_info,) = Path(self.env["PYTHONPATH"]).glob(f"{binaries.PACKAGE}-*.dist-info")
        return dist_info / "METADATA"


OURS = Installation(Path(sys.executable), {"PYTHONPATH": str(SRC)}, OWNER)


@asynccontextmanager
async def another(
    how: str, data: Path, *, of: Installation = OURS, user: int | None = None, file_limit_bytes: int | None = None
) -> AsyncIterator[Other]:
    """Run `database_owner.py` in a process, session and process group of its own."""
    program = [str(of.python), "-B", str(of.script), how, str(data)]
    if file_limit_bytes is not None:
        program = ["sh", "-c", f'ulimit -f {file_limit_bytes // 512} && exec "$@"', "sh", *program]
    process = await asyncio.create_subprocess_exec(
        *program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "TMPDIR": tempfile.gettempdir(), **of.env},
        cwd="/",
        start_new_session=True,
        **as_user(user),
    )
    try:
        yield Other(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def as_user(uid: int | None) -> dict[str, Any]:
    """Say to a subprocess whose it is; only root may choose."""
    return {} if uid is None or os.geteuid() != 0 else {"user": uid, "group": NOBODY.pw_gid, "extra_groups": []}


def an_installation(place: Path) -> Installation:
    """Copy the interpreter and what the embedded database needs, so that modes and versions can be chosen."""
    site = place / "site"
    (site / "quorate").mkdir(parents=True)
    shutil.copy(SRC / "quorate/__init__.py", site / "quorate")
    shutil.copytree(SRC / "quorate/store/embedded", site / "quorate/store/embedded")
    for package in ("asyncpg", "msgspec"):
        shutil.copytree(_package(package), site / package)
    wheel = _package(binaries.PACKAGE)
    for part in (*wheel.parent.glob(f"{binaries.PACKAGE}-*.dist-info"), wheel.with_name(f"{binaries.PACKAGE}.libs")):
        shutil.copytree(part, site / part.name)
    unused = shutil.ignore_patterns("include", "*.a", "pgxs", "pg_dump*", "pg_restore", "pg_upgrade", "psql", "ecpg")
    shutil.copytree(wheel / binaries.HOMES[18], site / wheel.name / binaries.HOMES[18], ignore=unused)
    (site / wheel.name / "__init__.py").write_text("raise ImportError('its Python is not to be run')\n")
    shutil.copy(OWNER, place)
    base, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
    (place / "python/bin").mkdir(parents=True)
    shutil.copy(os.path.realpath(sys.executable), place / "python/bin" / version)
    unused = shutil.ignore_patterns("*-packages", "test", "idlelib", "tkinter", "config-*", "lib2to3", "__pycache__")
    shutil.copytree(base / "lib" / version, place / "python/lib" / version, ignore=unused)
    for library in (base / "lib").glob("libpython*"):
        shutil.copy(library, place / "python/lib")
    env = {"PYTHONPATH": site, "PYTHONHOME": place / "python", "LD_LIBRARY_PATH": place / "python/lib"}
    return Installation(
        place / "python/bin" / version, {name: str(value) for name, value in env.items()}, place / OWNER.name
    )


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def serving(data: Path) -> set[int]:
    """List the processes at work in a data directory's clusters."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError), User(process.stat().st_uid, process.stat().st_gid).eyes():
            if Path(os.readlink(process / "cwd")).is_relative_to(data):
                found.add(int(process.name))
    return found


def serving_as(pid: int) -> bool:
    """Tell whether a process still runs; one that has ended but that nobody has buried does not."""
    try:
        return status(pid)["State"][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def postmaster(data: Path) -> int:
    return int((data / "pg18/postmaster.pid").read_text().split("\n", 1)[0])


def status(pid: int) -> Mapping[str, str]:
    """Read what the kernel says of a process: user ids, capabilities, state …"""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def scratches() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("quorate-*"))


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until something outside our reach has come about.

    Raises:
        TimeoutError: it has not within `PATIENCE_S` seconds.
    """
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  The kernel and other processes set no event of ours.
            await asyncio.sleep(0.005)


def names(place: Path, pattern: str = "*") -> list[str]:
    return sorted(entry.name for entry in place.glob(pattern))


async def ask(dsn: str, question: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def ask_until_answered(dsn: str, question: str) -> Any:
    """Ask a database that may be starting."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await ask(dsn, question)
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
                await asyncio.sleep(0.005)
