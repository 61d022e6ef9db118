"""Grants as rows: what approvals gave, held by whom until when, and what of it is effective at a moment."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from asyncpg import Record
from msgspec import Struct

from quorate.domain.events import Target
from quorate.domain.grants import Grant, State
from quorate.store.tx import Tx

TIMER = "grant"

_COLUMNS = (
    "tenant_id, id, request_id, principal_id, target_type, target_id, target_name, starts_at, ends_at, revoked_at,"
    " revoked_by, reason, told_at, version"
)


_IN_STATE: Final = {
    None: "$3::timestamptz IS NOT NULL",
    State.ACTIVE: "revoked_at IS NULL AND (ends_at IS NULL OR ends_at > $3)",
    State.EXPIRED: "revoked_at IS NULL AND ends_at <= $3",
    State.REVOKED: "revoked_at IS NOT NULL AND $3::timestamptz IS NOT NULL",
}
"""The state of a grant at the moment `$3`."""


class Access(Struct, frozen=True):
    """What an account has of one role, group or resource: by right (`standing`), by grants, and until when.

    `ends_at` None: no end is known, because it is standing or one of the grants has none.
    """

    type: str
    id: UUID
    name: str
    standing: bool
    grants: tuple[UUID, ...]
    ends_at: datetime | None


async def read(tx: Tx, tenant: UUID, id: UUID) -> Grant | None:
    row = await tx.one(f"SELECT {_COLUMNS} FROM access_grant WHERE tenant_id = $1 AND id = $2", tenant, id)
    return None if row is None else _grant(row)


async def lock(tx: Tx, tenant: UUID, id: UUID) -> Grant | None:
    """Read a grant and hold it until the transaction ends."""
    row = await tx.one(f"SELECT {_COLUMNS} FROM access_grant WHERE tenant_id = $1 AND id = $2 FOR UPDATE", tenant, id)
    return None if row is None else _grant(row)


async def lock_live(
    tx: Tx, tenant: UUID, holders: Collection[UUID], at: datetime, target: tuple[str, UUID] | None = None
) -> list[Grant]:
    """Hold the grants of these accounts that are active at a moment: all of them, or those of one role or group."""
    rows = await tx.all(
        f"""
        SELECT {_COLUMNS}
          FROM access_grant
         WHERE tenant_id = $1 AND principal_id = ANY ($2) AND revoked_at IS NULL
           AND (ends_at IS NULL OR ends_at > $3)
           AND ($4::text IS NULL OR (target_type = $4 AND target_id = $5))
         ORDER BY id
           FOR UPDATE
        """,
        tenant,
        list(holders),
        at,
        target[0] if target else None,
        target[1] if target else None,
    )
    return [_grant(row) for row in rows]


async def lock_live_of_request(tx: Tx, tenant: UUID, request: UUID, at: datetime) -> list[Grant]:
    """Hold the grant that a request gave, if it is active at a moment."""
    rows = await tx.all(
        f"""
        SELECT {_COLUMNS}
          FROM access_grant
         WHERE tenant_id = $1 AND request_id = $2 AND revoked_at IS NULL AND (ends_at IS NULL OR ends_at > $3)
           FOR UPDATE
        """,
        tenant,
        request,
        at,
    )
    return [_grant(row) for row in rows]


async def lock_due(tx: Tx, tenant: UUID, at: datetime, most: int) -> list[Grant]:
    """Hold grants whose end is to be told, oldest first, passing over those that others hold."""
    rows = await tx.all(
        f"""
        SELECT {_COLUMNS}
          FROM access_grant
         WHERE tenant_id = $1 AND id IN (
               SELECT subject_id FROM timer
                WHERE tenant_id = $1 AND kind = '{TIMER}' AND due_at <= $2
                ORDER BY due_at
                LIMIT $3)
         ORDER BY id
           FOR UPDATE SKIP LOCKED
        """,
        tenant,
        at,
        most,
    )
    return [_grant(row) for row in rows]


async def write_revoked(tx: Tx, tenant: UUID, grants: Collection[Grant]) -> None:
    """Write that grants were revoked, by whom and why; their timers go."""
    await tx.run(
        """
        UPDATE access_grant g
           SET revoked_at = new.revoked_at, revoked_by = new.revoked_by, reason = new.reason, version = new.version
          FROM unnest($2::uuid[], $3::timestamptz[], $4::uuid[], $5::text[], $6::int[])
               AS new (id, revoked_at, revoked_by, reason, version)
         WHERE g.tenant_id = $1 AND g.id = new.id
        """,
        tenant,
        [one.id for one in grants],
        [one.revoked_at for one in grants],
        [one.revoked_by for one in grants],
        [one.reason for one in grants],
        [one.version for one in grants],
    )
    await end_timers(tx, tenant, [one.id for one in grants])


async def write_told(tx: Tx, tenant: UUID, grants: Collection[Grant]) -> None:
    """Write that the world has been told of the end of grants; their timers go."""
    await tx.run(
        """
        UPDATE access_grant g SET told_at = new.told_at, version = new.version
          FROM unnest($2::uuid[], $3::timestamptz[], $4::int[]) AS new (id, told_at, version)
         WHERE g.tenant_id = $1 AND g.id = new.id
        """,
        tenant,
        [one.id for one in grants],
        [one.told_at for one in grants],
        [one.version for one in grants],
    )


async def end_timers(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> None:
    await tx.run(
        f"DELETE FROM timer WHERE tenant_id = $1 AND kind = '{TIMER}' AND subject_id = ANY ($2)", tenant, list(ids)
    )


async def page(
    tx: Tx, tenant: UUID, holder: UUID | None, state: State | None, at: datetime, limit: int, offset: int
) -> tuple[list[Grant], int]:
    """List grants, newest first, and how many there are: of one account or of all, in one state or any."""
    only = _IN_STATE[state]
    rows = await tx.all(
        f"""
        SELECT {_COLUMNS}
          FROM access_grant
         WHERE tenant_id = $1 AND ($2::uuid IS NULL OR principal_id = $2) AND {only}
         ORDER BY starts_at DESC, id DESC
         LIMIT $4 OFFSET $5
        """,
        tenant,
        holder,
        at,
        limit,
        offset,
    )
    total = await tx.one(
        f"""
        SELECT count(*) AS total
          FROM access_grant
         WHERE tenant_id = $1 AND ($2::uuid IS NULL OR principal_id = $2) AND {only}
        """,
        tenant,
        holder,
        at,
    )
    assert total is not None, "an aggregate always has a row"
    return [_grant(row) for row in rows], total["total"]


async def after(
    tx: Tx,
    tenant: UUID,
    holder: UUID | None,
    state: State | None,
    at: datetime,
    place: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Grant]:
    """List grants, newest first, from behind a place: when the last one of the page before began, and its id."""
    behind = "(starts_at, id) < ($5, $6)" if place else "$5::timestamptz IS NULL AND $6::uuid IS NULL"
    rows = await tx.all(
        f"""
        SELECT {_COLUMNS}
          FROM access_grant
         WHERE tenant_id = $1 AND ($2::uuid IS NULL OR principal_id = $2) AND {_IN_STATE[state]} AND {behind}
         ORDER BY starts_at DESC, id DESC
         LIMIT $4
        """,
        tenant,
        holder,
        at,
        limit,
        *(place or (None, None)),
    )
    return [_grant(row) for row in rows]


async def of_requests(tx: Tx, tenant: UUID, requests: Collection[UUID]) -> dict[UUID, Grant]:
    """Read what these requests gave, by request."""
    rows = await tx.all(
        f"SELECT {_COLUMNS} FROM access_grant WHERE tenant_id = $1 AND request_id = ANY ($2)", tenant, list(requests)
    )
    return {row["request_id"]: _grant(row) for row in rows}


async def access(tx: Tx, tenant: UUID, holder: UUID, at: datetime) -> list[Access]:
    """List what an account has at a moment: standing memberships and live grants, one line for each thing."""
    rows = await tx.all(
        """
        WITH had AS (
            SELECT 'role' AS type, h.role_id AS id, r.name, h.grant_id, h.ends_at
              FROM role_holder h JOIN role r ON r.tenant_id = h.tenant_id AND r.id = h.role_id
             WHERE h.tenant_id = $1 AND h.principal_id = $2 AND h.starts_at <= $3 AND h.ends_at > $3
               AND r.deleted_at IS NULL
            UNION ALL
            SELECT 'group', h.group_id, g.name, h.grant_id, h.ends_at
              FROM group_holder h JOIN user_group g ON g.tenant_id = h.tenant_id AND g.id = h.group_id
             WHERE h.tenant_id = $1 AND h.principal_id = $2 AND h.starts_at <= $3 AND h.ends_at > $3
               AND g.deleted_at IS NULL
            UNION ALL
            SELECT 'resource', g.target_id, g.target_name, g.id, coalesce(g.ends_at, 'infinity')
              FROM access_grant g
             WHERE g.tenant_id = $1 AND g.principal_id = $2 AND g.target_type = 'resource' AND g.revoked_at IS NULL
               AND g.starts_at <= $3 AND (g.ends_at IS NULL OR g.ends_at > $3)
        )
        SELECT type, id, max(name) AS name, bool_or(grant_id IS NULL) AS standing,
               array_agg(grant_id ORDER BY grant_id) FILTER (WHERE grant_id IS NOT NULL) AS grants,
               nullif(max(ends_at), 'infinity') AS ends_at
          FROM had
         GROUP BY type, id
         ORDER BY type, max(name), id
        """,
        tenant,
        holder,
        at,
    )
    return [
        Access(row["type"], row["id"], row["name"], row["standing"], tuple(row["grants"] or ()), row["ends_at"])
        for row in rows
    ]


def _grant(row: Record) -> Grant:
    return Grant(
        tenant=row["tenant_id"],
        id=row["id"],
        request=row["request_id"],
        holder=row["principal_id"],
        target=Target(row["target_type"], str(row["target_id"]), row["target_name"]),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        revoked_at=row["revoked_at"],
        revoked_by=row["revoked_by"],
        reason=row["reason"],
        told_at=row["told_at"],
        version=row["version"],
    )
