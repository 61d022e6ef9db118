"""Asks inside the transaction that acts whether its actor still may: what was true at the door of the house
may no longer be true at the desk. Source: design §3, rule 9.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from quorate.app.actor import Actor
from quorate.domain.people import People, Person
from quorate.domain.refusals import AccountInactive, NotPermitted
from quorate.store import view
from quorate.store.database import Database
from quorate.store.tx import Tx


@asynccontextmanager
async def transaction(db: Database, actor: Actor) -> AsyncIterator[Tx]:
    """The transaction an actor acts in: their own, or that of the operation which is carried out in their name."""
    if actor.mandate is not None:
        async with actor.mandate.part() as tx:
            yield tx
    else:
        async with db.tx({actor.tenant}) as tx:
            yield tx


async def demand(tx: Tx, actor: Actor, permission: str, at: datetime) -> None:
    """Hold a permission against the directory as this transaction sees it.

    Raises:
        AccountInactive: the account, or the owner of a service, may do nothing any more.
        NotPermitted: it does not hold the permission.
    """
    if not (await acting(tx, actor, at)).may(permission):
        raise NotPermitted(permission)


async def acting(tx: Tx, actor: Actor, at: datetime) -> Person:
    """Read who acts, as this transaction sees them.

    Raises:
        AccountInactive: the account, or the owner of a service, may do nothing any more.
    """
    seen = (await view.read(tx, [(actor.tenant, actor.principal)], [], at))[actor.tenant]
    people = People(seen.persons)
    if not people.is_active(actor.principal):
        raise AccountInactive(actor.principal)
    return people.person(actor.principal)
