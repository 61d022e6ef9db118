"""The schema gets there: once, in order, whoever starts, and never over a database it does not know."""

import asyncio

import asyncpg
import pytest

from quorate.store import migrate
from quorate.store.database import Database
from tests.store.servers import Server, on_both

NAMES = [migration.name for migration in migrate.available()]


@on_both
async def test_migrating_applies_everything_in_order_and_then_nothing(postgres: Server) -> None:
    dsn = postgres.owner(await postgres.fresh())

    assert await migrate.migrate(dsn) == NAMES == sorted(NAMES)
    assert await migrate.migrate(dsn) == []


@on_both
async def test_two_programs_that_migrate_at_once_apply_each_migration_once(postgres: Server) -> None:
    dsn = postgres.owner(await postgres.fresh())

    applied = await asyncio.gather(*(migrate.migrate(dsn) for _ in range(4)))

    assert sorted(applied) == [[], [], [], NAMES]


@on_both
async def test_a_superuser_may_own_the_tables_too(postgres: Server) -> None:
    await postgres.migrated()
    database = await postgres.fresh(owner="DEFAULT")

    assert await migrate.migrate(postgres.admin(database)) == NAMES


async def test_a_migration_that_was_edited_after_it_was_applied_is_refused(postgres: Server) -> None:
    database = await postgres.fresh()
    await migrate.migrate(postgres.owner(database))
    await postgres.run("UPDATE schema_migration SET checksum = '\\x00' WHERE version = 2", database)

    with pytest.raises(migrate.CannotMigrate, match="0002_workflows was applied with another text"):
        await migrate.migrate(postgres.owner(database))


async def test_a_database_newer_than_the_code_is_refused(postgres: Server) -> None:
    database = await postgres.fresh()
    await migrate.migrate(postgres.owner(database))
    await postgres.run("INSERT INTO schema_migration VALUES (9999, '9999_from_the_future', '')", database)

    with pytest.raises(migrate.CannotMigrate, match=r"newer than this program.*9999_from_the_future"):
        await migrate.migrate(postgres.owner(database))


async def test_a_migration_that_fails_changes_nothing_and_those_before_it_stay(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await postgres.fresh()
    broken = migrate.Migration(9000, "9000_broken", b"", "CREATE TABLE half_made (); SELECT 1/0;")
    monkeypatch.setattr(migrate, "available", lambda known=migrate.available(): [*known, broken])  # noqa: B008

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate.migrate(postgres.owner(database))

    connection = await asyncpg.connect(postgres.admin(database))
    assert await migrate.pending(connection) == ["9000_broken"]
    assert await connection.fetchval("SELECT to_regclass('half_made')") is None
    await connection.close()


async def test_the_server_sees_what_is_pending(postgres: Server, db: Database) -> None:
    await postgres.migrated()
    empty = Database(postgres.admin(await postgres.fresh()), role="quorate_server")

    assert await empty.migrations_pending() == NAMES
    assert await db.migrations_pending() == []
    await empty.close()


@on_both
async def test_an_owner_who_may_not_hand_out_the_roles_is_told_so(postgres: Server) -> None:
    await postgres.migrated()
    await postgres.run("DROP ROLE IF EXISTS nobody_special; CREATE ROLE nobody_special LOGIN")
    database = await postgres.fresh(owner="nobody_special")

    with pytest.raises(migrate.CannotMigrate, match="GRANT quorate_server, quorate_worker TO nobody_special"):
        await migrate.migrate(postgres.admin(database) + "&role=nobody_special")


@on_both
async def test_an_owner_who_was_given_the_roles_needs_no_right_to_make_any(postgres: Server) -> None:
    await postgres.migrated()
    await postgres.run(
        "DROP ROLE IF EXISTS given; CREATE ROLE given LOGIN; GRANT quorate_server, quorate_worker TO given"
    )
    database = await postgres.fresh(owner="given")

    assert await migrate.migrate(postgres.admin(database) + "&role=given") == NAMES
