"""What the declarative file reads and writes beside the directory: workflows, policies, operations."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from quorate.domain.workflows import Leaf, Step
from quorate.store.rows import decoded, encoded
from quorate.store.tx import Tx


class WorkflowRow(Struct, frozen=True, kw_only=True):
    """A workflow as it is kept. Every change makes a new `version`, which whoever changes it counts."""

    id: UUID
    name: str
    description: str | None = None
    status: str
    version: int = 1
    steps: tuple[Step, ...]
    resource_types: tuple[str, ...] | None = None
    auto_approve: str = "none"
    fallback_approvers: tuple[Leaf, ...] | None = None
    activated_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class PolicyRow(Struct, frozen=True, kw_only=True):
    """A policy: `body` is all it says beside its name, in the words of the file."""

    id: UUID
    name: str
    enabled: bool = True
    priority: int = 0
    body: Mapping[str, Any] = {}
    version: int = 1
    created_at: datetime
    updated_at: datetime


class OperationRow(Struct, frozen=True, kw_only=True):
    """What may be asked as an operation, and how it is then carried out, in the words of the file."""

    id: UUID
    method: str
    path: str
    workflow_id: UUID
    resource_id: UUID | None = None
    execute: Any
    version: int = 1
    created_at: datetime
    updated_at: datetime


async def lock(tx: Tx, slug: str) -> None:
    """Hold a tenant's slug until the transaction ends, whether or not there is such a tenant: one apply at a time."""
    await tx.run("SET LOCAL lock_timeout = '25s'")
    await tx.run("SELECT pg_advisory_xact_lock(hashtextextended('quorate apply ' || $1, 0))", slug)
    await tx.run("SET LOCAL lock_timeout = '10s'")


async def workflows(tx: Tx, tenant: UUID) -> list[WorkflowRow]:
    """Read all workflows that are not deleted, by name, and hold them until the transaction ends."""
    rows = await tx.all(
        """
        SELECT id, name, description, status, version, steps, resource_types, auto_approve, fallback_approvers,
               activated_at, created_at, updated_at, deleted_at
          FROM workflow
         WHERE tenant_id = $1 AND deleted_at IS NULL
         ORDER BY name, id
           FOR NO KEY UPDATE
        """,
        tenant,
    )
    return [decoded(WorkflowRow, row, "steps", "fallback_approvers") for row in rows]


async def put_workflows(tx: Tx, tenant: UUID, workflows: Collection[WorkflowRow]) -> None:
    """Make workflows, or change those that are there.

    Raises:
        asyncpg.UniqueViolationError: `one_live_workflow_per_name`.
    """
    await tx.run(
        """
        INSERT INTO workflow AS w (tenant_id, id, name, description, status, version, steps, resource_types,
                                   auto_approve, fallback_approvers, activated_at, created_at, updated_at, deleted_at)
        SELECT $1, id, name, description, status, version, steps, resource_types,
               auto_approve, fallback_approvers, activated_at, created_at, updated_at, deleted_at
          FROM jsonb_to_recordset($2) AS given (
                   id uuid, name text, description text, status text, version int, steps jsonb, resource_types text[],
                   auto_approve text, fallback_approvers jsonb, activated_at timestamptz, created_at timestamptz,
                   updated_at timestamptz, deleted_at timestamptz)
         ORDER BY id
            ON CONFLICT (tenant_id, id) DO UPDATE
           SET name = excluded.name, description = excluded.description, status = excluded.status,
               version = greatest(excluded.version, w.version), steps = excluded.steps,
               resource_types = excluded.resource_types, auto_approve = excluded.auto_approve,
               fallback_approvers = excluded.fallback_approvers, activated_at = excluded.activated_at,
               updated_at = excluded.updated_at, deleted_at = excluded.deleted_at
        """,
        tenant,
        encoded(workflows),
    )


async def policies(tx: Tx, tenant: UUID) -> list[PolicyRow]:
    """Read all policies, by name, and hold them until the transaction ends."""
    rows = await tx.all(
        """
        SELECT id, name, enabled, priority, body, version, created_at, updated_at
          FROM policy
         WHERE tenant_id = $1
         ORDER BY name
           FOR NO KEY UPDATE
        """,
        tenant,
    )
    return [decoded(PolicyRow, row, "body") for row in rows]


async def put_policies(tx: Tx, tenant: UUID, policies: Collection[PolicyRow]) -> None:
    """Make policies, or change those that are there.

    Raises:
        asyncpg.UniqueViolationError: `one_policy_per_name`.
    """
    await tx.run(
        """
        INSERT INTO policy AS p (tenant_id, id, name, enabled, priority, body, created_at, updated_at)
        SELECT $1, id, name, enabled, priority, body, created_at, updated_at
          FROM jsonb_to_recordset($2) AS given (id uuid, name text, enabled boolean, priority int, body jsonb,
                                                created_at timestamptz, updated_at timestamptz)
         ORDER BY id
            ON CONFLICT (tenant_id, id) DO UPDATE
           SET name = excluded.name, enabled = excluded.enabled, priority = excluded.priority, body = excluded.body,
               updated_at = excluded.updated_at, version = p.version + 1
        """,
        tenant,
        encoded(policies),
    )


async def operations(tx: Tx, tenant: UUID) -> list[OperationRow]:
    """Read all operations, by path and method."""
    rows = await tx.all(
        """
        SELECT id, method, path, workflow_id, resource_id, execute, version, created_at, updated_at
          FROM operation
         WHERE tenant_id = $1
         ORDER BY path, method
        """,
        tenant,
    )
    return [decoded(OperationRow, row, "execute") for row in rows]


async def put_operations(tx: Tx, tenant: UUID, operations: Collection[OperationRow]) -> None:
    """Make operations, or change those that are there.

    Raises:
        asyncpg.UniqueViolationError: `one_operation_per_method_and_path`.
    """
    await tx.run(
        """
        INSERT INTO operation AS o (tenant_id, id, method, path, workflow_id, resource_id, execute,
                                    created_at, updated_at)
        SELECT $1, id, method, path, workflow_id, resource_id, execute, created_at, updated_at
          FROM jsonb_to_recordset($2) AS given (
                   id uuid, method text, path text, workflow_id uuid, resource_id uuid, execute jsonb,
                   created_at timestamptz, updated_at timestamptz)
         ORDER BY id
            ON CONFLICT (tenant_id, id) DO UPDATE
           SET method = excluded.method, path = excluded.path, workflow_id = excluded.workflow_id,
               resource_id = excluded.resource_id, execute = excluded.execute, updated_at = excluded.updated_at,
               version = o.version + 1
        """,
        tenant,
        encoded(operations),
    )


async def remove_operations(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> None:
    await tx.run("DELETE FROM operation WHERE tenant_id = $1 AND id = ANY ($2)", tenant, list(ids))


async def filed(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> set[UUID]:
    """Say which of these requests exist, open or closed."""
    rows = await tx.all("SELECT id FROM request WHERE tenant_id = $1 AND id = ANY ($2)", tenant, list(ids))
    return {row["id"] for row in rows}
