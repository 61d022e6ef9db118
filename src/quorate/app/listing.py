"""Lists of requests: of whom, in which state, about what; a page at a time, with a total for those who ask.

Who asks sees what is theirs to read. Everything, and what others have to do with, needs a permission.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from quorate.app.actor import Actor
from quorate.app.ways import seen, ways_of
from quorate.domain.conditions import Condition, Every, Field, Not, Of, Some, parties
from quorate.domain.events import Outcome, RequestKind
from quorate.domain.permissions import WORKFLOW_READ
from quorate.store import listing as store
from quorate.store.bound import Place
from quorate.store.conditions import Person
from quorate.store.database import Database
from quorate.store.listing import Only, Sort
from quorate.store.requests import Held
from quorate.store.tx import Tx

__all__ = ["Listed", "Listing", "Place", "Sort", "Wanted"]

EVERY_KIND: Final = frozenset(RequestKind)
NEWEST_FIRST: Final = (Sort(Field.CREATED_AT, ascending=False),)


class Wanted(Struct, frozen=True, kw_only=True):
    """A list that somebody wants.

    `of`: all of these hold; none: everything. `statuses` are those shown at the moment of asking. `after` is where a
    page ended, in an order by creation alone. `discarded`: only what its requester put out of sight, or only what
    not. `permission`: what everything, and what others have to do with, needs.
    """

    of: tuple[Of, ...] = ()
    kinds: Collection[RequestKind] = EVERY_KIND
    statuses: Collection[Outcome] | None = None
    ids: tuple[UUID, ...] | None = None
    target_type: str | None = None
    target_id: str | None = None
    created_since: datetime | None = None
    where: Condition | None = None
    discarded: bool | None = None
    sort: tuple[Sort, ...] = NEWEST_FIRST
    limit: int
    offset: int = 0
    after: Place | None = None
    count: bool = False
    permission: str = WORKFLOW_READ


class Listed(Struct, frozen=True):
    """A page. `after`: its end, if there is more. `total`: how many there are in all, if that was asked for."""

    items: tuple[Held, ...]
    at: datetime
    after: Place | None = None
    total: int | None = None


class Listing:
    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db, self._clock = db, clock

    async def page(self, actor: Actor, wanted: Wanted) -> Listed:
        """List requests. `at` of the answer is the moment at which their state is to be shown.

        Raises: NotPermitted: it is not limited to what the caller has to do with, and needs the permission.
        """
        _authorise(actor, wanted)
        at = self._clock()
        async with self._db.tx([actor.tenant]) as tx:
            only = await _only(tx, actor, wanted, at)
            found: list[Held] = []
            if wanted.limit:
                found = await store.page(
                    tx,
                    actor.tenant,
                    only,
                    at,
                    sort=wanted.sort,
                    limit=wanted.limit + 1,
                    offset=wanted.offset,
                    after=wanted.after,
                )
            total = await store.count(tx, actor.tenant, only, at) if wanted.count else None
        items = tuple(found[: wanted.limit])
        more = len(found) > wanted.limit
        last = (items[-1].request.created_at, items[-1].request.id) if more else None
        return Listed(items, at, last, total)


def _authorise(actor: Actor, wanted: Wanted) -> None:
    asked = [*wanted.of, *(parties(wanted.where) if wanted.where else ())]
    if not wanted.of or any(one.person not in (None, actor.principal) for one in asked):
        actor.demand(wanted.permission)


async def _only(tx: Tx, actor: Actor, wanted: Wanted, at: datetime) -> Only:
    of = tuple(replace(one, person=one.person or actor.principal) for one in wanted.of)
    where = _named(wanted.where, actor.principal) if wanted.where else None
    asked = {one.person for one in (*of, *(parties(where) if where else ())) if one.person}
    return Only(
        of=of,
        people={id: await _person(tx, id, at) for id in asked},
        kinds=frozenset(kind.value for kind in wanted.kinds),
        statuses=None if wanted.statuses is None else frozenset(one.value for one in wanted.statuses),
        ids=wanted.ids,
        target_type=wanted.target_type,
        target_id=wanted.target_id,
        created_since=wanted.created_since,
        where=where,
        discarded=wanted.discarded,
    )


def _named(condition: Condition, caller: UUID) -> Condition:
    """Name the caller wherever a condition means whoever asks."""
    match condition:
        case Of():
            return replace(condition, person=condition.person or caller)
        case Every(members):
            return Every(tuple(_named(one, caller) for one in members))
        case Some(members):
            return Some(tuple(_named(one, caller) for one in members))
        case Not(member):
            return Not(_named(member, caller))
        case _:
            return condition


async def _person(tx: Tx, id: UUID, at: datetime) -> Person:
    [tenant] = tx.tenants
    people = await seen(tx, {id}, (), at)
    return Person(id, people.human(id), tuple((await ways_of(tx, {(tenant, id)}, at))[tenant, id]))
