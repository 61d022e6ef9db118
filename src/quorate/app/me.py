"""What an account may know of itself."""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from quorate.app.actor import Actor, NotSignedIn
from quorate.store import people, signin, tenants, view
from quorate.store.database import Database
from quorate.store.people import Principal

__all__ = ["Me", "Principal", "me"]


class Me(Struct, frozen=True):
    """An account with its roles' names, all it may do, whether it has a second factor, and its tenant's name."""

    principal: Principal
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    has_second_factor: bool
    tenant_name: str


async def me(db: Database, actor: Actor, clock: Callable[[], datetime]) -> Me:
    """Read the caller's own account. Raises: NotSignedIn: it is gone since."""
    at = clock()
    async with db.tx({actor.tenant}) as tx:
        principal = (await people.principals_by_id(tx, actor.tenant, [actor.principal])).get(actor.principal)
        account = await signin.account(tx, actor.tenant, actor.principal, at)
        [tenant] = await tenants.tenants(tx)
        seen = await view.read(tx, [(actor.tenant, actor.principal)], [], at)
    if principal is None or account is None:
        raise NotSignedIn
    factors = seen[actor.tenant].persons[actor.principal].sign_counts
    return Me(principal, account.roles, tuple(sorted(account.permissions)), bool(factors), tenant.name)
