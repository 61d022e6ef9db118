"""What a policy may speak of."""

import re
import time
from pathlib import Path

import pytest

from quorate.app.cedar.check import check
from quorate.app.cedar.policies import MAX_POLICIES
from quorate.app.cedar.schema import ACTIONS, AWS_TYPES, MAX_ACTIONS, Vocabulary, entity_type, vocabulary
from quorate.app.cedar.text import MAX_DEPTH, MAX_ID, MAX_OPERATORS, MAX_RULES, MAX_TEXT
from tests.app.cedar.written import ANY

PLAIN = Vocabulary()
OWN = Vocabulary(("k8s_namespace",), ("DELETE /api/v1/workflows/{id}",))


def when(condition: str, scope: str = "principal, action, resource") -> str:
    return f"permit({scope})\nwhen {{ {condition} }};"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ANY,
        when('context.for_self && context.has_reason && context.reason like "*INC-*"'),
        when("context has duration_seconds && context.duration_seconds <= 3600"),
        when("context.hour >= 8 && context.hour < 18 && context.weekday <= 5"),
        when('context.now.toTime() > duration("8h") && context.now < datetime("2030-01-01")'),
        when('context has address && context.address.isInRange(ip("10.0.0.0/8"))'),
        when('principal.permissions.contains("admin") || principal.email like "*@acme.example"'),
        when("principal in resource", "principal is User, action, resource is Group"),
        when("!resource.carries_permissions", "principal, action, resource is Role"),
        when(
            'resource.hasTag("env") && resource.getTag("env") == "prod"',
            'principal in Group::"Security", action in [Action::"assume", Action::"read"], '
            'resource is AwsAccount in AwsOrganizationalUnit::"ou-1"',
        ),
        when('resource in Resource::"r1"', "principal is Service, action, resource is AwsS3Bucket"),
        'permit(principal, action == Action::"DELETE /api/v1/workflows/{id}", resource is Operation);',
        "permit(principal, action, resource is K8sNamespace);",
    ],
)
def test_a_policy_may_say_this(text: str) -> None:
    checked = check(text, OWN)

    assert checked.problems == ()
    assert checked.remarks == ()


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        (when("context.duration_seconds > 1"), 2, 16, "optional"),
        (when("principal.age > 1"), 2, 18, "not found"),
        (when("resource.carries_permissions"), 2, 17, "not found"),
        (when('resource.getTag("env") == "prod"', "principal, action, resource is Resource"), 2, 24, "tag"),
        ("permit(principal, action, resource is AwsAcount);", 1, 39, "unrecognized entity type"),
        ("permit(principal is Group, action, resource);", 1, 1, "unable to find an applicable action"),
        ("permit(principal, action, resource is K8sNamespace);", 1, 39, "unrecognized entity type"),
        (when("resource.name"), 1, 1, "expected Bool"),
        (when('context.now < datetime("yesterday")'), 2, None, "yesterday"),
    ],
)
def test_what_the_schema_does_not_know_is_said_where_it_stands(
    text: str, line: int, column: int | None, message: str
) -> None:
    found = check(text, PLAIN).problems

    assert found
    assert any(
        message in one.message and one.column in (column, one.column if column is None else column) for one in found
    )
    assert any(one.line == line for one in found)
    assert check(text, PLAIN).rules == ()


def test_what_the_page_about_policies_shows_is_right() -> None:
    page = (Path(__file__).parents[3] / "docs/policies.md").read_text("utf-8")
    [example] = re.findall(r"```cedar\n(.*?)```", page, re.DOTALL)

    checked = check(example, PLAIN)

    assert checked.problems == ()
    assert checked.remarks == ()
    assert [one.id for one in checked.rules] == ["security-reads", "working-hours", "logs"]
    for limit in (MAX_TEXT // 1024, MAX_RULES, MAX_DEPTH, MAX_OPERATORS, MAX_ACTIONS, MAX_ID, MAX_POLICIES):
        assert re.search(rf"\b{limit}\b", page)
    for word in (*ACTIONS, *(entity_type(one, PLAIN) for one in AWS_TYPES)):
        assert f"`{word}`" in page


def test_a_problem_is_shown_in_the_rule_that_has_it() -> None:
    found = check(ANY + "\n" + ANY + "\n" + when("principal.age > 1"), PLAIN).problems

    assert {(one.line, one.column) for one in found} == {(4, 18)}


def test_an_action_nobody_knows_is_taken_with_a_remark() -> None:
    checked = check('permit(principal, action == Action::"deploi \\n", resource);', PLAIN)

    assert checked.problems == ()
    assert len(checked.remarks) == 1
    assert "deploi" in checked.remarks[0]


def test_the_six_types_and_those_of_the_settings_have_names_of_their_own() -> None:
    settings = b'{"jitsudo": {"resourceTypes": ["k8s_namespace", "user", "k8s-namespace", "a b", 7, "Long"]}}'
    words = vocabulary(settings)

    assert [entity_type(word, words) for word in AWS_TYPES][:2] == ["AwsAccount", "AwsPermissionSet"]
    assert entity_type("k8s_namespace", words) == "K8sNamespace"
    for word in ("user", "k8s-namespace", "a b", "Long", "profile", "role"):
        assert entity_type(word, words) == "Resource"
    assert check(ANY, words).problems == ()


@pytest.mark.parametrize("settings", [b"{}", b"[]", b"null", b'{"jitsudo": 1}', b'{"jitsudo": {"resourceTypes": "x"}}'])
def test_settings_of_any_shape_are_read(settings: bytes) -> None:
    assert vocabulary(settings) == Vocabulary()


def test_the_most_a_text_can_say_is_checked_in_bounded_time() -> None:
    actions = [f'permit(principal, action == Action::"n{number}", resource);' for number in range(MAX_ACTIONS)]
    heavy = when(" || ".join(f'(context.has_reason && principal.name == "{number}")' for number in range(40)))
    rules = [*actions, *[heavy] * ((MAX_TEXT - 2000) // len(heavy))]
    began = time.perf_counter()

    checked = check("".join(rules), PLAIN)

    assert checked.problems == ()
    assert len(checked.rules) == len(rules) > 40
    assert time.perf_counter() - began < 15
    assert "actions" in check("".join(actions) + when('action == Action::"one more"'), PLAIN).problems[0].message
