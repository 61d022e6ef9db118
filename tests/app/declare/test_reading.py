"""Text becomes values that know their lines; nothing anybody can write breaks the reader."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from quorate.app.declare.reading import MAX_DEPTH, Misread, line_of, read


def misread(text: str) -> Misread:
    with pytest.raises(Misread) as raised:
        read(text)
    return raised.value


def test_unquoted_words_mean_what_they_seem_to() -> None:
    read_values = read(
        "[no, on, off, y, 007, 1_000, 12:30, 2026-01-01, true, False, ~, 5, -5, 1.5, 1e3, 50%, '5', 0x10]"
    )

    assert read_values == [
        *("no", "on", "off", "y", "007", "1_000", "12:30", "2026-01-01"),
        *(True, False, None, 5, -5, 1.5, 1000.0, "50%", "5", "0x10"),
    ]


def test_every_value_knows_its_line() -> None:
    text = "a:\n  - b: 1\n    c: 2\n  -\n    b: [1,\n      2]\n"
    value = read(text)

    paths = ("a", "a[0].b", "a[0].c", "a[1].b[1]", "a[1].nothing", "z")
    assert [line_of(value, path) for path in paths] == [1, 2, 3, 6, 5, 1]


def test_a_key_that_stands_twice_is_refused() -> None:
    error = misread("a: 1\nb: 2\na: 3\n")

    assert (error.line, str(error)) == (3, "a stands here twice, first on line 1")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1,\n", 1),
        ("a: 1\n  b: 2\n", 2),
        ("a: !!python/object:os.system ls", 1),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: 1\nb: \x00", 2),
        ("? [a]\n: 1", 1),
        ("a: &x [*x]", 1),
        ("a: *nobody", 1),
        ('{"a": "\\ud800"}', 1),
        ("[" * 100_000, 1),
        ("- " * 1000, 1),
        ("a: " + "{b: " * (MAX_DEPTH + 1), 1),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, line: int) -> None:
    assert misread(text).line == line


def test_aliases_are_values_again_but_do_not_unfold_without_bound() -> None:
    assert read("a: &x {b: [1]}\nc: *x\n") == {"a": {"b": [1]}, "c": {"b": [1]}}
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )

    assert "unfold" in str(misread(bomb))


def test_an_empty_file_is_nothing() -> None:
    assert read("") is None
    assert read("# only a comment\n") is None


values: some.SearchStrategy[Any] = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(10**17), 10**17)
    | some.floats(allow_nan=False, allow_infinity=False).filter(lambda value: abs(value) > 1e-90 or value == 0)
    | some.text(some.characters(codec="utf-8"), max_size=8),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(values, some.sampled_from([None, 2, "\t"]), some.booleans())
def test_json_is_read_as_json_reads_it(value: Any, indent: Any, escaped: bool) -> None:
    text = json.dumps([value, {"a": value}], indent=indent, ensure_ascii=escaped)

    assert read(text) == [value, {"a": value}]


@settings(max_examples=300, deadline=None)
@given(some.text(some.sampled_from("ab:-[]{},&*!?|>'\"#%@`\\ \n\t~0\x00\u2028é\ud800"), max_size=40))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Misread):
        read(text)
