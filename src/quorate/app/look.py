"""Which people the rules will ask about in a batch, read in one statement after the lock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from quorate.app import filing, tenants
from quorate.app.filing import AskAccess, Asking, AskOperation, Planned, Start
from quorate.app.orders import Order
from quorate.app.schedules import next_moment
from quorate.app.tenants import Rules
from quorate.domain import commands as do
from quorate.domain import lifecycle, routing
from quorate.domain.people import LAST_RESORT, People, mentioned
from quorate.domain.requests import Request
from quorate.domain.workflows import Kind, Leaf
from quorate.store import view
from quorate.store.requests import Held, Key
from quorate.store.tx import Tx

_MANY = (Kind.GROUP, Kind.ROLE, Kind.HOLDER)


async def look(
    tx: Tx,
    rules: Mapping[UUID, Rules],
    held: Mapping[Key, Held],
    orders: Sequence[tuple[Order, Key | None]],
    plans: Mapping[UUID, Planned],
    at: datetime,
) -> dict[UUID, People]:
    """Read the people of a batch: who acts, who is acted for, and who is behind the steps that may open.

    `orders` come with the key of the held request each is about; `plans` belong to orders by their id.
    """
    wanted = _Wanted()
    for one in held.values():
        wanted.about(one.request)
        steps = lifecycle.steps_to_count(one.request, (), at)
        wanted.leaves(one.request.tenant, routing.wanted_leaves(one.request, rules[one.request.tenant].fallback, steps))
    together: dict[Key, list[do.Command | None]] = {}
    for order, key in orders:
        wanted.accounts.update((order.tenant, id) for id in _mentioned(order))
        planned = plans.get(order.id)
        if isinstance(order.what, AskAccess) and order.what.breaks_glass:
            wanted.leaves(order.tenant, LAST_RESORT)
        if planned is not None and planned.route is not None:
            for index in routing.with_those_at_once(planned.route, range(1)):
                wanted.leaves(order.tenant, routing.leaves_to_open(planned.route, rules[order.tenant].fallback, index))
        elif key is not None and key in held and not isinstance(order.what, Asking):
            together.setdefault(key, []).append(order.what)
    for key, commands in together.items():
        request = held[key].request
        steps = lifecycle.steps_to_count(request, commands, at)
        wanted.leaves(key.tenant, routing.wanted_leaves(request, rules[key.tenant].fallback, steps))
        wanted.leaves(key.tenant, (one.to for one in commands if isinstance(one, do.Escalate) and one.to))
    found = await view.read(tx, wanted.accounts, wanted.crowds, at)
    return {
        tenant: People(
            seen.persons, seen.crowds, rules[tenant].self_approval, rules[tenant].fallback, calendar=next_moment
        )
        for tenant, seen in found.items()
    }


async def people_of(tx: Tx, actor: UUID, requests: Iterable[Request], at: datetime) -> People:
    """Read the people that matter when one account looks at requests of the transaction's only tenant."""
    [tenant] = tx.tenants
    rules = (await tenants.rules(tx))[tenant]
    wanted = _Wanted()
    wanted.accounts.add((tenant, actor))
    for request in requests:
        wanted.about(request)
        for state in request.walk:
            wanted.leaves(tenant, request.tree_of(state).every_leaf())
    seen = (await view.read(tx, wanted.accounts, wanted.crowds, at))[tenant]
    return People(seen.persons, seen.crowds, rules.self_approval, rules.fallback)


class _Wanted:
    def __init__(self) -> None:
        self.accounts: set[tuple[UUID, UUID]] = set()
        self.crowds: set[tuple[UUID, Kind, str]] = set()

    def about(self, request: Request) -> None:
        """Want those a request is by or for, and those who have decided its open step or given their say away."""
        ids = set(request.askers())
        if request.walk:
            ids |= request.current.excluded
            ids.update(id for made in request.current.decisions for id in (made.by, made.human))
        self.accounts.update((request.tenant, id) for id in ids)

    def leaves(self, tenant: UUID, leaves: Iterable[Leaf]) -> None:
        """Want those whom leaves name: the one, or the many."""
        for leaf in leaves:
            if leaf.kind in _MANY:
                self.crowds.add((tenant, leaf.kind, leaf.value))
            else:
                self.accounts.update((tenant, id) for id in mentioned([leaf]))


def _mentioned(order: Order) -> set[UUID]:
    """Name the accounts that an order names beside the request it is about."""
    found: set[UUID | None] = {order.actor}
    match order.what:
        case AskAccess() | Start() | AskOperation():
            found.update(filing.accounts(order.what))
        case do.Reassign(to=to, giver=giver):
            found |= {to, giver}
        case do.Decide(actor=actor, through=through):
            found |= {actor, through}
        case do.TakeSeat(giver=giver):
            found.add(giver)
        case _:
            pass
    return {id for id in found if id is not None}
