"""The measuring run in small: every operation for a moment, beside the limit. It fails on errors, never on a time."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from bench.calls import OPERATIONS, Bench, askings
from bench.client import call
from bench.everything import filled, measure_limit
from bench.report import Report
from bench.server import Postgres
from bench.world import BIG, SHARED, Who, tenant_id

from bench import client, everything, limit, server, slowdisk, timers, world
from quorate.store import requests as store
from quorate.store.database import Database
from tests.domain.seen import SEEN
from tests.programs import needs

SMALL = world.Sizes(big_crowd=50, crowd=20, things=100)
HISTORY, INBOX = 300, 3

pytestmark = needs("postgresql-15")


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Postgres, Bench]]:
    place = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "SIZES", SMALL)
        patch.setattr(everything, "INBOX", INBOX)
        async with filled(place, HISTORY) as found:
            yield found


async def test_every_operation_is_answered_and_the_database_has_as_many(running: tuple[Postgres, Bench]) -> None:
    postgres, bench = running
    report = Report.begun()
    for operation in limit.OPERATIONS:
        report.limits.append(await measure_limit(bench, postgres, operation, tenants=20, clients=8, seconds=1))
    for operation in OPERATIONS:
        one = await bench.measure(operation, tenants=20, connections=16, seconds=0.4, warm=0.1)
        report.calls.append(one)
        ratio = report.ratio(one)
        SEEN.append(f"bench: {operation} {one.per_second:,.0f}/s" + (f", {ratio:.2f} × the limit" if ratio else ""))

    assert not report.errors
    assert all(one.operations > 0 for one in report.calls)
    assert all(f"| {operation} |" in report.markdown() for operation in OPERATIONS)


async def test_one_tenant_is_called_at_a_steady_rate(running: tuple[Postgres, Bench]) -> None:
    _, bench = running

    one = await bench.measure("decide", tenants=1, connections=8, seconds=0.5, warm=0, rate=40)

    assert not one.errors
    assert one.operations == 20


async def test_without_a_compiler_a_client_in_python_does_the_same(
    running: tuple[Postgres, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bench = running
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert client.program()[-1].endswith("slow_client.py")

    one = await bench.measure("cycle", tenants=20, connections=4, seconds=0.4, warm=0.1)

    assert not one.errors
    assert one.operations > 0


async def test_deadlines_are_watched_until_the_last_is_done(
    running: tuple[Postgres, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bench = running
    monkeypatch.setattr(timers, "LEAD", timedelta(seconds=1))
    told: list[str] = []

    found = await timers.measure(bench.db, bench.fill, 20, 20, told.append)

    assert 0 < found.first_s <= found.p50_s <= found.p99_s <= found.last_s
    assert told[-1] == "timers: 0 of 20 left"
    expired = await bench.db.fetchval(
        "SELECT count(*) FROM event WHERE type = 'Closed' AND body ->> 'status' = 'expired'"
    )
    assert expired == 20


@needs("gcc")
async def test_a_slow_disk_is_a_millisecond_slower_at_every_commit() -> None:
    with everything.place(None) as place:
        async with server.postgres(place / "data", launch=slowdisk.launch(place)) as slow:
            assert slowdisk.is_in(slow)
            connection = await world.connect(slow.dsn)
            await connection.execute("CREATE TABLE kept (n int)")
            began = time.perf_counter()
            for n in range(30):
                await connection.execute(f"INSERT INTO kept VALUES ({n})")
            took_s = time.perf_counter() - began
            await connection.close()

    assert took_s > 0.030


async def test_the_bench_notices_what_is_refused(running: tuple[Postgres, Bench]) -> None:
    _, bench = running
    key = Who(BIG, "member").key
    chains = [[call("GET", "/api/v1/users/me", "qk_nobody")], [call("GET", "/api/v1/users/me", key)]]

    found = await client.drive(bench.server.address, chains, connections=1, seconds=5, warm=0)

    assert (found.done, found.refused, found.statuses) == (1, 1, {"200": 1, "401": 1})
    assert not found.is_clean


async def test_the_limit_writes_the_rows_that_ours_writes(running: tuple[Postgres, Bench]) -> None:
    _, bench = running
    tenant, [(who, asking)] = SHARED[0], await askings(bench, SHARED[:1], 1, "by-group")
    member = Who(tenant, "member")
    found = await client.drive(bench.server.address, [[asking]], connections=1, seconds=5, warm=0)
    assert found.is_clean
    ours = await bench.db.fetchval(
        "SELECT id FROM request WHERE tenant_id = $1 AND requester_id = $2 ORDER BY created_at DESC LIMIT 1",
        tenant_id(tenant),
        who.id,
    )
    task = await bench.db.fetchval(
        "SELECT id FROM task WHERE tenant_id = $1 AND request_id = $2", tenant_id(tenant), ours
    )
    asker, thing = world.asked(tenant, "by-group", await bench.fill.numbers(f"asked {tenant}", 1))
    theirs_task = await bench.db.fetchval("SELECT bench.ask($1, $2, $3)", tenant_id(tenant), asker.id, thing)
    theirs = await bench.db.fetchval(
        "SELECT request_id FROM task WHERE tenant_id = $1 AND id = $2", tenant_id(tenant), theirs_task
    )

    asked_ours, asked_theirs = await _written(bench, tenant, ours), await _written(bench, tenant, theirs)
    assert asked_theirs[0] == asked_ours[0]
    assert asked_theirs[1] == pytest.approx(asked_ours[1], rel=0.15)

    body = {"decision": "approve", "note": "Checked with the owner"}
    decision = call("POST", f"/api/v1/approvals/{task}/decide", member.key, body)
    found = await client.drive(bench.server.address, [[decision]], connections=1, seconds=5, warm=0)
    assert found.is_clean
    await bench.db.execute("SELECT bench.decide($1, $2, $3)", tenant_id(tenant), theirs_task, member.id)

    done_ours, done_theirs = await _written(bench, tenant, ours), await _written(bench, tenant, theirs)
    assert done_theirs[0] == done_ours[0]
    assert done_theirs[1] == pytest.approx(done_ours[1], rel=0.15)
    assert set(done_ours[0]) >= {"request", "task", "event", "access_grant", "timer"}


async def test_what_fills_the_tables_is_read_like_any_request(running: tuple[Postgres, Bench]) -> None:
    postgres, bench = running
    rows = await bench.db.fetch(
        "SELECT tenant_id, id, version FROM request WHERE tenant_id = ANY ($1)", [tenant_id(one) for one in SHARED]
    )
    database = Database(postgres.dsn, role=None)
    await database.open()
    try:
        async with database.tx([tenant_id(one) for one in SHARED]) as tx:
            held = await store.load(tx, [row["id"] for row in rows])
    finally:
        await database.close()

    assert len(held) == len(rows) > HISTORY / 4
    assert bench.fill.events_a_request >= 10
    counted = await bench.db.fetch("SELECT tenant_id, sum(delta) AS many FROM request_count GROUP BY tenant_id")
    there = await bench.db.fetch("SELECT tenant_id, count(*) AS many FROM request GROUP BY tenant_id")
    assert dict(map(tuple, counted)) == dict(map(tuple, there))


async def _written(bench: Bench, tenant: str, request: UUID) -> tuple[dict[str, list[dict[str, str]]], int]:
    """Say what stands in every table because of a request, in outline, and how many bytes that is as JSON."""
    known = {str(request)}
    names = await bench.db.fetch("SELECT id FROM access_grant WHERE request_id = $1", request)
    names += await bench.db.fetch("SELECT id FROM task WHERE request_id = $1", request)
    known |= {str(row["id"]) for row in names}
    found: dict[str, list[dict[str, str]]] = {}
    bytes_written = 0
    tables = await bench.db.fetch(
        "SELECT DISTINCT table_name AS name FROM information_schema.columns JOIN information_schema.tables"
        " USING (table_schema, table_name) WHERE table_schema = 'public' AND column_name = 'tenant_id'"
        " AND table_type = 'BASE TABLE'"
    )
    for table in tables:
        rows = await bench.db.fetch(
            f"SELECT to_jsonb(t) AS row FROM {table['name']} t WHERE tenant_id = $1", tenant_id(tenant)
        )
        texts = [bytes(row["row"])[1:] for row in rows]
        of_it = [text for text in texts if any(id in text.decode() for id in known)]
        if of_it:
            found[table["name"]] = sorted((_outline(msgspec.json.decode(text)) for text in of_it), key=repr)
            bytes_written += sum(map(len, of_it))
    return found, bytes_written


def _outline(row: dict[str, Any]) -> dict[str, str]:
    """Say which columns are set, and what plain words they hold."""
    return {name: value if _is_a_word(value) else "set" for name, value in sorted(row.items()) if value is not None}


def _is_a_word(value: Any) -> bool:
    return isinstance(value, str) and value.isalpha()
