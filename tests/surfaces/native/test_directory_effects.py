"""What users, roles, groups, resources and services do to each other: native contract b.7 and b.8."""

from typing import Any
from uuid import uuid4

import pytest

from tests.surfaces.native.story import Story, error
from tests.surfaces.native.test_directory import KINDS, made, put


async def test_a_new_user_signs_in_with_their_address_and_the_password_is_never_shown(story: Story) -> None:
    password = "a long enough password"
    answer = await story.call("ada", "POST", "/users", KINDS["users"] | {"password": password})
    assert answer.status_code == 201
    assert password not in answer.text
    headers = {"X-Tenant-ID": str(story.tenant)}
    body = {"email": "ZOE@acme.example", "password": password}

    signed_in = await story.call(None, "POST", "/auth/login", body, headers=headers)

    assert signed_in.status_code == 200
    token = {"Authorization": f"Bearer {signed_in.json()['data']['accessToken']}"}
    id = answer.json()["data"]["id"]
    assert (await story.call(None, "GET", f"/users/{id}", headers=token)).json()["data"]["id"] == id
    assert error(await story.call(None, "GET", f"/users/{story.ids['ada']}", headers=token)) == (403, "FORBIDDEN")

    await put(story, "ada", f"/users/{id}", {"password": "another good password"})

    assert error(await story.call(None, "GET", "/users/me", headers=token)) == (401, "UNAUTHORIZED")
    assert error(await story.call(None, "POST", "/auth/login", body, headers=headers))[0] == 401
    body["password"] = "another good password"
    assert (await story.call(None, "POST", "/auth/login", body, headers=headers)).status_code == 200
    told = await story.get("ada", f"/audit/resources/user/{id}/history")
    [changed] = [one for one in told["events"] if one["action"] == "user.updated"]
    assert "password" in changed["details"]["changed"]
    assert "another good password" not in str(told)


async def test_a_display_name_follows_the_names_until_somebody_chooses_one(story: Story) -> None:
    path = f"/users/{(await made(story, 'users'))['id']}"

    async def shown(**change: Any) -> str:
        return str((await put(story, "ada", path, change)).json()["data"]["displayName"])

    assert await shown(familyName="Zed") == "Zoe Zed"
    assert await shown(fatherName="Yan") == "Zoe Yan Zed"
    assert await shown(displayName="Z") == "Z"
    assert await shown(familyName="Zoo") == "Z"
    assert await shown(displayName=None) == "Zoe Yan Zoo"
    assert await shown(firstName=None, fatherName=None, familyName=None) == "zoe@acme.example"


async def test_a_login_follows_the_address_unless_it_is_another(story: Story) -> None:
    one = f"/users/{(await made(story, 'users'))['id']}"
    other = f"/users/{(await made(story, 'users', email='yan@acme.example', login='yan'))['id']}"

    await put(story, "ada", one, {"email": "zoe@new.example"})
    await put(story, "ada", other, {"email": "yan@new.example"})

    assert (await story.get("ada", one))["login"] == "zoe@new.example"
    assert (await story.get("ada", other))["login"] == "yan"
    assert error(await put(story, "ada", one, {"login": "YAN"})) == (409, "CONFLICT")


async def test_nobody_is_their_own_manager(story: Story) -> None:
    id = str(story.ids["rhea"])

    assert error(await put(story, "ada", f"/users/{id}", {"managerId": id})) == (400, "VALIDATION_ERROR")

    assert (await put(story, "ada", f"/users/{id}", {"managerId": None})).json()["data"]["managerId"] is None


async def test_users_are_found_by_status(story: Story) -> None:
    await story.post("ada", f"/users/{story.ids['ben']}/suspend")

    found = await story.get("ada", "/users?status=suspended")

    assert ([one["id"] for one in found["users"]], found["total"]) == ([str(story.ids["ben"])], 1)
    assert error(await story.call("ada", "GET", "/users?status=gone")) == (400, "VALIDATION_ERROR")


