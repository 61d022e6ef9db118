"""The filter language: what is read, what is refused, and that nothing else can happen."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quorate.surfaces.sailpoint import filters
from quorate.surfaces.sailpoint.filters import _moment as moment
from quorate.surfaces.sailpoint.grammar import (
    DEEPEST,
    LONGEST,
    MANY,
    ONE,
    And,
    BadFilter,
    Comparison,
    Filter,
    Not,
    Or,
    parse,
)

A, B, C = (Comparison(name, "eq", ("1",)) for name in "abc")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a eq 1", A),
        ('a eq "1"', A),
        ("  a\teq\n1 ", A),
        ("a eq 1 or b eq 1 and c eq 1", Or((A, And((B, C))))),
        ("(a eq 1 or b eq 1) and c eq 1", And((Or((A, B)), C))),
        ("not a eq 1 and b eq 1", And((Not(A), B))),
        ("not (a eq 1 and b eq 1)", Not(And((A, B)))),
        ("not not a eq 1", Not(Not(A))),
        ('a in ("x","y z",w)', Comparison("a", "in", ("x", "y z", "w"))),
        ("a ca (1)", Comparison("a", "ca", ("1",))),
        ("a isnull", Comparison("a", "isnull")),
        ("pr a", Comparison("a", "pr")),
        (r'a eq "say \"hi\" \\ bye"', Comparison("a", "eq", (r'say "hi" \ bye',))),
        ('a eq "and"', Comparison("a", "eq", ("and",))),
        ('a eq ""', Comparison("a", "eq", ("",))),
        ("a eq true", Comparison("a", "eq", ("true",))),
        ("a gt 2018-01-02T03:04:05Z", Comparison("a", "gt", ("2018-01-02T03:04:05Z",))),
    ],
)
def test_a_filter_is_read_with_not_before_and_before_or(text: str, tree: Filter) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a eq",
        "a EQ 1",
        "a eq 1 AND b eq 1",
        "a eq 1 and",
        "or a eq 1",
        "a eq 1 b eq 1",
        "(a eq 1",
        "a eq 1)",
        "a in 1",
        "a in ()",
        "a in (1",
        "a in (1 2)",
        "a eq (1)",
        '"a" eq 1',
        'a "eq" 1',
        "not",
        "pr",
        "pr eq 1",
        "a like 1",
        'a eq "open',
        r'a eq "bad \x escape"',
        'a eq "x"y"',
        "1 eq a",
        "a eq ,",
        "not " * (DEEPEST + 2) + "a eq 1",
        "(" * (DEEPEST + 2) + "a eq 1" + ")" * (DEEPEST + 2),
        "a eq " + "x" * LONGEST,
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(BadFilter):
        parse(text)


fields = st.from_regex(r"\A[a-z]{1,5}\Z").map(lambda name: f"f_{name}")
values = st.text(max_size=8)
comparisons = st.one_of(
    st.builds(Comparison, fields, st.sampled_from(sorted(ONE)), st.tuples(values)),
    st.builds(Comparison, fields, st.sampled_from(sorted(MANY)), st.lists(values, min_size=1, max_size=3).map(tuple)),
    st.builds(Comparison, fields, st.sampled_from(["isnull", "pr"])),
)


def several(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[tuple[Filter, ...]]:
    return st.lists(inner, min_size=2, max_size=3).map(tuple)


trees = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        several(inner.filter(lambda one: not isinstance(one, And))).map(And),
        several(inner.filter(lambda one: not isinstance(one, Or))).map(Or),
    ),
    max_leaves=8,
)


def written(tree: Filter) -> str:
    match tree:
        case Comparison(field, "pr"):
            return f"pr {field}"
        case Comparison(field, "isnull"):
            return f"{field} isnull"
        case Comparison(field, op, given):
            quoted = ['"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"' for one in given]
            return f"{field} {op} ({', '.join(quoted)})" if op in MANY else f"{field} {op} {quoted[0]}"
        case Not(member):
            return f"not ({written(member)})" if isinstance(member, And | Or) else f"not {written(member)}"
        case And(members):
            return " and ".join(f"({written(one)})" if isinstance(one, Or) else written(one) for one in members)
        case Or(members):
            return " or ".join(written(one) for one in members)


@given(trees)
def test_what_is_written_is_read_back(tree: Filter) -> None:
    assert parse(written(tree)) == tree


words = st.sampled_from(
    [*ONE, *MANY, "and", "or", "not", "(", ")", ",", '"', "\\", "pr", "isnull", "status", "name", "type", "createdDate"]
)


@given(text=st.one_of(st.text(), st.lists(st.one_of(words, st.text(max_size=4))).map(" ".join)))
@example(text="(" * 5000)
@example(text="filters=status eq PENDING")
@pytest.mark.parametrize("first_shape", [True, False])
def test_no_text_does_anything_but_mean_something_or_be_refused(*, text: str, first_shape: bool) -> None:
    with suppress(BadFilter):
        filters.condition(text, first_shape=first_shape)
    with suppress(BadFilter):
        filters.order(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2018", datetime(2018, 1, 1, tzinfo=UTC)),
        ("2018-03", datetime(2018, 3, 1, tzinfo=UTC)),
        ("2018-03-04", datetime(2018, 3, 4, tzinfo=UTC)),
        ("2018-03-04T05:06:07Z", datetime(2018, 3, 4, 5, 6, 7, tzinfo=UTC)),
        ("2018-03-04T05:06:07.123+02:00", datetime(2018, 3, 4, 3, 6, 7, 123000, tzinfo=UTC)),
    ],
)
def test_a_time_may_be_its_beginning(text: str, at: datetime) -> None:
    assert moment(text) == at


@pytest.mark.parametrize("text", ["", "yesterday", "20", "2018-13", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadFilter):
        moment(text)
