"""Policies that are asked: what Cedar finds, and what becomes of it."""

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quorate.app.cedar.check import check
from quorate.app.cedar.compiled import MAX_SLICES, Compiled
from quorate.app.cedar.question import MAX_SAID, Question, What, Who, operation, told, unknown, what, who
from quorate.app.cedar.schema import Vocabulary, schema_text
from quorate.app.cedar.text import MAX_DEPTH, MAX_OPERATORS
from quorate.domain.people import Person
from quorate.domain.policy import Because, Mode, Policy, Verdict
from quorate.store.policies import Thing
from tests.app.cedar.written import ANY, AT, PROD, RHEA, asked, policy

OVERFLOW = "9223372036854775807 + context.hour > 0"


def ask(question: Question, *policies: Policy) -> Verdict:
    return Compiled(policies).ask(question).verdict


def when(condition: str, effect: str = "permit") -> str:
    return f"{effect}(principal, action, resource) when {{ {condition} }};"


def holds(condition: str, **facts: Any) -> bool:
    said = Compiled([policy(when(condition))]).ask(asked(**facts))
    assert said.because is not Because.ERROR, said.errors
    return said.is_permitted


def test_no_policy_permits_nothing() -> None:
    assert Compiled([]).ask(asked()).because is Because.NO_RULE
    assert Compiled([policy("")]).ask(asked()).because is Because.NO_RULE


def test_a_disabled_policy_says_nothing_whatever_it_holds() -> None:
    off = policy("forbid(principal, action, resource);", "off", enabled=False)
    broken = policy("nonsense", "broken", enabled=False)

    assert ask(asked(), policy(ANY), off, broken) is Verdict.REQUIRE


def test_forbid_beats_permit_and_priorities_come_first() -> None:
    permit, never = policy(ANY, mode=Mode.AUTO), policy("forbid(principal, action, resource);", "never")

    assert ask(asked(), permit) is Verdict.AUTO
    assert ask(asked(), permit, never) is Verdict.DENY
    assert ask(asked(), replace(permit, priority=1), never) is Verdict.AUTO
    assert ask(asked(), permit, replace(never, priority=1)) is Verdict.DENY


def test_a_higher_priority_that_says_nothing_leaves_it_to_the_next() -> None:
    elsewhere = policy('forbid(principal, action == Action::"admin", resource);', "elsewhere", priority=9)

    assert ask(asked(), policy(ANY), elsewhere) is Verdict.REQUIRE
    assert ask(asked(action="admin"), policy(ANY), elsewhere) is Verdict.DENY


def test_what_decided_is_named() -> None:
    text = '@id("a") @notice("Ask Ana") ' + ANY + '@notice("and Ben") ' + ANY + when("false")

    said = Compiled([policy(text, "base", max_duration_seconds=60)]).ask(asked())

    assert said.rules == ("base/a", "base/rule-2")
    assert said.notices == ("Ask Ana", "and Ben")
    assert said.policies == (policy("", "base").id,)
    assert said.max_duration_seconds == 60


@pytest.mark.parametrize("effect", ["permit", "forbid"])
@pytest.mark.parametrize("priority", [-5, 0, 5])
def test_an_error_in_any_rule_denies_and_is_told(effect: str, priority: int) -> None:
    bad = policy('@id("sum") ' + when(OVERFLOW, effect), "bad", priority=priority)

    said = Compiled([policy(ANY), bad]).ask(asked())

    assert (said.verdict, said.because) == (Verdict.DENY, Because.ERROR)
    assert said.errors[0].startswith("bad/sum: integer overflow")
    assert said.rules == ()


def test_a_kept_text_that_cannot_be_read_denies_everything() -> None:
    said = Compiled([policy(ANY), policy("forbid(principal, action, resource", "cut off")]).ask(asked())

    assert (said.verdict, said.because) == (Verdict.DENY, Because.ERROR)
    assert said.errors == ("cut off: the text ends inside a rule; a rule ends with a semicolon",)


def test_the_order_of_policies_and_rules_does_not_matter() -> None:
    texts = [when("context.hour == 10"), '@notice("n") ' + when("true", "forbid"), when("false"), ANY]
    forward = [policy(text, f"p{number}", priority=number % 2) for number, text in enumerate(texts)]

    assert Compiled(forward).ask(asked()) == Compiled(forward[::-1]).ask(asked())
    one, other = policy('@id("x")' + ANY + '@id("y")' + ANY), policy('@id("y")' + ANY + '@id("x")' + ANY)
    assert Compiled([one]).ask(asked()) == Compiled([other]).ask(asked())


