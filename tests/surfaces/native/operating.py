"""Operations as people go about them over HTTP."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import msgspec

from tests.surfaces.native.story import Story

WORKFLOW = "/api/v1/workflows/{id}"


async def protect(
    story: Story, method: str = "DELETE", path: str = WORKFLOW, execute: Any = "internal", workflow: str = ""
) -> str:
    """Have an operation need approval: of two among Ana, Ben and Ada unless a workflow is given. Answers that."""
    if not workflow:
        quorum = {"n": 2, "members": [{"user": "@ana"}, {"user": "@ben"}, {"user": "@ada"}]}
        workflow = await story.workflow({"order": 1, "name": "Two of three", "quorum": quorum})
    async with story.db.tx([story.tenant]) as tx:
        await tx.run(
            """
            INSERT INTO operation (tenant_id, id, method, path, workflow_id, execute, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
            """,
            story.tenant,
            uuid4(),
            method,
            path,
            UUID(workflow),
            msgspec.json.encode(execute),
            story.clock(),
        )
    return workflow


async def asked(story: Story, who: str, method: str, path: str, body: Any = None) -> Any:
    said = {"method": method, "path": path, "body": body, "description": "It is time"}
    return await story.post(who, "/operations", said, 201)


async def approve(story: Story, operation: Any, *approvers: str) -> None:
    for who in approvers or ("ana", "ben"):
        task = await story.task(who, operation["id"])
        await story.post(who, f"/approvals/{task}/decide", {"decision": "approve"})


async def ended(story: Story, who: str, operation: Any) -> Any:
    """Read an operation once it has been carried out."""
    async with asyncio.timeout(10):
        while True:
            found = await story.get(who, f"/operations/{operation['id']}")
            if found["execution"] and found["execution"]["status"] not in ("waiting", "running"):
                return found
            await asyncio.sleep(0.01)
