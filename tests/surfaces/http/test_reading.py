import asyncio
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorate.surfaces.http import reading
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.peer import Peers
from quorate.surfaces.http.problems import BadInput, CallerGone, TooLarge
from quorate.surfaces.http.reading import BODY_LIMIT, body, decoded, deeper_than, form, query
from tests.surfaces.http.tiny import Filter, Thing


def call(
    chunks: list[bytes] | None = None, query_string: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[Http[None], list[bytes]]:
    """A call whose body arrives in chunks, and the list of chunks not read yet; without chunks, the caller is gone."""
    left = list(chunks or [])

    async def receive() -> dict[str, Any]:
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": query_string,
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
    }
    return Http(scope, receive, services=None, peers=Peers(None, ()), request_id="r", path={}), left


def complaints(data: bytes, kind: Any = Thing) -> dict[str | None, str]:
    with pytest.raises(BadInput) as refused:
        decoded(data, kind)
    return {detail.field: detail.message for detail in refused.value.details}


def test_a_body_that_fits_becomes_the_struct_and_unknown_keys_are_ignored() -> None:
    thing = decoded(b'{"name": "db", "steps": [{"order": 1, "name": "one"}], "colour": "blue"}', Thing)

    assert (thing.name, thing.steps[0].order) == ("db", 1)


def test_everything_that_is_wrong_is_said_at_once_with_the_place_of_each() -> None:
    text = b'{"name": " ", "steps": [{"order": true, "name": "x"}, {"order": 0}, 7], "subject": []}'

    assert complaints(text) == {
        "name": "must not be blank",
        "steps[0].order": "must be an integer",
        "steps[1].order": "must be 1 or more",
        "steps[1].name": "is required",
        "steps[2]": "must be an object",
        "subject": "must be an object",
    }


@pytest.mark.parametrize(
    "text", [b"", b"{", b"nope", b"\xff\xfe{", b'{"name": "\xff"}', b'{"name": NaN}', b'{"name": "\\ud800"}', b"{}{}"]
)
def test_what_is_not_json_is_bad_input(text: bytes) -> None:
    assert list(complaints(text)) == [None]


def test_a_body_of_the_wrong_shape_is_bad_input() -> None:
    assert complaints(b"[]") == {None: "must be an object"}


def test_an_empty_body_is_allowed_where_it_is_optional() -> None:
    class Reason(msgspec.Struct):
        reason: str = ""

    assert decoded(b" ", Reason, optional=True).reason == ""


def test_a_nul_character_is_refused_where_it_stands() -> None:
    assert complaints(b'{"name": "db", "subject": {"a": ["x\\u0000y"]}}') == {
        "subject.a[0]": "must not hold the NUL character"
    }


def test_a_backslash_before_u0000_is_no_nul_character() -> None:
    assert decoded(rb'{"name": "\\u0000"}', Thing).name == r"\u0000"


def test_an_integer_beyond_64_bits_is_refused_and_long_text_of_digits_is_not() -> None:
    assert complaints(b'{"name": "db", "subject": {"a": 9223372036854775808}}') == {"subject.a": "must fit 64 bits"}
    assert decoded(b'{"name": "12345678901234567890"}', Thing).name == "12345678901234567890"


def test_thousands_of_digits_are_bad_input() -> None:
    assert complaints(b'{"name": "db", "subject": {"a": ' + b"9" * 10_000 + b"}}") != {}


def test_the_last_of_a_key_given_twice_counts() -> None:
    assert decoded(b'{"name": "first", "name": "last"}', Thing).name == "last"


def test_faults_are_a_hundred_at_most() -> None:
    text = json.dumps({"name": "db", "steps": [1] * 5000}).encode()

    assert len(complaints(text)) == 100


