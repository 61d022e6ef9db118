"""Policies, rules and what they would say. Source: JITSudo contract b.7; (d) 16–18, 38."""

from typing import Any
from uuid import uuid4

from tests.surfaces.jitsudo.story import ACCOUNT, Jit, error

RULE = """forbid(
  principal in Group::"Platform",
  action == Action::"admin",
  resource
) unless { context.has_reason };"""


async def evaluated(jit: Jit, who: str = "ada", **more: Any) -> Any:
    body = {"principal": str(jit.ids["rhea"]), "resource": "aws_account:123456789012", "action": "read"}
    return await jit.post(who, "/policies/evaluate", body | more)


async def test_a_policy_is_made_of_cedar_text_and_split_into_rules(jit: Jit) -> None:
    text = f'@id("quiet") permit(principal, action, resource is AwsS3Bucket);\n{RULE}'
    made = await jit.policy("buckets", text, description="d", priority=7, approval_timeout_seconds=60)

    first, second = made.pop("rules")
    assert made | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "name": "buckets",
        "description": "d",
        "enabled": True,
        "priority": 7,
        "max_duration_seconds": 14_400,
        "default_duration_seconds": None,
        "notification_channel": None,
        "approval_mode": "require",
        "approval_timeout_seconds": 60,
        "created_at": "",
        "updated_at": "",
    }
    assert (first["effect"], first["resource_scope_type"], first["resource_entity_type"]) == (
        "permit",
        "is",
        "AwsS3Bucket",
    )
    assert second["policy_text"] == RULE
    assert (second["principal_scope_type"], second["principal_entity_id"]) == ("in", "Platform")
    assert (second["action_scope_type"], second["action_ids"]) == ("eq", ["admin"])
    assert second["conditions"] == "unless { context.has_reason }"
    listed = await jit.get("ada", f"/policies/{made['id']}/rules?limit=1")
    assert (listed["data"], listed["has_more"]) == ([first], True)
    rest = await jit.get("ada", f"/policies/{made['id']}/rules?cursor={listed['next_cursor']}")
    assert rest == {"data": [second], "next_cursor": None, "has_more": False}


async def test_a_rule_written_in_parts_means_the_same_as_its_text(jit: Jit) -> None:
    policy = await jit.policy("parts", "")
    parts = {
        "effect": "forbid",
        "action_scope_type": "in",
        "action_ids": ["admin", "write"],
        "resource_scope_type": "eq",
        "resource_entity_type": "AwsAccount",
        "resource_entity_id": ACCOUNT["id"],
        "conditions": "unless { context.has_reason }",
        "notice": 'Say "why"',
        "ordinal": 3,
        "audit_session": False,
        "approval_mode": "require",
        "approval_timeout_seconds": 90,
    }

    rule = await jit.post("ada", f"/policies/{policy['id']}/rules", parts, 201)

    assert parts.items() <= rule.items()
    assert 'forbid(principal, action in [Action::"admin", Action::"write"]' in rule["policy_text"]
    assert (await evaluated(jit))["permitted"] is True
    said = await evaluated(jit, action="write")
    assert said == {
        "permitted": False,
        "matching_policy_ids": [policy["id"]],
        "reason": said["reason"],
        "notices": ['Say "why"'],
    }
    assert said["reason"]
    answer = await jit.call("rhea", "POST", "/requests", {"resource": ACCOUNT, "action": "write"})
    assert (error(answer), answer.json()["notices"]) == ((403, "policy_denied"), ['Say "why"'])
    assert (await jit.ask(action="write", reason="x"))["status"] == "pending"
    whole = (await jit.story.get("ada", f"/policies/{policy['id']}"))["cedar"]
    assert rule["policy_text"] in whole


async def test_a_text_wins_over_parts_and_keeps_its_own_annotations(jit: Jit) -> None:
    policy = await jit.policy("texts", "")
    text = '@notice("Mine") forbid(principal, action, resource is AwsS3Bucket);'
    body = {"policy_text": text, "effect": "permit", "notice": "Theirs", "ordinal": 2}

    rule = await jit.post("ada", f"/policies/{policy['id']}/rules", body, 201)

    assert (rule["effect"], rule["notice"], rule["ordinal"]) == ("forbid", "Mine", 2)
    await jit.post("ada", f"/policies/{policy['id']}/rules", {"effect": "permit", "ordinal": 1}, 201)
    listed = (await jit.get("ada", f"/policies/{policy['id']}/rules"))["data"]
    assert [one["ordinal"] for one in listed] == [1, 2]


