"""Operations over HTTP: what needs approval is refused at once, asked for, decided, and then done as the requester."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from quorate.app.operations.own import OWN, covering
from tests.surfaces.native.everything import ROUTES
from tests.surfaces.native.operating import approve, asked, ended, protect
from tests.surfaces.native.story import Story, by, error

REFUSED = "This operation requires approval"


async def test_deleting_a_workflow_needs_two_and_is_then_done_as_whoever_asked(story: Story) -> None:
    workflow = await story.workflow(activate=False)
    governs = await protect(story)

    refused = await story.call("ada", "DELETE", f"/workflows/{workflow}")

    assert error(refused) == (403, "FORBIDDEN")
    assert refused.json()["error"]["message"] == REFUSED
    operation = await asked(story, "ada", "DELETE", f"api/v1/workflows/{workflow.upper()}?why=not")
    assert operation["path"] == f"api/v1/workflows/{workflow.upper()}?why=not"
    assert (operation["status"], operation["execution"], operation["workflowId"]) == ("pending", None, governs)
    await approve(story, operation, "ana")
    assert (await story.get("ada", f"/workflows/{workflow}"))["id"] == workflow
    await approve(story, operation, "ben")
    done = await ended(story, "ada", operation)
    assert (done["status"], done["execution"]["status"], done["execution"]["attempts"]) == ("approved", "succeeded", 1)
    assert done["result"] == {"status": 200, "body": {"success": True, "message": "Workflow deleted"}}
    assert error(await story.call("ada", "GET", f"/workflows/{workflow}")) == (404, "RESOURCE_NOT_FOUND")
    [deleted] = [
        one for one in (await story.get("ada", "/audit/events"))["events"] if one["action"] == "workflow.deleted"
    ]
    assert (deleted["userId"], deleted["details"]["surface"]) == (str(story.ids["ada"]), "operation")


async def test_whoever_asked_decides_nothing_and_olu_sees_nothing(story: Story) -> None:
    workflow = await story.workflow(activate=False)
    await protect(story)
    operation = await asked(story, "ada", "DELETE", f"/api/v1/workflows/{workflow}")
    path = f"/operations/{operation['id']}"
    task = await story.task("ana", operation["id"])

    assert (await story.get("ada", "/approvals/pending"))["total"] == 0
    decided = await story.call("ada", "POST", f"/approvals/{task}/decide", {"decision": "approve"})
    assert error(decided) == (404, "RESOURCE_NOT_FOUND")
    assert error(await story.call("olu", "GET", path)) == (404, "RESOURCE_NOT_FOUND")
    assert error(await story.call("rhea", "GET", path)) == (403, "FORBIDDEN")
    assert error(await story.call("olu", "POST", f"{path}/cancel")) == (404, "RESOURCE_NOT_FOUND")
    decided = await story.call("olu", "POST", f"/approvals/{task}/decide", {"decision": "approve"})
    assert error(decided) == (404, "RESOURCE_NOT_FOUND")
    refused = await story.call(
        "olu", "POST", "/operations", {"method": "DELETE", "path": f"/api/v1/workflows/{workflow}"}
    )
    assert refused.json()["error"]["message"] == "This operation needs no approval: it can be done at once"
    listed = await story.get("rita", "/workflow-instances")
    assert operation["id"] in [one["id"] for one in listed["instances"]]
    shown = await story.get("ana", f"/workflow-instances/{operation['id']}")
    assert shown["subject"] == {
        "userId": str(story.ids["ada"]),
        "reason": "It is time",
        "method": "DELETE",
        "path": f"/api/v1/workflows/{workflow}",
    }
    assert (await story.call("ada", "GET", f"/access-requests/{operation['id']}")).status_code == 404


async def test_an_operation_is_approved_by_no_administrator_alone_and_can_be_withdrawn(story: Story) -> None:
    await protect(story)
    operation = await asked(story, "bot", "DELETE", f"/api/v1/workflows/{await story.workflow(activate=False)}")

    for verb in ("approve", "reject"):
        refused = await story.call("ada", "POST", f"/access-requests/{operation['id']}/{verb}", {"reason": "No"})
        assert refused.status_code == 404, "an operation is seen only among instances"
    assert error(await story.call("rhea", "POST", f"/operations/{operation['id']}/cancel")) == (403, "FORBIDDEN")
    await story.post("bot", f"/operations/{operation['id']}/cancel")
    shown = await story.get("bot", f"/operations/{operation['id']}")
    assert (shown["status"], shown["execution"], shown["result"]) == ("cancelled", None, None)


async def test_a_service_and_its_owner_are_one_person_for_its_operations(story: Story) -> None:
    """The service belongs to Ben: Ana and he are not two, so Ada must."""
    workflow = await story.workflow(activate=False)
    await protect(story)
    operation = await asked(story, "bot", "DELETE", f"/api/v1/workflows/{workflow}")

    assert (await story.get("ben", "/approvals/pending"))["total"] == 0
    await approve(story, operation, "ana", "ada")

    assert (await ended(story, "bot", operation))["execution"]["status"] == "succeeded"


async def test_what_is_refused_when_it_is_done_has_failed_and_says_why(story: Story) -> None:
    active = await story.workflow()
    await protect(story)
    operation = await asked(story, "ada", "DELETE", f"/api/v1/workflows/{active}")
    await approve(story, operation)

    done = await ended(story, "ada", operation)

    assert (done["status"], done["execution"]["status"]) == ("approved", "failed")
    assert done["result"] == {"status": 409, "body": "A workflow that is active cannot be deleted"}
    assert done["execution"]["failure"] == "A workflow that is active cannot be deleted"
    others = await story.get("ana", f"/operations/{operation['id']}")
    assert (others["execution"]["httpStatus"], others["result"]) == (409, None)


async def test_whoever_lost_the_permission_meanwhile_has_nothing_done_in_their_name(story: Story) -> None:
    workflow = await story.workflow(activate=False)
    await protect(story)
    operation = await asked(story, "bot", "DELETE", f"/api/v1/workflows/{workflow}")
    await story.call("ada", "PUT", f"/services/{story.ids['bot']}", {"permissions": []})
    await approve(story, operation, "ana", "ada")

    done = await ended(story, "ada", operation)

    assert (done["execution"]["status"], done["execution"]["httpStatus"]) == ("failed", 403)
    assert (await story.get("ada", f"/workflows/{workflow}"))["id"] == workflow


async def test_whoever_was_suspended_meanwhile_has_nothing_done_in_their_name(story: Story) -> None:
    workflow = await story.workflow(activate=False)
    await protect(story)
    operation = await asked(story, "bot", "DELETE", f"/api/v1/workflows/{workflow}")
    await story.call("ada", "PUT", f"/services/{story.ids['bot']}", {"status": "suspended"})
    await approve(story, operation, "ana", "ada")

    done = await ended(story, "ada", operation)

    assert done["execution"]["status"] == "failed"
    assert (await story.get("ada", f"/workflows/{workflow}"))["id"] == workflow


async def test_giving_a_role_needs_approval_on_the_one_path_there_is(story: Story) -> None:
    role = (await story.get("ada", "/roles"))["roles"]
    admins = next(one["id"] for one in role if one["name"] == "admins")
    await protect(story, "POST", "/api/v1/users/{id}/roles")
    cyd = story.ids["cyd"]

    refused = await story.call("ada", "POST", f"/users/{cyd}/roles", {"roleId": admins})
    assert refused.json()["error"]["message"] == REFUSED
    assert (await story.call("rhea", "POST", f"/users/{cyd}/roles", {"roleId": admins})).json()["error"][
        "message"
    ] != REFUSED, "who may not anyway learns nothing"
    operation = await asked(story, "ada", "POST", f"/api/v1/users/{cyd}/roles", {"roleId": admins})
    await approve(story, operation)
    done = await ended(story, "ada", operation)

    assert done["execution"]["status"] == "succeeded"
    assert "admins" in (await story.get("cyd", "/users/me"))["roles"]


async def test_a_new_key_is_shown_to_whoever_asked_for_it_alone_and_kept_sealed(story: Story) -> None:
    await protect(story, "POST", "/api/v1/services/{id}/keys")
    operation = await asked(story, "ada", "POST", f"/api/v1/services/{story.ids['bot']}/keys", {"name": "second"})
    await approve(story, operation)

    secret = (await ended(story, "ada", operation))["result"]["body"]["data"]["secret"]

    assert secret.startswith("qk_")
    assert (await story.get("ana", f"/operations/{operation['id']}"))["result"] is None
    async with story.db.tx([story.tenant]) as tx:
        [row] = await tx.all("SELECT result, viewed_at FROM execution WHERE tenant_id = $1", story.tenant)
        [kept] = await tx.all(
            "SELECT count(*) AS found FROM event WHERE tenant_id = $1 AND body::text LIKE '%' || $2 || '%'",
            story.tenant,
            secret,
        )
    assert secret.encode() not in row["result"]
    assert (row["viewed_at"], kept["found"]) == (story.clock(), 0)


async def test_a_fixed_answer_is_there_at_once(story: Story) -> None:
    workflow = await story.workflow(by("ana"))
    reply = {"reply": {"status": 200, "body": {"signature": "abc"}}}
    await protect(story, "POST", "/crypto/v1/sign", reply, workflow)
    operation = await asked(story, "rhea", "POST", "crypto/v1/sign", {"data": [1, None, "x"]})
    await approve(story, operation, "ana")

    shown = await story.get("rhea", f"/operations/{operation['id']}")

    assert shown["body"] == {"data": [1, None, "x"]}
    assert (shown["execution"]["status"], shown["execution"]["httpStatus"]) == ("succeeded", 200)
    assert shown["result"] == {"status": 200, "body": {"signature": "abc"}}


async def test_a_fixed_answer_that_is_no_success_is_a_failure(story: Story) -> None:
    reply = {"reply": {"status": 422, "body": "the key is disabled"}}
    await protect(story, "POST", "/crypto/v1/sign", reply, await story.workflow(by("ana")))
    operation = await asked(story, "rhea", "POST", "crypto/v1/sign")
    await approve(story, operation, "ana")

    shown = await story.get("rhea", f"/operations/{operation['id']}")

    assert (shown["execution"]["status"], shown["execution"]["httpStatus"]) == ("failed", 422)
    assert shown["result"] == {"status": 422, "body": "the key is disabled"}
    async with story.db.tx([story.tenant]) as tx:
        told = await tx.all("SELECT type FROM event WHERE tenant_id = $1 AND subject_kind = 'execution'", story.tenant)
    assert [row["type"] for row in told] == ["operation.failed"]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"method": "POST", "path": "keys/1/rotate"}, (404, "RESOURCE_NOT_FOUND")),
        ({"method": "DELETE", "path": "/api/v1/workflows/x"}, (400, "VALIDATION_ERROR")),
        ({"method": "BREW", "path": "/x"}, (400, "VALIDATION_ERROR")),
        ({"method": "POST", "path": "a b"}, (400, "VALIDATION_ERROR")),
        ({"method": "POST"}, (400, "VALIDATION_ERROR")),
    ],
    ids=["unknown", "unprotected", "no method", "no path", "nothing"],
)
async def test_what_cannot_be_asked_for_is_refused(story: Story, body: Any, answer: tuple[int, str]) -> None:
    assert error(await story.call("ada", "POST", "/operations", body)) == answer


async def test_nobody_asks_for_what_of_ours_they_may_not_do(story: Story) -> None:
    await protect(story)
    refused = await story.call("rhea", "POST", "/operations", {"method": "DELETE", "path": "/api/v1/workflows/x"})
    assert refused.json()["error"]["message"] == "This needs the permission workflow:write"


async def test_what_is_protected_by_a_workflow_that_is_not_active_cannot_be_done_at_all(story: Story) -> None:
    workflow, target = await story.workflow(), await story.workflow(activate=False)
    await protect(story, workflow=workflow)
    await story.post("ada", f"/workflows/{workflow}/deactivate")

    refused = await story.call("ada", "DELETE", f"/workflows/{target}")
    asked = {"method": "DELETE", "path": f"/api/v1/workflows/{target}"}

    assert refused.json()["error"]["message"] == REFUSED
    assert error(await story.call("ada", "POST", "/operations", asked)) == (400, "VALIDATION_ERROR")


async def rechecked(story: Story, *, wanted: bool = True) -> None:
    said = msgspec.json.encode({"recheckAccessForResults": wanted})
    async with story.db.tx([story.tenant]) as tx:
        await tx.run("UPDATE tenant SET settings = $2 WHERE id = $1", story.tenant, said)


async def test_a_result_is_only_for_who_could_still_ask_where_the_tenant_wants_that(story: Story) -> None:
    workflow = await story.workflow(activate=False)
    await protect(story)
    operation = await asked(story, "bot", "DELETE", f"/api/v1/workflows/{workflow}")
    await approve(story, operation, "ana", "ada")
    done = await ended(story, "bot", operation)
    assert done["result"]["status"] == 200
    services, path = f"/services/{story.ids['bot']}", f"/operations/{operation['id']}"

    await rechecked(story)
    still = await story.get("bot", path)
    await story.call("ada", "PUT", services, {"permissions": []})
    lost = await story.get("bot", path)
    await rechecked(story, wanted=False)
    unasked = await story.get("bot", path)

    assert still["result"] == done["result"]
    assert (lost["result"], lost["execution"]["status"]) == (None, "succeeded")
    assert unasked["result"] == done["result"]


async def test_the_secret_of_anothers_key_is_not_shown_again_to_who_may_make_no_such_key(story: Story) -> None:
    """The rule is for everybody's keys: the bot made one for Cyd, and one of its own."""
    await protect(story, "POST", "/api/v1/users/{id}/keys")
    await protect(story, "POST", "/api/v1/services/{id}/keys")
    bot = story.ids["bot"]
    await story.call("ada", "PUT", f"/services/{bot}", {"permissions": ["key:write"]})
    made = []
    for holder in (f"users/{story.ids['cyd']}", f"services/{bot}"):
        operation = await asked(story, "bot", "POST", f"/api/v1/{holder}/keys", {"name": "new"})
        await approve(story, operation, "ana", "ada")
        made.append((await ended(story, "bot", operation))["id"])
    await rechecked(story)

    before = [(await story.get("bot", f"/operations/{id}"))["result"]["status"] for id in made]
    await story.call("ada", "PUT", f"/services/{bot}", {"permissions": []})
    after = [(await story.get("bot", f"/operations/{id}"))["result"] for id in made]

    assert before == [201, 201]
    assert after[0] is None
    assert after[1]["status"] == 201, "a service makes its own keys without any permission"


