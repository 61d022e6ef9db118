"""The grammar of the list's filter. Source: Britive contract §2, Filter."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.domain.conditions import Compare, Condition, Every, Field, Says
from quorate.surfaces.britive.filters import fields, read_filter
from quorate.surfaces.http.problems import BadInput

WHY = Field.JUSTIFICATION


def only(compare: Compare, *values: str, field: Field = WHY) -> Condition:
    return Every((Says(field, compare, values),))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("justification eq x", only(Compare.EQUAL, "x")),
        ("  JUSTIFICATION   Eq  x  ", only(Compare.EQUAL, "x")),
        ("justification co a b c", only(Compare.CONTAINS, "a b c")),
        ("justification eq a, b ,c", only(Compare.EQUAL, "a", "b", "c")),
        ("justification eq \"a, b\", 'c and d'", only(Compare.EQUAL, "a, b", "c and d")),
        ("justification eq O'Brien", only(Compare.EQUAL, "O'Brien")),
        ("justification eq sand and userId eq ana", None),
        ("trackingId eq REQ-12", only(Compare.EQUAL, "REQ-12", field=Field.TRACKING)),
        ("resource eq a/b", only(Compare.EQUAL, "a/b", field=Field.TARGET_PATH)),
    ],
)
def test_a_filter_says_what_it_means(text: str, meaning: Condition | None) -> None:
    both = Every((Says(WHY, Compare.EQUAL, ("sand",)), Says(Field.REQUESTER_LOGIN, Compare.EQUAL, ("ana",))))

    assert read_filter(text) == (meaning or both)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "status",
        "status eq",
        "status eq ",
        "status eq ,",
        "status eq PENDING,",
        "status eq PENDING,,TIMEOUT",
        'status eq ""',
        "status eq ' '",
        "status ne PENDING",
        "status sw P",
        "colour eq red",
        "status = PENDING",
        "(status eq PENDING)",
        "status eq PENDING and",
        "status eq PENDING and ",
        "status eq PENDING or status eq TIMEOUT x eq y and z",
        "and status eq PENDING",
        'status eq "PENDING" x',
        'status eq "PENDING',
        "status eq " + ",".join("x" * 51),
        " and ".join(["status eq PENDING"] * 51),
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_filter(text)

    assert refused.value.details[0].field == "filter"


@given(st.text(max_size=200))
def test_any_text_is_a_filter_or_is_refused(text: str) -> None:
    with suppress(BadInput):
        assert isinstance(read_filter(text), Every)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\"',\0"), min_size=1, max_size=20)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["justification", "userId", "resource"]),
            st.sampled_from(["eq", "co"]),
            st.lists(WORDS.filter(str.strip), min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_is_quoted_is_read_back_as_it_was(said: list[tuple[str, str, list[str]]]) -> None:
    text = " and ".join(f"{name} {how} " + ", ".join(f'"{one}"' for one in values) for name, how, values in said)

    meant = read_filter(text)

    assert isinstance(meant, Every)
    assert [one.values for one in meant.members if isinstance(one, Says)] == [tuple(values) for *_, values in said]


def test_every_field_takes_both_operators() -> None:
    assert {*fields()} == {
        "status", "userid", "resource", "resourcename", "consumer", "action", "trackingid", "justification"
    }  # fmt: skip
    for name in fields():
        for how in ("eq", "co"):
            assert read_filter(f"{name} {how} x") is not None
