"""One PostgreSQL cluster on disk: made, cleared of a dead owner's remains, and started once."""

import asyncio
import fcntl
import os
import re
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self
from urllib.parse import quote

import asyncpg

from quorate.store.embedded.child import Child, User
from quorate.store.embedded.errors import EmbeddedError
from quorate.store.embedded.memory import buffers_mb, installed_bytes

OWNER, DATABASE = "quorate_owner", "quorate"

INITDB_S = 120  # Half a second on a plain disk; a slow network disk takes a minute.
READY_S = 300  # Crash recovery reads at most `max_wal_size` (1 GB) and the wait is over as soon as it is done.
DYING_S = 5
LEFTOVER_S = 20  # What a dead owner's PostgreSQL gets to shut down before it is told to drop everything.
POLL_S = 0.01

# What must hold whatever stands in postgresql.conf. Statements and details stay out of the log: they carry notes.
FIXED = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "logging_collector": "on",
    "log_destination": "stderr",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# Written into postgresql.conf when a cluster is made; an operator may change them there. Whole pages go into the log
# after each checkpoint: packing them would cost more than anything else that we do, so there are fewer checkpoints.
DEFAULTS = {
    "shared_buffers": f"{buffers_mb(installed_bytes())}MB",
    "max_connections": "60",
    "max_wal_size": "2GB",
}

# Older versions know no collation of their own that a change of the C library leaves alone.
LOCALE = {
    16: ("--locale=C.UTF-8",),
    18: ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
}

# How a server that is starting, or dies while we knock, answers; the last is what asyncpg calls a hang-up in
# the middle of a greeting.
NOT_YET = (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError, asyncpg.InternalClientError)


@dataclass(frozen=True)
class Cluster:
    """A cluster's place, and the programs and the user that run it."""

    place: Path
    major: int
    user: User
    home: Path
    sockets: Path

    @property
    def exists(self) -> bool:
        return (self.place / "PG_VERSION").is_file()

    async def make(self) -> None:
        """Make a new cluster; it appears under its name when it is complete and on disk.

        Raises:
            EmbeddedError: initdb failed.
        """
        new = Path(tempfile.mkdtemp(dir=self.place.parent, prefix=f"{self.place.name}.new-"))
        try:
            os.chown(new, self.user.uid, self.user.gid)
            await self._initdb(new)
            os.rename(new, self.place)
            _sync(self.place.parent)
        finally:
            # Ours if it failed, and those of owners killed at this point, whose initdb has had the time to end.
            for half_made in self.place.parent.glob(f"{self.place.name}.new-*"):
                shutil.rmtree(half_made, ignore_errors=True)

    async def _initdb(self, new: Path) -> None:
        defaults = [word for name, value in DEFAULTS.items() for word in ("--set", f"{name}={value}")]
        options = ["--username", OWNER, "--auth=peer", "--encoding=UTF8", "--data-checksums", "--no-instructions"]
        with tempfile.TemporaryFile() as output, _Opened(new) as folder:
            child = Child(
                [str(self.home / "bin/initdb"), "-D", folder.path, *options, *LOCALE[self.major], *defaults],
                self.user,
                on_our_death=signal.SIGTERM,
                pass_fd=folder.fd,
                library_path=self.home / "lib",
                output=output,
            )
            try:
                in_time = await child.ended(timeout_s=INITDB_S)
            finally:
                await stop(child, signal.SIGTERM)
            if not in_time:
                raise EmbeddedError(f"initdb did not finish {new} within {INITDB_S} seconds")
            if child.status != 0:
                output.seek(0)
                raise EmbeddedError(f"cannot make a database in {self.place.parent}: {_reason(output.read())}")

    async def launch(self) -> Child:
        """Start the server and wait until it accepts connections.

        Raises:
            EmbeddedError: it ended at once, is not ready after `READY_S` seconds, or an old one does not go away.
        """
        with tempfile.TemporaryFile() as output, _Opened(self.place) as folder:
            await self._clear(folder)
            child = self._postgres(folder, output)
            try:
                await self._ready(child, output)
            except BaseException:
                await stop(child)
                raise
        return child

    async def stop(self, child: Child) -> None:
        """Stop the server in order, and see the last of its processes off."""
        await stop(child)
        with suppress(FileNotFoundError), _Opened(self.place) as folder:
            await self._empty(folder, DYING_S)

    async def _clear(self, folder: "_Opened") -> None:
        """See to it that nothing of an earlier server still runs on this cluster, and claim it.

        The postmaster of a dead owner is shutting down, for so it was told by its owner's death; this waits for it.
        Sessions of a dead postmaster have nothing left to save, and would go on with their statements.
        """
        pid_file = self.place / "postmaster.pid"
        for number, patience_s in ((signal.SIGINT, LEFTOVER_S), (signal.SIGQUIT, DYING_S), (signal.SIGKILL, DYING_S)):
            left, postmaster = self._inhabitants(), _first_number(pid_file)
            if not left and folder.is_claimed():
                break
            if number is signal.SIGINT and left and postmaster not in left:
                continue
            self._tell(left & {postmaster} if number is signal.SIGINT else left, number)
            await self._empty(folder, patience_s)
        if self._inhabitants() or not folder.is_claimed():
            raise EmbeddedError(f"a PostgreSQL left over on {self.place} does not end: end it first")
        if not _is_postgres(_first_number(pid_file)):
            # Another program has that number now, above all where a container starts anew with the same numbers,
            # and PostgreSQL would refuse to start.
            pid_file.unlink(missing_ok=True)
        for stale in self.sockets.glob(".s.PGSQL.*"):
            stale.unlink(missing_ok=True)

    async def _empty(self, folder: "_Opened", patience_s: float) -> None:
        """Wait until nobody is left, for as long as that may take."""
        deadline = time.monotonic() + patience_s
        while (self._inhabitants() or not folder.is_claimed()) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)  # They are not our children, so no event tells.

    def _tell(self, pids: set[int], number: signal.Signals) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                held = os.pidfd_open(pid)
                try:
                    if pid in self._inhabitants(pid):  # Now that the number cannot become another's.
                        signal.pidfd_send_signal(held, number)
                finally:
                    os.close(held)

    def _inhabitants(self, *among: int) -> set[int]:
        """Find PostgreSQL's processes on this cluster: they all work in its directory."""
        found, here = set(), self.place.stat()
        with self.user.eyes():
            for pid in among or (int(entry) for entry in os.listdir("/proc") if entry.isdecimal()):
                with suppress(FileNotFoundError, ProcessLookupError, PermissionError):  # It ended, or is another's.
                    if _is_postgres(pid) and os.path.samestat(os.stat(f"/proc/{pid}/cwd"), here):
                        found.add(pid)
        return found

    def _postgres(self, folder: "_Opened", output: IO[bytes]) -> Child:
        ours = {
            "unix_socket_directories": f'"{self.sockets}"',
            "hba_file": str(self.sockets / "hba"),
            "ident_file": str(self.sockets / "ident"),
        }
        settings = [word for name, value in (FIXED | ours).items() for word in ("-c", f"{name}={value}")]
        return Child(
            [str(self.home / "bin/postgres"), "-D", folder.path, *settings],
            self.user,
            on_our_death=signal.SIGINT,
            pass_fd=folder.fd,
            library_path=self.home / "lib",
            output=output,
        )

    async def _ready(self, child: Child, output: IO[bytes]) -> None:
        started_at, deadline = time.time(), time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if child.status is not None:
                output.seek(0)
                reason = _reason(output.read() + self._log_since(started_at))
                raise EmbeddedError(f"PostgreSQL does not start on {self.place}: {reason}")
            try:
                return await self._has_database()
            except NOT_YET:
                await asyncio.sleep(POLL_S)
            except asyncpg.PostgresError as error:
                raise EmbeddedError(f"PostgreSQL on {self.place} starts, but refuses us: {error}") from error
        raise EmbeddedError(
            f"PostgreSQL on {self.place} is not ready after {READY_S} seconds; see {self.place / 'log'}"
        )

    def _log_since(self, at_s: float) -> bytes:
        logs = sorted((file.stat().st_mtime, file) for file in self.place.glob("log/*.log"))
        return logs[-1][1].read_bytes()[-20_000:] if logs and logs[-1][0] >= at_s - 1 else b""

    async def _has_database(self) -> None:
        """Connect to our database, and make it if it is not there yet."""
        try:
            connection = await asyncpg.connect(dsn(self.sockets))
        except asyncpg.InvalidCatalogNameError:
            connection = await asyncpg.connect(dsn(self.sockets, database="postgres"))
            await connection.execute(f"CREATE DATABASE {DATABASE}")
        await connection.close()


