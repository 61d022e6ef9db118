"""Work that is due: in which tenants, and the tidying among it."""

from datetime import datetime
from uuid import UUID

from quorate.store.database import Database
from quorate.store.tx import Tx

TIDY = "tidy"


async def tenants_with_due(db: Database, kind: str, at: datetime, most: int) -> list[UUID]:
    """Name tenants with timers of this kind (or messages: `outbox`) that are due, the most overdue first."""
    rows = await db.across("SELECT tenant_id FROM tenants_with_due($1, $2, $3)", kind, at, most)
    return [row["tenant_id"] for row in rows]


async def claim_tidying(tx: Tx, tenant: UUID, at: datetime) -> bool:
    """Take on the tidying of a tenant until the transaction ends; False when it is not due, or somebody else's."""
    row = await tx.one(
        """
        SELECT subject_id
          FROM timer
         WHERE tenant_id = $1 AND kind = $2 AND subject_id = $1 AND due_at <= $3
           FOR UPDATE SKIP LOCKED
        """,
        tenant,
        TIDY,
        at,
    )
    return row is not None


async def put_off_tidying(tx: Tx, tenant: UUID, due_at: datetime) -> None:
    """Say when the tenant is to be tidied next."""
    await tx.run(
        "UPDATE timer SET due_at = $3 WHERE tenant_id = $1 AND kind = $2 AND subject_id = $1", tenant, TIDY, due_at
    )


async def fold_counts(tx: Tx, tenant: UUID) -> int:
    """Replace the differences of `request_count` by their sums; answers how many rows that spared."""
    row = await tx.one("SELECT fold_request_count($1) AS spared", tenant)
    assert row is not None
    return int(row["spared"])


async def forget_replays(tx: Tx, tenant: UUID, before: datetime, most: int) -> int:
    """Remove answers kept for an Idempotency-Key before a moment; at most so many, and says how many."""
    rows = await tx.all(
        """
        DELETE FROM replay
         WHERE tenant_id = $1 AND (caller_id, key) IN (
               SELECT caller_id, key FROM replay WHERE tenant_id = $1 AND created_at <= $2 LIMIT $3)
        RETURNING 1
        """,
        tenant,
        before,
        most,
    )
    return len(rows)


async def forget_sessions(tx: Tx, tenant: UUID, before: datetime, most: int) -> int:
    """Remove sessions that ended, or ran out, before a moment; at most so many, and says how many."""
    rows = await tx.all(
        """
        DELETE FROM session
         WHERE tenant_id = $1 AND id IN (
               SELECT id FROM session WHERE tenant_id = $1 AND (expires_at <= $2 OR ended_at <= $2) LIMIT $3)
        RETURNING 1
        """,
        tenant,
        before,
        most,
    )
    return len(rows)


async def forget_challenges(tx: Tx, tenant: UUID, before: datetime, most: int) -> int:
    """Remove challenges whose time was over at a moment; at most so many, and says how many."""
    rows = await tx.all(
        """
        DELETE FROM challenge
         WHERE tenant_id = $1 AND (principal_id, purpose, subject_id) IN (
               SELECT principal_id, purpose, subject_id FROM challenge WHERE tenant_id = $1 AND expires_at <= $2
                LIMIT $3)
        RETURNING 1
        """,
        tenant,
        before,
        most,
    )
    return len(rows)
