"""Messages as rows: added, claimed by a courier, settled, shown, and forgotten when they have had their time.

A message is pending until it is sent or dead. To claim one is to push its `due_at` a lease ahead: whoever claims and
dies leaves nothing behind but a message that is due again.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.store.tx import Tx


class Post(Struct, frozen=True, kw_only=True):
    """A message to write: to which webhook, because of what."""

    id: UUID
    webhook: UUID
    subject_kind: str
    subject: UUID
    name: str
    body: bytes


class Claimed(Struct, frozen=True, kw_only=True):
    """A message to send now, and where. `attempts` counts this one; `tried_since` is when the first began."""

    id: UUID
    webhook: UUID
    url: str
    sealed: bytes
    body: bytes
    attempts: int
    tried_since: datetime
    leased_until: datetime


class Tried(Struct, frozen=True, kw_only=True):
    """How an attempt went. `status` is the receiver's answer, None without one; then `trouble` says why."""

    at: datetime
    took_ms: int
    status: int | None = None
    answer: str | None = None
    trouble: str | None = None


class Delivery(Struct, frozen=True, kw_only=True):
    """A message as those who look after a webhook see it. `due_at`: when it is tried next, while it is pending."""

    id: UUID
    event_type: str
    subject_kind: str
    subject_id: UUID
    created_at: datetime
    due_at: datetime
    attempts: int
    sent_at: datetime | None
    dead_at: datetime | None
    log: tuple[Tried, ...] = ()


async def add(tx: Tx, tenant: UUID, posts: Sequence[Post], at: datetime) -> None:
    """Write messages that are due at once."""
    await tx.run(
        """
        INSERT INTO outbox (tenant_id, id, kind, subject_kind, subject_id, event_type, body, due_at, created_at,
                            webhook_id)
        SELECT $1, new.id, 'webhook', new.subject_kind, new.subject_id, new.event_type, new.body, $2, $2, new.webhook
          FROM unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::jsonb[], $8::uuid[])
               AS new (id, subject_kind, subject_id, event_type, body, webhook)
        """,
        tenant,
        at,
        [one.id for one in posts],
        [one.subject_kind for one in posts],
        [one.subject for one in posts],
        [one.name for one in posts],
        [one.body for one in posts],
        [one.webhook for one in posts],
    )


async def claim(
    tx: Tx, tenant: UUID, at: datetime, until: datetime, room: int, each: int, busy: Mapping[UUID, int]
) -> list[Claimed]:
    """Take messages that are due, the most overdue first, for nobody else to take until the lease ends.

    Args:
        room: how many at most.
        each: how many at most to one webhook, among which `busy` says how many are on their way.
    """
    rows = await tx.all(
        """
        WITH taken AS (
            SELECT due.id, w.url, w.sealed
              FROM webhook w
              LEFT JOIN unnest($5::uuid[], $6::int[]) AS busy (id, many) ON busy.id = w.id
              CROSS JOIN LATERAL (
                    SELECT o.id, o.due_at
                      FROM outbox o
                     WHERE o.tenant_id = $1 AND o.webhook_id = w.id AND o.kind = 'webhook'
                       AND o.due_at <= $2 AND o.sent_at IS NULL AND o.dead_at IS NULL
                     ORDER BY o.due_at
                     LIMIT greatest($4 - coalesce(busy.many, 0), 0)
                       FOR UPDATE SKIP LOCKED) AS due
             WHERE w.tenant_id = $1 AND w.disabled_at IS NULL
             ORDER BY due.due_at
             LIMIT $3
        )
        UPDATE outbox o
           SET due_at = $7, attempts = o.attempts + 1, tried_since = coalesce(o.tried_since, $2)
          FROM taken
         WHERE o.tenant_id = $1 AND o.id = taken.id
        RETURNING o.id, o.webhook_id AS webhook, taken.url, taken.sealed, o.body, o.attempts, o.tried_since,
                  o.due_at AS leased_until
        """,
        tenant,
        at,
        room,
        each,
        list(busy),
        list(busy.values()),
        until,
    )
    return [Claimed(**dict(row)) for row in rows]


async def bury(tx: Tx, tenant: UUID, at: datetime, most: int) -> int:
    """Give up messages whose webhook is gone or disabled; at most so many, and says how many."""
    rows = await tx.all(
        """
        UPDATE outbox SET dead_at = $2
         WHERE tenant_id = $1 AND id IN (
               SELECT o.id FROM outbox o
                WHERE o.tenant_id = $1 AND o.kind = 'webhook' AND o.due_at <= $2
                  AND o.sent_at IS NULL AND o.dead_at IS NULL
                  AND NOT EXISTS (SELECT FROM webhook w
                                   WHERE w.tenant_id = $1 AND w.id = o.webhook_id AND w.disabled_at IS NULL)
                LIMIT $3
                  FOR UPDATE SKIP LOCKED)
        RETURNING 1
        """,
        tenant,
        at,
        most,
    )
    return len(rows)


async def attempted(tx: Tx, tenant: UUID, message: UUID, tried: Tried) -> None:
    """Log an attempt; nothing is logged of a message that is gone."""
    await tx.run(
        """
        INSERT INTO delivery_attempt (tenant_id, message_id, at, took_ms, status, answer, trouble)
        SELECT tenant_id, id, $3, $4, $5, $6, $7
          FROM outbox
         WHERE tenant_id = $1 AND id = $2
        """,
        tenant,
        message,
        tried.at,
        tried.took_ms,
        tried.status,
        tried.answer,
        tried.trouble,
    )


