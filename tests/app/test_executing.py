"""Operations are carried out once, whoever dies: the connection is cut before every single message to PostgreSQL."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID, uuid4

import msgspec
import pytest

from quorate.app.actor import Actor
from quorate.app.asking import AskOperation
from quorate.app.operations.calling import Answered, sealed_headers
from quorate.app.operations.executing import LEASE, MOST_ATTEMPTS, Executing, Perform, rest
from quorate.app.orders import Done
from quorate.app.outgoing import Outgoing
from quorate.app.workflows import Workflows
from quorate.domain.operations import Execution, State
from quorate.domain.refusals import NotPermitted, TimedApprovalForbidden, WorkflowState
from quorate.domain.workflows import OnTimeout
from quorate.store import executions as store
from quorate.store.database import Database
from quorate.workers.provisioner import Provisioner
from tests.app.company import Company, group_leaf, later
from tests.app.directory import SEALER
from tests.receiver import Got, Receiver, answer, receiving
from tests.store.servers import Server

DELETE = "/api/v1/workflows/{id}"


@pytest.fixture
async def acme(db: Database, tenant: UUID) -> Company:
    return await Company(db, tenant).settle()


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    made = Outgoing(allow_private=True, timeout_s=5)
    yield made
    await made.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        made.answer = answer(200, b'{"rotated": true}')
        yield made


async def rule(acme: Company, method: str, path: str, execute: Any, headers: dict[str, str] | None = None) -> UUID:
    """Have a call need Ana's approval."""
    id, at = uuid4(), acme.clock()
    if headers:
        execute = {**execute, "headers": sealed_headers(SEALER, acme.tenant, id, headers)}
    workflow = await acme.workflow(acme.ana)
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run(
            """
            INSERT INTO operation (tenant_id, id, method, path, workflow_id, execute, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
            """,
            *(acme.tenant, id, method, path, workflow, msgspec.json.encode(execute), at),
        )
    return id


async def approved(acme: Company, method: str, path: str, body: Any = None, who: UUID | None = None) -> Execution:
    """Ask for an operation and have it approved."""
    asking = AskOperation(method, path, body)
    done = await acme.door.take(acme.order(who or acme.ada, asking))
    await acme.decide(acme.ana, done)
    return await now(acme, done)


async def now(acme: Company, of: Done | Execution) -> Execution:
    request = of.request.id if isinstance(of, Done) else of.request
    async with acme.db.tx([acme.tenant]) as tx:
        return (await store.of_requests(tx, acme.tenant, [request]))[request]


def deleting(db: Database, acme: Company, effects: list[UUID]) -> Perform:
    """Delete a workflow, as the native API would have it done."""
    workflows = Workflows(db, clock=acme.clock, new_id=uuid4)

    async def perform(actor: Actor, method: str, path: str, body: Any) -> Answered:
        effects.append(actor.principal)
        try:
            await workflows.delete(actor, UUID(path.rpartition("/")[2]))
        except WorkflowState as refused:
            return Answered(409, None, str(refused))
        except NotPermitted as refused:
            return Answered(403, None, str(refused))
        return Answered(200, {"success": True})

    return perform


def executing(
    acme: Company, outgoing: Outgoing, db: Database | None = None, perform: Perform | None = None
) -> Executing:
    db = db or acme.db
    return Executing(
        db,
        SEALER,
        outgoing,
        perform or deleting(db, acme, []),
        clock=acme.clock,
        new_id=uuid4,
        forget=lambda _: None,
    )


async def finished(acme: Company, outgoing: Outgoing, execution: Execution) -> Execution:
    """Carry on where somebody died; PostgreSQL may take a moment to notice that they did."""
    async with asyncio.timeout(10):
        while not (left := await now(acme, execution)).state.is_final:
            await executing(acme, outgoing).carry_out(acme.tenant, execution.id)
            await asyncio.sleep(0)
    return left