effects, priorities = st.sampled_from(["permit", "forbid"]), st.integers(-1, 1)
heads = st.sampled_from(
    [
        "principal, action, resource",
        'principal in Group::"g1", action, resource',
        'principal in Group::"g9", action, resource',
        'principal == User::"rhea", action == Action::"read", resource',
        'principal in User::"rhea", action in [Action::"read", Action::"request_access"], resource',
        'principal == User::"ana", action, resource == AwsAccount::"1"',
        "principal is Service, action, resource is AwsAccount",
        'principal is User in Role::"dev", action in Action::"request_access", resource is AwsAccount',
        'principal, action, resource is AwsAccount in Resource::"r1"',
        'principal, action, resource in Group::"g1"',
    ]
)
conditions = st.sampled_from(
    ["true", "false", 'principal in Group::"g1"', 'principal in Role::"ops"', "context.hour < 12", OVERFLOW]
)
one_policy = st.tuples(
    st.lists(st.builds("{}({}) when {{ {} }};".format, effects, heads, conditions), max_size=3),
    priorities,
    st.booleans(),
)
worlds = st.lists(one_policy, max_size=5)


def build(world: list[tuple[list[str], int, bool]]) -> list[Policy]:
    return [
        policy("\n".join(rules), f"p{number}", priority=priority, enabled=enabled)
        for number, (rules, priority, enabled) in enumerate(world)
    ]


@settings(max_examples=150, deadline=None)
@given(worlds, priorities, conditions)
def test_one_more_forbid_never_permits_what_was_denied_for_a_reason(
    world: list[tuple[list[str], int, bool]], priority: int, condition: str
) -> None:
    policies = build(world)
    before = ask(asked(), *policies)

    after = ask(asked(), *policies, policy(when(condition, "forbid"), "more", priority=priority))

    assert after is Verdict.DENY or after is before


@settings(max_examples=150, deadline=None)
@given(worlds, st.sampled_from(["read", "request_access"]), st.sampled_from([PROD, What(type="Group", id="g1")]))
def test_the_answer_is_that_of_cedar_asked_priority_by_priority(
    world: list[tuple[list[str], int, bool]], action: str, about: What
) -> None:
    policies = [one for one in build(world) if one.enabled]
    question = asked(action=action, what=about)
    compiled = Compiled(policies, slice_from=0)

    said = compiled.ask(question)

    assert compiled.ask(question) == said  # From a slice.
    request, entities = told(question, sorted({("Group", "g1"), ("Group", "g2"), ("Role", "dev")}))
    expected, failed = cedarpy.Decision.Deny, False
    for priority in sorted({one.priority for one in policies}):
        text = "\n".join(one.cedar for one in policies if one.priority == priority)
        answer = cedarpy.is_authorized(request, text, entities)
        failed = failed or bool(answer.diagnostics.errors)
        if answer.diagnostics.reasons:
            expected = answer.decision
    assert said.is_permitted is (expected is cedarpy.Decision.Allow and not failed)
    assert (said.because is Because.ERROR) is failed


def test_a_question_is_told_as_the_schema_says() -> None:
    vocabulary = Vocabulary(("k8s_namespace",))
    parent, id = uuid4(), uuid4()
    attributes = {"env": "prod", "level": 3, "public": False, "list": [1], "none": None}
    above = (("aws_organizational_unit", parent, "ou-1"), ("folder", uuid4(), None))
    bucket = Thing(id=id, kind="aws_s3_bucket", name="b", external_id="b-1", attributes=attributes, within=above)
    about = [
        PROD,
        what("resource", bucket, vocabulary),
        what("resource", Thing(id=id, kind="folder", name="f"), vocabulary),
        what("role", Thing(id=id, kind="role", name="admins", has_permissions=True), vocabulary),
        what("group", Thing(id=id, kind="group", name="Security", external_id="x"), vocabulary),
        operation("DELETE /x", what("resource", Thing(id=id, kind="folder", name="f"), vocabulary)),
        unknown("k8s_namespace", "default", vocabulary),
        unknown("whatever", "x", vocabulary),
    ]
    service = Who(id=str(uuid4()), is_service=True, permissions=frozenset({"admin"}), groups=frozenset({"g"}))
    schema = cedarpy.Schema.from_str(schema_text(vocabulary))
    for one in about:
        for principal in (RHEA, service):
            question = asked(who=principal, what=one, duration_seconds=5, reason="x", address="::1", surface="native")
            request, entities = told(question, [("Group", "g"), ("Role", "dev")])
            cedarpy.Entities.from_json_str(entities, schema)
            answer = cedarpy.is_authorized(request, ANY, entities, schema)
            assert answer.diagnostics.errors == []
            assert answer.allowed


