"""Grants: who has what until when, given back, taken away, and ended on time.

An approval makes a grant in the door's own transaction (`record`). What is effective is computed by time wherever it
is asked; what stands here tells the world, and ends grants before their time.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import to_builtins
from msgspec.structs import replace

from quorate.app.actor import Actor
from quorate.app.tell import owe
from quorate.domain import grants as rules
from quorate.domain import refusals as no
from quorate.domain.grants import Grant, GrantEvent, GrantExpired, GrantRevoked, State
from quorate.domain.messages import grant_fact
from quorate.domain.people import People
from quorate.domain.permissions import GRANT_REVOKE, WORKFLOW_READ
from quorate.domain.requests import Request
from quorate.store import events, requests, view
from quorate.store import grants as store
from quorate.store.database import Database
from quorate.store.events import Entry
from quorate.store.grants import Access
from quorate.store.requests import Key
from quorate.store.tx import Tx

__all__ = ["Access", "Grants", "end_due", "revoke_all", "revoke_supporting"]

Ids = Callable[[], UUID]


class Grants:
    """The use cases, for whoever may: one's own grants, and all with `workflow:read`.

    `forget` is told whose access has changed, since permissions are remembered for seconds.
    """

    def __init__(
        self, db: Database, *, clock: Callable[[], datetime], new_id: Ids, forget: Callable[[UUID, UUID], None]
    ) -> None:
        self._db, self._clock, self._new_id, self._forget = db, clock, new_id, forget

    async def page(
        self, actor: Actor, holder: UUID | None, state: State | None, *, limit: int, offset: int
    ) -> tuple[list[Grant], int]:
        """List grants, newest first, and how many there are. Without `workflow:read` only one's own are there."""
        if not actor.may(WORKFLOW_READ):
            if holder not in (None, actor.principal):
                return [], 0
            holder = actor.principal
        async with self._db.tx([actor.tenant]) as tx:
            return await store.page(tx, actor.tenant, holder, state, self._clock(), limit, offset)

    async def after(
        self,
        actor: Actor,
        holder: UUID | None,
        state: State | None,
        *,
        limit: int,
        place: tuple[datetime, UUID] | None = None,
    ) -> list[tuple[Grant, Request]]:
        """List grants as `page` does, each with the request that gave it, from behind the place of the last one."""
        if not actor.may(WORKFLOW_READ):
            if holder not in (None, actor.principal):
                return []
            holder = actor.principal
        async with self._db.tx([actor.tenant]) as tx:
            found = await store.after(tx, actor.tenant, holder, state, self._clock(), place, limit)
            return await _with_requests(tx, actor.tenant, found)

    async def given_by(self, actor: Actor, requests: Collection[UUID]) -> dict[UUID, Grant]:
        """Read what requests gave, by request; whether the caller may see these is settled before."""
        async with self._db.tx([actor.tenant]) as tx:
            return await store.of_requests(tx, actor.tenant, requests)

    async def read_whole(self, actor: Actor, id: UUID) -> tuple[Grant, Request]:
        """Read a grant with the request that gave it. Raises: NoSuchGrant; NotPermitted: as `read`."""
        async with self._db.tx([actor.tenant]) as tx:
            grant = await store.read(tx, actor.tenant, id)
            if grant is None:
                raise no.NoSuchGrant(id)
            if grant.holder != actor.principal:
                actor.demand(WORKFLOW_READ)
            [whole] = await _with_requests(tx, actor.tenant, [grant])
        return whole

    async def read(self, actor: Actor, id: UUID) -> Grant:
        """Raises: NotPermitted: neither theirs nor `workflow:read`, whether or not it exists; NoSuchGrant."""
        async with self._db.tx([actor.tenant]) as tx:
            grant = await store.read(tx, actor.tenant, id)
        if grant is None or grant.holder != actor.principal:
            actor.demand(WORKFLOW_READ)
        if grant is None:
            raise no.NoSuchGrant(id)
        return grant

    async def revoke(self, actor: Actor, id: UUID, reason: str | None, *, hides: bool = True) -> Grant:
        """Give a grant back, or take it away.

        `hides`: whoever may not take away others' grants does not learn which there are.

        Raises: NotPermitted: neither theirs nor `grant:revoke`; NoSuchGrant; GrantEnded.
        """
        at = self._clock()
        async with self._db.tx([actor.tenant]) as tx:
            grant = await store.lock(tx, actor.tenant, id)
            asked = [(actor.tenant, one) for one in {actor.principal, grant.holder if grant else actor.principal}]
            people = People((await view.read(tx, asked, [], at))[actor.tenant].persons)
            if grant is None:
                if hides and not people.person(actor.principal).may(GRANT_REVOKE):
                    raise no.NotPermitted(GRANT_REVOKE)
                raise no.NoSuchGrant(id)
            revoked = rules.revoke(grant, actor.principal, reason, people, at=at)
            after = await _revoked(tx, [grant], revoked, self._new_id, actor)
        self._forget(actor.tenant, grant.holder)
        return after[0]

    async def access(self, actor: Actor, user: UUID) -> list[Access]:
        """List what an account has now. Raises: NotPermitted: neither oneself nor `workflow:read`."""
        if user != actor.principal:
            actor.demand(WORKFLOW_READ)
        at = self._clock()
        async with self._db.tx([actor.tenant]) as tx:
            seen = (await view.read(tx, [(actor.tenant, user)], [], at))[actor.tenant]
            if user not in seen.persons:
                raise no.NoSuchUser(user)
            return await store.access(tx, actor.tenant, user, at) if seen.persons[user].active else []