def test_sixty_four_levels_are_read_and_sixty_five_are_not() -> None:
    def nested(levels: int) -> bytes:
        return b'{"name": "db", "subject": {"a": ' + b"[" * (levels - 2) + b"]" * (levels - 2) + b"}}"

    assert decoded(nested(64), Thing).name == "db"
    assert "64 levels" in str(complaints(nested(65))[None])


def test_brackets_in_text_are_no_levels() -> None:
    assert decoded(json.dumps({"name": "db", "subject": {"a": '[{"' * 200}}).encode(), Thing).name == "db"


@pytest.mark.parametrize("text", [b"[" * 900_000, b'{"a":' * 150_000, b'"\\' * 400_000 + b"[" * 100, b'"[' * 400_000])
def test_hostile_nesting_is_refused_without_decoding(text: bytes) -> None:
    assert list(complaints(text)) == [None]


def values() -> st.SearchStrategy[Any]:
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.text('a"[]{}\\ü', max_size=8)
        | st.sampled_from(["[{", '\\"[', "}]"])
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=20,
    )


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # The machine may be busy.
@given(values(), st.integers(0, 6))
def test_depth_is_what_walking_the_value_finds(value: Any, levels: int) -> None:
    def depth(value: Any) -> int:
        inner: Iterator[Any] = iter(
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        return 1 + max(map(depth, inner), default=0) if isinstance(value, dict | list) else 0

    assert deeper_than(json.dumps(value).encode(), levels) == (depth(value) > levels)


async def test_a_body_said_to_be_too_long_is_not_read_at_all() -> None:
    http, left = call([b"x"], headers={"Content-Length": str(BODY_LIMIT + 1)})

    with pytest.raises(TooLarge):
        await body(http, Thing)

    assert left == [b"x"]


async def test_a_body_that_turns_out_too_long_is_not_read_to_its_end() -> None:
    http, left = call([b" " * 400_000] * 10)

    with pytest.raises(TooLarge):
        await body(http, Thing)

    assert len(left) == 7


async def test_a_body_that_does_not_arrive_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BODY_TIMEOUT_S", 0.0)
    http, _ = call([])

    async def silence() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nobody speaks")

    http.receive = silence

    with pytest.raises(BadInput):
        await body(http, Thing)


async def test_an_absurd_content_length_is_too_long_and_not_an_error() -> None:
    http, _ = call([b"x"], headers={"Content-Length": "9" * 5000})

    with pytest.raises(TooLarge):
        await body(http, Thing)


async def test_a_body_in_pieces_is_one_body_whatever_its_content_type() -> None:
    http, _ = call([b'{"na', b'me": ', b'"db"}'], headers={"Content-Type": "text/plain"})

    assert (await body(http, Thing)).name == "db"


async def test_a_caller_who_hangs_up_half_way_is_gone() -> None:
    http, _ = call([])

    with pytest.raises(CallerGone):
        await body(http, Thing)


def test_a_query_is_read_with_defaults_and_blanks_as_absent() -> None:
    assert query(call(query_string=b"page=3&open=true")[0], Filter) == Filter(3, open=True)
    assert query(call(query_string=b"page=&x=1")[0], Filter) == Filter()
    assert query(call(query_string=b"page=1&page=2")[0], Filter).page == 2


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        (b"page=one", "page", "must be an integer"),
        (b"page=1.5", "page", "must be an integer"),
        (b"page=0", "page", "must be 1 or more"),
        (b"open=perhaps", "open", "must be true or false"),
        (b"page=%00", "page", "must not hold the NUL character"),
        (b"page=%ff", None, "the parameters are not valid"),
        (b"a=1&" * 300, None, "the parameters are not valid"),
    ],
)
def test_a_query_that_does_not_fit_is_bad_input(text: bytes, field: str | None, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        query(call(query_string=text)[0], Filter)

    assert [(detail.field, detail.message) for detail in refused.value.details] == [(field, message)]


async def test_a_form_is_read_by_the_same_rules() -> None:
    assert await form(call([b"page=2&open=", b"1"])[0], Filter) == Filter(2, open=True)
