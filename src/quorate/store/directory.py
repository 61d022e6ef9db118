"""What has members, and what one can ask for: roles, groups and resources.

Names are unique among those not deleted; a deleted one is kept because old requests name it.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from quorate.store.rows import decoded, encoded
from quorate.store.tenants import directory_changed
from quorate.store.tx import Tx


class Role(Struct, frozen=True, kw_only=True):
    """A set of principals that carries permissions. `approval` says what asking for it takes; `owner_id`, who answers
    for it.
    """

    id: UUID
    name: str
    description: str = ""
    permissions: tuple[str, ...] = ()
    is_system: bool = False
    workflow_id: UUID | None = None
    owner_id: UUID | None = None
    approval: Mapping[str, Any] | None = None
    version: int = 1
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class Group(Struct, frozen=True, kw_only=True):
    """A set of principals."""

    id: UUID
    name: str
    description: str = ""
    external_id: str | None = None
    workflow_id: UUID | None = None
    owner_id: UUID | None = None
    approval: Mapping[str, Any] | None = None
    version: int = 1
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class Resource(Struct, frozen=True, kw_only=True):
    """Anything else one can ask for; children inherit their parent's `approval` and owner."""

    id: UUID
    type: str
    name: str
    description: str = ""
    external_id: str | None = None
    parent_id: UUID | None = None
    workflow_id: UUID | None = None
    owner_id: UUID | None = None
    approval: Mapping[str, Any] | None = None
    attributes: Mapping[str, Any] = {}
    version: int = 1
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


async def roles(tx: Tx, tenant: UUID) -> list[Role]:
    """Read all roles that are not deleted, by name."""
    rows = await tx.all(
        """
        SELECT id, name, description, permissions, is_system, workflow_id, owner_id, approval, version, created_at,
               updated_at, deleted_at
          FROM role
         WHERE tenant_id = $1 AND deleted_at IS NULL
         ORDER BY name
        """,
        tenant,
    )
    return [decoded(Role, row, "approval") for row in rows]


async def groups(tx: Tx, tenant: UUID) -> list[Group]:
    """Read all groups that are not deleted, by name."""
    rows = await tx.all(
        """
        SELECT id, name, description, external_id, workflow_id, owner_id, approval, version, created_at, updated_at,
               deleted_at
          FROM user_group
         WHERE tenant_id = $1 AND deleted_at IS NULL
         ORDER BY name
        """,
        tenant,
    )
    return [decoded(Group, row, "approval") for row in rows]


async def resources(tx: Tx, tenant: UUID) -> list[Resource]:
    """Read all resources that are not deleted, by type and name."""
    rows = await tx.all(
        """
        SELECT id, type, name, description, external_id, parent_id, workflow_id, owner_id, approval, attributes,
               version, created_at, updated_at, deleted_at
          FROM resource
         WHERE tenant_id = $1 AND deleted_at IS NULL
         ORDER BY type, name, id
        """,
        tenant,
    )
    return [decoded(Resource, row, "approval", "attributes") for row in rows]


async def put_roles(tx: Tx, tenant: UUID, roles: Collection[Role]) -> set[UUID]:
    """Make roles, or change those that are there; answers which are new or changed.

    `version` is counted here and `created_at` never changes, whatever the values say; so too below.

    Raises:
        asyncpg.UniqueViolationError: `one_live_role_per_name`.
        asyncpg.ForeignKeyViolationError: the workflow or the owner does not exist in this tenant.
    """
    rows = await tx.all(
        """
        INSERT INTO role AS r (tenant_id, id, name, description, permissions, is_system, workflow_id, owner_id,
                               approval, created_at, updated_at, deleted_at)
        SELECT $1, id, name, description, permissions, is_system, workflow_id, owner_id, approval,
               created_at, updated_at, deleted_at
          FROM jsonb_to_recordset($2) AS given (
                   id uuid, name text, description text, permissions text[], is_system boolean, workflow_id uuid,
                   owner_id uuid, approval jsonb, created_at timestamptz, updated_at timestamptz,
                   deleted_at timestamptz)
         ORDER BY id
            ON CONFLICT (tenant_id, id) DO UPDATE
           SET name = excluded.name, description = excluded.description, permissions = excluded.permissions,
               is_system = excluded.is_system, workflow_id = excluded.workflow_id, owner_id = excluded.owner_id,
               approval = excluded.approval,
               deleted_at = excluded.deleted_at, updated_at = excluded.updated_at, version = r.version + 1
         WHERE (r.name, r.description, r.permissions, r.is_system, r.workflow_id, r.owner_id, r.approval,
                r.deleted_at)
               IS DISTINCT FROM
               (excluded.name, excluded.description, excluded.permissions, excluded.is_system, excluded.workflow_id,
                excluded.owner_id, excluded.approval, excluded.deleted_at)
        RETURNING id
        """,
        tenant,
        encoded(roles),
    )
    if rows:
        await directory_changed(tx, tenant)
    return {row["id"] for row in rows}


