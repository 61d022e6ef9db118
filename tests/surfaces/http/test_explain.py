from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorate.surfaces.http.explain import faults


class Choice(Enum):
    APPROVE = "approve"
    REJECT = "reject"


class Inner(msgspec.Struct):
    n: int


class Every(msgspec.Struct, rename="camel"):
    one_of: Choice = Choice.APPROVE
    word: Literal["hours", "days"] = "days"
    maybe: str | None = None
    either: int | str = 0
    left_out: int | msgspec.UnsetType = msgspec.UNSET
    at: datetime | None = None
    who: UUID | None = None
    ratio: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    flag: bool = False
    inner: Inner | None = None
    many: dict[str, Inner] = {}
    names: Annotated[list[Annotated[str, msgspec.Meta(max_length=3)]], msgspec.Meta(max_length=2)] = []
    mixed: Inner | list[int] | None = None


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({"oneOf": "perhaps"}, "oneOf", "must be one of approve, reject"),
        ({"oneOf": 1}, "oneOf", "must be one of approve, reject"),
        ({"word": "weeks"}, "word", "must be one of days, hours"),
        ({"maybe": 1}, "maybe", "must be text"),
        ({"either": True}, "either", "must be an integer or must be text"),
        ({"leftOut": None}, "leftOut", "must be an integer"),
        ({"at": "tomorrow"}, "at", "must be a moment like 2026-01-31T12:00:00Z"),
        ({"who": "ana"}, "who", "must be a UUID"),
        ({"ratio": 1}, "ratio", "must be less than 1"),
        ({"ratio": 0}, "ratio", "must be more than 0"),
        ({"ratio": "x"}, "ratio", "must be a number"),
        ({"flag": 1}, "flag", "must be true or false"),
        ({"flag": None}, "flag", "must be true or false"),
        ({"inner": {}}, "inner.n", "is required"),
        ({"inner": {"n": "1"}}, "inner.n", "must be an integer"),
        ({"many": {"a": {"n": 1.5}}}, "many.a.n", "must be an integer"),
        ({"names": ["a", "b", "c"]}, "names", "must have at most 2"),
        ({"names": "abc"}, "names", "must be a list"),
        ({"names": ["abcd"]}, "names[0]", "must have at most 3 characters"),
        ({"mixed": {"n": "x"}}, "mixed.n", "must be an integer"),
        ([], None, "must be an object"),
    ],
)
def test_each_fault_is_named_by_its_field(value: Any, field: str | None, message: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, Every)

    found = faults(value, Every, lax=False, otherwise="?")

    assert [(detail.field, detail.message) for detail in found] == [(field, message)]


def test_there_is_always_something_to_say() -> None:
    class Odd(msgspec.Struct):
        def __post_init__(self) -> None:
            raise ValueError("starts after it ends")

    assert [detail.message for detail in faults({}, Odd, lax=False, otherwise="starts after it ends")] == [
        "starts after it ends"
    ]


junk = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(-2, 2)
    | st.text("ab ü0", max_size=4)
    | st.sampled_from(["approve", "days"])
)
objects = st.dictionaries(
    st.sampled_from([field.encode_name for field in msgspec.structs.fields(Every)]),
    junk | st.lists(junk, max_size=3) | st.dictionaries(st.sampled_from(["n", "a"]), junk, max_size=2),
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # The machine may be busy.
@given(objects)
def test_a_fault_is_found_exactly_where_msgspec_refuses(value: dict[str, Any]) -> None:
    try:
        msgspec.convert(value, Every)
    except msgspec.ValidationError:
        assert faults(value, Every, lax=False, otherwise="?")[0].message != "?"
    else:
        assert faults(value, Every, lax=False, otherwise="?")[0].message == "?"
