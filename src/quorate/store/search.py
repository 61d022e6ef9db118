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


async def near(tx: Tx, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, Near]:
    """Read which accounts belong to these, and whose manager they are."""
    found = {id: Near([], []) for id in ids}
    rows = await tx.all(
        """
        SELECT 'owned' AS what, owner_id AS whose, id FROM principal WHERE tenant_id = $1 AND owner_id = ANY ($2)
        UNION ALL
        SELECT 'report', manager_id, id FROM principal WHERE tenant_id = $1 AND manager_id = ANY ($2)
        UNION ALL
        SELECT 'report', p.manager_id, s.id
          FROM principal p JOIN principal s ON s.tenant_id = p.tenant_id AND s.owner_id = p.id
         WHERE p.tenant_id = $1 AND p.manager_id = ANY ($2)
        """,
        tenant,
        list(ids),
    )
    for row in rows:
        here = found[row["whose"]]
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


async def inbox(
    tx: Tx, tenant: UUID, ways: Sequence[Way], at: datetime, *, limit: int, offset: int = 0, after: Place | None = None
) -> tuple[list[tuple[UUID, Held]], int]:
    """Read a page of open tasks that are somebody's in one of these ways, and how many there are in all.

    Each task's id comes with its request, newest request first. A task whose request time has ended is left out.
    """
    bound = Bound(tenant, at)
    overdue = _overdue(bound)
    most = bound(offset + limit, "bigint")
    page = f"LIMIT {bound(limit, 'bigint')} OFFSET {bound(offset, 'bigint')}"
    place = f"AND (request_created_at, task_id) < {bound.place(after)}" if after else ""
    open_to = [(bound(list(way.keys), "text[]"), _is_open_to(way, bound)) for way in ways]
    parts = [
        f"""
        SELECT one.* FROM unnest({keys}) AS mine (key) CROSS JOIN LATERAL (
               SELECT request_created_at AS listed_at, task_id
                 FROM inbox
                WHERE tenant_id = $1 AND key = mine.key {place} AND {is_open}
                ORDER BY request_created_at DESC, task_id DESC
                LIMIT {most}) one
        """
        for keys, is_open in open_to
    ]
    rows = await tx.all(
        f"""
        {overdue}
        SELECT {COLUMNS}, ({_count(open_to)}) AS total
          FROM request
         WHERE tenant_id = $1 AND id = ANY (ARRAY(
               SELECT (SELECT request_id FROM task WHERE tenant_id = $1 AND id = task_id)
                 FROM (SELECT DISTINCT listed_at, task_id FROM ({" UNION ALL ".join(parts)}) every
                        ORDER BY listed_at DESC, task_id DESC {page}) chosen))
        """,
        *bound.values,
    )
    if not rows:
        return [], await _count_inbox(tx, tenant, ways, at) if offset or after else 0
    found = [(one.tasks[-1], one) for one in map(held, rows)]  # The open task is that of the last step opened.
    return sorted(found, key=lambda one: (one[1].request.created_at, one[0]), reverse=True), rows[0]["total"]


async def _count_inbox(tx: Tx, tenant: UUID, ways: Sequence[Way], at: datetime) -> int:
    bound = Bound(tenant, at)
    overdue = _overdue(bound)
    open_to = [(bound(list(way.keys), "text[]"), _is_open_to(way, bound)) for way in ways]
    return await _number(tx, f"{overdue} {_count(open_to)}", bound)


def _count(open_to: Sequence[tuple[str, str]]) -> str:
    """Count the open tasks under these keys; beside each lot of keys stands what makes a task open to who has them."""
    every = " UNION ALL ".join(
        f"SELECT task_id FROM inbox WHERE tenant_id = $1 AND key = ANY ({keys}) AND {is_open}"
        for keys, is_open in open_to
    )
    return f"SELECT count(DISTINCT task_id) AS number FROM ({every}) every"


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


def _is_open_to(way: Way, bound: Bound) -> str:
    """Say of an inbox's row whether its task is open to those who come this way, and still in time.

    A sub-select, because it is never made into a join: the work grows with the inbox, and not with all there is.
    """
    barred = f"AND NOT askers && {bound(list(way.barred), 'uuid[]')}" if way.barred else ""
    return f"""
        (SELECT NOT closed_to && {bound(list(way.shut), "uuid[]")} {barred}
            AND request_id NOT IN (SELECT late FROM overdue)
           FROM task WHERE tenant_id = $1 AND id = task_id)
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
