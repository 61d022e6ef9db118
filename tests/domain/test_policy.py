"""What follows when rules match: priorities, forbid before permit, require before auto, and errors."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quorate.domain.policy import (
    MAX_ERRORS,
    Because,
    Effect,
    Match,
    Mode,
    Outcome,
    Policy,
    Rule,
    Verdict,
    problems,
    weigh,
)

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)


def policy(number: int = 1, **facts: object) -> Policy:
    return Policy(id=UUID(int=number), name=f"p{number}", created_at=AT, updated_at=AT, **facts)  # type: ignore[arg-type]  # Facts of the field's own types.


def rule(id: str = "a", effect: Effect = Effect.PERMIT, **facts: object) -> Rule:
    return Rule(id=id, effect=effect, text="", **facts)  # type: ignore[arg-type]  # As above.


def forbid(id: str = "f", **facts: object) -> Rule:
    return rule(id, Effect.FORBID, **facts)


policies = st.builds(
    policy,
    st.integers(1, 5),
    priority=st.integers(-2, 2),
    mode=st.sampled_from(Mode),
    max_duration_seconds=st.none() | st.integers(1, 100),
    default_duration_seconds=st.none() | st.integers(1, 100),
    approval_timeout_seconds=st.none() | st.integers(1, 100),
)
rules = st.builds(
    rule,
    st.sampled_from("abcdef"),
    st.sampled_from(Effect),
    notice=st.sampled_from(["", "ask Ana", "no"]),
    mode=st.none() | st.sampled_from(Mode),
    approval_timeout_seconds=st.none() | st.integers(1, 100),
)
worlds = st.lists(st.builds(Match, policies, rules), max_size=8)


def test_nothing_matches_nothing_is_permitted() -> None:
    said = weigh([])

    assert (said.verdict, said.because) == (Verdict.DENY, Because.NO_RULE)
    assert not said.is_permitted
    assert not said.is_forbidden  # The native API lets the workflow decide here.


def test_a_permit_leads_to_what_its_policy_says() -> None:
    assert weigh([Match(policy(), rule())]).verdict is Verdict.REQUIRE
    assert weigh([Match(policy(mode=Mode.AUTO), rule())]).verdict is Verdict.AUTO


def test_what_a_rule_says_of_itself_wins_over_its_policy() -> None:
    strict = Match(policy(mode=Mode.AUTO, approval_timeout_seconds=10), rule(mode=Mode.REQUIRE))
    patient = Match(policy(approval_timeout_seconds=10), rule(mode=Mode.AUTO, approval_timeout_seconds=99))

    assert weigh([strict]).verdict is Verdict.REQUIRE
    assert weigh([patient]).verdict is Verdict.AUTO
    assert weigh([patient]).approval_timeout_seconds == 99


def test_forbid_beats_permit_and_require_beats_auto_among_equals() -> None:
    auto, require = Match(policy(1), rule(mode=Mode.AUTO)), Match(policy(2), rule(mode=Mode.REQUIRE))
    never = Match(policy(3), forbid(notice="not on Fridays"))

    assert weigh([auto, require]).verdict is Verdict.REQUIRE
    said = weigh([auto, require, never])
    assert (said.verdict, said.because) == (Verdict.DENY, Because.FORBIDDEN)
    assert said.rules == ("p3/f",)
    assert said.policies == (UUID(int=3),)
    assert said.notices == ("not on Fridays",)
    assert said.is_forbidden


def test_the_highest_priority_that_says_anything_decides_alone() -> None:
    low = Match(policy(1, max_duration_seconds=5), forbid())
    high = Match(policy(2, priority=1, max_duration_seconds=60), rule(notice="be quick"))

    said = weigh([low, high])

    assert said.is_permitted
    assert said.notices == ("be quick",)
    assert said.max_duration_seconds == 60


def test_the_smallest_durations_of_the_permits_count() -> None:
    said = weigh(
        [
            Match(policy(1, max_duration_seconds=100, default_duration_seconds=90, approval_timeout_seconds=7), rule()),
            Match(policy(2, max_duration_seconds=50), rule()),
            Match(policy(3), rule()),
        ]
    )

    assert (said.max_duration_seconds, said.default_duration_seconds, said.approval_timeout_seconds) == (50, 50, 7)


def test_many_names_are_counted_and_a_notice_is_given_once() -> None:
    said = weigh([Match(policy(number), rule(notice="same")) for number in range(1, 6)])

    assert said.reason == "permitted by p1/a, p2/a, p3/a and 2 more, with approval"
    assert said.notices == ("same",)
    assert len(said.rules) == 5


def test_errors_are_told_once_each_and_not_without_end() -> None:
    assert weigh([], ["b", "a", "b"]).errors == ("a", "b")
    assert len(weigh([], [f"error {number:03}" for number in range(100)]).errors) == MAX_ERRORS


@given(worlds, st.data())
def test_the_order_of_rules_does_not_matter(world: list[Match], data: st.DataObject) -> None:
    distinct = list({one.name: one for one in world}.values())

    assert weigh(data.draw(st.permutations(distinct))) == weigh(distinct)


@given(worlds, policies)
def test_one_more_forbid_never_permits_what_was_denied(world: list[Match], into: Policy) -> None:
    before, after = weigh(world), weigh([*world, Match(into, forbid())])

    assert not after.is_permitted or before.is_permitted
    if before.because is not Because.NO_RULE and into.priority >= max(one.policy.priority for one in world):
        assert not after.is_permitted


@given(worlds, policies)
def test_one_more_permit_that_requires_never_makes_it_automatic(world: list[Match], into: Policy) -> None:
    highest = max((one.policy.priority for one in world), default=0)
    demanding = Match(replace(into, priority=highest), rule("r", mode=Mode.REQUIRE))

    assert weigh([*world, demanding]).verdict is not Verdict.AUTO


@given(worlds, st.lists(st.text(min_size=1), min_size=1))
def test_an_error_denies_whatever_matches(world: list[Match], errors: list[str]) -> None:
    said = weigh(world, errors)

    assert (said.verdict, said.because) == (Verdict.DENY, Because.ERROR)
    assert said.errors
    assert not said.rules
    assert said.is_forbidden


@given(worlds)
def test_what_is_permitted_names_a_permit_and_no_default_is_longer_than_the_most(world: list[Match]) -> None:
    said: Outcome = weigh(world)

    if said.is_permitted:
        assert any(one.name in said.rules and one.rule.effect is Effect.PERMIT for one in world)
        assert (
            said.default_duration_seconds is None
            or said.max_duration_seconds is None
            or (said.default_duration_seconds <= said.max_duration_seconds)
        )
    else:
        assert said.max_duration_seconds is None


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        ({"max_duration_seconds": 0}, "maxDurationSeconds"),
        ({"default_duration_seconds": -1}, "defaultDurationSeconds"),
        ({"approval_timeout_seconds": 367 * 86_400}, "approvalTimeoutSeconds"),
        ({"priority": 2**31}, "priority"),
        ({"max_duration_seconds": 5, "default_duration_seconds": 6}, "defaultDurationSeconds"),
    ],
)
def test_a_policy_that_cannot_be_kept_says_which_field_is_wrong(bad: dict[str, object], path: str) -> None:
    assert [one.path for one in problems(policy(1, **bad))] == [path]


def test_a_policy_needs_a_name_of_bounded_length() -> None:
    assert [one.path for one in problems(replace(policy(), name=" "))] == ["name"]
    assert [one.path for one in problems(replace(policy(), name="x" * 256))] == ["name"]
    assert problems(policy(max_duration_seconds=60, default_duration_seconds=60)) == []