async def test_an_operation_waits_as_long_as_the_tenant_says(story: Story) -> None:
    async with story.db.tx([story.tenant]) as tx:
        await tx.run("""UPDATE tenant SET settings = '{"operationExpirySeconds": 60}' WHERE id = $1""", story.tenant)
    await protect(story, "POST", "/x", {"reply": {"status": 204}}, await story.workflow(by("ana")))
    operation = await asked(story, "rhea", "POST", "/x")
    task = await story.task("ana", operation["id"])
    story.clock.passes(seconds=60)

    late = await story.call("ana", "POST", f"/approvals/{task}/decide", {"decision": "approve"})

    assert error(late) == (409, "CONFLICT")
    assert (await story.get("rhea", f"/operations/{operation['id']}"))["status"] == "expired"


def test_our_own_operations_are_routes_of_this_api_and_no_writing_one_of_the_administrators_is_missing() -> None:
    """What is not among them files or decides requests, signs in, or only ends what was given."""
    routes = {(route.method, f"/api/v1{route.path}") for route in ROUTES}
    ours = {(one.method, one.path) for one in OWN}
    assert ours <= routes
    rest = {route for route in routes - ours if route[0] != "GET" and not _is_about_requests(route[1])}
    assert rest == set()
    assert all(covering(*one) for one in ours)


