"""In which ways open tasks may be somebody's: the keys of the inboxes that are theirs now."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from uuid import UUID

from quorate.app import tenants
from quorate.app.tenants import Rules
from quorate.domain.people import People, Person
from quorate.domain.permissions import ADMIN, KNOWN
from quorate.domain.workflows import Joined, Kind, Leaf
from quorate.store import search, view
from quorate.store.bound import Way
from quorate.store.search import Near
from quorate.store.tx import Tx

MANY = (Kind.GROUP, Kind.ROLE, Kind.HOLDER)


async def ways_of(tx: Tx, accounts: Collection[tuple[UUID, UUID]], at: datetime) -> dict[tuple[UUID, UUID], list[Way]]:
    """Work out in which ways open tasks may be those of accounts, each a tenant and an id: by what it is, and by what
    its delegators are.
    """
    rules, views = await tenants.rules(tx), await view.read(tx, accounts, (), at)
    people = {
        tenant: People(seen.persons, seen.crowds, rules[tenant].self_approval, rules[tenant].fallback)
        for tenant, seen in views.items()
    }
    seats = {(tenant, id): _seats(id, people[tenant]) for tenant, id in accounts}
    near = await search.near(tx, {(tenant, id) for (tenant, _), ones in seats.items() for id in _behind(ones)})
    return {account: _ways(ones, people[account[0]], near[account[0]]) for account, ones in seats.items()}


def _seats(account: UUID, people: People) -> list[Person]:
    """Name the account, and whom it may stand in for; nobody if it may not act."""
    caller = people.person(account)
    if not people.is_active(caller.id):
        return []
    return [caller, *(giver for id in caller.delegators if (giver := people.person(id)).active)]


def _behind(seats: Collection[Person]) -> set[UUID]:
    return {id for one in seats for id in (one.id, one.human)}


def _ways(seats: list[Person], people: People, near: Mapping[UUID, Near]) -> list[Way]:
    ways = []
    for one in seats:
        both = (seats[0], one) if one is not seats[0] else (one,)
        shut = tuple(id for who in both for id in (who.id, who.human))
        barred = tuple(id for who in both for id in _accounts(who.human, people, near))
        keys = tuple(_keys(one, near[one.id]))
        fallback = tuple(f"{Joined.FALLBACK}:{key}" for key in keys)
        ways += [Way(keys, shut, () if people.self_approval else barred), Way(fallback, shut, barred)]
    return ways


def _accounts(human: UUID, people: People, near: Mapping[UUID, Near]) -> Iterator[UUID]:
    """Name the accounts behind which this human being stands."""
    if people.human(human) == human:
        yield human
    yield from near[human].owned


def _keys(person: Person, near: Near) -> Iterator[str]:
    """Name the inboxes that are a person's now. The counterpart of `record.inbox_keys`."""
    yield f"{Kind.SERVICE if person.is_service else Kind.USER}:{person.id}"
    yield from (f"{Kind.GROUP}:{group}" for group in person.groups)
    yield from (f"{Kind.ROLE}:{role}" for role in person.roles)
    held = KNOWN | person.permissions if ADMIN in person.permissions else person.permissions
    yield from (f"{Kind.HOLDER}:{permission}" for permission in held)
    yield from (f"{Kind.MANAGER}:{report}" for report in near.reports)


async def seen(
    tx: Tx, accounts: Collection[UUID], leaves: Collection[Leaf], at: datetime, rules: Rules | None = None
) -> People:
    """Read accounts of the transaction's only tenant, and who is behind these leaves. `rules`: its own, if known."""
    [tenant] = tx.tenants
    rules = rules or (await tenants.rules(tx))[tenant]
    crowds = {(tenant, leaf.kind, leaf.value) for leaf in leaves if leaf.kind in MANY}
    found = (await view.read(tx, {(tenant, id) for id in accounts}, crowds, at))[tenant]
    return People(found.persons, found.crowds, rules.self_approval, rules.fallback)
