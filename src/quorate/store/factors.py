"""Second factors that are no passkeys: one-time codes of an app, and recovery codes; and where counters stand."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from quorate.store.tenants import directory_changed
from quorate.store.tx import Tx


class StoredTotp(Struct, frozen=True):
    """The secret of somebody's app, sealed, and the last period a code was used of."""

    id: UUID
    sealed: bytes
    last_period: int
    created_at: datetime
    last_used_at: datetime | None

    def __repr__(self) -> str:
        return f"StoredTotp(id={self.id})"


async def totp_of(tx: Tx, tenant: UUID, principal: UUID) -> StoredTotp | None:
    """Read somebody's app unless it was taken away."""
    row = await tx.one(
        """
        SELECT id, sealed, sign_count, created_at, last_used_at
          FROM credential
         WHERE tenant_id = $1 AND principal_id = $2 AND kind = 'totp' AND revoked_at IS NULL
        """,
        tenant,
        principal,
    )
    return None if row is None else StoredTotp(*row.values())


async def put_totp(tx: Tx, tenant: UUID, principal: UUID, totp: StoredTotp) -> None:
    """Keep an app. The one before must have been taken away."""
    await tx.run(
        """
        INSERT INTO credential (tenant_id, id, principal_id, kind, sealed, sign_count, created_at)
        VALUES ($1, $2, $3, 'totp', $4, $5, $6)
        """,
        tenant,
        totp.id,
        principal,
        totp.sealed,
        totp.last_period,
        totp.created_at,
    )
    await directory_changed(tx, tenant)


async def advance(tx: Tx, tenant: UUID, credential: UUID, count: int, at: datetime) -> bool:
    """Let a second factor's count stand here from now on; says whether it was still new. One may stay at 0."""
    row = await tx.one(
        """
        UPDATE credential SET sign_count = $3, last_used_at = $4
         WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL
           AND (sign_count < $3 OR (sign_count = 0 AND $3 = 0))
        RETURNING id
        """,
        tenant,
        credential,
        count,
        at,
    )
    return row is not None


async def put_codes(tx: Tx, tenant: UUID, principal: UUID, hashes: Collection[bytes], at: datetime) -> None:
    """Keep recovery codes in place of those before; none takes them all away."""
    await tx.run("DELETE FROM recovery_code WHERE tenant_id = $1 AND principal_id = $2", tenant, principal)
    await tx.run(
        """
        INSERT INTO recovery_code (tenant_id, principal_id, code_hash, created_at)
        SELECT $1, $2, unnest($3::bytea[]), $4
        """,
        tenant,
        principal,
        list(hashes),
        at,
    )


async def take_code(tx: Tx, tenant: UUID, principal: UUID, code_hash: bytes) -> bool:
    """Take a recovery code away, for good; says whether there was such a one."""
    row = await tx.one(
        """
        DELETE FROM recovery_code WHERE tenant_id = $1 AND principal_id = $2 AND code_hash = $3 RETURNING code_hash
        """,
        tenant,
        principal,
        code_hash,
    )
    return row is not None


async def codes_left(tx: Tx, tenant: UUID, principal: UUID) -> int:
    """Count somebody's recovery codes."""
    row = await tx.one(
        "SELECT count(*) AS left FROM recovery_code WHERE tenant_id = $1 AND principal_id = $2", tenant, principal
    )
    assert row is not None, "an aggregate always has a row"
    left: int = row["left"]
    return left