async def test_one_may_read_oneself_and_nobody_else(story: Story) -> None:
    assert (await story.get("rhea", f"/users/{story.ids['rhea']}"))["email"] == "rhea@acme.example"

    for id in (story.ids["ana"], uuid4(), story.ids["olu"]):
        assert error(await story.call("rhea", "GET", f"/users/{id}")) == (403, "FORBIDDEN")


async def test_suspending_counts_at_once_and_reactivating_restores(story: Story) -> None:
    path, headers = f"/users/{story.ids['ben']}", {"X-Tenant-ID": str(story.tenant)}
    login = {"email": "ben@acme.example", "password": "correct horse battery staple"}
    opened = (await story.call(None, "POST", "/auth/login", login, headers=headers)).json()["data"]
    token = {"Authorization": f"Bearer {opened['accessToken']}"}
    for who in ("ben", "bot"):
        assert (await story.call(who, "GET", "/approvals/pending")).status_code == 200
    assert (await story.call(None, "GET", "/users/me", headers=token)).status_code == 200

    suspended = await story.post("ada", f"{path}/suspend")

    assert suspended["status"] == "suspended"
    for who in ("ben", "bot"):  # The service is Ben's.
        assert error(await story.call(who, "GET", "/approvals/pending")) == (401, "UNAUTHORIZED")
    assert error(await story.call(None, "GET", "/users/me", headers=token)) == (401, "UNAUTHORIZED")
    assert error(await story.call(None, "POST", "/auth/login", login, headers=headers)) == (403, "ACCOUNT_SUSPENDED")
    assert error(await story.call("ada", "POST", f"{path}/suspend")) == (409, "CONFLICT")

    assert (await story.post("ada", f"{path}/reactivate"))["status"] == "active"

    for who in ("ben", "bot"):
        assert (await story.call(who, "GET", "/approvals/pending")).status_code == 200
    assert error(await story.call(None, "GET", "/users/me", headers=token)) == (401, "UNAUTHORIZED")
    refresh = {"refreshToken": opened["refreshToken"]}
    assert (await story.call(None, "POST", "/auth/refresh", refresh)).status_code == 401
    assert error(await story.call("ada", "POST", f"{path}/reactivate")) == (409, "CONFLICT")


async def test_a_deleted_user_is_out_of_everything_and_their_requests_keep_the_name(story: Story) -> None:
    await story.workflow()
    request = (await story.request())["id"]
    await story.post("ada", f"/users/{story.ids['rhea']}/roles", {"roleId": str(story.manager)})
    await story.post("ada", f"/groups/{story.security}/members", {"userId": str(story.ids["rhea"])})

    await story.call("ada", "DELETE", f"/users/{story.ids['rhea']}")

    assert error(await story.call("rhea", "GET", "/users/me")) == (401, "UNAUTHORIZED")
    members = await story.get("ada", f"/groups/{story.security}/members")
    assert str(story.ids["rhea"]) not in [one["id"] for one in members["members"]]
    assert (await story.get("ada", f"/access-requests/{request}"))["requesterName"] == "Rhea"
    assert error(await story.call("ada", "POST", f"/users/{story.ids['rhea']}/reactivate"))[0] == 404
    assert error(await story.call("ada", "GET", f"/users/{story.ids['rhea']}/keys"))[0] == 404


# Roles and groups.


async def test_a_role_counts_from_the_moment_it_is_assigned_until_it_is_taken_away(story: Story) -> None:
    role = (await made(story, "roles"))["id"]
    path = f"/users/{story.ids['rhea']}"
    tag = (await story.call("ada", "GET", path)).headers["etag"]
    assert error(await story.call("rhea", "GET", "/workflows")) == (403, "FORBIDDEN")

    for _ in range(2):  # Saying it twice is no mistake.
        answer = await story.call("ada", "POST", f"{path}/roles", {"roleId": role})
        assert answer.json() == {"success": True, "message": "Role assigned"}

    assert (await story.call("rhea", "GET", "/workflows")).status_code == 200
    held = await story.call("ada", "GET", path)
    assert (held.json()["data"]["roles"], held.json()["data"]["permissions"]) == (["watchers"], ["workflow:read"])
    assert held.headers["etag"] != tag
    assert error(await put(story, "ada", path, {"displayName": "x"}, tag)) == (412, "PRECONDITION_FAILED")

    assert (await story.call("ada", "DELETE", f"{path}/roles/{role}")).status_code == 200

    assert error(await story.call("rhea", "GET", "/workflows")) == (403, "FORBIDDEN")
    assert error(await story.call("ada", "DELETE", f"{path}/roles/{role}")) == (404, "RESOURCE_NOT_FOUND")
    assert error(await story.call("ada", "POST", f"{path}/roles", {"roleId": str(uuid4())}))[0] == 404
    told = await story.get("ada", f"/audit/resources/role/{role}/history")
    assert [one["action"] for one in told["events"]] == ["role.revoked", "role.assigned", "role.created"]


