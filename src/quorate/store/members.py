"""Who is in a role or a group: by right, which is written here, and by grants, which are only read here."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

from quorate.store.tenants import directory_changed
from quorate.store.tx import Tx

What = Literal["role", "group"]

_BY_RIGHT: Final = {"role": ("role_member", "role_id"), "group": ("group_member", "group_id")}
_HOLDERS: Final = {"role": ("role_holder", "role_id"), "group": ("group_holder", "group_id")}


class Member(Struct, frozen=True):
    """One account in a role or a group. `is_standing`: by right; `ends_at`: when it will be out, None if never."""

    id: UUID
    kind: str
    name: str
    email: str | None
    status: Literal["active", "suspended", "inactive"]
    is_standing: bool
    ends_at: datetime | None


async def hold_directory(tx: Tx, tenant: UUID) -> None:
    """Let nobody else change this tenant's directory until the transaction ends.

    Who may give what, and whether an administrator is left, is a question about many rows; so changes of a
    directory, which are rare, are made one after the other.
    """
    await tx.one("SELECT 1 FROM tenant WHERE id = $1 FOR NO KEY UPDATE", tenant)


async def page(
    tx: Tx, tenant: UUID, what: What, id: UUID, at: datetime, limit: int, offset: int
) -> tuple[list[Member], int]:
    """Read a page of who is in a role or a group at a moment, by name, and how many there are in all."""
    table, column = _HOLDERS[what]
    inside = f"""
        SELECT h.principal_id, bool_or(h.grant_id IS NULL) AS is_standing, max(h.ends_at) AS ends_at
          FROM {table} h
          JOIN principal p ON p.tenant_id = h.tenant_id AND p.id = h.principal_id AND p.deleted_at IS NULL
         WHERE h.tenant_id = $1 AND h.{column} = $2 AND h.starts_at <= $3 AND h.ends_at > $3
         GROUP BY h.principal_id
    """
    rows = await tx.all(
        f"""
        SELECT p.id, p.kind, p.name, p.email, p.status, i.is_standing, nullif(i.ends_at, 'infinity') AS ends_at
          FROM ({inside}) i
          JOIN principal p ON p.tenant_id = $1 AND p.id = i.principal_id
         ORDER BY p.name, p.id
         LIMIT $4 OFFSET $5
        """,
        tenant,
        id,
        at,
        limit,
        offset,
    )
    return [Member(*row.values()) for row in rows], (await count(tx, tenant, what, [id], at)).get(id, 0)


async def count(tx: Tx, tenant: UUID, what: What, ids: Collection[UUID], at: datetime) -> dict[UUID, int]:
    """Count who is in each of these at a moment; those without members are absent."""
    table, column = _HOLDERS[what]
    rows = await tx.all(
        f"""
        SELECT h.{column} AS id, count(DISTINCT h.principal_id) AS members
          FROM {table} h
          JOIN principal p ON p.tenant_id = h.tenant_id AND p.id = h.principal_id AND p.deleted_at IS NULL
         WHERE h.tenant_id = $1 AND h.{column} = ANY ($2) AND h.starts_at <= $3 AND h.ends_at > $3
         GROUP BY h.{column}
        """,
        tenant,
        list(ids),
        at,
    )
    return {row["id"]: row["members"] for row in rows}


async def add(tx: Tx, tenant: UUID, what: What, id: UUID, member: UUID) -> bool:
    """Let somebody in by right. False when they were already; then nothing has changed."""
    table, column = _BY_RIGHT[what]
    rows = await tx.all(
        f"""
        INSERT INTO {table} (tenant_id, {column}, principal_id) VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING
        RETURNING principal_id
        """,
        tenant,
        id,
        member,
    )
    if rows:
        await directory_changed(tx, tenant)
    return bool(rows)


async def remove(tx: Tx, tenant: UUID, what: What, id: UUID, member: UUID) -> bool:
    """Put somebody out who is in by right. False when they were not."""
    table, column = _BY_RIGHT[what]
    rows = await tx.all(
        f"DELETE FROM {table} WHERE tenant_id = $1 AND {column} = $2 AND principal_id = $3 RETURNING principal_id",
        tenant,
        id,
        member,
    )
    if rows:
        await directory_changed(tx, tenant)
    return bool(rows)


async def remove_everywhere(tx: Tx, tenant: UUID, member: UUID) -> None:
    """Put somebody out of every role and group they are in by right."""
    for table, _ in _BY_RIGHT.values():
        await tx.run(f"DELETE FROM {table} WHERE tenant_id = $1 AND principal_id = $2", tenant, member)
    await directory_changed(tx, tenant)


async def granted(tx: Tx, tenant: UUID, target: tuple[str, UUID], at: datetime) -> list[UUID]:
    """Name the accounts with live grants of a role, group or resource."""
    rows = await tx.all(
        """
        SELECT DISTINCT principal_id
          FROM access_grant
         WHERE tenant_id = $1 AND target_type = $2 AND target_id = $3 AND revoked_at IS NULL
           AND (ends_at IS NULL OR ends_at > $4)
         ORDER BY principal_id
        """,
        tenant,
        *target,
        at,
    )
    return [row["principal_id"] for row in rows]