async def test_what_cannot_be_read_is_refused_and_permits_nothing(jit: Jit) -> None:
    policy = await jit.policy("odd", "")
    path = f"/policies/{policy['id']}/rules"
    for body in (
        {},
        {"policy_text": "permit(everything);"},
        {"policy_text": "permit(principal, action, resource); permit(principal, action, resource);"},
        {"effect": "allow"},
        {"effect": "permit", "principal_scope_type": "eq"},
        {
            "effect": "permit",
            "principal_scope_type": "eq",
            "principal_entity_type": "Nobody",
            "principal_entity_id": "x",
        },
        {"effect": "permit", "action_scope_type": "eq"},
        {"effect": "permit", "action_scope_type": "is"},
        {"effect": "permit", "conditions": "when { 1 + }"},
        {"effect": "permit", "conditions": "when { true }; permit(principal, action, resource)"},
        {"effect": "permit", "ordinal": -1},
    ):
        answer = await jit.call("ada", "POST", path, body)
        assert error(answer) == (400, "invalid_input"), body
    assert (await jit.get("ada", path))["data"] == []
    for change in ({"cedar_policy_set": "permit("}, {"max_duration_seconds": 0}, {"name": " "}, {"priority": 0.5}):
        body = {"name": "x", "max_duration_seconds": 60} | change
        assert error(await jit.call("ada", "POST", "/policies", body)) == (400, "invalid_input"), change
    assert error(await jit.call("ada", "POST", "/policies", {"name": "x"})) == (400, "invalid_input")
    assert error(await jit.call("ada", "POST", "/policies", {"name": "odd", "max_duration_seconds": 60})) == (
        409,
        "conflict",
    )


async def test_a_policy_changes_where_it_is_said_and_higher_ones_go_first(jit: Jit) -> None:
    policy = await jit.policy("never", "forbid(principal, action, resource);", priority=-1)
    assert (await evaluated(jit))["permitted"] is True

    answer = await jit.call("ada", "PATCH", f"/policies/{policy['id']}", {"priority": 1, "description": "x"})
    assert (answer.status_code, answer.json()["priority"], answer.json()["rules"]) == (200, 1, policy["rules"])
    assert (await evaluated(jit))["permitted"] is False
    await jit.call("ada", "PATCH", f"/policies/{policy['id']}", {"enabled": False})
    assert (await evaluated(jit))["permitted"] is True
    for bad in ({"priority": "1"}, {"max_duration_seconds": None}, {"default_duration_seconds": 99_999}):
        assert error(await jit.call("ada", "PATCH", f"/policies/{policy['id']}", bad)) == (400, "invalid_input")


async def test_what_policies_would_say_is_told_to_those_who_write_them_and_of_oneself_to_all(jit: Jit) -> None:
    assert (await evaluated(jit, "rhea"))["permitted"] is True
    for more in ({"principal": str(jit.ids["mona"])}, {"groups": ["Security"]}):
        body = {"principal": str(jit.ids["rhea"]), "resource": "aws_account:1", "action": "read"} | more
        assert error(await jit.call("rhea", "POST", "/policies/evaluate", body)) == (403, "forbidden")
    group = 'forbid(principal in Group::"Night watch", action, resource);'
    policy = await jit.policy("watch", group, priority=3)
    said = await evaluated(jit, principal="somebody", groups=["Night watch"])
    assert (said["permitted"], said["matching_policy_ids"]) == (False, [policy["id"]])
    key = await jit.api_key()
    assert (await evaluated(jit, key["id"], principal=f"api_key:{key['id']}"))["permitted"] is True
    arn = "aws_rds_instance:arn:aws:rds:eu:1:db:x"
    assert (await evaluated(jit, resource=arn))["permitted"] is True
    for bad in ({"resource": "aws_account"}, {"resource": "mainframe:x"}, {"action": ""}, {"groups": "x"}):
        body = {"principal": "x", "resource": "aws_account:1", "action": "read"} | bad
        assert error(await jit.call("ada", "POST", "/policies/evaluate", body)) == (400, "invalid_input")


