"""The supervisor: one owner, one cluster, one PostgreSQL child that is started again when it dies."""

import asyncio
import logging
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

import asyncpg

from quorate.store.embedded.child import Child
from quorate.store.embedded.cluster import Cluster, dsn
from quorate.store.embedded.errors import EmbeddedError, InUse
from quorate.store.embedded.lock import Lock
from quorate.store.embedded.place import prepare, settle, sweep

MAJOR = 18
DEATHS, WITHIN_S = 5, 60  # So many deaths in so short a time, and starting again is no cure.
PAUSE_S = 0.5  # Before the second try; each further one waits as much longer.
ROOM_BYTES = 32 * 2**20  # With less, PostgreSQL cannot make the next two segments of its log.
ROOM_S = 2.0  # Between two tries while there is none.
ATTACH_S = 60  # A server that is just starting may have a crash to recover from.
ASK_S = 0.1

log = logging.getLogger(__name__)


class Embedded:
    """A running PostgreSQL of our own. Made by `start`, ended by `stop`.

    Start it on a thread that lives as long as it shall: the kernel stops PostgreSQL when the thread that
    started it ends.

    Attributes:
        data: the data directory.
        dsn: where asyncpg finds the database, as its owner.
        failed: done, with the error as its result, when PostgreSQL died too often to be started again.
    """

    def __init__(self, cluster: Cluster, lock: Lock, child: Child, held: ExitStack) -> None:
        self.data = cluster.place.parent
        self.dsn = dsn(cluster.sockets)
        self.failed: asyncio.Future[EmbeddedError] = asyncio.get_running_loop().create_future()
        self._cluster, self._lock, self._held = cluster, lock, held
        self._child: Child | None = None
        self._adopt(child)
        self._watcher = asyncio.create_task(self._watch(), name="embedded PostgreSQL")

    @classmethod
    async def start(cls, data: Path, *, major: int = MAJOR) -> Self:
        """Start the database of a data directory, making what is missing.

        Raises:
            InUse: another living process owns the data directory.
            EmbeddedError: it cannot be started, for the reason given.
        """
        if sys.platform != "linux":
            raise EmbeddedError("the embedded PostgreSQL needs Linux: give a database of your own with --database-url")
        with ExitStack() as held:
            try:
                lock = Lock(data := prepare(data))
                held.callback(lock.release)
                if before := lock.read():
                    sweep(before.sockets)
                cluster = settle(data, major, held)
                lock.write(major=major, sockets=cluster.sockets)
                if not cluster.exists:
                    await cluster.make()
                child = await cluster.launch()
                return cls(cluster, lock, child, held.pop_all())
            except OSError as error:
                raise EmbeddedError(f"{error.filename or data} cannot be used: {error.strerror}") from error

    async def stop(self) -> None:
        """Shut PostgreSQL down in order and give the data directory up; nothing is left running or lying about."""
        self._watcher.cancel()
        await asyncio.wait([self._watcher])
        with self._held:
            if self._child is not None:
                child, self._child = self._child, None
                await self._cluster.stop(child)

    async def _watch(self) -> None:
        """Start PostgreSQL again whenever it dies, until that is plainly no use."""
        deaths: deque[float] = deque(maxlen=DEATHS)
        while self._child is not None:
            await self._child.ended()
            died_at = time.monotonic()
            log.warning("PostgreSQL ended by itself (status %s); starting it again", self._child.status)
            self._child.close()
            self._child = None
            if await self._started_again(deaths):
                log.warning("PostgreSQL is back after %.2f s", time.monotonic() - died_at)
            else:
                error = EmbeddedError(f"PostgreSQL on {self.data} died {DEATHS} times within {WITHIN_S} seconds")
                log.error("%s; see %s", error, self._cluster.place / "log")
                self.failed.set_result(error)

    async def _started_again(self, deaths: deque[float]) -> bool:
        while True:
            if _is_full(self.data):
                # It is not PostgreSQL that is broken, and it will do when there is room again.
                log.error("the disk of %s is full; PostgreSQL is started again until there is room", self.data)
                deaths.clear()
                await asyncio.sleep(ROOM_S)
            deaths.append(time.monotonic())
            recent = sum(deaths[-1] - at < WITHIN_S for at in deaths)
            if recent == DEATHS:
                return False
            await asyncio.sleep(PAUSE_S * (recent - 1))
            try:
                self._adopt(await self._cluster.launch())
            except (EmbeddedError, OSError) as error:
                log.warning("%s", error)  # Counts as one more death.
            else:
                return True

    def _adopt(self, child: Child) -> None:
        self._child = child
        self._lock.write(major=self._cluster.major, sockets=self._cluster.sockets, postgres=child.pid)


@asynccontextmanager
async def attach_or_start(data: Path, *, major: int = MAJOR) -> AsyncIterator[str]:
    """Lend the DSN of a data directory's database: a running server's, else one of our own, stopped at the end.

    Raises:
        InUse: somebody owns the data directory, but their database does not answer.
        EmbeddedError: as `Embedded.start`.
    """
    deadline = time.monotonic() + ATTACH_S
    while True:
        try:
            server = await Embedded.start(data, major=major)
        except InUse as busy:
            if busy.sockets and await _answers(busy.sockets):
                yield dsn(Path(busy.sockets))
                return
            if time.monotonic() > deadline:
                raise InUse(f"{busy}, whose database does not answer", sockets=busy.sockets) from busy
            await asyncio.sleep(ASK_S)
            continue
        try:
            yield server.dsn
        finally:
            await server.stop()
        return


def _is_full(data: Path) -> bool:
    disk = os.statvfs(data)
    return disk.f_bavail * disk.f_frsize < ROOM_BYTES


async def _answers(sockets: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn(Path(sockets)))
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True
