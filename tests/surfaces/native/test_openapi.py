"""The OpenAPI document tells the truth: every route stands in it, and real answers fit what it says."""

import re
from typing import Any

import httpx
import pytest

from quorate.store.database import Database
from quorate.surfaces.http.routing import Paths
from quorate.surfaces.native.api import surface
from tests.app.directory import PASSWORD
from tests.surfaces.native.operating import approve, asked, ended, protect
from tests.surfaces.native.step_up import a_passkey, factors, takes_keys
from tests.surfaces.native.story import Story, by, by_security
from tests.surfaces.native.tour import directory


async def document(story: Story) -> Any:
    answer = await story.callers[""].get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


async def test_every_route_stands_in_the_document_and_no_other(story: Story) -> None:
    routes = surface(None).routes  # type: ignore[arg-type]  # Nobody is called.
    said = await document(story)

    written = {(method.upper(), path) for path, methods in said["paths"].items() for method in methods}

    assert written == {(route.method, f"/api/v1{route.path}") for route in routes}
    assert all(operation["summary"] for methods in said["paths"].values() for operation in methods.values())


async def test_every_reference_of_the_document_leads_somewhere(story: Story) -> None:
    said = await document(story)

    names = set(re.findall(r"#/components/schemas/([^\"']+)", str(said)))

    assert names <= set(said["components"]["schemas"])
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in said["components"]["schemas"])


async def test_real_answers_fit_the_document(story: Story, owner: Database) -> None:
    await takes_keys(story, owner)
    said = await document(story)
    seen: set[str] = set()
    operations: Paths[Any] = Paths()
    for path, methods in said["paths"].items():
        operations.put(path, methods)

    async def check(answer: httpx.Response) -> None:
        found = operations.find(answer.request.url.path[1:].split("/"))
        assert found is not None
        operation = found[0][answer.request.method.lower()]
        assert str(answer.status_code) in operation["responses"], (answer.request.url, answer.status_code)
        content = operation["responses"][str(answer.status_code)]["content"]["application/json"]
        await answer.aread()
        wrong = list(misfits(answer.json(), content["schema"], said["components"]["schemas"], "$"))
        assert not wrong, (answer.request.url, wrong)
        seen.add(f"{answer.request.method} {operation['operationId']} {answer.status_code}")

    for client in story.callers.values():
        client.event_hooks["response"] = [check]

    await everything(story)

    documented = {
        f"{method.upper()} {operation['operationId']} {status}"
        for methods in said["paths"].values()
        for method, operation in methods.items()
        for status in operation["responses"]
        if status.startswith("2")
    }
    assert documented <= seen


async def everything(story: Story) -> None:
    """Call every route so that it works, and some so that they do not."""
    headers = {"X-Tenant-ID": str(story.tenant)}
    body = {"email": "ana@acme.example", "password": PASSWORD}
    opened = (await story.call(None, "POST", "/auth/login", body, headers=headers)).json()["data"]
    await story.call(None, "POST", "/auth/login", body | {"password": "x"}, headers=headers)
    await story.post(None, "/auth/refresh", {"refreshToken": opened["refreshToken"]})
    token = {"Authorization": f"Bearer {opened['accessToken']}"}
    await story.call(None, "POST", "/auth/logout", headers=token)
    await story.get("ana", "/users/me")

    quorum = {"order": 2, "name": "Two", "quorum": {"n": "50%", "members": [{"group": "@security"}]}}
    ours: dict[str, Any] = {
        "resourceTypes": ["role"],
        "autoApprove": "policy",
        "fallbackApprovers": [{"role": "admins"}],
    }
    made = await story.workflow(by("ana", timeoutSeconds=5000, onTimeout="expire"), quorum, **ours)
    await story.get("rita", "/workflows")
    await story.get("rita", f"/workflows/{made}")
    await story.call("ada", "PUT", f"/workflows/{made}", {"description": "d"})
    await story.call("ada", "PUT", f"/workflows/{made}", {"steps": []})
    await story.call("ada", "DELETE", f"/workflows/{made}")
    instance = (await story.post("ada", f"/workflows/{made}/start", {"subject": {}}, 201))["instanceId"]
    await story.get("rita", "/workflow-instances")
    await story.get("rita", f"/workflow-instances/{instance}")
    await story.get("rita", f"/workflow-instances/{instance}/executions")
    await story.get("ana", "/approvals/pending")
    await story.post("ada", f"/workflow-instances/{instance}/cancel")

    request = (await story.request(duration={"value": 1, "unit": "days"}))["id"]
    for path in ("", f"/{request}", "/pending-approvals", f"/{request}/approvers"):
        await story.get("rita", f"/access-requests{path}")
    await story.get("rhea", "/access-requests/my-requests")
    await story.post("rhea", f"/access-requests/{request}/comments", {"text": "please"}, 201)
    await story.get("rhea", f"/access-requests/{request}/comments")
    task = await story.task("ana", request)
    await factors(story)
    await a_passkey(story, "ada")
    await story.post("ana", f"/approvals/{task}/challenge")
    await story.post("ada", f"/access-requests/{request}/challenge")
    await story.post("ana", f"/approvals/{task}/reassign", {"to": str(story.ids["mona"])})
    await story.post("mona", f"/approvals/{task}/decide", {"decision": "approve"})
    await story.post("ada", f"/access-requests/{request}/approve")
    await story.call("rhea", "POST", f"/access-requests/{request}/cancel")
    [grant] = (await story.get("rhea", "/grants"))["grants"]
    await story.get("rhea", f"/users/{story.ids['rhea']}/access")
    await story.get("rhea", f"/grants/{grant['id']}")
    await story.post("rhea", f"/grants/{grant['id']}/revoke")
    other = (await story.request())["id"]
    await story.post("ada", f"/access-requests/{other}/reject", {"reason": "no"})
    third = (await story.request("mona", forUserId=str(story.ids["rhea"])))["id"]
    await story.post("mona", f"/access-requests/{third}/cancel")
    await story.call("olu", "GET", f"/access-requests/{third}")

    await story.post("ada", f"/workflows/{made}/deactivate")
    await story.workflow(by_security())
    await story.call("ada", "DELETE", f"/workflows/{made}")
    await rules(story)
    await directory(story)
    await operations(story)


