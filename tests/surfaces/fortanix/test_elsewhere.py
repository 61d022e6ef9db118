"""Requests that were made through other APIs. Source: design §6."""

from datetime import timedelta
from typing import Any

from tests.surfaces.fortanix.story import REQUESTS, Story
from tests.surfaces.fortanix.test_requests import at


async def access(story: Story, who: str = "rhea") -> str:
    """Ask natively for a role that Ana decides about."""
    body = {"resourceType": "role", "resourceId": str(story.auditors), "justification": "The quarter ends"}
    made = await story.call(who, "POST", "/api/v1/access-requests", body)
    assert made.status_code == 201, made.text
    return str(made.json()["data"]["id"])


async def shown(story: Story, id: str) -> dict[str, Any]:
    return await story.read("rhea", id)


async def test_access_is_shown_as_an_operation_whose_reviewers_are_those_who_can_decide_now(story: Story) -> None:
    id = await access(story)

    found = await shown(story, id)

    assert (found["operation"], found["method"], found["body"]) == (f"access/role/{story.auditors}", "POST", None)
    assert found["description"] == "The quarter ends"
    assert found["requester"] == {"user": str(story.ids["rhea"])}
    assert [one["user"] for one in found["reviewers"]] == [str(story.ids["ana"])]
    assert found["subjects"] == [{"role": str(story.auditors)}]
    assert at(found["expiry"]) - at(found["created_at"]) == timedelta(hours=72)  # The step's own time.
    for who in ("rhea", "ana", "rita"):
        assert await story.listed(who) == [id]
    for who in ("ben", "signer", "olu"):
        assert await story.listed(who) == []
        assert (await story.call(who, "GET", f"{REQUESTS}/{id}")).status_code == 404


async def test_access_is_approved_here_and_given(story: Story) -> None:
    id = await access(story)

    answer = await story.approve("ana", id)

    assert (answer.status_code, answer.json()["status"]) == (200, "APPROVED")
    assert answer.json()["reviewers"] == []
    assert answer.json()["approvers"] == [{"user": str(story.ids["ana"])}]
    native = await story.call("rhea", "GET", f"/api/v1/access-requests/{id}")
    assert native.json()["data"]["status"] == "approved"
    assert (await story.call("rhea", "POST", f"{REQUESTS}/{id}/result")).status_code == 409


async def test_access_denied_here_is_rejected_everywhere(story: Story) -> None:
    id = await access(story)

    await story.deny("ana", id, {"reason": "no"})

    found = await shown(story, id)
    assert (found["status"], found["denial_reason"]) == ("DENIED", "no")
    assert found["denier"] == {"user": str(story.ids["ana"])}


async def test_what_was_withdrawn_elsewhere_is_gone_here(story: Story) -> None:
    id = await access(story)
    cancelled = await story.call("rhea", "POST", f"/api/v1/access-requests/{id}/cancel")
    assert cancelled.status_code == 200, cancelled.text

    assert (await story.call("rhea", "GET", f"{REQUESTS}/{id}")).status_code == 404
    assert await story.listed("rhea") == []


async def test_a_member_of_a_group_may_decide_and_is_listed_by_name(story: Story) -> None:
    users = [story.user(who, groups=["Security"]) for who in ("ben", "cyd")]
    step = {"order": 1, "name": "S", "approverType": "group", "approverValue": "Security"}
    by_group = {"name": "Access", "status": "active", "resourceTypes": ["role"], "steps": [step]}
    await story.apply(groups=[{"name": "Security"}], users=users, workflows=[by_group])
    id = await access(story)

    reviewers = {one["user"] for one in (await shown(story, id))["reviewers"]}

    assert reviewers == {str(story.ids["ben"]), str(story.ids["cyd"])}
    assert (await story.approve("cyd", id)).json()["status"] == "APPROVED"


async def test_a_workflow_started_by_hand_is_shown_too(story: Story) -> None:
    step = {"order": 1, "name": "S", "approverType": "user", "approverValue": story.login("ana")}
    await story.apply(workflows=[{"name": "By hand", "status": "active", "steps": [step]}])
    listed = (await story.call("ada", "GET", "/api/v1/workflows")).json()["data"]["workflows"]
    [workflow] = [one["id"] for one in listed if one["name"] == "By hand"]
    body = {"subject": {"userId": str(story.ids["rhea"]), "reason": "a review"}}
    made = await story.call("ada", "POST", f"/api/v1/workflows/{workflow}/start", body)
    id = made.json()["data"]["instanceId"]

    found = await shown(story, id)

    assert (found["operation"], found["subjects"]) == (f"generic/{workflow}", [])
    assert (await story.approve("ana", id)).json()["status"] == "APPROVED"
