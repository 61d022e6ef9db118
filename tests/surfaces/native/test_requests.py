"""Native contract b.5 but for filing, and b.8 as far as access requests go, row by row."""

import asyncio
from uuid import uuid4

import pytest

from tests.surfaces.native.story import Story, by, by_security, error
from tests.surfaces.native.test_filing import SHOWN

PENDING = {
    "id",
    "requesterName",
    "requesterEmail",
    "resourceType",
    "resourceName",
    "justification",
    "status",
    "currentStep",
    "currentStepName",
    "createdAt",
}


async def test_one_sees_only_ones_own_requests_in_my_requests(story: Story) -> None:
    await story.workflow()
    mine = await story.request()
    await story.request("ben")

    listed = await story.get("rhea", "/access-requests/my-requests")

    assert set(listed) == {"requests", "total"}
    assert [one["id"] for one in listed["requests"]] == [mine["id"]]
    assert set(listed["requests"][0]) == SHOWN
    assert (await story.get("rhea", "/access-requests/my-requests?status=approved"))["total"] == 0
    assert (await story.get("rhea", "/access-requests/my-requests?status=pending&limit=500"))["total"] == 1
    for bad in ("status=open", "status=PENDING", "page=0", "limit=-1", "limit=ten"):
        answer = await story.call("rhea", "GET", f"/access-requests/my-requests?{bad}")
        assert error(answer) == (400, "VALIDATION_ERROR"), bad


async def test_the_list_of_all_is_filtered_paged_and_newest_first(story: Story) -> None:
    await story.workflow()
    first = (await story.request())["id"]
    story.clock.passes(seconds=1)
    second = (await story.request("ben", resourceType="group", resourceId=str(story.security)))["id"]

    async def ids(query: str) -> tuple[list[str], int]:
        listed = await story.get("rita", f"/access-requests?{query}")
        assert all(set(one) == SHOWN for one in listed["requests"])
        return [one["id"] for one in listed["requests"]], listed["total"]

    assert await ids("") == ([second, first], 2)
    assert await ids("resourceType=group") == ([second], 1)
    assert await ids(f"requesterId={story.ids['rhea']}") == ([first], 1)
    assert await ids("requesterId=nobody") == ([], 0)
    assert await ids("status=pending&page=2&limit=1") == ([first], 2)
    assert await ids("page=3&limit=1") == ([], 2)
    answer = await story.call("rita", "GET", "/access-requests?resourceType=robot")
    assert error(answer) == (400, "VALIDATION_ERROR")
    assert error(await story.call("rhea", "GET", "/access-requests")) == (403, "FORBIDDEN")
    assert (await story.get("olu", "/access-requests"))["total"] == 0


async def test_what_has_expired_unnoticed_is_shown_and_found_as_expired(story: Story) -> None:
    await story.workflow(by("ana", timeoutHours=1))
    made = await story.request()
    story.clock.passes(minutes=59, seconds=59)
    assert (await story.get("rhea", f"/access-requests/{made['id']}"))["status"] == "pending"

    story.clock.passes(minutes=30)

    shown = await story.get("rhea", f"/access-requests/{made['id']}")
    assert shown["status"] == "expired"
    assert shown["updatedAt"] > made["updatedAt"]
    assert shown["updatedAt"] == shown["decidedAt"]
    assert (await story.get("rita", "/access-requests?status=expired"))["total"] == 1
    assert (await story.get("rita", "/access-requests?status=pending"))["total"] == 0
    assert (await story.get("rita", "/access-requests/pending-approvals"))["total"] == 0
    assert (await story.get("rita", "/workflow-instances?status=expired"))["total"] == 1
    for path in ("approve", "reject", "cancel"):
        answer = await story.call("ada", "POST", f"/access-requests/{made['id']}/{path}", {"reason": "x"})
        assert error(answer) == (409, "CONFLICT")
    assert await story.get("rhea", f"/access-requests/{made['id']}") == shown


async def test_pending_approvals_have_exactly_the_documented_keys(story: Story) -> None:
    await story.workflow(by("ana"), by("ben", 4))
    made = (await story.request())["id"]
    task = await story.task("ana", made)
    await story.post("ana", f"/approvals/{task}/decide", {"decision": "approve"})

    listed = await story.get("rita", "/access-requests/pending-approvals")

    assert set(listed) == {"requests", "total"}
    [one] = listed["requests"]
    assert set(one) == PENDING
    assert (one["currentStep"], one["currentStepName"], one["requesterName"]) == (4, "Step 4", "Rhea")
    assert (await story.get("rita", "/access-requests/pending-approvals?page=2&limit=1"))["requests"] == []
    answer = await story.call("rhea", "GET", "/access-requests/pending-approvals")
    assert error(answer) == (403, "FORBIDDEN")