async def _with_requests(tx: Tx, tenant: UUID, grants: Sequence[Grant]) -> list[tuple[Grant, Request]]:
    held = await requests.load(tx, [one.request for one in grants])
    return [(one, held[Key(tenant, one.request)].request) for one in grants]


async def revoke_all(
    tx: Tx, tenant: UUID, holders: Collection[UUID], at: datetime, reason: str, new_id: Ids, actor: Actor | None = None
) -> list[Grant]:
    """Revoke every live grant of accounts that are deactivated or deleted. Gives the grants as they are now."""
    live = await store.lock_live(tx, tenant, holders, at)
    return await _revoked(tx, live, GrantRevoked(at, actor.principal if actor else None, reason), new_id, actor)


async def revoke_supporting(
    tx: Tx,
    tenant: UUID,
    holder: UUID,
    target: tuple[str, UUID],
    at: datetime,
    reason: str,
    new_id: Ids,
    actor: Actor | None = None,
) -> list[Grant]:
    """Revoke the live grants that would keep a membership alive which has been taken away."""
    live = await store.lock_live(tx, tenant, [holder], at, target)
    return await _revoked(tx, live, GrantRevoked(at, actor.principal if actor else None, reason), new_id, actor)


async def revoke_of_request(
    tx: Tx, tenant: UUID, request: UUID, at: datetime, by: UUID | None, reason: str, new_id: Ids
) -> list[Grant]:
    """Revoke what a request gave, if it is still live."""
    live = await store.lock_live_of_request(tx, tenant, request, at)
    return await _revoked(tx, live, GrantRevoked(at, by, reason), new_id, None)


async def end_due(db: Database, tenant: UUID, clock: Callable[[], datetime], new_id: Ids, most: int) -> int:
    """Tell the world of grants whose time is up; each with its own end, however late. Says of how many."""
    at = clock()
    async with db.tx([tenant]) as tx:
        due = await store.lock_due(tx, tenant, at, most)
        ended = [one for one in due if one.state_at(at) is State.EXPIRED and one.told_at is None]
        told = [replace(one, told_at=at, version=one.version + 1) for one in ended]
        if told:
            await store.write_told(tx, tenant, told)
            happened = [(one, GrantExpired(one.ends_at)) for one in told if one.ends_at is not None]
            await _remember(tx, tenant, happened, new_id, None)
        if due:
            await store.end_timers(tx, tenant, [one.id for one in due])
    return len(due)


async def _revoked(
    tx: Tx, grants: Sequence[Grant], revoked: GrantRevoked, new_id: Ids, actor: Actor | None
) -> list[Grant]:
    if not grants:
        return []
    after = [
        replace(one, revoked_at=revoked.at, revoked_by=revoked.by, reason=revoked.reason, version=one.version + 1)
        for one in grants
    ]
    tenant = grants[0].tenant
    await store.write_revoked(tx, tenant, after)
    await _remember(tx, tenant, [(one, revoked) for one in after], new_id, actor)
    return after


async def _remember(
    tx: Tx, tenant: UUID, happened: Sequence[tuple[Grant, GrantEvent]], new_id: Ids, actor: Actor | None
) -> None:
    how = actor.how if actor else None
    await events.add(
        tx,
        tenant,
        [
            Entry(
                subject_kind="grant",
                subject=grant.id,
                command=new_id(),
                at=event.at,
                type=type(event).__name__,
                actor=actor.principal if actor else None,
                credential=how.credential if how else None,
                surface=how.surface if how else None,
                address=how.address if how else None,
                body=to_builtins(event),
            )
            for grant, event in happened
        ],
    )
    facts = [grant_fact(grant, event, actor.principal if actor else None) for grant, event in happened]
    await owe(tx, tenant, facts, new_id, max(grant.told_at or event.at for grant, event in happened))
