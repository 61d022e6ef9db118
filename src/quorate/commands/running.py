"""One server process, from its start to its orderly end.

The order matters: the port is taken first, then the database is started, then calls are answered; and back. On SIGTERM
or SIGINT (Ctrl-C) the server finishes the calls in flight, tells others to try again, ends its loops, and stops
PostgreSQL if it is ours. A second signal waits for nobody any more; what was not committed then never happened.
"""

import asyncio
import gc
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn
import uvloop

from quorate import wiring
from quorate.app.outgoing import Outgoing
from quorate.app.rounds import Rounds
from quorate.app.seal import Sealer, sealer
from quorate.app.sending import Sending
from quorate.commands.listening import listening, url
from quorate.commands.places import as_owner, demand_current, migrated, where
from quorate.commands.terminal import note, progress
from quorate.settings import Settings
from quorate.store.database import Database
from quorate.store.embedded import Embedded
from quorate.store.ids import new_id
from quorate.surfaces.http.origin import Origin
from quorate.surfaces.http.serving import config
from quorate.workers import clock, courier
from quorate.workers.courier import Courier

LEAST_DRAIN_S = 1.0
REFUSE_S = 0.5  # How long a busy server that stops goes on answering "try again", so that its callers hear of it.

Prepare = Callable[[Database, str], Awaitable[None]]
"""What is done once the database is there and before calls are answered: given the owner's way in, and the address."""


def run(settings: Settings, prepare: Prepare, announce: Callable[[str], None]) -> int:
    """Serve until a signal says to stop. `announce` is called with our URL as soon as calls are answered.

    Raises:
        Trouble, EmbeddedError, CannotMigrate: it could not be started, or PostgreSQL died for good.
    """
    with listening(settings.host, settings.port) as sockets, asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        return loop.run(_until_stopped(settings, sockets, prepare, announce))


async def _until_stopped(
    settings: Settings, sockets: list[socket.socket], prepare: Prepare, announce: Callable[[str], None]
) -> int:
    stop = _Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.signalled)
    work = asyncio.create_task(_work(settings, sockets, prepare, announce, stop), name="serve")
    stop.starting = work
    with suppress(asyncio.CancelledError):
        await work
    return 0


async def _work(
    settings: Settings,
    sockets: list[socket.socket],
    prepare: Prepare,
    announce: Callable[[str], None],
    stop: "_Stop",
) -> None:
    address = url(settings.host, sockets)
    async with _database(settings, stop) as dsn:
        async with as_owner(dsn) as owner:
            if settings.database_url is not None and not settings.migrate:
                await demand_current(owner, f"quorate migrate {where(settings)}")
            await prepare(owner, dsn)
        seal = sealer(settings.secret_key, settings.data)
        async with (
            _workers(settings, dsn, seal) as loops,
            wiring.running(settings, dsn, seal=seal, loops=loops) as origin,
        ):
            server = _Server(config(origin, host=settings.host, port=settings.port, drain_s=settings.drain_seconds))
            _spare_the_collector()
            await _serve(server, origin, sockets, settings.drain_seconds, stop, lambda: announce(address))


def _spare_the_collector() -> None:
    """Let the garbage collector look at calls only: what was made at the start stays, and is not looked through again.

    Calls leave next to no cycles; what little they do is found after every 20,000 new objects instead of every 700.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _serve(
    server: "_Server",
    origin: Origin,
    sockets: list[socket.socket],
    drain_s: float,
    stop: "_Stop",
    up: Callable[[], None],
) -> None:
    server.up = up
    serving = asyncio.create_task(server.serve(sockets), name="http")
    stop.serving(server, serving)
    ending = asyncio.create_task(_end_in_order(server, origin, drain_s, stop), name="end in order")
    with suppress(asyncio.CancelledError):
        await serving
    ending.cancel()
    if not stop.in_a_hurry:
        # A write whose caller hung up goes on by itself.
        left = await origin.drain(max(LEAST_DRAIN_S, stop.at + drain_s - time.monotonic()))
        if left:
            note(f"{left} calls were still at work after {drain_s} s")


async def _end_in_order(server: "_Server", origin: Origin, drain_s: float, stop: "_Stop") -> None:
    """Once asked to stop: refuse new calls, let those in flight end, and then have the server close its connections."""
    await stop.wanted.wait()
    was_busy = origin.is_busy or bool(server.server_state.connections)
    origin.refuse()
    await origin.finish(drain_s)
    left_s = stop.at + drain_s - time.monotonic()
    if was_busy:
        await asyncio.sleep(max(0.0, min(stop.at + REFUSE_S - time.monotonic(), left_s)))
    server.config.timeout_graceful_shutdown = max(1, round(left_s))
    server.should_exit = True


@asynccontextmanager
async def _database(settings: Settings, stop: "_Stop") -> AsyncIterator[str]:
    """Lend the address of the database, migrated if that is ours to do; stop it at the end if it is ours."""
    if settings.database_url is not None:
        if settings.migrate:
            await migrated(settings.database_url)
        yield settings.database_url
        return
    async with progress(f"starting the database in {settings.data}"):
        embedded = await Embedded.start(settings.data)
    try:
        embedded.failed.add_done_callback(lambda _: stop.asked())
        await migrated(embedded.dsn)
        yield embedded.dsn
    finally:
        await embedded.stop()
        if embedded.failed.done():  # Whatever we were at, this is why it ended.
            raise embedded.failed.result()


@asynccontextmanager
async def _workers(settings: Settings, dsn: str, seal: Sealer) -> AsyncIterator[list[wiring.Loop]]:
    """What goes on beside the calls: the clock worker and the courier, on connections of their own."""
    db = Database(dsn, role="quorate_worker", size=4)
    outgoing = Outgoing(allow_private=settings.allow_private_targets)
    try:
        rounds = Rounds(db, wiring.now, new_id)
        carrier = Courier(Sending(db, seal, clock=wiring.now, new_id=new_id), outgoing, wiring.now)
        yield [lambda: clock.run(rounds), lambda: courier.run(carrier)]
    finally:
        await outgoing.close()
        await db.close()


class _Stop:
    """What a signal does, depending on how far we are."""

    def __init__(self) -> None:
        self.starting: asyncio.Task[None] | None = None
        self.at = 0.0
        self.wanted = asyncio.Event()
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._times = 0

    @property
    def in_a_hurry(self) -> bool:
        return self._times > 1

    def serving(self, server: uvicorn.Server, task: "asyncio.Task[None]") -> None:
        self._server, self._task = server, task

    def signalled(self) -> None:
        if not self._times:
            note("stopping (once more to hurry)")
        self.asked()

    def asked(self) -> None:
        self._times += 1
        if self._times == 1:
            self.at = time.monotonic()
        if self._server is not None and self._task is not None:
            self.wanted.set()
            if self.in_a_hurry:
                self._server.should_exit = True
                self._server.force_exit = True
                self._task.cancel()
        elif self._times == 1 and self.starting is not None:
            self.starting.cancel()


class _Server(uvicorn.Server):
    """A server that says when it is up, and leaves the signals to us."""

    up: Callable[[], None] = staticmethod(lambda: None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