async def test_a_request_is_read_by_its_requester_its_approvers_and_readers_alone(story: Story) -> None:
    await story.workflow(by("ana"))
    made = (await story.request())["id"]
    task = await story.task("ana", made)
    await story.post("ana", f"/approvals/{task}/decide", {"decision": "approve"})

    for who in ("rhea", "ana", "rita", "ada"):
        shown = await story.get(who, f"/access-requests/{made}")
        assert set(shown) == SHOWN
        assert (shown["requesterName"], shown["requesterEmail"]) == ("Rhea", "rhea@acme.example")
    for id in (made, uuid4(), "nonsense"):
        assert error(await story.call("cyd", "GET", f"/access-requests/{id}")) == (403, "FORBIDDEN")
        assert error(await story.call("olu", "GET", f"/access-requests/{id}")) == (404, "RESOURCE_NOT_FOUND")


async def test_the_requester_sees_the_note_the_decider_and_when_the_access_ends(story: Story) -> None:
    await story.workflow(by("ana"), by("ben", 2))
    made = (await story.request(duration={"value": 36, "unit": "hours"}))["id"]
    first = await story.task("ana", made)
    await story.post("ana", f"/approvals/{first}/decide", {"decision": "approve", "note": "one"})
    halfway = await story.get("rhea", f"/access-requests/{made}")
    assert (halfway["decisionNote"], halfway["decidedBy"]) == ("one", str(story.ids["ana"]))
    assert halfway["accessExpiresAt"] is None
    story.clock.passes(hours=2)

    second = await story.task("ben", made)
    decided = await story.post("ben", f"/approvals/{second}/decide", {"decision": "approve", "note": "two"})

    shown = await story.get("rhea", f"/access-requests/{made}")
    assert (shown["status"], shown["decisionNote"], shown["decidedBy"]) == ("approved", "two", str(story.ids["ben"]))
    assert shown["decidedAt"] == decided["decidedAt"] == shown["updatedAt"]
    assert shown["accessExpiresAt"] > shown["decidedAt"]


async def test_an_administrator_approves_the_current_step_alone(story: Story) -> None:
    await story.workflow(by("ana"), by("ben", 2))
    made = (await story.request())["id"]

    for status in ("pending", "approved"):
        answer = await story.call("ada", "POST", f"/access-requests/{made}/approve", {"note": f"n {status}"})
        assert answer.json() == {"success": True, "message": "Access request approved"}
        shown = await story.get("rhea", f"/access-requests/{made}")
        assert shown["status"] == status
        assert (shown["decisionNote"], shown["decidedBy"]) == (f"n {status}", str(story.ids["ada"]))
    assert error(await story.call("ada", "POST", f"/access-requests/{made}/approve")) == (409, "CONFLICT")


async def test_approving_takes_an_empty_body_and_no_content_type(story: Story) -> None:
    await story.workflow()
    made = (await story.request())["id"]

    assert (await story.call("ada", "POST", f"/access-requests/{made}/approve", b"")).status_code == 200


async def test_an_administrator_rejects_with_a_reason_or_not_at_all(story: Story) -> None:
    await story.workflow(by("ana"), by("ben", 2))
    made = (await story.request())["id"]
    for body in (b"", {}, {"reason": None}, {"reason": " "}, {"reason": 1}, {"note": "x"}):
        answer = await story.call("ada", "POST", f"/access-requests/{made}/reject", body)
        assert error(answer) == (400, "VALIDATION_ERROR"), body

    answer = await story.call("ada", "POST", f"/access-requests/{made}/reject", {"reason": "not now"})

    assert answer.json() == {"success": True, "message": "Access request rejected"}
    shown = await story.get("rhea", f"/access-requests/{made}")
    assert (shown["status"], shown["decisionNote"]) == ("rejected", "not now")
    assert error(await story.call("ada", "POST", f"/access-requests/{made}/reject", {"reason": "x"})) == (
        409,
        "CONFLICT",
    )


@pytest.mark.parametrize("verb", ["approve", "reject"])
async def test_settling_needs_workflow_write_for_known_and_unknown_ids_alike(story: Story, verb: str) -> None:
    await story.workflow()
    made = (await story.request())["id"]
    body = {"reason": "x"}

    for id in (made, uuid4(), "nonsense"):
        for who in ("rhea", "ana", "rita"):
            answer = await story.call(who, "POST", f"/access-requests/{id}/{verb}", body)
            assert error(answer) == (403, "FORBIDDEN")
        answer = await story.call("olu", "POST", f"/access-requests/{id}/{verb}", body)
        assert error(answer) == (404, "RESOURCE_NOT_FOUND")
    assert (await story.get("rhea", f"/access-requests/{made}"))["status"] == "pending"


@pytest.mark.parametrize("verb", ["approve", "reject"])
async def test_administrators_do_not_settle_what_is_their_own(story: Story, verb: str) -> None:
    await story.workflow()
    made = (await story.request("ada"))["id"]

    answer = await story.call("ada", "POST", f"/access-requests/{made}/{verb}", {"reason": "x"})

    assert error(answer) == (403, "FORBIDDEN")


