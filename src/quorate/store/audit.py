"""What happened, to whatever it happened, as an auditor looks for it. Written by `record`, `events` and `declare`."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.store.tx import Tx


class Pattern(Struct, frozen=True):
    """Rows of one kind and type; of requests also whether they are for access, and as what and why they were closed.

    `target` is the kind of thing a grant is of. What is None does not matter.
    """

    kind: str | None
    type: str
    is_access: bool | None = None
    status: str | None = None
    target: str | None = None
    cause: str | None = None
    not_cause: str | None = None


class Wanted(Struct, frozen=True, kw_only=True):
    """Which rows are looked for. What is None does not matter.

    `patterns`: any of these; `subjects`: of any of these kinds, and with any of these ids. `behind`: older than the
    row of this moment and number.
    """

    actor: UUID | None = None
    patterns: Collection[Pattern] | None = None
    kinds: Collection[str] | None = None
    is_access: bool | None = None
    target: str | None = None
    ids: Collection[UUID] | None = None
    since: datetime | None = None
    before: datetime | None = None
    is_failure: bool | None = None
    credential: UUID | None = None
    behind: tuple[datetime, int] | None = None


class Row(Struct, frozen=True, kw_only=True):
    """One event, with what is known of its actor, and of the request or the grant it is about."""

    command: UUID
    place: int
    number: int
    kind: str
    subject: UUID
    at: datetime
    type: str
    actor: UUID | None
    actor_email: str | None
    actor_is_service: bool | None
    credential: UUID | None
    address: str | None
    surface: str | None
    body: dict[str, Any]
    is_access: bool | None
    step: int | None
    target: str | None
    target_id: UUID | None
    target_name: str | None
    holder: UUID | None
    request: UUID | None


FAILURES: Final = ("GrantFailed", "operation.failed", "operation.unknown", "auth.failed", "security.lockout")


async def page(
    tx: Tx, tenant: UUID, wanted: Wanted, *, sort: str = "at", descending: bool = True, limit: int, offset: int
) -> tuple[list[Row], int]:
    """Read a page of events and how many there are in all.

    Args:
        sort: at, type, kind or actor_id; those of the same are by time.
    """
    assert sort in ("at", "type", "subject_kind", "actor_id"), sort
    values: list[Any] = [tenant]
    found = _found(wanted, values)
    way = "DESC" if descending else "ASC"
    first = "" if sort == "at" else f"e.{sort} {way}, "
    rows = await tx.all(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE e.tenant_id = $1 AND {found} ORDER BY {first}e.at {way}, e.id {way}"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        limit,
        offset,
    )
    total = await tx.one(f"SELECT count(*) AS total FROM {_FROM} WHERE e.tenant_id = $1 AND {found}", *values)
    assert total is not None, "an aggregate always has a row"
    return [_row(dict(row)) for row in rows], total["total"]


async def after(tx: Tx, tenant: UUID, wanted: Wanted, limit: int) -> list[Row]:
    """Read events, newest first, without counting them; `wanted.behind` says where the page before ended."""
    values: list[Any] = [tenant]
    found = _found(wanted, values)
    rows = await tx.all(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE e.tenant_id = $1 AND {found} ORDER BY e.at DESC, e.id DESC"
        f" LIMIT ${len(values) + 1}",
        *values,
        limit,
    )
    return [_row(dict(row)) for row in rows]


async def read(tx: Tx, tenant: UUID, command: UUID, place: int) -> Row | None:
    """Read one event by the command that brought it about and its place among that command's."""
    row = await tx.one(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE e.tenant_id = $1 AND e.command_id = $2 AND e.command_seq = $3",
        tenant,
        command,
        place,
    )
    return None if row is None else _row(dict(row))


async def grants_of(tx: Tx, tenant: UUID, target: UUID) -> list[UUID]:
    """Name all grants there ever were of a role, group or resource, and those that could not be given."""
    rows = await tx.all(
        """
        SELECT id FROM access_grant WHERE tenant_id = $1 AND target_id = $2
        UNION ALL
        SELECT subject_id FROM event
         WHERE tenant_id = $1 AND subject_kind = 'grant' AND type = 'GrantFailed'
           AND body #>> '{grant,target,id}' = $2::text
        """,
        tenant,
        target,
    )
    return [row["id"] for row in rows]


