import msgspec

from quorate.surfaces.http.paging import Paging


class Filter(Paging, frozen=True):
    status: str | None = None


def test_a_limit_above_a_hundred_is_a_hundred() -> None:
    paging = msgspec.convert({"page": "3", "limit": "1000", "status": "pending"}, Filter, strict=False)

    assert (paging.limit, paging.offset, paging.status) == (100, 200, "pending")


def test_without_words_it_is_the_first_page_of_twenty_five() -> None:
    assert (Paging().page, Paging().limit) == (1, 25)