async def put_groups(tx: Tx, tenant: UUID, groups: Collection[Group]) -> set[UUID]:
    """Make groups, or change those that are there; answers which are new or changed.

    Raises:
        asyncpg.UniqueViolationError: `one_live_group_per_name` or `one_live_group_per_external_id`.
        asyncpg.ForeignKeyViolationError: the workflow or the owner does not exist in this tenant.
    """
    rows = await tx.all(
        """
        INSERT INTO user_group AS g (tenant_id, id, name, description, external_id, workflow_id, owner_id,
                                     approval, created_at, updated_at, deleted_at)
        SELECT $1, id, name, description, external_id, workflow_id, owner_id, approval, created_at, updated_at,
               deleted_at
          FROM jsonb_to_recordset($2) AS given (
                   id uuid, name text, description text, external_id text, workflow_id uuid, owner_id uuid,
                   approval jsonb, created_at timestamptz, updated_at timestamptz, deleted_at timestamptz)
         ORDER BY id
            ON CONFLICT (tenant_id, id) DO UPDATE
           SET name = excluded.name, description = excluded.description, external_id = excluded.external_id,
               workflow_id = excluded.workflow_id, owner_id = excluded.owner_id, approval = excluded.approval,
               deleted_at = excluded.deleted_at, updated_at = excluded.updated_at, version = g.version + 1
         WHERE (g.name, g.description, g.external_id, g.workflow_id, g.owner_id, g.approval, g.deleted_at)
               IS DISTINCT FROM
               (excluded.name, excluded.description, excluded.external_id, excluded.workflow_id, excluded.owner_id,
                excluded.approval, excluded.deleted_at)
        RETURNING id
        """,
        tenant,
        encoded(groups),
    )
    if rows:
        await directory_changed(tx, tenant)
    return {row["id"] for row in rows}


async def put_resources(tx: Tx, tenant: UUID, resources: Collection[Resource]) -> set[UUID]:
    """Make resources, or change those that are there; answers which are new or changed.

    Raises:
        asyncpg.UniqueViolationError: `one_live_resource_per_type_parent_and_name`.
        asyncpg.ForeignKeyViolationError: the workflow, the owner or the parent does not exist in this tenant.
    """
    rows = await tx.all(
        """
        INSERT INTO resource AS r (tenant_id, id, type, name, description, external_id, parent_id, workflow_id,
                                   owner_id, approval, attributes, created_at, updated_at, deleted_at)
        SELECT $1, id, type, name, description, external_id, parent_id, workflow_id,
               owner_id, approval, attributes, created_at, updated_at, deleted_at
          FROM jsonb_to_recordset($2) AS given (
                   id uuid, type text, name text, description text, external_id text, parent_id uuid, workflow_id uuid,
                   owner_id uuid, approval jsonb, attributes jsonb, created_at timestamptz, updated_at timestamptz,
                   deleted_at timestamptz)
         ORDER BY id
            ON CONFLICT (tenant_id, id) DO UPDATE
           SET type = excluded.type, name = excluded.name, description = excluded.description,
               external_id = excluded.external_id, parent_id = excluded.parent_id, workflow_id = excluded.workflow_id,
               owner_id = excluded.owner_id, approval = excluded.approval, attributes = excluded.attributes,
               deleted_at = excluded.deleted_at, updated_at = excluded.updated_at, version = r.version + 1
         WHERE (r.type, r.name, r.description, r.external_id, r.parent_id, r.workflow_id, r.owner_id, r.approval,
                r.attributes, r.deleted_at)
               IS DISTINCT FROM
               (excluded.type, excluded.name, excluded.description, excluded.external_id, excluded.parent_id,
                excluded.workflow_id, excluded.owner_id, excluded.approval, excluded.attributes, excluded.deleted_at)
        RETURNING id
        """,
        tenant,
        encoded(resources),
    )
    if rows:
        await directory_changed(tx, tenant)
    return {row["id"] for row in rows}