class Executioner:
    """A way to PostgreSQL that forwards so many messages, cuts every connection, and kills whoever sent them.

    The one that kills is lost, or (`is_deaf`) done all the same, and only its answer is lost.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream, self._left, self._is_deaf = upstream, 0, False
        self._died = asyncio.Event()

    async def dies(self, work: Awaitable[Any], messages: int, *, is_deaf: bool) -> bool:
        """Do work until it has sent so many messages. Says whether that killed it."""
        self._left, self._is_deaf, self._died = messages, is_deaf, asyncio.Event()
        working, dying = asyncio.ensure_future(work), asyncio.ensure_future(self._died.wait())
        await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
        for one in (working, dying):
            one.cancel()
        await asyncio.wait({working, dying})
        return self._died.is_set()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_unix_connection(self._upstream)
        answers = asyncio.create_task(self._answers(server, to_client))
        with contextlib.suppress(ConnectionError):
            while (data := await client.read(1 << 20)) and not self._died.is_set():
                if self._left == 0:
                    if self._is_deaf:
                        answers.cancel()
                        await asyncio.wait([answers])
                        to_server.write(data)
                        await server.read(1)
                    self._died.set()
                    break
                self._left -= 1
                to_server.write(data)
                await to_server.drain()
        answers.cancel()
        to_server.close()
        to_client.close()

    async def _answers(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await server.read(1 << 20):
                to_client.write(data)
                await to_client.drain()


@pytest.fixture
async def executioner(embedded: Server) -> AsyncIterator[tuple[Executioner, str]]:
    parts = urlsplit(embedded.admin(await embedded.migrated()))
    query = parse_qs(parts.query)
    made = Executioner(f"{query['host'][0]}/.s.PGSQL.{query.get('port', ['5432'])[0]}")
    with tempfile.TemporaryDirectory(prefix="qx-", dir="/tmp") as place:
        listener = await asyncio.start_unix_server(made.serve, str(Path(place) / ".s.PGSQL.5432"))
        yield made, f"postgresql://{parts.netloc}{parts.path}?host={quote(place, safe='')}&port=5432"
        listener.close()


@pytest.mark.parametrize("is_deaf", [False, True], ids=["message lost", "answer lost"])
async def test_one_of_our_own_is_done_once_however_often_whoever_does_it_dies(
    acme: Company, outgoing: Outgoing, executioner: tuple[Executioner, str], is_deaf: bool
) -> None:
    """Die before the first message to PostgreSQL, then before the second, and so on until nobody dies any more."""
    killer, dsn = executioner
    await rule(acme, "DELETE", DELETE, "internal")
    deaths, was_done = 0, 0
    while True:
        doomed = await acme.workflow(acme.ana, status="inactive")
        execution = await approved(acme, "DELETE", DELETE.replace("{id}", str(doomed)))
        behind = Database(dsn, size=1)
        died = await killer.dies(
            executing(acme, outgoing, behind).carry_out(acme.tenant, execution.id), deaths, is_deaf=is_deaf
        )
        await behind.close()
        left = await now(acme, execution)
        [(is_gone,)] = await acme.rows(
            "SELECT deleted_at IS NOT NULL FROM workflow WHERE tenant_id = $1 AND id = $2", doomed
        )
        assert is_gone == (left.state is State.SUCCEEDED), "both or neither"
        was_done += is_gone
        if not died:
            break
        later(acme.clock, LEASE)
        assert (await finished(acme, outgoing, execution)).state is State.SUCCEEDED
        told = await acme.rows("SELECT type FROM event WHERE tenant_id = $1 AND subject_id = $2", doomed)
        assert told == [("workflow.deleted",)], "once"
        deaths += 1

    assert left.state is State.SUCCEEDED
    assert deaths > 12
    assert was_done >= 1


@pytest.mark.parametrize("retry", ["never", "always"])
@pytest.mark.parametrize("is_deaf", [False, True], ids=["message lost", "answer lost"])
async def test_a_call_is_sent_once_unless_its_receiver_knows_a_repeat(
    acme: Company,
    outgoing: Outgoing,
    receiver: Receiver,
    executioner: tuple[Executioner, str],
    retry: str,
    is_deaf: bool,
) -> None:
    killer, dsn = executioner
    await rule(acme, "POST", "keys/{id}/rotate", {"url": receiver.url("/rotate/{id}"), "retry": retry})
    deaths = 0
    ends: list[tuple[State, State, int]] = []
    while True:
        receiver.got.clear()
        execution = await approved(acme, "POST", f"keys/{deaths}/rotate", {"n": deaths}, who=acme.rhea)
        behind = Database(dsn, size=1)
        died = await killer.dies(
            executing(acme, outgoing, behind).carry_out(acme.tenant, execution.id), deaths, is_deaf=is_deaf
        )
        await behind.close()
        left = await now(acme, execution)
        assert left.state is not State.WAITING or receiver.got == [], "it is marked as running before it is sent"
        if not died:
            break
        later(acme.clock, LEASE)
        last = await finished(acme, outgoing, execution)
        ends.append((left.state, last.state, len(receiver.got)))
        assert {got.headers["idempotency-key"] for got in receiver.got} <= {str(execution.id)}
        deaths += 1

    assert (left.state, len(receiver.got)) == (State.SUCCEEDED, 1)
    for was, end, sent in ends:
        match was:
            case State.WAITING | State.SUCCEEDED:
                assert (end, sent) == (State.SUCCEEDED, 1)
            case _ if retry == "never":
                assert (end, sent in (0, 1)) == (State.UNKNOWN, True)
            case _:
                assert (end, sent in (1, 2)) == (State.SUCCEEDED, True)
    assert {State.WAITING, State.RUNNING} <= {was for was, *_ in ends}
    if is_deaf:
        assert State.SUCCEEDED in {was for was, *_ in ends}, "some died when all was done"


async def test_a_call_carries_its_body_its_secret_headers_and_the_execution_as_its_key(
    acme: Company, outgoing: Outgoing, receiver: Receiver
) -> None:
    execute = {"url": receiver.url("/rotate/{id}?by=quorate")}
    await rule(acme, "POST", "keys/{id}/rotate", execute, {"Authorization": "Bearer s3cret"})
    execution = await approved(acme, "POST", "/keys/a%2Fb?x=y/rotate".replace("?x=y", ""), {"deep": [1]}, who=acme.rhea)

    await executing(acme, outgoing).carry_out(acme.tenant, execution.id)

    [got] = receiver.got
    assert got.line == "POST /rotate/a%252Fb?by=quorate HTTP/1.1"
    assert got.headers["authorization"] == "Bearer s3cret"
    assert got.headers["idempotency-key"] == str(execution.id)
    assert msgspec.json.decode(got.body) == {"deep": [1]}
    kept = await acme.rows("SELECT execute::text FROM operation WHERE tenant_id = $1")
    told = await acme.rows("SELECT body::text FROM event WHERE tenant_id = $1")
    assert "s3cret" not in str(kept) + str(told)
    assert await now(acme, execution) == msgspec.structs.replace(
        execution,
        state=State.SUCCEEDED,
        attempts=1,
        started_at=acme.clock(),
        ended_at=acme.clock(),
        status=200,
    )


@pytest.mark.parametrize(
    ("said", "retry", "state", "status"),
    [
        (answer(204), "never", State.SUCCEEDED, 204),
        (answer(302), "always", State.FAILED, 302),
        (answer(404, b'"no such key"'), "never", State.FAILED, 404),
        (answer(503, b"busy"), "never", State.FAILED, 503),
    ],
    ids=["nothing to say", "no redirects", "refused", "busy"],
)
async def test_an_answer_is_an_end(
    acme: Company, outgoing: Outgoing, receiver: Receiver, said: bytes, retry: str, state: State, status: int
) -> None:
    receiver.answer = said
    await rule(acme, "POST", "x", {"url": receiver.url(), "retry": retry})
    execution = await approved(acme, "POST", "x", who=acme.rhea)

    await executing(acme, outgoing).carry_out(acme.tenant, execution.id)

    end = await now(acme, execution)
    assert (end.state, end.status) == (state, status)
    assert await executing(acme, outgoing).due(acme.tenant, 10) == []


async def test_a_busy_receiver_that_knows_repeats_is_asked_again_but_not_for_ever(
    acme: Company, outgoing: Outgoing, receiver: Receiver
) -> None:
    receiver.answer = answer(503, b"busy")
    await rule(acme, "POST", "x", {"url": receiver.url(), "retry": "always"})
    execution = await approved(acme, "POST", "x", who=acme.rhea)

    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert await executing(acme, outgoing).carry_out(acme.tenant, execution.id)
        assert not await executing(acme, outgoing).carry_out(acme.tenant, execution.id), "it rests"
        later(acme.clock, rest(attempt))

    end = await now(acme, execution)
    assert (end.state, end.status, end.failure, len(receiver.got)) == (State.FAILED, 503, "busy", MOST_ATTEMPTS)


async def test_what_never_left_is_tried_again_whatever_the_rule_says(
    acme: Company, outgoing: Outgoing, receiver: Receiver
) -> None:
    async with receiving() as gone:
        url = gone.url()
    await rule(acme, "POST", "x", {"url": url, "retry": "never"})
    execution = await approved(acme, "POST", "x", who=acme.rhea)

    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert (await now(acme, execution)).state is State.WAITING
        await executing(acme, outgoing).carry_out(acme.tenant, execution.id)
        later(acme.clock, rest(attempt))

    end = await now(acme, execution)
    assert (end.state, end.status, end.failure) == (State.FAILED, None, "the connection was refused")


async def test_a_call_that_breaks_off_is_left_as_unknown_and_the_audit_log_says_so(
    acme: Company, outgoing: Outgoing, receiver: Receiver
) -> None:
    async def hangs_up(_: Got) -> bytes:
        raise ConnectionError

    receiver.answer = hangs_up
    await rule(acme, "POST", "x", {"url": receiver.url()})
    execution = await approved(acme, "POST", "x", who=acme.rhea)

    await executing(acme, outgoing).carry_out(acme.tenant, execution.id)
    later(acme.clock, LEASE)
    assert not await executing(acme, outgoing).carry_out(acme.tenant, execution.id)

    assert (await now(acme, execution)).state is State.UNKNOWN
    assert len(receiver.got) == 1
    told = await acme.rows("SELECT type FROM event WHERE tenant_id = $1 AND subject_kind = 'execution'")
    assert told == [("operation.unknown",)]


async def test_what_leads_to_ourselves_is_not_called(acme: Company, receiver: Receiver) -> None:
    guarded = Outgoing(allow_private=False)
    await rule(acme, "POST", "x", {"url": receiver.url(), "retry": "always"})
    execution = await approved(acme, "POST", "x", who=acme.rhea)

    await executing(acme, guarded).carry_out(acme.tenant, execution.id)
    await guarded.close()

    assert ((await now(acme, execution)).state, receiver.got) == (State.FAILED, [])


async def test_a_call_whose_rule_has_changed_since_is_not_made(
    acme: Company, outgoing: Outgoing, receiver: Receiver
) -> None:
    """Its headers belong to where the rule leads now."""
    await rule(acme, "POST", "x", {"url": receiver.url("/old")}, {"Authorization": "Bearer s3cret"})
    execution = await approved(acme, "POST", "x", who=acme.rhea)
    async with acme.db.tx([acme.tenant]) as tx:
        other = msgspec.json.encode({"url": receiver.url("/new")})
        await tx.run("UPDATE operation SET execute = $2 WHERE tenant_id = $1", acme.tenant, other)

    await executing(acme, outgoing).carry_out(acme.tenant, execution.id)

    assert ((await now(acme, execution)).state, receiver.got) == (State.FAILED, [])


async def test_two_at_once_carry_an_execution_out_once(acme: Company, outgoing: Outgoing, receiver: Receiver) -> None:
    await rule(acme, "POST", "x", {"url": receiver.url(), "retry": "always"})
    execution = await approved(acme, "POST", "x", who=acme.rhea)
    both = [executing(acme, outgoing), executing(acme, outgoing)]

    did = await asyncio.gather(*(one.carry_out(acme.tenant, execution.id) for one in both))

    assert sorted(did) == [False, True]
    assert len(receiver.got) == 1


async def test_two_approvers_at_once_make_one_execution(acme: Company, outgoing: Outgoing) -> None:
    await rule(acme, "DELETE", DELETE, "internal")
    workflow = await acme.workflow(group_leaf(acme.security))
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run("UPDATE operation SET workflow_id = $2 WHERE tenant_id = $1", acme.tenant, workflow)
    target = await acme.workflow(acme.ana, status="inactive")
    asked = await acme.door.take(acme.order(acme.ada, AskOperation("DELETE", DELETE.replace("{id}", str(target)))))

    answers = await asyncio.gather(acme.decide(acme.ana, asked), acme.decide(acme.ben, asked), return_exceptions=True)

    assert sorted(type(one).__name__ for one in answers) == ["AlreadyClosed", "Done"]
    [(made,)] = await acme.rows("SELECT count(*) FROM execution WHERE tenant_id = $1")
    assert made == 1


async def test_olus_provisioner_round_touches_nothing_of_others(acme: Company, outgoing: Outgoing, olu: UUID) -> None:
    await rule(acme, "DELETE", DELETE, "internal")
    target = await acme.workflow(acme.ana, status="inactive")
    execution = await approved(acme, "DELETE", DELETE.replace("{id}", str(target)))

    assert await executing(acme, outgoing).due(olu, 10) == []
    assert not await executing(acme, outgoing).carry_out(olu, execution.id)

    assert (await now(acme, execution)).state is State.WAITING


async def test_a_provisioner_finds_by_itself_what_was_approved(acme: Company, outgoing: Outgoing) -> None:
    await rule(acme, "DELETE", DELETE, "internal")
    target = await acme.workflow(acme.ana, status="inactive")
    execution = await approved(acme, "DELETE", DELETE.replace("{id}", str(target)))
    provisioner = Provisioner(executing(acme, outgoing))

    assert await provisioner.turn() >= 1
    await provisioner.all_done()

    assert (await now(acme, execution)).state is State.SUCCEEDED


async def test_what_goes_wrong_on_our_side_is_undone_and_tried_again(acme: Company, outgoing: Outgoing) -> None:
    await rule(acme, "DELETE", DELETE, "internal")
    target = await acme.workflow(acme.ana, status="inactive")
    execution = await approved(acme, "DELETE", DELETE.replace("{id}", str(target)))
    properly = deleting(acme.db, acme, [])

    async def and_breaks(actor: Actor, method: str, path: str, body: Any) -> Answered:
        await properly(actor, method, path, body)
        return Answered(500, None, "Something went wrong on our side")

    await executing(acme, outgoing, perform=and_breaks).carry_out(acme.tenant, execution.id)
    assert (await now(acme, execution)).state is State.WAITING
    later(acme.clock, rest(1))
    await executing(acme, outgoing).carry_out(acme.tenant, execution.id)

    end = await now(acme, execution)
    assert (end.state, end.attempts) == (State.SUCCEEDED, 2)


async def test_an_operation_whose_step_passes_by_time_cannot_be_asked_for(acme: Company) -> None:
    await rule(acme, "POST", "x", {"reply": {"status": 200}})
    workflow = await acme.workflow(acme.ana, on_timeout=OnTimeout.APPROVE)
    async with acme.db.tx([acme.tenant]) as tx:
        await tx.run("UPDATE operation SET workflow_id = $2 WHERE tenant_id = $1", acme.tenant, workflow)

    with pytest.raises(TimedApprovalForbidden):
        await acme.door.take(acme.order(acme.rhea, AskOperation("POST", "x")))
