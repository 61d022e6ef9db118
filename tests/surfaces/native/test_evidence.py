"""Native contract b.8, `evidence`: what a step may demand of whoever approves."""

from typing import Any

import pytest

from quorate.store.database import Database
from tests.app.directory import PASSWORD
from tests.surfaces.native.story import Story, error

APPROVE, REJECT = {"decision": "approve"}, {"decision": "reject"}


def demanding(*members: dict[str, Any], **demands: bool) -> dict[str, Any]:
    """A step that wants evidence."""
    return {"order": 1, "name": "Sure", "quorum": {"n": 1, "members": list(members), **demands}}


async def test_an_approval_that_demands_a_password_takes_only_the_right_one(story: Story) -> None:
    await story.workflow(demanding({"user": "@ana"}, requirePassword=True))
    made = (await story.request())["id"]
    path = f"/approvals/{await story.task('ana', made)}/decide"

    for evidence in (None, {}, {"password": "wrong"}, {"password": None}):
        answer = await story.call("ana", "POST", path, APPROVE | {"evidence": evidence})
        assert error(answer) == (403, "FORBIDDEN"), evidence
        assert [one["field"] for one in answer.json()["error"]["details"]] == ["evidence.password"]
    decided = await story.post("ana", path, APPROVE | {"evidence": {"password": PASSWORD}})
    assert decided["accessRequestStatus"] == "approved"


async def test_rejecting_demands_no_evidence(story: Story) -> None:
    await story.workflow(demanding({"user": "@ana"}, requirePassword=True))
    path = f"/approvals/{await story.task('ana', (await story.request())['id'])}/decide"

    assert (await story.post("ana", path, REJECT))["accessRequestStatus"] == "rejected"


@pytest.mark.parametrize("kind", ["webauthn", "totp"])
async def test_evidence_we_cannot_check_is_refused_and_not_passed_over(story: Story, kind: str) -> None:
    await story.workflow()
    path = f"/approvals/{await story.task('ana', (await story.request())['id'])}/decide"

    answer = await story.call("ana", "POST", path, APPROVE | {"evidence": {kind: "123456", "password": PASSWORD}})

    assert error(answer) == (403, "FORBIDDEN")
    assert answer.json()["error"]["details"][0]["field"] == "evidence.webauthn"
    assert (await story.get("ana", "/approvals/pending"))["total"] == 1


async def test_a_stranger_with_evidence_learns_nothing(story: Story) -> None:
    await story.workflow(demanding({"user": "@ana"}, requirePassword=True))
    task = await story.task("ana", (await story.request())["id"])

    for who in ("ben", "olu", "rhea"):
        for evidence in ({"password": "wrong"}, {"password": PASSWORD}, {"totp": "1"}):
            answer = await story.call(who, "POST", f"/approvals/{task}/decide", APPROVE | {"evidence": evidence})
            assert error(answer) == (404, "RESOURCE_NOT_FOUND")


async def test_an_administrator_shows_the_evidence_a_step_demands_too(story: Story) -> None:
    await story.workflow(demanding({"user": "@ana"}, requirePassword=True))
    path = f"/access-requests/{(await story.request())['id']}/approve"

    for body in (b"", {"evidence": {"password": "wrong"}}):
        assert error(await story.call("ada", "POST", path, body)) == (403, "FORBIDDEN")
    assert (await story.call("ada", "POST", path, {"evidence": {"password": PASSWORD}})).status_code == 200


async def test_a_second_factor_that_a_step_demands_is_named_in_the_refusal(story: Story) -> None:
    await story.workflow(demanding({"user": "@ana"}, requireSecondFactor=True))
    path = f"/approvals/{await story.task('ana', (await story.request())['id'])}/decide"

    answer = await story.call("ana", "POST", path, APPROVE | {"evidence": {"password": PASSWORD}})

    assert error(answer) == (403, "FORBIDDEN")
    assert [one["field"] for one in answer.json()["error"]["details"]] == ["evidence.webauthn"]


async def test_a_repeated_decision_with_one_key_gets_the_first_answer_and_keeps_no_trace_of_the_password(
    story: Story, db: Database
) -> None:
    await story.workflow(demanding({"user": "@ana"}, requirePassword=True))
    path = f"/approvals/{await story.task('ana', (await story.request())['id'])}/decide"
    key = {"Idempotency-Key": "k"}

    async def decide(password: str) -> tuple[int, str | None]:
        body = APPROVE | {"evidence": {"password": password}}
        answer = await story.call("ana", "POST", path, body, headers=key)
        return answer.status_code, answer.headers.get("idempotency-replayed")

    assert await decide("wrong") == (403, None)
    assert await decide(PASSWORD) == (200, None)
    # The hash of what was said does not depend on it: nobody can try passwords against the table.
    assert await decide("wrong") == (200, "true")
    async with db.tx([story.tenant]) as tx:
        kept = await tx.all("SELECT answer FROM replay WHERE tenant_id = $1", story.tenant)
    assert len(kept) == 1
    assert PASSWORD.encode() not in kept[0]["answer"]
