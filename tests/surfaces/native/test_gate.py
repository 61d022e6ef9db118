"""What is told of signing in, in the audit log and to webhooks: native contract b.7, its rows Audit and Webhooks."""

import json
from typing import Any

import pytest

from tests.app.directory import PASSWORD
from tests.surfaces.native.story import Story, error
from tests.surfaces.native.test_audit import KEYS, actions, events
from tests.surfaces.native.test_evidence import APPROVE, demanding
from tests.surfaces.native.test_factors import MINE, an_app, halfway, now, show

AGENT = "curl/8.9 (a laptop)"


async def login(story: Story, who: str = "ana", password: str = PASSWORD, agent: str | None = AGENT) -> Any:
    headers = {"X-Tenant-ID": str(story.tenant)} | ({"User-Agent": agent} if agent is not None else {})
    body = {"email": f"{who}@acme.example", "password": password}
    return await story.call(None, "POST", "/auth/login", body, headers=headers)


async def told(story: Story, action: str) -> list[Any]:
    return await events(story, f"&action={action}")


async def test_signing_in_and_out_is_told_with_who_from_where_and_by_which_program(story: Story) -> None:
    token = (await login(story)).json()["data"]["accessToken"]
    out = await story.call(
        None, "POST", "/auth/logout", headers={"Authorization": f"Bearer {token}", "User-Agent": AGENT}
    )
    assert out.status_code == 200

    left, came = await events(story, f"&resourceType=user&resourceId={story.ids['ana']}")
    assert set(came) == KEYS | {"userAgent"}
    shown = {key: came[key] for key in ("action", "userId", "userEmail", "resourceId", "status", "userAgent")}
    assert shown == {
        "action": "auth.signed_in",
        "userId": str(story.ids["ana"]),
        "userEmail": "ana@acme.example",
        "resourceId": str(story.ids["ana"]),
        "status": "success",
        "userAgent": AGENT,
    }
    assert came["details"] == {"surface": "native", "userId": str(story.ids["ana"])}
    assert (left["action"], left["userId"], left["userAgent"]) == ("auth.signed_out", str(story.ids["ana"]), AGENT)
    assert came == await story.get("ada", f"/audit/events/{came['id']}")
    mine = await story.get("ana", "/audit/me/activity")
    assert [one["action"] for one in mine["events"]] == ["auth.signed_out", "auth.signed_in"]
    assert await events(story, who="olu") == []


async def test_a_wrong_password_is_a_failure_of_nobody_known(story: Story) -> None:
    assert error(await login(story, password="not hers")) == (401, "INVALID_CREDENTIALS")

    [failed] = await events(story, "&status=failure")
    assert set(failed) == (KEYS | {"userAgent"}) - {"userId", "userEmail"}
    assert (failed["action"], failed["resourceType"], failed["resourceId"]) == (
        "auth.failed",
        "user",
        str(story.ids["ana"]),
    )
    assert failed["details"] == {"surface": "native", "userId": str(story.ids["ana"]), "why": "password"}


@pytest.mark.parametrize(("status", "why", "code"), [("suspended", "suspended", 403), ("inactive", "inactive", 403)])
async def test_that_an_account_may_not_come_in_is_told(story: Story, status: str, why: str, code: int) -> None:
    async with story.db.tx([story.tenant]) as tx:
        await tx.run("UPDATE principal SET status = $2 WHERE id = $1", story.ids["ana"], status)

    assert (await login(story)).status_code == code

    assert [one["details"]["why"] for one in await told(story, "auth.failed")] == [why]
    assert await told(story, "auth.signed_in") == []


async def test_a_login_that_does_not_exist_leaves_no_trace_in_history(story: Story) -> None:
    for _ in range(7):
        await login(story, "password-typed-by-mistake")

    assert await events(story) == []
    async with story.db.tx([story.tenant]) as tx:
        assert await tx.all("SELECT 1 FROM event WHERE tenant_id = $1", story.tenant) == []


async def test_a_flood_of_failures_becomes_six_events_and_no_more(story: Story) -> None:
    for _ in range(40):
        await login(story, password="not hers")

    assert await actions(story) == [*(5 * ["auth.failed"]), "security.lockout"]
    [locked] = await told(story, "security.lockout")
    until = locked["details"].pop("endsAt")
    assert until > locked["timestamp"]
    assert locked["details"] == {
        "surface": "native",
        "userId": str(story.ids["ana"]),
        "lockedOutOf": "sign-in",
    }
    assert (locked["status"], locked["resourceId"]) == ("failure", str(story.ids["ana"]))


