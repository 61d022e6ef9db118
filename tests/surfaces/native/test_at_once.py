"""Requests that nobody need decide, over HTTP: an emergency, and what a policy approves or refuses."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.surfaces.native.story import Story, error

EVERYWHERE = ("/access-requests/{id}", "/workflow-instances/{id}", "/workflow-instances/{id}/executions")


async def read_everywhere(story: Story, request: str) -> list[str]:
    """Read a request in every view there is; gives the words of its executions."""
    for path in EVERYWHERE:
        found = await story.get("rita", path.format(id=request))
        assert error(await story.call("olu", "GET", path.format(id=request))) == (404, "RESOURCE_NOT_FOUND")
    for path in ("/access-requests", "/workflow-instances"):
        await story.get("rita", path)
    for path in ("approvers", "comments"):
        await story.get("rita", f"/access-requests/{request}/{path}")
    return [one["event"] for one in found["executions"]]


async def test_breaking_the_glass_gives_access_at_once_and_leaves_a_review(story: Story) -> None:
    account = uuid4()
    async with story.db.tx([story.tenant]) as tx:
        settings = b'{"breakGlass": {"enabled": true}}'
        await tx.run("UPDATE tenant SET settings = $2 WHERE id = $1", story.tenant, settings)
        await tx.run(
            "INSERT INTO resource (tenant_id, id, type, name, created_at, updated_at)"
            " VALUES ($1, $2, 'aws_account', 'prod', now(), now())",
            story.tenant,
            account,
        )
    body = {"resourceType": "resource", "resourceId": str(account), "justification": "down", "breakGlass": True}

    made = await story.post("rhea", "/access-requests", body, 201)

    assert made["status"] == "approved"
    assert made["duration"] == {"value": 1, "unit": "hours"}
    assert await read_everywhere(story, made["id"]) == ["approved"]
    [grant] = (await story.get("rhea", "/grants"))["grants"]
    [review] = (await story.get("ada", "/approvals/pending"))["approvals"]
    assert (await story.get("rhea", "/approvals/pending"))["total"] == 0
    withdrawn = await story.call("rhea", "POST", f"/workflow-instances/{review['workflowInstanceId']}/cancel")
    assert error(withdrawn) == (403, "FORBIDDEN")
    await story.post("ada", f"/approvals/{review['id']}/decide", {"decision": "reject"})
    assert (await story.get("rhea", f"/grants/{grant['id']}"))["status"] == "revoked"
    assert error(await story.call("olu", "POST", "/access-requests", body)) == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    ("cedar", "status", "word"),
    [
        ('@approval_mode("auto") permit(principal, action, resource);', 201, "approved"),
        ('@notice("Ask the board") forbid(principal, action, resource);', 403, "rejected"),
    ],
)
async def test_a_policy_approves_or_refuses_at_once(story: Story, cedar: str, status: int, word: str) -> None:
    await story.post("ada", "/policies", {"name": "base", "maxDurationSeconds": 5400, "cedar": cedar}, 201)
    body = {"resourceType": "role", "resourceId": str(story.auditors), "justification": "x"}

    answer = await story.call("rhea", "POST", "/access-requests", body)

    assert answer.status_code == status, answer.text
    [request] = (await story.get("rhea", "/access-requests/my-requests"))["requests"]
    assert request["status"] == word
    events = await read_everywhere(story, request["id"])
    if status == 403:
        assert answer.json()["error"]["details"] == [{"message": "Ask the board"}]
    else:
        assert events == ["approved"]
        made = answer.json()["data"]
        assert (made["duration"], made["durationSeconds"]) == ({"value": 1, "unit": "hours"}, 5400)


@pytest.mark.parametrize(
    ("lasts_s", "shown", "seconds"),
    [
        (60, {"value": 1, "unit": "hours"}, 60),
        (3599, {"value": 1, "unit": "hours"}, 3599),
        (3600, {"value": 1, "unit": "hours"}, None),
        (10_799, {"value": 2, "unit": "hours"}, 10_799),
        (172_800, {"value": 48, "unit": "hours"}, None),
    ],
)
async def test_a_span_that_a_policy_chose_is_shown_in_hours_and_the_access_ends_to_the_second(
    story: Story, lasts_s: int, shown: dict[str, Any], seconds: int | None
) -> None:
    cedar = '@approval_mode("auto") permit(principal, action, resource);'
    await story.post("ada", "/policies", {"name": "base", "defaultDurationSeconds": lasts_s, "cedar": cedar}, 201)

    made = await story.request()

    read = await story.get("rhea", f"/access-requests/{made['id']}")
    [listed] = (await story.get("rhea", "/access-requests/my-requests"))["requests"]
    for one in (made, read, listed):
        assert (one["duration"], one.get("durationSeconds")) == (shown, seconds)
        assert moment(one["accessExpiresAt"]) - moment(one["decidedAt"]) == timedelta(seconds=lasts_s)
    [grant] = (await story.get("rhea", "/grants"))["grants"]
    assert moment(grant["endsAt"]) - moment(grant["startsAt"]) == timedelta(seconds=lasts_s)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