async def test_a_deleted_role_gives_nothing_any_more(story: Story) -> None:
    role = (await made(story, "roles"))["id"]
    await story.post("ada", f"/users/{story.ids['rhea']}/roles", {"roleId": role})
    assert (await story.call("rhea", "GET", "/workflows")).status_code == 200

    await story.call("ada", "DELETE", f"/roles/{role}")

    assert error(await story.call("rhea", "GET", "/workflows")) == (403, "FORBIDDEN")
    assert (await story.get("ada", f"/users/{story.ids['rhea']}"))["roles"] == []


async def test_who_joins_a_group_decides_at_once_and_who_leaves_does_no_longer(story: Story) -> None:
    await story.workflow(story.known({"order": 1, "name": "S", "approverType": "group", "approverValue": "@security"}))
    request = (await story.request())["id"]
    path, mona = f"/groups/{story.security}", str(story.ids["mona"])
    before = await story.call("ada", "GET", path)

    await story.post("ada", f"{path}/members", {"userId": mona})

    assert await story.task("mona", request)
    after = await story.call("ada", "GET", path)
    assert after.json()["data"]["memberCount"] == before.json()["data"]["memberCount"] + 1 == 4
    assert after.headers["etag"] != before.headers["etag"]
    listed = await story.get("ada", f"{path}/members?limit=2&page=2")
    assert (len(listed["members"]), listed["total"]) == (2, 4)
    assert listed["members"][1] == {
        "id": mona,
        "displayName": "Mona",
        "email": "mona@acme.example",
        "status": "active",
        "standing": True,
        "endsAt": None,
    }

    await story.call("ada", "DELETE", f"{path}/members/{mona}")

    assert (await story.get("mona", "/approvals/pending"))["total"] == 0
    again = await story.call("ada", "DELETE", f"{path}/members/{mona}")
    assert error(again) == (404, "RESOURCE_NOT_FOUND")
    assert again.json()["error"]["message"] == "The membership does not exist in this tenant"
    assert error(await story.call("ada", "GET", f"/groups/{uuid4()}/members")) == (404, "RESOURCE_NOT_FOUND")


async def test_a_system_role_stays_as_it_is(story: Story) -> None:
    async with story.db.tx([story.tenant]) as tx:
        await tx.run("UPDATE role SET is_system = true WHERE tenant_id = $1 AND id = $2", story.tenant, story.manager)

    assert error(await put(story, "ada", f"/roles/{story.manager}", {"name": "x"})) == (409, "CONFLICT")
    assert error(await story.call("ada", "DELETE", f"/roles/{story.manager}")) == (409, "CONFLICT")

    assert (await story.get("ada", f"/roles/{story.manager}"))["isSystem"] is True


async def test_putting_somebody_out_takes_the_grants_that_would_keep_them_in(story: Story) -> None:
    await story.workflow()
    for body in ({}, {"resourceType": "group", "resourceId": str(story.security)}):
        request = (await story.request(**body))["id"]
        await story.post("ana", f"/approvals/{await story.task('ana', request)}/decide", {"decision": "approve"})
    rhea = f"/users/{story.ids['rhea']}"
    assert (await story.get("ada", rhea))["roles"] == ["auditors"]
    members = (await story.get("ada", f"/groups/{story.security}/members"))["members"]
    assert [one["standing"] for one in members if one["id"] == str(story.ids["rhea"])] == [False]

    assert (await story.call("ada", "DELETE", f"{rhea}/roles/{story.auditors}")).status_code == 200
    assert (await story.call("ada", "DELETE", f"/groups/{story.security}")).status_code == 200

    assert (await story.get("ada", rhea))["roles"] == []
    assert {one["status"] for one in (await story.get("rhea", "/grants"))["grants"]} == {"revoked"}


