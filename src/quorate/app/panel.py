"""Who has a say in a request, account by account, and what they must show: for faces that list approvers by name."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

from msgspec import Struct

from quorate.app import tenants
from quorate.app.orders import Done
from quorate.app.tenants import Rules
from quorate.app.ways import seen
from quorate.domain import quorum, routing
from quorate.domain.events import RequestKind
from quorate.domain.evidence import NONE, Demand
from quorate.domain.people import People, mentioned
from quorate.domain.requests import Request
from quorate.store import search
from quorate.store.database import Database
from quorate.store.tx import Tx

MOST_REMEMBERED: Final = 10_000  # accounts, of which is known whether they are services


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
    """The use case. One transaction of one tenant at most, however many requests are asked about."""

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db, self._clock = db, clock
        self._kinds = _Kinds()

    async def of(
        self, tenant: UUID, requests: Collection[Request], rules: Rules | None = None
    ) -> tuple[dict[UUID, Panel], Keeping]:
        """Find the panels of these requests, and their tenant's `keeping`. Who may see them is settled before.

        Members are those who can decide the open step now. Of an operation, whose approvers are written down by
        name, also those named in the steps that have been opened and those who have decided, in the order of the tree.
        `rules` are the tenant's, if they have just been read.
        """
        at = self._clock()
        near = {id for one in requests for id in _near(one)}
        people, candidates = People(), {one.id: list[UUID]() for one in requests}
        is_any_open, services = any(_is_open(one, at) for one in requests), self._kinds.recall(tenant, near)
        if is_any_open or rules is None or services is None:
            async with self._db.tx([tenant]) as tx:
                rules = rules or (await tenants.rules(tx))[tenant]
                if is_any_open:
                    around = await _look(tx, requests, rules, at)
                    people, candidates = await _named(tx, tenant, requests, around, rules, at)
                    near |= {id for ids in candidates.values() for id in ids}
                services = await self._kinds.services(tx, tenant, near)
        return {one.id: _panel(one, candidates[one.id], people, services, at) for one in requests}, _keeping(rules)

    async def after(self, done: Done) -> tuple[Panel, Keeping]:
        """As `of`, once somebody has decided. What the door has read is not read again; of a request that is over
        then mostly nothing is."""
        one, persons = done.request, done.people.persons
        self._kinds.remember(one.tenant, {id: persons[id].is_service for id in _near(one) if id in persons})
        panels, keeping = await self.of(one.tenant, [one], done.rules)
        return panels[one.id], keeping

    async def keeping(self, tenant: UUID) -> Keeping:
        """Say what a tenant has settled about requests that are over."""
        async with self._db.tx([tenant]) as tx:
            return _keeping((await tenants.rules(tx))[tenant])


class _Kinds:
    """Which accounts are services, remembered while there is room: an account stays what it is."""

    def __init__(self) -> None:
        self._known: dict[tuple[UUID, UUID], bool] = {}

    def recall(self, tenant: UUID, ids: Collection[UUID]) -> frozenset[UUID] | None:
        """Name the services among these; None where not all of these are remembered."""
        known = self._known
        if any((tenant, id) not in known for id in ids):
            return None
        return frozenset(id for id in ids if known[tenant, id])

    async def services(self, tx: Tx, tenant: UUID, ids: Collection[UUID]) -> frozenset[UUID]:
        """Name the services among these, as the directory has it."""
        kinds = {id: kind for id in ids if (kind := self._known.get((tenant, id))) is not None}
        unknown = [id for id in ids if id not in kinds]
        if unknown:
            found = await search.services(tx, tenant, unknown)
            self.remember(tenant, found)
            kinds |= found
        return frozenset(id for id, is_service in kinds.items() if is_service)

    def remember(self, tenant: UUID, kinds: Mapping[UUID, bool]) -> None:
        self._known |= {(tenant, id): is_service for id, is_service in kinds.items()}
        for oldest in [*islice(self._known, max(0, len(self._known) - MOST_REMEMBERED))]:
            del self._known[oldest]


def _keeping(rules: Rules) -> Keeping:
    return Keeping(timedelta(seconds=rules.operation_expiry_s), rules.retains_expired)


async def _look(tx: Tx, requests: Collection[Request], rules: Rules, at: datetime) -> People:
    """Read who is behind the leaves of every open step."""
    opened = [one for one in requests if _is_open(one, at)]
    leaves = {leaf for one in opened for leaf in one.tree.every_leaf()}
    accounts = {id for one in opened for id in one.askers()} | mentioned(leaves)
    return await seen(tx, accounts, leaves, at, rules)


async def _named(
    tx: Tx, tenant: UUID, requests: Collection[Request], around: People, rules: Rules, at: datetime
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
    accounts |= {id for one in requests for id in _near(one)}
    return await seen(tx, accounts, (), at, rules), candidates


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


def _near(request: Request) -> Iterator[UUID]:
    """Name the accounts that a request is by, for or decided by, and those written into its steps."""
    yield from request.askers()
    yield from _written(request)
    yield from _deciders(request)


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
