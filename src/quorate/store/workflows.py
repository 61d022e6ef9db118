"""Workflows as rows: made, read, changed under a lock, and marked as deleted. Old requests keep naming them."""

from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec
from asyncpg import Record
from msgspec import Struct

from quorate.domain.workflows import Workflow
from quorate.store.targets import WORKFLOW_COLUMNS, workflow
from quorate.store.tx import Tx


class Definition(Struct, frozen=True):
    """A workflow with its moments. `activated_at`: the last time, None if never."""

    workflow: Workflow
    created_at: datetime
    updated_at: datetime
    activated_at: datetime | None = None

    @property
    def id(self) -> UUID:
        return self.workflow.id


class NameTaken(Exception):
    """Another live workflow of the tenant has this name. The transaction is lost."""


async def read(tx: Tx, tenant: UUID, id: UUID) -> Definition | None:
    """Read a live workflow."""
    row = await tx.one(_LIVE, tenant, id)
    return None if row is None else _definition(row)


async def lock(tx: Tx, tenant: UUID, id: UUID) -> Definition | None:
    """Read a live workflow and hold it until the transaction ends; who files a request by it waits."""
    row = await tx.one(_LIVE + "FOR UPDATE", tenant, id)
    return None if row is None else _definition(row)


async def page(tx: Tx, tenant: UUID, limit: int, offset: int) -> tuple[list[Definition], int]:
    """Read live workflows, newest first, and how many there are in all."""
    rows = await tx.all(
        f"""
        SELECT {WORKFLOW_COLUMNS}
          FROM workflow
         WHERE tenant_id = $1 AND deleted_at IS NULL
         ORDER BY created_at DESC, id DESC
         LIMIT $2 OFFSET $3
        """,
        tenant,
        limit,
        offset,
    )
    total = await tx.one("SELECT count(*) AS total FROM workflow WHERE tenant_id = $1 AND deleted_at IS NULL", tenant)
    assert total is not None, "an aggregate always has a row"
    return [_definition(row) for row in rows], total["total"]


async def add(tx: Tx, tenant: UUID, new: Definition) -> bool:
    """Make a workflow. False when its name is taken; then nothing has changed."""
    rows = await tx.all(
        """
        INSERT INTO workflow (tenant_id, id, name, description, status, version, steps, resource_types, auto_approve,
                              fallback_approvers, activated_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            ON CONFLICT (tenant_id, name) WHERE deleted_at IS NULL DO NOTHING
        RETURNING id
        """,
        tenant,
        new.id,
        *_values(new),
        new.created_at,
        new.updated_at,
    )
    return bool(rows)


async def save(tx: Tx, tenant: UUID, changed: Definition) -> None:
    """Write a workflow that is held.

    Raises:
        NameTaken: it was given the name of another.
    """
    try:
        await tx.run(
            """
            UPDATE workflow
               SET name = $3, description = $4, status = $5, version = $6, steps = $7, resource_types = $8,
                   auto_approve = $9, fallback_approvers = $10, activated_at = $11, updated_at = $12
             WHERE tenant_id = $1 AND id = $2
            """,
            tenant,
            changed.id,
            *_values(changed),
            changed.updated_at,
        )
    except asyncpg.UniqueViolationError as taken:
        raise NameTaken(changed.workflow.name) from taken


async def mark_deleted(tx: Tx, tenant: UUID, id: UUID, at: datetime) -> None:
    """Delete a workflow that is held: it gives its name back, and the requests that walked through it stay."""
    await tx.run(
        "UPDATE workflow SET deleted_at = $3, updated_at = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id,
        at,
    )


async def has_open_requests(tx: Tx, tenant: UUID, id: UUID, at: datetime) -> bool:
    """Say whether a request still walks through this workflow; one whose time is up does not."""
    row = await tx.one(
        """
        SELECT 1
          FROM request
         WHERE tenant_id = $1 AND workflow_id = $2 AND status = 'pending' AND (expires_at IS NULL OR expires_at > $3)
         LIMIT 1
        """,
        tenant,
        id,
        at,
    )
    return row is not None


def _values(one: Definition) -> tuple[object, ...]:
    made = one.workflow
    return (
        made.name,
        made.description,
        made.status.value,
        made.version,
        msgspec.json.encode(made.steps),
        None if made.resource_types is None else list(made.resource_types),
        made.auto_approve or "none",
        msgspec.json.encode(made.fallback) if made.fallback else None,
        one.activated_at,
    )


def _definition(row: Record) -> Definition:
    return Definition(workflow(row), row["created_at"], row["updated_at"], row["activated_at"])


_LIVE = f"""
SELECT {WORKFLOW_COLUMNS}
  FROM workflow
 WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL
"""
