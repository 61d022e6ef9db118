import asyncio
import threading
from collections.abc import Iterator
from typing import Literal

import pytest
from argon2 import PasswordHasher

from quorate.app.limits import TooOften
from quorate.app.verify import QUEUE, THREADS, Passwords

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(CHEAP)
    yield made
    made.close()


class Counting(PasswordHasher):
    """Counts verifications, by the parameters of the hash, and can be made to wait."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str] = []
        self.may_go = threading.Event()
        self.may_go.set()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  # Its name upstream.
        self.may_go.wait(10)
        self.verified.append(str(hash).split("$")[3])
        return super().verify(hash, password)


async def test_the_right_password_is_right_and_another_is_wrong(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse")

    assert (await passwords.verify(stored, "correct horse")).right
    assert not (await passwords.verify(stored, "correct hors")).right


async def test_an_unknown_login_costs_one_verification_of_the_same_parameters() -> None:
    hasher = Counting()
    passwords = Passwords(hasher)
    stored = await passwords.hash("correct horse")

    assert not (await passwords.verify(stored, "wrong")).right
    assert not (await passwords.verify(None, "wrong")).right
    passwords.close()

    known, unknown = hasher.verified
    assert known == unknown


async def test_a_password_longer_than_any_is_wrong_but_costs_the_same() -> None:
    hasher = Counting()
    passwords = Passwords(hasher)

    assert not (await passwords.verify(hasher.hash(""), "x" * 2000)).right
    passwords.close()

    assert len(hasher.verified) == 1


async def test_a_hash_of_older_parameters_is_made_again_with_the_right_password_only(passwords: Passwords) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash("correct horse")

    wrong, right = await passwords.verify(old, "wrong"), await passwords.verify(old, "correct horse")

    assert wrong.rehashed is None
    assert right.rehashed is not None
    again = await passwords.verify(right.rehashed, "correct horse")
    assert (again.right, again.rehashed) == (True, None)


async def test_something_that_is_no_hash_is_wrong_and_not_an_error(passwords: Passwords) -> None:
    assert not (await passwords.verify("plain text", "plain text")).right


async def test_who_comes_when_the_queue_is_full_is_told_to_come_again() -> None:
    hasher = Counting()
    passwords = Passwords(hasher)
    hasher.may_go.clear()
    waiting = [asyncio.create_task(passwords.verify(None, "wrong")) for _ in range(THREADS + QUEUE)]
    await asyncio.sleep(0)

    with pytest.raises(TooOften):
        await passwords.verify(None, "wrong")

    hasher.may_go.set()
    await asyncio.gather(*waiting)
    assert not (await passwords.verify(None, "wrong")).right
    passwords.close()


async def test_a_caller_who_leaves_keeps_the_place_until_the_thread_is_done() -> None:
    hasher = Counting()
    passwords = Passwords(hasher)
    hasher.may_go.clear()
    waiting = [asyncio.create_task(passwords.verify(None, "wrong")) for _ in range(THREADS)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    queued = [asyncio.create_task(passwords.verify(None, "wrong")) for _ in range(QUEUE)]
    await asyncio.sleep(0)

    with pytest.raises(TooOften):
        await passwords.verify(None, "wrong")

    hasher.may_go.set()
    await asyncio.gather(*queued)
    passwords.close()
