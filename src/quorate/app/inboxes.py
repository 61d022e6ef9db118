"""The tasks that wait for somebody: the inboxes of all who ask at the same time are read together."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from quorate.app.actor import Actor
from quorate.app.lanes import Lane, each_its_own
from quorate.app.recent import Recent
from quorate.app.ways import ways_of
from quorate.domain.requests import StepState
from quorate.store import requests, search
from quorate.store.database import Database
from quorate.store.requests import Held, Key
from quorate.store.search import Glance, OpenTask
from quorate.store.tx import Tx

Listed = TypeVar("Listed")

AT_ONCE: Final = 2
LONG: Final = 1000  # tasks: who has more is counted for milliseconds, and others are not to wait for that
MOST_LONG: Final = 10_000  # accounts
MOST_KEPT: Final = 4096  # tasks, some 6 kB each


class Page(Struct, Generic[Listed], frozen=True):
    """A part of a list, and how many there are in all."""

    items: tuple[Listed, ...]
    total: int


class Task(Struct, frozen=True):
    """An open step as its approvers see it: the task's id, the request, the step."""

    id: UUID
    held: Held
    state: StepState


class _Asked(Struct, frozen=True):
    tenant: UUID
    account: UUID
    limit: int
    offset: int


class Inboxes:
    """Reads inboxes. A request that has not changed since it was last read is not read again, only looked for."""

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db, self._clock = db, clock
        self._lane = Lane(each_its_own(self._read), at_once=AT_ONCE)
        self._long_lane = Lane(each_its_own(self._read), at_once=AT_ONCE)
        self._long: Recent[tuple[UUID, UUID], bool] = Recent(MOST_LONG)
        self._tasks: Recent[UUID, Task] = Recent(MOST_KEPT)

    async def page(self, actor: Actor, *, limit: int, offset: int) -> Page[Task]:
        """List the open tasks that the caller can decide now, newest request first.

        Those whose inbox was long the last time wait for each other alone.
        """
        account = (actor.tenant, actor.principal)
        lane = self._long_lane if self._long.get(account) else self._lane
        page = await lane.wait_for(_Asked(*account, limit, offset))
        is_long = page.total > LONG
        if is_long != (lane is self._long_lane):
            self._long.put(account, is_long)
        return page

    async def _read(self, asked: Sequence[_Asked]) -> list[Page[Task] | Exception]:
        at = self._clock()
        async with self._db.tx({one.tenant for one in asked}) as tx:
            ways = await ways_of(tx, {(one.tenant, one.account) for one in asked}, at)
            glances = [Glance(one.tenant, ways[one.tenant, one.account], one.limit, one.offset) for one in asked]
            found = await search.inboxes(tx, glances, at)
            listed = [[self._known(one) for one in every] for every, _ in found]
            missing = {
                one
                for (every, _), known in zip(found, listed, strict=True)
                for one, task in zip(every, known, strict=True)
                if task is None
            }
            fetched = await self._fetch(tx, missing) if missing else {}
        return [
            Page(tuple(task or fetched[one] for task, one in zip(known, every, strict=True)), total)
            for known, (every, total) in zip(listed, found, strict=True)
        ]

    def _known(self, one: OpenTask) -> Task | None:
        task = self._tasks.get(one.id)
        if task is None:
            return None
        request = task.held.request
        return task if request.version == one.version and request.tenant == one.tenant else None

    async def _fetch(self, tx: Tx, wanted: set[OpenTask]) -> dict[OpenTask, Task]:
        rows = await requests.load_keys(tx, {Key(one.tenant, one.request) for one in wanted})
        fetched = {}
        for one in wanted:
            held = rows[Key(one.tenant, one.request)]  # If it has changed since, it is shown as it is now.
            fetched[one] = task = Task(one.id, held, held.request.walk[held.tasks.index(one.id)])
            self._tasks.put(one.id, task)
        return fetched