@pytest.mark.parametrize("how", ["inactive", "deleted"])
async def test_who_is_deactivated_or_deleted_loses_every_grant_and_who_is_suspended_none(
    story: Story, how: str
) -> None:
    await story.workflow()
    request = (await story.request())["id"]
    await story.post("ana", f"/approvals/{await story.task('ana', request)}/decide", {"decision": "approve"})
    rhea = f"/users/{story.ids['rhea']}"

    await story.post("ada", f"{rhea}/suspend")
    await story.post("ada", f"{rhea}/reactivate")
    assert [one["status"] for one in (await story.get("ada", "/grants"))["grants"]] == ["active"]
    if how == "inactive":
        await put(story, "ada", rhea, {"status": "inactive"})
        assert (await put(story, "ada", rhea, {"status": "active"})).json()["data"]["roles"] == []
    else:
        await story.call("ada", "DELETE", rhea)

    assert [one["status"] for one in (await story.get("ada", "/grants"))["grants"]] == ["revoked"]


# Resources and services.


async def test_a_resource_stands_under_another_but_never_under_itself(story: Story) -> None:
    top = (await made(story, "resources"))["id"]
    low = (await made(story, "resources", parentId=top))["id"]

    for parent in (top, low):
        refused = await put(story, "ada", f"/resources/{top}", {"parentId": parent})
        assert error(refused) == (400, "VALIDATION_ERROR")
    assert error(await story.call("ada", "DELETE", f"/resources/{top}")) == (409, "CONFLICT")
    await put(story, "ada", f"/resources/{low}", {"name": "loose", "parentId": None})

    assert (await story.call("ada", "DELETE", f"/resources/{top}")).status_code == 200
    assert "parentId" not in await story.get("ada", f"/resources/{low}")
    assert (await story.get("ada", "/resources?type=database"))["total"] == 1


async def test_its_own_workflow_governs_a_role_group_or_resource(story: Story) -> None:
    own = await story.workflow()
    await story.workflow()
    await put(story, "ada", f"/resources/{story.database}", {"workflowId": own})

    asked = await story.request(resourceType="resource", resourceId=str(story.database))

    assert (await story.get("ada", f"/resources/{story.database}"))["workflowId"] == own
    assert (await story.get("ada", f"/workflow-instances/{asked['id']}"))["workflowId"] == own
    cleared = await put(story, "ada", f"/resources/{story.database}", {"workflowId": None})
    assert "workflowId" not in cleared.json()["data"]


async def test_a_service_that_is_suspended_or_whose_owner_is_may_do_nothing(story: Story) -> None:
    bot = f"/services/{story.ids['bot']}"

    await put(story, "ada", bot, {"status": "suspended"})
    assert error(await story.call("bot", "GET", "/users/me")) == (401, "UNAUTHORIZED")
    await put(story, "ada", bot, {"status": "active"})
    assert (await story.call("bot", "GET", "/users/me")).status_code == 200
    await story.post("ada", f"/users/{story.ids['ben']}/suspend")
    assert error(await story.call("bot", "GET", "/users/me")) == (401, "UNAUTHORIZED")
    refused = await story.call("ada", "POST", "/services", {"name": "x", "ownerId": str(story.ids["ben"])})
    assert error(refused) == (400, "VALIDATION_ERROR")
    await put(story, "ada", bot, {"ownerId": None})
    assert (await story.call("bot", "GET", "/users/me")).status_code == 200

    await story.call("ada", "DELETE", bot)

    assert error(await story.call("bot", "GET", "/users/me")) == (401, "UNAUTHORIZED")
