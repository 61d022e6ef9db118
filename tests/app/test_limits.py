import pytest

from quorate.app.limits import Attempts, Limit, TooOften


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_ten_a_minute_means_ten_at_once_and_then_one_every_six_seconds() -> None:
    clock = Clock()
    limit = Limit(10, 60, clock)
    for _ in range(10):
        limit.take("ana")

    with pytest.raises(TooOften) as refused:
        limit.take("ana")

    assert refused.value.retry_after_s == 6
    clock.seconds += refused.value.retry_after_s
    limit.take("ana")
    with pytest.raises(TooOften):
        limit.take("ana")


def test_being_refused_does_not_make_the_wait_longer() -> None:
    clock = Clock()
    limit = Limit(1, 60, clock)
    limit.take("ana")
    for _ in range(100):
        with pytest.raises(TooOften) as refused:
            limit.take("ana")

    assert refused.value.retry_after_s == 60


def test_one_login_does_not_use_up_what_another_has() -> None:
    limit = Limit(1, 60, Clock())
    limit.take("ana")

    limit.take("ben")


def test_zero_means_no_limit() -> None:
    limit = Limit(0, 60, Clock())

    for _ in range(1000):
        limit.take("ana")

    assert len(limit) == 0


def test_memory_is_bounded_by_names_and_by_time() -> None:
    clock = Clock()
    limit = Limit(10, 60, clock, most=100)
    for number in range(1000):
        limit.take(str(number))

    assert len(limit) == 100
    clock.seconds += 60
    limit.take("ana")
    assert len(limit) == 1


def test_a_login_is_limited_from_all_addresses_and_an_address_over_all_logins() -> None:
    attempts = Attempts(2, 3, Clock())
    attempts.take("sign-in", "ANA", "10.0.0.1")
    attempts.take("sign-in", "ana", "10.0.0.2")
    with pytest.raises(TooOften):
        attempts.take("sign-in", "Ana", "10.0.0.3")

    attempts.take("sign-in", "ben", "10.0.0.1")
    attempts.take("sign-in", "cyd", "10.0.0.1")
    with pytest.raises(TooOften):
        attempts.take("sign-in", "dan", "10.0.0.1")

    attempts.take("token", "ana", "10.0.0.1")
