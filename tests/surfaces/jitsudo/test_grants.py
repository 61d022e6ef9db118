"""Grants, ensured access and broken glass. Source: JITSudo contract b.6, (c); (d) 24, 25, 27."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.surfaces.jitsudo.story import ACCOUNT, Jit, error

TARGET = f"AWS::Account::{ACCOUNT['id']}"
GRANT = {
    "id",
    "request_id",
    "grantee_id",
    "resource",
    "action",
    "status",
    "expires_at",
    "granted_at",
    "revoked_at",
    "metadata",
    "created_at",
    "updated_at",
}


async def granted(jit: Jit, who: str = "rhea", **more: Any) -> Any:
    made = await jit.ask(who, **more)
    assert (await jit.decided("ana" if who != "ana" else "ben", made))[0] == 200
    [grant] = [one for one in (await jit.get(who, "/grants"))["data"] if one["request_id"] == made["id"]]
    return grant


async def test_an_approval_gives_a_grant_that_ends_by_itself(jit: Jit) -> None:
    grant = await granted(jit, action="read", duration_seconds=60, metadata={"ticket": 7})

    assert set(grant) == GRANT
    assert (grant["resource"], grant["action"], grant["status"]) == (ACCOUNT, "read", "active")
    assert (grant["grantee_id"], grant["revoked_at"]) == (str(jit.ids["rhea"]), None)
    assert await jit.get("rhea", f"/grants/{grant['id']}") == grant
    jit.clock.at += timedelta(seconds=60)
    shown = await jit.get("rhea", f"/grants/{grant['id']}")
    assert (shown["status"], shown["updated_at"]) == ("expired", grant["expires_at"])
    assert [one["id"] for one in (await jit.get("rhea", "/grants?status=expired"))["data"]] == [grant["id"]]
    assert (await jit.get("rhea", "/grants?status=active"))["data"] == []


async def test_a_grant_is_given_back_or_taken_away(jit: Jit) -> None:
    for who in ("rhea", "ada"):
        grant = await granted(jit)
        assert error(await jit.call("ben", "DELETE", f"/grants/{grant['id']}")) == (403, "forbidden")
        answer = await jit.call(who, "DELETE", f"/grants/{grant['id']}")
        assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
        assert answer.json()["revoked_at"]
        assert error(await jit.call(who, "DELETE", f"/grants/{grant['id']}")) == (409, "conflict")
    for who in ("rhea", "ada"):
        for id in (uuid4(), "x"):
            for method in ("GET", "DELETE"):
                assert error(await jit.call(who, method, f"/grants/{id}")) == (404, "not_found")


async def test_who_may_see_which_grants_page_by_page(jit: Jit) -> None:
    mine = [await granted(jit) for _ in range(3)]
    theirs = await granted(jit, "mona")
    jit.clock.at += timedelta(seconds=1)
    latest = await granted(jit)

    seen: list[str] = []
    path = "/grants?limit=2"
    while path:
        page = await jit.get("rita", path)
        seen += [one["id"] for one in page["data"]]
        path = f"/grants?limit=2&cursor={page['next_cursor']}" if page["has_more"] else ""
    assert seen[0] == latest["id"]
    assert sorted(seen) == sorted(one["id"] for one in (*mine, theirs, latest))
    assert len((await jit.get("rhea", "/grants"))["data"]) == 4
    assert (await jit.get("rhea", f"/grants?grantee_id={jit.ids['mona']}"))["data"] == []
    assert [one["id"] for one in (await jit.get("rita", f"/grants?grantee_id={jit.ids['mona']}"))["data"]] == [
        theirs["id"]
    ]
    assert (await jit.get("rita", "/grants?grantee_id=nobody"))["data"] == []
    assert error(await jit.call("mona", "GET", f"/grants/{latest['id']}")) == (403, "forbidden")


async def ensured(jit: Jit, **more: Any) -> Any:
    body = {"entitlements": [{"target": TARGET, "role": "ReadOnly", "duration_seconds": 600}]} | more
    [item] = (await jit.post("rhea", "/access/ensure", body))["grants"]
    return item


async def test_what_is_ensured_is_asked_for_once_and_then_there(jit: Jit) -> None:
    why = {"reason": "The quarter ends", "attachments": ["OPS-7"]}
    tried = await ensured(jit, dry_run=True, justification=why)
    assert (tried["change"], tried["status"], tried["access_request_id"]) == ("requested", "pending", None)
    assert (await jit.get("rhea", "/requests"))["data"] == []

    asked = await ensured(jit, justification=why)
    assert (asked["change"], asked["status"], asked["approved"]) == ("requested", "pending", False)
    assert asked["validation"] == {"has_reason": True, "has_ticket_attachment": True}
    id = asked["access_request_id"]
    request = await jit.get("rhea", f"/requests/{id}")
    assert (request["action"], request["resource"], request["reason"]) == ("ReadOnly", ACCOUNT, "The quarter ends")
    assert (await ensured(jit))["access_request_id"] == id
    assert await jit.get("rhea", f"/access/requests/{id}") == {"id": id, "status": "pending", "grants": []}

    await jit.decided("ana", request)
    there = await ensured(jit)
    assert (there["change"], there["status"], there["approved"]) == ("none", "active", True)
    assert (there["name"], there["provisioning_status"]) == ("ReadOnly", "successful")
    [given] = (await jit.get("rhea", f"/access/requests/{id}"))["grants"]
    assert (given["id"], given["status"], given["expires_at"]) == (there["id"], "active", there["expires_at"])
    assert len((await jit.get("rhea", "/requests"))["data"]) == 1


async def test_what_a_policy_settles_is_ensured_or_refused_at_once_each_by_itself(jit: Jit) -> None:
    auto = '@approval_mode("auto") permit(principal, action == Action::"ReadOnly", resource);'
    await jit.policy(
        "auto", auto + '@notice("Never") forbid(principal, action == Action::"Root", resource);', priority=5
    )
    entitlements = [{"target": TARGET, "role": role} for role in ("Root", "ReadOnly", "Other")]

    for dry_run in (True, False):
        body = {"entitlements": entitlements, "dry_run": dry_run}
        items = (await jit.post("rhea", "/access/ensure", body))["grants"]
        assert [one["change"] for one in items] == ["none", "activated", "requested"]
        assert [one["approved"] for one in items] == [False, True, False]
        assert (items[0]["status"], items[0]["provisioning_status"]) == ("revoked", "failed")
        assert items[0]["diagnostics"] == ["Never"]


async def test_ensuring_what_is_not_valid_is_400(jit: Jit) -> None:
    good = {"target": TARGET, "role": "ReadOnly"}
    wrong: list[dict[str, Any]] = [
        {},
        {"entitlements": []},
        {"entitlements": [{"role": "x"}]},
        {"entitlements": [good | {"target": "AWS::Bucket::x"}]},
        {"entitlements": [good | {"duration_seconds": 0}]},
        {"entitlements": [good], "dry_run": "no"},
    ]
    for body in wrong:
        assert error(await jit.call("rhea", "POST", "/access/ensure", body)) == (400, "invalid_input")
    assert error(await jit.call("mona", "GET", f"/access/requests/{uuid4()}")) == (404, "not_found")
    made = await jit.ask()
    assert error(await jit.call("mona", "GET", f"/access/requests/{made['id']}")) == (403, "forbidden")


async def test_broken_glass_gives_access_at_once_whatever_policies_say_and_is_reviewed(jit: Jit) -> None:
    await jit.policy("never", "forbid(principal, action, resource);", priority=9)
    glass = {"resource": ACCOUNT, "action": "admin", "break_glass": True, "reason": "The site is down"}
    assert error(await jit.call("rhea", "POST", "/requests", glass)) == (403, "forbidden")
    await jit.settings(b'{"breakGlass": {"enabled": true, "maxSeconds": 600}}')

    made = await jit.post("rhea", "/requests", glass, 201)

    assert (made["status"], made["approval_mode"], made["break_glass"]) == ("approved", "break_glass", True)
    assert (made["decided_by"], made["reason"], made["duration_seconds"]) == ("system", "The site is down", 600)
    assert made["decision_reasoning"]
    [grant] = (await jit.get("rhea", "/grants"))["data"]
    assert (grant["status"], grant["action"]) == ("active", "admin")
    assert error(await jit.call("ana", "POST", f"/requests/{made['id']}/deny")) == (409, "conflict")
    [review] = (await jit.story.get("ada", "/approvals/pending"))["approvals"]
    await jit.story.post("ada", f"/approvals/{review['id']}/decide", {"decision": "reject", "note": "No need"})
    assert (await jit.get("rhea", f"/grants/{grant['id']}"))["status"] == "revoked"


@pytest.mark.parametrize("change", [{"duration_seconds": 601}, {"resource": {"type": "k8s", "id": "x"}}])
async def test_the_glass_is_not_broken_for_longer_or_for_other_things_than_the_tenant_says(
    jit: Jit, change: dict[str, Any]
) -> None:
    await jit.settings(b'{"breakGlass": {"enabled": true, "maxSeconds": 600}, "jitsudo": {"resourceTypes": ["k8s"]}}')

    answer = await jit.call(
        "rhea", "POST", "/requests", {"resource": ACCOUNT, "action": "x", "break_glass": True} | change
    )

    assert error(answer) == (403, "forbidden")


async def test_a_tenant_whose_review_waits_for_a_day_breaks_no_more_glass(jit: Jit) -> None:
    await jit.settings(b'{"breakGlass": {"enabled": true}}')
    await jit.ask(break_glass=True)
    jit.clock.at += timedelta(days=1, seconds=1)

    answer = await jit.call("rhea", "POST", "/requests", {"resource": ACCOUNT, "action": "x", "break_glass": True})

    assert error(answer) == (403, "forbidden")
    assert (await jit.ask("mona", break_glass=True))["status"] == "approved"
