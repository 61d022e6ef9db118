"""What a tenant's policies say to somebody who asks for access, in the transaction that files the request."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from quorate.app.cedar.question import Question, what, who
from quorate.app.cedar.ready import Ready, Shelf
from quorate.domain.events import Duration
from quorate.domain.grants import span
from quorate.domain.people import Person
from quorate.domain.policy import Outcome
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
            )
        )


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
