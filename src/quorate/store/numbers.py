"""The numbers that a tenant's requests are counted by, given out in blocks."""

from uuid import UUID

from quorate.store.tx import Tx


async def take_block(tx: Tx, tenant: UUID, size: int) -> int:
    """Take this many numbers that nobody else has; answers the first."""
    row = await tx.one(
        """
        INSERT INTO request_number AS n (tenant_id, next) VALUES ($1, 1 + $2)
            ON CONFLICT (tenant_id) DO UPDATE SET next = n.next + $2
        RETURNING next - $2 AS first
        """,
        tenant,
        size,
    )
    assert row is not None, "it is there, or made"
    return int(row["first"])
