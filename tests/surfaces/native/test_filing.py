"""Native contract b.5, `POST /access-requests`, row by row."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from quorate.store.database import Database
from tests.surfaces.native.story import Story, by, error

OURS = {"decisionNote", "decidedBy", "decidedAt", "accessExpiresAt"}
MADE = {
    "id",
    "requesterId",
    "resourceType",
    "resourceId",
    "resourceName",
    "justification",
    "status",
    "workflowInstanceId",
    "duration",
    "createdAt",
    "updatedAt",
} | OURS
SHOWN = MADE | {"requesterName", "requesterEmail"}


def asking(story: Story, **more: Any) -> dict[str, Any]:
    return {"resourceType": "role", "resourceId": str(story.auditors), "justification": "why"} | more


async def test_filing_answers_exactly_the_documented_keys_and_ours(story: Story) -> None:
    await story.workflow()
    body = asking(story, duration={"value": 5, "unit": "days"})

    answer = await story.call("rhea", "POST", "/access-requests", body)

    assert answer.status_code == 201
    made = answer.json()["data"]
    assert set(made) == MADE
    assert made["workflowInstanceId"] == made["id"]
    assert made["requesterId"] == str(story.ids["rhea"])
    assert {key: made[key] for key in body} == body
    assert (made["resourceName"], made["status"]) == ("auditors", "pending")
    assert made["createdAt"] == made["updatedAt"]
    assert all(made[key] is None for key in OURS)
    assert "idempotency-replayed" not in answer.headers


async def test_a_duration_left_out_or_null_is_null(story: Story) -> None:
    await story.workflow()

    assert (await story.request())["duration"] is None
    assert (await story.request("ben", duration=None))["duration"] is None


async def test_roles_groups_and_resources_can_be_asked_for(story: Story) -> None:
    await story.workflow()

    for kind, id, name in [("group", story.security, "Security"), ("resource", story.database, "prod")]:
        made = await story.request(resourceType=kind, resourceId=str(id))
        assert (made["resourceType"], made["resourceId"], made["resourceName"]) == (kind, str(id), name)


@pytest.mark.parametrize(
    "change",
    [
        {"resourceType": "robot"},
        {"resourceType": None},
        {"resourceType": 1},
        {"resourceId": ""},
        {"resourceId": None},
        {"resourceId": 7},
        {"justification": " "},
        {"justification": None},
        {"justification": "x" * 4001},
        {"justification": "nul \0"},
        {"duration": {}},
        {"duration": {"value": 1}},
        {"duration": {"unit": "days"}},
        {"duration": {"value": 0, "unit": "days"}},
        {"duration": {"value": -1, "unit": "days"}},
        {"duration": {"value": 1.5, "unit": "days"}},
        {"duration": {"value": True, "unit": "days"}},
        {"duration": {"value": "1", "unit": "days"}},
        {"duration": {"value": 1, "unit": "weeks"}},
        {"duration": 5},
    ],
)
async def test_a_request_that_is_not_valid_is_400_and_is_not_filed(story: Story, change: dict[str, Any]) -> None:
    await story.workflow()

    answer = await story.call("rhea", "POST", "/access-requests", asking(story) | change)

    assert error(answer) == (400, "VALIDATION_ERROR")
    assert answer.json()["error"]["details"]
    assert (await story.get("rhea", "/access-requests/my-requests"))["total"] == 0


async def test_what_is_asked_for_must_exist_in_the_tenant(story: Story) -> None:
    await story.workflow()

    for change in [
        {"resourceId": str(uuid4())},
        {"resourceId": "not-a-uuid"},
        {"resourceId": "auditors"},
        {"resourceType": "group"},
    ]:
        answer = await story.call("rhea", "POST", "/access-requests", asking(story) | change)
        assert error(answer) == (404, "RESOURCE_NOT_FOUND"), change
    assert error(await story.call("olu", "POST", "/access-requests", asking(story))) == (404, "RESOURCE_NOT_FOUND")


async def test_a_second_pending_request_for_the_same_is_409_until_the_first_ends(story: Story) -> None:
    await story.workflow()
    first = await story.request()

    assert error(await story.call("rhea", "POST", "/access-requests", asking(story))) == (409, "CONFLICT")
    upper = asking(story, resourceId=str(story.auditors).upper())
    assert error(await story.call("rhea", "POST", "/access-requests", upper)) == (409, "CONFLICT")
    await story.request("ben")
    await story.post("rhea", f"/access-requests/{first['id']}/cancel")
    await story.request()


async def test_a_pending_request_whose_time_is_up_blocks_nobody(story: Story) -> None:
    await story.workflow(by("ana", timeoutHours=1))
    await story.request()
    story.clock.passes(hours=1)

    await story.request()

    statuses = [one["status"] for one in (await story.get("rhea", "/access-requests/my-requests"))["requests"]]
    assert statuses == ["pending", "expired"]


async def test_of_many_who_file_the_same_at_once_exactly_one_does(story: Story) -> None:
    await story.workflow()

    answers = await asyncio.gather(*(story.call("rhea", "POST", "/access-requests", asking(story)) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert (await story.get("rhea", "/access-requests/my-requests"))["total"] == 1


async def test_without_an_active_workflow_for_the_type_it_is_400(story: Story) -> None:
    await story.workflow(activate=False)
    await story.workflow(resourceTypes=["group"])

    answer = await story.call("rhea", "POST", "/access-requests", asking(story))

    assert error(answer) == (400, "VALIDATION_ERROR")
    unknown = asking(story, resourceId=str(uuid4()))
    assert error(await story.call("rhea", "POST", "/access-requests", unknown)) == (404, "RESOURCE_NOT_FOUND")


async def test_the_workflow_that_names_the_type_governs_and_of_several_the_last_activated(story: Story) -> None:
    first = await story.workflow(resourceTypes=["role"])
    story.clock.passes(seconds=1)
    second = await story.workflow(resourceTypes=["role"])
    story.clock.passes(seconds=1)
    await story.workflow()

    async def governs(who: str) -> str:
        made = await story.request(who)
        return str((await story.get("rita", f"/workflow-instances/{made['id']}"))["workflowId"])

    assert await governs("rhea") == second
    await story.post("ada", f"/workflows/{first}/deactivate")
    await story.post("ada", f"/workflows/{first}/activate")
    assert await governs("ben") == first


async def test_the_targets_own_workflow_comes_first(story: Story, db: Database) -> None:
    own = await story.workflow(resourceTypes=["group"])
    await story.workflow(resourceTypes=["role"])
    async with db.tx([story.tenant]) as tx:
        await tx.run("UPDATE role SET workflow_id = $2 WHERE id = $1", story.auditors, own)

    made = await story.request()

    assert (await story.get("rita", f"/workflow-instances/{made['id']}"))["workflowId"] == own


async def test_asking_for_others_needs_a_permission_or_being_their_manager(story: Story) -> None:
    await story.workflow()
    for_rhea = asking(story, forUserId=str(story.ids["rhea"]))

    assert error(await story.call("ben", "POST", "/access-requests", for_rhea)) == (403, "FORBIDDEN")
    for id in (str(uuid4()), "nonsense", str(story.ids["olu"])):
        unknown = asking(story, forUserId=id)
        assert error(await story.call("ben", "POST", "/access-requests", unknown)) == (403, "FORBIDDEN")
        assert error(await story.call("ada", "POST", "/access-requests", unknown)) == (404, "RESOURCE_NOT_FOUND")
    made = await story.post("mona", "/access-requests", for_rhea, 201)
    assert (made["requesterId"], made["forUserId"]) == (str(story.ids["mona"]), str(story.ids["rhea"]))
    assert set(made) == MADE | {"forUserId"}
    assert error(await story.call("rhea", "POST", "/access-requests", asking(story))) == (409, "CONFLICT")
    assert (await story.get("rhea", f"/access-requests/{made['id']}"))["status"] == "pending"


async def test_breaking_glass_is_refused_rather_than_ignored(story: Story) -> None:
    await story.workflow()

    answer = await story.call("ada", "POST", "/access-requests", asking(story, breakGlass=True))

    assert error(answer) == (403, "FORBIDDEN")
    assert (await story.get("ada", "/access-requests"))["total"] == 0


async def test_a_repeated_call_with_one_key_gets_the_first_answer(story: Story) -> None:
    await story.workflow()
    key = {"Idempotency-Key": "k-1"}
    first = await story.call("rhea", "POST", "/access-requests", asking(story), headers=key)
    await story.post("rhea", f"/access-requests/{first.json()['data']['id']}/cancel")

    again = await story.call("rhea", "POST", "/access-requests", asking(story), headers=key)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert (await story.get("rhea", "/access-requests/my-requests"))["total"] == 1
    other = await story.call("rhea", "POST", "/access-requests", asking(story, justification="x"), headers=key)
    assert error(other) == (409, "CONFLICT")
    elsewhere = await story.call("ben", "POST", "/access-requests", asking(story), headers=key)
    assert elsewhere.status_code == 201
    assert "idempotency-replayed" not in elsewhere.headers


async def test_a_repeated_refusal_is_said_to_be_repeated(story: Story) -> None:
    await story.workflow()
    await story.request()
    key = {"Idempotency-Key": "k-2"}
    first = await story.call("rhea", "POST", "/access-requests", asking(story), headers=key)

    again = await story.call("rhea", "POST", "/access-requests", asking(story), headers=key)

    assert error(first) == error(again) == (409, "CONFLICT")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("key", ["", "  ", "x" * 256, "tab\tbed"])
async def test_a_key_that_is_no_key_is_400(story: Story, key: str) -> None:
    await story.workflow()

    answer = await story.call("rhea", "POST", "/access-requests", asking(story), headers={"Idempotency-Key": key})

    assert error(answer) == (400, "VALIDATION_ERROR")
