"""A call of every route of the directory and the audit log that works, and of some that do not."""

from typing import Any
from uuid import uuid4

from tests.surfaces.native.story import Story

SPAN = {"startsAt": "2090-01-01T00:00:00Z", "endsAt": "2090-02-01T00:00:00Z"}


async def directory(story: Story) -> None:
    """Make one of everything, look at it, change it and take it away again."""
    user = await _one(
        story, "/users", {"email": "zoe@acme.example", "password": "a long enough one"}, {"firstName": "Z"}
    )
    role = await _one(story, "/roles", {"name": "watchers", "permissions": ["workflow:read"]}, {"description": "d"})
    group = await _one(story, "/groups", {"name": "Ops", "externalId": "g-1"}, {"description": "d"})
    resource = await _one(story, "/resources", {"type": "db", "name": "x"}, {"attributes": {"a": [1]}})
    child = await _one(story, "/resources", {"type": "db", "name": "y", "parentId": resource["id"]}, {"name": "z"})
    bot = await _one(story, "/services", {"name": "ci", "permissions": ["workflow:read"]}, {"status": "suspended"})
    workflow = await story.workflow()
    for path, thing in (("/roles", role), ("/groups", group), ("/resources", child)):
        change = {"workflowId": workflow, "ownerId": str(story.ids["ana"])}
        await story.call("ada", "PUT", f"{path}/{thing['id']}", change)
    await story.post("ada", f"/users/{user['id']}/roles", {"roleId": role["id"]})
    await story.call("ada", "DELETE", f"/users/{user['id']}/roles/{role['id']}")
    await story.post("ada", f"/groups/{group['id']}/members", {"userId": user["id"]})
    await story.get("ada", f"/groups/{group['id']}/members")
    await story.call("ada", "DELETE", f"/groups/{group['id']}/members/{user['id']}")
    for path in (f"/users/{user['id']}", f"/services/{bot['id']}"):
        key = await story.post("ada", f"{path}/keys", {"name": "k", "expiresAt": SPAN["endsAt"]}, 201)
        await story.get("ada", f"{path}/keys")
        await story.call("ada", "DELETE", f"{path}/keys/{key['id']}")
    await story.post("ada", f"/users/{user['id']}/suspend")
    await story.call("ada", "POST", f"/users/{user['id']}/suspend")
    await story.post("ada", f"/users/{user['id']}/reactivate")
    provider = {"issuer": "https://login.acme.example", "clientId": str(uuid4()), "clientSecret": "a-secret"}
    assert (await story.call("ada", "PUT", "/identity-provider", provider)).status_code == 200
    await story.get("ada", "/identity-provider")
    assert (await story.call("ada", "DELETE", "/identity-provider")).status_code == 200
    for path in ("/permissions", "/roles/permissions", "/delegations"):
        await story.get("ada", path)
    lent = await story.post("ana", "/delegations", {"to": str(story.ids["ben"]), **SPAN}, 201)
    await story.get("ana", "/delegations")
    await story.call("ana", "DELETE", f"/delegations/{lent['id']}")
    for path, thing in (
        ("/users", user),
        ("/roles", role),
        ("/groups", group),
        ("/resources", child),
        ("/resources", resource),
        ("/services", bot),
    ):
        answer = await story.call("ada", "DELETE", f"{path}/{thing['id']}")
        assert answer.status_code == 200, answer.text
    await log(story, user["id"])


async def log(story: Story, user: str) -> None:
    """Look at the audit log in every way there is."""
    events = (await story.get("ada", "/audit/events?limit=100"))["events"]
    for one in events:
        assert await story.get("ada", f"/audit/events/{one['id']}") == one
    await story.call("ada", "GET", f"/audit/events/{uuid4()}-0")
    assert (await story.get("ada", f"/audit/resources/user/{user}/history"))["total"]
    await story.get("rhea", "/audit/me/activity")


async def _one(story: Story, path: str, body: dict[str, Any], change: dict[str, Any]) -> Any:
    made = await story.post("ada", path, body, 201)
    await story.get("ada", path)
    await story.get("ada", f"{path}/{made['id']}")
    changed = await story.call("ada", "PUT", f"{path}/{made['id']}", change)
    assert changed.status_code == 200, changed.text
    await story.call("ada", "PUT", f"{path}/{made['id']}", change, headers={"If-Match": '"old"'})
    await story.call("ada", "POST", path, {})
    return changed.json()["data"]
