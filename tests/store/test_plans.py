"""The statements that must stay fast use the index that was made for them, and decisions touch no index."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from quorate.store.database import Database
from quorate.store.migrate import migrate
from quorate.store.requests import LOST_AT
from tests.store.servers import Server, on_both

pytestmark = on_both

NEWEST = "ORDER BY created_at DESC, id DESC LIMIT 50"
AFTER = "AND (created_at, id) < (now() - interval '1 hour', '3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a')"
TENANT, WORKFLOW = UUID(int=1), "00000000-0000-0000-0000-000000000002"

# 20,000 requests of ten tenants, a third of them pending; triggers are off, so foreign keys are not looked at.
MANY = """
    SET session_replication_role = replica;
    INSERT INTO request (tenant_id, id, kind, status, requester_id, beneficiary_id, filed_by, workflow_id, target_type,
                         target_id, duplicate_key, filing, route, progress, step_index, closed_at, version,
                         created_at, updated_at)
    SELECT lpad(to_hex(n % 10), 32, '0')::uuid, gen_random_uuid(), 'access', status, requester, requester, requester,
           lpad(to_hex(n / 10 % 5), 32, '0')::uuid, (ARRAY['role', 'group', 'resource'])[1 + n % 3], 'x', 'd' || n,
           '{}', '[]', '{}', 0, CASE WHEN status <> 'pending' THEN now() END, 1,
           now() - n * interval '1 second', now()
      FROM generate_series(1, 20000) AS n,
           LATERAL (SELECT lpad(to_hex(n % 7), 32, '0')::uuid AS requester,
                           (ARRAY['pending', 'approved', 'rejected'])[1 + n / 10 % 3] AS status) AS drawn;
    INSERT INTO inbox (tenant_id, key, task_id, request_created_at)
    SELECT tenant_id, key, id, created_at
      FROM request, unnest(ARRAY['role:admins', 'user:' || requester_id]) AS key WHERE status = 'pending';
    ANALYZE;
"""


@pytest.fixture(scope="module")
async def full(postgres: Server) -> AsyncIterator[Database]:
    """A database with enough in it for the planner to choose as it would in earnest."""
    name = await postgres.fresh()
    await migrate(postgres.owner(name))
    await postgres.run(MANY, name)
    database = Database(postgres.admin(name))
    yield database
    await database.close()


async def plan(db: Database, sql: str) -> str:
    """How PostgreSQL would run a statement about one tenant, with row security in place."""
    async with db.tx([TENANT]) as tx:
        rows = await tx.all(f"EXPLAIN {sql.replace('$1', repr(str(TENANT)))}")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("", "request_newest_first"),
        (f"AND requester_id = '{UUID(int=3)}'", "request_by_requester"),
        ("AND status = 'approved'", "request_by_status"),
        ("AND target_type = 'role'", "request_by_target_type"),
        (f"AND workflow_id = '{WORKFLOW}'", "request_by_workflow"),
    ],
)
@pytest.mark.parametrize("after", ["", AFTER])
async def test_a_page_of_requests_is_read_in_order_from_an_index(
    full: Database, condition: str, index: str, after: str
) -> None:
    found = await plan(full, f"SELECT id FROM request WHERE tenant_id = $1 {condition} {after} {NEWEST}")

    assert "Sort" not in found
    assert f"using {index} " in found


async def test_whether_a_workflow_has_pending_requests_is_one_look(full: Database) -> None:
    found = await plan(
        full,
        f"SELECT 1 FROM request WHERE tenant_id = $1 AND workflow_id = '{WORKFLOW}' AND status = 'pending' LIMIT 1",
    )
    assert "using pending_of_workflow " in found


async def test_an_inbox_is_read_in_order_from_an_index(full: Database) -> None:
    found = await plan(
        full,
        """SELECT task_id FROM inbox WHERE tenant_id = $1 AND key = 'role:admins'
            ORDER BY request_created_at DESC, task_id DESC LIMIT 50""",
    )
    assert "Sort" not in found
    assert "using inbox_newest_first " in found


async def test_a_duplicate_is_found_by_its_key(full: Database) -> None:
    found = await plan(
        full, "SELECT 1 FROM request WHERE tenant_id = $1 AND duplicate_key = 'd11' AND status = 'pending'"
    )
    assert "using one_pending_per_resource " in found


async def test_whether_a_target_has_changed_is_one_look_and_so_is_what_it_changes(full: Database) -> None:
    timer = await plan(full, f"SELECT {LOST_AT} FROM request r WHERE tenant_id = $1 AND id = '{WORKFLOW}'")
    touched = await plan(
        full, "SELECT id FROM request WHERE tenant_id = $1 AND target_id = 'x7' AND status = 'pending'"
    )

    assert "using timer_of_changed_target " in timer
    assert "using pending_of_target " in touched


async def test_row_security_reads_its_setting_once_a_statement(full: Database) -> None:
    found = await plan(full, "SELECT id FROM request WHERE tenant_id = $1")

    assert "InitPlan" in found
    assert "current_setting" not in found


async def test_a_decision_that_leaves_the_request_open_touches_no_index(full: Database) -> None:
    changed_by_every_decision = {
        "progress",
        "version",
        "step_index",
        "current_step",
        "due_at",
        "expires_at",
        "updated_at",
    }
    rows = await full.across(
        """
        SELECT DISTINCT attname
          FROM pg_index i
          JOIN pg_attribute a ON a.attrelid = i.indrelid
         WHERE i.indrelid = 'request'::regclass
           AND (a.attnum = ANY (i.indkey) OR pg_get_expr(i.indpred, i.indrelid) ~ ('\\m' || a.attname || '\\M'))
        """
    )

    indexed = {row["attname"] for row in rows}
    assert {"status", "duplicate_key", "created_at"} <= indexed
    assert not indexed & changed_by_every_decision
