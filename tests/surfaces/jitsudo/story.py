"""The people of the native story, calling JITSudo's API.

Everybody may ask for everything, and somebody must agree; Ada may approve, Ana, Ben and Cyd are told so by a role.
Olu, the administrator of another tenant, names that one in the header.
"""

from typing import Any
from uuid import UUID, uuid4

import httpx

from tests.surfaces.native.story import Body, Story

ACCOUNT = {"type": "aws_account", "id": "123456789012"}
KEYS = {
    "id",
    "requester_id",
    "resource",
    "action",
    "reason",
    "status",
    "decision_reasoning",
    "decided_by",
    "approval_mode",
    "break_glass",
    "duration_seconds",
    "metadata",
    "created_at",
    "updated_at",
}
UNSAID: Any = object()


class Jit:
    """How they call, and what is often needed."""

    def __init__(self, story: Story) -> None:
        self.story, self.clock, self.ids = story, story.clock, story.ids

    async def settle(self) -> "Jit":
        """Let Ana, Ben and Cyd approve, and permit what is asked for, with approval."""
        story, role = self.story, uuid4()
        async with story.db.tx([story.tenant]) as tx:
            await tx.run(
                """INSERT INTO role (tenant_id, id, name, permissions, created_at, updated_at)
                   VALUES ($1, $2, 'on call', '{request:approve}', now(), now())""",
                story.tenant,
                role,
            )
            for who in ("ana", "ben", "cyd"):
                await tx.run("INSERT INTO role_member VALUES ($1, $2, $3)", story.tenant, role, self.ids[who])
        for who in ("olu", "ada"):
            await self.policy("base", "permit(principal, action, resource);", who=who)
        return self

    async def call(
        self,
        who: str | None,
        method: str,
        path: str,
        body: Any = UNSAID,
        *,
        tenant: UUID | str | None = UNSAID,
        headers: dict[str, str] | None = None,
        key: bool = True,
    ) -> httpx.Response:
        """Call as somebody; `key`: with `X-API-Key`, else with `Authorization`. None: as nobody."""
        sent = dict(headers or {})
        if who is not None:
            secret = self.story.keys[who]
            sent |= {"X-API-Key": secret} if key else {"Authorization": f"Bearer {secret}"}
        if tenant is UNSAID:
            tenant = self.story.elsewhere if who == "olu" else self.story.tenant
        if tenant is not None:
            sent["X-Tenant-ID"] = str(tenant)
        client = self.story.callers[""]
        if body is UNSAID:
            return await client.request(method, f"/v1{path}", headers=sent)
        if isinstance(body, bytes):
            return await client.request(method, f"/v1{path}", content=body, headers=sent)
        return await client.request(method, f"/v1{path}", json=body, headers=sent)

    async def get(self, who: str, path: str) -> Any:
        answer = await self.call(who, "GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, who: str, path: str, body: Any = UNSAID, status: int = 200) -> Any:
        answer = await self.call(who, "POST", path, body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def ask(self, who: str = "rhea", **more: Any) -> Any:
        """Ask for the account."""
        return await self.post(who, "/requests", {"resource": ACCOUNT, "action": "request_access"} | more, 201)

    async def decided(self, who: str, request: Body, how: str = "approve", body: Any = UNSAID) -> tuple[int, Any]:
        answer = await self.call(who, "POST", f"/requests/{request['id']}/{how}", body)
        return answer.status_code, answer.json()

    async def policy(self, name: str, cedar: str, *, who: str = "ada", **more: Any) -> Any:
        body = {"name": name, "max_duration_seconds": 14_400, "cedar_policy_set": cedar} | more
        return await self.post(who, "/policies", body, 201)

    async def api_key(self, who: str = "ada", **more: Any) -> Any:
        """Make an API key; whoever holds it calls by its name."""
        made = await self.post(who, "/api-keys", {"name": f"key {uuid4()}"} | more, 201)
        self.story.keys[made["id"]] = made["key"]
        return made

    async def settings(self, text: bytes) -> None:
        async with self.story.db.tx([self.story.tenant]) as tx:
            await tx.run("UPDATE tenant SET settings = $2 WHERE id = $1", self.story.tenant, text)


def error(answer: httpx.Response) -> tuple[int, str]:
    """Give status and code of an error, once its form is found right. Source: contract b.2."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert {"code", "message"} <= set(body) <= {"code", "message", "details", "notices"}, body
    assert isinstance(body["message"], str)
    assert body["message"]
    assert isinstance(body.get("details", {}), dict)
    assert all(isinstance(one, str) for one in body.get("notices", []))
    return answer.status_code, body["code"]
