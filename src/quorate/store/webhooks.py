"""Webhooks as rows: made, read, disabled, deleted. The secret stays sealed here."""

from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import Struct

from quorate.domain.messages import Subscription
from quorate.store.tx import Tx


class Webhook(Struct, frozen=True, kw_only=True):
    """Who wants to hear what, at which URL. `disabled_why` is for people."""

    id: UUID
    name: str
    url: str
    events: tuple[str, ...]
    sealed: bytes
    created_at: datetime
    disabled_at: datetime | None = None
    disabled_why: str | None = None


async def add(tx: Tx, tenant: UUID, new: Webhook) -> None:
    """Make a webhook."""
    await tx.run(
        """
        INSERT INTO webhook (tenant_id, id, name, url, events, sealed, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        tenant,
        new.id,
        new.name,
        new.url,
        list(new.events),
        new.sealed,
        new.created_at,
    )


async def read(tx: Tx, tenant: UUID, id: UUID) -> Webhook | None:
    """Read one."""
    row = await tx.one(f"SELECT {_COLUMNS} FROM webhook WHERE tenant_id = $1 AND id = $2", tenant, id)
    return None if row is None else _webhook(row)


async def page(tx: Tx, tenant: UUID, limit: int, offset: int) -> tuple[list[Webhook], int]:
    """Read webhooks, newest first, and how many there are in all."""
    rows = await tx.all(
        f"""
        SELECT {_COLUMNS}
          FROM webhook
         WHERE tenant_id = $1
         ORDER BY created_at DESC, id DESC
         LIMIT $2 OFFSET $3
        """,
        tenant,
        limit,
        offset,
    )
    return [_webhook(row) for row in rows], await count(tx, tenant)


async def count(tx: Tx, tenant: UUID) -> int:
    """Count the tenant's webhooks."""
    row = await tx.one("SELECT count(*) AS many FROM webhook WHERE tenant_id = $1", tenant)
    assert row is not None, "an aggregate always has a row"
    return int(row["many"])


async def delete(tx: Tx, tenant: UUID, id: UUID) -> Webhook | None:
    """Remove one for good, and answer what it was. Its messages stay until they have had their time."""
    row = await tx.one(f"DELETE FROM webhook WHERE tenant_id = $1 AND id = $2 RETURNING {_COLUMNS}", tenant, id)
    return None if row is None else _webhook(row)


async def disable(tx: Tx, tenant: UUID, id: UUID, at: datetime, why: str) -> bool:
    """Call it no more, and hold it until the transaction ends; False when that is so already, or it is gone."""
    row = await tx.one(
        """
        UPDATE webhook SET disabled_at = $3, disabled_why = $4
         WHERE tenant_id = $1 AND id = $2 AND disabled_at IS NULL
        RETURNING id
        """,
        tenant,
        id,
        at,
        why,
    )
    return row is not None


async def subscriptions(tx: Tx) -> dict[UUID, tuple[Subscription, ...]]:
    """Read who wants to hear what, of the transaction's tenants; one without webhooks is absent."""
    rows = await tx.all(
        """
        SELECT tenant_id, id, events
          FROM webhook
         WHERE tenant_id = ANY ($1) AND disabled_at IS NULL
         ORDER BY tenant_id, id
        """,
        list(tx.tenants),
    )
    found: dict[UUID, tuple[Subscription, ...]] = {}
    for row in rows:
        one = Subscription(row["id"], tuple(row["events"]))
        found[row["tenant_id"]] = (*found.get(row["tenant_id"], ()), one)
    return found


_COLUMNS = "id, name, url, events, sealed, created_at, disabled_at, disabled_why"


def _webhook(row: Record) -> Webhook:
    return msgspec.convert(dict(row), Webhook)
