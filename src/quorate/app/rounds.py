"""What the clock brings about: requests whose time is up, steps whose approvers have gone, reminders, and tidying."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from quorate.app.batch import KEPT_FOR, Clock, Ids, lapse_due
from quorate.app.grants import end_due
from quorate.app.passing import PASSING
from quorate.app.sending import DEAD_KEPT_FOR, SENT_KEPT_FOR
from quorate.store import due, outbox
from quorate.store.database import Database, NoRoom, Unreachable
from quorate.store.grants import TIMER

log = logging.getLogger(__name__)

KINDS = ("request", "recheck", "target", "reminder")
TENANTS = 256  # a round
REQUESTS = 64  # a transaction
ROWS = 5_000  # removed in a transaction
BUSY, QUIET = timedelta(seconds=30), timedelta(minutes=5)  # When a tenant is tidied next.
OVER_FOR = timedelta(hours=24)  # How long a session that has ended is kept.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=1)


class Did(Struct, frozen=True):
    """What a round did: to how many requests or rows, in how many tenants it failed, and whether more is waiting."""

    done: int = 0
    failed: int = 0
    more: bool = False


class Rounds:
    """Bounded pieces of work, tenant by tenant.

    A tenant whose work fails is left alone for a while, longer each time, and keeps no other tenant waiting.

    Args:
        db: as the workers see it.
    """

    def __init__(self, db: Database, clock: Clock, new_id: Ids) -> None:
        self._db, self._clock, self._new_id = db, clock, new_id
        self._pauses: dict[tuple[str, UUID], tuple[datetime, timedelta]] = {}

    async def lapse(self) -> Did:
        """Do what time, or a change to the directory, has brought about; remind; tell of grants that have ended.

        Raises: whatever keeps the database from saying which tenants have work.
        """
        did = [await self._round(kind, self._lapse(kind)) for kind in KINDS]
        return _sum([*did, await self._round(TIMER, self._end_grants)])

    async def tidy(self) -> Did:
        """Fold the counts of tenants, remove replays that are too old to be used, sessions that are long over,
        challenges that were never taken, and messages that have had their time.

        Raises: whatever keeps the database from saying which tenants have work.
        """
        return await self._round(due.TIDY, self._tidy)

    async def _round(self, kind: str, work: Callable[[UUID], Awaitable[Did]]) -> Did:
        at = self._clock()
        tenants = await due.tenants_with_due(self._db, kind, at, TENANTS)
        did = [await self._in_tenant(kind, tenant, work, at) for tenant in tenants]
        return _sum([*did, Did(more=len(tenants) == TENANTS and any(one.done for one in did))])

    async def _in_tenant(self, kind: str, tenant: UUID, work: Callable[[UUID], Awaitable[Did]], at: datetime) -> Did:
        again_at, pause = self._pauses.get((kind, tenant), (at, FIRST_PAUSE / 2))
        if at < again_at:
            return Did()
        try:
            did = await work(tenant)
        except (NoRoom, Unreachable):
            raise  # It is not this tenant's work that fails.
        except Exception as error:
            pause = min(2 * pause, LONGEST_PAUSE)
            self._pauses[kind, tenant] = (at + pause, pause)
            facts = {"kind": kind, "tenant": str(tenant), "pause_s": pause.total_seconds()}
            log.error("due work failed: %s", error, exc_info=not isinstance(error, PASSING), extra=facts)
            return Did(failed=1)
        self._pauses.pop((kind, tenant), None)
        return did

    def _lapse(self, kind: str) -> Callable[[UUID], Awaitable[Did]]:
        async def lapse(tenant: UUID) -> Did:
            done = await lapse_due(self._db, tenant, kind, self._clock, self._new_id, REQUESTS)
            return Did(done, more=done == REQUESTS)

        return lapse

    async def _end_grants(self, tenant: UUID) -> Did:
        done = await end_due(self._db, tenant, self._clock, self._new_id, REQUESTS)
        return Did(done, more=done == REQUESTS)

    async def _tidy(self, tenant: UUID) -> Did:
        at = self._clock()
        async with self._db.tx([tenant]) as tx:
            if not await due.claim_tidying(tx, tenant, at):
                return Did()
            folded = await due.fold_counts(tx, tenant)
            replays = await due.forget_replays(tx, tenant, at - KEPT_FOR, ROWS)
            sessions = await due.forget_sessions(tx, tenant, at - OVER_FOR, ROWS)
            challenges = await due.forget_challenges(tx, tenant, at, ROWS)
            messages = await outbox.forget(tx, tenant, at - SENT_KEPT_FOR, at - DEAD_KEPT_FOR, ROWS)
            more = ROWS in (replays, sessions, challenges) or messages >= ROWS
            done = folded + replays + sessions + challenges + messages
            await due.put_off_tidying(tx, tenant, at if more else at + (BUSY if done else QUIET))
        return Did(done, more=more)


def _sum(did: list[Did]) -> Did:
    return Did(
        sum(one.done for one in did),
        sum(one.failed for one in did),
        any(one.more for one in did),
    )