def _found(wanted: Wanted, values: list[Any]) -> str:
    """Put the condition together; its values join `values`."""
    parts = ["true"]

    def add(condition: str, *more: Any) -> None:
        places = range(len(values) + 1, len(values) + 1 + len(more))
        parts.append(condition.format(*(f"${place}" for place in places)))
        values.extend(more)

    if wanted.actor is not None:
        add("e.actor_id = {}", wanted.actor)
    if wanted.kinds is not None:
        add("e.subject_kind = ANY ({}::text[])", list(wanted.kinds))
    if wanted.ids is not None:
        add("e.subject_id = ANY ({}::uuid[])", list(wanted.ids))
    if wanted.is_access is not None:
        add("(e.subject_kind <> 'request' OR (r.kind = 'access') = {})", wanted.is_access)
    if wanted.target is not None:
        add(
            "(e.subject_kind <> 'grant' OR t.target = {})",
            wanted.target,
        )
    if wanted.credential is not None:
        add("e.credential_id = {}", wanted.credential)
    if wanted.behind is not None:
        add("(e.at, e.id) < ({}, {})", *wanted.behind)
    if wanted.since is not None:
        add("e.at >= {}", wanted.since)
    if wanted.before is not None:
        add("e.at < {}", wanted.before)
    if wanted.is_failure is not None:
        add("(e.type = ANY ({}::text[])) = {}", list(FAILURES), wanted.is_failure)
    if wanted.patterns is not None:
        add("e.type = ANY ({}::text[])", [one.type for one in wanted.patterns])
        add(
            """EXISTS (
                SELECT FROM unnest({}::text[], {}::text[], {}::bool[], {}::text[], {}::text[], {}::text[], {}::text[])
                         AS w (kind, type, is_access, status, target, cause, not_cause)
                 WHERE w.type = e.type AND (w.kind IS NULL OR w.kind = e.subject_kind)
                   AND (w.is_access IS NULL OR w.is_access = (r.kind = 'access'))
                   AND (w.status IS NULL OR w.status = e.body ->> 'status')
                   AND (w.cause IS NULL OR w.cause = e.body ->> 'cause')
                   AND (w.not_cause IS NULL OR w.not_cause IS DISTINCT FROM e.body ->> 'cause')
                   AND (w.target IS NULL OR w.target = t.target))""",
            [one.kind for one in wanted.patterns],
            [one.type for one in wanted.patterns],
            [one.is_access for one in wanted.patterns],
            [one.status for one in wanted.patterns],
            [one.target for one in wanted.patterns],
            [one.cause for one in wanted.patterns],
            [one.not_cause for one in wanted.patterns],
        )
    return " AND ".join(parts)


def _row(values: dict[str, Any]) -> Row:
    step = values.pop("step")
    return Row(body=msgspec.json.decode(values.pop("body")), step=None if step is None else int(step), **values)


_COLUMNS = """
    e.command_id AS command, e.command_seq AS place, e.id AS number,
    e.subject_kind AS kind, e.subject_id AS subject, e.at, e.type,
    e.actor_id AS actor, p.email AS actor_email, p.kind = 'service' AS actor_is_service,
    e.credential_id AS credential, e.address, e.surface, e.body, r.kind = 'access' AS is_access,
    r.route #>> ARRAY['steps', e.body ->> 'step', 'order'] AS step,
    t.target, t.target_id, t.target_name, t.holder, t.request
"""
# What could not be given has no grant; the event says what it would have been.
_FROM = """
    event e
    LEFT JOIN principal p ON p.tenant_id = e.tenant_id AND p.id = e.actor_id
    LEFT JOIN request r ON e.subject_kind = 'request' AND r.tenant_id = e.tenant_id AND r.id = e.subject_id
    LEFT JOIN access_grant g ON e.subject_kind = 'grant' AND g.tenant_id = e.tenant_id AND g.id = e.subject_id
    CROSS JOIN LATERAL (
        SELECT coalesce(g.target_type, w.what #>> '{target,type}') AS target,
               coalesce(g.target_id, (w.what #>> '{target,id}')::uuid) AS target_id,
               coalesce(g.target_name, w.what #>> '{target,name}') AS target_name,
               coalesce(g.principal_id, (w.what ->> 'holder')::uuid) AS holder,
               coalesce(g.request_id, (w.what ->> 'request')::uuid) AS request
          FROM (SELECT CASE WHEN e.subject_kind = 'grant' THEN e.body -> 'grant' END AS what) w) t
"""
