"""How long a page of an inbox and of a list takes, with many requests in one tenant. Prints milliseconds.

python bench/search.py [REQUESTS]    default 50,000
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from uuid import UUID, uuid4

import asyncpg

from quorate.app.actor import Actor, How
from quorate.app.search import Search
from quorate.domain.events import Outcome
from quorate.domain.refusals import NoSuchRequest
from quorate.store.database import Database
from quorate.store.embedded import Embedded
from quorate.store.migrate import migrate

TENANT, GROUP, ROLE, RHEA, ANA, MANY = (UUID(int=number) for number in range(1, 7))
ROUNDS = 200

# Half of the requests are pending. Ana is in a group with 1 in 100 of the open tasks; whoever has the role sees all.
PEOPLE = f"""
    INSERT INTO tenant (id, slug, name) VALUES ('{TENANT}', 'acme', 'Acme');
    INSERT INTO principal (tenant_id, id, kind, login, name, created_at, updated_at)
    SELECT '{TENANT}', id, 'user', id::text, 'Somebody', now(), now()
      FROM unnest(ARRAY['{RHEA}', '{ANA}', '{MANY}']::uuid[]) AS id;
    INSERT INTO user_group (tenant_id, id, name, created_at, updated_at)
    VALUES ('{TENANT}', '{GROUP}', 'g', now(), now());
    INSERT INTO group_member (tenant_id, group_id, principal_id) VALUES ('{TENANT}', '{GROUP}', '{ANA}');
    INSERT INTO role (tenant_id, id, name, permissions, created_at, updated_at)
    VALUES ('{TENANT}', '{ROLE}', 'admins', ARRAY['admin'], now(), now());
    INSERT INTO role_member (tenant_id, role_id, principal_id) VALUES ('{TENANT}', '{ROLE}', '{MANY}');
"""
REQUESTS = f"""
    SET session_replication_role = replica;
    INSERT INTO request (tenant_id, id, kind, status, requester_id, beneficiary_id, filed_by, workflow_id, target_type,
                         target_id, filing, route, progress, step_index, due_at, expires_at, closed_at, version,
                         created_at, updated_at)
    SELECT '{TENANT}', id, 'access', status, who, who, who, '{GROUP}',
           (ARRAY['role', 'group', 'resource'])[1 + n / 2 % 3],
           'x', jsonb_build_object('kind', 'access', 'filed_by', who, 'requester', who, 'beneficiary', who,
                                   'justification', repeat('because ', 30)),
           '{{"steps": [{{"order": 1, "name": "Approval", "approvers":
              {{"type": "node", "n": {{"value": 1}}, "members": []}}}}]}}',
           jsonb_build_object('tasks', ARRAY[id], 'walk', jsonb_build_array(
               jsonb_build_object('index', 0, 'opened_at', now(), 'needs', ARRAY[1]))),
           0, due_at, due_at, CASE WHEN due_at IS NULL THEN made_at END, 1, made_at, made_at
      FROM generate_series(1, $1::int) AS n,
           LATERAL (SELECT gen_random_uuid() AS id, lpad(to_hex(4 + n % 500 * 1000), 32, '0')::uuid AS who,
                           now() - n * interval '1 second' AS made_at,
                           (ARRAY['pending', 'approved'])[1 + n % 2] AS status,
                           CASE WHEN n % 2 = 0 THEN now() + interval '1 day' END AS due_at) drawn;
    INSERT INTO task (tenant_id, id, request_id, step_index, status, opened_at, askers, request_created_at)
    SELECT tenant_id, id, id, 0, CASE status WHEN 'pending' THEN 'open' ELSE status END, created_at,
           ARRAY[requester_id], created_at
      FROM request;
    INSERT INTO inbox (tenant_id, key, task_id, request_created_at)
    SELECT tenant_id, key, id, request_created_at
      FROM task, unnest(ARRAY['role:admins', CASE WHEN abs(hashtext(id::text)) % 100 = 0 THEN 'group:{GROUP}'
                                                  ELSE 'group:' || abs(hashtext(id::text)) % 100 END]) AS key
     WHERE status = 'open';
    INSERT INTO timer (tenant_id, kind, subject_id, due_at)
    SELECT tenant_id, 'request', id, due_at FROM request WHERE status = 'pending';
    INSERT INTO request_count (tenant_id, status, kind, target_type, delta)
    SELECT tenant_id, status, kind, target_type, count(*) FROM request, generate_series(1, 1)
     GROUP BY tenant_id, status, kind, target_type;
    ANALYZE;
"""


def actor(who: UUID) -> Actor:
    return Actor(TENANT, who, frozenset(), How(None, "key", "native", ""))


async def fill(dsn: str, number: int) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(PEOPLE)
    await connection.execute(REQUESTS.replace("$1", str(number)))
    await connection.close()


async def measure(what: str, call: Callable[[], Awaitable[object]]) -> None:
    for _ in range(10):
        await call()
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - began) * 1000)
    cuts = quantiles(taken, n=100)
    print(f"{what:58} {cuts[49]:8.2f} {cuts[98]:8.2f}", flush=True)


async def main(number: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        running = await Embedded.start(Path(place) / "data")
        try:
            await migrate(running.dsn)
            await fill(running.dsn, number)
            db = Database(running.dsn)
            await everything(Search(db, lambda: datetime.now(UTC)), number)
            await db.close()
        finally:
            await running.stop()


async def everything(search: Search, number: int) -> None:
    print(f"{number:,} requests of one tenant, half of them pending; ms:{'median':>25} {'p99':>8}")
    ana, many, pending = actor(ANA), actor(MANY), Outcome.PENDING
    some = (await search.inbox(ana, limit=25)).total
    every = (await search.inbox(many, limit=25)).total
    deep = number // 2 - 100
    who = (await search.requests(TENANT, limit=1)).items[0].request.filing.requester
    await measure(f"inbox, 25 of {some:,}", lambda: search.inbox(ana, limit=25))
    await measure(f"inbox, 25 of {every:,}, with the total", lambda: search.inbox(many, limit=25))
    await measure("the same, the second page", lambda: search.inbox(many, limit=25, offset=25))
    await measure("inbox of nobody in particular", lambda: search.inbox(actor(RHEA), limit=25))
    await measure("requests, 25 newest", lambda: search.requests(TENANT, limit=25))
    await measure("requests, 25 newest pending", lambda: search.requests(TENANT, status=pending, limit=25))
    await measure("requests, 25 newest expired", lambda: search.requests(TENANT, status=Outcome.EXPIRED, limit=25))
    await measure(f"requests, page at offset {deep:,}", lambda: search.requests(TENANT, limit=25, offset=deep))
    await measure("requests of one requester", lambda: search.requests(TENANT, requester=who, limit=25))
    await measure("one request that is not there", lambda: missing(search, many))


async def missing(search: Search, who: Actor) -> None:
    with suppress(NoSuchRequest):
        await search.request(who, uuid4())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000))