def _is_about_requests(path: str) -> bool:
    beginnings = ("auth", "access-requests", "approvals", "workflow-instances", "operations", "grants")
    ends = ("/start", "/evaluate", "/replay")
    return path.split("/")[3] in beginnings or path.endswith(ends) or path.startswith("/api/v1/users/me/")


CHANGES: Mapping[tuple[str, str], Any] = {
    ("PUT", "/workflows/{id}"): {"name": "Other"},
    ("POST", "/workflows/{id}/activate"): None,
    ("POST", "/workflows/{id}/deactivate"): None,
    ("DELETE", "/workflows/{id}"): None,
    ("PUT", "/roles/{id}"): {"permissions": ["admin"]},
    ("DELETE", "/roles/{id}"): None,
    ("PUT", "/groups/{id}"): {"name": "Other"},
    ("DELETE", "/groups/{id}"): None,
    ("POST", "/groups/{id}/members"): {"userId": "@rhea"},
    ("PUT", "/resources/{id}"): {"name": "Other"},
    ("DELETE", "/resources/{id}"): None,
    ("PUT", "/users/{id}"): {"email": "other@acme.example"},
    ("POST", "/users/{id}/suspend"): None,
    ("DELETE", "/users/{id}"): None,
    ("POST", "/users/{id}/keys"): {"name": "k"},
    ("PUT", "/services/{id}"): {"permissions": ["admin"]},
    ("DELETE", "/services/{id}"): None,
    ("POST", "/services/{id}/keys"): {"name": "k"},
    ("POST", "/policies"): {"name": "p", "cedar": "permit(principal, action, resource);"},
    ("POST", "/roles"): {"name": "r", "permissions": ["admin"]},
    ("POST", "/services"): {"name": "s", "permissions": ["admin"]},
    ("POST", "/webhooks"): {"name": "h", "url": "https://hooks.example/x", "events": ["*"]},
    ("PUT", "/identity-provider"): {"issuer": "https://login.example", "clientId": "@ana"},
    ("DELETE", "/identity-provider"): None,
}