class _Opened:
    """A directory, opened for a program to use by descriptor, and claimed for it and its children.

    PostgreSQL runs as a user who may be locked out somewhere above the cluster, as below /root. A path through
    an inherited descriptor starts at the directory itself; it is also short, however deep the directory lies.

    The lock on the descriptor stays for as long as any process has inherited it: until the last session of a
    killed server has ended.
    """

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> Self:
        self.fd = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY)
        self.path = f"/proc/self/fd/{self.fd}"
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def is_claimed(self) -> bool:
        """Claim the directory if nobody else has; tell whether it is ours."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _first_number(pid_file: Path) -> int:
    """Read whose postmaster.pid this is; 0 when it does not say."""
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return 0


def _is_postgres(pid: int) -> bool:
    """Tell whether a process runs PostgreSQL; one that has ended, but that nobody has buried, does not."""
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return name == f"{pid} (postgres" and rest[0] not in "ZX"


def dsn(sockets: Path, *, database: str = DATABASE) -> str:
    """Name the database behind a socket directory, for asyncpg."""
    return f"postgresql://{OWNER}@/{database}?host={quote(str(sockets), safe='')}&port={FIXED['port']}"


async def stop(child: Child, first: signal.Signals = signal.SIGINT) -> None:
    """Stop a child in order (SIGINT is PostgreSQL's fast shutdown), and by force if it takes too long."""
    for number, patience_s in ((first, 30), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        if child.status is None:
            child.send(number)
        if await child.ended(timeout_s=patience_s):
            break
    child.close()


def _reason(output: bytes) -> str:
    """Pick the one line that says why PostgreSQL refused."""
    text = output.decode(errors="replace")
    for pattern in (r"(?:FATAL|PANIC): +(.+)", r"\berror: +(.+)"):
        if found := re.findall(pattern, text):
            return str(found[-1])
    lines = text.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
