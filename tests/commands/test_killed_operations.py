"""A server that is killed while it carries out what was approved: nothing is done twice, and nobody is left in doubt.

The wire to PostgreSQL reads what goes by and kills the server with SIGKILL at the statement that is meant; the receiver
of calls can kill it too. Then it is started again, two minutes later as far as the database is concerned.
"""

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest

from quorate.app.declare import Order, RequestToFile, apply, parse
from quorate.app.verify import Passwords
from quorate.store.database import Database
from quorate.store.migrate import migrate
from tests.app.directory import CHEAP, SEALER
from tests.commands.program import Program, started
from tests.receiver import Got, Receiver, answer, receiving
from tests.store.servers import OWNER, Server

PATIENCE_S = 20
CLAIM, LOCK, WRITE, COMMIT = "FOR UPDATE SKIP LOCKED", "FOR UPDATE", "UPDATE execution", "COMMIT"
DONE = answer(200, b'{"rotated": true}')


class Death(NamedTuple):
    """When the server dies: as it sends this statement for the nth time, of those that are about an execution.

    `is_heard`: PostgreSQL does it all the same, and only its answer is lost.
    """

    statement: str
    nth: int = 1
    is_heard: bool = False


UNMARKED = Death(CLAIM)
UNSENT = Death(COMMIT, is_heard=True)  # It is marked as running, and nothing has left.
UNRECORDED = Death(LOCK, nth=2)
UNSAID = Death(WRITE, nth=2)
LOST, RECORDED = Death(COMMIT, nth=2), Death(COMMIT, nth=2, is_heard=True)


