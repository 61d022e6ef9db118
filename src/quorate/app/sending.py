"""What a courier does to the outbox: claims what is due, and settles what became of it.

Nothing here touches the network. A courier that dies between claiming and settling leaves a message that is due again
when its lease ends, and so may be sent twice; never not at all.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from random import uniform
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.app.batch import Clock, Ids
from quorate.app.seal import BadSecretKey, Sealer
from quorate.app.tell import tell
from quorate.app.webhooks import purpose
from quorate.domain.messages import Payload
from quorate.store import outbox, webhooks
from quorate.store.database import Database
from quorate.store.due import tenants_with_due
from quorate.store.events import Entry
from quorate.store.outbox import Claimed, Tried

LEASE: Final = timedelta(minutes=2)  # Longer than the slowest send we allow: a minute for a turn, and 30 s.
TRIED_FOR: Final = timedelta(hours=24)  # From the first attempt on.
FIRST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(hours=6)
GROWTH: Final = 3
JITTER: Final = 0.2  # So that what failed together does not come back together.
TENANTS: Final = 1_024  # looked at in a round
BURIED: Final = 1_000  # in a transaction
SENT_KEPT_FOR, DEAD_KEPT_FOR = timedelta(days=7), timedelta(days=30)
GONE: Final = 410


class Parcel(Struct, frozen=True):
    """A message in hand: whose, for which webhook, where to, what it says, and the secret that signs it.

    `secret` is None where it cannot be opened.
    """

    tenant: UUID
    id: UUID
    webhook: UUID
    url: str
    body: bytes
    secret: str | None
    attempts: int
    tried_since: datetime
    leased_until: datetime


class Sent(Struct, frozen=True):
    """What became of an attempt, and when the receiver wants the next at the earliest."""

    tried: Tried
    retry_after_s: int = 0

    @property
    def has_arrived(self) -> bool:
        return self.tried.status is not None and 200 <= self.tried.status < 300


class Sending:
    """The outbox as couriers use it.

    Args:
        db: as the workers see it.
        jitter: gives what the rest before the next attempt is multiplied by.
    """

    def __init__(
        self,
        db: Database,
        seal: Sealer,
        *,
        clock: Clock,
        new_id: Ids,
        jitter: Callable[[], float] = lambda: uniform(1 - JITTER, 1 + JITTER),  # noqa: S311  # Not a secret.
    ) -> None:
        self._db, self._seal, self._clock, self._new_id, self._jitter = db, seal, clock, new_id, jitter

    async def tenants(self) -> list[UUID]:
        """Name tenants that have messages due, the most overdue first."""
        return await tenants_with_due(self._db, "outbox", self._clock(), TENANTS)

    async def claim(self, tenant: UUID, room: int, each: int, busy: Mapping[UUID, int]) -> list[Parcel]:
        """Take messages of a tenant that are due, for a lease; bury those whose webhook is gone or disabled.

        Args:
            room: how many at most.
            each: how many at most to one webhook, among which `busy` says how many are on their way.
        """
        at = self._clock()
        async with self._db.tx([tenant]) as tx:
            await outbox.bury(tx, tenant, at, BURIED)
            claimed = await outbox.claim(tx, tenant, at, at + LEASE, room, each, busy)
        return [self._parcel(tenant, one) for one in claimed]

    async def settle(self, parcel: Parcel, sent: Sent) -> None:
        """Log an attempt, and say what follows: it has arrived, is tried again later, or is dead.

        A receiver that answers 410 has its webhook disabled, and an event says so.
        """
        at = self._clock()
        async with self._db.tx([parcel.tenant]) as tx:
            await outbox.attempted(tx, parcel.tenant, parcel.id, sent.tried)
            if sent.has_arrived:
                await outbox.sent(tx, parcel.tenant, parcel.id, at)
                return
            gone = sent.tried.status == GONE
            again_at = None if gone else next_try(parcel, sent, at, self._jitter())
            if again_at is not None:
                await outbox.put_off(tx, parcel.tenant, parcel.id, parcel.leased_until, again_at)
                return
            await outbox.give_up(tx, parcel.tenant, parcel.id, parcel.leased_until, at)
            why = "its receiver answered 410 Gone"
            if gone and await webhooks.disable(tx, parcel.tenant, parcel.webhook, at, why):
                disabled = Entry(
                    subject_kind="webhook",
                    subject=parcel.webhook,
                    command=self._new_id(),
                    at=at,
                    type="webhook.disabled",
                    actor=None,
                    body={"why": why},
                )
                await tell(tx, parcel.tenant, [disabled], self._new_id)

    def _parcel(self, tenant: UUID, one: Claimed) -> Parcel:
        try:
            secret = self._seal.open(one.sealed, tenant=tenant, purpose=purpose(one.webhook)).decode()
        except BadSecretKey:
            secret = None
        return Parcel(
            tenant,
            one.id,
            one.webhook,
            one.url,
            as_sent(one.body),
            secret,
            one.attempts,
            one.tried_since,
            one.leased_until,
        )


def next_try(parcel: Parcel, sent: Sent, at: datetime, jitter: float) -> datetime | None:
    """Say when a message that did not arrive is tried again; None when it has had its time.

    The rest grows threefold up to six hours, and the last attempt is made when the time is over.
    """
    end = parcel.tried_since + TRIED_FOR
    if at >= end:
        return None
    # Past the tenth attempt the rest is the longest anyway; the power would grow without bound.
    growth: int = GROWTH ** min(parcel.attempts - 1, 10)
    rest = min(FIRST_REST * growth, LONGEST_REST) * jitter
    wanted = timedelta(seconds=min(sent.retry_after_s, LONGEST_REST.total_seconds()))
    return min(at + max(rest, wanted), end)


def as_sent(body: bytes) -> bytes:
    """Give a kept message its keys in their order: the database keeps them in an order of its own."""
    return msgspec.json.encode(msgspec.json.decode(body, type=Payload))
