"""Steps as people write them become the steps of the rules, and back."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from quorate.app.definitions import COUNT_WORDS, Unknown, as_given, read_leaves, read_steps, show_step
from quorate.domain.cadence import Cadence
from quorate.domain.evidence import Demand
from quorate.domain.permissions import KNOWN
from quorate.domain.workflows import (
    Count,
    Escalations,
    Kind,
    Leaf,
    Node,
    OnTimeout,
    Rejection,
    Reminders,
    Rule,
    Step,
    Unit,
    Wants,
    any_one_of,
    problems,
)

PLAIN = {"order": 1, "name": "Security", "approverType": "group", "approverValue": "g1"}


def step(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (PLAIN | changes).items() if value is not ...}


def quorum(*members: Any, **node: Any) -> dict[str, Any]:
    return step(approverType=..., approverValue=..., quorum={"n": 1, "members": list(members)} | node)


def wrong(*items: Any, **how: Any) -> list[str]:
    return [problem.path for problem in read_steps(list(items), **how)[1]]


def test_a_plain_step_has_72_hours_unless_it_says_otherwise() -> None:
    (read,), none = read_steps([PLAIN])

    assert none == []
    assert read == Step(1, "Security", any_one_of(Leaf(Kind.GROUP, "g1")), 72 * 3600, is_plain=True)
    assert show_step(read) == PLAIN | {"timeoutHours": 72}


def test_a_quorum_takes_every_kind_of_member_and_answers_null_for_the_plain_keys() -> None:
    members = [
        {"user": "ana"},
        {"service": "ci"},
        {"group": "g"},
        {"role": "admins"},
        {"manager": "requester"},
        {"manager": "asker"},
        {"owner": "target"},
        {"holder": "request:approve"},
        {"n": "50%", "requirePassword": True, "overlap": True, "members": [{"user": "ben"}, {"user": "cyd"}]},
    ]

    (read,), none = read_steps([quorum(*members, n=2)])

    assert none == []
    inner = Node(
        Count(50, Unit.PERCENT), (Leaf(Kind.USER, "ben"), Leaf(Kind.USER, "cyd")), Demand(password=True), overlap=True
    )
    assert read.approvers.members[-1] == inner
    shown = show_step(read)
    assert (shown["approverType"], shown["approverValue"]) == (None, None)
    assert shown["quorum"] == {"n": 2, "members": members}
    assert read_steps([shown]) == ((read,), [])


@pytest.mark.parametrize(("word", "count"), COUNT_WORDS.items())
def test_a_word_for_a_count_is_understood(word: str, count: Count) -> None:
    (read,), _ = read_steps([quorum({"group": "g"}, n=word)])

    assert read.approvers.n == count


def test_everything_a_step_may_say_is_read_and_shown_again() -> None:
    written = step(
        timeoutSeconds=5401,
        rejection={"count": 2},
        onTimeout="escalate",
        escalateTo={"approverType": "role", "approverValue": "admins"},
        override=False,
        requiresComment="rejection",
        fallbackApprovers=[{"role": "admins"}, {"holder": "admin"}],
        reminders={"schedule": "0 9 * * 1-5", "timeZone": "Europe/Berlin", "most": 3},
        escalations={"afterSeconds": 60, "schedule": "@every 1h", "to": [{"manager": "requester"}, {"role": "admins"}]},
    )

    (read,), none = read_steps([written])

    assert none == []
    assert (read.timeout_s, read.rejection, read.on_timeout) == (5401, Rejection(Rule.COUNT, 2), OnTimeout.ESCALATE)
    assert show_step(read) == written | {"timeoutHours": 2}


def test_hours_that_contradict_the_seconds_are_refused() -> None:
    assert wrong(step(timeoutSeconds=3601, timeoutHours=2)) == []
    assert wrong(step(timeoutSeconds=3601, timeoutHours=3)) == ["steps[0].timeoutHours"]


@pytest.mark.parametrize("leaf", [{"manager": "asker"}, {"owner": "target"}])
def test_what_only_a_request_can_tell_stands_in_a_workflow_and_not_in_a_tenants_settings(leaf: dict[str, str]) -> None:
    assert wrong(step(escalateTo=leaf, onTimeout="escalate", fallbackApprovers=[leaf])) == []
    assert read_leaves([leaf])[1] == []
    assert [one.path for one in read_leaves([leaf], of_tenant=True)[1]] == [f"fallbackApprovers[0].{next(iter(leaf))}"]
    assert read_leaves([{"manager": "requester"}], of_tenant=True)[1] == []


@pytest.mark.parametrize("leaf", [{"manager": "target"}, {"owner": "asker"}, {"owner": "requester"}])
def test_other_words_for_managers_and_owners_are_refused(leaf: dict[str, str]) -> None:
    assert wrong(quorum(leaf, n=1)) == [f"steps[0].quorum.members[0].{next(iter(leaf))}"]


def test_all_problems_are_said_at_once_with_their_paths() -> None:
    found = wrong(
        step(order=0, name=" ", timeoutHours=True),
        quorum({"user": "ana"}, {"user": 7}, {"user": "x", "group": "y"}, n=2),
        step(approverType="manager", approverValue="requester"),
        "what?",
    )

    assert sorted(found) == [
        "steps[0].name",
        "steps[0].order",
        "steps[0].timeoutHours",
        "steps[1].quorum.members[1].user",
        "steps[1].quorum.members[2]",
        "steps[2].approverType",
        "steps[3]",
    ]


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (step(order="1"), "order"),
        (step(order=True), "order"),
        (step(order=1.0), "order"),
        (step(name=...), "name"),
        (step(name="x" * 256), "name"),
        (step(name="a\0b"), "name"),
        (step(name="\ud800"), "name"),
        (step(approverType=...), "approverType"),
        (step(approverType="service"), "approverType"),
        (step(approverType=["user"]), "approverType"),
        (step(approverValue=" "), "approverValue"),
        (step(timeoutHours=0), "timeoutHours"),
        (step(timeoutHours="5"), "timeoutHours"),
        (step(timeoutHours=8761), "timeoutHours"),
        (step(timeoutSeconds=0), "timeoutSeconds"),
        (step(timeoutSeconds=8760 * 3600 + 1), "timeoutSeconds"),
        (step(rejection="all"), "rejection"),
        (step(rejection={"count": 0}), "rejection.count"),
        (step(rejection={}), "rejection.count"),
        (step(onTimeout="explode"), "onTimeout"),
        (step(onTimeout="escalate"), "escalateTo"),
        (step(escalateTo={}), "escalateTo"),
        (step(escalateTo={"approverType": "user"}), "escalateTo.approverValue"),
        (step(override="no"), "override"),
        (step(requiresComment=True), "requiresComment"),
        (step(fallbackApprovers={"role": "x"}), "fallbackApprovers"),
        (step(fallbackApprovers=[{"n": 1}]), "fallbackApprovers[0]"),
        (step(reminders=[]), "reminders"),
        (step(reminders={"most": 1}), "reminders.afterSeconds"),
        (step(reminders={"afterSeconds": "1"}), "reminders.afterSeconds"),
        (step(reminders={"schedule": 9}), "reminders.schedule"),
        (step(reminders={"schedule": "* * * *"}), "reminders.schedule"),
        (step(reminders={"schedule": "@daily", "timeZone": "+99:00"}), "reminders.timeZone"),
        (step(reminders={"schedule": "@daily", "most": True}), "reminders.most"),
        (step(reminders={"afterSeconds": 72 * 3600}), "reminders"),
        (step(escalations={"afterSeconds": 60}), "escalations.to"),
        (step(escalations={"to": [{"role": "x"}]}), "escalations.afterSeconds"),
        (step(escalations={"afterSeconds": 60, "to": [{"role": "x"}] * 2}), "escalations.schedule"),
        (step(escalations={"afterSeconds": 60, "to": [{"role": "x"}] * 21, "schedule": "@daily"}), "escalations.to"),
        (step(escalations={"afterSeconds": 60, "to": [{"n": 1}]}), "escalations.to[0]"),
        (step(quorum={"n": 1, "members": [{"user": "x"}]}), "approverType"),
        (quorum(), "quorum.members"),
        (quorum({"user": "x"}, n=0), "quorum.n"),
        (quorum({"user": "x"}, n=2), "quorum.n"),
        (quorum({"user": "x"}, n=True), "quorum.n"),
        (quorum({"user": "x"}, n="101%"), "quorum.n"),
        (quorum({"user": "x"}, n="half"), "quorum.n"),
        (quorum({"user": "x"}, n=None), "quorum.n"),
        (quorum({"user": "x"}, requirePassword=1), "quorum.requirePassword"),
        (quorum({"service": "x"}, requirePassword=True), "quorum.members[0]"),
        (quorum({"manager": "me"}), "quorum.members[0].manager"),
        (quorum({"holder": "everything"}), "quorum.members[0].holder"),
        (quorum({"n": 1}), "quorum.members[0].members"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(written: dict[str, Any], path: str) -> None:
    assert f"steps[0].{path}" in wrong(written)


def test_orders_must_be_unique_and_there_must_be_a_step() -> None:
    assert wrong(PLAIN, PLAIN) == ["steps"]
    assert wrong() == ["steps"]
    assert [problem.path for problem in read_steps(None)[1]] == ["steps"]


def test_nesting_beyond_five_levels_is_refused_however_deep_it_is() -> None:
    node: dict[str, Any] = {"n": 1, "members": [{"user": "ana"}]}
    for _ in range(4):
        node = {"n": 1, "members": [node]}
    assert wrong(quorum(*node["members"])) == []

    for _ in range(2000):
        node = {"n": 1, "members": [node]}
    assert wrong(quorum(*node["members"])) == ["steps[0].quorum" + ".members[0]" * 5]


def test_an_unknown_key_is_a_problem_only_where_the_reader_is_strict() -> None:
    misspelt = step(timeoutHour=5)

    assert wrong(misspelt) == []
    [problem] = read_steps([misspelt], strict=True)[1]
    assert problem.path == "steps[0].timeoutHour"
    assert "did you mean timeoutHours?" in problem.message


def test_a_misspelt_demand_of_a_quorum_is_a_problem_everywhere() -> None:
    quorum = {"n": 1, "requireSecondFacter": True, "members": [{"role": "admins"}]}

    _, problems = read_steps([{"order": 1, "name": "Custodians", "quorum": quorum}])

    [problem] = problems
    assert problem.path == "steps[0].quorum.requireSecondFacter"
    assert "did you mean requireSecondFactor" in problem.message


def test_names_are_turned_into_ids_and_unknown_ones_reported() -> None:
    def resolve(kind: Kind, written: str) -> str:
        if written == "nobody":
            raise Unknown("there is no such user")
        return f"{kind}-{written}"

    (read,), _ = read_steps([quorum({"user": "ana"}, {"role": "admins"})], resolve)
    assert [leaf.value for leaf in read.approvers.leaves] == ["user-ana", "role-admins"]
    assert wrong(quorum({"user": "nobody"}), resolve=resolve) == ["steps[0].quorum.members[0].user"]


def test_an_id_in_capitals_means_the_same_account() -> None:
    id = UUID("3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a")

    (leaf,), _ = read_leaves([{"user": str(id).upper()}])

    assert leaf.value == str(id)


words = some.text(some.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8).map(
    lambda text: text.strip() or "x"
)
leaf_values = {
    Kind.MANAGER: some.sampled_from(["requester", "asker"]),
    Kind.OWNER: some.just("target"),
    Kind.HOLDER: some.sampled_from(sorted(KNOWN)),
}
leaves = some.sampled_from(list(Kind)).flatmap(
    lambda kind: some.builds(Leaf, some.just(kind), leaf_values.get(kind, words.map(lambda text: as_given(kind, text))))
)
counts = some.one_of(
    some.integers(1, 4).map(Count),
    some.integers(1, 100).map(lambda value: Count(value, Unit.PERCENT)),
    some.sampled_from(list(COUNT_WORDS.values())),
)
demands = some.builds(Demand, some.booleans(), some.booleans())


def nodes(members: some.SearchStrategy[Any]) -> some.SearchStrategy[Node]:
    return some.builds(
        Node, counts, some.lists(members, min_size=1, max_size=4).map(tuple), demands, overlap=some.booleans()
    )


trees = nodes(leaves | nodes(leaves | nodes(leaves)))
plain = some.builds(any_one_of, leaves.filter(lambda leaf: leaf.kind in (Kind.USER, Kind.ROLE, Kind.GROUP)))
rejections = some.one_of(
    some.none(),
    some.sampled_from([Rejection(Rule.ANY), Rejection(Rule.UNREACHABLE)]),
    some.integers(1, 9).map(lambda count: Rejection(Rule.COUNT, count)),
)


spans = some.integers(60, 600)
cadences = some.builds(Cadence, spans, spans) | some.builds(
    Cadence,
    spans,
    some.none(),
    some.sampled_from(["0 9 * * 1-5", "*/5 * * JAN *"]),
    some.sampled_from(["UTC", "+01:30"]),
)


@some.composite
def steps(draw: some.DrawFn) -> Step:
    is_plain, in_seconds = draw(some.booleans()), draw(some.booleans())
    return Step(
        order=draw(some.integers(1, 99)),
        name=draw(words),
        approvers=draw(plain if is_plain else trees),
        timeout_s=draw(some.integers(1, 10_000)) * (1 if in_seconds else 3600) % (8760 * 3600) or 3600,
        is_plain=is_plain,
        in_seconds=in_seconds,
        rejection=draw(rejections),
        on_timeout=draw(some.none() | some.sampled_from(list(OnTimeout))),
        escalate_to=draw(some.none() | leaves),
        override=draw(some.none() | some.booleans()),
        requires_comment=draw(some.none() | some.sampled_from(list(Wants))),
        fallback=tuple(draw(some.lists(leaves, max_size=2))),
        reminders=draw(some.none() | some.builds(Reminders, cadences, some.integers(1, 20))),
        escalations=draw(
            some.none() | some.builds(Escalations, cadences, some.lists(leaves, min_size=1, max_size=3).map(tuple))
        ),
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(steps().filter(lambda one: problems((one,)) == []))
def test_what_is_shown_is_read_as_the_same_step(one: Step) -> None:
    as_sent = msgspec.json.decode(msgspec.json.encode(show_step(one)))

    assert read_steps([as_sent], strict=True) == ((one,), [])


anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from([*PLAIN, "quorum", "members", "n", "user", "role", "count", "to", "schedule"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    some.lists(
        some.dictionaries(
            some.sampled_from(
                [
                    *PLAIN,
                    "quorum",
                    "rejection",
                    "escalateTo",
                    "fallbackApprovers",
                    "timeoutSeconds",
                    "reminders",
                    "escalations",
                ]
            ),
            anything,
        )
        | anything,
        max_size=3,
    )
    | anything
)
def test_nothing_that_can_be_written_breaks_the_reader(items: Any) -> None:
    found, wrongs = read_steps(items, strict=True)

    assert wrongs or problems(found) == []
