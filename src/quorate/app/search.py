"""Reading: the tasks that wait for somebody, lists of requests, one request, its history, and who can decide it.

Who may read is looked up in the transaction that reads. What is listed is what the rules would accept at that moment.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from quorate.app.actor import Actor
from quorate.app.inboxes import Inboxes, Page, Task
from quorate.app.ways import MANY, seen
from quorate.domain import lifecycle, routing
from quorate.domain import refusals as no
from quorate.domain.events import Cause, Closed, Outcome, RequestKind
from quorate.domain.people import People, mentioned
from quorate.domain.permissions import WORKFLOW_READ, allows
from quorate.domain.requests import Request
from quorate.domain.workflows import Kind, Node
from quorate.store import history, requests, search
from quorate.store.bound import Place
from quorate.store.database import Database
from quorate.store.history import Past
from quorate.store.requests import Held, Key
from quorate.store.search import Card, Filter
from quorate.store.tx import Tx

__all__ = ["ACCESS", "EVERY_KIND", "Approver", "Cast", "Page", "Search", "Task"]

EVERY_KIND = frozenset(RequestKind)
ACCESS = frozenset({RequestKind.ACCESS})


class Approver(Struct, frozen=True):
    """One who can decide now. `via`: how they are named, as `user`, `manager` or `group:<id>`, `role:<name>` …

    What joined the step later starts with `fallback:` or `escalation:`; a delegate is `delegation:<id of the giver>`.
    """

    id: UUID
    name: str
    via: str


class Cast(Struct, frozen=True):
    """Who plays a part in what is shown: accounts by id, and the names of groups and roles."""

    people: dict[UUID, Card]
    groups: dict[UUID, str]


class Search:
    """What anybody may look up, each in one transaction."""

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db, self._clock = db, clock
        self._inboxes = Inboxes(db, clock)

    async def inbox(self, actor: Actor, *, limit: int, offset: int = 0) -> Page[Task]:
        """List the open tasks that the caller can decide now, newest request first."""
        return await self._inboxes.page(actor, limit=limit, offset=offset)

    async def requests(
        self,
        tenant: UUID,
        *,
        kinds: Collection[RequestKind] = EVERY_KIND,
        status: Outcome | None = None,
        requester: UUID | None = None,
        target_type: str | None = None,
        workflow: UUID | None = None,
        limit: int,
        offset: int = 0,
        after: Place | None = None,
    ) -> Page[Held]:
        """List requests, newest first; whether the caller may see them is settled before.

        `status` is the one shown now (`Request.shown_at`), whether or not a worker has written it. `after` is the
        `(created_at, id)` of the last one of the page before; the total is of the whole list all the same.
        """
        at = self._clock()
        only = Filter(
            frozenset(kind.value for kind in kinds), status.value if status else None, requester, target_type, workflow
        )
        async with self._db.tx([tenant]) as tx:
            total = await search.count(tx, tenant, only, at) if only.is_counted else None
            if total is not None and offset >= total:
                return Page((), total)
            found = await search.requests(tx, tenant, only, at, limit=limit, offset=offset, after=after)
            if total is None:
                is_last = after is None and _is_last(len(found), limit, offset)
                total = offset + len(found) if is_last else await search.count(tx, tenant, only, at)
        return Page(tuple(found), total)

    async def pending(self, tenant: UUID, *, limit: int, offset: int = 0, after: Place | None = None) -> Page[Held]:
        """List the access requests that are open, newest first."""
        return await self.requests(
            tenant, kinds=ACCESS, status=Outcome.PENDING, limit=limit, offset=offset, after=after
        )

    async def request(
        self,
        actor: Actor,
        id: UUID | str,
        *,
        kinds: Collection[RequestKind] = ACCESS,
        hides: bool = True,
        permission: str = WORKFLOW_READ,
        even_before: bool = False,
    ) -> Held:
        """Read one request of these kinds. `permission` is what it takes to read those of others.

        `even_before`: an approver of a step that is still to come may read it too.

        Raises:
            NotPermitted: it is not the caller's to read, or (if it `hides`) there is none and the caller may not
                read others'.
            NoSuchRequest: there is none; if it `hides`, told to holders of the permission alone.
        """
        at = self._clock()
        async with self._db.tx([actor.tenant]) as tx:
            held, _ = await _readable(tx, actor, id, kinds, at, permission, hides=hides, even_before=even_before)
        return held

    async def by_ids(self, tenant: UUID, ids: Collection[UUID]) -> list[Held]:
        """Read requests, those that are there; whether the caller may see them is settled before."""
        async with self._db.tx([tenant]) as tx:
            return list((await requests.load(tx, list(ids))).values())

    async def instance(self, actor: Actor, id: UUID | str, *, even_before: bool = False) -> Held:
        """Read one request of any kind. `even_before` and what is raised: as `request`."""
        return await self.request(actor, id, kinds=EVERY_KIND, even_before=even_before)

    async def history(self, tenant: UUID, id: UUID) -> list[Past]:
        """Read what happened to a request, in order; whether the caller may see it is settled before.

        An expiry that is certain is told though nobody has come round to write it: lists show it already.
        """
        at = self._clock()
        async with self._db.tx([tenant]) as tx:
            held = (await requests.load(tx, [id])).get(Key(tenant, id))
            past = await history.of_request(tx, tenant, id)
        if held is not None and len(past) == held.request.version:
            past += _unwritten(held.request, at)
        return past

    async def approvers(
        self, actor: Actor, id: UUID | str, *, kinds: Collection[RequestKind] = EVERY_KIND
    ) -> Page[Approver]:
        """List those who can decide the open step now, by name. Raises: as `request`.

        Of a group, role or permission with more than 1,000 active members nobody is named, but all are counted.
        """
        at = self._clock()
        async with self._db.tx([actor.tenant]) as tx:
            held, _ = await _readable(tx, actor, id, kinds, at)
            if held.request.shown_at(at).is_final:
                return Page((), 0)
            return await _approvers(tx, held.request, at)

    async def people(self, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, tuple[str, str | None]]:
        """Read names and mail addresses. Who does not exist in this tenant is absent."""
        async with self._db.tx([tenant]) as tx:
            return await search.names(tx, tenant, ids)

    async def histories(self, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, list[Past]]:
        """Read what happened to several requests; whether the caller may see them is settled before."""
        async with self._db.tx([tenant]) as tx:
            return await history.of_requests(tx, tenant, ids)

    async def cast(self, tenant: UUID, held: Collection[Held], others: Collection[UUID] = ()) -> Cast:
        """Read who plays a part in requests: accounts, groups and roles that are named, and the managers of those."""
        people = {*others}
        groups = set()
        for one in held:
            request = one.request
            people.update(request.askers())
            for step in request.route.steps:
                people |= mentioned(step.approvers.every_leaf())
                groups |= _sets_of(step.approvers)
            for state in request.walk:
                people |= mentioned(request.tree_of(state).every_leaf())
                people |= state.closed_to | ({state.settled_by} if state.settled_by else set())
                groups |= _sets_of(request.tree_of(state))
        async with self._db.tx([tenant]) as tx:
            cards = await search.cards(tx, tenant, people)
            managers = {card.manager for card in cards.values() if card.manager} - cards.keys()
            cards |= await search.cards(tx, tenant, managers)
            return Cast(cards, await search.group_names(tx, tenant, groups))


def _sets_of(tree: Node) -> set[UUID]:
    """Name the groups and roles that a tree names by id."""
    ids = {_as_id(leaf.value) for leaf in tree.every_leaf() if leaf.kind in (Kind.GROUP, Kind.ROLE)}
    return {id for id in ids if id is not None}


def _unwritten(request: Request, at: datetime) -> Iterator[Past]:
    expires_at = request.expires_at
    if expires_at is not None and expires_at <= at:
        yield Past(request.version + 1, UUID(int=0), expires_at, Closed(expires_at, Outcome.EXPIRED, Cause.TIME))


def _is_last(found: int, limit: int, offset: int) -> bool:
    """Say whether a page shows where the list ends, so that nobody has to count."""
    return found < limit and (found > 0 or offset == 0)


async def _readable(
    tx: Tx,
    actor: Actor,
    id: UUID | str,
    kinds: Collection[RequestKind],
    at: datetime,
    permission: str = WORKFLOW_READ,
    *,
    hides: bool = True,
    even_before: bool = False,
) -> tuple[Held, People]:
    """Read a request if the caller may see it. Raises: as `Search.request`."""
    held = await _find(tx, actor.tenant, id, kinds)
    if held is None and not hides:
        raise no.NoSuchRequest(id)
    accounts = {actor.principal, *(held.request.askers() if held else ())}
    people = await seen(tx, accounts, (), at)
    reader = people.person(actor.principal)
    if held is not None and lifecycle.may_read(held.request, reader, people, permission, even_before=even_before):
        return held, people
    if not people.is_active(reader.id) or not allows(reader.permissions, permission):
        raise no.NotPermitted(permission)
    raise no.NoSuchRequest(id)


async def _find(tx: Tx, tenant: UUID, id: UUID | str, kinds: Collection[RequestKind]) -> Held | None:
    known = _as_id(id)
    if known is None:
        return None
    held = (await requests.load(tx, [known])).get(Key(tenant, known))
    return held if held is not None and held.request.filing.kind in kinds else None


def _as_id(text: UUID | str) -> UUID | None:
    """Read an id in the one spelling we give out, whatever its case; anything else is simply unknown."""
    if isinstance(text, UUID):
        return text
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


async def _approvers(tx: Tx, request: Request, at: datetime) -> Page[Approver]:
    state, leaves = request.current, tuple(dict.fromkeys(request.tree.every_leaf()))
    around = await seen(tx, {*request.askers(), *mentioned(leaves)}, leaves, at)
    behind = {leaf: around.crowd(leaf, request.beneficiary) for leaf in leaves}
    named = {id for crowd in behind.values() for id in crowd.humans}
    lent = await search.delegates(tx, request.tenant, named, at)
    named |= {id for ids in lent.values() for id in ids}
    people = await seen(tx, {*named, *request.askers()}, (), at)
    found = []
    for id in named:
        person = people.person(id)
        say = routing.say(request, state, person, people)
        if say is not None and not {id, person.human} & state.closed_to and say.on_behalf_of not in state.spent:
            found.append(Approver(id, person.name, _via(say)))
    able = routing.still_able(request, state, around)
    uncounted = sum(max(0, able(leaf).more) for leaf, crowd in behind.items() if not crowd.is_named)
    return Page(tuple(sorted(found, key=lambda one: (one.name, one.id))), len(found) + uncounted)


def _via(say: routing.Say) -> str:
    if say.on_behalf_of is not None:
        return f"delegation:{say.on_behalf_of}"
    leaf = min(say.leaves, key=lambda leaf: leaf.joined is not None)
    how = f"{leaf.kind}:{leaf.value}" if leaf.kind in MANY else leaf.kind.value
    return f"{leaf.joined}:{how}" if leaf.joined else how
