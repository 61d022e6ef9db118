"""Native contract b.8, `evidence`: what a step may demand of whoever approves."""

from typing import Any

import pytest

from quorate.app.verify.jwk import base64url
from quorate.store.database import Database
from tests.app.directory import PASSWORD
from tests.authenticator import RP_ID
from tests.surfaces.native.step_up import a_passkey, takes_keys
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


@pytest.mark.parametrize(("kind", "given"), [("webauthn", {"id": "AAAA"}), ("totp", "123456")])
async def test_a_factor_nobody_registered_is_refused_and_not_passed_over(story: Story, kind: str, given: Any) -> None:
    await story.workflow()
    path = f"/approvals/{await story.task('ana', (await story.request())['id'])}/decide"

    answer = await story.call("ana", "POST", path, APPROVE | {"evidence": {kind: given, "password": PASSWORD}})

    assert error(answer) == (403, "FORBIDDEN")
    assert [one["field"] for one in answer.json()["error"]["details"]] == [f"evidence.{kind}"]
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


async def test_a_security_key_signs_what_the_server_asks_and_the_decision_counts(
    story: Story, owner: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await takes_keys(story, owner)
    key = await a_passkey(story, "ana")
    await story.workflow(demanding({"user": "@ana"}, requireSecondFactor=True, requirePassword=True))
    request = (await story.request())["id"]
    path = f"/approvals/{await story.task('ana', request)}"
    asked = await story.post("ana", f"{path}/challenge")
    assertion = key.sign(base64url(asked["challenge"]))

    with caplog.at_level("DEBUG"):
        decided = await story.post(
            "ana", f"{path}/decide", APPROVE | {"evidence": {"password": PASSWORD, "webauthn": assertion}}
        )
        events = await story.call("ada", "GET", f"/audit/resources/access_request/{request}/history")
        wrong = await story.call("ana", "POST", f"{path}/decide", APPROVE | {"evidence": {"webauthn": assertion}})

    assert decided["accessRequestStatus"] == "approved"
    assert asked["rpId"] == RP_ID
    assert asked["allowCredentials"] == [{"id": key.public["id"], "type": "public-key"}]
    assert '"showedSecondFactor":true' in events.text
    rows = await everything_written(story)
    for secret in (PASSWORD, *assertion["response"].values()):
        for told in (rows, str(decided), events.text, wrong.text, caplog.text):
            assert secret not in told


@pytest.mark.parametrize("who", ["ben", "rhea", "olu", "ada"])
async def test_nobody_but_an_approver_is_asked_to_sign(story: Story, owner: Database, who: str) -> None:
    await takes_keys(story, owner)
    for one in ("ben", "rhea", "ada"):
        await a_passkey(story, one)
    await story.workflow()
    request = (await story.request())["id"]
    task = await story.task("ana", request)

    told = [error(await story.call(who, "POST", f"/approvals/{id}/challenge")) for id in (task, request, "nothing")]

    assert told == [(404, "RESOURCE_NOT_FOUND")] * 3


async def test_an_administrator_signs_before_settling_a_step(story: Story, owner: Database) -> None:
    await takes_keys(story, owner)
    key = await a_passkey(story, "ada")
    await story.workflow(demanding({"user": "@ana"}, requireSecondFactor=True))
    path = f"/access-requests/{(await story.request())['id']}"

    assert error(await story.call("ada", "POST", f"{path}/approve")) == (403, "FORBIDDEN")
    asked = await story.post("ada", f"{path}/challenge")
    await story.post("ada", f"{path}/approve", {"evidence": {"webauthn": key.sign(base64url(asked["challenge"]))}})


async def test_after_five_wrong_ones_the_answer_is_locked_for_a_while(story: Story) -> None:
    await story.workflow(demanding({"user": "@ana"}, requirePassword=True))
    path = f"/approvals/{await story.task('ana', (await story.request())['id'])}/decide"
    for _ in range(5):
        wrong = await story.call("ana", "POST", path, APPROVE | {"evidence": {"password": "wrong"}})
        assert error(wrong) == (403, "FORBIDDEN")

    locked = await story.call("ana", "POST", path, APPROVE | {"evidence": {"password": PASSWORD}})

    assert error(locked) == (429, "RATE_LIMIT_EXCEEDED")
    assert locked.headers["retry-after"] == "300"


async def test_an_administrator_who_was_wrong_five_times_waits_as_long_before_settling_a_step(story: Story) -> None:
    await story.workflow(demanding({"user": "@ana"}, requirePassword=True))
    path = f"/access-requests/{(await story.request())['id']}/approve"
    for _ in range(5):
        wrong = await story.call("ada", "POST", path, {"evidence": {"password": "wrong"}})
        assert error(wrong) == (403, "FORBIDDEN")
    story.clock.passes(minutes=2)

    locked = await story.call("ada", "POST", path, {"evidence": {"password": PASSWORD}})

    assert error(locked) == (429, "RATE_LIMIT_EXCEEDED")
    assert locked.headers["retry-after"] == "180"
    story.clock.passes(minutes=3)
    await story.post("ada", path, {"evidence": {"password": PASSWORD}})


async def everything_written(story: Story) -> str:
    """Read all that history, tasks, requests and messages hold of the tenant."""
    tables = ("event", "request", "task", "replay", "outbox", "credential", "wrong_try", "challenge")
    async with story.db.tx([story.tenant]) as tx:
        found = [
            await tx.all(f"SELECT t::text AS it FROM {one} t WHERE tenant_id = $1", story.tenant) for one in tables
        ]
    return "".join(row["it"] for rows in found for row in rows)


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
