"""The people of the native story, calling Britive's API.

Profiles are there to be asked for: `Billing:Admin` with the environments Prod and Test, decided by Ana, and for half an
hour; `Ops:Root` with Prod, which no workflow governs, so that Ada may approve; a server in the profile `Ops:Root`.
"""

from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import msgspec

from tests.surfaces.native.story import Story

V1: Final = "/v1/approvals"
PROD, TEST, ROOT, SERVER = "admin/prod", "admin/test", "root/prod", "root/server-1"
ALWAYS: Final = {
    "requestId",
    "userId",
    "resource",
    "resourceName",
    "action",
    "consumer",
    "justification",
    "approvers",
    "createdAt",
    "status",
    "overallStatus",
    "validFor",
    "validForInDays",
    "timeToApprove",
    "expirationTimeForApproveRequest",
    "multilevelApprovalSupport",
    "trackingId",
    "highRisk",
    "context",
}
UNSAID: Any = object()


class Brit:
    """How they call, and what is often needed."""

    def __init__(self, story: Story) -> None:
        self.story, self.clock, self.ids = story, story.clock, story.ids
        self.profiles: dict[str, UUID] = {}

    async def settle(self) -> "Brit":
        """Put profiles and what is in them into the directory."""
        workflow = await self.story.workflow(resourceTypes=["profile"])
        approval = {"validFor": {"value": 30, "unit": "minutes"}, "timeToApprove": {"value": 5, "unit": "minutes"}}
        admin = await self.thing("profile", "Billing:Admin", "admin", workflow=workflow, approval=approval)
        root = await self.thing("profile", "Ops:Root", "root")
        await self.thing("environment", "Production", "prod", admin)
        await self.thing("environment", "Testing", "test", admin)
        await self.thing("environment", "Production", "prod", root)
        await self.thing("server", "Server 1", "server-1", root)
        self.profiles = {"admin": admin, "root": root}
        return self

    async def thing(
        self,
        type: str,
        name: str,
        external: str | None,
        parent: UUID | None = None,
        *,
        workflow: str | None = None,
        approval: dict[str, Any] | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> UUID:
        id = uuid4()
        async with self.story.db.tx([self.story.tenant]) as tx:
            await tx.run(
                """INSERT INTO resource (tenant_id, id, type, name, external_id, parent_id, workflow_id, approval,
                                         attributes, created_at, updated_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now(), now())""",
                self.story.tenant,
                id,
                type,
                name,
                external,
                parent,
                UUID(workflow) if workflow else None,
                msgspec.json.encode(approval) if approval else None,
                msgspec.json.encode(attributes or {}),
            )
        return id

    async def call(
        self,
        who: str | None,
        method: str,
        path: str,
        body: Any = UNSAID,
        *,
        headers: dict[str, str] | None = None,
        scheme: str = "TOKEN",
    ) -> httpx.Response:
        """Call as somebody; None: as nobody. A path under `/api`."""
        sent = dict(headers or {})
        if who is not None:
            sent["Authorization"] = f"{scheme} {self.story.keys[who]}"
        client = self.story.callers[""]
        if body is UNSAID:
            return await client.request(method, f"/api{path}", headers=sent)
        if isinstance(body, bytes):
            return await client.request(method, f"/api{path}", content=body, headers=sent)
        return await client.request(method, f"/api{path}", json=body, headers=sent)

    async def may(self, who: str, *permissions: str) -> None:
        """Let a program do something."""
        async with self.story.db.tx([self.story.tenant]) as tx:
            await tx.run(
                "UPDATE principal SET permissions = permissions || $3 WHERE tenant_id = $1 AND id = $2",
                self.story.tenant,
                self.ids[who],
                list(permissions),
            )

    async def rows(self, sql: str, id: str) -> list[Any]:
        async with self.story.db.tx([self.story.tenant]) as tx:
            return [tuple(row) for row in await tx.all(sql, self.story.tenant, UUID(id))]

    async def get(self, who: str, path: str) -> Any:
        answer = await self.call(who, "GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ask(self, who: str = "rhea", thing: str = PROD, **more: Any) -> Any:
        """Ask for an environment, or for the server."""
        answer = await self.call(who, "POST", asking(thing), {"justification": "The quarter ends"} | more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def decide(self, who: str, id: str, choice: str = "yes", **more: Any) -> httpx.Response:
        return await self.call(who, "PATCH", f"{V1}/{id}?approveRequest={choice}", **more)

    async def decided(self, who: str, id: str, choice: str = "yes", **more: Any) -> None:
        answer = await self.decide(who, id, choice, **more)
        assert (answer.status_code, answer.content) == (204, b""), answer.text

    async def read(self, id: str, who: str = "rhea") -> Any:
        return await self.get(who, f"{V1}/{id}")

    async def listed(self, who: str, query: str = "") -> list[Any]:
        """List what there is on the first page."""
        found: list[Any] = (await self.get(who, f"{V1}?{query}"))["result"]
        return found


def asking(thing: str) -> str:
    """Give the path at which a thing is asked for."""
    profile, inner = thing.split("/")
    if inner.startswith("server"):
        return f"/resource-manager/my-resources/profiles/{profile}/resources/{inner}/approvalRequest"
    return f"/access/{profile}/environments/{inner}/approvalRequest"


def error(answer: httpx.Response) -> tuple[int, str]:
    """Give status and code of an error, once its form is found right. Source: contract §2, error body."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert set(body) == {"status", "message", "errorCode", "details"}, body
    assert body["status"] == answer.status_code
    assert isinstance(body["message"], str)
    assert body["message"]
    assert body["details"] is None or isinstance(body["details"], str)
    return answer.status_code, body["errorCode"]
