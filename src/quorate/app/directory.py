"""The desk at which a directory is changed: one change at a time, by whoever may, and each with its history.

Who may give what, and whether an administrator is left, is a question about many rows. So a change first holds its
tenant's directory, then reads who acts, and everything it then sees stays so until it is done.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct

from quorate.app import authority, grants
from quorate.app.actor import Actor
from quorate.app.operations.own import Attempt
from quorate.app.operations.rules import demand_approved
from quorate.app.tell import tell
from quorate.domain import refusals as no
from quorate.domain.people import Person
from quorate.domain.permissions import allows
from quorate.store import accounts, members, view
from quorate.store.database import Database
from quorate.store.events import Entry
from quorate.store.tx import Tx


class Change:
    """One change on its way: its transaction, its moment, and who makes it."""

    def __init__(self, tx: Tx, actor: Actor, acting: Person, at: datetime, new_id: Callable[[], UUID]) -> None:
        self.tx, self.actor, self.acting, self.at, self.new_id = tx, actor, acting, at, new_id

    @property
    def tenant(self) -> UUID:
        return self.actor.tenant

    def demand(self, permission: str) -> None:
        """Raises: NotPermitted."""
        if not self.acting.may(permission):
            raise no.NotPermitted(permission)

    def demand_holding(self, permissions: Iterable[str]) -> None:
        """Hold what is given or taken against what the caller holds. Raises: GivesMore.

        Source: design §6: nobody gives a permission they do not hold. Nor do they take it: who could would stop
        whoever may stop them.
        """
        for permission in sorted(permissions):
            if not allows(self.acting.permissions, permission):
                raise no.GivesMore(permission)

    async def demand_holding_all_of(self, account: UUID) -> None:
        """Let nobody act as an account that may do more than they may themselves, nor stop it. Raises: GivesMore."""
        if account != self.actor.principal:
            self.demand_holding(await self.permissions_of(account))

    async def permissions_of(self, account: UUID) -> frozenset[str]:
        """Read what an account may do, or could do again if it were active."""
        seen = (await view.read(self.tx, [(self.tenant, account)], [], self.at))[self.tenant].persons
        return seen[account].permissions if account in seen else frozenset()

    @asynccontextmanager
    async def keeping_an_administrator(self) -> AsyncIterator[None]:
        """Refuse what is done within if it takes the last administrator away. Raises: LastAdministrator."""
        before = await accounts.has_administrator(self.tx, self.tenant)
        yield
        if before and not await accounts.has_administrator(self.tx, self.tenant):
            raise no.LastAdministrator

    async def revoke_everything(self, account: UUID, reason: str) -> None:
        """End every grant of an account that is deactivated or deleted."""
        await grants.revoke_all(self.tx, self.tenant, {account}, self.at, reason, self.new_id, self.actor)

    async def revoke_supporting(self, account: UUID, target: tuple[str, UUID], reason: str) -> bool:
        """End the grants that would keep an account in a role or a group; says whether there were any."""
        ended = await grants.revoke_supporting(
            self.tx, self.tenant, account, target, self.at, reason, self.new_id, self.actor
        )
        return bool(ended)

    async def revoke_all_of(self, target: tuple[str, UUID], reason: str) -> None:
        """End every grant of a role, group or resource that is deleted."""
        for account in await members.granted(self.tx, self.tenant, target, self.at):
            await self.revoke_supporting(account, target, reason)

    async def happened(self, kind: str, subject: UUID, what: str, body: dict[str, Any], at: datetime) -> None:
        """Write what was done into the history, and owe its messages."""
        how = self.actor.how
        entry = Entry(
            subject_kind=kind,
            subject=subject,
            command=self.new_id(),
            at=at,
            type=what,
            actor=self.actor.principal,
            credential=how.credential,
            surface=how.surface,
            address=how.address,
            body=body if how.agent is None else body | {"userAgent": how.agent},
        )
        await tell(self.tx, self.tenant, [entry], self.new_id)


class Desk:
    """Where changes of a directory begin. Its use cases share one.

    Args:
        forget: told the tenant after every change, so that it counts at once here.
    """

    def __init__(
        self,
        db: Database,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
        forget: Callable[[UUID], None],
    ) -> None:
        self.db, self.clock, self.new_id, self._forget = db, clock, new_id, forget

    @asynccontextmanager
    async def change(
        self, actor: Actor, trying: Attempt | None, permission: str | None = None
    ) -> AsyncIterator[Change]:
        """Begin a change; it is committed, all of it, when the block ends, and undone if anything is raised in it.

        `trying`: what it is as an operation; None: the caller's own affair, which is none. Whether it needs
        approval is asked at the end, when nothing else speaks against it.

        Raises: AccountInactive; NotPermitted: `permission` is not held; ApprovalRequired.
        """
        try:
            async with authority.transaction(self.db, actor) as tx:
                await members.hold_directory(tx, actor.tenant)
                at = self.clock()
                change = Change(tx, actor, await authority.acting(tx, actor, at), at, self.new_id)
                if permission is not None:
                    change.demand(permission)
                yield change
                if trying is not None:
                    await demand_approved(tx, actor, trying)
        finally:
            self._forget(actor.tenant)  # In any case: of a commit one may not know whether it was done.

    @asynccontextmanager
    async def look(self, actor: Actor, permission: str | None = None) -> AsyncIterator[Change]:
        """Begin to read. Raises: as `change`."""
        async with authority.transaction(self.db, actor) as tx:
            at = self.clock()
            seen = Change(tx, actor, await authority.acting(tx, actor, at), at, self.new_id)
            if permission is not None:
                seen.demand(permission)
            yield seen


def said(change: Struct) -> dict[str, Any]:
    """Give what a change says, by field; what is UNSET is left out."""
    return {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
