"""The provisioner: what was approved is carried out, soon after it was approved, whoever died in between.

Each execution goes by itself: one that waits for a slow receiver holds up no other.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from quorate.app.operations.executing import Executing
from quorate.app.passing import PASSING

log = logging.getLogger(__name__)

REST_S: Final = 0.5
LONGEST_REST_S: Final = 30.0  # After failures, each of which doubles the rest.
GRACE_S: Final = 2.0  # How long a provisioner that is told to stop waits for what is under way.
MOST, MOST_OF_A_TENANT = 64, 8  # executions under way

Rest = Callable[[float], Awaitable[None]]


class Provisioner:
    """Carries out executions. What is under way goes on between rounds."""

    def __init__(self, executing: Executing) -> None:
        self._executing = executing
        self._under_way: dict[tuple[UUID, UUID], asyncio.Task[None]] = {}

    async def turn(self) -> int:
        """Begin what is due and for which there is room. Says with how many.

        Raises: whatever keeps the database from saying what is due.
        """
        self._executing.approved.clear()
        begun = 0
        for tenant in await self._executing.tenants():
            busy = Counter(of for of, _ in self._under_way)[tenant]
            room = min(MOST - len(self._under_way), MOST_OF_A_TENANT - busy)
            if room <= 0:
                continue
            for id in await self._executing.due(tenant, room + busy):
                if (tenant, id) not in self._under_way:
                    task = asyncio.create_task(self._carry_out(tenant, id), name=f"execution {id}")
                    self._under_way[tenant, id] = task
                    begun += 1
        return begun

    async def pause(self, rest: Awaitable[None]) -> None:
        """Rest, but not past the moment at which something is approved here, or at which there is room again."""
        resting = asyncio.ensure_future(rest)
        woken = asyncio.ensure_future(self._executing.approved.wait())
        try:
            await asyncio.wait({resting, woken}, return_when=asyncio.FIRST_COMPLETED)
            if resting.done():
                resting.result()
        finally:
            resting.cancel()
            woken.cancel()

    async def all_done(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way.values())

    async def stop(self) -> None:
        """Wait a little for what is under way, then let go of it: it is looked at again when its lease ends."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=GRACE_S)
        for task in self._under_way.values():
            task.cancel()
        await self.all_done()

    async def _carry_out(self, tenant: UUID, id: UUID) -> None:
        facts = {"tenant": str(tenant), "execution": str(id)}
        try:
            if await self._executing.carry_out(tenant, id):
                self._executing.approved.set()
        except Exception as error:
            in_full = not isinstance(error, PASSING)
            log.warning("an operation was not carried out: %s", error, exc_info=in_full, extra=facts)
        finally:
            del self._under_way[tenant, id]


async def run(provisioner: Provisioner, *, rest: Rest = asyncio.sleep) -> None:
    """Do rounds, and rest until there may be something to begin. Ends only by being cancelled."""
    failures = 0
    try:
        while True:
            try:
                await provisioner.turn()
                failures = 0
            except Exception as error:
                failures += 1
                in_full = failures == 1 and not isinstance(error, PASSING)
                log.warning("a round failed: %s", error, exc_info=in_full, extra={"failures": failures})
                await rest(min(REST_S * 2**failures, LONGEST_REST_S))
                continue
            await provisioner.pause(rest(REST_S))
    finally:
        await provisioner.stop()
