"""Calls that come while one is in flight wait together, and become the next one.

There is no timer: an idle server carries out each call by itself, a busy one shares the cost of a transaction among all
who wait.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from msgspec import Struct

from quorate.store.database import CommitUnknown, Retryable

Asked = TypeVar("Asked")
Found = TypeVar("Found")

MOST: Final = 128  # calls carried out together


class Unavailable(Exception):
    """The database could not be reached, or answered nothing but conflicts: the caller may try again."""


class Wait(Struct, frozen=True):
    """No answer yet: the call touches what another of its lot touches, so it belongs into the next."""


class _Waiting(Struct, Generic[Asked, Found]):
    asked: Asked
    answer: "asyncio.Future[Found]"


class Lane(Generic[Asked, Found]):
    """Calls in the line they came in, and up to `at_once` lots of them in flight.

    `run` carries out a lot, and says for each what was found, why it cannot be had, or that it must wait.
    """

    def __init__(
        self, run: Callable[[Sequence[Asked]], Awaitable[Sequence[Found | Exception | Wait]]], *, at_once: int = 1
    ) -> None:
        self._run = run
        self._at_once = at_once
        self._line: deque[_Waiting[Asked, Found]] = deque()
        self._drivers: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def is_closed(self) -> bool:
        return self._closed

    def wait_for(self, asked: Asked) -> "asyncio.Future[Found]":
        """Stand in line. Raises, when awaited: Unavailable: the lane is closed; and whatever `run` answers."""
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        if self._closed:
            answer.set_exception(Unavailable())
            return answer
        self._line.append(_Waiting(asked, answer))
        if len(self._drivers) < self._at_once:
            self._drivers.add(asyncio.create_task(self._drive()))
        return answer

    async def close(self) -> None:
        """Let what is in line end, and refuse the rest."""
        self._closed = True
        if self._drivers:
            await asyncio.gather(*self._drivers)

    async def _drive(self) -> None:
        try:
            while self._line:
                await asyncio.sleep(0)  # Whoever was just answered may ask again, and then comes along at once.
                if lot := [self._line.popleft() for _ in range(min(MOST, len(self._line)))]:
                    await self._answer(lot)
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._drivers.discard(task)

    async def _answer(self, lot: list[_Waiting[Asked, Found]]) -> None:
        try:
            answers = await self._run([waiting.asked for waiting in lot])
        except BaseException:
            for waiting in lot:
                if not waiting.answer.done():
                    waiting.answer.set_exception(Unavailable())
            raise
        again = []
        for waiting, answer in zip(lot, answers, strict=True):
            if isinstance(answer, Wait):
                again.append(waiting)
            elif waiting.answer.done():
                continue  # Whoever asked has gone, or the loop is ending.
            elif isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)
        self._line.extendleft(reversed(again))


def each_its_own(
    run: Callable[[Sequence[Asked]], Awaitable[Sequence[Found | Exception]]],
) -> Callable[[Sequence[Asked]], Awaitable[Sequence[Found | Exception]]]:
    """Let a lot that only reads fail for one without failing for the others: then each is tried alone."""

    async def carefully(lot: Sequence[Asked]) -> Sequence[Found | Exception]:
        try:
            return await run(lot)
        except (Retryable, CommitUnknown) as error:  # Nobody is at fault.
            return [error] * len(lot)
        except Exception as error:
            if len(lot) == 1:
                return [error]
        return [answer for one in lot for answer in await carefully([one])]

    return carefully
