"""Lists and inboxes are read from the indexes made for them, and each fence between tenants holds alone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from asyncpg import Record

from quorate.store import search
from quorate.store.bound import Place, Way
from quorate.store.database import Database, Tx
from quorate.store.migrate import migrate
from quorate.store.search import Filter, Glance
from tests.store.servers import Server, on_both

pytestmark = on_both

TENANT, OLU = UUID(int=1), UUID(int=2)
SOMEBODY, WORKFLOW = UUID(int=0xA), UUID(int=0xB)
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AFTER = (NOW - timedelta(minutes=5), UUID(int=3))
WAYS = [
    Way(("user:ana", "group:g7", "role:r1"), (SOMEBODY,), (SOMEBODY,)),
    Way(("fallback:user:ana",), (SOMEBODY,), (SOMEBODY,)),
]

# 20,000 requests of ten tenants, a third of them pending, some of those overdue; triggers are off, so foreign keys
# are not looked at. A group has one request in fifty, a role one in ten.
MANY = """
    SET session_replication_role = replica;
    INSERT INTO request (tenant_id, id, kind, status, requester_id, beneficiary_id, filed_by, workflow_id, target_type,
                         target_id, filing, route, progress, step_index, due_at, expires_at, closed_at, version,
                         created_at, updated_at)
    SELECT lpad(to_hex(n % 10), 32, '0')::uuid, id, 'access', status, who, who, who,
           lpad(to_hex(11 + n / 10 % 50), 32, '0')::uuid, (ARRAY['role', 'group', 'resource'])[1 + n / 30 % 3], 'x',
           jsonb_build_object('kind', 'access', 'filed_by', who, 'justification', repeat('why ', 100)),
           '{"steps": []}', jsonb_build_object('walk', '[]'::jsonb, 'tasks', ARRAY[id]), 0,
           CASE WHEN is_pending THEN due_at END, CASE WHEN is_pending THEN due_at END,
           CASE WHEN NOT is_pending THEN made_at END, 1, made_at, made_at
      FROM generate_series(1, 20000) AS n,
           LATERAL (SELECT gen_random_uuid() AS id, lpad(to_hex(10 + n / 10 % 7), 32, '0')::uuid AS who,
                           timestamptz '2026-03-02 12:00Z' - n * interval '1 second' AS made_at,
                           timestamptz '2026-03-02 12:00Z' + (n - 100) * interval '1 second' AS due_at,
                           (ARRAY['pending', 'approved', 'rejected'])[1 + n / 10 % 3] AS status,
                           n / 10 % 3 = 0 AS is_pending) AS drawn;
    INSERT INTO task (tenant_id, id, request_id, step_index, status, opened_at, askers, request_created_at)
    SELECT tenant_id, id, id, 0, CASE WHEN status = 'pending' THEN 'open' ELSE status END, created_at,
           ARRAY[requester_id], created_at
      FROM request;
    INSERT INTO inbox (tenant_id, key, task_id, request_created_at)
    SELECT tenant_id, key, id, request_created_at
      FROM task, unnest(ARRAY['user:' || askers[1], 'group:g' || abs(hashtext(id::text)) % 50,
                              'role:r' || abs(hashtext(request_id::text)) % 10]) AS key
     WHERE status = 'open';
    INSERT INTO timer (tenant_id, kind, subject_id, due_at)
    SELECT tenant_id, 'request', id, due_at FROM request WHERE status = 'pending';
    INSERT INTO request_count (tenant_id, status, kind, target_type, delta)
    SELECT tenant_id, status, kind, target_type, 1 FROM request;
    ANALYZE;
