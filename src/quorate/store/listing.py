"""Lists of requests by who has to do with them, what they say and in which order, a page at a time.

A list newest (or oldest) first is put together from lists that indexes hold in that order, each read no further than
the page reaches: the requests somebody asked for, those in whose inbox they are, those that went through their hands.
Any other order sorts all there are.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from msgspec import Struct

from quorate.domain.conditions import Condition, Field, Of, Party
from quorate.domain.events import Outcome
from quorate.store import search
from quorate.store.bound import Bound, Place, Way
from quorate.store.conditions import People, Person, holds, is_open_to, shown_status, sort_key, was_named
from quorate.store.requests import COLUMNS, Held, held
from quorate.store.search import ALL_KINDS, Filter
from quorate.store.tx import Tx


class Sort(Struct, frozen=True):
    """An order: by a field, going up or down; what has no such field comes last."""

    by: Field
    ascending: bool = True


class Only(Struct, frozen=True, kw_only=True):
    """Which requests a list is of. `of`: all of these hold; `people`: those it and `where` ask about, by id.

    `statuses` are those shown at the moment of asking; None: all. `discarded`: only those out of sight, or only others.
    """

    of: tuple[Of, ...] = ()
    people: People = {}
    kinds: frozenset[str] = ALL_KINDS
    statuses: frozenset[str] | None = None
    ids: tuple[UUID, ...] | None = None
    target_type: str | None = None
    target_id: str | None = None
    created_since: datetime | None = None
    where: Condition | None = None
    discarded: bool | None = None

    @property
    def is_counted(self) -> bool:
        """Say whether `request_count` knows the answer, but for what time has done."""
        told_by_counts = (self.ids, self.target_id, self.created_since, self.where, self.discarded) == (None,) * 5
        return told_by_counts and not self.of


_WRITTEN = {"enable_hashjoin": "off", "enable_mergejoin": "off", "enable_bitmapscan": "off", "join_collapse_limit": "1"}

# The fewest first: the others are looked up for each of these.
_SELECTIVE = (Party.CAN_DECIDE, Party.REQUESTER, Party.BENEFICIARY, Party.APPROVER, Party.INVOLVED)


async def page(
    tx: Tx,
    tenant: UUID,
    only: Only,
    at: datetime,
    *,
    sort: tuple[Sort, ...],
    limit: int,
    offset: int = 0,
    after: Place | None = None,
) -> list[Held]:
    """Read a page, in the order of `sort` and then of ids. `after` is a place in an order by creation alone."""
    bound = Bound(tenant, at)
    by_creation = [one.by for one in sort] == [Field.CREATED_AT]
    assert by_creation or after is None, "only in the order of creation is there a place to go on from"
    last = _way(sort[-1])
    most = bound(offset + limit, "bigint") if by_creation else None
    keys = {} if by_creation else {f"s{n}": sort_key(one.by, bound) for n, one in enumerate(sort)}
    lists = [*_Lists(only, bound, keys, last, most, after).all()]
    if not lists:
        return []
    order = [f"{name} {_way(one)} NULLS LAST" for name, one in zip(keys, sort, strict=False)]
    every = ", ".join([*order, *([f"listed_at {last}"] if by_creation else []), f"listed_id {last}"])
    rows = await _alone(
        tx,
        f"""
        WITH chosen AS MATERIALIZED (
            SELECT DISTINCT * FROM ({" UNION ALL ".join(lists)}) every
             ORDER BY {every} LIMIT {bound(limit, "bigint")} OFFSET {bound(offset, "bigint")})
        SELECT {COLUMNS}
          FROM chosen JOIN request ON request.tenant_id = $1 AND request.id = listed_id
         ORDER BY {every}
        """,
        bound,
    )
    return [held(row) for row in rows]


async def count(tx: Tx, tenant: UUID, only: Only, at: datetime) -> int:
    """Count the requests of a list."""
    if only.is_counted:
        wanted = [None] if only.statuses is None else sorted(only.statuses)
        filters = (Filter(only.kinds, status, target_type=only.target_type) for status in wanted)
        return sum([await search.count(tx, tenant, one, at) for one in filters])
    bound = Bound(tenant, at)
    lists = " UNION ALL ".join(_Lists(only, bound).all())
    if not lists:
        return 0
    rows = await _alone(
        tx, f"SELECT count(DISTINCT listed_id) AS number FROM ({lists}) every WHERE $1::uuid IS NOT NULL", bound
    )
    number: int = rows[0]["number"]
    return number


class _Lists:
    """The lists that a list is put together from, as statements: `listed_at`, `listed_id` and the keys to sort by.

    With `most`, each is read in the order of creation, and no further.
    """

    def __init__(
        self,
        only: Only,
        bound: Bound,
        keys: Mapping[str, str] | None = None,
        way: str = "ASC",
        most: str | None = None,
        after: Place | None = None,
    ) -> None:
        self._only, self._bound, self._way, self._most = only, bound, way, most
        self._columns = "".join(f", {text} AS {name}" for name, text in (keys or {}).items())
        self._after, self._operator = after, ">" if way == "ASC" else "<"
        self._primary = min(only.of, key=lambda one: _SELECTIVE.index(one.party), default=None)
        self._rest = self._narrowed()

    def all(self) -> Iterator[str]:
        if self._primary is None:
            return self._of_all()
        assert self._primary.person is not None, "whoever asks was named before"
        return self._of(self._primary.party, self._only.people[self._primary.person])

    def _of(self, party: Party, person: Person) -> Iterator[str]:
        match party:
            case Party.REQUESTER:
                yield self._requests(f"r.requester_id = {self._bound(person.id, 'uuid')}")
            case Party.BENEFICIARY:
                me = self._bound(person.id, "uuid")
                yield self._requests(f"r.requester_id = {me} AND r.beneficiary_id = {me}")
                yield self._requests(f"r.beneficiary_id = {me} AND r.beneficiary_id IS DISTINCT FROM r.requester_id")
            case Party.CAN_DECIDE:
                statuses = self._only.statuses
                if statuses is None or Outcome.PENDING in statuses:  # Nobody can decide what is over.
                    yield from (self._in_hand(way) for way in person.ways)
            case Party.APPROVER:
                yield from self._of(Party.CAN_DECIDE, person)
                if self._only.statuses is None or Outcome.EXPIRED in self._only.statuses:
                    yield self._late(person.id)
                yield self._past(person.human, has_acted=True)
                yield self._past(person.id, has_acted=False)
            case Party.INVOLVED:
                for one in (Party.REQUESTER, Party.BENEFICIARY, Party.APPROVER):
                    yield from self._of(one, person)

    def _of_all(self) -> Iterator[str]:
        """List all requests, or those of each status: what time has ended unnoticed is found by its timer."""
        statuses = self._only.statuses
        if statuses is None:
            yield self._requests("true")
            return
        yield from (self._requests(f"r.status = {self._bound(one, 'text')}") for one in sorted(statuses))
        if Outcome.EXPIRED in statuses:
            late = f"m.tenant_id = $1 AND m.kind = 'request' AND m.due_at <= {self._bound.moment()}"
            yield self._requests(
                f"r.status = 'pending' AND {late}",
                "timer m JOIN request r ON r.tenant_id = m.tenant_id AND r.id = m.subject_id",
            )

    def _requests(self, which: str, rows: str = "request r") -> str:
        return self._select(rows, which, "r.created_at", "r.id", self._place("(r.created_at, r.id)"))

    def _late(self, person: UUID) -> str:
        """List what time has ended unnoticed while somebody was named for it. There are few, if any."""
        rows = "timer m JOIN request r ON r.tenant_id = m.tenant_id AND r.id = m.subject_id"
        which = f"""m.tenant_id = $1 AND m.kind = 'request' AND m.due_at <= {self._bound.moment()}
                AND {was_named(person, self._bound)}"""
        return self._select(rows, which, "r.created_at", "r.id", self._place("(r.created_at, r.id)"))

    def _past(self, person: UUID, *, has_acted: bool) -> str:
        which = f"p.tenant_id = $1 AND p.person_id = {self._bound(person, 'uuid')} AND p.has_acted = {has_acted}"
        rows = "past_approver p JOIN request r ON r.tenant_id = p.tenant_id AND r.id = p.request_id"
        place = self._place("(p.request_created_at, p.request_id)")
        return self._select(rows, which, "p.request_created_at", "p.request_id", place)

    def _in_hand(self, way: Way) -> str:
        """List what is open to those who come this way, of each inbox as far as the page reaches."""
        place = ""
        if self._after is not None:  # An inbox is in the order of tasks, not of requests, where moments are the same.
            at = self._bound(self._after[0], "timestamptz")
            place = f" AND i.request_created_at {self._operator}= {at}{self._place('(r.created_at, r.id)')}"
        most = (
            f"ORDER BY i.request_created_at {self._way} FETCH FIRST ({self._most}) ROWS WITH TIES" if self._most else ""
        )
        return f"""
            SELECT one.* FROM unnest({self._bound(list(way.keys), "text[]")}) AS mine (key) CROSS JOIN LATERAL (
                   SELECT r.created_at AS listed_at, r.id AS listed_id{self._columns}
                     FROM inbox i
                     JOIN task t ON t.tenant_id = i.tenant_id AND t.id = i.task_id
                     JOIN request r ON r.tenant_id = t.tenant_id AND r.id = t.request_id
                    WHERE i.tenant_id = $1 AND i.key = mine.key AND {is_open_to(way, self._bound)}
                      AND (r.expires_at IS NULL OR r.expires_at > {self._bound.moment()}){place} AND {self._rest}
                    {most}) one
        """

    def _select(self, rows: str, which: str, created_at: str, id: str, place: str) -> str:
        order = f"ORDER BY {created_at} {self._way}, {id} {self._way} LIMIT {self._most}" if self._most else ""
        return f"""
            (SELECT r.created_at AS listed_at, r.id AS listed_id{self._columns}
               FROM {rows}
              WHERE r.tenant_id = $1 AND {which}{place} AND {self._rest}
             {order})
        """

    def _place(self, what: str) -> str:
        return f" AND {what} {self._operator} {self._bound.place(self._after)}" if self._after else ""

    def _narrowed(self) -> str:
        """Say of `r` all that a list is narrowed down by, but for the list it is read from."""
        only, bound = self._only, self._bound
        parts = [holds(one, only.people, bound) for one in only.of if one is not self._primary]
        if only.kinds != ALL_KINDS:
            parts.append(f"r.kind = ANY ({bound(sorted(only.kinds), 'text[]')})")
        if only.statuses is not None:
            parts.append(f"{shown_status(bound)} = ANY ({bound(sorted(only.statuses), 'text[]')})")
        if only.ids is not None:
            parts.append(f"r.id = ANY ({bound(list(only.ids), 'uuid[]')})")
        if only.target_type is not None:
            parts.append(f"r.target_type = {bound(only.target_type, 'text')}")
        if only.target_id is not None:
            parts.append(f"r.target_id = {bound(only.target_id, 'text')}")
        if only.created_since is not None:
            parts.append(f"r.created_at >= {bound(only.created_since, 'timestamptz')}")
        if only.discarded is not None:
            parts.append(f"(r.progress -> 'discarded_at' IS NOT NULL) = {only.discarded}")
        if only.where is not None:
            parts.append(holds(only.where, only.people, bound))
        return " AND ".join(parts) or "true"


async def _alone(tx: Tx, sql: str, bound: Bound) -> list[Record]:
    """Run a statement in which every join follows an index, row by row, in the order in which it is written.

    How long somebody's list is differs by orders of magnitude, which the planner cannot see.
    """
    for name in _WRITTEN:
        await tx.run(f"SET LOCAL {name} = {_WRITTEN[name]}")
    rows = await tx.all(sql, *bound.values)
    for name in _WRITTEN:
        await tx.run(f"SET LOCAL {name} = DEFAULT")
    return rows


def _way(sort: Sort) -> str:
    return "ASC" if sort.ascending else "DESC"
