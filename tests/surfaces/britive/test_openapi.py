"""Every route, walked: the document tells the truth, and Olu finds nothing of ours."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from quorate.store.database import Database
from quorate.surfaces.britive.routes import surface
from quorate.surfaces.http.surface import Route, Who
from tests.surfaces.britive.story import Brit, error
from tests.surfaces.http.stranger import play
from tests.surfaces.native.everything import changed, masked, snapshot
from tests.surfaces.native.test_openapi import misfits

ROUTES: tuple[Route[Any], ...] = surface(None).routes  # type: ignore[arg-type]  # Nobody is called.
CONFIG = Path(__file__).with_name("schemathesis.toml")
QUERIES = {("PATCH", ""): "?approveRequest=yes", ("DELETE", "resource"): "?resourceId={profileId}/{environmentId}"}

DOER = {
    ("GET", "/v1/approvals"): "ada",
    ("PATCH", "/v1/approvals/{id}"): "ana",
    ("POST", "/v1/approvals/revoke"): "ada",
}
"""Who can do what Rhea cannot."""


async def filled(brit: Brit) -> dict[str, str]:
    """Make one of each thing; give what stands in paths."""
    made = await brit.ask(justification="Xanadu")
    return {
        "id": made["requestId"],
        "profileId": "admin",
        "environmentId": "prod",
        "resourceId": "server-1",
        "consumer": "papservice",
        "requestType": "myRequests",
        "factor": "TOTP",
    }


def path(route: Route[Any], ids: dict[str, str]) -> str:
    query = next(
        (said for (method, end), said in QUERIES.items() if route.method == method and route.path.endswith(end)), ""
    )
    given = {**ids, "profileId": "root"} if "{resourceId}" in route.path else ids
    return (route.path + query).format(**given)


async def send(brit: Brit, who: str | None, route: Route[Any], ids: dict[str, str]) -> httpx.Response:
    body = {} if route.example is None else {"body": route.example}
    if route.path.endswith("/revoke"):
        body = {"body": {"approvals": [ids["id"]], "revokerComment": "done"}}
    return await brit.call(who, route.method, path(route, ids), **body)


async def test_a_stranger_is_let_in_nowhere_but_to_see_whether_we_are_there(brit: Brit) -> None:
    ids = await filled(brit)
    for route in ROUTES:
        answer = await send(brit, None, route, ids)
        if route.who is Who.ANYONE:
            assert answer.status_code == 200
        else:
            assert error(answer) == (401, "AU-0018"), route.path


async def test_an_outsider_finds_nothing_of_ours_and_cannot_tell_it_from_what_is_not(
    brit: Brit, unfenced: Database
) -> None:
    ids = await filled(brit)
    before = await snapshot(unfenced, brit.story.tenant)
    ours = [str(brit.story.tenant), "Xanadu", *(str(id) for who, id in brit.ids.items() if who != "olu")]
    absent = {**ids, "id": str(uuid4()), "profileId": "none", "environmentId": "none", "resourceId": "none"}
    for route in ROUTES:
        answer = await send(brit, "olu", route, ids)
        unknown = await send(brit, "olu", route, absent)
        if "{id}" in route.path or "{profileId}" in route.path or "consumer" in route.path or "revoke" in route.path:
            assert error(answer) == (404, "AP-0004"), route.path
            assert masked(answer.text) == masked(unknown.text)
        assert not [word for word in ours if word in answer.text], route.path
    assert not changed(before, await snapshot(unfenced, brit.story.tenant))


async def test_every_route_is_described_and_real_answers_fit(brit: Brit) -> None:
    said = (await brit.story.callers[""].get("/openapi/britive.json")).json()
    written = {(method.upper(), at) for at, methods in said["paths"].items() for method in methods}
    assert written == {(route.method, f"/api{route.path}") for route in ROUTES}
    for route in ROUTES:
        brit.clock.passes(hours=1)  # So that nothing is pending any more.
        ids = await filled(brit)
        if route.path.endswith("/revoke"):
            await brit.decided("ana", ids["id"])
        if route.path.endswith("approvalRequest"):
            ids["environmentId"] = "test"
        for who in ("olu", DOER.get((route.method, route.path), "rhea")):
            answer = await send(brit, who, route, ids)
            operation = said["paths"][f"/api{route.path}"][route.method.lower()]
            assert str(answer.status_code) in operation["responses"], (route.path, answer.text)
            content = operation["responses"][str(answer.status_code)].get("content")
            assert bool(content) == bool(answer.content), (route.path, answer.text)
            if content:
                schema = content["application/json"]["schema"]
                wrong = list(misfits(answer.json(), schema, said["components"]["schemas"], "$"))
                assert not wrong, (route.path, wrong)
        assert answer.status_code == route.status, (route.path, answer.text)


async def test_the_document_alone_is_enough_to_call_the_api_rightly(brit: Brit, tmp_path: Path) -> None:
    await filled(brit)
    key = f"Authorization: TOKEN {brit.story.keys['ada']}"
    status, said = await play(
        brit.story.origin, "/openapi/britive.json", CONFIG, tmp_path, key, phases="examples,fuzzing"
    )

    assert status == 0, said
    assert f"Tested: {len(ROUTES)}" in said, said
