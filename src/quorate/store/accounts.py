"""Users and services by the page, and what hangs on an account beside its own row.

The accounts themselves are written by `people`; what they sign in with is in `credentials`.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from quorate.store.people import Principal
from quorate.store.rows import decoded
from quorate.store.tx import Tx


class Standing(Struct, frozen=True):
    """What an account is at a moment: its roles' names, all it may do, and whether it has a second factor."""

    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    has_second_factor: bool = False


class Search(Struct, frozen=True, kw_only=True):
    """What a list shall hold: `text` is looked for in name, login and email, whatever its case."""

    status: str | None = None
    text: str | None = None


async def page(tx: Tx, tenant: UUID, kind: str, search: Search, limit: int, offset: int) -> tuple[list[Principal], int]:
    """Read a page of live users or services, newest first, and how many there are in all."""
    values = (tenant, kind, search.status, contained(search.text))
    rows = await tx.all(
        f"""
        SELECT id, kind, name, login, email, name_parts, status, manager_id, owner_id, permissions, metadata,
               preferences, version, created_at, updated_at, deleted_at
          FROM principal
         WHERE tenant_id = $1 AND {_FOUND}
         ORDER BY created_at DESC, id DESC
         LIMIT $5 OFFSET $6
        """,
        *values,
        limit,
        offset,
    )
    total = await tx.one(f"SELECT count(*) AS total FROM principal WHERE tenant_id = $1 AND {_FOUND}", *values)
    assert total is not None, "an aggregate always has a row"
    return [decoded(Principal, row, "name_parts", "metadata", "preferences") for row in rows], total["total"]


async def lock(tx: Tx, tenant: UUID, kind: str, id: UUID) -> Principal | None:
    """Read a live user or service and hold it until the transaction ends."""
    row = await tx.one(
        """
        SELECT id, kind, name, login, email, name_parts, status, manager_id, owner_id, permissions, metadata,
               preferences, version, created_at, updated_at, deleted_at
          FROM principal
         WHERE tenant_id = $1 AND id = $2 AND kind = $3 AND deleted_at IS NULL
           FOR NO KEY UPDATE
        """,
        tenant,
        id,
        kind,
    )
    return None if row is None else decoded(Principal, row, "name_parts", "metadata", "preferences")


async def standing(tx: Tx, tenant: UUID, ids: Collection[UUID], at: datetime) -> dict[UUID, Standing]:
    """Read what these accounts are at a moment, by right and by grants. Unknown ones are absent."""
    rows = await tx.all(
        """
        SELECT p.id,
               ARRAY(SELECT DISTINCT r.name
                       FROM role_holder h
                       JOIN role r ON r.tenant_id = h.tenant_id AND r.id = h.role_id AND r.deleted_at IS NULL
                      WHERE h.tenant_id = p.tenant_id AND h.principal_id = p.id AND h.starts_at <= $3 AND h.ends_at > $3
                      ORDER BY r.name) AS roles,
               ARRAY(SELECT unnest(p.permissions)
                      UNION
                     SELECT unnest(r.permissions)
                       FROM role_holder h
                       JOIN role r ON r.tenant_id = h.tenant_id AND r.id = h.role_id AND r.deleted_at IS NULL
                      WHERE h.tenant_id = p.tenant_id AND h.principal_id = p.id AND h.starts_at <= $3 AND h.ends_at > $3
                      ORDER BY 1) AS permissions,
               EXISTS (SELECT FROM credential c
                        WHERE c.tenant_id = p.tenant_id AND c.principal_id = p.id AND c.kind IN ('passkey', 'totp')
                          AND c.revoked_at IS NULL) AS has_second_factor
          FROM principal p
         WHERE p.tenant_id = $1 AND p.id = ANY ($2)
        """,
        tenant,
        list(ids),
        at,
    )
    return {
        row["id"]: Standing(tuple(row["roles"]), tuple(row["permissions"]), row["has_second_factor"]) for row in rows
    }


async def permissions_of_owned(tx: Tx, tenant: UUID, owner: UUID, at: datetime) -> frozenset[str]:
    """Read all that this user's services may do as soon as the user is active."""
    rows = await tx.all(
        "SELECT id FROM principal WHERE tenant_id = $1 AND owner_id = $2 AND deleted_at IS NULL", tenant, owner
    )
    found = await standing(tx, tenant, [row["id"] for row in rows], at)
    return frozenset(permission for one in found.values() for permission in one.permissions)


async def has_administrator(tx: Tx, tenant: UUID) -> bool:
    """Say whether an active user holds the permission `admin` by right. What a grant gives ends, and does not count."""
    row = await tx.one(
        """
        SELECT 1
          FROM role r
          JOIN role_member m ON m.tenant_id = r.tenant_id AND m.role_id = r.id
          JOIN principal p ON p.tenant_id = m.tenant_id AND p.id = m.principal_id
         WHERE r.tenant_id = $1 AND r.permissions @> '{admin}' AND r.deleted_at IS NULL
           AND p.kind = 'user' AND p.status = 'active' AND p.deleted_at IS NULL
         LIMIT 1
        """,
        tenant,
    )
    return row is not None


async def end_sessions(tx: Tx, tenant: UUID, principal: UUID, at: datetime) -> None:
    """End all that this user's password has opened."""
    await tx.run(
        "UPDATE session SET ended_at = $3 WHERE tenant_id = $1 AND principal_id = $2 AND ended_at IS NULL",
        tenant,
        principal,
        at,
    )


def contained(text: str | None) -> str | None:
    """Make the pattern that finds this text anywhere, taking it literally."""
    if text is None:
        return None
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


_FOUND = """
    kind = $2 AND deleted_at IS NULL AND ($3::text IS NULL OR status = $3)
    AND ($4::text IS NULL OR name ILIKE $4 OR login ILIKE $4 OR email ILIKE $4)
"""
