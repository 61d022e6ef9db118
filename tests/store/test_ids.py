"""New ids are what RFC 9562 says they are, and compare like any others."""

from uuid import UUID

import pytest

from quorate.store import ids


def test_an_id_says_nothing_and_is_never_the_same() -> None:
    made = {ids.new_id() for _ in range(1000)}

    assert len(made) == 1000
    assert {(one.version, one.variant) for one in made} == {(4, "specified in RFC 4122")}
    assert all(UUID(str(one)) == one and hash(UUID(str(one))) == hash(one) for one in made)


def test_the_id_of_a_command_begins_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.store.ids.time.time_ns", lambda: 1_770_000_000_123_456_789)
    first, again = ids.new_command_id(), ids.new_command_id()
    monkeypatch.setattr("quorate.store.ids.time.time_ns", lambda: 1_770_000_000_124_000_000)
    later = ids.new_command_id()

    assert first != again
    assert first.int >> 80 == again.int >> 80 == 1_770_000_000_123
    assert max(first, again) < later
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
