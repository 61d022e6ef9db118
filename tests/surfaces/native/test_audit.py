"""The audit log: native contract b.7 and (d) 45, 50."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.surfaces.native.story import Story, by, by_security, error

KEYS = {
    *("id", "tenantId", "userId", "userEmail", "action", "resourceType", "resourceId", "ipAddress", "details"),
    *("status", "timestamp"),
}


async def events(story: Story, query: str = "", who: str = "ada") -> list[Any]:
    found: list[Any] = (await story.get(who, f"/audit/events?limit=100{query}"))["events"]
    return found


async def actions(story: Story, query: str = "") -> list[str]:
    """Name what happened, the oldest first."""
    return [one["action"] for one in reversed(await events(story, query))]


async def test_an_event_has_the_documented_keys_and_is_found_by_its_id(story: Story) -> None:
    made = await story.post("ada", "/groups", {"name": "Ops"}, 201)

    [event] = await events(story)

    assert set(event) == KEYS
    assert event == await story.get("ada", f"/audit/events/{event['id']}")
    assert event["details"] == {
        "surface": "native",
        "name": "Ops",
        "description": "",
        "externalId": None,
        "workflowId": None,
        "ownerId": None,
    }
    told = {key: event[key] for key in ("userId", "userEmail", "action", "resourceType", "resourceId", "status")}
    assert told == {
        "userId": str(story.ids["ada"]),
        "userEmail": "ada@acme.example",
        "action": "group.created",
        "resourceType": "group",
        "resourceId": made["id"],
        "status": "success",
    }
    assert event["timestamp"] == made["createdAt"]


@pytest.mark.parametrize("id", ["x", "", f"{uuid4()}", f"{uuid4()}-0", f"{uuid4()}-x", f"{uuid4()}-²", "9" * 400])
async def test_an_id_that_is_none_is_404(story: Story, id: str) -> None:
    assert error(await story.call("ada", "GET", f"/audit/events/{id}")) == (404, "RESOURCE_NOT_FOUND")


async def test_olu_sees_nothing_of_ours(story: Story) -> None:
    made = await story.post("ada", "/groups", {"name": "Ops"}, 201)
    [event] = await events(story)

    assert await events(story, who="olu") == []
    assert await events(story, f"&userId={story.ids['ada']}", who="olu") == []
    assert error(await story.call("olu", "GET", f"/audit/events/{event['id']}")) == (404, "RESOURCE_NOT_FOUND")
    history = await story.get("olu", f"/audit/resources/group/{made['id']}/history")
    assert history == {"events": [], "total": 0}


async def test_others_deeds_need_audit_read_and_ones_own_nothing(story: Story) -> None:
    await story.workflow()
    request = (await story.request())["id"]

    for path in ("events", f"events/{uuid4()}-0", f"resources/access_request/{request}/history"):
        assert error(await story.call("rita", "GET", f"/audit/{path}")) == (403, "FORBIDDEN")
    mine = await story.get("rhea", "/audit/me/activity")

    assert [one["action"] for one in mine["events"]] == ["approval.requested", "access_request.created"]
    assert mine["total"] == 2
    assert {one["resourceId"] for one in mine["events"]} == {request}
    assert (await story.get("rhea", "/audit/me/activity?action=access_request.created"))["total"] == 1
    assert (await story.get("ben", "/audit/me/activity"))["total"] == 0


async def test_every_deed_of_the_life_of_a_workflow_and_its_requests_is_told(story: Story) -> None:
    made = await story.workflow(by("ana"), name="Flow")
    await story.call("ada", "PUT", f"/workflows/{made}", {"description": "d"})
    started = (await story.post("ada", f"/workflows/{made}/start", {"subject": {}}, 201))["instanceId"]
    await story.post("ada", f"/workflow-instances/{started}/cancel")
    withdrawn = (await story.request())["id"]
    await story.post("rhea", f"/access-requests/{withdrawn}/cancel", {"reason": "late"})
    lapsed = (await story.request())["id"]
    story.clock.passes(hours=100)
    await story.call("ada", "POST", f"/access-requests/{lapsed}/approve")
    refused = (await story.request())["id"]
    await story.post("ada", f"/access-requests/{refused}/reject", {"reason": "no"})
    await story.post("ada", f"/workflows/{made}/deactivate")
    await story.call("ada", "DELETE", f"/workflows/{made}")

    assert await actions(story) == [
        *("workflow.created", "workflow.activated", "workflow.updated"),
        *("workflow_instance.started", "approval.requested", "workflow_instance.cancelled"),
        *("access_request.created", "approval.requested", "access_request.cancelled"),
        *("access_request.created", "approval.requested", "access_request.expired"),
        *("access_request.created", "approval.requested", "approval.decided", "access_request.rejected"),
        *("workflow.deactivated", "workflow.deleted"),
    ]
    [cancelled] = await events(story, "&action=access_request.cancelled")
    assert cancelled["details"] == {"surface": "native", "cause": "cancel", "note": "late"}
    [expired] = await events(story, "&action=access_request.expired")
    assert "userId" not in expired


async def test_a_decision_says_whether_it_was_a_bypass_and_by_whom(story: Story) -> None:
    await story.workflow(by("ana", 10), by_security(20))
    request = (await story.request())["id"]
    await story.post("ana", f"/approvals/{await story.task('ana', request)}/decide", {"decision": "approve"})
    await story.post("ada", f"/access-requests/{request}/approve", {"note": "urgent"})

    [bypass, decided] = await events(story, "&action=approval.decided")

    assert (decided["userId"], bypass["userId"]) == (str(story.ids["ana"]), str(story.ids["ada"]))
    assert bypass["details"] == {
        "surface": "native",
        "step": 20,
        "decision": "approve",
        "note": "urgent",
        "bypass": True,
        "selfApproval": False,
        "onBehalfOf": None,
        "showedPassword": False,
        "showedSecondFactor": False,
    }
    assert (decided["details"]["bypass"], decided["details"]["step"]) == (False, 10)


async def test_deciding_for_oneself_is_marked_where_it_is_allowed(story: Story) -> None:
    async with story.db.tx([story.tenant]) as tx:
        await tx.run("""UPDATE tenant SET settings = '{"selfApproval": true}' WHERE id = $1""", story.tenant)
    await story.workflow(by("rhea"))
    request = (await story.request())["id"]
    await story.post("rhea", f"/approvals/{await story.task('rhea', request)}/decide", {"decision": "approve"})

    [decided] = await events(story, "&action=approval.decided")

    assert decided["details"]["selfApproval"] is True


async def test_what_is_told_of_a_request_alone_is_told_too(story: Story) -> None:
    await story.workflow(by("ana"))
    request = (await story.request())["id"]
    await story.post("rhea", f"/access-requests/{request}/comments", {"text": "please"}, 201)
    task = await story.task("ana", request)
    await story.post("ana", f"/approvals/{task}/reassign", {"to": str(story.ids["mona"]), "note": "away"})
    await story.post("ada", f"/users/{story.ids['mona']}/suspend")

    told = {one["action"]: one["details"] for one in await events(story, "&resourceType=access_request")}

    assert told["access_request.commented"]["text"] == "please"
    assert told["approval.reassigned"]["from"] == str(story.ids["ana"])
    assert told["approval.reassigned"]["to"] == str(story.ids["mona"])
    assert told["approval.reassigned"]["note"] == "away"
    assert told["access_request.created"]["resourceName"] == "auditors"


async def test_what_a_grant_gives_and_takes_is_told_of_the_role_beside_what_is_done_by_hand(story: Story) -> None:
    await story.workflow()
    for body in ({}, {"resourceType": "group", "resourceId": str(story.security)}):
        request = (await story.request(**body, duration={"value": 1, "unit": "hours"}))["id"]
        await story.post("ana", f"/approvals/{await story.task('ana', request)}/decide", {"decision": "approve"})
    await story.post("ada", f"/users/{story.ids['mona']}/roles", {"roleId": str(story.auditors)})
    rhea, mona = str(story.ids["rhea"]), str(story.ids["mona"])

    given = await events(story, "&action=role.assigned")

    assert {one["details"]["userId"] for one in given} == {rhea, mona}
    assert {(one["resourceType"], one["resourceId"]) for one in given} == {("role", str(story.auditors))}
    history = await story.get("ada", f"/audit/resources/role/{story.auditors}/history")
    assert [one["action"] for one in history["events"]] == ["role.assigned", "role.assigned"]
    assert [one["details"]["userId"] for one in await events(story, "&action=group.member_added")] == [rhea]
    grants = {one["resourceType"]: one["id"] for one in (await story.get("ada", "/grants"))["grants"]}
    await story.post("rhea", f"/grants/{grants['role']}/revoke", {"reason": "done"})
    [revoked] = await events(story, "&action=role.revoked")
    assert (revoked["details"]["reason"], revoked["details"]["grantId"]) == ("done", grants["role"])
    assert (await story.get("ada", f"/audit/resources/grant/{grants['role']}/history"))["total"] == 2


async def test_what_could_not_be_given_is_a_failure(story: Story) -> None:
    await story.workflow()
    request = (await story.request())["id"]
    task = await story.task("ana", request)
    await story.call("ada", "PUT", f"/users/{story.ids['rhea']}", {"status": "inactive"})

    await story.post("ana", f"/approvals/{task}/decide", {"decision": "approve"})

    [failed] = await events(story, "&status=failure")
    assert (failed["action"], failed["resourceId"]) == ("role.assigned", str(story.auditors))
    assert "role.assigned" not in await actions(story, "&status=success")


async def test_events_are_filtered_by_who_what_which_and_when(story: Story) -> None:
    started = story.clock.at
    group = (await story.post("ada", "/groups", {"name": "Ops"}, 201))["id"]
    story.clock.passes(days=1)
    await story.workflow()
    request = (await story.request())["id"]
    story.clock.passes(days=1)
    await story.post("rhea", f"/access-requests/{request}/cancel")
    day = (started + timedelta(days=1)).date().isoformat()
    second = (started + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    async def many(query: str) -> int:
        found = await story.get("ada", f"/audit/events?limit=100&{query}")
        assert len(found["events"]) == found["total"]
        return len(found["events"])

    assert await many("") == 6
    assert await many(f"userId={story.ids['rhea']}") == 3
    assert await many("userId=nobody") == 0
    assert await many("action=access_request.created") == 1
    assert await many("action=unheard.of") == 0
    assert await many("resourceType=group") == 1
    assert await many("resourceType=access_request") == 3
    assert await many("resourceType=workflow_instance") == 0
    assert await many(f"resourceId={group}") == 1
    assert await many(f"resourceType=workflow&resourceId={group}") == 0
    assert await many(f"resourceType=access_request&resourceId={request}") == 3
    assert await many(f"startDate={day}&endDate={day}") == 4
    assert await many(f"startDate={second}&endDate={second}") == 4
    assert await many(f"endDate={started.date().isoformat()}") == 1
    assert await many("status=failure") == 0
    assert await many("status=success&resourceType=group&action=group.created") == 1


async def test_pages_and_orders(story: Story) -> None:
    for name in "abc":
        await story.post("ada", "/groups", {"name": name}, 201)
        story.clock.passes(seconds=1)
    await story.workflow()

    newest = [one["timestamp"] for one in await events(story)]
    assert newest == sorted(newest, reverse=True)
    assert [one["timestamp"] for one in await events(story, "&sortOrder=asc")] == newest[::-1]
    by_action = [one["action"] for one in await events(story, "&sortBy=action&sortOrder=asc")]
    assert by_action == ["group.created"] * 3 + ["workflow.activated", "workflow.created"]
    by_type = [one["resourceType"] for one in await events(story, "&sortBy=resourceType")]
    assert by_type == ["workflow"] * 2 + ["group"] * 3
    page = await story.get("ada", "/audit/events?limit=2&page=2")
    assert ([one["id"] for one in page["events"]], page["total"]) == (
        [one["id"] for one in await events(story)][2:4],
        5,
    )


@pytest.mark.parametrize(
    "query", ["startDate=soon", "endDate=2026-13-01", "status=maybe", "sortBy=colour", "sortOrder=up", "page=0"]
)
async def test_a_filter_that_is_none_is_400(story: Story, query: str) -> None:
    for path in ("events", "me/activity", f"resources/role/{uuid4()}/history"):
        assert error(await story.call("ada", "GET", f"/audit/{path}?{query}")) == (400, "VALIDATION_ERROR")


async def test_every_change_of_the_directory_is_told_with_who_and_from_where(story: Story) -> None:
    user = (await story.post("ada", "/users", {"email": "zoe@acme.example"}, 201))["id"]
    path = f"/users/{user}"
    await story.call("ada", "PUT", path, {"displayName": "Zoe", "managerId": str(story.ids["mona"])})
    await story.post("ada", f"{path}/suspend")
    await story.call("ada", "PUT", path, {"status": "inactive"})
    await story.post("ada", f"{path}/reactivate")
    key = (await story.post("ada", f"{path}/keys", {"name": "k"}, 201))["id"]
    await story.call("ada", "DELETE", f"{path}/keys/{key}")
    await story.post("ada", f"/groups/{story.security}/members", {"userId": user})
    await story.call("ada", "DELETE", f"/groups/{story.security}/members/{user}")
    await story.call("ada", "DELETE", path)

    assert await actions(story) == [
        *("user.created", "user.updated", "user.suspended", "user.updated", "user.reactivated"),
        *("key.created", "key.revoked", "group.member_added", "group.member_removed", "user.deleted"),
    ]
    async with story.db.tx([story.tenant]) as tx:
        rows = await tx.all(
            "SELECT actor_id, credential_id, surface, address FROM event WHERE tenant_id = $1", story.tenant
        )
    assert {row["actor_id"] for row in rows} == {story.ids["ada"]}
    assert all(row["credential_id"] and row["surface"] == "native" and row["address"] for row in rows)
    [updated, *_] = reversed(await events(story, "&action=user.updated"))
    assert updated["details"]["changed"] == ["displayName", "managerId"]
    assert updated["details"]["managerId"] == str(story.ids["mona"])


@pytest.mark.parametrize("what", ["role", "group", "resource"])
async def test_what_was_deleted_while_it_was_asked_for_is_approved_and_the_failure_is_in_its_history(
    story: Story, what: str
) -> None:
    await story.workflow()
    target = str({"role": story.auditors, "group": story.security, "resource": story.database}[what])
    asked = await story.request(resourceType=what, resourceId=target)
    task = await story.task("ana", asked["id"])
    assert (await story.call("ada", "DELETE", f"/{what}s/{target}")).status_code == 200
    async with story.db.tx([story.tenant]) as tx:  # As if the request had still been on its way then.
        await tx.run("DELETE FROM timer WHERE tenant_id = $1 AND kind = 'target'", story.tenant)
    story.clock.passes(minutes=1)

    decided = await story.post("ana", f"/approvals/{task}/decide", {"decision": "approve"})

    assert decided["accessRequestStatus"] == "approved"
    assert (await story.get("rhea", f"/access-requests/{asked['id']}"))["status"] == "approved"
    assert (await story.get("rhea", "/grants"))["total"] == 0
    [failed] = await events(story, "&status=failure")
    told = (failed["resourceType"], failed["resourceId"], failed["details"]["requestId"])
    assert told == (what, target, asked["id"])
    history = (await story.get("ada", f"/audit/resources/{what}/{target}/history"))["events"]
    assert [one["status"] for one in history] == ["failure", "success"]
    assert history[0] == failed
    assert error(await story.call("olu", "GET", f"/audit/events/{failed['id']}")) == (404, "RESOURCE_NOT_FOUND")


async def test_every_moment_of_an_event_has_the_one_form(story: Story) -> None:
    now = story.clock()
    span = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(days=1)).isoformat()}
    await story.workflow()
    await story.post("ana", "/delegations", {"to": str(story.ids["ben"])} | span, 201)
    await story.post("ana", f"/users/{story.ids['ana']}/keys", {"name": "laptop", "expiresAt": span["endsAt"]}, 201)
    request = (await story.request(duration={"value": 1, "unit": "hours"}))["id"]
    await story.post("ana", f"/approvals/{await story.task('ana', request)}/decide", {"decision": "approve"})

    found = [
        (event["action"], key, value)
        for event in await events(story)
        for key, value in event["details"].items()
        if key.endswith("At") and value is not None
    ]
    assert {key for _, key, _ in found} == {"dueAt", "startsAt", "endsAt", "expiresAt"}
    assert [one for one in found if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one[2])] == []
    assert {action for action, key, _ in found if key == "endsAt"} == {"delegation.created", "role.assigned"}
