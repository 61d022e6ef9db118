"""Policies as rows, and what is asked about them: read, stamped, made, changed under a lock and removed."""

from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from asyncpg import Record
from msgspec import Struct

from quorate.domain.policy import Mode, Policy
from quorate.store.tx import Tx

_COLUMNS: Final = "tenant_id, id, name, enabled, priority, body, version, created_at, updated_at"
_BODY: Final[Mapping[str, str]] = {
    "description": "description",
    "maxDurationSeconds": "max_duration_seconds",
    "defaultDurationSeconds": "default_duration_seconds",
    "approvalMode": "mode",
    "approvalTimeoutSeconds": "approval_timeout_seconds",
    "notificationChannel": "notification_channel",
    "cedar": "cedar",
}
"""The keys of `body`, in the words of the declarative file, and the fields they are kept in."""


class NameTaken(Exception):
    """Another policy of the tenant has this name. The transaction is lost."""


class Stamp(Struct, frozen=True):
    """What changes when a tenant's policies, its directory or its settings do."""

    policies: str
    directory: int
    settings: bytes


class Thing(Struct, frozen=True, kw_only=True):
    """A role, group or resource as policies see it. `kind`: `role`, `group`, or a resource's own type.

    `within`: its parents, the nearest first, as (type, id, external id).
    """

    id: UUID
    kind: str
    name: str
    external_id: str | None = None
    attributes: Mapping[str, Any] = {}
    has_permissions: bool = False
    within: tuple[tuple[str, UUID, str | None], ...] = ()


async def stamps(tx: Tx) -> dict[UUID, Stamp]:
    """Stamp the policies of every tenant of this transaction, in one statement."""
    rows = await tx.all(
        """
        SELECT t.id, t.directory_version, t.settings,
               (SELECT md5(coalesce(string_agg(concat_ws(' ', p.id, p.version, p.updated_at), ',' ORDER BY p.id), ''))
                  FROM policy p
                 WHERE p.tenant_id = t.id AND p.tenant_id = ANY ($1)) AS policies
          FROM tenant t
         WHERE t.id = ANY ($1)
        """,
        list(tx.tenants),
    )
    return {row["id"]: Stamp(row["policies"], row["directory_version"], row["settings"]) for row in rows}


async def every(tx: Tx, tenants: Collection[UUID]) -> dict[UUID, list[Policy]]:
    """Read all policies of these tenants, by name."""
    rows = await tx.all(
        f"""
        SELECT {_COLUMNS}
          FROM policy
         WHERE tenant_id = ANY ($1) AND tenant_id = ANY ($2)
         ORDER BY tenant_id, name
        """,
        list(tx.tenants),
        list(tenants),
    )
    found: dict[UUID, list[Policy]] = {tenant: [] for tenant in tenants}
    for row in rows:
        found[row["tenant_id"]].append(_policy(row))
    return found


async def read(tx: Tx, tenant: UUID, id: UUID) -> Policy | None:
    row = await tx.one(f"SELECT {_COLUMNS} FROM policy WHERE tenant_id = $1 AND id = $2", tenant, id)
    return None if row is None else _policy(row)


async def lock(tx: Tx, tenant: UUID, id: UUID) -> Policy | None:
    """Read a policy and hold it until the transaction ends."""
    row = await tx.one(f"SELECT {_COLUMNS} FROM policy WHERE tenant_id = $1 AND id = $2 FOR UPDATE", tenant, id)
    return None if row is None else _policy(row)


async def page(tx: Tx, tenant: UUID, limit: int, offset: int) -> tuple[list[Policy], int]:
    """Read policies, the highest priority first, and how many there are in all."""
    rows = await tx.all(
        f"""
        SELECT {_COLUMNS}
          FROM policy
         WHERE tenant_id = $1
         ORDER BY priority DESC, name, id
         LIMIT $2 OFFSET $3
        """,
        tenant,
        limit,
        offset,
    )
    total = await tx.one("SELECT count(*) AS total FROM policy WHERE tenant_id = $1", tenant)
    assert total is not None, "an aggregate always has a row"
    return [_policy(row) for row in rows], total["total"]


