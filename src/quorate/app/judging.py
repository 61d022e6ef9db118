"""What a tenant's policies say to somebody who asks for access, in the transaction that files the request."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from quorate.app.cedar.question import Question, what, who
from quorate.app.cedar.ready import Ready, Shelf
from quorate.app.cedar.schema import APPROVE
from quorate.app.record import NOWHERE, Origin
from quorate.domain.events import Duration
from quorate.domain.grants import span
from quorate.domain.people import Person
from quorate.domain.policy import Outcome
from quorate.domain.requests import Request
from quorate.store import policies as store
from quorate.store.policies import Thing
from quorate.store.tx import Tx

Wanted = tuple[UUID, str, UUID]
"""A tenant, `role` | `group` | `resource`, and the id of what is asked for."""


class Judge(Struct, frozen=True):
    """A tenant's policies, and what is asked for: ready to answer at once."""

    ready: Ready
    kind: str
    thing: Thing

    def says(
        self,
        beneficiary: Person,
        *,
        actor: UUID,
        action: str,
        duration: Duration | None,
        reason: str | None,
        at: datetime,
        origin: Origin = NOWHERE,
    ) -> Outcome:
        """Give what the policies decide about an action on the thing."""
        asked_s = int(span(duration).total_seconds()) if duration else None
        about = what(self.kind, self.thing, self.ready.vocabulary)
        return self.ready.ask(
            Question(
                who=who(beneficiary),
                what=about,
                action=action,
                at=at,
                duration_seconds=asked_s,
                reason=reason,
                requester=actor,
                surface=origin.surface or "",
                address=origin.address or "",
            )
        )


async def may_approve(
    tx: Tx, shelf: Shelf, asked: Sequence[tuple[Request, Person]], at: datetime
) -> frozenset[tuple[UUID, UUID]]:
    """Find who may approve a request because a policy says so: pairs of request and account.

    A rule must permit the action `approve` by name: what permits everything was not written with this in mind.
    """
    ready = await shelf.ready(tx)
    open_to = [
        (request, person, request.filing.target)
        for request, person in asked
        if request.filing.target and request.tenant in ready and not ready[request.tenant].compiled.is_empty
    ]
    wanted = {(request.tenant, target.type, UUID(target.id)) for request, _, target in open_to}
    things = await store.things(tx, wanted) if wanted else {}
    found = set()
    for request, person, target in open_to:
        id, tenants = UUID(target.id), ready[request.tenant]
        unregistered = Thing(
            id=id, kind=target.own_type or target.type, name=target.name, external_id=target.external_id
        )
        judge = Judge(tenants, target.type, things.get((request.tenant, target.type, id), unregistered))
        filing = request.filing
        outcome = judge.says(
            person, actor=person.id, action=APPROVE, duration=filing.duration, reason=filing.justification, at=at
        )
        if outcome.is_permitted and tenants.compiled.speaks_of(APPROVE, outcome.rules):
            found.add((request.id, person.id))
    return frozenset(found)


async def judges(
    tx: Tx, shelf: Shelf, wanted: Sequence[Wanted], unregistered: Mapping[Wanted, Thing]
) -> dict[Wanted, Judge]:
    """Make the judges of what is asked for, where a tenant has policies at all. `unregistered`: what has no row."""
    ready = await shelf.ready(tx)
    judged = {one for one in wanted if one[0] in ready and not ready[one[0]].compiled.is_empty}
    rows = judged - unregistered.keys()
    things = await store.things(tx, rows) if rows else {}
    things |= {one: unregistered[one] for one in judged & unregistered.keys()}
    return {one: Judge(ready[one[0]], one[1], thing) for one, thing in things.items()}