async def sent(tx: Tx, tenant: UUID, message: UUID, at: datetime) -> None:
    """It has arrived, whoever may have claimed it meanwhile."""
    await tx.run(
        "UPDATE outbox SET sent_at = $3, dead_at = NULL WHERE tenant_id = $1 AND id = $2 AND sent_at IS NULL",
        tenant,
        message,
        at,
    )


async def put_off(tx: Tx, tenant: UUID, message: UUID, leased_until: datetime, until: datetime) -> None:
    """Try it again at a moment. Whoever no longer has the lease changes nothing."""
    await tx.run(
        """
        UPDATE outbox SET due_at = $4
         WHERE tenant_id = $1 AND id = $2 AND due_at = $3 AND sent_at IS NULL AND dead_at IS NULL
        """,
        tenant,
        message,
        leased_until,
        until,
    )


async def give_up(tx: Tx, tenant: UUID, message: UUID, leased_until: datetime, at: datetime) -> None:
    """Try it no more. Whoever no longer has the lease changes nothing."""
    await tx.run(
        """
        UPDATE outbox SET dead_at = $4
         WHERE tenant_id = $1 AND id = $2 AND due_at = $3 AND sent_at IS NULL AND dead_at IS NULL
        """,
        tenant,
        message,
        leased_until,
        at,
    )


async def again(tx: Tx, tenant: UUID, webhook: UUID, message: UUID, at: datetime) -> bool:
    """Make a message due now, with all its time before it; False when this webhook has no such message."""
    row = await tx.one(
        """
        UPDATE outbox SET due_at = $4, attempts = 0, tried_since = NULL, sent_at = NULL, dead_at = NULL
         WHERE tenant_id = $1 AND id = $3 AND webhook_id = $2
        RETURNING id
        """,
        tenant,
        webhook,
        message,
        at,
    )
    return row is not None


async def deliveries(
    tx: Tx, tenant: UUID, webhook: UUID, limit: int, offset: int, status: str | None = None
) -> tuple[list[Delivery], int]:
    """Read a webhook's messages, newest first, with what became of them, and how many there are in all.

    `status`: only those that are pending, delivered or dead.
    """
    condition = _STATUS[status]
    rows = await tx.all(
        f"""
        SELECT id, event_type, subject_kind, subject_id, created_at, due_at, attempts, sent_at, dead_at
          FROM outbox
         WHERE tenant_id = $1 AND webhook_id = $2 AND {condition}
         ORDER BY created_at DESC, id DESC
         LIMIT $3 OFFSET $4
        """,
        tenant,
        webhook,
        limit,
        offset,
    )
    total = await tx.one(
        f"SELECT count(*) AS many FROM outbox WHERE tenant_id = $1 AND webhook_id = $2 AND {condition}", tenant, webhook
    )
    assert total is not None, "an aggregate always has a row"
    logs = await _logs(tx, tenant, [row["id"] for row in rows])
    return [Delivery(**dict(row), log=logs.get(row["id"], ())) for row in rows], total["many"]


async def delivery(tx: Tx, tenant: UUID, webhook: UUID, message: UUID) -> Delivery | None:
    """Read one message of a webhook."""
    row = await tx.one(
        """
        SELECT id, event_type, subject_kind, subject_id, created_at, due_at, attempts, sent_at, dead_at
          FROM outbox
         WHERE tenant_id = $1 AND webhook_id = $2 AND id = $3
        """,
        tenant,
        webhook,
        message,
    )
    if row is None:
        return None
    return Delivery(**dict(row), log=(await _logs(tx, tenant, [message])).get(message, ()))


async def forget(tx: Tx, tenant: UUID, sent_before: datetime, dead_before: datetime, most: int) -> int:
    """Remove messages that were sent, or died, before these moments; at most so many of each, and says how many."""
    return await _forget(tx, tenant, "sent_at", sent_before, most) + await _forget(
        tx, tenant, "dead_at", dead_before, most
    )


async def _forget(tx: Tx, tenant: UUID, end: str, before: datetime, most: int) -> int:
    rows = await tx.all(
        f"""
        DELETE FROM outbox
         WHERE tenant_id = $1 AND id IN (SELECT id FROM outbox WHERE tenant_id = $1 AND {end} <= $2 LIMIT $3)
        RETURNING 1
        """,
        tenant,
        before,
        most,
    )
    return len(rows)


async def _logs(tx: Tx, tenant: UUID, messages: Collection[UUID]) -> dict[UUID, tuple[Tried, ...]]:
    rows = await tx.all(
        """
        SELECT message_id, at, took_ms, status, answer, trouble
          FROM delivery_attempt
         WHERE tenant_id = $1 AND message_id = ANY ($2)
         ORDER BY message_id, id
        """,
        tenant,
        list(messages),
    )
    found: dict[UUID, tuple[Tried, ...]] = {}
    for row in rows:
        values: dict[str, Any] = dict(row)
        message = values.pop("message_id")
        found[message] = (*found.get(message, ()), msgspec.convert(values, Tried))
    return found


_STATUS = {
    None: "true",
    "pending": "sent_at IS NULL AND dead_at IS NULL",
    "delivered": "sent_at IS NOT NULL",
    "dead": "dead_at IS NOT NULL",
}
