"""Identity providers, one a tenant, and the sign-ins that came back from them."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import Struct

from quorate.store.database import Database
from quorate.store.tenants import directory_changed
from quorate.store.tx import Tx


class Provider(Struct, frozen=True, kw_only=True):
    """Who outside says who somebody is.

    `sealed`: the client secret; None: there is none. `tenant_claim`: which claim of a token must name the tenant, if
    one must. `stamp` changes whenever any of this does, and ends what was opened under the one before.
    """

    issuer: str
    client_id: str
    sealed: bytes | None = None
    scopes: tuple[str, ...]
    tenant_claim: str | None = None
    stamp: UUID
    created_at: datetime
    updated_at: datetime

    def __repr__(self) -> str:
        return f"Provider(issuer={self.issuer})"


async def read(tx: Tx, tenant: UUID) -> Provider | None:
    """Read the tenant's provider, if it has one."""
    row = await tx.one(
        """
        SELECT issuer, client_id, sealed, scopes, tenant_claim, stamp, created_at, updated_at
          FROM identity_provider
         WHERE tenant_id = $1
        """,
        tenant,
    )
    return None if row is None else _provider(row)


async def put(tx: Tx, tenant: UUID, provider: Provider) -> None:
    """Make the tenant's provider, or change it. The caller holds the directory.

    Raises:
        asyncpg.UniqueViolationError: another tenant has this issuer with this client.
    """
    await tx.run(
        """
        INSERT INTO identity_provider AS p (tenant_id, issuer, client_id, sealed, scopes, tenant_claim, stamp,
                                            created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (tenant_id) DO UPDATE
           SET issuer = excluded.issuer, client_id = excluded.client_id, sealed = excluded.sealed,
               scopes = excluded.scopes, tenant_claim = excluded.tenant_claim, stamp = excluded.stamp,
               updated_at = excluded.updated_at
         WHERE p.tenant_id = $1
        """,
        tenant,
        provider.issuer,
        provider.client_id,
        provider.sealed,
        list(provider.scopes),
        provider.tenant_claim,
        provider.stamp,
        provider.created_at,
        provider.updated_at,
    )
    await directory_changed(tx, tenant)


async def remove(tx: Tx, tenant: UUID) -> bool:
    """Remove the tenant's provider; say whether there was one. The caller holds the directory."""
    row = await tx.one("DELETE FROM identity_provider WHERE tenant_id = $1 RETURNING 1", tenant)
    if row is not None:
        await directory_changed(tx, tenant)
    return row is not None


async def tenants_of_issuer(db: Database, issuer: str, clients: Collection[str]) -> list[UUID]:
    """Find the tenants whose provider has this issuer, with any of these clients."""
    rows = await db.across("SELECT tenant_id FROM tenant_of_issuer($1, $2)", issuer, list(clients))
    return [row["tenant_id"] for row in rows]


async def take(tx: Tx, tenant: UUID, sign_in: UUID, at: datetime, expires_at: datetime) -> bool:
    """Note that a sign-in came back; False if it has before. Those that would be too late now are forgotten."""
    await tx.run("DELETE FROM taken_sign_in WHERE tenant_id = $1 AND expires_at <= $2", tenant, at)
    row = await tx.one(
        """
        INSERT INTO taken_sign_in (tenant_id, id, expires_at) VALUES ($1, $2, $3)
            ON CONFLICT (tenant_id, id) DO NOTHING
        RETURNING 1
        """,
        tenant,
        sign_in,
        expires_at,
    )
    return row is not None


def _provider(row: Record) -> Provider:
    return msgspec.convert({**row, "scopes": tuple(row["scopes"])}, Provider)
