"""Policies over HTTP: contract b.7, row by row."""

import asyncio
from typing import Any
from uuid import uuid4

from tests.surfaces.native.story import Body, Story, error

POLICY = {
    "id",
    "name",
    "description",
    "enabled",
    "priority",
    "approvalMode",
    "maxDurationSeconds",
    "defaultDurationSeconds",
    "approvalTimeoutSeconds",
    "notificationChannel",
    "cedar",
    "version",
    "createdAt",
    "updatedAt",
}
EVALUATION = {
    "verdict",
    "because",
    "reason",
    "policies",
    "rules",
    "notices",
    "errors",
    "maxDurationSeconds",
    "defaultDurationSeconds",
    "approvalTimeoutSeconds",
}
PERMIT = '@id("all")\npermit(principal, action, resource);\n'
FORBID = '@id("none") @notice("Not today.")\nforbid(principal, action, resource);\n'


async def made(story: Story, cedar: str = PERMIT, **more: Any) -> Any:
    return await story.post("ada", "/policies", {"name": f"Policy {uuid4()}", "cedar": cedar} | more, 201)


def about(story: Story, **more: Any) -> Body:
    return {"resourceType": "role", "resourceId": str(story.auditors)} | more


async def test_a_policy_is_made_with_exactly_the_documented_keys_and_read_as_it_was_made(story: Story) -> None:
    body = {
        "name": " Base ",
        "description": "Who may have what",
        "priority": -3,
        "approvalMode": "auto",
        "maxDurationSeconds": 14_400,
        "defaultDurationSeconds": 3_600,
        "approvalTimeoutSeconds": 600,
        "notificationChannel": "#security",
        "cedar": PERMIT,
    }

    answer = await story.call("ada", "POST", "/policies", body)
    policy = answer.json()["data"]

    assert answer.status_code == 201
    assert set(policy) == POLICY
    assert {key: policy[key] for key in body} == body | {"name": "Base"}
    assert (policy["enabled"], policy["version"]) == (True, 1)
    read = await story.call("rita", "GET", f"/policies/{policy['id']}")
    assert read.json()["data"] == policy
    assert read.headers["etag"] == answer.headers["etag"]


async def test_policies_are_listed_by_priority_and_page(story: Story) -> None:
    low, high = await made(story, priority=1), await made(story, priority=2)

    assert await story.get("rita", "/policies") == {"policies": [high, low], "total": 2}
    assert await story.get("rita", "/policies?page=2&limit=1") == {"policies": [low], "total": 2}
    assert await story.get("olu", "/policies") == {"policies": [], "total": 0}
    assert error(await story.call("rhea", "GET", "/policies")) == (403, "FORBIDDEN")
    assert error(await story.call(None, "GET", "/policies")) == (401, "UNAUTHORIZED")
    assert error(await story.call("rita", "GET", "/policies?limit=0")) == (400, "VALIDATION_ERROR")


async def test_a_change_says_only_what_changes_and_null_takes_away(story: Story) -> None:
    policy = await made(story, description="old", maxDurationSeconds=60)
    path = f"/policies/{policy['id']}"

    changed = await story.call("ada", "PUT", path, {"description": None, "maxDurationSeconds": None, "priority": 5})
    same = await story.call("ada", "PUT", path)

    after = changed.json()["data"]
    wanted = policy | {"description": None, "maxDurationSeconds": None, "priority": 5, "version": 2}
    assert after == wanted | {"updatedAt": after["updatedAt"]}
    assert same.json()["data"] == after
    for bad in ({"enabled": None}, {"cedar": None}, {"name": " "}, {"priority": 2**31}, {"maxDurationSeconds": 0}):
        assert error(await story.call("ada", "PUT", path, bad)) == (400, "VALIDATION_ERROR"), bad


async def test_a_change_or_removal_with_an_old_tag_is_412_and_changes_nothing(story: Story) -> None:
    path = f"/policies/{(await made(story))['id']}"
    old = {"If-Match": (await story.call("ada", "GET", path)).headers["etag"]}
    answers = await asyncio.gather(
        *(story.call("ada", "PUT", path, {"description": word}, headers=old) for word in "abc")
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]

    assert error(await story.call("ada", "PUT", path, {"priority": 9}, headers=old)) == (412, "PRECONDITION_FAILED")
    assert error(await story.call("ada", "DELETE", path, headers=old)) == (412, "PRECONDITION_FAILED")
    for method in ("PUT", "DELETE"):
        odd = await story.call("ada", method, path, headers={"If-Match": "odd"})
        assert error(odd) == (400, "VALIDATION_ERROR")
    left = await story.call("ada", "GET", path)
    assert left.json()["data"]["priority"] == 0
    now = {"If-Match": left.headers["etag"]}
    assert (await story.call("ada", "DELETE", path, headers=now)).json() == {
        "success": True,
        "message": "Policy deleted",
    }
    assert error(await story.call("ada", "DELETE", path)) == (404, "RESOURCE_NOT_FOUND")


