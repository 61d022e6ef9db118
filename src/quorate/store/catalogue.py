"""Roles, groups and resources by the page and one by one. They are written by `directory`."""

from typing import Final, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from quorate.store.accounts import contained
from quorate.store.directory import Group, Resource, Role
from quorate.store.rows import decoded
from quorate.store.tx import Tx

Row = TypeVar("Row", Role, Group, Resource)


class Shelf(Struct, Generic[Row], frozen=True):
    """Where one kind of thing stands: its table, and what its rows are read as."""

    row: type[Row]
    table: str
    columns: str
    json: tuple[str, ...]

    async def page(
        self, tx: Tx, tenant: UUID, limit: int, offset: int, *, text: str | None = None, type: str | None = None
    ) -> tuple[list[Row], int]:
        """Read a page of those not deleted, newest first, and how many there are in all.

        `text` is looked for in name and description, whatever its case; `type` is a resource's.
        """
        of_type = "AND type = $3" if type is not None else "AND $3::text IS NULL"
        found = f"""
            deleted_at IS NULL AND ($2::text IS NULL OR name ILIKE $2 OR description ILIKE $2)
            {of_type}
        """
        rows = await tx.all(
            f"""
            SELECT {self.columns}
              FROM {self.table}
             WHERE tenant_id = $1 AND {found}
             ORDER BY created_at DESC, id DESC
             LIMIT $4 OFFSET $5
            """,
            tenant,
            contained(text),
            type,
            limit,
            offset,
        )
        total = await tx.one(
            f"SELECT count(*) AS total FROM {self.table} WHERE tenant_id = $1 AND {found}",
            tenant,
            contained(text),
            type,
        )
        assert total is not None, "an aggregate always has a row"
        return [decoded(self.row, row, *self.json) for row in rows], total["total"]

    async def lock(self, tx: Tx, tenant: UUID, id: UUID) -> Row | None:
        """Read one that is not deleted and hold it until the transaction ends."""
        return await self._one(tx, tenant, id, "FOR NO KEY UPDATE")

    async def read(self, tx: Tx, tenant: UUID, id: UUID) -> Row | None:
        """Read one that is not deleted."""
        return await self._one(tx, tenant, id, "")

    async def _one(self, tx: Tx, tenant: UUID, id: UUID, how: str) -> Row | None:
        row = await tx.one(
            f"SELECT {self.columns} FROM {self.table} WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL {how}",
            tenant,
            id,
        )
        return None if row is None else decoded(self.row, row, *self.json)


_SHARED: Final = "workflow_id, owner_id, approval, version, created_at, updated_at, deleted_at"

ROLES: Final = Shelf(Role, "role", f"id, name, description, permissions, is_system, {_SHARED}", ("approval",))
GROUPS: Final = Shelf(Group, "user_group", f"id, name, description, external_id, {_SHARED}", ("approval",))
RESOURCES: Final = Shelf(
    Resource,
    "resource",
    f"id, type, name, description, external_id, parent_id, attributes, {_SHARED}",
    ("approval", "attributes"),
)


async def line_of(tx: Tx, tenant: UUID, resource: UUID) -> list[UUID]:
    """Name a live resource and all that it stands under, the nearest first; empty when there is no such resource."""
    rows = await tx.all(
        """
        WITH RECURSIVE line AS (
            SELECT id, parent_id, 0 AS distance FROM resource
             WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL
            UNION ALL
            SELECT p.id, p.parent_id, l.distance + 1
              FROM line l JOIN resource p ON p.tenant_id = $1 AND p.id = l.parent_id
             WHERE l.distance < 100
        )
        SELECT id FROM line ORDER BY distance
        """,
        tenant,
        resource,
    )
    return [row["id"] for row in rows]


async def has_children(tx: Tx, tenant: UUID, resource: UUID) -> bool:
    """Say whether other resources stand under this one."""
    row = await tx.one(
        "SELECT 1 FROM resource WHERE tenant_id = $1 AND parent_id = $2 AND deleted_at IS NULL LIMIT 1",
        tenant,
        resource,
    )
    return row is not None
