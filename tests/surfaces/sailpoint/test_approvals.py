"""One approval: seen, decided, talked about, changed, given away, withdrawn. Olu finds none."""

from typing import Any
from uuid import uuid4

import pytest
from msgspec import json

from quorate.app.commands import Door
from quorate.app.filing import Start
from quorate.app.orders import Order
from tests.app.directory import a_service
from tests.surfaces.native.story import Story, by, by_security
from tests.surfaces.sailpoint.calls import CURRENT, FIRST, V1, add_key, call, error, generic, passed_on_by, shown

ABSENT = "The server did not find a current representation for the target resource."
NOWHERE = "3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a"
WRITES: dict[str, Any] = {
    "approve": None,
    "reject": None,
    "cancel": None,
    "comments": {"comment": "hm"},
    "attributes": {"additionalAttributes": {"a": "b"}},
    "reassign": {"reassignTo": NOWHERE},
}


async def do(story: Story, who: str, id: str, what: str, body: Any = None, status: int = 200, path: str = V1) -> Any:
    """Do something that must be answered so."""
    answer = await call(story, who, "POST", f"{path}/{id}/{what}", body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


@pytest.mark.parametrize("path", CURRENT)
async def test_an_approval_is_approved_in_each_layout_that_has_it(story: Story, path: str) -> None:
    id = await generic(story)

    answer = await call(story, "ana", "POST", f"{path}/{id}/approve", b"", **{"Content-Type": "application/json"})

    assert answer.status_code == 200
    assert answer.json() == await shown(story, "ana", id, path)
    assert answer.json()["status"] == "APPROVED"
    assert answer.json()["completedDate"] == answer.json()["modifiedDate"]


async def test_what_was_decided_and_said_is_shown_in_both_shapes(story: Story) -> None:
    id = await generic(story, by("ana"), by_security(2, requiresComment="rejection"))
    said = {"comment": "fine", "additionalAttributes": {"ticket": "T-1"}}
    first_step = await do(story, "ana", id, "approve", said)
    await do(story, "ben", id, "reject", {"comment": "no"}, 204)

    now, ana, ben = await shown(story, "rhea", id), str(story.ids["ana"]), str(story.ids["ben"])
    assert (first_step["status"], first_step["serialStep"]) == ("PENDING", 2)
    assert first_step["approvalConfig"]["requiresComment"] == "REJECTION"
    assert [one["identityID"] for one in first_step["assignedTo"]] == [str(story.security)]
    assert (now["status"], now["assignedTo"], now["tenantId"]) == ("REJECTED", [], str(story.tenant))
    assert [(one["identityID"], one["type"], one["serialOrder"]) for one in now["approvers"]] == [
        (ana, "IDENTITY", 1),
        (str(story.security), "GOVERNANCE_GROUP", 2),
    ]
    [approved], [rejected] = now["approvedBy"], now["rejectedBy"]
    assert (approved["identityID"], approved["name"], approved["email"]) == (ana, "Ana", "ana@acme.example")
    assert rejected["actionedAs"] == [{"id": str(story.security), "type": "GOVERNANCE_GROUP", "name": "Security"}]
    assert [(one["author"]["identityID"], one["comment"]) for one in now["comments"]] == [(ana, "fine"), (ben, "no")]
    assert json.decode(now["additionalAttributes"]) == {"ticket": "T-1"}
    assert now["approvalCriteria"]["type"] == "SERIAL"

    for path in FIRST:
        then = await shown(story, "rhea", id, path)
        assert (then["approvalId"], then["status"], then["approvalCriteria"]) == (id, "REJECTED", "SINGLE")
        assert then["approvedBy"] == [{"id": ana, "type": "IDENTITY", "name": "Ana"}]
        assert [(one["author"]["id"], one["comment"]) for one in then["comments"]] == [(ana, "fine"), (ben, "no")]
        assert then["requester"]["id"] == str(story.ids["rhea"])
        assert "batchRequest" not in then


async def test_what_was_filed_with_an_approval_is_shown(story: Story) -> None:
    workflow = await story.workflow(by("ana"))
    details = {
        "title": "Describe it",
        "description": "Please",
        "type": "ENTITLEMENT_DESCRIPTIONS",
        "priority": "HIGH",
        "references": [{"id": "r1", "type": "AccessRequestId"}],
        "batch": {"id": "b-77", "size": 3},
        "attributes": {"colour": "blue"},
    }
    filed = Start(workflow, {"userId": str(story.ids["rhea"])}, details=details)
    door = Door(story.db, story.clock, uuid4)
    id = str((await door.take(Order(uuid4(), story.tenant, story.ids["ada"], filed))).request.id)

    now, then = await shown(story, "ana", id), await shown(story, "ana", id, FIRST[0])
    for one in (now, then):
        assert one["name"] == [{"value": "Describe it", "locale": "en-US"}]
        assert one["description"] == [{"value": "Please", "locale": "en-US"}]
        assert (one["type"], one["priority"]) == ("ENTITLEMENT_DESCRIPTIONS", "HIGH")
        assert one["referenceData"] == [{"id": "r1", "type": "AccessRequestId"}]
        assert one["batchRequest"] == {"batchId": "b-77", "batchSize": 3}
        assert json.decode(one["additionalAttributes"]) == {"colour": "blue"}
    for text in ("batchId eq b-77", "type eq entitlement_descriptions", "referenceId eq r1", "name sw Describe"):
        listed = (await call(story, "ada", "GET", f"{V1}?include-batch-info=true&filters={text}")).json()
        assert [one["id"] for one in listed] == [id]
        assert listed[0]["batchRequest"] == {"batchId": "b-77", "batchSize": 3}


@pytest.mark.parametrize("what", ["", *WRITES])
async def test_what_is_not_yours_to_see_is_not_there(story: Story, what: str) -> None:
    id = await generic(story)
    method, end, body = ("POST", f"/{what}", WRITES[what]) if what else ("GET", "", None)
    before = await shown(story, "ana", id)

    for who in ("olu", "cyd"):
        of_ours = await call(story, who, method, f"{V1}/{id}{end}", body)
        of_nobody = await call(story, who, method, f"{V1}/{NOWHERE}{end}", body)
        needs_an_administrator = what == "cancel" and who == "cyd"
        assert error(of_ours) == error(of_nobody)
        assert error(of_ours)[0] == (403 if needs_an_administrator else 404)
    assert error(await call(story, "ada", method, f"{V1}/no-id{end}", body)) == (404, ABSENT)
    assert error(await call(story, None, method, f"{V1}/{id}{end}", body))[0] == 401
    assert await shown(story, "ana", id) == before


@pytest.mark.parametrize("what", ["approve", "reject", "attributes", "reassign", "cancel"])
async def test_who_may_see_but_not_decide_is_told_so(story: Story, what: str) -> None:
    id = await generic(story, by("ana"), by("ben", 2))
    for who in ("rhea", "rita"):  # Whose it is, and a reader.
        assert error(await call(story, who, "POST", f"{id}/{what}", WRITES[what]))[0] == 403
    assert (await shown(story, "rhea", id))["status"] == "PENDING"


async def test_who_is_out_of_turn_must_wait(story: Story) -> None:
    id = await generic(story, by("ana"), by("ben", 2))
    assert error(await call(story, "ben", "POST", f"{id}/approve"))[0] == 403
    await do(story, "ana", id, "approve")
    assert (await do(story, "ben", id, "approve"))["status"] == "APPROVED"


@pytest.mark.parametrize("what", ["approve", "reject"])
async def test_a_decision_is_made_once_and_what_is_complete_stays_so(story: Story, what: str) -> None:
    either = {"n": 2, "members": [{"user": "@ana"}, {"user": "@ben"}]}
    id = await generic(story, {"order": 1, "name": "Both", "quorum": either, "rejection": {"count": 2}})
    await do(story, "ana", id, what, status=200 if what == "approve" else 204)

    for again in ("approve", "reject"):
        assert error(await call(story, "ana", "POST", f"{id}/{again}"))[0] == 400
    await do(story, "ben", id, what, status=200 if what == "approve" else 204)
    for who in ("ana", "ben", "ada"):
        status, text = error(await call(story, who, "POST", f"{id}/approve"))
        assert status == 400, text
    assert error(await call(story, "ada", "POST", f"{id}/cancel"))[0] == 400


async def test_a_comment_that_a_step_wants_must_say_something(story: Story) -> None:
    id = await generic(story, by("ana", requiresComment="all"))
    for body in (None, {}, {"comment": ""}, {"comment": "  "}):
        for what in ("approve", "reject"):
            assert error(await call(story, "ana", "POST", f"{id}/{what}", body))[0] == 400
    assert (await do(story, "ana", id, "approve", {"comment": "yes"}))["status"] == "APPROVED"


async def test_a_step_that_demands_evidence_is_not_approved_here(story: Story) -> None:
    quorum = {"n": 1, "members": [{"user": "@ana"}], "requirePassword": True}
    id = await generic(story, {"order": 1, "name": "Sure", "quorum": quorum})

    assert error(await call(story, "ana", "POST", f"{id}/approve"))[0] == 403
    await do(story, "ana", id, "reject", status=204)


async def test_an_administrator_takes_the_place_of_the_first_approver(story: Story) -> None:
    quorum = {"n": 2, "members": [{"user": "@ana"}, {"user": "@ben"}]}
    id = await generic(story, {"order": 1, "name": "Both", "quorum": quorum})

    now = await do(story, "ada", id, "approve", {"comment": "on it", "additionalAttributes": {"a": "1"}})

    [moved] = now["reassignmentHistory"]
    assert moved["reassignmentType"] == "MANUAL_REASSIGNMENT"
    assert [moved[one]["identityID"] for one in ("reassignedFrom", "reassignedTo", "reassigner")] == [
        str(story.ids[who]) for who in ("ana", "ada", "ada")
    ]
    assert [one["identityID"] for one in now["approvedBy"]] == [str(story.ids["ada"])]
    assert [one["identityID"] for one in now["assignedTo"]] == [str(story.ids["ben"])]
    assert json.decode(now["additionalAttributes"]) == {"a": "1"}
    assert error(await call(story, "ana", "POST", f"{id}/approve"))[0] == 403
    assert (await do(story, "ben", id, "approve"))["status"] == "APPROVED"


async def test_nobody_decides_their_own_not_even_an_administrator(story: Story) -> None:
    id = await generic(story, by("ana"), about="ada")
    for what in ("approve", "reject", "attributes"):
        assert error(await call(story, "ada", "POST", f"{id}/{what}", WRITES[what]))[0] == 403


async def test_those_involved_comment(story: Story) -> None:
    id = await generic(story)
    for who in ("rhea", "ana", "ada"):
        now = await do(story, who, id, "comments", {"comment": f"{who} was here"})
    assert [one["comment"] for one in now["comments"]] == ["rhea was here", "ana was here", "ada was here"]
    bad: tuple[Any, ...] = ({}, {"comment": ""}, {"comment": "   "}, {"comment": 1}, None, b"{")
    for body in bad:
        assert error(await call(story, "ana", "POST", f"{id}/comments", body))[0] == 400


async def test_approvers_and_administrators_change_attributes(story: Story) -> None:
    id = await generic(story)
    await do(story, "ana", id, "attributes", {"additionalAttributes": {"a": "1", "b": "2"}, "comment": "see"})
    now = await do(story, "ada", id, "attributes", {"additionalAttributes": {"a": "3"}, "removeAttributeKeys": ["b"]})

    assert json.decode(now["additionalAttributes"]) == {"a": "3"}
    assert [one["comment"] for one in now["comments"]] == ["see"]
    bad: tuple[Any, ...] = (
        {"additionalAttributes": {"a": 1}},
        {"additionalAttributes": []},
        {"removeAttributeKeys": "a"},
    )
    for body in bad:
        assert error(await call(story, "ana", "POST", f"{id}/attributes", body))[0] == 400
    await do(story, "ana", id, "approve")
    assert error(await call(story, "ana", "POST", f"{id}/attributes", {}))[0] == 400


async def test_an_approver_gives_their_own_away_and_an_administrator_anybodys(story: Story) -> None:
    ids = {who: str(id) for who, id in story.ids.items()}
    id = await generic(story)
    others = {"reassignTo": ids["ben"], "reassignFrom": ids["cyd"]}
    assert error(await call(story, "ana", "POST", f"{id}/reassign", others))[0] == 403
    await do(story, "ana", id, "reassign", {"reassignTo": ids["ben"], "comment": "yours"}, 204)
    await do(story, "ada", id, "reassign", {"reassignTo": ids["cyd"], "reassignFrom": ids["ben"]}, 204)

    now = await shown(story, "cyd", id)
    assert [one["identityID"] for one in now["assignedTo"]] == [ids["cyd"]]
    assert [one["reassignedTo"]["identityID"] for one in now["reassignmentHistory"]] == [ids["ben"], ids["cyd"]]
    assert [one["comment"] for one in now["comments"]] == ["yours"]
    for to in ("cyd", "rhea", "bot", "olu"):  # An approver, whose it is, a program, somebody elsewhere.
        body = {"reassignTo": ids[to], "reassignFrom": ids["cyd"]}
        assert error(await call(story, "ada", "POST", f"{id}/reassign", body))[0] == 400
    ana = ids["ana"]
    bad: tuple[Any, ...] = ({}, {"reassignTo": "x"}, {"reassignTo": ana, "reassignFrom": "x"}, {"reassignTo": 1})
    for wrong in bad:
        assert error(await call(story, "ada", "POST", f"{id}/reassign", wrong))[0] == 400
    assert await shown(story, "cyd", id) == now


async def test_only_an_administrator_cancels(story: Story) -> None:
    id = await generic(story)
    for who in ("ana", "rhea"):
        assert error(await call(story, who, "POST", f"{id}/cancel"))[0] == 403
    await do(story, "ada", id, "cancel", {"comment": "not needed"}, 204)

    now, then = await shown(story, "rhea", id), await shown(story, "rhea", id, FIRST[0])
    assert (now["status"], now["assignedTo"]) == ("CANCELLED", [])
    assert [one["comment"] for one in now["comments"]] == ["not needed"]
    assert (then["status"], then["rejectedBy"]) == ("REJECTED", [])


async def test_what_is_late_is_expired_and_rejected_in_the_first_shape(story: Story) -> None:
    id = await generic(story, by("ana", timeoutHours=1))
    due = (await shown(story, "rhea", id))["dueDate"]
    story.clock.passes(seconds=3600)

    now, then = await shown(story, "rhea", id), await shown(story, "rhea", id, FIRST[0])
    assert (now["status"], now["completedDate"], now["assignedTo"]) == ("EXPIRED", due, [])
    assert (then["status"], then["completedDate"], then["rejectedBy"]) == ("REJECTED", due, [])
    assert error(await call(story, "ana", "POST", f"{id}/approve"))[0] == 400


async def test_an_escalated_approval_says_so_until_somebody_acts(story: Story) -> None:
    both = {"n": 2, "members": [{"user": "@ana"}, {"user": "@ben"}]}
    to = {"approverType": "user", "approverValue": "@cyd"}
    step = {"order": 1, "name": "Both", "quorum": both, "timeoutSeconds": 60, "onTimeout": "escalate", "escalateTo": to}
    id = await generic(story, story.known(step))
    before = await shown(story, "rhea", id)
    assert (before["isEscalated"], before["escalationStep"]) == (False, "0")
    story.clock.passes(seconds=61)
    await do(story, "ana", id, "comments", {"comment": "?"})

    now = await shown(story, "rhea", id)
    assert (now["isEscalated"], now["escalationStep"]) == (True, "1")
    assert [one["reassignmentType"] for one in now["reassignmentHistory"]] == ["ESCALATION"]
    assert str(story.ids["cyd"]) in [one["identityID"] for one in now["assignedTo"]]
    await do(story, "cyd", id, "approve")
    assert (await shown(story, "rhea", id))["isEscalated"] is False


async def test_a_program_passes_on_a_decision_if_it_may(story: Story) -> None:
    relay = await a_service(story.db, story.tenant, permissions=["act:for"])
    await add_key(story, "relay", relay)
    ana = {"overrideApproverID": str(story.ids["ana"])}
    id = await generic(story)

    for who in ("rhea", "ben", "ada", "ana"):
        refused = error(await call(story, who, "POST", f"{id}/approve", ana))
        assert refused[0] == (404 if who == "ben" else 403)
    assert (
        error(await call(story, "relay", "POST", f"{id}/approve", {"overrideApproverID": str(story.ids["cyd"])}))[0]
        == 403
    )
    assert error(await call(story, "relay", "POST", f"{NOWHERE}/approve", ana))[0] == 404
    now = await do(story, "relay", id, "approve", ana)
    assert (now["status"], now["approvedBy"][0]["identityID"]) == ("APPROVED", str(story.ids["ana"]))
    [row] = await passed_on_by(story, id)
    assert row == relay


@pytest.mark.parametrize("path", FIRST)
async def test_the_first_shape_only_reads(story: Story, path: str) -> None:
    id = await generic(story)
    for what in WRITES:
        assert error(await call(story, "ana", "POST", f"{path}/{id}/{what}", WRITES[what]))[0] == 404
    for method in ("POST", "PATCH", "DELETE"):
        assert error(await call(story, "ana", method, f"{path}/{id}", {}))[0] == 405


@pytest.mark.parametrize("field", ["requester", "requester, requestee,batchRequest,approvalConfig"])
async def test_fields_that_a_client_cannot_read_are_left_out_if_it_says_so(story: Story, field: str) -> None:
    id = await generic(story)
    gone = {name.strip() for name in field.split(",")}
    headers = {"X-Compat-Omit": field}

    whole = await shown(story, "ana", id)
    one = (await call(story, "ana", "GET", id, **headers)).json()
    [listed] = (await call(story, "ana", "GET", V1, **headers)).json()
    approved = (await call(story, "ana", "POST", f"{id}/approve", **headers)).json()

    assert one == {name: value for name, value in whole.items() if name not in gone}
    assert not gone & (listed.keys() | approved.keys())


async def test_paths_that_are_not_there_and_wrong_methods_are_answered_in_the_vendors_shape(story: Story) -> None:
    for path in ("/beta", "/beta/x", "/v2024", "/v2025/generic-approvals/x/y", "/v2026/x", "/oauth/x", f"{V1}/a/b/c"):
        assert error(await call(story, "ana", "GET", path)) == (404, ABSENT)
    assert error(await call(story, "ana", "DELETE", V1))[0] == 405
    assert error(await call(story, "ana", "GET", f"{V1}/bulk-approve/x"))[0] == 404


async def test_whoever_calls_too_often_must_wait(story: Story) -> None:
    for _ in range(100):
        assert (await call(story, "ana", "GET", f"{V1}?limit=0")).status_code == 200
    over = await call(story, "ana", "GET", f"{V1}?limit=0")
    assert error(over)[0] == 429
    assert over.headers["Retry-After"] == "1"
    assert (await call(story, "ben", "GET", f"{V1}?limit=0")).status_code == 200
    story.clock.passes(seconds=1)
    assert (await call(story, "ana", "GET", f"{V1}?limit=0")).status_code == 200
