"""What is due gets done: by the workers' role, in every tenant, whatever goes wrong in one of them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from quorate.app import rounds as work
from quorate.app.rounds import Did, Rounds
from quorate.domain.events import FellBack, Outcome
from quorate.store import challenges, due, history
from quorate.store.challenges import Challenge
from quorate.store.database import Database
from quorate.store.migrate import migrate
from quorate.workers import clock as worker
from tests.app.company import Company, group_leaf, keyed, later
from tests.app.directory import Clock
from tests.conftest import new_tenant
from tests.store.servers import OWNER, Server, on_both


class World:
    """A database of its own, so that nothing is due but what a test made so."""

    def __init__(self, databases: dict[str | None, Database]) -> None:
        self.server, self.worker = databases["quorate_server"], databases["quorate_worker"]
        self.owner, self.unfenced = databases[OWNER], databases[None]
        self.clock = Clock()
        self.rounds = Rounds(self.worker, self.clock, uuid4)

    async def company(self) -> Company:
        tenant = await new_tenant(self.owner)
        self.clock.passes(seconds=1)  # What the database stamped when it made the tenant lies in the past.
        return await Company(self.server, tenant, self.clock).settle()

    async def count(self, tenant: UUID, table: str) -> int:
        async with self.unfenced.tx([tenant]) as tx:
            row = await tx.one(f"SELECT count(*) AS many FROM {table} WHERE tenant_id = $1", tenant)
        assert row is not None
        return int(row["many"])


@pytest.fixture
async def world(postgres: Server) -> AsyncIterator[World]:
    database = await postgres.fresh()
    await migrate(postgres.owner(database))
    async with AsyncExitStack() as held:
        databases: dict[str | None, Database] = {}
        for role in ("quorate_server", "quorate_worker", OWNER, None):
            databases[role] = Database(postgres.admin(database), role=role, size=2)
            held.push_async_callback(databases[role].close)
        yield World(databases)


@on_both
async def test_a_request_expires_although_nobody_looks_at_it(world: World) -> None:
    acme, olus = await world.company(), await world.company()
    await acme.workflow(acme.ana)
    await olus.workflow(olus.ana, timeout_s=90 * 24 * 3600)
    asked, other = await acme.ask(), await olus.ask()
    assert (await world.rounds.lapse()).done == 0

    later(world.clock, timedelta(hours=48))
    did = await world.rounds.lapse()

    assert did == Did(done=1)
    assert (await acme.held(asked.request.id)).request.status is Outcome.EXPIRED
    assert (await olus.held(other.request.id)).request.is_open
    await acme.check()


@on_both
async def test_a_step_that_has_lost_its_approvers_goes_to_the_fallback(world: World) -> None:
    acme = await world.company()
    await acme.workflow(group_leaf(acme.security))
    asked = await acme.ask()
    async with world.server.tx([acme.tenant]) as tx:
        await tx.run("DELETE FROM group_member WHERE tenant_id = $1", acme.tenant)

    assert await world.rounds.lapse() == Did(done=1)

    async with acme.db.tx([acme.tenant]) as tx:
        past = await history.of_request(tx, acme.tenant, asked.request.id)
    assert isinstance(past[-1].event, FellBack)
    assert (await acme.decide(acme.ada, asked)).request.status is Outcome.APPROVED


async def test_a_full_transaction_says_that_more_is_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "REQUESTS", 2)
    acme = await world.company()
    await acme.workflow(acme.ana)
    for asker in (acme.rhea, acme.ben, acme.cyd):
        await acme.ask(asker)
    later(world.clock, timedelta(hours=48))

    assert await world.rounds.lapse() == Did(done=2, more=True)
    assert await world.rounds.lapse() == Did(done=1)
    assert await world.rounds.lapse() == Did()


async def test_a_tenant_whose_work_fails_keeps_no_other_waiting_and_is_left_alone_for_longer_each_time(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    broken, acme = await world.company(), await world.company()
    async with world.unfenced.tx([broken.tenant]) as tx:
        for _ in range(2):  # Their sum is more than the column holds.
            await tx.run(
                "INSERT INTO request_count (tenant_id, status, kind, delta) VALUES ($1, 'pending', 'access', $2)",
                broken.tenant,
                2**31 - 1,
            )

    failed = [await world.rounds.tidy()]
    for _ in range(8):
        later(world.clock, timedelta(seconds=1))
        failed.append(await world.rounds.tidy())

    assert [one.failed for one in failed] == [1, 1, 0, 1, 0, 0, 0, 1, 0]
    assert {one.levelno for one in caplog.records} == {logging.ERROR}
    assert {record.tenant for record in caplog.records if hasattr(record, "tenant")} == {str(broken.tenant)}
    async with world.unfenced.tx([acme.tenant]) as tx:
        [timer] = await tx.all("SELECT due_at FROM timer WHERE tenant_id = $1 AND kind = 'tidy'", acme.tenant)
    assert timer["due_at"] > world.clock(), "the other tenant has been tidied"


@on_both
async def test_counts_are_folded_and_what_has_had_its_time_is_removed(world: World) -> None:
    acme, olus = await world.company(), await world.company()
    for company in (acme, olus):
        await company.workflow(company.ana)
        for asker in (company.rhea, company.ben):
            await company.ask(asker, idempotency=keyed("k"))
        async with world.server.tx([company.tenant]) as tx:
            for ended, days in (("NULL", 7), ("now()", 7), ("NULL", 30)):
                await tx.run(
                    f"""
                    INSERT INTO session (tenant_id, id, principal_id, secret_hash, password_stamp, created_at,
                                         expires_at, ended_at)
                    VALUES ($1, $2, $3, sha256(''), $2, now(), now() + $4 * interval '1 day', {ended})
                    """,
                    company.tenant,
                    uuid4(),
                    company.ana,
                    days,
                )
    async with world.unfenced.tx([olus.tenant]) as tx:
        await due.put_off_tidying(tx, olus.tenant, world.clock() + timedelta(days=99))

    assert (await world.rounds.tidy()).done == 1  # Two differences became one sum; all else is young.
    later(world.clock, timedelta(hours=25))
    assert (await world.rounds.tidy()).done == 3
    later(world.clock, timedelta(days=8))
    assert (await world.rounds.tidy()).done == 1

    left = {table: await world.count(acme.tenant, table) for table in ("request_count", "replay", "session")}
    assert left == {"request_count": 1, "replay": 0, "session": 1}
    olus_own = {table: await world.count(olus.tenant, table) for table in left}
    assert olus_own == {"request_count": 2, "replay": 2, "session": 3}


async def test_challenges_that_nobody_took_are_removed_once_their_time_is_over(world: World) -> None:
    acme, olus = await world.company(), await world.company()
    at = world.clock()
    for company in (acme, olus):
        async with world.server.tx([company.tenant]) as tx:
            for minutes in (5, 10):
                await challenges.put(tx, company.tenant, a_challenge(company.ana, at + timedelta(minutes=minutes)), at)
    async with world.unfenced.tx([olus.tenant]) as tx:
        await due.put_off_tidying(tx, olus.tenant, at + timedelta(days=99))

    assert (await world.rounds.tidy()).done == 0
    later(world.clock, work.QUIET)  # Five minutes: one is over at this very moment.
    assert (await world.rounds.tidy()).done == 1

    assert await world.count(acme.tenant, "challenge") == 1
    assert await world.count(olus.tenant, "challenge") == 2


def a_challenge(of: UUID, expires_at: datetime) -> Challenge:
    return Challenge(principal=of, purpose="decide", subject=uuid4(), random=b"r", snapshot=b"s", expires_at=expires_at)


async def test_tidying_comes_back_soon_after_there_was_something_and_later_after_there_was_nothing(
    world: World,
) -> None:
    acme = await world.company()
    await acme.workflow(acme.ana)
    await acme.ask()
    await acme.ask(acme.ben)

    async def next_in() -> timedelta:
        await world.rounds.tidy()
        rows = await acme.rows("SELECT due_at FROM timer WHERE tenant_id = $1 AND kind = 'tidy'")
        return timedelta(seconds=round((rows[0][0] - world.clock()).total_seconds()))

    assert await next_in() == work.BUSY
    later(world.clock, work.BUSY)
    assert await next_in() == work.QUIET


async def test_two_workers_tidy_a_tenant_once(world: World) -> None:
    acme = await world.company()
    at = world.clock()
    async with world.worker.tx([acme.tenant]) as one, world.worker.tx([acme.tenant]) as other:
        assert await due.claim_tidying(one, acme.tenant, at)
        assert not await due.claim_tidying(other, acme.tenant, at)


class Enough(BaseException):
    """Ends a loop that never ends."""


def resting(times: int, then: Callable[[], Awaitable[None]] | None = None) -> tuple[list[float], worker.Rest]:
    """A rest that takes no time, remembers how long it would have, and ends the loop after so many."""
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        if then is not None:
            await then()
        if len(rests) == times:
            raise Enough

    return rests, rest


async def test_the_loop_goes_on_at_once_while_more_is_waiting_and_rests_when_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "REQUESTS", 1)
    acme = await world.company()
    await acme.workflow(acme.ana)
    for asker in (acme.rhea, acme.ben):
        await acme.ask(asker)
    later(world.clock, timedelta(hours=48))
    rests, rest = resting(4)

    with pytest.raises(Enough):
        await worker.run(world.rounds, rest=rest)

    assert rests == [0, 0, worker.REST_S, worker.REST_S]


async def test_the_loop_outlives_the_database_and_asks_it_less_and_less_often(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    gone = Database("postgresql://nobody@127.0.0.1:1/none", role=None)
    rests, rest = resting(9)

    with pytest.raises(Enough):
        await worker.run(Rounds(gone, world.clock, uuid4), rest=rest)

    assert rests == [1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert {(record.levelno, record.exc_info) for record in caplog.records} <= {
        (logging.WARNING, None),
        (logging.WARNING, False),
    }


async def test_a_mistake_of_ours_is_told_in_full_once_and_does_not_end_the_loop(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.unfenced.tx([uuid4()]) as tx:
        await tx.run("ALTER FUNCTION tenants_with_due RENAME TO tenants_gone")
    rests, rest = resting(3)

    with pytest.raises(Enough):
        await worker.run(world.rounds, rest=rest)

    assert rests == [1, 2, 4]
    assert [bool(record.exc_info) for record in caplog.records] == [True, False, False]


async def test_the_loop_ends_at_once_when_it_is_cancelled(world: World) -> None:
    began = asyncio.Event()

    async def rest(seconds: float) -> None:
        began.set()
        await asyncio.Event().wait()

    loop = asyncio.create_task(worker.run(world.rounds, rest=rest))
    async with asyncio.timeout(10):
        await began.wait()
        loop.cancel()
        await asyncio.wait([loop])

    assert loop.cancelled()
