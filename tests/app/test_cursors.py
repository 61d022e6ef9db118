from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from quorate.app.actor import Actor, How
from quorate.app.cursors import BadCursor, Cursors
from tests.app.directory import SEALER

RHEA = Actor(uuid4(), uuid4(), frozenset(), How(None, "key", "jitsudo", ""))
PLACE = (datetime(2026, 1, 31, 12, tzinfo=UTC), uuid4())
CURSORS = Cursors(SEALER)
GIVEN = CURSORS.give(RHEA, "requests pending", *PLACE)


def test_a_cursor_gives_its_place_back() -> None:
    assert CURSORS.take(RHEA, "requests pending", GIVEN, datetime, UUID) == PLACE
    assert str(PLACE[1]) not in GIVEN


@pytest.mark.parametrize(
    "other", [replace(RHEA, principal=uuid4()), replace(RHEA, tenant=uuid4())], ids=["another caller", "another tenant"]
)
def test_a_cursor_is_of_no_use_to_anybody_else(other: Actor) -> None:
    with pytest.raises(BadCursor):
        CURSORS.take(other, "requests pending", GIVEN, datetime, UUID)


def test_a_cursor_is_of_no_use_for_another_question() -> None:
    with pytest.raises(BadCursor):
        CURSORS.take(RHEA, "requests approved", GIVEN, datetime, UUID)
    with pytest.raises(BadCursor):
        CURSORS.take(RHEA, "requests pending", GIVEN, int)
    for place in ((PLACE[0],), (1, 2)):
        with pytest.raises(BadCursor):
            CURSORS.take(RHEA, "requests pending", CURSORS.give(RHEA, "requests pending", *place), datetime, UUID)


def test_a_cursor_that_was_changed_anywhere_is_none() -> None:
    for place in range(len(GIVEN)):
        changed = GIVEN[:place] + ("A" if GIVEN[place] != "A" else "g") + GIVEN[place + 1 :]
        with pytest.raises(BadCursor):
            CURSORS.take(RHEA, "requests pending", changed, datetime, UUID)
    for odd in ("", "nonsense", "é", "ü", "*", "////", "x" * 5000, "kQ" * 5000, GIVEN[:-4], GIVEN + "A"):
        with pytest.raises(BadCursor):
            CURSORS.take(RHEA, "requests pending", odd, datetime, UUID)
