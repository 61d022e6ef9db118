"""Cedar text: what is read from it, where what is wrong stands, and what never reaches the engine."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.app.cedar.text import MAX_DEPTH, MAX_OPERATORS, MAX_PROBLEMS, MAX_RULES, MAX_TEXT, parse
from quorate.domain.policy import Effect, Mode
from tests.app.cedar.written import ANY

TWO = """
// Who may ask at all
@id("base") @notice("Ask \\"Ana\\" – first") @approval_mode("auto") @approval_timeout("90m")
permit(principal in Group::"Security", action, resource);

forbid(principal, action == Action::"\\u{61}dmin", resource) unless { context.has_reason }; // never; without reason
"""


def test_rules_are_read_with_what_their_annotations_say() -> None:
    base, unnamed = parse(TWO).rules

    assert (base.id, base.effect, base.mode, base.approval_timeout_seconds) == ("base", Effect.PERMIT, Mode.AUTO, 5400)
    assert base.notice == 'Ask "Ana" – first'
    assert base.text.startswith('@id("base")')
    assert base.text.endswith("resource);")
    assert (unnamed.id, unnamed.effect, unnamed.mode, unnamed.notice) == ("rule-2", Effect.FORBID, None, "")


def test_entities_are_known_by_what_their_escapes_mean() -> None:
    assert parse(TWO).named == {("Group", "Security"), ("Action", "admin")}


def test_every_rule_becomes_a_bare_permit_and_nothing_else_changes() -> None:
    forbids = '@forbid @id("forbid") forbid(principal, action, resource) when { resource.name == "forbid" };'

    assert parse(forbids).permits == ('permit(principal, action, resource) when { resource.name == "forbid" };',)
    assert [one.effect for one in parse("".join(parse(TWO).permits)).rules] == [Effect.PERMIT] * 2


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("permit(princpal, action, resource);", 1, 8, "princpal"),
        ("permit(principal, action resource);", 1, 26, "unexpected token"),
        ("permit(principal, action, resource)\nwhen { foo };", 2, 8, "invalid variable"),
        ("permit(principal, action, resource)\n  when { principal § 3 };", 2, 20, "no meaning"),
        (ANY + '\npermit(principal, action, resource) when { "abc };', 2, 44, "no end"),
        (ANY + "\n\n  permit(", 3, 9, "ends inside a rule"),
        (ANY + "\r\n;", 2, 1, "unexpected token"),
        ("permit(principal == ?principal, action, resource);", 1, 21, "templates"),
        ("permit(principal, action, resource) when { 99999999999999999999 > 1 };", 1, 65, "too large"),
        ('@id("a")' + ANY + '@id("a")' + ANY, 1, 45, "has the id 'a'"),
        (ANY + '@id("rule-1")' + ANY, 1, 37, "has the id 'rule-1'"),
        ('@id("a") @id("b")' + ANY, 1, 2, "duplicate annotation"),
        ('@id("")' + ANY, 1, 2, "1 to 128"),
        ('@approval_mode("maybe")' + ANY, 1, 2, "require"),
        ('@approval_timeout("soon")' + ANY, 1, 2, "seconds"),
        ('@approval_timeout("0")' + ANY, 1, 2, "seconds"),
        ('@approval_timeout("367d")' + ANY, 1, 2, "seconds"),
        ('@notice("' + "x" * 1001 + '")' + ANY, 1, 2, "1000"),
        ('permit(principal, action, resource) when { "\ud800" == "a" };', 1, None, "surrogates"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(text: str, line: int, column: int | None, message: str) -> None:
    [found] = parse(text).problems

    assert (found.path, found.line) == ("cedar", line)
    assert column is None or found.column == column
    assert message in found.message
    assert not parse(text).permits


def test_no_rule_at_all_is_a_text_too() -> None:
    assert parse("").rules == parse("  // only a remark").rules == ()
    assert not parse("").problems


def when(condition: str) -> str:
    return f"permit(principal, action, resource) when {{ {condition} }};"


DEEP = 100_000
HOSTILE = {
    "brackets": when("(" * DEEP + "true" + ")" * DEEP)[:MAX_TEXT],
    "some brackets": when("(" * 5000 + "true" + ")" * 5000),
    "sets": when("[" * 5000 + "]" * 5000 + ".isEmpty()"),
    "records": when("{a: " * 5000 + "1" + "}" * 5000 + " == 1"),
    "ands": when(" && ".join(["true"] * 9000)),
    "ors": when(" || ".join(["true"] * 9000)),
    "sums": when("+".join(["1"] * 20000) + " > 1"),
    "ifs": when("if true then " * 2000 + "true" + " else true" * 2000),
    "attributes": when("context" + ".a" * 20000),
    "nots": when("!" * 50000 + "true"),
    "an endless string": when('"' + "\\" * 60000),
    "nothing but quotes": '"' * MAX_TEXT,
    "nothing but semicolons": ";" * MAX_TEXT,
    "nothing but at signs": "@" * MAX_TEXT,
    "only openers": "permit(" * 9000,
    "wrong rules": "permit(x);" * 6000,
    "nulls": "\x00" * 1000,
    "right to left": "\u202e" * 1000,
    "half a pair": "\udcff" * 1000,
    "too long": " " * (MAX_TEXT + 1),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_refused_in_bounded_time_and_does_not_end_the_process(text: str) -> None:
    began = time.perf_counter()

    found = parse(text).problems

    assert 1 <= len(found) <= MAX_PROBLEMS
    assert time.perf_counter() - began < 2


def test_a_string_or_a_remark_is_not_counted_as_depth() -> None:
    quoted = '"' + "(" * 1000 + '"'

    assert not parse(when(f"principal.name == {quoted}") + "//" + "(" * 1000).problems


def test_what_is_just_small_enough_is_read() -> None:
    deepest = when("(" * (MAX_DEPTH - 1) + "true" + ")" * (MAX_DEPTH - 1))
    longest = when(" && ".join(["true"] * (MAX_OPERATORS + 1)))

    assert not parse(deepest + longest + ANY * (MAX_RULES - 2)).problems
    assert parse(ANY * (MAX_RULES + 1)).problems
    assert parse(deepest.replace("true", "(true)")).problems
    assert parse(longest.replace("true", "!true", 1)).problems


TOKENS = """permit forbid ( ) principal action resource , ; when { } true && "a" == in Group:: @id [ ] if then else .
has like 1 ! ? - //"""
words = st.sampled_from([*TOKENS.split(), "\n"])


