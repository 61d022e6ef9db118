"""Connections and transactions: fairness, clean sessions, and saying truthfully what became of a COMMIT."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from quorate.store.database import CommitUnknown, Database, NoRoom, Retryable, Tx, Unreachable
from tests.store.proxy import Cut, Proxy, proxied
from tests.store.servers import Server
from tests.store.specimens import one_of_each


@pytest.fixture
async def single(postgres: Server) -> AsyncIterator[Database]:
    """A pool of one connection."""
    database = Database(postgres.admin(await postgres.migrated()), size=1)
    yield database
    await database.close()


@pytest.fixture
async def proxy(postgres: Server) -> AsyncIterator[Proxy]:
    async with proxied(postgres.admin(await postgres.migrated())) as wire:
        yield wire


@pytest.fixture
async def through(proxy: Proxy) -> AsyncIterator[Database]:
    """A pool whose connections go through the proxy."""
    database = Database(proxy.dsn, size=2)
    yield database
    await database.close()


async def add_timer(tx: Tx, tenant: UUID, subject: UUID) -> None:
    await tx.run("INSERT INTO timer VALUES ($1, 'test', $2, now())", tenant, subject)


async def has_timer(db: Database, tenant: UUID, subject: UUID) -> bool:
    async with db.tx([tenant]) as tx:
        return bool(await tx.all("SELECT 1 FROM timer WHERE tenant_id = $1 AND subject_id = $2", tenant, subject))


def test_a_transaction_must_name_its_tenants() -> None:
    with pytest.raises(ValueError, match="must name its tenants"):
        Tx(None, [])  # type: ignore[arg-type]  # It must refuse before it looks at the connection.


async def test_tenants_must_be_uuids_because_they_are_written_into_the_statement(db: Database) -> None:
    with pytest.raises(TypeError):
        async with db.tx(["'; DROP TABLE request; --"]):  # type: ignore[list-item]  # That is the point.
            pass


async def test_a_transaction_commits_at_the_end_of_its_block(db: Database, tenant: UUID) -> None:
    subject = uuid4()
    async with db.tx([tenant]) as tx:
        await add_timer(tx, tenant, subject)
        assert tx.tenants == {tenant}
    assert await has_timer(db, tenant, subject)


async def test_a_transaction_whose_block_fails_changes_nothing(db: Database, tenant: UUID) -> None:
    subject = uuid4()

    async def work() -> None:
        async with db.tx([tenant]) as tx:
            await add_timer(tx, tenant, subject)
            raise KeyError

    with pytest.raises(KeyError):
        await work()
    assert not await has_timer(db, tenant, subject)


async def test_a_transaction_is_of_no_use_after_its_end(db: Database, tenant: UUID) -> None:
    async with db.tx([tenant]) as tx:
        pass
    with pytest.raises(RuntimeError, match="has ended"):
        await tx.one("SELECT 1")


async def test_an_error_that_was_swallowed_inside_is_heard_of_at_the_end(db: Database, tenant: UUID) -> None:
    async def work() -> None:
        async with db.tx([tenant]) as tx:
            with pytest.raises(asyncpg.DivisionByZeroError):
                await tx.run("SELECT 1/0")

    with pytest.raises(RuntimeError, match="rolled back"):
        await work()


async def test_jsonb_travels_as_the_bytes_of_its_text_also_in_arrays(db: Database, tenant: UUID) -> None:
    async with db.tx([tenant]) as tx:
        row = await tx.one("SELECT $1::jsonb AS one, $2::jsonb[] AS many", b'{"a": "\xc3\xa4"}', [b"1", None, b"[]"])
    assert row is not None
    assert row["one"] == b'{"a": "\xc3\xa4"}'
    assert row["many"] == [b"1", None, b"[]"]


async def test_those_who_wait_are_served_first_come_first_served_and_nobody_overtakes(
    single: Database, tenant: UUID
) -> None:
    served: list[int] = []

    async def work(number: int) -> None:
        async with single.tx([tenant]):
            served.append(number)

    async with single.tx([tenant]):
        waiting = []
        for number in range(5):
            waiting.append(asyncio.create_task(work(number)))
            await asyncio.sleep(0)  # Lets it get in line.
    await asyncio.gather(work(99), *waiting)  # Comes just when the connection has become free.

    assert served == [0, 1, 2, 3, 4, 99]


async def test_one_who_stops_waiting_loses_nobody_a_place(single: Database, tenant: UUID) -> None:
    async def work() -> str:
        async with single.tx([tenant]):
            return "done"

    async with single.tx([tenant]):
        first, second = asyncio.create_task(work()), asyncio.create_task(work())
        await asyncio.sleep(0)
    first.cancel()  # The connection has just been handed to it.

    assert await asyncio.wait_for(second, 5) == "done"
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await asyncio.wait_for(work(), 5) == "done"


async def test_there_are_never_more_connections_than_the_size(postgres: Server, tenant: UUID) -> None:
    few = Database(postgres.admin(await postgres.migrated()), size=3)
    backends: set[int] = set()

    async def work() -> None:
        async with few.tx([tenant]) as tx:
            row = await tx.one("SELECT pg_backend_pid() AS pid")
            assert row is not None
            backends.add(row["pid"])

    await asyncio.gather(*(work() for _ in range(30)))
    assert len(backends) == 3
    await few.close()


async def test_a_transaction_leaves_nothing_in_the_session(single: Database, unfenced: Database, tenant: UUID) -> None:
    settings = "SELECT name, setting FROM pg_settings WHERE source IN ('session', 'client') ORDER BY name"
    before = await single.across(settings)
    async with unfenced.tx([tenant]) as tx:
        ids = await one_of_each(tx, tenant)
    async with single.tx([tenant]) as tx:
        await tx.all("SELECT 1 FROM request WHERE tenant_id = $1 AND id = $2 FOR UPDATE", tenant, ids["thing"])
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with single.tx([tenant]) as tx:
            await tx.run("SELECT 1/0")

    assert await single.across(settings) == before
    [left] = await single.across(
        """
        SELECT current_setting('quorate.tenants', true) AS tenants, current_user AS acts_as,
               (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory') AS locks,
               (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS cursors,
               (SELECT count(*) FROM pg_listening_channels()) AS channels,
               (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()) AS temporary
        """
    )
    assert not left["tenants"]
    assert left["acts_as"] == "quorate_server"
    assert [left[count] for count in ("locks", "cursors", "channels", "temporary")] == [0, 0, 0, 0]


async def test_a_wire_cut_before_the_server_saw_commit_leaves_the_outcome_unknown_and_nothing_done(
    through: Database, proxy: Proxy, db: Database, tenant: UUID
) -> None:
    subject = uuid4()

    async def work() -> None:
        async with through.tx([tenant]) as tx:
            await add_timer(tx, tenant, subject)
            proxy.cut = Cut.BEFORE_COMMIT

    with pytest.raises(CommitUnknown):
        await work()
    assert not await has_timer(db, tenant, subject)


async def test_a_wire_cut_after_the_server_answered_commit_leaves_the_outcome_unknown_and_all_done(
    through: Database, proxy: Proxy, db: Database, tenant: UUID
) -> None:
    subject = uuid4()

    async def work() -> None:
        async with through.tx([tenant]) as tx:
            await add_timer(tx, tenant, subject)
            proxy.cut = Cut.AFTER_COMMIT

    with pytest.raises(CommitUnknown):
        await work()
    assert await has_timer(db, tenant, subject)
    assert await has_timer(through, tenant, subject)  # The pool has made itself a new connection.


async def test_a_backend_that_is_killed_before_commit_has_changed_nothing_and_may_be_retried(
    single: Database, postgres: Server, db: Database, tenant: UUID
) -> None:
    subject = uuid4()

    async def work() -> None:
        async with single.tx([tenant]) as tx:
            await add_timer(tx, tenant, subject)
            row = await tx.one("SELECT pg_backend_pid() AS pid")
            assert row is not None
            await postgres.run(f"SELECT pg_terminate_backend({row['pid']}, 5000)")
            await tx.run("SELECT 1")

    with pytest.raises(Retryable):
        await work()
    assert not await has_timer(db, tenant, subject)
    await single.across("SELECT 1")


async def test_a_wire_cut_within_the_block_may_be_retried(through: Database, proxy: Proxy, tenant: UUID) -> None:
    async def work() -> None:
        async with through.tx([tenant]) as tx:
            proxy.hang_up()
            await tx.run("SELECT 1")

    with pytest.raises(Retryable):
        await work()


async def test_connections_that_died_while_idle_trouble_nobody(through: Database, proxy: Proxy, tenant: UUID) -> None:
    async with through.tx([tenant]), through.tx([tenant]):
        pass
    proxy.hang_up()

    async with through.tx([tenant]) as tx:
        await tx.run("SELECT 1")


async def test_a_server_without_room_is_told_from_one_that_lost_a_race(db: Database, tenant: UUID) -> None:
    async def work() -> None:
        async with db.tx([tenant]) as tx:
            await tx.run("DO $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$")

    with pytest.raises(NoRoom, match="could not extend file"):
        await work()


async def test_a_lock_held_by_another_for_too_long_may_be_retried(db: Database, tenant: UUID) -> None:
    subject = uuid4()
    async with db.tx([tenant]) as tx:
        await add_timer(tx, tenant, subject)

    async with db.tx([tenant]) as holder:
        await holder.run("SELECT 1 FROM timer WHERE tenant_id = $1 AND subject_id = $2 FOR UPDATE", tenant, subject)

        async def work() -> None:
            async with db.tx([tenant]) as tx:
                await tx.run("SET LOCAL lock_timeout = '20ms'")
                await tx.run("SELECT 1 FROM timer WHERE tenant_id = $1 AND subject_id = $2 FOR UPDATE", tenant, subject)

        with pytest.raises(Retryable, match="lock timeout"):
            await work()


async def test_nobody_waits_for_a_lock_longer_than_two_seconds(db: Database) -> None:
    [row] = await db.across("SELECT current_setting('lock_timeout') AS span")
    assert row["span"] == "2s"


async def test_of_two_who_deadlock_one_is_told_to_try_again(db: Database, tenant: UUID) -> None:
    first, second = uuid4(), uuid4()
    async with db.tx([tenant]) as tx:
        await add_timer(tx, tenant, first)
        await add_timer(tx, tenant, second)
    both_hold_one = asyncio.Barrier(2)

    async def lock(order: list[UUID]) -> str:
        try:
            async with db.tx([tenant]) as tx:
                for subject in order:
                    await tx.run(
                        "SELECT 1 FROM timer WHERE tenant_id = $1 AND subject_id = $2 FOR UPDATE", tenant, subject
                    )
                    if subject == order[0]:
                        await both_hold_one.wait()
        except Retryable as error:
            return f"retry: {error}"
        return "done"

    outcomes = sorted(await asyncio.gather(lock([first, second]), lock([second, first])))
    assert outcomes[0] == "done"
    assert outcomes[1].startswith("retry: deadlock detected")


async def test_a_table_that_was_changed_under_a_prepared_statement_is_met_by_trying_again(
    postgres: Server, tenant: UUID
) -> None:
    name = await postgres.fresh()
    database = Database(postgres.admin(name), role=None, size=1)

    async def read() -> list[str]:
        async with database.tx([tenant]) as tx:
            return [row["column"] for row in await tx.all("SELECT *, 'a' AS column FROM shape")]

    await postgres.run("CREATE TABLE shape (one int); INSERT INTO shape VALUES (1)", name)
    assert await read() == ["a"]
    await postgres.run("ALTER TABLE shape ADD two int", name)
    with pytest.raises(Retryable):
        await read()
    assert await read() == ["a"]
    await database.close()


async def test_what_cannot_succeed_a_second_time_either_is_passed_on_as_it_is(db: Database, tenant: UUID) -> None:
    async def work() -> None:
        async with db.tx([tenant]) as tx:
            subject = uuid4()
            await add_timer(tx, tenant, subject)
            await add_timer(tx, tenant, subject)

    with pytest.raises(asyncpg.UniqueViolationError):
        await work()


async def test_one_who_gives_up_in_the_middle_of_a_statement_gives_back_a_clean_connection(
    single: Database, tenant: UUID
) -> None:
    started = asyncio.Event()

    async def slow() -> None:
        async with single.tx([tenant]) as tx:
            started.set()
            await tx.run("SELECT pg_sleep(30)")

    task = asyncio.create_task(slow())
    await started.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with asyncio.timeout(5), single.tx([tenant]) as tx:
        await tx.run("SELECT 1")


async def test_a_database_that_is_not_there_is_said_to_be_unreachable(tmp_path_factory: pytest.TempPathFactory) -> None:
    absent = Database(f"postgresql://x@/x?host={tmp_path_factory.mktemp('none')}")

    with pytest.raises(Unreachable):
        await absent.open()
    assert not await absent.healthy()
    with pytest.raises(Unreachable):
        async with absent.tx([uuid4()]):
            pass


async def test_a_closed_database_opens_no_transactions_and_lets_nobody_wait(postgres: Server, tenant: UUID) -> None:
    database = Database(postgres.admin(await postgres.migrated()), size=1)

    async def work() -> None:
        async with database.tx([tenant]):
            pass

    async with database.tx([tenant]):
        waiting = asyncio.create_task(work())
        await asyncio.sleep(0)
        await database.close()
    with pytest.raises(Unreachable):
        await waiting
    with pytest.raises(Unreachable):
        await work()


async def test_the_clocks_are_compared(db: Database) -> None:
    assert await db.healthy()
    assert abs(await db.clock_skew(lambda: datetime.now(UTC))) < 1
    assert await db.clock_skew(lambda: datetime.now(UTC) - timedelta(minutes=5)) == pytest.approx(300, abs=1)