async def add(tx: Tx, tenant: UUID, new: Policy) -> bool:
    """Make a policy. False when its name is taken; then nothing has changed."""
    rows = await tx.all(
        """
        INSERT INTO policy (tenant_id, id, name, enabled, priority, body, version, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (tenant_id, name) DO NOTHING
        RETURNING id
        """,
        tenant,
        new.id,
        new.name,
        new.enabled,
        new.priority,
        msgspec.json.encode(body(new)),
        new.version,
        new.created_at,
        new.updated_at,
    )
    return bool(rows)


async def save(tx: Tx, tenant: UUID, changed: Policy) -> None:
    """Write a policy that is held. What others keep in its body stays.

    Raises:
        NameTaken: it was given the name of another.
    """
    try:
        await tx.run(
            """
            UPDATE policy
               SET name = $3, enabled = $4, priority = $5, body = (body - $6::text[]) || $7, version = $8,
                   updated_at = $9
             WHERE tenant_id = $1 AND id = $2
            """,
            tenant,
            changed.id,
            changed.name,
            changed.enabled,
            changed.priority,
            list(_BODY),
            msgspec.json.encode(body(changed)),
            changed.version,
            changed.updated_at,
        )
    except asyncpg.UniqueViolationError as taken:
        raise NameTaken(changed.name) from taken


async def remove(tx: Tx, tenant: UUID, id: UUID) -> None:
    """Remove a policy that is held. Its history stays."""
    await tx.run("DELETE FROM policy WHERE tenant_id = $1 AND id = $2", tenant, id)


async def size(tx: Tx, tenant: UUID, besides: UUID) -> tuple[int, int]:
    """Count a tenant's policies and the characters of their texts, one of them left out."""
    row = await tx.one(
        """
        SELECT count(*) AS policies, coalesce(sum(length(body ->> 'cedar')), 0) AS characters
          FROM policy
         WHERE tenant_id = $1 AND id <> $2
        """,
        tenant,
        besides,
    )
    assert row is not None, "an aggregate always has a row"
    return row["policies"], int(row["characters"])


async def groups_named(tx: Tx, tenant: UUID, names: Collection[str]) -> dict[str, str]:
    """Find the live groups with these names: the name by the id."""
    rows = await tx.all(
        "SELECT id, name FROM user_group WHERE tenant_id = $1 AND name = ANY ($2) AND deleted_at IS NULL",
        tenant,
        list(names),
    )
    return {str(row["id"]): row["name"] for row in rows}


async def operation_names(tx: Tx, tenant: UUID) -> list[str]:
    """Name the tenant's operations: `METHOD path`."""
    rows = await tx.all("SELECT method, path FROM operation WHERE tenant_id = $1 ORDER BY path, method", tenant)
    return [f"{row['method']} {row['path']}" for row in rows]


