"""Executions as rows. The door makes them (`record`); a timer of the kind `execution` says when to look at one."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from asyncpg import Record

from quorate.domain.operations import Execution, State
from quorate.store.tx import Tx

TIMER: Final = "execution"
_COLUMNS: Final = "id, request_id, state, attempts, created_at, started_at, ended_at, status, failure, viewed_at"


async def of_requests(tx: Tx, tenant: UUID, requests: Collection[UUID]) -> dict[UUID, Execution]:
    """Read what became of requests. One that has no execution is left out."""
    rows = await tx.all(
        f"SELECT {_COLUMNS} FROM execution WHERE tenant_id = $1 AND request_id = ANY ($2)", tenant, list(requests)
    )
    return {row["request_id"]: _execution(row) for row in rows}


async def due(tx: Tx, tenant: UUID, at: datetime, most: int) -> list[UUID]:
    """Name executions that must be looked at, the most overdue first."""
    rows = await tx.all(
        """
        SELECT subject_id
          FROM timer
         WHERE tenant_id = $1 AND kind = $2 AND due_at <= $3
         ORDER BY due_at
         LIMIT $4
        """,
        tenant,
        TIMER,
        at,
        most,
    )
    return [row["subject_id"] for row in rows]


async def claim(tx: Tx, tenant: UUID, id: UUID, at: datetime) -> Execution | None:
    """Hold an execution that is due, until the transaction ends; None when it is not, or somebody else holds it."""
    row = await tx.one(
        f"SELECT {_COLUMNS} FROM execution WHERE tenant_id = $1 AND id = $2 FOR UPDATE SKIP LOCKED", tenant, id
    )
    # Only now that it is ours does its timer tell whether whoever held it a moment ago has seen to it.
    return _execution(row) if row is not None and await _is_due(tx, tenant, id, at) else None


async def lock(tx: Tx, tenant: UUID, id: UUID) -> Execution | None:
    """Hold an execution until the transaction ends."""
    row = await tx.one(f"SELECT {_COLUMNS} FROM execution WHERE tenant_id = $1 AND id = $2 FOR UPDATE", tenant, id)
    return None if row is None else _execution(row)


async def save(tx: Tx, tenant: UUID, one: Execution, result: bytes | None = None) -> None:
    """Write an execution that is held. `result`: what it answered, sealed."""
    await tx.run(
        """
        UPDATE execution
           SET state = $3, attempts = $4, started_at = $5, ended_at = $6, status = $7, failure = $8, result = $9
         WHERE tenant_id = $1 AND id = $2
        """,
        tenant,
        one.id,
        one.state.value,
        one.attempts,
        one.started_at,
        one.ended_at,
        one.status,
        one.failure,
        result,
    )


async def put_off(tx: Tx, tenant: UUID, id: UUID, until: datetime | None) -> None:
    """Say when an execution is to be looked at next; None: never again."""
    if until is None:
        await tx.run("DELETE FROM timer WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3", tenant, TIMER, id)
    else:
        await tx.run(
            "UPDATE timer SET due_at = $4 WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3",
            tenant,
            TIMER,
            id,
            until,
        )


async def view(tx: Tx, tenant: UUID, request: UUID, at: datetime) -> tuple[Execution, bytes | None] | None:
    """Read what became of a request and what it answered, sealed; and remember when that was first fetched."""
    row = await tx.one(
        f"""
        UPDATE execution
           SET viewed_at = coalesce(viewed_at, $3)
         WHERE tenant_id = $1 AND request_id = $2 AND state IN ('succeeded', 'failed', 'unknown')
        RETURNING {_COLUMNS}, result
        """,
        tenant,
        request,
        at,
    )
    return None if row is None else (_execution(row), row["result"])


async def _is_due(tx: Tx, tenant: UUID, id: UUID, at: datetime) -> bool:
    row = await tx.one(
        "SELECT 1 FROM timer WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3 AND due_at <= $4",
        tenant,
        TIMER,
        id,
        at,
    )
    return row is not None


def _execution(row: Record) -> Execution:
    return Execution(
        id=row["id"],
        request=row["request_id"],
        state=State(row["state"]),
        created_at=row["created_at"],
        attempts=row["attempts"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        status=row["status"],
        failure=row["failure"],
        viewed_at=row["viewed_at"],
    )
