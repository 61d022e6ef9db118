from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from quorate.surfaces.http.paging import Paging, after, cursor
from quorate.surfaces.http.problems import BadInput

AT = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
KEY = (datetime, UUID)


class Filter(Paging, frozen=True):
    status: str | None = None


def test_a_limit_above_a_hundred_is_a_hundred() -> None:
    paging = msgspec.convert({"page": "3", "limit": "1000", "status": "pending"}, Filter, strict=False)

    assert (paging.limit, paging.offset, paging.status) == (100, 200, "pending")


def test_without_words_it_is_the_first_page_of_twenty_five() -> None:
    assert (Paging().page, Paging().limit) == (1, 25)


def test_a_cursor_says_where_a_page_ended() -> None:
    ended = uuid4()

    assert after(cursor(AT, ended), *KEY) == (AT, ended)
    assert after(None, *KEY) is None


@pytest.mark.parametrize(
    "text", ["", "nonsense", "ü", "////", cursor(AT), cursor(1, 2), cursor(AT, uuid4()) + "A", "kQ" * 5000]
)
def test_what_is_no_cursor_of_this_list_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        after(text, *KEY)

    assert refused.value.details[0].field == "cursor"


def test_no_change_of_one_character_gets_past_as_an_error_of_ours() -> None:
    good = cursor(AT, uuid4())
    kinds: set[Any] = set()
    for place in range(len(good)):
        try:
            kinds.add(type(after(good[:place] + "_" + good[place + 1 :], *KEY)))
        except BadInput:
            kinds.add(BadInput)

    assert kinds <= {tuple, BadInput}