async def things(tx: Tx, wanted: Collection[tuple[UUID, str, UUID]]) -> dict[tuple[UUID, str, UUID], Thing]:
    """Find roles, groups and resources by (tenant, `role` | `group` | `resource`, id). Absent ones are left out."""
    rows = await tx.all(
        """
        WITH RECURSIVE wanted AS (
            SELECT DISTINCT * FROM unnest($2::uuid[], $3::text[], $4::uuid[]) AS w (tenant_id, type, id)
        ), line AS (
            SELECT r.tenant_id, r.id AS of, r.parent_id AS id, 1 AS distance
              FROM resource r JOIN wanted w ON r.tenant_id = w.tenant_id AND r.id = w.id AND w.type = 'resource'
             WHERE r.tenant_id = ANY ($1) AND r.parent_id IS NOT NULL
            UNION ALL
            SELECT l.tenant_id, l.of, p.parent_id, l.distance + 1
              FROM line l JOIN resource p ON p.tenant_id = l.tenant_id AND p.id = l.id
             WHERE l.distance < 20 AND p.tenant_id = ANY ($1) AND p.parent_id IS NOT NULL
        )
        SELECT w.tenant_id, w.type AS asked, r.id, r.name, 'role' AS kind, NULL::text AS external_id,
               NULL::jsonb AS attributes, r.permissions <> '{}' AS has_permissions, NULL::text[] AS kinds,
               NULL::uuid[] AS parents, NULL::text[] AS externals
          FROM wanted w JOIN role r ON r.tenant_id = w.tenant_id AND r.id = w.id
         WHERE w.type = 'role' AND r.tenant_id = ANY ($1) AND r.deleted_at IS NULL
        UNION ALL
        SELECT w.tenant_id, w.type, g.id, g.name, 'group', g.external_id, NULL, false, NULL, NULL, NULL
          FROM wanted w JOIN user_group g ON g.tenant_id = w.tenant_id AND g.id = w.id
         WHERE w.type = 'group' AND g.tenant_id = ANY ($1) AND g.deleted_at IS NULL
        UNION ALL
        SELECT w.tenant_id, w.type, r.id, r.name, r.type, r.external_id, r.attributes, false, above.kinds,
               above.parents, above.externals
          FROM wanted w JOIN resource r ON r.tenant_id = w.tenant_id AND r.id = w.id
         CROSS JOIN LATERAL (
               SELECT array_agg(p.type ORDER BY l.distance) AS kinds, array_agg(p.id ORDER BY l.distance) AS parents,
                      array_agg(p.external_id ORDER BY l.distance) AS externals
                 FROM line l JOIN resource p ON p.tenant_id = l.tenant_id AND p.id = l.id
                WHERE l.tenant_id = r.tenant_id AND l.of = r.id AND p.tenant_id = ANY ($1)) above
         WHERE w.type = 'resource' AND r.tenant_id = ANY ($1) AND r.deleted_at IS NULL
        """,
        list(tx.tenants),
        [tenant for tenant, _, _ in wanted],
        [kind for _, kind, _ in wanted],
        [id for _, _, id in wanted],
    )
    return {(row["tenant_id"], row["asked"], row["id"]): _thing(row) for row in rows}


async def resource_by_external_id(tx: Tx, tenant: UUID, type: str, external_id: str) -> UUID | None:
    """Find a live resource of a type by its external id; None also when there are several."""
    rows = await tx.all(
        """
        SELECT id
          FROM resource
         WHERE tenant_id = $1 AND type = $2 AND external_id = $3 AND deleted_at IS NULL
         LIMIT 2
        """,
        tenant,
        type,
        external_id,
    )
    return rows[0]["id"] if len(rows) == 1 else None


def body(policy: Policy) -> dict[str, Any]:
    """What a policy says beside its name, in the words of the declarative file; what it does not say is left out."""
    said = {key: getattr(policy, field) for key, field in _BODY.items()}
    return {key: value for key, value in said.items() if value is not None}


def _policy(row: Record) -> Policy:
    """Read a row. Keys of its body that are none of ours are passed over, and stay."""
    said = msgspec.json.decode(row["body"])
    known = {field: said[key] for key, field in _BODY.items() if said.get(key) is not None}
    if "mode" in known:
        known["mode"] = Mode(known["mode"])
    return Policy(
        id=row["id"],
        name=row["name"],
        enabled=row["enabled"],
        priority=row["priority"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        **known,
    )


def _thing(row: Record) -> Thing:
    attributes = row["attributes"]
    return Thing(
        id=row["id"],
        kind=row["kind"],
        name=row["name"],
        external_id=row["external_id"],
        attributes=msgspec.json.decode(attributes) if attributes is not None else {},
        has_permissions=row["has_permissions"],
        within=tuple(zip(row["kinds"] or (), row["parents"] or (), row["externals"] or (), strict=True)),
    )
