"""Who has a say in a request, account by account, and what they must show: for faces that list approvers by name."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from quorate.app import tenants
from quorate.app.ways import seen
from quorate.domain import quorum, routing
from quorate.domain.events import RequestKind
from quorate.domain.evidence import NONE, Demand
from quorate.domain.people import People, mentioned
from quorate.domain.requests import Request
from quorate.store import search
from quorate.store.database import Database
from quorate.store.tx import Tx


class Member(Struct, frozen=True):
    """An account with a say. `demand`: what it must show to approve, on any path to it."""

    id: UUID
    demand: Demand = NONE


class Panel(Struct, frozen=True):
    """The members of a request's panel. `services`: the accounts around the request that are services."""

    members: tuple[Member, ...]
    services: frozenset[UUID]


class Keeping(Struct, frozen=True):
    """For how long an operation may be decided, and once approved its result fetched; are those past that kept?"""

    period: timedelta
    retains: bool


class Panels:
    """The use case. One transaction of one tenant, however many requests are asked about."""

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db, self._clock = db, clock

    async def of(self, tenant: UUID, requests: Collection[Request]) -> tuple[dict[UUID, Panel], Keeping]:
        """Find the panels of these requests, and their tenant's `keeping`. Who may see them is settled before.

        Members are those who can decide the open step now. Of an operation, whose approvers are written down by
        name, also those named in the steps that have been opened and those who have decided, in the order of the tree.
        """
        at = self._clock()
        async with self._db.tx([tenant]) as tx:
            around = await _look(tx, requests, at)
            people, candidates = await _named(tx, tenant, requests, around, at)
            near = {id for one in requests for id in (*one.askers(), *_written(one), *_deciders(one))}
            near |= {id for ids in candidates.values() for id in ids}
            services = await search.services(tx, tenant, near)
            kept = await _keeping(tx, tenant)
        return {one.id: _panel(one, candidates[one.id], people, services, at) for one in requests}, kept

    async def keeping(self, tenant: UUID) -> Keeping:
        """Say what a tenant has settled about requests that are over."""
        async with self._db.tx([tenant]) as tx:
            return await _keeping(tx, tenant)


async def _keeping(tx: Tx, tenant: UUID) -> Keeping:
    rules = (await tenants.rules(tx))[tenant]
    return Keeping(timedelta(seconds=rules.operation_expiry_s), rules.retains_expired)


async def _look(tx: Tx, requests: Collection[Request], at: datetime) -> People:
    """Read who is behind the leaves of every open step."""
    opened = [one for one in requests if _is_open(one, at)]
    if not opened:
        return People()
    leaves = {leaf for one in opened for leaf in one.tree.every_leaf()}
    accounts = {id for one in opened for id in one.askers()} | mentioned(leaves)
    return await seen(tx, accounts, leaves, at)


async def _named(
    tx: Tx, tenant: UUID, requests: Collection[Request], around: People, at: datetime
) -> tuple[People, dict[UUID, list[UUID]]]:
    """Read the accounts that may have a say in each request, and who may use the say of those."""
    first = {
        one.id: list(
            dict.fromkeys(
                id
                for leaf in (one.tree.every_leaf() if _is_open(one, at) else ())
                for id in sorted(around.crowd(leaf, one.beneficiary).humans)
            )
        )
        for one in requests
    }
    known = {id for ids in first.values() for id in ids}
    lent = await search.delegates(tx, tenant, known, at) if known else {}
    candidates = {
        request: list(dict.fromkeys([*ids, *(to for id in ids for to in lent.get(id, ()))]))
        for request, ids in first.items()
    }
    accounts = {id for ids in candidates.values() for id in ids}
    if not accounts:
        return People(), candidates
    accounts |= {id for one in requests for id in (*one.askers(), *_written(one), *_deciders(one))}
    return await seen(tx, accounts, (), at), candidates


def _panel(request: Request, candidates: list[UUID], people: People, services: frozenset[UUID], at: datetime) -> Panel:
    found: dict[UUID, Demand] = {}
    if request.filing.kind is RequestKind.OPERATION:
        for id in (*_written(request), *_deciders(request)):
            found[id] = _demand_on(request, id)
    for id in candidates:
        person, state = people.person(id), request.current
        say = routing.say(request, state, person, people)
        is_spent = say is None or {id, person.human} & state.closed_to or say.on_behalf_of in state.spent
        if say is not None and not is_spent:
            found.setdefault(id, quorum.demand_on(request.tree, say.leaves))
    return Panel(tuple(Member(id, demand) for id, demand in found.items()), services)


def _written(request: Request) -> Iterator[UUID]:
    """Name the accounts that stand by name in the steps opened so far, in the order of the trees."""
    for state in request.walk:
        for leaf in request.tree_of(state).every_leaf():
            yield from mentioned([leaf])


def _deciders(request: Request) -> Iterator[UUID]:
    yield from (made.by for state in request.walk for made in state.decisions)


def _demand_on(request: Request, id: UUID) -> Demand:
    total = NONE
    for state in request.walk:
        tree = request.tree_of(state)
        total |= quorum.demand_on(tree, [leaf for leaf in tree.every_leaf() if id in mentioned([leaf])])
    return total


def _is_open(request: Request, at: datetime) -> bool:
    return bool(request.walk) and not request.shown_at(at).is_final
