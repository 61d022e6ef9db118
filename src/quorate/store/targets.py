"""What can be asked for, and the workflows that could govern it, read inside the transaction that files a request."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import Struct

from quorate.domain.approval import Approval
from quorate.domain.routing import Candidate
from quorate.domain.workflows import Leaf, Status, Step, Workflow
from quorate.store.requests import Key
from quorate.store.tx import Tx

WORKFLOW_COLUMNS = (
    "tenant_id, id, name, description, status, version, steps, resource_types, auto_approve, fallback_approvers,"
    " activated_at, created_at, updated_at"
)

_steps_of = msgspec.json.Decoder(tuple[Step, ...])
_approvals_of = msgspec.json.Decoder(tuple[Approval | None, ...])
_leaves_of = msgspec.json.Decoder(tuple[Leaf, ...])


class TargetRow(Struct, frozen=True):
    """A role, group or resource. `type` is a resource's own type, else the same as what was asked by.

    `is_registered`: the directory has a row of it. `within` and `within_name`: what the resource it stands under goes
    by, and is called. `approvals`: what was said about approvals of it, and of all that it stands under, the nearest
    first. `owner`: who answers for it; of a resource without one, that of the nearest of its parents.
    """

    id: UUID
    name: str
    type: str
    has_permissions: bool
    workflow: UUID | None
    external_id: str | None = None
    is_registered: bool = True
    within: str | None = None
    within_name: str | None = None
    approvals: tuple[Approval, ...] = ()
    owner: UUID | None = None


AMBIGUOUS: Final = UUID(int=0)
"""Stands for a resource of which there are several."""


async def targets(tx: Tx, wanted: Collection[tuple[UUID, str, UUID]]) -> dict[tuple[UUID, str, UUID], TargetRow]:
    """Find roles, groups and resources by (tenant, `role` | `group` | `resource`, id). Absent ones are left out.

    A resource without a workflow or an owner of its own has that of the nearest of its parents.
    """
    rows = await tx.all(
        """
        WITH RECURSIVE wanted AS (
            SELECT DISTINCT * FROM unnest($2::uuid[], $3::text[], $4::uuid[]) AS w (tenant_id, type, id)
        ), line AS (
            SELECT r.tenant_id, r.id AS of, r.parent_id, r.workflow_id, r.owner_id, r.approval,
                   0 AS distance
              FROM resource r JOIN wanted w ON r.tenant_id = w.tenant_id AND r.id = w.id AND w.type = 'resource'
             WHERE r.tenant_id = ANY ($1) AND r.deleted_at IS NULL
            UNION ALL
            SELECT l.tenant_id, l.of, p.parent_id, p.workflow_id, p.owner_id, p.approval, l.distance + 1
              FROM line l JOIN resource p ON p.tenant_id = l.tenant_id AND p.id = l.parent_id
             WHERE l.distance < 20 AND p.tenant_id = ANY ($1)
        )
        SELECT w.tenant_id, w.type AS asked, r.id, r.name, 'role' AS type, r.permissions <> '{}' AS has_permissions,
               r.workflow_id, NULL::text AS external_id, NULL::text AS within, NULL::text AS within_name,
               jsonb_build_array(r.approval) AS approvals, r.owner_id
          FROM wanted w JOIN role r ON r.tenant_id = w.tenant_id AND r.id = w.id
         WHERE w.type = 'role' AND r.tenant_id = ANY ($1) AND r.deleted_at IS NULL
        UNION ALL
        SELECT w.tenant_id, w.type, g.id, g.name, 'group', false, g.workflow_id, NULL, NULL, NULL,
               jsonb_build_array(g.approval), g.owner_id
          FROM wanted w JOIN user_group g ON g.tenant_id = w.tenant_id AND g.id = w.id
         WHERE w.type = 'group' AND g.tenant_id = ANY ($1) AND g.deleted_at IS NULL
        UNION ALL
        SELECT w.tenant_id, w.type, r.id, r.name, r.type, false,
               (SELECT l.workflow_id FROM line l
                 WHERE l.tenant_id = r.tenant_id AND l.of = r.id AND l.workflow_id IS NOT NULL
                 ORDER BY l.distance LIMIT 1), r.external_id, coalesce(p.external_id, p.id::text), p.name,
               (SELECT jsonb_agg(l.approval ORDER BY l.distance) FROM line l
                 WHERE l.tenant_id = r.tenant_id AND l.of = r.id),
               (SELECT l.owner_id FROM line l
                 WHERE l.tenant_id = r.tenant_id AND l.of = r.id AND l.owner_id IS NOT NULL
                 ORDER BY l.distance LIMIT 1)
          FROM wanted w JOIN resource r ON r.tenant_id = w.tenant_id AND r.id = w.id
          LEFT JOIN resource p ON p.tenant_id = r.tenant_id AND p.id = r.parent_id
         WHERE w.type = 'resource' AND r.tenant_id = ANY ($1) AND r.deleted_at IS NULL
        """,
        list(tx.tenants),
        [tenant for tenant, _, _ in wanted],
        [kind for _, kind, _ in wanted],
        [id for _, _, id in wanted],
    )
    return {
        (row["tenant_id"], row["asked"], row["id"]): TargetRow(
            row["id"],
            row["name"],
            row["type"],
            row["has_permissions"],
            row["workflow_id"],
            row["external_id"],
            within=row["within"],
            within_name=row["within_name"],
            approvals=tuple(said for said in _approvals_of.decode(row["approvals"]) if said is not None),
            owner=row["owner_id"],
        )
        for row in rows
    }


async def named(tx: Tx, wanted: Collection[tuple[UUID, str, str]]) -> dict[tuple[UUID, str, str], UUID]:
    """Find resources by (tenant, their own type, their external id or their id). Absent ones are left out.

    Where one external id is that of several, which of them is meant is `AMBIGUOUS`.
    """
    rows = await tx.all(
        """
        WITH wanted AS (
            SELECT DISTINCT *
              FROM unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[]) AS w (tenant_id, type, name, id)
        )
        SELECT w.tenant_id, w.type, w.name, r.id
          FROM wanted w JOIN resource r ON r.tenant_id = w.tenant_id AND r.external_id = w.name AND r.type = w.type
         WHERE r.tenant_id = ANY ($1) AND r.deleted_at IS NULL
         UNION
        SELECT w.tenant_id, w.type, w.name, r.id
          FROM wanted w JOIN resource r ON r.tenant_id = w.tenant_id AND r.id = w.id AND r.type = w.type
         WHERE r.tenant_id = ANY ($1) AND r.deleted_at IS NULL
        """,
        list(tx.tenants),
        [tenant for tenant, _, _ in wanted],
        [type for _, type, _ in wanted],
        [name for _, _, name in wanted],
        [_as_id(name) for _, _, name in wanted],
    )
    found: dict[tuple[UUID, str, str], UUID] = {}
    for row in rows:
        key = (row["tenant_id"], row["type"], row["name"])
        found[key] = AMBIGUOUS if key in found else row["id"]
    return found


async def candidates(tx: Tx, tenants: Collection[UUID], types: Collection[str]) -> dict[UUID, list[Candidate]]:
    """Find the active workflows that are generic or name one of these types, by tenant."""
    rows = await tx.all(
        """
        SELECT tenant_id, id, resource_types, activated_at
          FROM workflow
         WHERE tenant_id = ANY ($1) AND tenant_id = ANY ($2) AND status = 'active' AND deleted_at IS NULL
           AND (resource_types IS NULL OR resource_types && $3::text[])
        """,
        list(tx.tenants),
        list(tenants),
        list(types),
    )
    found: dict[UUID, list[Candidate]] = {tenant: [] for tenant in tenants}
    for row in rows:
        types_named = tuple(row["resource_types"]) if row["resource_types"] is not None else None
        found[row["tenant_id"]].append(Candidate(row["id"], types_named, row["activated_at"]))
    return found


async def workflows(tx: Tx, keys: Collection[Key]) -> dict[Key, Workflow]:
    """Read live workflows. They are not held: whoever files at the moment of a change has filed before it.

    Holding them would make everybody who files write to the same row.
    """
    rows = await tx.all(
        f"""
        SELECT {WORKFLOW_COLUMNS}
          FROM workflow
         WHERE tenant_id = ANY ($1) AND (tenant_id, id) IN (SELECT * FROM unnest($2::uuid[], $3::uuid[]))
           AND deleted_at IS NULL
        """,
        list(tx.tenants),
        [key.tenant for key in keys],
        [key.id for key in keys],
    )
    return {Key(row["tenant_id"], row["id"]): workflow(row) for row in rows}


async def overdue_reviews(tx: Tx, accounts: Collection[Key], before: datetime) -> set[Key]:
    """Name the accounts with a break-glass access whose review has been open since before a moment."""
    rows = await tx.all(
        """
        SELECT DISTINCT tenant_id, requester_id
          FROM request
         WHERE tenant_id = ANY ($1)
           AND (tenant_id, requester_id) IN (SELECT * FROM unnest($2::uuid[], $3::uuid[]))
           AND status = 'pending' AND kind = 'generic' AND created_at <= $4 AND filing @> '{"is_review": true}'
        """,
        list(tx.tenants),
        [key.tenant for key in accounts],
        [key.id for key in accounts],
        before,
    )
    return {Key(row["tenant_id"], row["requester_id"]) for row in rows}


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def workflow(row: Record) -> Workflow:
    """Make the value of a row that has `WORKFLOW_COLUMNS`."""
    return Workflow(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        status=Status(row["status"]),
        steps=_steps_of.decode(row["steps"]),
        resource_types=tuple(row["resource_types"]) if row["resource_types"] is not None else None,
        auto_approve=row["auto_approve"],
        fallback=_leaves_of.decode(row["fallback_approvers"]) if row["fallback_approvers"] is not None else (),
        version=row["version"],
    )
