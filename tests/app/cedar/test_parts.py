import pytest

from quorate.app.cedar.parts import Part, Parts, annotated, apart, together
from quorate.app.cedar.text import parse
from quorate.domain.policy import BadPolicy, Effect

GROUP = Part("in", "Group", "ops")
ACCOUNT = Part("eq", "AwsAccount", "123456789012")
RULES = [
    ("permit(principal, action, resource);", Parts(Effect.PERMIT)),
    (
        'forbid(principal in Group::"ops", action == Action::"read", resource == AwsAccount::"123456789012");',
        Parts(Effect.FORBID, GROUP, Part("eq", ids=("read",)), ACCOUNT),
    ),
    (
        """permit(principal == User::"a \\"b\\" \\\\", action in [Action::"read", Action::"write"],
                  resource is AwsS3Bucket)
           when { context.reason == ");" } unless { context.hour > 18 };""",
        Parts(
            Effect.PERMIT,
            Part("eq", "User", 'a "b" \\'),
            Part("in", ids=("read", "write")),
            Part("is", "AwsS3Bucket"),
            'when { context.reason == ");" } unless { context.hour > 18 }',
        ),
    ),
    (
        """@notice("Say \\"please\\"")
           permit(principal is User in Group::"ops", action,
                  resource is AwsAccount in AwsOrganizationalUnit::"ou-1");""",
        Parts(
            Effect.PERMIT,
            Part("is_in", "User", 'Group::"ops"'),
            Part(),
            Part("is_in", "AwsAccount", 'AwsOrganizationalUnit::"ou-1"'),
            annotations={"notice": 'Say "please"'},
        ),
    ),
]


@pytest.mark.parametrize(("text", "parts"), RULES, ids=range(len(RULES)))
def test_a_rule_is_taken_apart_and_put_together_again(text: str, parts: Parts) -> None:
    [rule] = parse(text).rules

    assert apart(rule) == parts
    assert apart(parse(together(parts)).rules[0]) == parts


def test_what_something_is_in_may_be_an_id_alone() -> None:
    text = together(Parts(Effect.PERMIT, Part("is_in", "User", "ops"), Part(), Part("is_in", "AwsAccount", 'odd"')))

    assert 'principal is User in Group::"ops"' in text
    assert 'resource is AwsAccount in Resource::"odd\\u{22}"' in text


@pytest.mark.parametrize(
    "part",
    [Part("eq", "User"), Part("eq", None, "a"), Part("is"), Part("is", "User) when {true"), Part("is_in", "User")],
)
def test_a_part_that_lacks_something_is_refused_and_never_written_as_any(part: Part) -> None:
    with pytest.raises(BadPolicy):
        together(Parts(Effect.PERMIT, part))


def test_an_action_must_be_named_where_one_is_meant() -> None:
    for part in (Part("eq"), Part("in"), Part("eq", ids=("a", "b"))):
        with pytest.raises(BadPolicy):
            together(Parts(Effect.PERMIT, action=part))


def test_annotations_a_rule_has_are_kept() -> None:
    text = annotated('@notice("mine") permit(principal, action, resource);', {"notice": "theirs", "ordinal": "3"})

    assert parse(text).rules[0].annotations == {"notice": "mine", "ordinal": "3"}
    assert annotated("nonsense", {"notice": "x"}) == "nonsense"
