from datetime import UTC, datetime, timedelta, timezone

import pytest

from quorate.surfaces.http.answering import answer, etag, matches, moment, moment_or_none
from quorate.surfaces.http.problems import BadInput

AT = datetime(2026, 1, 31, 23, 30, 5, 999999, tzinfo=timezone(timedelta(hours=-3)))


def test_a_moment_is_utc_without_a_fraction() -> None:
    assert moment(AT) == "2026-02-01T02:30:05Z"
    assert moment_or_none(None) is None


def test_an_answer_is_json() -> None:
    response = answer({"a": None}, 201, {"ETag": '"1"'})

    assert (response.status_code, response.body) == (201, b'{"a":null}')
    assert (response.headers["Content-Type"], response.headers["ETag"]) == ("application/json", '"1"')


def test_a_tag_changes_with_every_part_of_the_version() -> None:
    assert etag("a", AT) == etag("a", AT)
    assert (
        len(
            {
                etag("a", AT),
                etag("b", AT),
                etag("a", AT.astimezone(UTC) + timedelta(microseconds=1)),
                etag("aa"),
                etag("a", "a"),
            }
        )
        == 5
    )


def test_if_match_admits_the_current_version_any_or_one_of_a_list() -> None:
    current = etag(1)

    assert matches(None, current)
    assert matches("*", current)
    assert matches(f'"other", {current}', current)
    assert not matches('"other"', current)
    assert not matches(f"W/{current}", current)


@pytest.mark.parametrize("header", ["", "unquoted", '"a" b', ","])
def test_if_match_that_is_no_tag_is_bad_input(header: str) -> None:
    with pytest.raises(BadInput):
        matches(header, etag(1))