class Wire:
    """Stands between the server and PostgreSQL, and knows the statements of their protocol."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._death: Death | None = None
        self._left = 0
        self.victim = 0
        self.died = asyncio.Event()

    def kill_at(self, death: Death | None) -> None:
        self._death, self._left = death, death.nth if death else 0
        self.died.clear()

    def kill(self) -> None:
        self._death = None
        os.kill(self.victim, signal.SIGKILL)
        self.died.set()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_unix_connection(self._upstream)
        answers = asyncio.create_task(_copy(server, to_client))
        statements: dict[bytes, str] = {}
        is_meant = False  # Its transaction has to do with an execution.
        try:
            to_server.write(await _message(client, b""))
            while True:
                kind = await client.readexactly(1)
                data = await _message(client, kind)
                text = _text(kind, data, statements)
                is_meant = is_meant or ("FROM execution" in text and LOCK in text)
                if is_meant and self._is_fatal(text):
                    assert self._death is not None
                    if self._death.is_heard:
                        answers.cancel()
                        await asyncio.wait([answers])
                        to_server.write(data)
                        await server.readexactly(1)
                    self.kill()
                    return
                is_meant = is_meant and text != COMMIT
                to_server.write(data)
                await to_server.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            answers.cancel()
            await asyncio.wait([answers])
            to_server.close()
            to_client.close()

    def _is_fatal(self, text: str) -> bool:
        if self._death is None or self._death.statement not in text:
            return False
        self._left -= 1
        return self._left == 0


async def _message(client: asyncio.StreamReader, kind: bytes) -> bytes:
    size = await client.readexactly(4)
    return kind + size + await client.readexactly(int.from_bytes(size, "big") - 4)


def _text(kind: bytes, data: bytes, statements: dict[bytes, str]) -> str:
    """Say which statement a message carries out; empty when it is none. Prepared ones are remembered by name."""
    if kind == b"P":
        name, text, _ = data[5:].split(b"\0", 2)
        statements[name] = text.decode()
    if kind == b"B":
        return statements[data[5:].split(b"\0", 2)[1]]
    return data[5:-1].decode() if kind == b"Q" else ""


async def _copy(server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await server.read(1 << 16):
            to_client.write(data)
            await to_client.drain()
        to_client.close()


class Plant:
    """A server on a database of its own; Ada asks, Ana approves, Olu is another tenant's administrator."""

    def __init__(self, place: Path, dsn: str, wire: Wire, behind: str, receiver: Receiver) -> None:
        self._place, self._dsn, self._behind = place, dsn, behind
        self.wire, self.receiver = wire, receiver
        self._stack = AsyncExitStack()
        self._program: Program | None = None
        self._url = ""
        self.keys = {who: f"key-of-{who}-{uuid4().hex}" for who in ("ada", "ana", "olu")}

    async def settle(self) -> None:
        """Write what needs approval into the database."""
        calls = [
            {"method": "POST", "path": f"{retry}/{{id}}", "workflow": "Ana", "execute": {"url": url, "retry": retry}}
            for retry, url in (("never", self.receiver.url("/{id}")), ("always", self.receiver.url("/{id}")))
        ]
        own = {"method": "DELETE", "path": "/api/v1/workflows/{id}", "workflow": "Ana", "execute": "internal"}
        step = {"order": 1, "name": "Ana", "approverType": "user", "approverValue": "ana@acme.example"}
        acme = {
            "slug": "acme",
            "roles": [{"name": "admins", "permissions": ["admin"]}],
            "users": [self._user("ada", roles=["admins"]), self._user("ana")],
            "workflows": [{"name": "Ana", "status": "active", "steps": [step]}],
            "operations": [*calls, own],
        }
        olympia = {"slug": "olympia", "roles": acme["roles"], "users": [self._user("olu", roles=["admins"])]}
        db, passwords = Database(self._behind, role=OWNER, size=1), Passwords(CHEAP)
        await db.open()
        order = Order(at=datetime.now(UTC), passwords=passwords, seal=lambda: SEALER)
        await apply(db, parse(json.dumps({"tenants": [acme, olympia]}), "plant.yaml"), order, _no_request)
        passwords.close()
        await db.close()

    def _user(self, who: str, **more: Any) -> dict[str, Any]:
        return {"login": f"{who}@acme.example", "keys": [{"name": "test", "secret": self.keys[who]}], **more}

    async def lives(self) -> None:
        """Have the server run."""
        if self._program is None:
            words = ("serve", "--port", "0", "--data", self._place, "--database-url", self._dsn)
            self._program = await self._stack.enter_async_context(started(*words, "--allow-private-targets"))
            self.wire.victim = self._program.pid
            self._url = await self._program.answers()

    async def is_dead(self) -> None:
        """Wait until it has been killed."""
        assert self._program is not None
        async with asyncio.timeout(PATIENCE_S):
            await self.wire.died.wait()
        assert (await self._program.ended()).code == -signal.SIGKILL
        self._program = None

    async def ends(self) -> None:
        await self._stack.aclose()

    async def call(self, who: str, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """Call the server, which must say yes, or answer with this status."""
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        async with httpx.AsyncClient(base_url=f"{self._url}/api/v1", headers=headers, trust_env=False) as http:
            answered = await http.request(method, path, json=body)
        assert answered.is_success if status is None else answered.status_code == status, answered.text
        return answered.json().get("data")

    async def approve(self, method: str, path: str) -> str:
        """Ask for an operation and have it approved. The server may die before it can say that it is."""
        asked = await self.call("ada", "POST", "/operations", {"method": method, "path": path, "body": {"of": path}})
        listed = await self.call("ana", "GET", "/approvals/pending")
        [task] = [one["id"] for one in listed["approvals"] if one["workflowInstanceId"] == asked["id"]]
        with suppress(httpx.TransportError):
            await self.call("ana", "POST", f"/approvals/{task}/decide", {"decision": "approve"})
        return str(asked["id"])

    async def doomed_workflow(self) -> str:
        """Make a workflow that nobody needs."""
        step = {"order": 1, "name": "Ada", "approverType": "user", "approverValue": "ada@acme.example"}
        return str((await self.call("ada", "POST", "/workflows", {"name": f"{uuid4()}", "steps": [step]}))["id"])

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        """Look into the database, whoever is dead."""
        connection = await asyncpg.connect(self._behind)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()

    async def state(self, operation: str) -> str:
        [(state,)] = await self.rows("SELECT state FROM execution WHERE request_id = $1", operation)
        return str(state)

    async def two_minutes_later(self) -> None:
        """Let the lease of whoever died be over, and start the server again."""
        await self.rows("UPDATE timer SET due_at = now() WHERE kind = 'execution'")
        await self.lives()

    async def becomes(self, operation: str) -> Any:
        """Read the execution as callers do, once it has ended."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = (await self.call("ada", "GET", f"/operations/{operation}"))["execution"]
                if found["status"] not in ("waiting", "running"):
                    return found
                await asyncio.sleep(0.02)


async def _no_request(_: RequestToFile) -> None:
    raise AssertionError("the file names no request")


@pytest.fixture(scope="module")
async def plant(embedded: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plant]:
    database = await embedded.fresh()
    await migrate(embedded.owner(database))
    behind = embedded.admin(database)
    parts = urlsplit(behind)
    query = parse_qs(parts.query)
    wire = Wire(f"{query['host'][0]}/.s.PGSQL.{query.get('port', ['5432'])[0]}")
    with tempfile.TemporaryDirectory(prefix="qw-", dir="/tmp") as place:  # Short enough for a socket.
        listener = await asyncio.start_unix_server(wire.serve, str(Path(place) / ".s.PGSQL.5432"))
        dsn = f"postgresql://{parts.netloc}{parts.path}?host={quote(place, safe='')}&port=5432"
        async with receiving() as receiver:
            plant = Plant(tmp_path_factory.mktemp("killed"), dsn, wire, behind, receiver)
            try:
                await plant.settle()
                yield plant
            finally:
                await plant.ends()
                listener.close()


@pytest.mark.parametrize(
    ("retry", "death", "left", "end", "calls"),
    [
        pytest.param("never", UNMARKED, ("waiting", 0), "succeeded", 1, id="before it is marked as running"),
        pytest.param("never", UNSENT, ("running", 0), "unknown", 0, id="before it is sent"),
        pytest.param("always", UNSENT, ("running", 0), "succeeded", 1, id="before it is sent, repeatable"),
        pytest.param("never", None, ("running", 1), "unknown", 1, id="as it arrives"),
        pytest.param("always", UNRECORDED, ("running", 1), "succeeded", 2, id="before it is recorded, repeatable"),
    ],
)
async def test_a_call_under_way_when_the_server_is_killed_arrives_once_unless_its_receiver_knows_a_repeat(
    plant: Plant, retry: str, death: Death | None, left: tuple[str, int], end: str, calls: int
) -> None:
    async def is_the_death_of_it(_: Got) -> bytes:
        plant.receiver.answer = DONE
        plant.wire.kill()
        raise ConnectionError

    plant.receiver.got.clear()
    plant.receiver.answer = DONE if death else is_the_death_of_it
    await plant.lives()
    plant.wire.kill_at(death)

    operation = await plant.approve("POST", f"{retry}/{uuid4()}")
    await plant.is_dead()
    assert (await plant.state(operation), len(plant.receiver.got)) == left
    await plant.two_minutes_later()
    became = await plant.becomes(operation)

    assert (became["status"], len(plant.receiver.got)) == (end, calls)
    assert {got.headers["idempotency-key"] for got in plant.receiver.got} <= {became["id"]}
    told = await plant.rows("SELECT type FROM event WHERE subject_id = $1", became["id"])
    assert told == [(f"operation.{end}",)], "once"
    await plant.call("olu", "GET", f"/operations/{operation}", status=404)


@pytest.mark.parametrize(
    ("death", "left"),
    [
        pytest.param(UNSAID, ("waiting", False), id="between the deed and its mark"),
        pytest.param(LOST, ("waiting", False), id="at the commit of both"),
        pytest.param(RECORDED, ("succeeded", True), id="after the commit of both"),
    ],
)
async def test_one_of_our_own_that_the_server_is_killed_in_is_done_once_or_not_yet(
    plant: Plant, death: Death, left: tuple[str, bool]
) -> None:
    is_gone = "SELECT deleted_at IS NOT NULL FROM workflow WHERE id = $1"
    await plant.lives()
    workflow = await plant.doomed_workflow()
    plant.wire.kill_at(death)

    operation = await plant.approve("DELETE", f"/api/v1/workflows/{workflow}")
    await plant.is_dead()
    [(was_gone,)] = await plant.rows(is_gone, workflow)
    assert (await plant.state(operation), was_gone) == left
    await plant.two_minutes_later()
    became = await plant.becomes(operation)

    assert became["status"] == "succeeded"
    assert await plant.rows(is_gone, workflow) == [(True,)]
    told = "SELECT count(*) FROM event WHERE subject_id = $1 AND type = 'workflow.deleted'"
    assert await plant.rows(told, workflow) == [(1,)]