async def test_a_step_may_keep_administrators_out(story: Story) -> None:
    await story.workflow(by("ana", override=False))
    made = (await story.request())["id"]

    assert error(await story.call("ada", "POST", f"/access-requests/{made}/approve")) == (403, "FORBIDDEN")


async def test_of_two_administrators_and_an_approver_at_once_exactly_one_settles(story: Story) -> None:
    await story.workflow()
    made = (await story.request())["id"]
    task = await story.task("ana", made)

    answers = await asyncio.gather(
        story.call("ada", "POST", f"/access-requests/{made}/approve"),
        story.call("bot", "POST", f"/access-requests/{made}/reject", {"reason": "x"}),
        story.call("ana", "POST", f"/approvals/{task}/decide", {"decision": "approve"}),
        story.call("rhea", "POST", f"/access-requests/{made}/cancel"),
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


async def test_requesters_withdraw_their_own_and_their_instance_with_it(story: Story) -> None:
    await story.workflow()
    made = (await story.request())["id"]

    answer = await story.call("rhea", "POST", f"/access-requests/{made}/cancel", {"reason": "changed my mind"})

    assert answer.json() == {"success": True, "message": "Access request cancelled"}
    shown = await story.get("rhea", f"/access-requests/{made}")
    assert (shown["status"], shown["decisionNote"]) == ("cancelled", "changed my mind")
    assert (await story.get("rita", f"/workflow-instances/{made}"))["status"] == "cancelled"
    assert error(await story.call("rhea", "POST", f"/access-requests/{made}/cancel")) == (409, "CONFLICT")


async def test_others_withdraw_only_with_workflow_write(story: Story) -> None:
    await story.workflow()
    made = (await story.request())["id"]

    for id in (made, uuid4(), "nonsense"):
        for who in ("ana", "rita", "mona"):
            answer = await story.call(who, "POST", f"/access-requests/{id}/cancel")
            assert error(answer) == (403, "FORBIDDEN")
        answer = await story.call("olu", "POST", f"/access-requests/{id}/cancel")
        assert error(answer) == (404, "RESOURCE_NOT_FOUND")
    await story.post("ada", f"/access-requests/{made}/cancel", {})


async def test_those_who_can_decide_now_are_listed(story: Story) -> None:
    await story.workflow(by_security(quorum=None))
    made = (await story.request("ben"))["id"]

    listed = await story.get("ben", f"/access-requests/{made}/approvers")

    assert listed["total"] == 2
    assert [one["name"] for one in listed["approvers"]] == ["Ana", "Cyd"]
    assert all(set(one) == {"userId", "name", "via"} for one in listed["approvers"])
    assert error(await story.call("mona", "GET", f"/access-requests/{made}/approvers")) == (403, "FORBIDDEN")
    hidden = await story.call("olu", "GET", f"/access-requests/{made}/approvers")
    assert error(hidden) == (404, "RESOURCE_NOT_FOUND")


async def test_whoever_may_read_a_request_may_talk_about_it(story: Story) -> None:
    await story.workflow()
    made = (await story.request())["id"]

    said = await story.post("rhea", f"/access-requests/{made}/comments", {"text": "please"}, 201)
    await story.post("ana", f"/access-requests/{made}/comments", {"text": "soon"}, 201)

    assert set(said) == {"id", "authorId", "authorName", "text", "createdAt"}
    listed = await story.get("rita", f"/access-requests/{made}/comments")
    assert [(one["authorName"], one["text"]) for one in listed["comments"]] == [("Rhea", "please"), ("Ana", "soon")]
    assert listed["total"] == 2
    for body in ({}, {"text": " "}, {"text": "x" * 4001}):
        answer = await story.call("rhea", "POST", f"/access-requests/{made}/comments", body)
        assert error(answer) == (400, "VALIDATION_ERROR")
    for id in (made, uuid4()):
        answer = await story.call("cyd", "POST", f"/access-requests/{id}/comments", {"text": "x"})
        assert error(answer) == (403, "FORBIDDEN")
        assert error(await story.call("cyd", "GET", f"/access-requests/{id}/comments")) == (403, "FORBIDDEN")
        answer = await story.call("olu", "POST", f"/access-requests/{id}/comments", {"text": "x"})
        assert error(answer) == (404, "RESOURCE_NOT_FOUND")


async def test_a_filter_by_resource_finds_resources_of_every_type(story: Story) -> None:
    await story.workflow()
    cluster = await story.post("ada", "/resources", {"type": "k8s_cluster", "name": "blue"}, 201)
    role = await story.request()
    for resource in (str(story.database), cluster["id"]):
        await story.request(resourceType="resource", resourceId=resource)

    found = await story.get("rita", "/access-requests?resourceType=resource")

    assert {one["resourceId"] for one in found["requests"]} == {str(story.database), cluster["id"]}
    assert found["total"] == 2
    assert [one["id"] for one in (await story.get("rita", "/access-requests?resourceType=role"))["requests"]] == [
        role["id"]
    ]
    assert (await story.get("rita", "/access-requests?resourceType=group"))["total"] == 0
