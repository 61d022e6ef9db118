"""Every route, walked: the document tells the truth, Olu finds nothing of ours, and Schemathesis finds no hole."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from quorate.store.database import Database
from quorate.surfaces.http.routing import Paths
from quorate.surfaces.http.surface import Route, Who
from quorate.surfaces.jitsudo.routes import surface
from tests.surfaces.http.stranger import play
from tests.surfaces.jitsudo.story import ACCOUNT, Jit, error
from tests.surfaces.native.everything import changed, masked, snapshot
from tests.surfaces.native.test_openapi import misfits

ROUTES: tuple[Route[Any], ...] = surface(None).routes  # type: ignore[arg-type]  # Nobody is called.
CLOSED = [route for route in ROUTES if route.who is not Who.ANYONE]
# They need a provider, or an operator: see test_oidc and test_tenants.
AWAY = {("GET", "/auth/login"), ("GET", "/auth/callback"), ("POST", "/tenants")}
CONFIG = Path(__file__).with_name("schemathesis.toml")


async def filled(jit: Jit) -> dict[str, str]:
    """Make one of each thing; give the ids that belong into paths, by the word before them."""
    policy = await jit.policy("Xanadu", "permit(principal, action, resource is AwsS3Bucket);", priority=-5)
    first = await jit.ask(reason="Xanadu")
    await jit.decided("ana", first)
    [grant] = (await jit.get("rhea", "/grants"))["data"]
    second = await jit.ask(reason="Xanadu", metadata={"a": "Xanadu"})
    await jit.post("rhea", f"/requests/{second['id']}/messages", {"content": "Xanadu"}, 201)
    return {"requests": second["id"], "grants": grant["id"], "policies": policy["id"]}


def path(route: Route[Any], ids: dict[str, str]) -> str:
    parts = route.path.split("/")
    return "/".join(
        ids[before] if part.startswith("{") else part for before, part in zip(["", *parts], parts, strict=False)
    )


async def send(jit: Jit, who: str | None, route: Route[Any], ids: dict[str, str], **more: Any) -> httpx.Response:
    body = {} if route.example is None else {"body": route.example}
    if route.path == "/oidc-config" and who is not None:
        body["body"] = body["body"] | {"client_id": f"client-{jit.ids[who]}"}  # Nobody else's.
    return await jit.call(who, route.method, path(route, ids), **body, **more)


async def test_a_stranger_is_let_in_nowhere(jit: Jit) -> None:
    ids = await filled(jit)
    for route in CLOSED:
        assert error(await send(jit, None, route, ids)) == (401, "unauthenticated"), route.path
        assert error(await send(jit, "olu", route, ids, tenant=jit.story.tenant)) == (403, "tenant_mismatch")
        assert error(await send(jit, "rhea", route, ids, tenant=None)) == (400, "invalid_input"), route.path


async def test_an_outsider_finds_nothing_of_ours_and_cannot_tell_it_from_what_is_not(
    jit: Jit, unfenced: Database
) -> None:
    ids = await filled(jit)
    before = await snapshot(unfenced, jit.story.tenant)
    ours = [str(jit.story.tenant), "Xanadu", *(str(id) for who, id in jit.ids.items() if who != "olu")]
    for route in ROUTES:
        answer = await send(jit, "olu", route, ids)
        unknown = await send(jit, "olu", route, {word: str(uuid4()) for word in ids})
        if "{" in route.path:
            assert error(answer) == (404, "not_found"), route.path
            assert masked(answer.text) == masked(unknown.text)
        assert not [word for word in ours if word in answer.text], route.path
    assert not changed(before, await snapshot(unfenced, jit.story.tenant))


async def test_every_route_is_described_and_real_answers_fit(jit: Jit) -> None:
    said = (await jit.story.callers[""].get("/openapi/jitsudo.json")).json()
    written = {(method.upper(), at) for at, methods in said["paths"].items() for method in methods}
    assert written == {(route.method, f"/v1{route.path}") for route in ROUTES}
    assert said["components"]["securitySchemes"]["api_key"]["name"] == "X-API-Key"
    operations: Paths[Any] = Paths()
    for at, methods in said["paths"].items():
        operations.put(at, methods)
    seen: set[tuple[str, str]] = set()
    ids = await filled(jit)
    for who in ("ada", "ana", "rhea"):
        for route in sorted(ROUTES, key=lambda one: one.method == "DELETE" or "cancel" in one.path):
            answer = await send(jit, who, route, ids)
            found = operations.find(answer.request.url.path[1:].split("/"))
            assert found is not None
            operation = found[0][route.method.lower()]
            assert str(answer.status_code) in operation["responses"], (route.path, answer.text)
            content = operation["responses"][str(answer.status_code)]["content"]["application/json"]
            wrong = list(misfits(answer.json(), content["schema"], said["components"]["schemas"], "$"))
            assert not wrong, (route.path, wrong)
            if answer.status_code < 300:
                seen.add((route.method, route.path))
    ids["requests"] = (await jit.ask())["id"]
    for who, how in (("ana", "approve"), ("ana", "deny"), ("rhea", "cancel")):
        ids["requests"] = (await jit.ask())["id"]
        [route] = [one for one in ROUTES if one.path == f"/requests/{{id}}/{how}"]
        assert (await send(jit, who, route, ids)).status_code == 200
        seen.add((route.method, route.path))
    assert seen == {(route.method, route.path) for route in ROUTES} - AWAY


@pytest.mark.parametrize("status", ["409"])
async def test_final_states_are_described(jit: Jit, status: str) -> None:
    said = (await jit.story.callers[""].get("/openapi/jitsudo.json")).json()

    for how in ("approve", "deny", "cancel"):
        operation = said["paths"][f"/v1/requests/{{id}}/{how}"]["post"]
        assert status in operation["responses"]
        [header] = [one for one in operation["parameters"] if one["in"] == "header"]
        assert (header["name"], header["required"]) == ("X-Tenant-ID", True)


async def test_the_document_alone_is_enough_to_call_the_api_rightly(jit: Jit, tmp_path: Path) -> None:
    await filled(jit)
    await jit.ask(resource=ACCOUNT)
    headers = (f"X-API-Key: {jit.story.keys['ada']}", f"X-Tenant-ID: {jit.story.tenant}")
    status, said = await play(jit.story.origin, "/openapi/jitsudo.json", CONFIG, tmp_path, *headers)

    assert status == 0, said
    assert f"Tested: {len(ROUTES)}" in said, said
