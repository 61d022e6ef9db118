"""Native contract b.3 (start) and b.4, row by row."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.surfaces.native.story import Story, by, by_security, error

LISTED = {"id", "workflowId", "workflowName", "status", "currentStep", "createdAt", "updatedAt"}
SHOWN = LISTED | {"totalSteps", "subject", "metadata"}
EXECUTION = {"id", "step", "stepName", "event", "actorId", "note", "occurredAt"}


async def started(story: Story, *steps: dict[str, Any], **body: Any) -> Any:
    made = await story.workflow(*steps)
    return await story.post("ada", f"/workflows/{made}/start", {"subject": {"reason": "why"}} | body, 201)


async def events(story: Story, id: str) -> list[tuple[Any, ...]]:
    told = await story.get("rita", f"/workflow-instances/{id}/executions")
    assert set(told) == {"instanceId", "executions"}
    assert told["instanceId"] == id
    assert all(set(one) == EXECUTION for one in told["executions"])
    return [(one["event"], one["step"], one["actorId"], one["note"]) for one in told["executions"]]


async def test_starting_answers_exactly_the_documented_keys(story: Story) -> None:
    made = await story.workflow(by("ana", 3))

    answer = await story.call("ada", "POST", f"/workflows/{made}/start", {"subject": {"x": 1}, "metadata": {"y": [2]}})

    assert answer.status_code == 201
    data = answer.json()["data"]
    assert set(data) == {"instanceId", "workflowId", "status", "currentStep", "createdAt"}
    assert (data["workflowId"], data["status"], data["currentStep"]) == (made, "pending", 3)
    shown = await story.get("rita", f"/workflow-instances/{data['instanceId']}")
    assert set(shown) == SHOWN
    assert (shown["subject"], shown["metadata"], shown["totalSteps"]) == ({"x": 1}, {"y": [2]}, 1)


async def test_only_an_active_workflow_is_started(story: Story) -> None:
    draft = await story.workflow(activate=False)
    inactive = await story.workflow()
    await story.post("ada", f"/workflows/{inactive}/deactivate")

    for id in (draft, inactive):
        answer = await story.call("ada", "POST", f"/workflows/{id}/start", {"subject": {}})
        assert error(answer) == (400, "VALIDATION_ERROR")
    answer = await story.call("ada", "POST", f"/workflows/{uuid4()}/start", {"subject": {}})
    assert error(answer) == (404, "RESOURCE_NOT_FOUND")
    answer = await story.call("ada", "POST", "/workflows/nonsense/start", {"subject": {}})
    assert error(answer) == (404, "RESOURCE_NOT_FOUND")


@pytest.mark.parametrize(
    "body", [{}, {"subject": None}, {"subject": "x"}, {"subject": []}, {"subject": {}, "metadata": 1}]
)
async def test_a_subject_is_an_object_and_must_be_there(story: Story, body: Any) -> None:
    made = await story.workflow()

    assert error(await story.call("ada", "POST", f"/workflows/{made}/start", body)) == (400, "VALIDATION_ERROR")
    assert (await story.get("ada", "/workflow-instances"))["total"] == 0


@pytest.mark.parametrize(
    "subject",
    [
        {"text": "é😀 \u2028", "deep": [[[{"a": [1, 2.5, None, True]}]]], "big": 2**63 - 1, "": {}, "userId": "x"},
        {"userId": 7, "reason": ["not", "text"]},
        {"userId": {}, "reason": None},
    ],
)
async def test_whatever_a_subject_holds_comes_back_as_it_was_sent(story: Story, subject: dict[str, Any]) -> None:
    made = await started(story, subject=subject, metadata=subject)

    shown = await story.get("rita", f"/workflow-instances/{made['instanceId']}")

    assert (shown["subject"], shown["metadata"]) == (subject, subject)


@pytest.mark.parametrize(
    "value", [b'"\\ud800"', b'"\\u0000"', b"1e999", b"18446744073709551616", b"NaN", b'{"\\udfff": 1}']
)
async def test_what_cannot_be_kept_is_400(story: Story, value: bytes) -> None:
    made = await story.workflow()

    answer = await story.call("ada", "POST", f"/workflows/{made}/start", b'{"subject": {"x": %s}}' % value)

    assert error(answer) == (400, "VALIDATION_ERROR")


async def test_a_generic_task_belongs_to_no_access_request(story: Story) -> None:
    made = await started(story, subject={"userId": str(story.ids["rhea"]), "reason": "why"})

    [task] = (await story.get("ana", "/approvals/pending"))["approvals"]

    assert task["workflowInstanceId"] == made["instanceId"]
    assert [task[key] for key in ("accessRequestId", "resourceType", "resourceName")] == [None] * 3
    assert (task["requesterName"], task["requesterEmail"]) == ("Rhea", "rhea@acme.example")
    assert task["justification"] == "why"
    decided = await story.post("ana", f"/approvals/{task['id']}/decide", {"decision": "approve"})
    assert decided["accessRequestStatus"] is None
    assert (await story.get("rita", "/access-requests/pending-approvals"))["total"] == 0
    assert (await story.get("rita", f"/workflow-instances/{made['instanceId']}"))["status"] == "approved"


async def test_a_generic_request_about_nobody_we_know_has_no_requester(story: Story) -> None:
    await started(story, subject={"userId": str(uuid4())})

    [task] = (await story.get("ana", "/approvals/pending"))["approvals"]

    assert (task["requesterName"], task["requesterEmail"], task["justification"]) == (None, None, None)


async def test_who_starts_a_workflow_does_not_decide_it(story: Story) -> None:
    made = await story.workflow(by("ada"))
    instance = await story.post("ada", f"/workflows/{made}/start", {"subject": {}}, 201)

    pending = await story.get("ada", "/approvals/pending")

    assert instance["instanceId"] not in [one["workflowInstanceId"] for one in pending["approvals"]]


async def test_a_generic_instance_is_no_access_request(story: Story) -> None:
    made = (await started(story))["instanceId"]

    for method, path, body in [
        ("GET", "", None),
        ("POST", "/approve", {}),
        ("POST", "/reject", {"reason": "no"}),
        ("POST", "/cancel", {}),
        ("POST", "/comments", {"text": "x"}),
    ]:
        answer = await story.call("ada", method, f"/access-requests/{made}{path}", body)
        assert error(answer) == (404, "RESOURCE_NOT_FOUND"), path
    assert (await story.get("ada", "/access-requests"))["total"] == 0


async def test_instances_of_every_kind_are_listed_with_exactly_the_documented_keys(story: Story) -> None:
    generic = await started(story)
    story.clock.passes(seconds=1)
    request = await story.request()

    listed = await story.get("rita", "/workflow-instances")

    assert set(listed) == {"instances", "total"}
    assert [one["id"] for one in listed["instances"]] == [request["id"], generic["instanceId"]]
    assert all(set(one) == LISTED for one in listed["instances"])
    assert listed["total"] == 2


async def test_instances_are_filtered_and_paged(story: Story) -> None:
    first = await started(story)
    story.clock.passes(seconds=1)
    second = await started(story)
    await story.post("ada", f"/workflow-instances/{first['instanceId']}/cancel")

    async def ids(query: str) -> tuple[list[str], int]:
        listed = await story.get("rita", f"/workflow-instances?{query}")
        return [one["id"] for one in listed["instances"]], listed["total"]

    assert await ids("status=cancelled") == ([first["instanceId"]], 1)
    assert await ids("status=pending") == ([second["instanceId"]], 1)
    assert await ids("status=expired") == ([], 0)
    assert await ids(f"workflowId={first['workflowId']}") == ([first["instanceId"]], 1)
    assert await ids("workflowId=nonsense") == ([], 0)
    assert await ids("limit=1&page=2") == ([first["instanceId"]], 2)
    assert await ids("limit=9999") == ([second["instanceId"], first["instanceId"]], 2)
    assert await ids("page=7") == ([], 2)
    for bad in ("status=open", "page=0", "limit=x", "limit=0", "page=1.5"):
        answer = await story.call("rita", "GET", f"/workflow-instances?{bad}")
        assert error(answer) == (400, "VALIDATION_ERROR"), bad


async def test_the_history_of_a_one_step_approval_is_exactly_two_executions(story: Story) -> None:
    request = await story.request() if await story.workflow() else None
    assert request is not None
    task = await story.task("ana", request["id"])

    await story.post("ana", f"/approvals/{task}/decide", {"decision": "approve", "note": "fine"})

    assert await events(story, request["id"]) == [
        ("step_started", 1, None, None),
        ("approved", 1, str(story.ids["ana"]), "fine"),
    ]
    first = await story.get("rita", f"/workflow-instances/{request['id']}/executions")
    assert first == await story.get("rita", f"/workflow-instances/{request['id']}/executions")
    assert len({one["id"] for one in first["executions"]}) == 2


async def test_steps_rejections_cancellations_and_overrides_are_executions(story: Story) -> None:
    await story.workflow(by("ana"), by_security(5))
    first = (await story.request())["id"]
    await story.post("ada", f"/access-requests/{first}/approve", {"note": "go on"})
    task = await story.task("ben", first)
    await story.post("ben", f"/approvals/{task}/decide", {"decision": "reject", "note": "no"})
    second = (await story.request())["id"]
    await story.post("rhea", f"/access-requests/{second}/cancel", {"reason": "changed my mind"})

    ids = {name: str(id) for name, id in story.ids.items()}
    assert await events(story, first) == [
        ("step_started", 1, None, None),
        ("approved", 1, ids["ada"], "go on"),
        ("step_started", 5, None, None),
        ("rejected", 5, ids["ben"], "no"),
    ]
    assert await events(story, second) == [
        ("step_started", 1, None, None),
        ("cancelled", 1, ids["rhea"], "changed my mind"),
    ]


async def test_time_escalates_and_expires_with_nobody_as_actor(story: Story) -> None:
    escalating = by("ana", timeoutHours=1, onTimeout="escalate", escalateTo={"user": "@cyd"})
    await story.workflow(escalating)
    request = (await story.request())["id"]

    story.clock.passes(hours=1)
    late = await story.call("ana", "POST", f"/access-requests/{request}/comments", {"text": "x"})
    assert late.status_code == 201
    assert await story.task("cyd", request)
    story.clock.passes(hours=1)
    again = await story.call("ada", "POST", f"/access-requests/{request}/approve")
    assert error(again) == (409, "CONFLICT")

    assert await events(story, request) == [
        ("step_started", 1, None, None),
        ("escalated", 1, None, None),
        ("expired", 1, None, None),
    ]
    shown = await story.get("rita", f"/workflow-instances/{request}")
    assert (shown["status"], shown["currentStep"]) == ("expired", 1)


async def test_a_chain_joins_by_the_steps_own_schedule_beside_its_deadline(story: Story) -> None:
    to = [{"user": "@cyd"}, {"manager": "requester"}]
    chain = {"afterSeconds": 600, "schedule": "*/10 * * * *", "to": story.known(to)}
    await story.workflow(by("ana", timeoutHours=1, escalations=chain))
    request = (await story.request())["id"]
    due_at = (await story.get("ana", "/approvals/pending"))["approvals"][0]["expiresAt"]
    story.clock.passes(minutes=20)
    assert (await story.call("rhea", "POST", f"/access-requests/{request}/comments", {"text": "x"})).status_code == 201

    [waiting] = (await story.get("mona", "/approvals/pending"))["approvals"]
    assert waiting["expiresAt"] == due_at
    await story.post("mona", f"/approvals/{waiting['id']}/decide", {"decision": "approve"})
    assert [what for what, *_ in await events(story, request)] == ["step_started", "escalated", "escalated", "approved"]


async def test_an_expiry_is_told_before_and_after_somebody_comes_round_to_write_it(story: Story) -> None:
    await story.workflow(by("ana", timeoutHours=1))
    request = (await story.request())["id"]
    story.clock.passes(hours=2)
    path = f"/workflow-instances/{request}/executions"

    unwritten = (await story.get("rita", path))["executions"]
    await story.call("ada", "POST", f"/access-requests/{request}/approve")
    written = (await story.get("rita", path))["executions"]

    assert [one["event"] for one in unwritten] == ["step_started", "expired"]
    assert unwritten == written


async def test_cancelling_an_instance_cancels_its_request_and_closes_its_tasks(story: Story) -> None:
    await story.workflow()
    request = (await story.request())["id"]
    task = await story.task("ana", request)

    answer = await story.call("ada", "POST", f"/workflow-instances/{request}/cancel", {"reason": "no longer"})

    assert answer.json() == {"success": True, "message": "Workflow instance cancelled"}
    assert (await story.get("rhea", f"/access-requests/{request}"))["status"] == "cancelled"
    assert (await story.get("ana", "/approvals/pending"))["total"] == 0
    decided = await story.call("ana", "POST", f"/approvals/{task}/decide", {"decision": "approve"})
    assert error(decided) == (409, "CONFLICT")
    assert error(await story.call("ada", "POST", f"/workflow-instances/{request}/cancel")) == (409, "CONFLICT")


async def test_cancelling_takes_no_body_at_all(story: Story) -> None:
    made = (await started(story))["instanceId"]

    assert (await story.call("ada", "POST", f"/workflow-instances/{made}/cancel", b"")).status_code == 200


async def test_of_many_who_cancel_at_once_exactly_one_does(story: Story) -> None:
    made = (await started(story))["instanceId"]

    answers = await asyncio.gather(*(story.call("ada", "POST", f"/workflow-instances/{made}/cancel") for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 4


async def test_instances_are_hidden_from_other_tenants_and_from_who_may_not_read(story: Story) -> None:
    made = (await started(story))["instanceId"]

    for path in ("", "/executions"):
        hidden = await story.call("olu", "GET", f"/workflow-instances/{made}{path}")
        assert error(hidden) == (404, "RESOURCE_NOT_FOUND")
        for id in (made, uuid4()):
            answer = await story.call("rhea", "GET", f"/workflow-instances/{id}{path}")
            assert error(answer) == (403, "FORBIDDEN")
        assert (await story.call("ana", "GET", f"/workflow-instances/{made}{path}")).status_code == 200
    assert error(await story.call("olu", "POST", f"/workflow-instances/{made}/cancel")) == (404, "RESOURCE_NOT_FOUND")
    assert error(await story.call("rita", "POST", f"/workflow-instances/{made}/cancel")) == (403, "FORBIDDEN")
    assert error(await story.call("rhea", "GET", "/workflow-instances")) == (403, "FORBIDDEN")
    assert (await story.get("olu", "/workflow-instances"))["total"] == 0