def test_a_target_goes_by_its_external_id_and_stands_where_it_stands() -> None:
    parent, id = uuid4(), uuid4()
    above = (("aws_organizational_unit", parent, "ou-1"),)
    account = what(
        "resource", Thing(id=id, kind="aws_account", name="prod", external_id="1", within=above), Vocabulary()
    )

    assert (account.type, account.id) == ("AwsAccount", "1")
    for name in (f'Resource::"{id}"', f'Resource::"{parent}"', 'AwsOrganizationalUnit::"ou-1"', 'AwsAccount::"1"'):
        assert holds(f"resource in {name}", what=account)
    assert not holds(f'resource in Resource::"{uuid4()}"', what=account)


def test_a_resource_cannot_pass_for_a_role_by_what_its_type_is_called() -> None:
    disguised = Thing(id=uuid4(), kind="role", name="admins", external_id="admins")

    assert what("resource", disguised, Vocabulary()).type == "Resource"


def test_what_stands_in_itself_by_mistake_is_asked_about_all_the_same() -> None:
    id = uuid4()
    loop = Thing(id=id, kind="folder", name="f", within=(("folder", uuid4(), None), ("folder", id, None)))

    assert holds('resource.name == "f"', what=what("resource", loop, Vocabulary()))


def test_an_operation_stands_where_its_subject_stands() -> None:
    id, parent = uuid4(), uuid4()
    database = Thing(
        id=id,
        kind="aws_rds_instance",
        name="db",
        external_id="arn:1",
        within=(("aws_organizational_unit", parent, "ou-1"),),
    )
    rotate = operation("POST keys/{id}/rotate", what("resource", database, Vocabulary()))

    assert rotate.within == (("Resource", str(id)), ("Resource", str(parent)))
    assert holds(f'resource is Operation && resource in Resource::"{id}"', what=rotate, action=rotate.id)