async def test_a_text_that_cannot_be_kept_is_refused_with_line_and_column(story: Story) -> None:
    bad = {"name": "Bad", "cedar": "permit(principal, action, resource);\n\npermit(principal, action);\n"}
    policy = await made(story)

    for method, path in (("POST", "/policies"), ("PUT", f"/policies/{policy['id']}")):
        answer = await story.call("ada", method, path, bad)
        assert error(answer) == (400, "VALIDATION_ERROR")
        [detail] = answer.json()["error"]["details"]
        assert detail["field"] == "cedar"
        assert detail["message"].startswith("line 3, column 1: ")

    misfit = {"name": "Misfit", "cedar": "permit(principal, action, resource)\n when { principal.age > 3 };"}
    answer = await story.call("ada", "POST", "/policies", misfit)
    assert error(answer) == (400, "VALIDATION_ERROR")
    assert all(detail["message"].startswith("line ") for detail in answer.json()["error"]["details"])
    too_long = {"name": "Long", "cedar": "//" + "x" * 65_536}
    assert error(await story.call("ada", "POST", "/policies", too_long)) == (400, "VALIDATION_ERROR")
    durations = {"name": "D", "cedar": "", "maxDurationSeconds": 1, "defaultDurationSeconds": 2}
    answer = await story.call("ada", "POST", "/policies", durations)
    assert [one["field"] for one in answer.json()["error"]["details"]] == ["defaultDurationSeconds"]
    assert error(await story.call("ada", "POST", "/policies", {"name": "No text"})) == (400, "VALIDATION_ERROR")
    assert (await story.get("ada", "/policies"))["total"] == 1


async def test_a_name_is_taken_once_in_a_tenant(story: Story) -> None:
    first, second = await made(story), await made(story)
    taken = {"name": first["name"], "cedar": ""}

    for answer in (
        await story.call("ada", "POST", "/policies", taken),
        await story.call("ada", "PUT", f"/policies/{second['id']}", {"name": first["name"]}),
    ):
        assert error(answer) == (409, "DUPLICATE_NAME")
        assert "workflow" not in answer.text

    await story.post("olu", "/policies", taken, 201)


async def test_only_who_may_write_policies_does(story: Story) -> None:
    path = f"/policies/{(await made(story))['id']}"

    for stranger in ("rhea", "rita", "bot"):
        for method, where in (("POST", "/policies"), ("PUT", path), ("DELETE", path)):
            assert error(await story.call(stranger, method, where, {})) == (403, "FORBIDDEN"), (stranger, method)
    assert error(await story.call("rhea", "GET", path)) == (403, "FORBIDDEN")


async def test_unknown_and_foreign_policies_are_the_same(story: Story) -> None:
    policy = await made(story)

    for id in (policy["id"], str(uuid4()), "no-id"):
        for method in ("GET", "PUT", "DELETE"):
            assert error(await story.call("olu", method, f"/policies/{id}")) == (404, "RESOURCE_NOT_FOUND")
    assert await story.get("ada", f"/policies/{policy['id']}") == policy


async def test_an_evaluation_says_what_the_policies_say_and_leaves_nothing_behind(story: Story) -> None:
    nothing = await story.post("rhea", "/policies/evaluate", about(story))
    assert set(nothing) == EVALUATION
    assert (nothing["verdict"], nothing["because"], nothing["rules"]) == ("deny", "no_rule", [])

    permits = await made(story, maxDurationSeconds=3_600, approvalMode="auto")
    yes = await story.post("rhea", "/policies/evaluate", about(story, durationSeconds=60, reason="why"))
    assert (yes["verdict"], yes["because"], yes["maxDurationSeconds"]) == ("auto", "permitted", 3_600)
    assert (yes["policies"], yes["rules"]) == ([permits["id"]], [f"{permits['name']}/all"])

    forbids = await made(story, FORBID, priority=1)
    no = await story.post("rhea", "/policies/evaluate", about(story))
    assert (no["verdict"], no["because"], no["notices"]) == ("deny", "forbidden", ["Not today."])
    assert no["rules"] == [f"{forbids['name']}/none"]
    assert (await story.get("rhea", "/access-requests/my-requests"))["total"] == 0
    other = await story.post("olu", "/policies/evaluate", about(story))
    assert other["because"] == "no_rule"


async def test_an_evaluation_takes_who_when_from_where_and_in_which_groups(story: Story) -> None:
    await made(story, 'permit(principal in Group::"contractors", action == Action::"assume", resource is AwsAccount);')
    await made(story, "forbid(principal, action, resource) when { context.hour < 7 };", priority=1)
    question: Body = {
        "resourceType": "aws_account",
        "resourceId": "123456789012",
        "action": "assume",
        "at": "2026-03-02T13:00:00+01:00",
        "address": "192.0.2.7",
        "requesterId": str(story.ids["mona"]),
    }
    ana = {"userId": str(story.ids["ana"])}

    async def asked(**more: Any) -> tuple[str, str]:
        found = await story.post("ada", "/policies/evaluate", question | ana | more)
        return found["verdict"], found["because"]

    assert await asked(groups=["contractors"]) == ("require", "permitted")
    assert await asked() == ("deny", "no_rule")
    assert await asked(groups=["contractors"], action="read") == ("deny", "no_rule")
    assert await asked(groups=["contractors"], at="2026-03-02T03:00:00Z") == ("deny", "forbidden")


async def test_about_others_only_who_writes_policies_may_ask(story: Story) -> None:
    for more in ({"userId": str(story.ids["ana"])}, {"groups": ["Security"]}):
        answer = await story.call("rita", "POST", "/policies/evaluate", about(story, **more))
        assert error(answer) == (403, "FORBIDDEN")
    itself = about(story, userId=str(story.ids["rita"]))
    assert (await story.call("rita", "POST", "/policies/evaluate", itself)).status_code == 200
    assert error(await story.call(None, "POST", "/policies/evaluate", itself)) == (401, "UNAUTHORIZED")


async def test_an_evaluation_that_cannot_be_read_is_400(story: Story) -> None:
    for more in (
        {"resourceType": ""},
        {"action": 5},
        {"durationSeconds": 0},
        {"groups": [1]},
        {"at": "2026-03-02T12:00:00"},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T23:59:59-14:00"},
    ):
        answer = await story.call("ada", "POST", "/policies/evaluate", about(story, **more))
        assert error(answer) == (400, "VALIDATION_ERROR"), more
