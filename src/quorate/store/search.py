"""Lists: the tasks that wait for somebody, and requests newest first. Pages from an index, totals that are exact.

Requests that time has ended, but no worker has written yet, are found by the timer that is due for them. So lists
show them as expired, and no index has to follow `expires_at`, which would make decisions dearer.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from quorate.store.bound import Bound, Place, Way
from quorate.store.requests import COLUMNS, Held, held
from quorate.store.tx import Tx

ALL_KINDS = frozenset({"access", "operation", "generic"})


class Filter(Struct, frozen=True):
    """Which requests a list is of. None: of every sort. `status` is the one shown at the moment of asking."""

    kinds: frozenset[str] = ALL_KINDS
    status: str | None = None
    requester: UUID | None = None
    target_type: str | None = None
    workflow: UUID | None = None

    @property
    def is_counted(self) -> bool:
        """Say whether `request_count` knows the answer, but for what time has done."""
        return self.requester is None and self.workflow is None


class Near(NamedTuple):
    """The services that somebody owns, and those whose manager they are: reports, and the services of reports."""

    owned: list[UUID]
    reports: list[UUID]


async def near(tx: Tx, accounts: Collection[tuple[UUID, UUID]]) -> dict[UUID, dict[UUID, Near]]:
    """Read which accounts belong to these, each a tenant and an id, and whose manager they are. Answers by tenant."""
    found: dict[UUID, dict[UUID, Near]] = {tenant: {} for tenant in tx.tenants}
    for tenant, id in accounts:
        found[tenant][id] = Near([], [])
    rows = await tx.all(
        """
        WITH asked AS MATERIALIZED (
            SELECT * FROM unnest($2::uuid[], $3::uuid[]) AS a (tenant_id, id) WHERE a.tenant_id = ANY ($1)
        )
        SELECT 'owned' AS what, a.tenant_id, a.id AS whose, p.id
          FROM asked a JOIN principal p ON p.tenant_id = a.tenant_id AND p.owner_id = a.id
        UNION ALL
        SELECT 'report', a.tenant_id, a.id, p.id
          FROM asked a JOIN principal p ON p.tenant_id = a.tenant_id AND p.manager_id = a.id
        UNION ALL
        SELECT 'report', a.tenant_id, a.id, s.id
          FROM asked a
          JOIN principal p ON p.tenant_id = a.tenant_id AND p.manager_id = a.id
          JOIN principal s ON s.tenant_id = p.tenant_id AND s.owner_id = p.id
        """,
        list(tx.tenants),
        [tenant for tenant, _ in accounts],
        [id for _, id in accounts],
    )
    for row in rows:
        here = found[row["tenant_id"]][row["whose"]]
        (here.owned if row["what"] == "owned" else here.reports).append(row["id"])
    return found


async def names(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, tuple[str, str | None]]:
    """Read names and mail addresses, of those who are gone too."""
    rows = await tx.all(
        "SELECT id, name, email FROM principal WHERE tenant_id = $1 AND id = ANY ($2)", tenant, list(ids)
    )
    return {row["id"]: (row["name"], row["email"]) for row in rows}


class Card(Struct, frozen=True):
    """What is shown of an account: its name and mail address, and its manager (of a service: its owner's)."""

    name: str
    email: str | None = None
    manager: UUID | None = None


async def cards(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, Card]:
    """Read what is shown of accounts, of those who are gone too."""
    rows = await tx.all(
        """
        SELECT p.id, p.name, p.email, coalesce(p.manager_id, o.manager_id) AS manager_id
          FROM principal p
          LEFT JOIN principal o ON o.tenant_id = p.tenant_id AND o.id = p.owner_id
         WHERE p.tenant_id = $1 AND p.id = ANY ($2)
        """,
        tenant,
        list(ids),
    )
    return {row["id"]: Card(row["name"], row["email"], row["manager_id"]) for row in rows}


async def group_names(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, str]:
    """Read the names of groups and roles, of those that are gone too."""
    rows = await tx.all(
        """
        SELECT id, name FROM user_group WHERE tenant_id = $1 AND id = ANY ($2)
        UNION ALL
        SELECT id, name FROM role WHERE tenant_id = $1 AND id = ANY ($2)
        """,
        tenant,
        list(ids),
    )
    return {row["id"]: row["name"] for row in rows}


async def services(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, bool]:
    """Say of each of these accounts whether it is a service. Who does not exist is absent."""
    rows = await tx.all(
        "SELECT id, kind = 'service' AS is_service FROM principal WHERE tenant_id = $1 AND id = ANY ($2::uuid[])",
        tenant,
        list(ids),
    )
    return {row["id"]: row["is_service"] for row in rows}


async def delegates(tx: Tx, tenant: UUID, ids: Collection[UUID], at: datetime) -> dict[UUID, list[UUID]]:
    """Name those who may use the say of these at a moment, by whose say it is. Who lends it to nobody is absent."""
    rows = await tx.all(
        """
        SELECT from_id, array_agg(DISTINCT to_id ORDER BY to_id) AS to_ids FROM delegation
         WHERE tenant_id = $1 AND from_id = ANY ($2) AND starts_at <= $3 AND ends_at > $3
         GROUP BY from_id
        """,
        tenant,
        list(ids),
        at,
    )
    return {row["from_id"]: row["to_ids"] for row in rows}


class Glance(NamedTuple):
    """Which part of whose inbox is looked at: the tasks that are somebody's in one of these ways."""

    tenant: UUID
    ways: Sequence[Way]
    limit: int
    offset: int = 0


class OpenTask(NamedTuple):
    """A task that is listed, and the request it is of, as many events old as its version says."""

    tenant: UUID
    request: UUID
    version: int
    id: UUID


async def inboxes(tx: Tx, glances: Sequence[Glance], at: datetime) -> list[tuple[list[OpenTask], int]]:
    """Read a page of open tasks for each glance, newest request first, and how many there are in all.

    A task whose request time has ended is left out.
    """
    ways = [
        (number, one.tenant, key, _array(way.shut), _array(way.barred))
        for number, one in enumerate(glances, 1)
        for way in one.ways
        for key in way.keys
    ]
    rows = await tx.all(
        """
        WITH overdue AS MATERIALIZED (
            SELECT request.tenant_id, request.id
              FROM unnest($1::uuid[]) AS mine (tenant_id)
             CROSS JOIN LATERAL (
                   SELECT tenant_id, subject_id FROM timer
                    WHERE tenant_id = mine.tenant_id AND kind = 'request' AND due_at <= $2 ORDER BY due_at) timer
              JOIN request ON request.tenant_id = timer.tenant_id AND request.id = timer.subject_id
             WHERE request.status = 'pending' AND request.expires_at <= $2
        ), mine AS (
            SELECT DISTINCT way.number, way.tenant_id, one.listed_at, one.task_id, one.request_id
              FROM unnest($3::int[], $4::uuid[], $5::text[], $6::text[], $7::text[])
                   AS way (number, tenant_id, key, shut, barred)
             CROSS JOIN LATERAL (
                   SELECT inbox.request_created_at AS listed_at, inbox.task_id, task.request_id
                     FROM inbox JOIN task ON task.tenant_id = inbox.tenant_id AND task.id = inbox.task_id
                    WHERE inbox.tenant_id = way.tenant_id AND inbox.key = way.key
                      AND NOT task.closed_to && way.shut::uuid[] AND NOT task.askers && way.barred::uuid[]
                      AND (task.tenant_id, task.request_id) NOT IN (SELECT * FROM overdue)) one
             WHERE way.tenant_id = ANY ($1)
        ), placed AS (
            SELECT *, count(*) OVER (PARTITION BY number) AS total,
                   row_number() OVER (PARTITION BY number ORDER BY listed_at DESC, task_id DESC) AS place
              FROM mine
        )
        SELECT placed.number, placed.total, placed.place, request.tenant_id, request.id, request.version, placed.task_id
          FROM placed
          JOIN request ON request.tenant_id = placed.tenant_id AND request.id = placed.request_id
         WHERE placed.place = 1
            OR placed.place > ($8::bigint[])[placed.number] AND placed.place <= ($9::bigint[])[placed.number]
         ORDER BY placed.number, placed.place
        """,
        list(tx.tenants),
        at,
        *([way[column] for way in ways] for column in range(5)),
        [one.offset for one in glances],
        [one.offset + one.limit for one in glances],
    )
    found: list[tuple[list[OpenTask], int]] = [([], 0) for _ in glances]
    for number, total, place, *values in (row.values() for row in rows):
        listed, one = found[number - 1][0], glances[number - 1]
        if one.offset < place <= one.offset + one.limit:
            listed.append(OpenTask(*values))
        found[number - 1] = (listed, total)
    return found


def _array(ids: Sequence[UUID]) -> str:
    """Write ids as PostgreSQL reads an array: lists of different lengths cannot stand in one."""
    return f"{{{','.join(map(str, ids))}}}"


async def requests(
    tx: Tx, tenant: UUID, only: Filter, at: datetime, *, limit: int, offset: int = 0, after: Place | None = None
) -> list[Held]:
    """Read a page of requests, newest first. Ids are found first, so that what is passed over is not carried along."""
    bound = Bound(tenant, at)
    most = bound(offset + limit, "bigint")
    page = f"LIMIT {bound(limit, 'bigint')} OFFSET {bound(offset, 'bigint')}"
    place = f" AND (created_at, id) < {bound.place(after)}" if after else ""
    rest = f"{_rest(only, bound)}{place} {_NEWEST_FIRST} LIMIT {most}"
    found = f"SELECT created_at, id FROM request WHERE tenant_id = $1 AND {_status(only, bound)} {rest}"
    if only.status == "expired":  # Written rows in the order of the index, and beside them the few that are not.
        found = f"({found}) UNION ALL ({_overdue(bound)} SELECT created_at, id FROM request WHERE {_IS_OVERDUE} {rest})"
    rows = await tx.all(
        f"""
        SELECT {COLUMNS}
          FROM request
         WHERE tenant_id = $1 AND id IN (SELECT id FROM ({found}) found {_NEWEST_FIRST} {page})
         {_NEWEST_FIRST}
        """,
        *bound.values,
    )
    return [held(row) for row in rows]


async def count(tx: Tx, tenant: UUID, only: Filter, at: datetime) -> int:
    """Count the requests of a list."""
    bound = Bound(tenant, at)
    if only.is_counted:
        written = await _counted(tx, tenant, only)
    else:
        status = _status(only, bound)
        sql = f"SELECT count(*) AS number FROM request WHERE tenant_id = $1 AND {status} {_rest(only, bound)}"
        written = await _number(tx, sql, bound)
    if only.status == "expired":
        return written + await _count_overdue(tx, Bound(tenant, at), only)
    if only.status == "pending" and only.is_counted:
        return written - await _count_overdue(tx, Bound(tenant, at), only)
    return written


async def _count_overdue(tx: Tx, bound: Bound, only: Filter) -> int:
    overdue = f"{_overdue(bound)} SELECT count(*) AS number FROM request WHERE {_IS_OVERDUE}"
    return await _number(tx, overdue + _rest(only, bound), bound)


async def _counted(tx: Tx, tenant: UUID, only: Filter) -> int:
    row = await tx.one(
        """
        SELECT coalesce(sum(delta), 0)::bigint AS number
          FROM request_count
         WHERE tenant_id = $1 AND kind = ANY ($2) AND ($3::text IS NULL OR status = $3)
           AND ($4::text IS NULL OR target_type = $4)
        """,
        tenant,
        sorted(only.kinds),
        only.status,
        only.target_type,
    )
    assert row is not None
    number: int = row["number"]
    return number


async def _number(tx: Tx, sql: str, bound: Bound) -> int:
    row = await tx.one(sql, *bound.values)
    assert row is not None
    number: int = row["number"]
    return number


# Parts of statements. $1 is always the tenant.

_NEWEST_FIRST = "ORDER BY created_at DESC, id DESC"

_IS_OVERDUE = "tenant_id = $1 AND id IN (SELECT late FROM overdue)"


def _overdue(bound: Bound) -> str:
    """Name the requests that time has ended and nobody has written: whose timer is due, and so are they."""
    now = bound.moment()
    return f"""
        WITH overdue AS MATERIALIZED (
            SELECT request.id AS late
              FROM (SELECT subject_id FROM timer
                     WHERE tenant_id = $1 AND kind = 'request' AND due_at <= {now} ORDER BY due_at) timer
              JOIN request ON request.tenant_id = $1 AND request.id = timer.subject_id
             WHERE request.status = 'pending' AND request.expires_at <= {now})
    """


def _status(only: Filter, bound: Bound) -> str:
    match only.status:
        case None:
            return "true"
        case "pending":
            return f"status = 'pending' AND (expires_at IS NULL OR expires_at > {bound.moment()})"
        case status:
            return f"status = {bound(status, 'text')}"


def _rest(only: Filter, bound: Bound) -> str:
    """Say all but the status."""
    kinds = f" AND kind = ANY ({bound(sorted(only.kinds), 'text[]')})" if only.kinds != ALL_KINDS else ""
    wanted = (("requester_id", only.requester, "uuid"), ("workflow_id", only.workflow, "uuid"))
    columns = (*wanted, ("target_type", only.target_type, "text"))
    return kinds + "".join(f" AND {name} = {bound(value, kind)}" for name, value, kind in columns if value is not None)