def test_the_deepest_that_is_let_through_is_read_checked_and_asked() -> None:
    brackets, sets = MAX_DEPTH - 1, MAX_DEPTH - 2
    for condition in (
        "(context.has_reason || " * brackets + "true" + ")" * brackets,
        " || ".join(["context.for_self"] * (MAX_OPERATORS // 2)),
        "if context.has_reason then true else " * 60 + "true",
        "[" * sets + "1" + "]" * sets + " == " + "[" * sets + "1" + "]" * sets,
        "(" * brackets + " || ".join(["1 + 1 == 2"] * 70) + ")" * brackets,
    ):
        text = when(condition)
        assert check(text, Vocabulary()).problems == ()
        assert Compiled([policy(text)]).ask(asked()).is_permitted


def test_the_circumstances_are_told() -> None:
    assert holds("context.hour == 10 && context.minute == 30 && context.weekday == 6")
    assert holds('context.now == datetime("2026-11-21T10:30:00Z")')
    assert holds("context.hour == 8", at=datetime(2026, 11, 21, 10, tzinfo=timezone(timedelta(hours=2))))
    assert holds("!(context has duration_seconds) && !context.has_reason")
    assert holds("context has duration_seconds && context.duration_seconds == 60", duration_seconds=60)
    assert holds('context.has_reason && context.reason like "*INC-*"', reason="see INC-7")
    assert not holds("context.has_reason", reason=" \n")
    assert holds('context.for_self && context.requester == "rhea" && context.surface == "native"', surface="native")
    assert not holds("context.for_self", requester=UUID(int=7))
    assert holds('context has address && context.address.isInRange(ip("192.0.2.0/24"))', address="192.0.2.9")
    for odd in ("", "unix", "fe80::1%eth0", "192.0.2.0/24"):
        assert not holds("context has address", address=odd)


def test_sets_count_by_id_and_groups_by_name_where_a_rule_says_the_name() -> None:
    compiled = Compiled([policy(when('principal in Group::"Security"'))])
    id = str(uuid4())
    member, stranger = replace(RHEA, groups=frozenset({id})), replace(RHEA, groups=frozenset({str(uuid4())}))

    assert compiled.group_names == {"Security"}
    assert compiled.ask(asked(who=member), {id: ("Security",)}).is_permitted
    assert not compiled.ask(asked(who=stranger), {id: ("Security",)}).is_permitted
    assert not compiled.ask(asked(who=member)).is_permitted
    assert Compiled([policy(when(f'principal in Group::"{id}"'))]).group_names == frozenset()
    assert holds('principal in Role::"dev" && !(principal in Role::"ops")')


def test_whoever_asks_for_a_set_they_are_in_is_in_it() -> None:
    mine, other = What(type="Group", id="g1"), What(type="Group", id="g9")

    assert holds("principal in resource", what=mine)
    assert not holds("principal in resource", what=other)


def test_a_person_of_the_directory_is_told_as_they_are() -> None:
    person = Person(id=uuid4(), is_service=True, active=True, name="ci", email=None, roles=frozenset({"ops"}))

    assert holds('principal is Service && principal.name == "ci" && principal.email == ""', who=who(person))
    assert holds('principal in Role::"ops"', who=who(person))


def test_a_resource_shows_its_attributes_as_tags() -> None:
    assert holds('resource is AwsAccount && resource.hasTag("env") && resource.getTag("env") == "prod"')
    thing = Thing(id=uuid4(), kind="x", name="x", attributes={"n": 3, "yes": True, "list": [1]})
    about = what("resource", thing, Vocabulary())
    assert about.tags == {"n": "3", "yes": "true"}


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text(), st.text(), st.integers())
def test_whatever_is_asked_there_is_an_answer(id: str, action: str, reason: str, duration: int) -> None:
    question = asked(
        who=Who(id=id, name=reason, groups=frozenset({action})),
        what=What(type="Resource", id=action, name=id, tags={reason: id}),
        action=action,
        reason=reason,
        duration_seconds=duration,
    )

    said = Compiled([policy(ANY), policy(when("context has duration_seconds"), "q")]).ask(question)

    assert said.is_permitted or said.because is Because.ERROR
    assert said.because is not Because.ERROR or not -(2**63) <= duration < 2**63


@pytest.mark.parametrize(
    "odd",
    [
        {"reason": "x" * (MAX_SAID + 1)},
        {"reason": "\ud800"},
        {"what": What(type="No such::type", id="x")},
        {"what": What(type="", id="x")},
        {"who": Who(id="\udfff")},
        {"action": "\ud800"},
        {"duration_seconds": 2**70},
    ],
    ids=["too big", "half a pair", "no type", "empty type", "half an id", "half an action", "too long"],
)
def test_what_cannot_be_asked_is_denied_with_an_error(odd: dict[str, Any]) -> None:
    said = Compiled([policy(ANY)]).ask(asked(**odd))

    assert (said.verdict, said.because) == (Verdict.DENY, Because.ERROR)
    assert said.errors


def test_an_entity_or_an_escape_in_plain_text_stays_text() -> None:
    text = '{"__entity": {"type": "Role", "id": "admins"}}'

    assert holds('context.reason like "*__entity*"', reason=text)
    assert holds('resource.hasTag("__extn")', what=replace(PROD, tags={"__extn": "ip"}))


def test_a_slice_has_the_rules_that_fit_and_slices_are_bounded() -> None:
    rules = [f'permit(principal in Group::"g{number}", action, resource);' for number in range(100)]
    compiled = Compiled([policy("\n".join(rules))])
    for number in range(200):
        question = asked(who=Who(id="x", groups=frozenset({f"g{number}", "g0", "no such group"})))
        said = [compiled.ask(question) for _ in range(3)]
        assert said[0] == said[1] == said[2]
        assert said[0].rules == (("p/rule-1", f"p/rule-{number + 1}") if 0 < number < 100 else ("p/rule-1",))
        assert len(compiled._slices) <= MAX_SLICES
    assert all(part is not None and len(part.rules) <= 2 for part in compiled._slices.values())


def test_slices_together_have_at_most_twice_the_rules_there_are() -> None:
    compiled = Compiled([policy(ANY * 40 + 'permit(principal, action == Action::"a", resource);')])
    for type in ("Role", "Group", "Resource", "Operation", "AwsAccount"):
        for _ in range(2):
            assert compiled.ask(asked(what=What(type=type, id="x"))).is_permitted

    assert sum(len(part.rules) for part in compiled._slices.values() if part) == 80


def test_a_hundred_rules_are_asked_in_a_small_part_of_a_parse() -> None:
    rules = [
        f'@id("r{number}") permit(principal in Group::"g{number}", action, resource is AwsAccount) '
        f"when {{ context has duration_seconds && context.duration_seconds < {number * 60} }};"
        for number in range(100)
    ]
    compiled = Compiled([policy("\n".join(rules))])
    question = asked(duration_seconds=30)

    def best(call: Any) -> float:
        taken = []
        for _ in range(20):
            began = time.perf_counter()
            call()
            taken.append(time.perf_counter() - began)
        return min(taken)

    assert compiled.ask(question).is_permitted
    assert best(lambda: compiled.ask(question)) * 3 < best(lambda: cedarpy.PolicySet.from_str("\n".join(rules)))
    assert AT.tzinfo is UTC
