"""Delegations one by one and by the page. They are written by `people`."""

from uuid import UUID

from quorate.store.people import Delegation
from quorate.store.rows import decoded
from quorate.store.tenants import directory_changed
from quorate.store.tx import Tx


async def page(tx: Tx, tenant: UUID, of: UUID | None, limit: int, offset: int) -> tuple[list[Delegation], int]:
    """Read a page of delegations from or to somebody (None: all), past ones too; the last to start comes first."""
    rows = await tx.all(
        f"""
        SELECT id, from_id, to_id, starts_at, ends_at, created_at
          FROM delegation
         WHERE tenant_id = $1 AND {_FOUND}
         ORDER BY starts_at DESC, id DESC
         LIMIT $3 OFFSET $4
        """,
        tenant,
        of,
        limit,
        offset,
    )
    total = await tx.one(f"SELECT count(*) AS total FROM delegation WHERE tenant_id = $1 AND {_FOUND}", tenant, of)
    assert total is not None, "an aggregate always has a row"
    return [decoded(Delegation, row) for row in rows], total["total"]


async def lock(tx: Tx, tenant: UUID, id: UUID) -> Delegation | None:
    """Read one and hold it until the transaction ends."""
    row = await tx.one(
        """
        SELECT id, from_id, to_id, starts_at, ends_at, created_at
          FROM delegation
         WHERE tenant_id = $1 AND id = $2
           FOR UPDATE
        """,
        tenant,
        id,
    )
    return None if row is None else decoded(Delegation, row)


async def remove_of(tx: Tx, tenant: UUID, user: UUID) -> None:
    """Remove all that somebody gave or was given."""
    await tx.run("DELETE FROM delegation WHERE tenant_id = $1 AND (from_id = $2 OR to_id = $2)", tenant, user)
    await directory_changed(tx, tenant)


_FOUND = "($2::uuid IS NULL OR from_id = $2 OR to_id = $2)"