async def operations(story: Story) -> None:
    """Call the routes of operations."""
    await protect(story)
    target = f"/api/v1/workflows/{await story.workflow(activate=False)}"
    await story.call("ada", "DELETE", target.removeprefix("/api/v1"))
    operation = await asked(story, "ada", "DELETE", target)
    await approve(story, operation)
    await ended(story, "ada", operation)
    await story.call("ada", "POST", f"/operations/{operation['id']}/cancel")
    other = await asked(story, "ada", "DELETE", target)
    await story.post("ada", f"/operations/{other['id']}/cancel")
    await story.call("ada", "POST", "/operations", {"method": "POST", "path": "/nowhere"})
    await story.call("olu", "GET", f"/operations/{other['id']}")


async def rules(story: Story) -> None:
    """Call the routes of policies and webhooks."""
    body = {"name": "Base", "cedar": '@id("all") permit(principal, action, resource);'}
    policy = (await story.post("ada", "/policies", body, 201))["id"]
    await story.call("ada", "POST", "/policies", body)
    await story.call("ada", "POST", "/policies", {"name": "Bad", "cedar": "permit"})
    await story.get("rita", "/policies")
    await story.get("rita", f"/policies/{policy}")
    await story.post("ada", "/policies/evaluate", {"resourceType": "role", "resourceId": str(story.auditors)})
    await story.call("ada", "PUT", f"/policies/{policy}", {"enabled": False, "maxDurationSeconds": 60})
    await story.call("ada", "DELETE", f"/policies/{policy}", headers={"If-Match": '"old"'})
    await story.call("ada", "DELETE", f"/policies/{policy}")

    desk = {"name": "desk", "url": "https://desk.acme.example/", "events": ["*"]}
    hook = f"/webhooks/{(await story.post('ada', '/webhooks', desk, 201))['id']}"
    await story.workflow()
    await story.get("ada", "/webhooks")
    await story.get("ada", hook)
    owed = (await story.get("ada", f"{hook}/deliveries"))["deliveries"]
    await story.post("ada", f"{hook}/deliveries/{owed[0]['id']}/replay")
    await story.call("ada", "DELETE", hook)


def misfits(value: Any, schema: Any, schemas: Any, path: str) -> Any:
    """Walk a value beside the part of JSON Schema that the document uses; give what does not fit."""
    if "$ref" in schema:
        yield from misfits(value, schemas[schema["$ref"].rsplit("/", 1)[1]], schemas, path)
        return
    if "anyOf" in schema:
        if all(list(misfits(value, one, schemas, path)) for one in schema["anyOf"]):
            yield f"{path} fits none"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is {value!r}"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and _KINDS[type(value)] not in kinds:
        yield f"{path} is no {kinds} but {value!r}"
        return
    if isinstance(value, dict):
        yield from (f"{path}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        known = schema.get("properties")
        for name, inner in value.items():
            if known is not None and name not in known:
                yield f"{path}.{name} is undocumented"
            elif known is not None:
                yield from misfits(inner, known[name], schemas, f"{path}.{name}")
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from misfits(inner, schema.get("items", {}), schemas, f"{path}[{index}]")


_KINDS = {dict: "object", list: "array", str: "string", int: "integer", bool: "boolean", type(None): "null"}


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ("x", {"type": "integer"}),
        ({}, {"type": "object", "properties": {}, "required": ["a"]}),
        ({"b": 1}, {"type": "object", "properties": {"a": {}}}),
        ([1], {"type": "array", "items": {"type": "string"}}),
        ("c", {"enum": ["a", "b"]}),
        (1, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ],
)
def test_the_check_itself_can_fail(value: Any, schema: Any) -> None:
    assert list(misfits(value, schema, {}, "$"))
