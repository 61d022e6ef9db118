"""Calls that come while one is in flight go together, each with a fate of its own."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from quorate.app.lanes import MOST, Lane, Unavailable, Wait, each_its_own
from quorate.store.database import Retryable


class Counter:
    """Doubles numbers, a lot at a time, when it is let."""

    def __init__(self) -> None:
        self.lots: list[list[int]] = []
        self.started, self.free = asyncio.Event(), asyncio.Event()

    async def run(self, lot: Sequence[int]) -> list[int | Exception | Wait]:
        self.lots.append(list(lot))
        self.started.set()
        await self.free.wait()
        return [2 * one for one in lot]


async def test_an_idle_lane_carries_out_a_call_by_itself_and_those_who_come_meanwhile_together() -> None:
    counter = Counter()
    lane = Lane(counter.run)
    first = lane.wait_for(1)
    await counter.started.wait()
    rest = [lane.wait_for(one) for one in (2, 3, 4)]
    counter.free.set()

    assert await asyncio.gather(first, *rest) == [2, 4, 6, 8]
    assert counter.lots == [[1], [2, 3, 4]]


async def test_so_many_lots_are_in_flight_at_once_and_no_more() -> None:
    counter = Counter()
    lane = Lane(counter.run, at_once=2)
    waiting = []
    for one in range(5):
        waiting.append(lane.wait_for(one))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert counter.lots == [[0], [1]]
    counter.free.set()

    assert await asyncio.gather(*waiting) == [0, 2, 4, 6, 8]
    assert sorted(one for lot in counter.lots for one in lot) == [0, 1, 2, 3, 4]


async def test_a_lot_has_a_limit_and_the_line_keeps_its_order() -> None:
    counter = Counter()
    counter.free.set()
    lane = Lane(counter.run)

    await asyncio.gather(*(lane.wait_for(one) for one in range(2 * MOST + 1)))

    assert [len(lot) for lot in counter.lots] == [MOST, MOST, 1]
    assert all(one < other for one, other in pairwise(one for lot in counter.lots for one in lot))


async def test_who_must_wait_comes_first_in_the_next_lot() -> None:
    lots: list[list[str]] = []

    async def run(lot: Sequence[str]) -> list[str | Exception | Wait]:
        lots.append(list(lot))
        return [Wait() if one == "shy" and len(lots) == 1 else one for one in lot]

    lane = Lane(run)
    shy, bold = lane.wait_for("shy"), lane.wait_for("bold")
    assert await bold == "bold"
    late = lane.wait_for("late")

    assert await shy == "shy"
    assert await late == "late"
    assert lots == [["shy", "bold"], ["shy", "late"]]


async def test_a_closed_lane_ends_what_is_in_line_and_refuses_the_rest() -> None:
    counter = Counter()
    lane = Lane(counter.run)
    first = lane.wait_for(1)
    await counter.started.wait()
    second = lane.wait_for(2)
    closing = asyncio.create_task(lane.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await lane.wait_for(3)
    counter.free.set()
    await closing

    assert (await first, await second) == (2, 4)


async def test_who_hung_up_keeps_nobody_from_their_answer() -> None:
    counter = Counter()
    lane = Lane(counter.run)
    gone, stays = lane.wait_for(1), lane.wait_for(2)
    gone.cancel()
    counter.free.set()

    assert await stays == 4


async def test_what_only_reads_fails_for_one_alone() -> None:
    async def inverses(lot: Sequence[int]) -> list[float | Exception]:
        return [1 / one for one in lot]

    by_two, by_none, by_four = await each_its_own(inverses)([2, 0, 4])

    assert (by_two, by_four) == (0.5, 0.25)
    assert isinstance(by_none, ZeroDivisionError)


async def test_a_database_that_is_down_is_not_asked_again_for_each() -> None:
    tries = 0

    async def down(lot: Sequence[int]) -> list[int | Exception]:
        nonlocal tries
        tries += 1
        raise Retryable("down")

    answers = await each_its_own(down)([1, 2, 3])

    assert [type(answer) for answer in answers] == [Retryable] * 3
    assert tries == 1
