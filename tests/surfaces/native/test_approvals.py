"""Native contract b.6, and b.8 as far as approvals go, row by row."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from quorate.store.database import Database
from tests.surfaces.native.story import Story, by, by_security, error

KEYS = {
    "id",
    "accessRequestId",
    "workflowInstanceId",
    "step",
    "stepName",
    "requesterName",
    "requesterEmail",
    "resourceType",
    "resourceName",
    "justification",
    "requestedAt",
    "expiresAt",
}
APPROVE, REJECT = {"decision": "approve"}, {"decision": "reject"}


async def test_one_sees_ones_own_tasks_with_exactly_the_documented_keys(story: Story) -> None:
    await story.workflow(by("ana", 2, timeoutHours=48))
    made = await story.request()

    listed = await story.get("ana", "/approvals/pending")

    assert set(listed) == {"approvals", "total"}
    assert listed["total"] == 1
    [task] = listed["approvals"]
    assert set(task) == KEYS
    assert task["accessRequestId"] == task["workflowInstanceId"] == made["id"]
    assert task["id"] != made["id"]
    assert (task["step"], task["stepName"], task["requesterName"]) == (2, "Step 2", "Rhea")
    assert (task["resourceType"], task["resourceName"]) == ("role", "auditors")
    assert task["requestedAt"] == made["createdAt"]
    waits = datetime.fromisoformat(task["expiresAt"]) - datetime.fromisoformat(task["requestedAt"])
    assert waits.total_seconds() == 48 * 3600
    for who in ("ben", "rhea", "ada", "olu"):
        assert (await story.get(who, "/approvals/pending"))["total"] == 0
    assert error(await story.call(None, "GET", "/approvals/pending")) == (401, "UNAUTHORIZED")


async def test_the_deadline_counts_from_when_the_step_began(story: Story) -> None:
    await story.workflow(by("ana"), by("ben", 2, timeoutHours=1))
    made = await story.request()
    story.clock.passes(hours=3)
    await story.post("ana", f"/approvals/{await story.task('ana', made['id'])}/decide", APPROVE)

    [task] = (await story.get("ben", "/approvals/pending"))["approvals"]

    waits = datetime.fromisoformat(task["expiresAt"]) - datetime.fromisoformat(made["createdAt"])
    assert waits.total_seconds() == 4 * 3600


async def test_deciding_answers_exactly_the_documented_keys(story: Story) -> None:
    await story.workflow(by("ana"), by("ben", 2))
    made = (await story.request())["id"]
    first, ana = await story.task("ana", made), APPROVE | {"note": "fine"}

    decided = await story.post("ana", f"/approvals/{first}/decide", ana)

    assert set(decided) == {"approvalId", "decision", "accessRequestStatus", "decidedAt"}
    assert (decided["approvalId"], decided["decision"], decided["accessRequestStatus"]) == (first, "approve", "pending")
    second = await story.task("ben", made)
    assert second != first
    decided = await story.post("ben", f"/approvals/{second}/decide", REJECT)
    assert (decided["decision"], decided["accessRequestStatus"]) == ("reject", "rejected")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"approve"',
        {},
        {"decision": None},
        {"decision": "approved"},
        {"decision": "APPROVE"},
        {"decision": 1},
        {"decision": "approve", "note": 5},
        {"decision": "approve", "note": "x" * 4001},
        {"decision": "approve", "evidence": "secret"},
        {"decision": "approve", "evidence": {"password": 7}},
    ],
)
async def test_a_bad_decision_is_400_and_decides_nothing(story: Story, body: Any) -> None:
    await story.workflow()
    task = await story.task("ana", (await story.request())["id"])

    assert error(await story.call("ana", "POST", f"/approvals/{task}/decide", body)) == (400, "VALIDATION_ERROR")
    assert error(await story.call("ana", "POST", f"/approvals/{uuid4()}/decide", body)) == (400, "VALIDATION_ERROR")
    assert (await story.get("ana", "/approvals/pending"))["total"] == 1


async def test_a_task_that_is_not_ones_own_does_not_exist(story: Story) -> None:
    await story.workflow(by_security())
    made = (await story.request("ben"))["id"]
    task = await story.task("ana", made)

    for who in ("ben", "rhea", "ada", "mona", "rita", "olu"):
        for id in (task, uuid4(), made, "nonsense"):
            answer = await story.call(who, "POST", f"/approvals/{id}/decide", APPROVE)
            assert error(answer) == (404, "RESOURCE_NOT_FOUND"), (who, id)
    await story.post("ana", f"/approvals/{task}/decide", APPROVE)
    for who in ("ben", "olu", "ada"):
        answer = await story.call(who, "POST", f"/approvals/{task}/decide", APPROVE)
        assert error(answer) == (404, "RESOURCE_NOT_FOUND")


async def test_of_two_approvers_at_once_one_decides_and_the_other_gets_409(story: Story) -> None:
    await story.workflow(by_security())
    made = (await story.request())["id"]
    task = await story.task("ana", made)

    answers = await asyncio.gather(
        *(story.call(who, "POST", f"/approvals/{task}/decide", APPROVE) for who in ("ana", "ben", "cyd"))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert {error(answer)[1] for answer in answers if answer.status_code == 409} == {"CONFLICT"}
    told = (await story.get("rita", f"/workflow-instances/{made}/executions"))["executions"]
    assert [one["event"] for one in told] == ["step_started", "approved"]
    for who in ("ana", "ben", "cyd"):
        again = await story.call(who, "POST", f"/approvals/{task}/decide", REJECT)
        assert error(again) == (409, "CONFLICT")


async def test_one_decides_the_same_task_only_once_even_at_once(story: Story) -> None:
    quorum = {"n": 2, "members": [{"group": "@security"}]}
    await story.workflow({"order": 1, "name": "Two", "quorum": quorum})
    made = (await story.request())["id"]
    task = await story.task("ana", made)

    answers = await asyncio.gather(*(story.call("ana", "POST", f"/approvals/{task}/decide", APPROVE) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert (await story.get("ana", "/approvals/pending"))["total"] == 0
    decided = await story.post("cyd", f"/approvals/{task}/decide", APPROVE)
    assert decided["accessRequestStatus"] == "approved"


async def test_deciding_after_the_deadline_is_409_though_no_worker_has_run(story: Story) -> None:
    await story.workflow(by("ana", timeoutHours=1))
    made = (await story.request())["id"]
    task = await story.task("ana", made)

    story.clock.passes(hours=1)

    assert (await story.get("ana", "/approvals/pending"))["total"] == 0
    assert error(await story.call("ana", "POST", f"/approvals/{task}/decide", APPROVE)) == (409, "CONFLICT")
    assert error(await story.call("ben", "POST", f"/approvals/{task}/decide", APPROVE)) == (404, "RESOURCE_NOT_FOUND")
    assert (await story.get("rhea", f"/access-requests/{made}"))["status"] == "expired"


async def test_who_leaves_the_group_loses_the_task_and_who_joins_gets_it(story: Story, db: Database) -> None:
    await story.workflow(by_security())
    made = (await story.request())["id"]
    task = await story.task("ana", made)
    async with db.tx([story.tenant]) as tx:
        await tx.run("DELETE FROM group_member WHERE principal_id = $1", story.ids["ana"])
        await tx.run("INSERT INTO group_member VALUES ($1, $2, $3)", story.tenant, story.security, story.ids["mona"])

    assert (await story.get("ana", "/approvals/pending"))["total"] == 0
    assert error(await story.call("ana", "POST", f"/approvals/{task}/decide", APPROVE)) == (404, "RESOURCE_NOT_FOUND")
    assert await story.task("mona", made) == task


async def test_a_role_names_its_holders_and_not_the_line_manager(story: Story) -> None:
    await story.workflow(by("ana") | {"approverType": "role", "approverValue": "manager"})
    made = (await story.request())["id"]

    assert await story.task("ana", made)
    assert (await story.get("mona", "/approvals/pending"))["total"] == 0


async def test_a_step_nobody_can_decide_goes_to_the_administrators(story: Story) -> None:
    await story.workflow(by("ana") | {"approverType": "role", "approverValue": "no such role"})
    made = (await story.request())["id"]

    decided = await story.post("ada", f"/approvals/{await story.task('ada', made)}/decide", APPROVE)

    assert decided["accessRequestStatus"] == "approved"


async def test_a_step_may_want_a_note(story: Story) -> None:
    await story.workflow(by("ana", requiresComment="all"))
    task = await story.task("ana", (await story.request())["id"])

    for note in ({}, {"note": None}, {"note": ""}, {"note": " \n"}):
        answer = await story.call("ana", "POST", f"/approvals/{task}/decide", APPROVE | note)
        assert error(answer) == (400, "VALIDATION_ERROR")
        assert answer.json()["error"]["details"][0]["field"] == "note"
    await story.post("ana", f"/approvals/{task}/decide", APPROVE | {"note": "ok"})


async def test_a_task_list_is_paged_only_where_asked(story: Story) -> None:
    await story.workflow(by("ana"))
    for kind, id in [("role", story.auditors), ("role", story.manager), ("group", story.security)]:
        story.clock.passes(seconds=1)
        await story.request(resourceType=kind, resourceId=str(id))

    whole = await story.get("ana", "/approvals/pending")
    page = await story.get("ana", "/approvals/pending?page=2&limit=2")

    assert [one["resourceName"] for one in whole["approvals"]] == ["Security", "manager", "auditors"]
    assert page == {"approvals": whole["approvals"][2:], "total": 3}
    answer = await story.call("ana", "GET", "/approvals/pending?limit=0")
    assert error(answer) == (400, "VALIDATION_ERROR")


async def test_an_approver_gives_a_task_away(story: Story) -> None:
    await story.workflow(by("ana"))
    made = (await story.request())["id"]
    task = await story.task("ana", made)

    answer = await story.call("ana", "POST", f"/approvals/{task}/reassign", {"to": str(story.ids["cyd"])})

    assert answer.json() == {"success": True, "message": "Approval reassigned"}
    assert (await story.get("ana", "/approvals/pending"))["total"] == 0
    assert (await story.post("cyd", f"/approvals/{task}/decide", APPROVE))["accessRequestStatus"] == "approved"


async def test_an_administrator_gives_anybodys_task_away(story: Story) -> None:
    await story.workflow(by("ana"))
    task = await story.task("ana", (await story.request())["id"])
    body = {"to": str(story.ids["cyd"]), "from": str(story.ids["ana"]), "note": "on leave"}

    assert (await story.call("ada", "POST", f"/approvals/{task}/reassign", body)).status_code == 200
    assert (await story.get("cyd", "/approvals/pending"))["total"] == 1


async def test_a_task_goes_neither_to_whom_it_is_about_nor_to_nobody(story: Story) -> None:
    await story.workflow(by_security())
    task = await story.task("ana", (await story.request())["id"])

    for to in (str(story.ids["rhea"]), str(story.ids["ben"]), str(uuid4()), str(story.ids["olu"]), "nobody"):
        answer = await story.call("ana", "POST", f"/approvals/{task}/reassign", {"to": to})
        assert error(answer) == (400, "VALIDATION_ERROR"), to
        assert answer.json()["error"]["details"][0]["field"] == "to"
    for body in ({}, {"to": None}, {"to": ""}, {"to": 7}):
        answer = await story.call("ana", "POST", f"/approvals/{task}/reassign", body)
        assert error(answer) == (400, "VALIDATION_ERROR")
    for who in ("rhea", "mona", "olu"):
        for id in (task, uuid4()):
            answer = await story.call(who, "POST", f"/approvals/{id}/reassign", {"to": str(story.ids["ada"])})
            assert error(answer) == (404, "RESOURCE_NOT_FOUND")


async def test_where_the_tenant_allows_it_one_decides_ones_own_request(story: Story, db: Database) -> None:
    await story.workflow(by("rhea"))
    made = (await story.request())["id"]
    assert (await story.get("rhea", "/approvals/pending"))["total"] == 0
    async with db.tx([story.tenant]) as tx:
        await tx.run("UPDATE tenant SET settings = $2 WHERE id = $1", story.tenant, b'{"selfApproval": true}')

    decided = await story.post("rhea", f"/approvals/{await story.task('rhea', made)}/decide", APPROVE)

    assert decided["accessRequestStatus"] == "approved"


async def test_administrators_do_not_choose_who_decides_what_is_their_own(story: Story) -> None:
    await story.workflow(by("ana"))
    task = await story.task("ana", (await story.request("ada"))["id"])
    body = {"to": str(story.ids["cyd"]), "from": str(story.ids["ana"])}

    assert error(await story.call("ada", "POST", f"/approvals/{task}/reassign", body)) == (403, "FORBIDDEN")


async def test_one_person_may_decide_in_two_steps_one_task_at_a_time(story: Story) -> None:
    await story.workflow(by("ana"), by("ana", 2))
    made = (await story.request())["id"]

    first = await story.task("ana", made)
    assert (await story.post("ana", f"/approvals/{first}/decide", APPROVE))["accessRequestStatus"] == "pending"
    second = await story.task("ana", made)
    assert (await story.post("ana", f"/approvals/{second}/decide", APPROVE))["accessRequestStatus"] == "approved"
    for task in (first, second):
        assert error(await story.call("ana", "POST", f"/approvals/{task}/decide", APPROVE)) == (409, "CONFLICT")


async def test_a_step_that_was_escalated_can_be_decided_by_both(story: Story) -> None:
    step = by("ana", timeoutHours=1, onTimeout="escalate", escalateTo={"approverType": "user", "approverValue": "@cyd"})
    await story.workflow(step)
    made = (await story.request())["id"]
    story.clock.passes(minutes=61)

    decided = await story.post("ana", f"/approvals/{await _task_after_lapse(story, made)}/decide", APPROVE)

    assert decided["accessRequestStatus"] == "approved"


async def test_a_step_may_pass_by_time(story: Story) -> None:
    await story.workflow(by("ana", timeoutHours=1, onTimeout="approve"), by("ben", 2))
    made = (await story.request())["id"]
    story.clock.passes(minutes=61)

    assert (await story.get("rhea", f"/access-requests/{made}"))["status"] == "pending"
    task = await _task_after_lapse(story, made, "ben")

    assert (await story.post("ben", f"/approvals/{task}/decide", APPROVE))["accessRequestStatus"] == "approved"
    told = (await story.get("rita", f"/workflow-instances/{made}/executions"))["executions"]
    assert [(one["event"], one["actorId"]) for one in told] == [
        ("step_started", None),
        ("approved", None),
        ("step_started", None),
        ("approved", str(story.ids["ben"])),
    ]


async def test_what_carries_permissions_takes_no_workflow_that_passes_by_time(story: Story, db: Database) -> None:
    await story.workflow(by("ana", onTimeout="approve"))
    async with db.tx([story.tenant]) as tx:
        await tx.run("UPDATE role SET permissions = '{workflow:read}' WHERE id = $1", story.auditors)
    body = {"resourceType": "role", "resourceId": str(story.auditors), "justification": "why"}

    assert error(await story.call("rhea", "POST", "/access-requests", body)) == (400, "VALIDATION_ERROR")


async def _task_after_lapse(story: Story, request: str, who: str = "ana") -> str:
    """Touch the request, so that what time has done to it is written, and find the task."""
    await story.post("rhea", f"/access-requests/{request}/comments", {"text": "well?"}, 201)
    return await story.task(who, request)
