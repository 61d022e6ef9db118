"""The door: the only place that changes a request. Lock, decide, record, in one transaction for many commands.

Commands that arrive on a lane while a transaction is in flight wait together and become the next one, and share the
cost of locking, writing and flushing. A lane is a fixed share of the tenants.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from msgspec.structs import replace

from quorate.app import batch
from quorate.app.cedar.ready import Shelf
from quorate.app.lanes import Lane, Unavailable
from quorate.app.numbers import Numbers
from quorate.app.orders import Answer, Done, Order
from quorate.store import history
from quorate.store.database import CommitUnknown, Database, NoRoom, Retryable, Unreachable

log = logging.getLogger(__name__)

TRIES = 6
FIRST_PAUSE = timedelta(milliseconds=50)  # Doubles with every try: about 1.5 s in all, a restart of the database.

_Fate = Answer | Exception


class Door:
    """Takes orders and answers each with what it brought about.

    `lanes` transactions are in flight at a time; tenants are spread over them by their id. `shelf` keeps the tenants'
    policies compiled.
    """

    def __init__(self, db: Database, clock: batch.Clock, new_id: batch.Ids, *, lanes: int = 2) -> None:
        self._clock, self._new_id, self._db = clock, new_id, db
        self.shelf = Shelf()
        self._numbers = Numbers(db)
        self._lanes: list[Lane[Order, Done]] = [Lane(self._run) for _ in range(lanes)]

    async def take(self, order: Order) -> Done:
        """Carry out one order. Whoever is answered has been committed; hanging up cancels nothing.

        Raises:
            Refusal: the rules say no. Nothing has changed, but for what time had done already.
            Unavailable: nothing has changed, and trying again may help.
        """
        lane = self._lanes[order.tenant.int % len(self._lanes)]
        if order.is_asking and not lane.is_closed:
            order = replace(order, number=await self._number(order.tenant))
        return await lane.wait_for(order)

    async def _number(self, tenant: UUID) -> int:
        for tried in range(TRIES):
            try:
                return await self._numbers.take(tenant)
            except NoRoom as error:
                log.error("the database has no room left: %s", error)
                break
            except (Retryable, CommitUnknown):  # Of a block that was taken for nobody nothing is left but a gap.
                await asyncio.sleep(FIRST_PAUSE.total_seconds() * 2**tried)
        raise Unavailable

    async def close(self) -> None:
        """Let what is in flight end. Orders that come later are refused as unavailable."""
        for lane in self._lanes:
            await lane.close()

    async def _run(self, orders: Sequence[Order]) -> list[_Fate]:
        """Answer a batch: in one transaction if that goes well, else in smaller ones, so that each has its own fate."""
        answers: list[_Fate | None] = [None] * len(orders)
        await self._attempt(orders, list(range(len(orders))), answers, tries=TRIES, pause=FIRST_PAUSE)
        return [answer if answer is not None else Unavailable() for answer in answers]

    async def _attempt(
        self,
        orders: Sequence[Order],
        places: list[int],
        answers: list[_Fate | None],
        tries: int,
        pause: timedelta,
    ) -> None:
        chosen = [orders[place] for place in places]
        try:
            found = await batch.run(self._db, chosen, self._clock, self._new_id, self.shelf)
        except CommitUnknown:
            places = await self._settle_unknown(orders, places, answers)
            if tries > 1:
                await asyncio.sleep(pause.total_seconds())
                await self._again(orders, places, answers, tries - 1, pause * 2)
        except NoRoom as error:
            log.error("the database has no room left: %s", error, extra={"size": len(chosen)})
        except Unreachable:
            # No command is at fault, so there is nothing to find out by running them in smaller batches.
            if tries > 1:
                await asyncio.sleep(pause.total_seconds())
                await self._attempt(orders, places, answers, tries - 1, pause * 2)
        except Retryable as error:
            if tries <= 1:
                log.warning("batch given up", extra={"size": len(chosen), "reason": type(error).__name__})
                return
            if tries < TRIES:
                await asyncio.sleep(pause.total_seconds())
            await self._again(orders, places, answers, tries - 1, pause * 2)
        except Exception as error:
            if len(places) == 1:
                log.exception("command failed", extra={"command": str(chosen[0].id)})
                answers[places[0]] = error
                return
            await self._again(orders, places, answers, tries, pause)
        else:
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer

    async def _again(
        self,
        orders: Sequence[Order],
        places: list[int],
        answers: list[_Fate | None],
        tries: int,
        pause: timedelta,
    ) -> None:
        """Run what is left in two halves, one after the other."""
        middle = (len(places) + 1) // 2
        for half in (places[:middle], places[middle:]):
            if half:
                await self._attempt(orders, half, answers, tries, pause)

    async def _settle_unknown(
        self, orders: Sequence[Order], places: list[int], answers: list[_Fate | None]
    ) -> list[int]:
        """After a COMMIT whose outcome is unknown: answer from history what it knows; give back the rest."""
        pause = FIRST_PAUSE
        for _ in range(TRIES):
            try:
                known = await self._from_history([orders[place] for place in places])
                break
            except (Retryable, CommitUnknown):
                await asyncio.sleep(pause.total_seconds())
                pause *= 2
        else:
            return []  # Nobody can tell; the callers are told to ask again, and their ids will find out.
        for place in places:
            if (done := known.get(orders[place].id)) is not None:
                answers[place] = done
        return [place for place in places if answers[place] is None]

    async def _from_history(self, orders: Sequence[Order]) -> dict[UUID, Done]:
        async with self._db.tx({order.tenant for order in orders}) as tx:
            known = await history.carried_out(tx, [order.id for order in orders])
            return {
                command: replace(await batch.done_before(tx, tenant, request, seq, command), replayed=False)
                for command, (tenant, request, seq) in known.items()
            }