async def test_a_second_step_is_told_when_it_is_over_and_not_halfway(story: Story) -> None:
    secret, _ = await an_app(story)
    before = len(await events(story))
    token = (await halfway(story))["mfaToken"]
    assert len(await events(story)) == before
    wrong = "000000" if now(story, secret) != "000000" else "111111"
    assert (await show(story, token, code=wrong)).status_code == 401
    assert (await show(story, token, code=wrong)).status_code == 401  # It was used up: no try at all.
    assert (await show(story, (await halfway(story))["mfaToken"], code=now(story, secret))).status_code == 200

    assert (await actions(story))[before:] == ["auth.failed", "auth.signed_in"]
    [failed] = await told(story, "auth.failed")
    assert failed["details"]["why"] == "second-factor"


async def test_a_lockout_of_evidence_is_told_and_its_single_failures_are_not(story: Story) -> None:
    await story.workflow(demanding({"user": "@ana"}, requirePassword=True))
    path = f"/approvals/{await story.task('ana', (await story.request())['id'])}/decide"
    for _ in range(7):
        wrong = APPROVE | {"evidence": {"password": "not hers"}}
        await story.call("ana", "POST", path, wrong, headers={"User-Agent": AGENT})

    [locked] = await told(story, "security.lockout")
    assert (locked["details"]["lockedOutOf"], locked["userAgent"]) == ("evidence", AGENT)
    assert await told(story, "auth.failed") == []
    assert await told(story, "approval.decided") == []


async def test_registering_and_removing_a_factor_say_which_program_did_it_and_other_changes_do_not(
    story: Story,
) -> None:
    await an_app(story)
    await story.call("ana", "POST", "/users/me/totp/remove", MINE, headers={"User-Agent": AGENT})
    await story.post("ada", "/groups", {"name": "Ops"}, 201)

    [registered] = await told(story, "factor.registered")
    [removed] = await told(story, "factor.removed")
    assert registered["userAgent"].startswith("python-httpx/")
    assert (removed["userAgent"], "userAgent" in removed["details"]) == (AGENT, False)
    assert "userAgent" not in (await told(story, "group.created"))[0]


@pytest.mark.parametrize(
    ("agent", "kept"),
    [("x" * 2_000, "x" * 512), ("", None), ("a\tb\x7fc", "a b c")],
    ids=["long", "empty", "control characters"],
)
async def test_what_a_program_says_it_is_is_kept_short_and_plain(story: Story, agent: str, kept: str | None) -> None:
    assert (await login(story, agent=agent)).status_code == 200

    [came] = await told(story, "auth.signed_in")
    assert came.get("userAgent") == kept


async def test_webhooks_hear_of_the_gate_by_id_alone(story: Story) -> None:
    hook = {"name": "SIEM", "url": "https://siem.example/hook", "events": ["auth.*", "security.lockout"]}
    made = await story.post("ada", "/webhooks", hook, 201)
    await login(story)
    for _ in range(6):
        await login(story, password="not hers")
    await login(story, "nobody")

    async with story.db.tx([story.tenant]) as tx:
        rows = await tx.all("SELECT event_type, body FROM outbox WHERE tenant_id = $1", story.tenant)
    by_name = {row["event_type"]: json.loads(row["body"]) for row in rows}
    assert sorted(row["event_type"] for row in rows) == [*(5 * ["auth.failed"]), "auth.signed_in", "security.lockout"]
    ana = str(story.ids["ana"])
    assert by_name["auth.signed_in"]["data"] == {
        "subject": {"kind": "login", "id": ana},
        "actorId": ana,
        "details": {"userId": ana},
    }
    assert by_name["auth.failed"]["data"] == {
        "subject": {"kind": "login", "id": ana},
        "actorId": None,
        "details": {"userId": ana},
    }
    assert by_name["security.lockout"]["data"]["details"].keys() == {"userId", "lockedOutOf", "endsAt"}
    assert b"siem" not in b"".join(row["body"] for row in rows)
    assert (await story.get("ada", f"/webhooks/{made['id']}/deliveries"))["total"] == 7
