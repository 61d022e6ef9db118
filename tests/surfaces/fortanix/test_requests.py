"""The life of an approval request. Source: Fortanix contract §2, §4, §7."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quorate.surfaces.fortanix import requests
from tests.app.directory import change
from tests.receiver import Got, answer, receiving
from tests.surfaces.fortanix.story import REQUESTS, SIGN, Story

KEYS = {
    "request_id",
    "requester",
    "created_at",
    "acct_id",
    "operation",
    "method",
    "body",
    "approvers",
    "reviewers",
    "subjects",
    "status",
    "description",
    "denial_reason",
    "expiry",
    "result_viewed",
}


def at(moment: str) -> datetime:
    assert re.fullmatch(r"\d{8}T\d{6}Z", moment)
    return datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


async def approved(story: Story, **more: Any) -> str:
    id = str((await story.ask(**more))["request_id"])
    for who in ("ana", "ben"):
        assert (await story.approve(who, id)).status_code == 200
    return id


async def test_a_new_request_shows_all_that_the_vendors_clients_look_for(story: Story) -> None:
    made = await story.ask()

    assert set(made) == KEYS
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["request_id"])
    assert made | {"request_id": "", "created_at": "", "expiry": ""} == {
        "request_id": "",
        "created_at": "",
        "expiry": "",
        "requester": {"user": str(story.ids["rhea"])},
        "acct_id": str(story.tenant),
        "operation": "crypto/v1/sign",
        "method": "POST",
        "body": SIGN["body"],
        "description": SIGN["description"],
        "approvers": [],
        "reviewers": [
            {"user": str(story.ids["ana"]), "requires_password": False, "requires_2fa": False},
            {"user": str(story.ids["ben"]), "requires_password": False, "requires_2fa": False},
            {"user": str(story.ids["cyd"]), "requires_password": False, "requires_2fa": False},
            {"app": str(story.ids["signer"])},
        ],
        "subjects": [{"sobject": str(story.vault)}],
        "status": "PENDING",
        "denial_reason": None,
        "result_viewed": False,
    }
    assert at(made["created_at"]) == story.clock.at.replace(microsecond=0)
    assert at(made["expiry"]) - at(made["created_at"]) == timedelta(days=30)
    assert await story.read("rhea", made["request_id"]) == made


async def test_an_app_may_ask_and_is_shown_as_one(story: Story) -> None:
    made = await story.ask("helper")

    assert made["requester"] == {"app": str(story.ids["helper"])}


async def test_approved_it_is_carried_out_at_once_and_its_result_can_be_fetched_again_and_again(story: Story) -> None:
    id = await approved(story)

    before = await story.read("rhea", id)
    results = [await story.call("rhea", "POST", f"{REQUESTS}/{id}/result") for _ in range(2)]
    after = await story.read("rhea", id)

    assert (before["status"], before["result_viewed"]) == ("APPROVED", False)
    assert [one.json() for one in results] == [{"status": 200, "body": {"signature": "c2ln"}}] * 2
    assert after["result_viewed"] is True


async def test_an_operation_that_failed_shows_so_and_its_result_is_a_message(story: Story) -> None:
    id = await approved(story, operation="crypto/v1/fail")

    result = await story.call("rhea", "POST", f"{REQUESTS}/{id}/result")

    assert (await story.read("ana", id))["status"] == "FAILED"
    assert result.json() == {"status": 422, "body": "the key is disabled"}


async def test_an_approval_does_not_wait_for_ever_for_what_it_lets_happen(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "PATIENCE_S", 0.01)
    goes_on = asyncio.Event()

    async def slowly(_: Got) -> bytes:
        await goes_on.wait()
        return answer(200, b'{"rotated": true}')

    async with receiving() as receiver:
        receiver.answer = slowly
        rule = {"method": "POST", "path": "keys/rotate", "workflow": "Custodians", "execute": {"url": receiver.url()}}
        await story.apply(operations=[rule])
        id = (await story.ask(operation="/keys/rotate"))["request_id"]
        await story.approve("ana", id)

        approved = await story.approve("ben", id)
        early = await story.call("rhea", "POST", f"{REQUESTS}/{id}/result")
        goes_on.set()
        async with asyncio.timeout(10):
            result = early
            while result.status_code == 409:
                result = await story.call("rhea", "POST", f"{REQUESTS}/{id}/result")
                await asyncio.sleep(0.01)

    assert (approved.status_code, approved.json()["status"]) == (200, "APPROVED")
    assert approved.json()["operation"] == "/keys/rotate", "the path as it was given"
    assert (early.status_code, early.text) == (409, "There is no result to fetch")
    assert result.json() == {"status": 200, "body": {"rotated": True}}


async def test_approval_resets_the_expiry_to_a_full_period(story: Story) -> None:
    made = await story.ask()
    story.clock.passes(days=10)
    for who in ("ana", "ben"):
        await story.approve(who, made["request_id"])

    shown = await story.read("rhea", made["request_id"])

    assert at(shown["expiry"]) == story.clock.at.replace(microsecond=0) + timedelta(days=30)


async def test_one_denial_by_any_reviewer_ends_it(story: Story) -> None:
    id = (await story.ask())["request_id"]
    await story.approve("ana", id)

    denied = await story.deny("signer", id, {"reason": "not in May"})

    assert denied.status_code == 200
    assert denied.json()["status"] == "DENIED"
    assert denied.json()["denier"] == {"app": str(story.ids["signer"])}
    assert denied.json()["denial_reason"] == "not in May"
    assert denied.json()["approvers"] == [{"user": str(story.ids["ana"])}]


async def test_a_denial_without_a_reason_keeps_none(story: Story) -> None:
    bodies: tuple[Any, ...] = (None, {}, {"reason": ""}, {"reason": None})

    for body in bodies:
        id = (await story.ask())["request_id"]
        assert (await story.deny("ana", id, body)).json()["denial_reason"] is None, body


async def test_a_requester_who_is_a_reviewer_may_deny_and_not_approve(story: Story) -> None:
    id = (await story.ask("ana"))["request_id"]

    approval = await story.approve("ana", id)
    denial = await story.deny("ana", id)

    assert (approval.status_code, denial.status_code) == (403, 200)
    assert denial.json()["denier"] == {"user": str(story.ids["ana"])}


async def test_a_tenant_may_let_requesters_who_are_reviewers_approve(story: Story) -> None:
    await story.apply(settings={"selfApproval": True})
    id = (await story.ask("ana"))["request_id"]

    assert (await story.approve("ana", id)).status_code == 200


async def test_what_came_with_an_approval_stands_in_the_audit_log(story: Story) -> None:
    id = (await story.ask())["request_id"]
    await story.approve("ana", id, {"body": {"ticket": ["T-1", None]}})

    log = (await story.call("rita", "GET", f"/api/v1/audit/events?resourceId={id}")).json()["data"]

    [decided] = [one for one in log["events"] if one["action"] == "approval.decided"]
    assert decided["details"]["attached"] == {"ticket": ["T-1", None]}


async def test_expired_it_is_gone(story: Story) -> None:
    id = (await story.ask())["request_id"]
    story.clock.passes(days=30)

    for who in ("rhea", "ana", "rita"):
        assert (await story.call(who, "GET", f"{REQUESTS}/{id}")).status_code == 404
        assert await story.listed(who) == []
    assert (await story.approve("ana", id)).status_code == 404


async def test_expired_but_retained_it_is_shown_and_nothing_can_be_done_with_it(story: Story) -> None:
    await story.apply(settings={"retainExpiredRequests": True})
    made = await story.ask()
    id = made["request_id"]
    story.clock.passes(days=30)

    shown = await story.read("ana", id)

    assert (shown["status"], shown["expiry"]) == ("PENDING", made["expiry"])
    assert await story.listed("rhea", "?status=PENDING") == [id]
    assert (await story.approve("ana", id)).status_code == 409
    assert (await story.deny("ana", id)).status_code == 409
    assert (await story.call("rhea", "POST", f"{REQUESTS}/{id}/result")).status_code == 409


async def test_a_result_can_be_fetched_until_its_expiry(story: Story) -> None:
    id = await approved(story)
    story.clock.passes(days=29, hours=23)
    assert (await story.call("rhea", "POST", f"{REQUESTS}/{id}/result")).status_code == 200

    story.clock.passes(hours=1)

    assert (await story.call("rhea", "POST", f"{REQUESTS}/{id}/result")).status_code == 404


async def test_where_access_is_rechecked_a_result_is_kept_from_who_could_not_ask_for_it_now(story: Story) -> None:
    id = await approved(story)
    result = f"{REQUESTS}/{id}/result"
    await story.apply(settings={"recheckAccessForResults": True})

    async def rename(old: str, new: str) -> None:
        sql = "UPDATE operation SET path = $3 WHERE tenant_id = $1 AND path = $2"
        await change(story.owner, story.tenant, sql, old, new)

    await rename("crypto/v1/sign", "crypto/v1/gone")
    refused = await story.call("rhea", "POST", result)
    unseen = (await story.read("rhea", id))["result_viewed"]
    await rename("crypto/v1/gone", "crypto/v1/sign")
    again = await story.call("rhea", "POST", result)

    assert refused.status_code == 403
    assert refused.text == "You may no longer ask for this operation, so its result is not for you"
    assert unseen is False
    assert (again.status_code, again.json()["status"]) == (200, 200)


async def test_the_requester_deletes_it_in_any_state_and_the_audit_log_keeps_it(story: Story) -> None:
    pending, done = (await story.ask())["request_id"], await approved(story)

    for id in (pending, done):
        answer = await story.call("rhea", "DELETE", f"{REQUESTS}/{id}")
        assert (answer.status_code, answer.content) == (204, b"")
        for who in ("rhea", "ana", "rita"):
            assert (await story.call(who, "GET", f"{REQUESTS}/{id}")).status_code == 404
        assert (await story.call("rhea", "DELETE", f"{REQUESTS}/{id}")).status_code == 404
        assert (await story.approve("ana", id)).status_code == 404
        log = (await story.call("rita", "GET", f"/api/v1/audit/events?resourceId={id}")).json()["data"]
        assert "workflow_instance.discarded" in [one["action"] for one in log["events"]]
    assert await story.listed("rhea") == []


async def test_each_post_is_a_request_of_its_own(story: Story) -> None:
    ids = [(await story.ask())["request_id"] for _ in range(2)]

    assert len(set(ids)) == 2


async def test_the_approval_of_somebody_suspended_does_not_count(story: Story) -> None:
    id = (await story.ask())["request_id"]
    await story.approve("ana", id)
    await story.apply(users=[story.user("ana", status="suspended")])

    assert (await story.approve("ben", id)).json()["status"] == "PENDING"
    assert (await story.approve("signer", id)).json()["status"] == "APPROVED"