async def test_policies_are_for_those_who_may_write_them(jit: Jit) -> None:
    policy = await jit.policy("mine", "")
    for who, status in (("rhea", 403), ("olu", 404)):
        for method, path, body in (
            ("PATCH", f"/policies/{policy['id']}", {}),
            ("POST", f"/policies/{policy['id']}/rules", {"effect": "permit"}),
            ("GET", f"/policies/{policy['id']}/rules", None),
        ):
            assert (await jit.call(who, method, path, body)).status_code == status, path
    for id in (uuid4(), "x"):
        assert error(await jit.call("ada", "PATCH", f"/policies/{id}", {})) == (404, "not_found")
    assert error(await jit.call("rhea", "POST", "/policies", {"name": "x", "max_duration_seconds": 1})) == (
        403,
        "forbidden",
    )


async def test_a_policy_lets_somebody_approve_if_it_says_so_by_name(jit: Jit) -> None:
    """What permits any action lets nobody approve. Source: (d) 2."""
    made, other = await jit.ask(), await jit.ask(resource={"type": "aws_s3_bucket", "id": "logs"})
    assert (await jit.decided("mona", made))[0] == 403
    mona = f'principal == User::"{jit.ids["mona"]}"'
    await jit.policy("mona", f'permit({mona}, action == Action::"approve", resource is AwsAccount);')

    assert (await jit.decided("mona", other))[0] == 403
    assert (await jit.decided("rita", made))[0] == 403
    status, approved = await jit.decided("mona", made)
    assert (status, approved["status"], approved["decided_by"]) == (200, "approved", str(jit.ids["mona"]))
    assert (await jit.decided("mona", made))[0] == 409

    hers = await jit.ask("mona")
    assert (await jit.decided("mona", hers))[0] == 403
    third = await jit.ask()
    await jit.policy("not her", f'forbid({mona}, action == Action::"approve", resource);', priority=1)
    assert (await jit.decided("mona", third))[0] == 403
    await jit.story.workflow()
    assert (await jit.decided("mona", await jit.ask()))[0] == 403


async def test_a_policy_lets_somebody_approve_whatever_else_is_settled_for_the_step(jit: Jit) -> None:
    mona = f'principal == User::"{jit.ids["mona"]}"'
    await jit.policy("mona", f'permit({mona}, action == Action::"approve", resource is AwsAccount);')
    path = f"/generic-approvals/v1/config/{jit.story.tenant}/TENANT"
    admin = jit.story.callers["ada"]
    late = {"timeoutConfig": {"enabled": True, "daysUntilTimeout": 2}}
    assert (await admin.put(path, json=late)).status_code == 200
    assert (await jit.decided("mona", await jit.ask()))[0] == 200
    chain = {"serialChain": [{"identityType": "IDENTITY", "identityId": str(jit.ids["ben"])}]}
    assert (await admin.put(path, json=chain)).status_code == 200
    other = await jit.ask()
    assert (await jit.decided("mona", other))[0] == 403
    assert (await jit.decided("ben", other))[0] == 200


async def test_policies_are_told_which_api_was_called_and_from_where(jit: Jit) -> None:
    await jit.policy("here", 'forbid(principal, action, resource) when { context.surface == "jitsudo" };', priority=1)
    asked = {"resource": ACCOUNT, "action": "read"}
    assert error(await jit.call("rhea", "POST", "/requests", asked)) == (403, "policy_denied")
    await jit.story.workflow()
    await jit.story.request()

    [policy] = [one for one in (await jit.story.get("ada", "/policies"))["policies"] if one["name"] == "here"]
    there = "forbid(principal, action, resource) when { context has address && context.address.isLoopback() };"
    await jit.story.call("ada", "PUT", f"/policies/{policy['id']}", {"cedar": there})
    assert error(await jit.call("rhea", "POST", "/requests", asked)) == (403, "policy_denied")
