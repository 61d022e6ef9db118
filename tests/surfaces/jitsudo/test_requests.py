"""Requests, as the contract documents them. Source: JITSudo contract b.3–b.5, (c), (d) 2–7, 11, 13–17, 20–36."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.surfaces.jitsudo.story import ACCOUNT, KEYS, Jit, error
from tests.surfaces.native.story import by


async def test_a_request_is_filed_approved_and_gives_access(jit: Jit) -> None:
    made = await jit.ask(reason="The quarter ends", duration_seconds=900, metadata={"ticket": 7})
    assert set(made) == KEYS
    assert made | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "requester_id": str(jit.ids["rhea"]),
        "resource": ACCOUNT,
        "action": "request_access",
        "reason": "The quarter ends",
        "status": "pending",
        "decision_reasoning": None,
        "decided_by": None,
        "approval_mode": "require",
        "break_glass": False,
        "duration_seconds": 900,
        "metadata": {"ticket": 7},
        "created_at": "",
        "updated_at": "",
    }
    assert made["created_at"].endswith("Z")

    status, approved = await jit.decided("ana", made, body={"reasoning": "Agreed"})

    assert status == 200
    assert set(approved) == KEYS
    assert (approved["status"], approved["decided_by"]) == ("approved", str(jit.ids["ana"]))
    assert approved["decision_reasoning"] == "Agreed"
    [grant] = (await jit.get("rhea", "/grants"))["data"]
    assert grant["request_id"] == made["id"]
    assert await jit.get("rhea", f"/requests/{made['id']}") == approved


@pytest.mark.parametrize("how", ["approve", "deny"])
async def test_a_decision_needs_no_body(jit: Jit, how: str) -> None:
    bodies: list[Any] = [b"", {}, {"reasoning": None}, {"reasoning": ""}, {"reasoning": "x", "more": 1}]
    for body in bodies:
        status, decided = await jit.decided("ana", await jit.ask(), how, body)

        assert (status, decided["status"]) == (200, "approved" if how == "approve" else "denied")
        assert decided["decision_reasoning"] == ("x" if body and body.get("reasoning") else None)
        assert decided["decided_by"] == str(jit.ids["ana"])


async def test_a_decision_that_is_not_valid_is_400_and_changes_nothing(jit: Jit) -> None:
    made = await jit.ask()
    bodies: list[Any] = [b"{", b"[]", b"null", {"reasoning": 1}, {"reasoning": ["x"]}, {"reasoning": "a\0"}]
    for body in bodies:
        answer = await jit.call("ana", "POST", f"/requests/{made['id']}/approve", body)
        assert error(answer) == (400, "invalid_input")
    assert (await jit.get("ana", f"/requests/{made['id']}"))["status"] == "pending"


async def test_who_may_not_decide_gets_403_whatever_state_it_is_in(jit: Jit) -> None:
    made = await jit.ask()
    for who, how in (("mona", "approve"), ("rita", "deny"), ("rhea", "approve"), ("rhea", "deny")):
        assert error(await jit.call(who, "POST", f"/requests/{made['id']}/{how}")) == (403, "forbidden")
    await jit.decided("ben", made)
    for who in ("mona", "rhea"):
        assert error(await jit.call(who, "POST", f"/requests/{made['id']}/approve")) == (403, "forbidden")


async def test_what_is_final_is_409_and_stays_as_it_is(jit: Jit) -> None:
    made = await jit.ask()
    _, approved = await jit.decided("ana", made)
    for who, how in (("ana", "approve"), ("ben", "approve"), ("cyd", "deny"), ("rhea", "cancel"), ("ada", "cancel")):
        assert error(await jit.call(who, "POST", f"/requests/{made['id']}/{how}")) == (409, "conflict")
    assert await jit.get("rhea", f"/requests/{made['id']}") == approved


async def test_what_was_settled_at_once_is_409_for_approvers_and_403_for_others(jit: Jit) -> None:
    await jit.policy("auto", "permit(principal, action, resource);", priority=5, approval_mode="auto")
    made = await jit.ask()
    assert (made["status"], made["approval_mode"], made["decided_by"]) == ("approved", "auto", "system")

    assert error(await jit.call("ana", "POST", f"/requests/{made['id']}/deny")) == (409, "conflict")
    assert error(await jit.call("rhea", "POST", f"/requests/{made['id']}/approve")) == (403, "forbidden")
    assert error(await jit.call("mona", "POST", f"/requests/{made['id']}/approve")) == (403, "forbidden")


async def test_an_approval_after_the_timeout_is_refused_though_nobody_wrote_the_expiry(jit: Jit) -> None:
    await jit.policy("hasty", "permit(principal, action, resource);", priority=5, approval_timeout_seconds=60)
    made = await jit.ask()
    jit.clock.at += timedelta(seconds=61)

    shown = await jit.get("rhea", f"/requests/{made['id']}")
    assert (shown["status"], shown["decided_by"], shown["decision_reasoning"]) == ("expired", None, None)
    assert shown["updated_at"] > made["updated_at"]
    assert [one["id"] for one in (await jit.get("rita", "/requests?status=expired"))["data"]] == [made["id"]]
    assert (await jit.get("rita", "/requests?status=pending"))["data"] == []
    assert error(await jit.call("ana", "POST", f"/requests/{made['id']}/approve")) == (409, "conflict")


async def test_an_id_may_be_written_in_capitals(jit: Jit) -> None:
    made = await jit.ask()

    shown = await jit.get("rhea", f"/requests/{made['id'].upper()}")
    status, approved = await jit.decided("ana", {"id": made["id"].upper()})

    assert shown == made
    assert (status, approved["id"]) == (200, made["id"])


async def test_the_requester_cancels_and_so_does_whoever_may_write_workflows(jit: Jit) -> None:
    for who in ("rhea", "ada"):
        made = await jit.ask()
        assert error(await jit.call("ana", "POST", f"/requests/{made['id']}/cancel")) == (403, "forbidden")
        gone = await jit.post(who, f"/requests/{made['id']}/cancel")
        assert (gone["status"], gone["decided_by"], gone["decision_reasoning"]) == ("cancelled", None, None)


async def test_the_same_may_be_asked_for_again_while_it_is_pending(jit: Jit) -> None:
    assert (await jit.ask())["id"] != (await jit.ask())["id"]


async def test_a_policy_that_refuses_is_403_and_the_request_is_kept_as_denied(jit: Jit) -> None:
    forbid = '@notice("Not today") forbid(principal, action == Action::"admin", resource);'
    await jit.policy("no admins", forbid)

    answer = await jit.call("rhea", "POST", "/requests", {"resource": ACCOUNT, "action": "admin"})

    assert error(answer) == (403, "policy_denied")
    assert answer.json()["notices"] == ["Not today"]
    kept = await jit.get("rhea", f"/requests/{answer.json()['details']['request_id']}")
    assert (kept["status"], kept["decided_by"], kept["decision_reasoning"]) == ("denied", "system", "Not today")
    assert kept["action"] == "admin"


async def test_what_no_policy_permits_is_refused(jit: Jit) -> None:
    [policy] = await jit.story.get("ada", "/policies") and (await jit.story.get("ada", "/policies"))["policies"]
    await jit.story.call("ada", "DELETE", f"/policies/{policy['id']}")
    await jit.story.workflow()

    answer = await jit.call("rhea", "POST", "/requests", {"resource": ACCOUNT, "action": "read"})

    assert error(answer) == (403, "policy_denied")
    assert answer.json()["message"] == "This is refused: no policy permits this"
    assert "notices" not in answer.json()


async def test_how_long_access_lasts(jit: Jit) -> None:
    assert (await jit.ask())["duration_seconds"] == 3600
    answer = await jit.call(
        "rhea", "POST", "/requests", {"resource": ACCOUNT, "action": "x", "duration_seconds": 14_401}
    )
    assert error(answer) == (400, "invalid_input")
    assert answer.json()["details"]["max_duration_seconds"] == 14_400
    await jit.settings(b'{"jitsudo": {"defaultDurationSeconds": 120}}')
    assert (await jit.ask())["duration_seconds"] == 120
    assert (await jit.ask(duration_seconds=None))["duration_seconds"] == 120
    await jit.policy("usual", "permit(principal, action, resource);", priority=1, default_duration_seconds=300)
    assert (await jit.ask())["duration_seconds"] == 300
    assert (await jit.ask(duration_seconds=7))["duration_seconds"] == 7


WRONG: list[dict[str, Any]] = [
    {"resource": None},
    {"resource": {"type": "aws_account"}},
    {"resource": {"type": "aws_account", "id": ""}},
    {"resource": {"type": "aws_account", "id": 123456789012}},
    {"resource": {"type": "role", "id": "x"}},
    {"resource": {"type": "mainframe", "id": "x"}},
    {"action": ""},
    {"action": 1},
    {"reason": 1},
    {"duration_seconds": 0},
    {"duration_seconds": -1},
    {"duration_seconds": 1.5},
    {"duration_seconds": True},
    {"duration_seconds": "60"},
    {"break_glass": "yes"},
    {"metadata": []},
]


async def test_a_request_that_is_not_valid_is_400_and_is_not_filed(jit: Jit) -> None:
    for change in WRONG:
        answer = await jit.call("rhea", "POST", "/requests", {"resource": ACCOUNT, "action": "read"} | change)

        assert error(answer) == (400, "invalid_input"), change
        assert answer.json()["details"]["errors"]
    assert (await jit.get("ada", "/requests"))["data"] == []


async def test_ids_are_taken_as_they_come_unless_the_tenant_wants_them_to_look_right(jit: Jit) -> None:
    odd = {"type": "aws_account", "id": "example"}
    assert (await jit.ask(resource=odd))["resource"] == odd
    await jit.settings(b'{"jitsudo": {"strictIds": true, "resourceTypes": ["k8s_namespace"]}}')

    answer = await jit.call("rhea", "POST", "/requests", {"resource": odd, "action": "read"})

    assert error(answer) == (400, "invalid_input")
    for type, id in (
        ("aws_account", "123456789012"),
        ("aws_ec2_instance", "i-1"),
        ("aws_organizational_unit", "ou-a-b"),
        ("aws_permission_set", "arn:aws:sso"),
        ("aws_s3_bucket", "any"),
        ("k8s_namespace", "prod"),
    ):
        assert (await jit.ask(resource={"type": type, "id": id}))["resource"] == {"type": type, "id": id}


async def test_several_steps_keep_a_request_pending_until_the_last(jit: Jit) -> None:
    await jit.story.workflow(by("ana"), by("ben", 2))
    made = await jit.ask()

    _, first = await jit.decided("ana", made, body={"reasoning": "one"})
    assert (first["status"], first["decided_by"], first["decision_reasoning"]) == ("pending", None, None)
    assert (await jit.decided("ana", made))[0] == 403
    _, second = await jit.decided("ben", made)
    assert (second["status"], second["decided_by"]) == ("approved", str(jit.ids["ben"]))


async def test_a_step_that_wants_evidence_or_a_note_says_so(jit: Jit) -> None:
    password = {"quorum": {"n": 1, "requirePassword": True, "members": [{"user": str(jit.ids["ana"])}]}}
    await jit.story.workflow({"order": 1, "name": "Evidence", **password})
    made = await jit.ask()
    assert error(await jit.call("ana", "POST", f"/requests/{made['id']}/approve")) == (403, "forbidden")
    assert (await jit.decided("ana", made, "deny"))[0] == 200

    jit.clock.at += timedelta(seconds=1)
    await jit.story.workflow(by("ana", requiresComment="all"))
    made = await jit.ask()
    assert error(await jit.call("ana", "POST", f"/requests/{made['id']}/approve")) == (400, "invalid_input")
    assert (await jit.decided("ana", made, body={"reasoning": "Fine"}))[0] == 200


async def test_of_many_decisions_at_once_one_wins_and_gives_one_grant(jit: Jit) -> None:
    made = await jit.ask()
    tries = [("ana", "approve"), ("ben", "deny"), ("cyd", "approve"), ("rhea", "cancel"), ("ada", "approve")]

    answers = await asyncio.gather(*(jit.decided(who, made, how) for who, how in tries * 3))

    assert sorted(status for status, _ in answers) == [200, *[409] * 14]
    [won] = [body for status, body in answers if status == 200]
    assert await jit.get("rhea", f"/requests/{made['id']}") == won
    assert len((await jit.get("rhea", "/grants"))["data"]) == (1 if won["status"] == "approved" else 0)


async def test_who_may_see_which_requests(jit: Jit) -> None:
    mine = await jit.ask()
    jit.clock.at += timedelta(seconds=1)
    theirs = await jit.ask("mona")

    async def seen(who: str, query: str = "") -> list[str]:
        return [one["id"] for one in (await jit.get(who, f"/requests{query}"))["data"]]

    assert await seen("rita") == await seen("ada") == [theirs["id"], mine["id"]]
    assert await seen("rhea") == [mine["id"]]
    assert sorted(await seen("ana")) == sorted([mine["id"], theirs["id"]])
    assert await seen("rita", f"?requester_id={jit.ids['mona']}") == [theirs["id"]]
    assert await seen("rita", "?requester_id=nobody") == []
    await jit.decided("ben", mine)
    assert await seen("ana") == [theirs["id"]]
    assert await seen("rhea", "?status=approved") == [mine["id"]]
    assert error(await jit.call("mona", "GET", f"/requests/{mine['id']}")) == (403, "forbidden")
    assert error(await jit.call("mona", "GET", f"/requests/{uuid4()}")) == (404, "not_found")


@pytest.mark.parametrize("who", ["rita", "rhea", "ana"])
async def test_lists_go_by_pages_that_neither_repeat_nor_lose_anything(jit: Jit, who: str) -> None:
    """Seven of the same moment, for a reader, their requester, and an approver."""
    made = {(await jit.ask())["id"] for _ in range(7)}
    seen: list[str] = []
    path = "/requests?limit=3"
    for size in (3, 3, 1):
        page = await jit.get(who, path)
        assert len(page["data"]) == size
        assert page["has_more"] is (page["next_cursor"] is not None) is (size == 3)
        seen += [one["id"] for one in page["data"]]
        path = f"/requests?limit=3&cursor={page['next_cursor']}"
        jit.clock.at += timedelta(seconds=1)
        await jit.ask()  # What comes later stands before the first page.
    assert len(seen) == 7
    assert set(seen) == made


async def test_a_query_that_is_not_valid_is_400(jit: Jit) -> None:
    for query in ("limit=0", "limit=251", "limit=x", "status=rejected", "status=open", "cursor=x", "cursor=AAAA"):
        assert error(await jit.call("rita", "GET", f"/requests?{query}")) == (400, "invalid_input"), query


async def test_a_cursor_serves_its_caller_and_its_question_alone(jit: Jit) -> None:
    for _ in range(2):
        await jit.ask()
    cursor = (await jit.get("rita", "/requests?limit=1&status=pending"))["next_cursor"]

    assert (await jit.call("rita", "GET", f"/requests?limit=5&status=pending&cursor={cursor}")).status_code == 200
    for who, path in (
        ("ada", "/requests?status=pending"),
        ("rita", "/requests?status=approved"),
        ("rita", "/requests?x=1"),
        ("rita", "/grants?x=1"),
        ("olu", "/requests?status=pending"),
    ):
        assert error(await jit.call(who, "GET", f"{path}&cursor={cursor}")) == (400, "invalid_input")


async def test_requests_from_elsewhere_are_shown_and_decided_here(jit: Jit) -> None:
    await jit.story.workflow(by("ana"))
    native = (await jit.story.request())["id"]

    shown = await jit.get("ana", f"/requests/{native}")
    assert shown["resource"] == {"type": "role", "id": str(jit.story.auditors)}
    assert shown["action"] == "request_access"
    _, approved = await jit.decided("ana", shown)
    assert approved["status"] == "approved"
    assert (await jit.story.get("rhea", f"/access-requests/{native}"))["status"] == "approved"

    asked = {"resourceType": "resource", "resourceId": str(jit.story.database), "justification": "x"}
    resource = (await jit.story.post("rhea", "/access-requests", asked, 201))["id"]
    assert (await jit.get("ana", f"/requests/{resource}"))["resource"] == {
        "type": "database",
        "id": str(jit.story.database),
    }


async def test_what_is_no_access_request_is_not_there(jit: Jit) -> None:
    workflow = await jit.story.workflow(by("ana"))
    started = await jit.story.post("ada", f"/workflows/{workflow}/start", {"subject": {"reason": "x"}}, 201)
    id = next(value for name, value in started.items() if name in ("id", "instanceId"))

    for method, path in (
        ("GET", ""),
        ("POST", "/approve"),
        ("POST", "/deny"),
        ("POST", "/cancel"),
        ("GET", "/messages"),
    ):
        assert error(await jit.call("ana", method, f"/requests/{id}{path}")) == (404, "not_found")
    assert error(await jit.call("ana", "POST", f"/requests/{id}/messages", {"content": "x"})) == (404, "not_found")
    assert (await jit.get("ada", "/requests"))["data"] == []


async def test_what_was_asked_for_here_is_shown_natively(jit: Jit) -> None:
    made = await jit.ask(reason="The quarter ends")

    shown = await jit.story.get("ada", f"/access-requests/{made['id']}")

    assert (shown["resourceType"], shown["status"]) == ("resource", "pending")
    await jit.decided("ana", made)
    [grant] = (await jit.story.get("rhea", "/grants"))["grants"]
    assert grant["resourceName"] == ACCOUNT["id"]


async def test_messages_are_said_by_whom_it_concerns_in_any_state(jit: Jit) -> None:
    made = await jit.ask()
    path = f"/requests/{made['id']}/messages"
    first = await jit.post("rhea", path, {"content": "Please", "metadata": {"a": 1}}, 201)
    assert first | {"id": "", "created_at": ""} == {
        "id": "",
        "request_id": made["id"],
        "author_type": "user",
        "author_id": str(jit.ids["rhea"]),
        "content": "Please",
        "metadata": {"a": 1},
        "created_at": "",
    }
    await jit.decided("ana", made)
    second = await jit.post("ana", path, {"content": "Done"}, 201)
    assert (second["author_type"], second["metadata"]) == ("approver", {})

    page = await jit.get("rhea", f"{path}?limit=1")
    assert (page["data"], page["has_more"]) == ([first], True)
    assert await jit.get("rhea", f"{path}?limit=1&cursor={page['next_cursor']}") == {
        "data": [second],
        "next_cursor": None,
        "has_more": False,
    }
    for body in ({}, {"content": ""}, {"content": " "}, {"content": 1}, {"content": "x", "metadata": 1}):
        assert error(await jit.call("rhea", "POST", path, body)) == (400, "invalid_input")
    for method in ("GET", "POST"):
        body = {"content": "x"}
        assert error(await jit.call("mona", method, path, body)) == (403, "forbidden")
        assert error(await jit.call("olu", method, path, body)) == (404, "not_found")
