"""Delegations: who may use whose say, from when until when. What the rules make of one is in `domain.routing`."""

from datetime import datetime
from uuid import UUID

from quorate.app.actor import Actor
from quorate.app.directory import Change, Desk
from quorate.app.operations.own import attempt
from quorate.app.people import user_there
from quorate.domain import refusals as no
from quorate.domain.permissions import WORKFLOW_WRITE
from quorate.store import delegations as store
from quorate.store import people
from quorate.store.people import Delegation

__all__ = ["Delegation", "Delegations"]


class Delegations:
    """The use cases: for one's own say, and with `workflow:write` for anybody's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def page(self, actor: Actor, limit: int, offset: int) -> tuple[list[Delegation], int]:
        """Read a page of delegations, the last to start first, and how many there are in all.

        Without `workflow:write` only those from or to oneself are there.
        """
        async with self._desk.look(actor) as look:
            of = None if look.acting.may(WORKFLOW_WRITE) else actor.principal
            return await store.page(look.tx, look.tenant, of, limit, offset)

    async def create(
        self, actor: Actor, giver: UUID | None, to: UUID, starts_at: datetime, ends_at: datetime
    ) -> Delegation:
        """Let `to` use the say of `giver` (None: the caller's) from one moment until another.

        Raises: NotPermitted: it is another's say; BadReference: somebody is no active user, or is both, or the span
            ends before it begins or has ended.
        """
        async with self._desk.change(actor, attempt("POST", "delegations")) as change:
            giver = giver or actor.principal
            if giver != actor.principal:
                change.demand(WORKFLOW_WRITE)
            if ends_at <= starts_at or ends_at <= change.at:
                raise no.BadReference("endsAt", "must be after startsAt, and in the future")
            if giver == to:
                raise no.BadReference("to", "nobody delegates to themselves")
            if giver != actor.principal and to == change.acting.human:  # Rule 11 would have a way around.
                raise no.BadReference("to", "nobody takes another's say for themselves")
            await _demand_user(change, "from", giver)
            await _demand_user(change, "to", to)
            new = Delegation(
                id=change.new_id(), from_id=giver, to_id=to, starts_at=starts_at, ends_at=ends_at, created_at=change.at
            )
            await people.put_delegations(change.tx, change.tenant, [new])
            await change.happened("delegation", new.id, "delegation.created", _shown(new), change.at)
        return new

    async def delete(self, actor: Actor, id: UUID) -> None:
        """End a delegation, or take it back before it begins.

        Raises: NotPermitted: it is another's, whether or not it exists; NoSuchTarget.
        """
        async with self._desk.change(actor, attempt("DELETE", "delegations", id)) as change:
            found = await store.lock(change.tx, change.tenant, id)
            if found is None or found.from_id != actor.principal:
                change.demand(WORKFLOW_WRITE)
            if found is None:
                raise no.NoSuchTarget("delegation", str(id))
            await people.remove_delegations(change.tx, change.tenant, [id])
            await change.happened("delegation", id, "delegation.deleted", _shown(found), change.at)


async def _demand_user(change: Change, field: str, id: UUID) -> None:
    found = await user_there(change, id)
    if found is None or found.status != "active":
        raise no.BadReference(field, "is no active user of this tenant")


def _shown(one: Delegation) -> dict[str, str]:
    """What history keeps of a delegation."""
    return {
        "from": str(one.from_id),
        "to": str(one.to_id),
        "startsAt": one.starts_at.isoformat(),
        "endsAt": one.ends_at.isoformat(),
    }
