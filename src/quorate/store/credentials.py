"""What people and programs sign in with, as the directory keeps it. Finding whose a secret is: `signin`."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from quorate.store.rows import decoded, encoded
from quorate.store.tenants import directory_changed
from quorate.store.tx import Tx


class StoredCredential(Struct, frozen=True, kw_only=True):
    """A key or client (by the SHA-256 of its secret), a passkey (its public part: `id`, `publicKey`), or a TOTP."""

    id: UUID
    principal_id: UUID
    kind: Literal["key", "client", "passkey", "totp"]
    name: str = ""
    client_id: str | None = None
    secret_hash: bytes | None = None
    public: Mapping[str, Any] | None = None
    sign_count: int = 0
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    created_at: datetime

    def __repr__(self) -> str:
        return f"StoredCredential(id={self.id}, kind={self.kind})"  # The hash stays out of logs.


async def credentials(tx: Tx, tenant: UUID) -> list[StoredCredential]:
    """Read all credentials that are not revoked, by holder and name."""
    rows = await tx.all(
        """
        SELECT id, principal_id, kind, name, client_id, secret_hash, public, sign_count, expires_at, last_used_at,
               revoked_at, created_at
          FROM credential
         WHERE tenant_id = $1 AND revoked_at IS NULL
         ORDER BY principal_id, kind, name, id
        """,
        tenant,
    )
    return [decoded(StoredCredential, row, "public") for row in rows]


async def credentials_of(tx: Tx, tenant: UUID, principals: Collection[UUID]) -> list[StoredCredential]:
    """Read the credentials of these, revoked ones too, the newest first."""
    rows = await tx.all(
        """
        SELECT id, principal_id, kind, name, client_id, secret_hash, public, sign_count, expires_at, last_used_at,
               revoked_at, created_at
          FROM credential
         WHERE tenant_id = $1 AND principal_id = ANY ($2)
         ORDER BY created_at DESC, id
        """,
        tenant,
        list(principals),
    )
    return [decoded(StoredCredential, row, "public") for row in rows]


async def hold(tx: Tx, keys: Collection[tuple[UUID, UUID]]) -> None:
    """Hold credentials, each (tenant, id), until the transaction ends, so that a count is shown once.

    To be called after the requests are held and before the people are read.
    """
    await tx.run(
        """
        SELECT FROM credential
         WHERE tenant_id = ANY ($1) AND (tenant_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
         ORDER BY tenant_id, id
           FOR NO KEY UPDATE
        """,
        [tenant for tenant, _ in keys],
        [id for _, id in keys],
    )


async def passkeys_of(tx: Tx, tenant: UUID, principal: UUID) -> list[StoredCredential]:
    """Read somebody's passkeys that are not revoked, the oldest first."""
    rows = await tx.all(
        """
        SELECT id, principal_id, kind, name, client_id, secret_hash, public, sign_count, expires_at, last_used_at,
               revoked_at, created_at
          FROM credential
         WHERE tenant_id = $1 AND principal_id = $2 AND kind = 'passkey' AND revoked_at IS NULL
         ORDER BY created_at, id
        """,
        tenant,
        principal,
    )
    return [decoded(StoredCredential, row, "public") for row in rows]


async def put_credentials(tx: Tx, tenant: UUID, credentials: Collection[StoredCredential]) -> set[UUID]:
    """Make credentials, or change name, secret, public part and expiry of those there; answers which changed.

    Whose a credential is and what kind it is never changes, nor does a sign count go back or a revoked one return.

    Raises:
        asyncpg.UniqueViolationError: `one_live_key_per_secret` (perhaps another tenant's),
            `one_live_client_per_id_and_secret`, `one_live_passkey_per_id`.
        asyncpg.ForeignKeyViolationError: the holder does not exist in this tenant.
    """
    rows = await tx.all(
        """
        INSERT INTO credential AS c (tenant_id, id, principal_id, kind, name, client_id, secret_hash, public,
                                     sign_count, expires_at, revoked_at, created_at)
        SELECT $1, id, principal_id, kind, name, client_id, decode(secret_hash, 'base64'), public,
               sign_count, expires_at, revoked_at, created_at
          FROM jsonb_to_recordset($2) AS given (
                   id uuid, principal_id uuid, kind text, name text, client_id text, secret_hash text, public jsonb,
                   sign_count bigint, expires_at timestamptz, revoked_at timestamptz, created_at timestamptz)
         ORDER BY id
            ON CONFLICT (tenant_id, id) DO UPDATE
           SET name = excluded.name, client_id = excluded.client_id, secret_hash = excluded.secret_hash,
               public = excluded.public, expires_at = excluded.expires_at,
               sign_count = greatest(c.sign_count, excluded.sign_count)
         WHERE c.principal_id = excluded.principal_id AND c.kind = excluded.kind AND c.revoked_at IS NULL
           AND (c.name, c.client_id, c.secret_hash, c.public, c.expires_at)
               IS DISTINCT FROM
               (excluded.name, excluded.client_id, excluded.secret_hash, excluded.public, excluded.expires_at)
        RETURNING id
        """,
        tenant,
        encoded(credentials),
    )
    if rows:
        await directory_changed(tx, tenant)
    return {row["id"] for row in rows}


async def revoke_credentials(tx: Tx, tenant: UUID, ids: Collection[UUID], at: datetime) -> set[UUID]:
    """End credentials for good; answers which were still good."""
    rows = await tx.all(
        """
        UPDATE credential SET revoked_at = $3
         WHERE tenant_id = $1 AND id = ANY ($2) AND revoked_at IS NULL
        RETURNING id
        """,
        tenant,
        list(ids),
        at,
    )
    if rows:
        await directory_changed(tx, tenant)
    return {row["id"] for row in rows}


async def keys_of(tx: Tx, tenant: UUID, principal: UUID, limit: int, offset: int) -> tuple[list[StoredCredential], int]:
    """Read a page of somebody's keys that are not revoked, the newest first, and how many there are in all."""
    rows = await tx.all(
        """
        SELECT id, principal_id, kind, name, client_id, secret_hash, public, sign_count, expires_at, last_used_at,
               revoked_at, created_at
          FROM credential
         WHERE tenant_id = $1 AND principal_id = $2 AND kind = 'key' AND revoked_at IS NULL
         ORDER BY created_at DESC, id DESC
         LIMIT $3 OFFSET $4
        """,
        tenant,
        principal,
        limit,
        offset,
    )
    total = await tx.one(
        """
        SELECT count(*) AS total
          FROM credential
         WHERE tenant_id = $1 AND principal_id = $2 AND kind = 'key' AND revoked_at IS NULL
        """,
        tenant,
        principal,
    )
    assert total is not None, "an aggregate always has a row"
    return [decoded(StoredCredential, row, "public") for row in rows], total["total"]


async def key_of(tx: Tx, tenant: UUID, principal: UUID, id: UUID) -> StoredCredential | None:
    """Read one of somebody's keys unless it is revoked."""
    row = await tx.one(
        """
        SELECT id, principal_id, kind, name, client_id, secret_hash, public, sign_count, expires_at, last_used_at,
               revoked_at, created_at
          FROM credential
         WHERE tenant_id = $1 AND principal_id = $2 AND id = $3 AND kind = 'key' AND revoked_at IS NULL
        """,
        tenant,
        principal,
        id,
    )
    return None if row is None else decoded(StoredCredential, row, "public")