async def test_every_one_of_our_own_is_kept_from_an_administrator_and_then_done(story: Story) -> None:
    ids = {
        "workflows": await story.workflow(activate=False),
        "roles": str(story.auditors),
        "groups": (await story.post("ada", "/groups", {"name": "Ops"}, 201))["id"],
        "resources": str(story.database),
        "users": str(story.ids["cyd"]),
        "services": str(story.ids["bot"]),
    }
    governs = await story.workflow(by("ana"))
    for method, path in CHANGES:
        await protect(story, method, f"/api/v1{path}", workflow=governs)
    order = sorted(CHANGES, key=lambda change: change[0] == "DELETE")  # What is deleted is changed before.

    for method, path in order:
        real = path.replace("{id}", ids.get(path.split("/")[1], ""))
        body = story.known(CHANGES[method, path])
        before = await everything(story)
        refused = await story.call("ada", method, real, body)
        assert refused.status_code == 403, (method, path, refused.text)
        assert refused.json()["error"]["message"] == REFUSED, (method, path)
        assert await everything(story) == before, (method, path)
        operation = await asked(story, "ada", method, f"/api/v1{real}", body)
        await approve(story, operation, "ana")
        done = await ended(story, "ada", operation)
        assert done["execution"]["status"] == "succeeded", (method, path, done)
        assert await everything(story) != before, (method, path)


async def everything(story: Story) -> list[Any]:
    """What an administrator's changes could touch."""
    tables = ("workflow", "role", "user_group", "group_member", "resource", "principal", "credential", "policy")
    async with story.db.tx([story.tenant]) as tx:
        rows = []
        for table in (*tables, "webhook", "identity_provider"):
            sql = f"SELECT * FROM {table} WHERE tenant_id = $1 ORDER BY 1, 2, 3"
            rows += [tuple(row.values()) for row in await tx.all(sql, story.tenant)]
        return [row for row in rows if "last_used_at" not in row]
