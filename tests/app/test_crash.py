"""What is left when a connection or the whole server dies at the worst moment: all of a command, or nothing."""

import asyncio
import contextlib
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID, uuid4

import msgspec
import pytest

from quorate.app.commands import Door
from quorate.app.lanes import Unavailable
from quorate.domain import commands as do
from quorate.domain.events import Outcome
from quorate.store.database import Database
from tests.app.company import Company, group_leaf
from tests.store.proxy import Cut, Proxy, proxied
from tests.store.servers import Server


@pytest.fixture
async def acme(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


@pytest.fixture
async def wire(embedded: Server) -> AsyncIterator[Proxy]:
    async with proxied(embedded.admin(await embedded.migrated())) as proxy:
        yield proxy


@pytest.mark.parametrize("cut", [Cut.BEFORE_COMMIT, Cut.AFTER_COMMIT])
async def test_a_connection_that_dies_at_commit_loses_nothing_and_does_nothing_twice(
    acme: Company, wire: Proxy, cut: Cut
) -> None:
    await acme.workflow(group_leaf(acme.security), acme.ben)
    behind = Database(wire.dsn)
    acme.door = Door(behind, acme.clock, uuid4)
    try:
        wire.cut = cut
        asked = await acme.ask()
        wire.cut = cut
        moved = await acme.decide(acme.ana, asked)
    finally:
        await behind.close()

    assert wire.cut is Cut.NEVER, "the wire was cut"
    assert moved.request.current.index == 1
    assert [type(event).__name__ for event in moved.events] == ["Decided", "StepOpened"]
    types = await acme.rows("SELECT type FROM event WHERE tenant_id = $1 ORDER BY id")
    assert [type for (type,) in types] == ["Submitted", "StepOpened", "Decided", "StepOpened"]
    await acme.check()


async def test_a_whole_batch_whose_commit_was_lost_is_answered_command_by_command(acme: Company, wire: Proxy) -> None:
    await acme.workflow(acme.ana)
    behind = Database(wire.dsn)
    acme.door = Door(behind, acme.clock, uuid4)
    try:
        asked = [await acme.ask(asking=acme.asking(refuses_duplicates=False)) for _ in range(6)]
        wire.cut = Cut.AFTER_COMMIT
        answers = await asyncio.gather(
            *(acme.decide(acme.ana, done) for done in asked),
            acme.decide(acme.ben, asked[0]),
            return_exceptions=True,
        )
    finally:
        await behind.close()

    assert [type(answer).__name__ for answer in answers] == [*["Done"] * 6, "NotAnApprover"]
    assert {(await acme.held(done.request.id)).request.status for done in asked} == {Outcome.APPROVED}
    await acme.check()


async def test_a_server_killed_before_any_of_its_statements_leaves_whole_commands(
    acme: Company, embedded: Server
) -> None:
    """Kill it before its first message to PostgreSQL, then before its second, and so on until it lives to the end."""
    await acme.workflow(acme.ana, acme.ben)
    upstream = embedded.admin(await embedded.migrated())
    kills = 0
    while True:
        acknowledged, survived = await _live_until(upstream, acme, kills)
        for request, version in acknowledged:
            assert (await acme.held(request)).request.version >= version, "what was acknowledged is there"
        await acme.check()
        if survived:
            break
        kills += 1
        await _cancel_everything(acme)

    assert len(acknowledged) == 3
    assert (await acme.held(acknowledged[-1][0])).request.status is Outcome.APPROVED
    assert kills > 12, "three commands of at least four statements each"


async def test_a_database_that_restarts_under_way_is_waited_for(acme: Company, wire: Proxy) -> None:
    await acme.workflow(acme.ana)
    behind = Database(wire.dsn)
    acme.door = Door(behind, acme.clock, uuid4)
    try:
        asked = await acme.ask()
        wire.hang_up()
        done = await acme.decide(acme.ana, asked)
    finally:
        await behind.close()

    assert done.request.status is Outcome.APPROVED
    await acme.check()


async def test_however_many_wait_they_soon_hear_that_the_database_is_away(acme: Company, wire: Proxy) -> None:
    await acme.workflow(acme.ana)
    behind = Database(wire.dsn)
    acme.door = Door(behind, acme.clock, uuid4)
    wire.is_down = True
    try:
        async with asyncio.timeout(10):
            asking = acme.asking(refuses_duplicates=False)
            answers = await asyncio.gather(*(acme.ask(asking=asking) for _ in range(128)), return_exceptions=True)
    finally:
        await behind.close()

    assert {type(answer) for answer in answers} == {Unavailable}


async def _cancel_everything(acme: Company) -> None:
    pending = await acme.rows("SELECT id FROM request WHERE tenant_id = $1 AND status = 'pending'")
    for (request,) in pending:
        await acme.door.take(acme.order(acme.rhea, do.Cancel(acme.rhea), request=request))


async def _live_until(upstream: str, acme: Company, messages: int) -> tuple[list[tuple[UUID, int]], bool]:
    """Run the miniature server until it has sent so many messages; then kill it. Says what it had acknowledged."""
    parts = urlsplit(upstream)
    host = parse_qs(parts.query)["host"][0]
    port = parse_qs(parts.query).get("port", ["5432"])[0]
    with tempfile.TemporaryDirectory(prefix="qk-") as place:
        executioner = _Executioner(f"{host}/.s.PGSQL.{port}", messages)
        listener = await asyncio.start_unix_server(executioner.serve, str(Path(place) / ".s.PGSQL.5432"))
        mine = f"postgresql://{parts.netloc}{parts.path}?host={quote(place, safe='')}&port=5432"
        people = map(str, (acme.rhea, acme.ana, acme.ben))
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.app.doomed", mine, str(acme.tenant), str(acme.auditors), *people),
            stdout=PIPE,
            stderr=PIPE,
        )
        executioner.child = child
        executioner.ready.set()
        try:
            output, trouble = await asyncio.wait_for(child.communicate(), 30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            listener.close()
        assert child.returncode in (0, -9), trouble.decode()
        lines = [msgspec.json.decode(line, type=tuple[UUID, int]) for line in output.splitlines()]
        return lines, child.returncode == 0


class _Executioner:
    """Forwards so many messages to PostgreSQL and kills whoever sends the next one."""

    def __init__(self, upstream: str, messages: int) -> None:
        self._upstream, self._left = upstream, messages
        self.child: Process | None = None
        self.ready = asyncio.Event()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        await self.ready.wait()
        assert self.child is not None
        server, to_server = await asyncio.open_unix_connection(self._upstream)
        answers = asyncio.create_task(_copy(server, to_client))
        try:
            while data := await client.read(1 << 20):
                if self._left == 0:
                    with contextlib.suppress(ProcessLookupError):
                        self.child.kill()
                    return
                self._left -= 1
                to_server.write(data)
                await to_server.drain()
        except ConnectionError:
            return
        finally:
            answers.cancel()
            await asyncio.wait([answers])
            to_server.close()
            to_client.close()


async def _copy(server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await server.read(1 << 20):
            to_client.write(data)
            await to_client.drain()
