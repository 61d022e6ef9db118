"""A courier's statements stay quick however much has been sent already, and claim each message once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from quorate.store import outbox
from quorate.store.database import Database
from quorate.store.migrate import migrate
from quorate.store.tx import Tx
from tests.store.servers import Server, on_both

pytestmark = on_both

TENANT, BUSY, QUIET, GONE = UUID(int=0xA), UUID(int=1), UUID(int=2), UUID(int=3)
AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

# 60,000 messages, nearly all of them sent long ago; what is due is for two webhooks and for one that is gone.
MANY = f"""
    SET session_replication_role = replica;
    INSERT INTO webhook (tenant_id, id, name, url, events, sealed, created_at)
    SELECT '{TENANT}', lpad(to_hex(n), 32, '0')::uuid, 'h', 'https://hooks.example/', '{{*}}', '', now()
      FROM unnest(ARRAY[1, 2, 4, 5]) AS n;
    INSERT INTO outbox (tenant_id, id, kind, subject_kind, subject_id, event_type, body, webhook_id, created_at, due_at,
                        sent_at)
    SELECT '{TENANT}', gen_random_uuid(), 'webhook', 'request', gen_random_uuid(), 'grant.expired', '{{}}',
           lpad(to_hex(1 + n % 5), 32, '0')::uuid, moment, moment,
           CASE WHEN n > 200 THEN moment END
      FROM generate_series(1, 60000) AS n,
           LATERAL (SELECT '{AT}'::timestamptz - n * interval '1 second') AS at (moment);
    ANALYZE;
"""


@pytest.fixture
async def full(postgres: Server) -> AsyncIterator[Database]:
    name = await postgres.fresh()
    await migrate(postgres.owner(name))
    await postgres.run(MANY, name)
    database = Database(postgres.admin(name), role="quorate_worker")
    yield database
    await database.close()


async def test_the_most_overdue_are_claimed_so_many_to_a_webhook_and_only_once(full: Database) -> None:
    until = AT + timedelta(minutes=2)
    async with full.tx([TENANT]) as tx:
        first = await outbox.claim(tx, TENANT, AT, until, 100, 3, {BUSY: 2})
        second = await outbox.claim(tx, TENANT, AT, until, 200, 40, {})
        late = await outbox.claim(tx, TENANT, until, until + timedelta(minutes=2), 4, 40, {})

    counts = {webhook: sum(one.webhook == webhook for one in first) for webhook in (BUSY, QUIET, GONE)}
    assert counts == {BUSY: 1, QUIET: 3, GONE: 0}
    assert {(one.attempts, one.tried_since, one.leased_until) for one in first} == {(1, AT, until)}
    assert not {one.id for one in first} & {one.id for one in second}
    assert len(second) == 160 - len(first), "all that was due to webhooks that are there"
    assert len(late) == 4
    assert {one.attempts for one in late} <= {1, 2}


async def test_what_two_transactions_claim_at_once_is_not_the_same(full: Database) -> None:
    until = AT + timedelta(minutes=2)
    async with full.tx([TENANT]) as one, full.tx([TENANT]) as other:
        mine = await outbox.claim(one, TENANT, AT, until, 4, 1, {})
        theirs = await outbox.claim(other, TENANT, AT, until, 4, 1, {})

    assert len(mine) == len(theirs) == 4
    assert not {claimed.id for claimed in mine} & {claimed.id for claimed in theirs}


async def test_messages_without_a_webhook_are_buried_and_no_others(full: Database) -> None:
    async with full.tx([TENANT]) as tx:
        assert await outbox.bury(tx, TENANT, AT, 30) == 30
        assert await outbox.bury(tx, TENANT, AT, 30) == 10
        assert await outbox.bury(tx, TENANT, AT, 30) == 0
        rows = await tx.all("SELECT DISTINCT webhook_id FROM outbox WHERE tenant_id = $1 AND dead_at = $2", TENANT, AT)

    assert [row["webhook_id"] for row in rows] == [GONE]


async def test_claiming_burying_and_listing_read_indexes_and_not_all_that_was_ever_sent(full: Database) -> None:
    async with full.tx([TENANT]) as tx:
        before = await _read_in_full(tx)
        await outbox.claim(tx, TENANT, AT, AT + timedelta(minutes=2), 16, 4, {})
        await outbox.bury(tx, TENANT, AT, 10)
        await outbox.deliveries(tx, TENANT, QUIET, 20, 0, "pending")
        await outbox.forget(tx, TENANT, AT - timedelta(days=7), AT - timedelta(days=30), 10)
        after = await _read_in_full(tx)

    assert after == before


async def _read_in_full(tx: Tx) -> int:
    """How often this transaction has read the whole outbox from end to end."""
    row = await tx.one("SELECT pg_stat_get_xact_numscans('outbox'::regclass) AS many")
    assert row is not None
    return int(row["many"])


async def test_whoever_no_longer_has_the_lease_changes_nothing(full: Database) -> None:
    lease = timedelta(minutes=2)
    async with full.tx([TENANT]) as tx:
        mine = await outbox.claim(tx, TENANT, AT, AT + lease, 2, 1, {})
        [theirs] = [
            one
            for one in await outbox.claim(tx, TENANT, AT + lease, AT + 2 * lease, 200, 40, {})
            if one.id == mine[0].id
        ]
        await outbox.put_off(tx, TENANT, mine[0].id, mine[0].leased_until, AT + timedelta(hours=1))
        await outbox.give_up(tx, TENANT, mine[0].id, mine[0].leased_until, AT)
        late = await outbox.delivery(tx, TENANT, mine[0].webhook, mine[0].id)
        await outbox.put_off(tx, TENANT, theirs.id, theirs.leased_until, AT + timedelta(hours=2))
        timely = await outbox.delivery(tx, TENANT, theirs.webhook, theirs.id)

    assert late is not None
    assert timely is not None
    assert (late.due_at, late.dead_at) == (AT + 2 * lease, None)
    assert timely.due_at == AT + timedelta(hours=2)