"""


class Explaining(Tx):
    """A transaction in which PostgreSQL says how it would run each statement, after running it."""

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx._open, tx.tenants)
        self.plans: list[str] = []

    async def all(self, sql: str, *args: Any) -> list[Record]:
        await self._explain(sql, args)
        return await super().all(sql, *args)

    async def one(self, sql: str, *args: Any) -> Record | None:
        await self._explain(sql, args)
        return await super().one(sql, *args)

    async def _explain(self, sql: str, args: tuple[Any, ...]) -> None:
        self.plans.append("\n".join(row[0] for row in await super().all(f"EXPLAIN {sql}", *args)))


@pytest.fixture(scope="module")
async def filled(postgres: Server) -> str:
    """The address of a database with enough in it for the planner to choose as it would in earnest."""
    name = await postgres.fresh()
    await migrate(postgres.owner(name))
    await postgres.run(MANY, name)
    return postgres.admin(name)


@pytest.fixture(scope="module")
async def full(filled: str) -> AsyncIterator[Database]:
    """That database, as the server program sees it."""
    database = Database(filled)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def bare(filled: str) -> AsyncIterator[Database]:
    """That database as a superuser, whom row security does not hold."""
    database = Database(filled, role=None)
    yield database
    await database.close()


def scans(plan: str) -> list[str]:
    """The tables that a plan reads from end to end."""
    return [line for line in plan.splitlines() if "Seq Scan" in line]


@pytest.mark.parametrize("offset", [0, 25], ids=["from the top", "from a place"])
async def test_inboxes_are_looked_up_and_never_scanned_for(full: Database, offset: int) -> None:
    async with full.tx([TENANT]) as tx:
        explaining = Explaining(tx)
        of_many, of_nobody = Glance(TENANT, WAYS, 25, offset), Glance(TENANT, WAYS[1:], 25)
        (page, total), nothing = await search.inboxes(explaining, [of_many, of_nobody], NOW)

    [plan] = explaining.plans
    assert scans(plan) == []
    assert "using inbox_newest_first " in plan
    assert "using task_key " in plan
    assert len(page) == 25
    assert total > 50
    assert nothing == ([], 0)


FILTERS = {
    "everything": (Filter(), "request_newest_first"),
    "of a kind": (Filter(kinds=frozenset({"access"})), "request_newest_first"),
    "pending": (Filter(status="pending"), "request_by_status"),
    "expired": (Filter(status="expired"), "request_by_status"),
    "of a requester": (Filter(requester=SOMEBODY), "request_by_requester"),
    "of a type": (Filter(target_type="role"), "request_by_target_type"),
    "of a workflow": (Filter(workflow=WORKFLOW), "request_by_workflow"),
    "pending of a requester": (Filter(requester=SOMEBODY, status="pending"), "request_by_requester"),
}


@pytest.mark.parametrize("after", [None, AFTER], ids=["from the top", "from a place"])
@pytest.mark.parametrize(("only", "index"), FILTERS.values(), ids=FILTERS)
async def test_a_list_is_read_in_order_from_its_index_and_counted_without_reading_every_request(
    full: Database, only: Filter, index: str, after: Place | None
) -> None:
    async with full.tx([TENANT]) as tx:
        explaining = Explaining(tx)
        await search.requests(explaining, TENANT, only, NOW, limit=25, after=after)
        [by_page] = explaining.plans
        await search.count(explaining, TENANT, only, NOW)

    assert f"using {index} " in by_page
    assert [line for plan in explaining.plans for line in scans(plan)] == []


async def test_a_total_is_summed_up_from_differences(full: Database) -> None:
    async with full.tx([TENANT]) as tx:
        explaining = Explaining(tx)
        total = await search.count(explaining, TENANT, Filter(status="approved", target_type="role"), NOW)
        row = await tx.one(
            """
            SELECT count(*) FROM request
             WHERE tenant_id = $1 AND status = 'approved' AND target_type = 'role'
            """,
            TENANT,
        )

    [plan] = explaining.plans
    assert " request " not in plan
    assert "request_count_by_what" in plan
    assert row is not None
    assert total == row["count"] > 0


async def everything(tx: Tx, tenant: UUID) -> list[object]:
    """What every way of looking shows of a tenant."""
    return [
        *(await search.inboxes(tx, [Glance(tenant, WAYS, 5)], NOW))[0],
        await search.requests(tx, tenant, Filter(), NOW, limit=5),
        await search.requests(tx, tenant, Filter(status="expired"), NOW, limit=5),
        await search.count(tx, tenant, Filter(), NOW),
        await search.count(tx, tenant, Filter(requester=SOMEBODY), NOW),
        await search.count(tx, tenant, Filter(status="expired"), NOW),
    ]


async def test_a_transaction_for_olu_shows_nothing_of_another_tenant_whose_id_is_asked_for(full: Database) -> None:
    async with full.tx([TENANT]) as tx:
        assert all(await everything(tx, TENANT))
    async with full.tx([OLU]) as tx:
        assert not any(await everything(tx, TENANT))


async def test_with_row_security_down_what_is_shown_is_still_of_the_tenant_that_is_asked_for(
    full: Database, bare: Database
) -> None:
    async with full.tx([TENANT]) as tx:
        fenced = await everything(tx, TENANT)
    async with bare.tx([TENANT]) as tx:
        assert await everything(tx, TENANT) == fenced
