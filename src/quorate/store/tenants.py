"""The tenants themselves: made by the operator's commands, or over the API by whom the operator lets."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.store.database import Database
from quorate.store.rows import decoded, encoded
from quorate.store.tx import Tx


class Tenant(Struct, frozen=True, kw_only=True):
    """An organisation. `directory_version` grows with every change to its people, roles, groups, resources or keys."""

    id: UUID
    slug: str
    name: str
    settings: Mapping[str, Any] = {}
    directory_version: int = 0
    created_at: datetime
    updated_at: datetime


async def tenants(tx: Tx) -> list[Tenant]:
    """Read the tenants of this transaction that exist, by slug."""
    rows = await tx.all(
        """
        SELECT id, slug, name, settings, directory_version, created_at, updated_at
          FROM tenant
         WHERE id = ANY ($1)
         ORDER BY slug
        """,
        list(tx.tenants),
    )
    return [decoded(Tenant, row, "settings") for row in rows]


async def every_tenant(owner: Database) -> dict[str, UUID]:
    """Read the id of every tenant, by slug. The owner alone is shown them; anybody else gets nothing."""
    rows = await owner.across("SELECT slug, id FROM tenant ORDER BY slug")
    return {row["slug"]: row["id"] for row in rows}


async def tenant_by(db: Database, *, slug: str | None = None) -> UUID | None:
    """Find a tenant by slug; without one, the only one if there is exactly one."""
    rows = await db.across("SELECT id FROM tenant_by($1)", slug)
    return rows[0]["id"] if rows else None


async def put_tenants(tx: Tx, tenants: Collection[Tenant]) -> set[UUID]:
    """Make tenants, or change those that are there; answers which are new or changed. For the owner.

    Raises:
        asyncpg.UniqueViolationError: `one_tenant_per_slug`.
    """
    rows = await tx.all(
        """
        INSERT INTO tenant AS t (id, slug, name, settings, created_at, updated_at)
        SELECT id, slug, name, settings, created_at, updated_at
          FROM jsonb_to_recordset($1) AS given (id uuid, slug text, name text, settings jsonb,
                                                created_at timestamptz, updated_at timestamptz)
         WHERE id = ANY ($2)
         ORDER BY id
            ON CONFLICT (id) DO UPDATE
           SET slug = excluded.slug, name = excluded.name, settings = excluded.settings,
               updated_at = excluded.updated_at
         WHERE (t.slug, t.name, t.settings) IS DISTINCT FROM (excluded.slug, excluded.name, excluded.settings)
        RETURNING id
        """,
        encoded(tenants),
        list(tx.tenants),
    )
    return {row["id"] for row in rows}


async def add(tx: Tx, tenant: Tenant) -> None:
    """Make a tenant, which the transaction must have named. Raises: asyncpg.UniqueViolationError: the slug is taken."""
    await tx.run(
        """
        INSERT INTO tenant (id, slug, name, settings, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
        """,
        tenant.id,
        tenant.slug,
        tenant.name,
        msgspec.json.encode(tenant.settings),
        tenant.created_at,
    )


async def directory_versions(tx: Tx) -> dict[UUID, int]:
    """Read how often the directories of this transaction's tenants have changed."""
    rows = await tx.all("SELECT id, directory_version FROM tenant WHERE id = ANY ($1)", list(tx.tenants))
    return {row["id"]: row["directory_version"] for row in rows}


async def directory_changed(tx: Tx, tenant: UUID) -> None:
    """Count one more change, so that whoever remembers the directory looks again."""
    await tx.run("UPDATE tenant SET directory_version = directory_version + 1 WHERE id = $1", tenant)
