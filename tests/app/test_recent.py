"""What was made is kept for those who ask again, within bounds."""

from quorate.app.recent import Recent


def test_what_was_made_longest_ago_makes_room() -> None:
    kept: Recent[str, int] = Recent(2)
    kept.put("a", 1)
    kept.put("b", 2)
    kept.put("a", 10)
    kept.put("c", 3)

    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (10, None, 3)
    assert len(kept) == 2
