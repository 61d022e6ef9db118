"""What anybody signed in may ask for, and what a request is about, in the words of the directory as it is now."""

from collections.abc import Collection, Iterator
from typing import Final
from uuid import UUID

from msgspec import Struct

from quorate.app.actor import Actor
from quorate.app.asking import as_id
from quorate.domain import refusals as no
from quorate.domain.grants import Grant
from quorate.domain.requests import Request
from quorate.domain.workflows import Kind, Leaf
from quorate.store import grants
from quorate.store import offers as store
from quorate.store.database import Database
from quorate.store.directory import Resource
from quorate.store.offers import Names

__all__ = ["Around", "Offer", "Offers", "Resource"]

MOST: Final = 10_000  # resources in one answer


class Offer(Struct, frozen=True):
    """A resource, and the one that it stands under."""

    outer: Resource
    inner: Resource


class Around(Struct, frozen=True):
    """What requests are about and who has to do with them: resources by id, names, managers by account, and the access
    that was given, by request.
    """

    resources: dict[UUID, Resource]
    names: Names
    managers: dict[UUID, UUID]
    grants: dict[UUID, Grant]

    def account(self, id: UUID | None) -> str | None:
        """Say what somebody signs in with; of a service, its name."""
        return self.names.accounts.get(id) if id is not None else None


class Offers:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self, actor: Actor) -> list[Offer]:
        """List what stands under something else, by name; at most as much as `MOST` resources hold."""
        async with self._db.tx([actor.tenant]) as tx:
            found = await store.offered(tx, actor.tenant, MOST)
        by_id = {one.id: one for one in found}
        return [Offer(by_id[one.parent_id], one) for one in found if one.parent_id in by_id]

    async def find(self, actor: Actor, outer: str, inner: str) -> Resource:
        """Find what goes by `inner`, under what goes by `outer`. Raises: NoSuchTarget: nothing does, or several do."""
        async with self._db.tx([actor.tenant]) as tx:
            found = await store.under(tx, actor.tenant, outer, inner, as_id(outer), as_id(inner))
        if len(found) != 1:
            raise no.NoSuchTarget("resource", f"{outer}/{inner}")
        return found[0]

    async def around(self, actor: Actor, requests: Collection[Request]) -> Around:
        """Read what is to be said beside requests; whether the caller may see these is settled before."""
        tenant = actor.tenant
        targets = {id for one in requests if one.filing.target and (id := as_id(one.filing.target.id))}
        leaves = {leaf for one in requests for leaf in leaves_of(one)}
        sets = {id for leaf in leaves if leaf.kind in (Kind.GROUP, Kind.ROLE) and (id := as_id(leaf.value))}
        people = {id for leaf in leaves if leaf.names_one and (id := as_id(leaf.value))}
        people |= {id for one in requests for id in (*one.askers(), one.closed_by) if id is not None}
        managed = {id for one in requests for id in _managed(one)}
        async with self._db.tx([tenant]) as tx:
            managers = await store.managers(tx, tenant, managed) if managed else {}
            return Around(
                await store.with_outer(tx, tenant, targets),
                await store.names(tx, tenant, people | set(managers.values()), sets),
                managers,
                await grants.of_requests(tx, tenant, [one.id for one in requests]),
            )


def leaves_of(request: Request) -> Iterator[Leaf]:
    """Name who may decide the step that is open, or was when the request ended."""
    if request.walk:
        yield from request.tree.every_leaf()


def _managed(request: Request) -> Iterator[UUID]:
    """Name whose managers may decide."""
    for leaf in leaves_of(request):
        if leaf.kind is Kind.MANAGER and (managed := leaf.managed(request.beneficiary)) is not None:
            yield managed
