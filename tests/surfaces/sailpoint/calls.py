"""How the people of the story call SailPoint's surface, and what its errors must look like."""

import re
from typing import Any
from uuid import UUID, uuid4

import httpx

from quorate.app.keys import mint, secret_hash
from tests.app.directory import a_service
from tests.surfaces.native.story import Story, by

CURRENT = ("/generic-approvals/v1", "/v2025/generic-approvals", "/v2026/generic-approvals")
FIRST = ("/generic-approvals", "/beta/generic-approvals", "/v2024/generic-approvals")
V1 = CURRENT[0]

DETAIL_CODES = {
    400: "400.1 Bad Request Content",
    403: "403 Forbidden",
    404: "404 Not found",
    405: "405 Method Not Allowed",
    500: "500.0 Internal Fault",
}


async def call(
    story: Story, who: str | None, method: str, path: str, body: Any = None, **headers: str
) -> httpx.Response:
    """Call as somebody; None: as nobody. A path that does not begin with / is under `V1`."""
    url = path if path.startswith("/") else f"{V1}/{path}".rstrip("/")
    if isinstance(body, bytes):
        return await story.callers[who or ""].request(method, url, content=body, headers=headers)
    return await story.callers[who or ""].request(method, url, json=body, headers=headers)


async def ids(story: Story, who: str, path: str = "", **params: str) -> list[str]:
    """List approvals; answers their ids."""
    url = path if path.startswith("/") else V1
    answer = await story.callers[who].get(url, params=params)
    assert answer.status_code == 200, answer.text
    return [one.get("id") or one["approvalId"] for one in answer.json()]


async def shown(story: Story, who: str, id: str, path: str = V1) -> Any:
    answer = await call(story, who, "GET", f"{path}/{id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def generic(story: Story, *steps: Any, about: str = "rhea", **more: Any) -> str:
    """Let a program start a workflow about somebody, a second after the last; answers the approval's id."""
    story.clock.passes(seconds=1)
    if "clerk" not in story.callers:
        await add_key(story, "clerk", await a_service(story.db, story.tenant, permissions=["workflow:write"]))
    workflow = await story.workflow(*(steps or [by("ana")]), **more)
    started = await story.post(
        "clerk", f"/workflows/{workflow}/start", {"subject": {"userId": str(story.ids[about])}}, 201
    )
    return str(started["instanceId"])


def error(answer: httpx.Response) -> tuple[int, str]:
    """Give status and text of an error, once its shape is found right."""
    said = answer.json()
    assert answer.headers["content-type"] == "application/json"
    if answer.status_code == 401:
        assert said == {"error": "JWT validation failed: JWT is expired"}
        return 401, said["error"]
    if answer.status_code == 429:
        assert said == {"message": " Rate Limit Exceeded "}
        return 429, said["message"]
    assert said["detailCode"] == DETAIL_CODES[answer.status_code]
    assert re.fullmatch("[0-9a-f]{32}", said["trackingId"])
    assert set(said) == {"detailCode", "trackingId", "messages"} | ({"causes"} if answer.status_code == 400 else set())
    [message] = said["messages"]
    assert (message["locale"], message["localeOrigin"]) == ("en-US", "DEFAULT")
    assert said.get("causes", [message]) == [message]
    return answer.status_code, message["text"]


async def add_key(story: Story, who: str, id: UUID) -> None:
    """Let somebody more call."""
    story.keys[who], key = mint(uuid4()), uuid4()
    async with story.db.tx([story.tenant]) as tx:
        await tx.run(
            """INSERT INTO credential (tenant_id, id, principal_id, kind, secret_hash, created_at)
               VALUES ($1, $2, $3, 'key', $4, $5)""",
            story.tenant,
            key,
            id,
            secret_hash(story.keys[who]),
            story.clock(),
        )
    story.callers[who] = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=story.origin),
        base_url="http://quorate.test",
        headers={"Authorization": f"Bearer {story.keys[who]}"},
    )


async def passed_on_by(story: Story, id: str) -> list[UUID]:
    """Name who called with the decisions of an approval."""
    async with story.db.tx([story.tenant]) as tx:
        rows = await tx.all(
            "SELECT actor_id FROM event WHERE tenant_id = $1 AND subject_id = $2 AND type = 'Decided'", story.tenant, id
        )
    return [row["actor_id"] for row in rows]
