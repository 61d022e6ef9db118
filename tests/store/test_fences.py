"""Nothing crosses a tenant, with either fence alone: row security without predicates, predicates without row security.

The tables are read from the catalogue, so that a new one is held to the same.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest

from quorate.store.database import Database
from tests.store.servers import Server, on_both
from tests.store.specimens import SPECIMENS, one_of_each

# These belong to the installation and hold nothing of any tenant.
SHARED = {"schema_migration", "signing_key"}
# The key of a tenant's own row is its id.
TENANT_COLUMN = {"tenant": "id"}

REFUSED = "violates row-level security policy"

pytestmark = on_both


@pytest.fixture(scope="module")
async def allowed_all(postgres: Server) -> AsyncIterator[Database]:
    """A role that may do everything to every table, so that only row security is in its way."""
    database = await postgres.migrated()
    await postgres.run(
        """
        DO $$ BEGIN CREATE ROLE allowed_all; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        GRANT ALL ON ALL TABLES IN SCHEMA public TO allowed_all;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO allowed_all;
        """,
        database,
    )
    database_as_such = Database(postgres.admin(database), role="allowed_all")
    yield database_as_such
    await database_as_such.close()


async def tables(db: Database) -> list[str]:
    rows = await db.across(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1"
    )
    return [row["relname"] for row in rows if row["relname"] not in SHARED]


async def test_there_is_a_specimen_of_every_table(db: Database) -> None:
    assert {*SPECIMENS, "tenant"} == set(await tables(db))


async def test_row_security_is_on_and_forced_for_every_table_and_view(db: Database) -> None:
    rows = await db.across(
        """
        SELECT relname, relkind::text, relrowsecurity, relforcerowsecurity,
               EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid AND polname = 'only_admitted_tenants'
                                               AND polcmd = '*' AND polpermissive AND polroles = '{0}') AS fenced,
               relkind = 'v' AND 'security_invoker=true' = ANY (reloptions) AS looks_as_its_reader
          FROM pg_class c
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
        """
    )

    open_ = [
        row["relname"]
        for row in rows
        if not (row["relrowsecurity"] and row["relforcerowsecurity"] and row["fenced"])
        and not row["looks_as_its_reader"]
    ]
    assert set(open_) == SHARED


async def test_only_the_owner_has_a_way_around_and_only_to_look(db: Database) -> None:
    rows = await db.across(
        """
        SELECT polrelid::regclass::text AS of_table, polcmd::text AS command, c.relowner = r.oid AS owns
          FROM pg_policy p JOIN pg_class c ON c.oid = polrelid LEFT JOIN pg_roles r ON r.oid = ANY (polroles)
         WHERE polname <> 'only_admitted_tenants'
        """
    )

    assert {row["of_table"] for row in rows} == {
        "tenant",
        "credential",
        "timer",
        "outbox",
        "principal",
        "identity_provider",
    }
    assert all(row["command"] == "r" and row["owns"] for row in rows)


async def test_every_key_and_unique_index_leads_with_the_tenant(db: Database) -> None:
    rows = await db.across(
        """
        SELECT indexrelid::regclass::text AS index, a.attname AS first
          FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
         WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND c.relname <> ALL ($1)
        """,
        [*SHARED, "tenant"],
    )

    across = {row["index"] for row in rows if row["first"] != "tenant_id"}
    assert across == {
        "one_live_key_per_secret",
        "one_live_client_per_id_and_secret",
        "one_tenant_per_issuer_and_client",
    }


async def test_row_security_alone_shows_only_the_admitted_tenant(
    unfenced: Database, allowed_all: Database, tenant: UUID, olu: UUID
) -> None:
    async with unfenced.tx([tenant, olu]) as tx:
        await one_of_each(tx, tenant)
        await one_of_each(tx, olu)

    for table in await tables(allowed_all):
        key = TENANT_COLUMN.get(table, "tenant_id")
        async with allowed_all.tx([tenant]) as tx:
            assert {row[0] for row in await tx.all(f"SELECT {key} FROM {table}")} == {tenant}, table
        async with allowed_all.tx([tenant, olu]) as tx:
            assert {row[0] for row in await tx.all(f"SELECT {key} FROM {table}")} == {tenant, olu}, table
        assert await allowed_all.across(f"SELECT {key} FROM {table}") == [], table


async def test_row_security_alone_refuses_to_write_for_another_tenant(
    unfenced: Database, allowed_all: Database, tenant: UUID, olu: UUID
) -> None:
    async with unfenced.tx([tenant, olu]) as tx:
        await one_of_each(tx, tenant)
        await one_of_each(tx, olu)

    for table in await tables(allowed_all):
        key = TENANT_COLUMN.get(table, "tenant_id")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=REFUSED):
            async with allowed_all.tx([tenant]) as tx:
                await tx.run(f"UPDATE {table} SET {key} = $1", olu)
        columns = [
            row["attname"]
            for row in await allowed_all.across(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
                table,
            )
        ]
        into, values = ", ".join(columns), ", ".join("$1" if column == key else column for column in columns)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=REFUSED):
            async with allowed_all.tx([tenant]) as tx:
                await tx.run(f"INSERT INTO {table} ({into}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {table}", olu)
        async with allowed_all.tx([tenant]) as tx:
            changed = await tx.all(f"UPDATE {table} SET {key} = {key} WHERE {key} = $1 RETURNING 1", olu)
            assert changed == [], table
            assert await tx.all(f"DELETE FROM {table} WHERE {key} = $1 RETURNING 1", olu) == [], table


async def test_the_owner_is_held_by_row_security_too(owner: Database, tenant: UUID, olu: UUID) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=REFUSED):
        async with owner.tx([tenant]) as tx:
            await one_of_each(tx, olu)


async def test_tenants_that_were_admitted_once_are_not_admitted_in_the_next_transaction(
    db: Database, tenant: UUID, olu: UUID
) -> None:
    one = Database(db._dsn, size=1)
    async with one.tx([tenant]) as tx:
        assert [row["id"] for row in await tx.all("SELECT id FROM tenant")] == [tenant]
    assert await one.across("SELECT id FROM tenant") == []
    async with one.tx([olu]) as tx:
        assert [row["id"] for row in await tx.all("SELECT id FROM tenant")] == [olu]
    await one.close()


@pytest.mark.parametrize("role", ["db", "worker"])
async def test_history_can_be_added_to_and_read_but_not_rewritten(
    role: str, request: pytest.FixtureRequest, db: Database, worker: Database, unfenced: Database, tenant: UUID
) -> None:
    async with unfenced.tx([tenant]) as tx:
        await one_of_each(tx, tenant)
    database = {"db": db, "worker": worker}[role]

    async with database.tx([tenant]) as tx:
        await tx.run(SPECIMENS["event"].replace("$1", f"'{tenant}'").replace("$2", f"'{uuid4()}'"))
        assert len(await tx.all("SELECT seq FROM event WHERE tenant_id = $1", tenant)) == 2
    for statement in ("UPDATE event SET body = '{}'", "DELETE FROM event", "TRUNCATE event"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            async with database.tx([tenant]) as tx:
                await tx.run(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE request SET filing = '{}'",
        "UPDATE request SET route = '[]'",
        "UPDATE request SET requester_id = beneficiary_id",
        "DELETE FROM request",
        "DELETE FROM principal",
        "DELETE FROM credential",
        "INSERT INTO tenant (id, slug, name) VALUES (gen_random_uuid(), 'mine', 'mine')",
        "UPDATE schema_migration SET name = 'x'",
        "CREATE TABLE mine ()",
        "ALTER TABLE event DISABLE ROW LEVEL SECURITY",
        "SELECT fold_request_count(gen_random_uuid())",
        "CALL keep_tenants_apart('schema_migration')",
    ],
)
async def test_the_server_has_no_right_to(db: Database, tenant: UUID, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.tx([tenant]) as tx:
            await tx.run(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password_hash FROM principal",
        "SELECT secret_hash FROM credential",
        "SELECT * FROM credential_by_hash('')",
        "UPDATE principal SET name = 'x'",
        "INSERT INTO role_member SELECT tenant_id, id, id FROM principal",
        "UPDATE workflow SET name = 'x'",
    ],
)
async def test_the_workers_have_no_right_to(worker: Database, tenant: UUID, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with worker.tx([tenant]) as tx:
            await tx.run(statement)


async def test_a_request_can_be_locked_and_moved_on_by_the_server(
    db: Database, unfenced: Database, tenant: UUID
) -> None:
    async with unfenced.tx([tenant]) as tx:
        ids = await one_of_each(tx, tenant)

    async with db.tx([tenant]) as tx:
        assert await tx.one("SELECT id FROM request WHERE tenant_id = $1 AND id = $2 FOR UPDATE", tenant, ids["thing"])
        await tx.run(
            "UPDATE request SET progress = $3, version = 2 WHERE tenant_id = $1 AND id = $2",
            tenant,
            ids["thing"],
            b"[1]",
        )
        row = await tx.one("SELECT progress FROM request WHERE tenant_id = $1 AND id = $2", tenant, ids["thing"])
    assert row is not None
    assert row["progress"] == b"[1]"


async def test_a_function_that_runs_as_the_owner_pins_its_search_path_and_is_not_for_everybody(db: Database) -> None:
    rows = await db.across(
        """
        SELECT proname, prosecdef, proconfig::text AS config, EXISTS (
                   SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0) AS for_all
          FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        """
    )

    assert {row["proname"] for row in rows if row["for_all"]} == set()
    owners = {row["proname"]: row["config"] for row in rows if row["prosecdef"]}
    assert owners.keys() == {
        "credential_by_hash",
        "tenant_by",
        "tenant_of_issuer",
        "tenants_with_due",
        "tenants_of_login",
    }
    assert all("search_path=pg_catalog, public, pg_temp" in (config or "") for config in owners.values())


async def test_the_tenants_with_due_work_are_found_across_tenants_oldest_first(
    worker: Database, unfenced: Database, tenant: UUID, olu: UUID
) -> None:
    kind, now = f"kind-{uuid4()}", datetime.now(UTC)
    async with unfenced.tx([tenant, olu]) as tx:
        for of, due_at in ((olu, "2001-01-01"), (tenant, "2000-01-01"), (tenant, "2002-01-01"), (olu, "2999-01-01")):
            await tx.run(
                "INSERT INTO timer VALUES ($1, $2, gen_random_uuid(), $3)",
                of,
                kind,
                datetime.fromisoformat(f"{due_at}T00Z"),
            )

    async def due(at_most: int) -> list[UUID]:
        rows = await worker.across("SELECT tenant_id FROM tenants_with_due($1, $2, $3)", kind, now, at_most)
        return [row["tenant_id"] for row in rows]

    assert await due(10) == [tenant, olu]
    assert await due(1) == [tenant]


async def test_folding_counts_changes_no_sum_and_leaves_other_tenants_alone(
    db: Database, worker: Database, tenant: UUID, olu: UUID
) -> None:
    counts = """
        INSERT INTO request_count (tenant_id, status, kind, target_type, delta)
        VALUES ($1, 'pending', 'access', 'role', 3), ($1, 'pending', 'access', 'role', -1),
               ($1, 'approved', 'access', 'role', 1),
               ($1, 'pending', 'generic', '', 1), ($1, 'pending', 'generic', '', -1)
    """
    async with db.tx([tenant, olu]) as tx:
        await tx.run(counts, tenant)
        await tx.run(counts, olu)

    async with worker.tx([tenant]) as tx:
        folded = await tx.one("SELECT fold_request_count($1) AS spared", tenant)
        rows = await tx.all("SELECT status, delta FROM request_count WHERE tenant_id = $1 ORDER BY delta", tenant)
    assert folded is not None
    assert folded["spared"] == 3
    assert [(row["status"], row["delta"]) for row in rows] == [("approved", 1), ("pending", 2)]
    async with db.tx([olu]) as tx:
        assert len(await tx.all("SELECT 1 FROM request_count WHERE tenant_id = $1", olu)) == 5