@settings(max_examples=300, deadline=None)
@given(st.lists(words, max_size=60).map(" ".join) | st.text(max_size=200))
def test_whatever_is_written_there_is_an_answer(text: str) -> None:
    read = parse(text)

    assert bool(read.permits) == bool(read.rules)
    assert not (read.rules and read.problems)
    for found in read.problems:
        assert found.line is None or 1 <= found.line <= text.count("\n") + 1


identifiers = st.text('abcxyz-09 é"\\\n', min_size=1, max_size=12).filter(lambda text: bool(text.strip()))


def quoted(text: str) -> str:
    return '"' + "".join(f"\\u{{{ord(one):x}}}" for one in text) + '"'


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(identifiers, st.sampled_from(Effect), st.text(max_size=20)), max_size=6, unique_by=lambda one: one[0]
    )
)
def test_what_is_written_comes_back(wanted: list[tuple[str, Effect, str]]) -> None:
    text = "\n".join(
        f"@id({quoted(id)}) @notice({quoted(notice)})\n{effect.value}(principal, action, resource);"
        for id, effect, notice in wanted
    )

    rules = parse(text).rules

    assert [(one.id, one.effect, one.notice) for one in rules] == wanted
    assert [parse(one.text).rules[0] for one in rules] == list(rules)
