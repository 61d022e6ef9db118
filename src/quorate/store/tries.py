"""Wrong tries in a row, by what was tried and by whom."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from quorate.store.tx import Tx

KEPT_FOR: Final = timedelta(days=1)


class Tries(NamedTuple):
    """So many were wrong in a row, the last one then."""

    wrong: int
    last_at: datetime


async def read(tx: Tx, tenant: UUID, what: str, subject: UUID) -> Tries | None:
    """Read how many were wrong since the last right one."""
    row = await tx.one(
        "SELECT tries, at FROM wrong_try WHERE tenant_id = $1 AND what = $2 AND subject_id = $3", tenant, what, subject
    )
    return None if row is None else Tries(row["tries"], row["at"])


async def count(tx: Tx, tenant: UUID, what: str, subject: UUID, at: datetime, most: int, span: timedelta) -> int:
    """Count a wrong one, and forget those of long ago. Answers how many it makes in a row.

    After `most` of them and once `span` has passed, the count begins again.
    """
    await tx.run("DELETE FROM wrong_try WHERE tenant_id = $1 AND at < $2", tenant, at - KEPT_FOR)
    row = await tx.one(
        """
        INSERT INTO wrong_try AS t (tenant_id, what, subject_id, tries, at) VALUES ($1, $2, $3, 1, $4)
        ON CONFLICT (tenant_id, what, subject_id) DO UPDATE
           SET tries = CASE WHEN t.tries >= $5 AND t.at <= $6 THEN 1 ELSE t.tries + 1 END, at = excluded.at
        RETURNING tries
        """,
        tenant,
        what,
        subject,
        at,
        most,
        at - span,
    )
    assert row is not None, "an upsert without a condition always has a row"
    tries: int = row["tries"]
    return tries


async def forget(tx: Tx, tenant: UUID, what: str, subject: UUID) -> None:
    """Begin to count again: a right one came."""
    await tx.run("DELETE FROM wrong_try WHERE tenant_id = $1 AND what = $2 AND subject_id = $3", tenant, what, subject)
