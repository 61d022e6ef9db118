"""The courier: what is owed to the world is sent, and sent again until it arrives or has had its time.

Each message goes by itself: those of one webhook may overtake each other. A receiver that is slow holds up its own
messages and nobody else's: so many may be on their way at once for a webhook, for a tenant, for a host and in all.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from msgspec import Struct

from quorate.app.outgoing import Outgoing
from quorate.app.passing import PASSING
from quorate.app.sending import Parcel, Sending, Sent
from quorate.workers.senders import webhook

log = logging.getLogger(__name__)

REST_S: Final = 0.5
LONGEST_REST_S: Final = 30.0  # After failures, each of which doubles the rest.
TURN_S: Final = 60.0  # How long a message may wait for its host; its lease outlasts that and the sending.
GRACE_S: Final = 2.0  # How long a courier that is told to stop waits for those on their way.

Rest = Callable[[float], Awaitable[None]]


class Limits(Struct, frozen=True):
    """How many messages may be on their way at once."""

    webhook: int = 4
    tenant: int = 16
    host: int = 8
    all: int = 256


class Courier:
    """Carries messages. What is on its way goes on between rounds.

    Args:
        clock: says the moment that is signed.
    """

    def __init__(
        self, sending: Sending, outgoing: Outgoing, clock: Callable[[], datetime], limits: Limits | None = None
    ) -> None:
        self._sending, self._outgoing, self._clock = sending, outgoing, clock
        self._limits = limits or Limits()
        self._on_their_way: dict[asyncio.Task[None], Parcel] = {}
        self._doors: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._back = asyncio.Event()

    async def turn(self) -> int:
        """Set out with what is due and for which there is room. Says with how many.

        Raises: whatever keeps the database from saying what is due.
        """
        self._back.clear()
        taken = 0
        for tenant in await self._sending.tenants():
            busy = Counter(one.webhook for one in self._on_their_way.values() if one.tenant == tenant)
            room = min(self._limits.tenant - busy.total(), self._limits.all - len(self._on_their_way))
            if room <= 0:
                continue
            parcels = await self._sending.claim(tenant, room, self._limits.webhook, busy)
            for parcel in parcels:
                task = asyncio.create_task(self._carry(parcel), name=f"message {parcel.id}")
                self._on_their_way[task] = parcel
                task.add_done_callback(self._is_back)
            taken += len(parcels)
        return taken

    async def pause(self, rest: Awaitable[None]) -> None:
        """Rest, but not past the moment at which one comes back: there may be room for another now."""
        resting, back = asyncio.ensure_future(rest), asyncio.ensure_future(self._back.wait())
        try:
            await asyncio.wait({resting, back}, return_when=asyncio.FIRST_COMPLETED)
            if resting.done():
                resting.result()
        finally:
            resting.cancel()
            back.cancel()

    async def all_back(self) -> None:
        """Wait until nothing is on its way."""
        while self._on_their_way:
            await asyncio.wait(self._on_their_way)

    async def stop(self) -> None:
        """Wait a little for what is on its way, then let go of it: it is due again when its lease ends."""
        if self._on_their_way:
            await asyncio.wait(self._on_their_way, timeout=GRACE_S)
        for task in self._on_their_way:
            task.cancel()
        await self.all_back()

    async def _carry(self, parcel: Parcel) -> None:
        facts = {"tenant": str(parcel.tenant), "webhook": str(parcel.webhook), "message_id": str(parcel.id)}
        try:
            sent = await self._in_turn(parcel)
            if sent is None:
                log.info("a message waited too long for others to the same host", extra=facts)
                return
            await self._sending.settle(parcel, sent)
        except Exception as error:
            # It is due again when its lease ends.
            log.warning("a message was not settled: %s", error, exc_info=not isinstance(error, PASSING), extra=facts)
        else:
            log.debug("a message was tried", extra={**facts, "status": sent.tried.status})

    async def _in_turn(self, parcel: Parcel) -> Sent | None:
        """Send when there is room at the host; None when there is not for too long."""
        host = urlsplit(parcel.url).hostname or ""
        door = self._doors.get(host) or asyncio.Semaphore(self._limits.host)
        self._doors[host] = door  # Kept only while somebody holds it.
        try:
            async with asyncio.timeout(TURN_S):
                await door.acquire()
        except TimeoutError:
            return None
        try:
            return await webhook.send(parcel, self._outgoing, self._clock())
        finally:
            door.release()

    def _is_back(self, task: "asyncio.Task[None]") -> None:
        del self._on_their_way[task]
        self._back.set()


async def run(courier: Courier, *, rest: Rest = asyncio.sleep) -> None:
    """Do rounds back to back while there is something to take, and rest when not. Ends only by being cancelled."""
    failures = 0
    try:
        while True:
            try:
                taken = await courier.turn()
                failures = 0
            except Exception as error:
                failures += 1
                # The database's absence is no mistake of ours; any other failure is told in full, once in a row.
                in_full = failures == 1 and not isinstance(error, PASSING)
                log.warning("a round of the courier failed: %s", error, exc_info=in_full, extra={"failures": failures})
                await rest(min(REST_S * 2**failures, LONGEST_REST_S))
                continue
            await (rest(0) if taken else courier.pause(rest(REST_S)))
    finally:
        await courier.stop()
