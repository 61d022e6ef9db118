"""The audit log. Source: JITSudo contract b.7; (d) 37."""

from datetime import timedelta

import pytest

from tests.surfaces.jitsudo.story import ACCOUNT, Jit, error


async def test_the_audit_log_tells_what_happened_in_the_contracts_words(jit: Jit) -> None:
    await jit.settings(b'{"breakGlass": {"enabled": true}}')
    key = await jit.api_key()
    first = await jit.ask(duration_seconds=60)
    await jit.decided(key["id"], first, body={"reasoning": "Agreed"})
    second = await jit.ask()
    await jit.decided("ana", second, "deny", {"reasoning": "No"})
    third = await jit.ask()
    await jit.post("rhea", f"/requests/{third['id']}/cancel")
    glass = await jit.ask(break_glass=True)
    [grant] = [one for one in (await jit.get("rhea", "/grants"))["data"] if one["request_id"] == first["id"]]
    await jit.call("ada", "DELETE", f"/grants/{grant['id']}")

    async def told(query: str) -> list[tuple[str, str, str]]:
        page = await jit.get("ada", f"/audit-log?{query}")
        return [(one["action"], one["actor_type"], one["resource_id"]) for one in page["data"]]

    assert await told("action=request.approved") == [("request.approved", "api_key", first["id"])]
    [entry] = (await jit.get("ada", "/audit-log?action=request.approved"))["data"]
    assert set(entry) == {
        "id",
        "actor_id",
        "actor_type",
        "action",
        "resource_type",
        "resource_id",
        "metadata",
        "reasoning",
        "created_at",
    }
    assert (entry["actor_id"], entry["reasoning"]) == (f"api_key:{key['id']}", "Agreed")
    assert entry["resource_type"] == "request"
    assert await told("action=request.denied") == [("request.denied", "user", second["id"])]
    assert await told("action=request.cancelled") == [("request.cancelled", "user", third["id"])]
    assert await told("action=request.break_glass") == [("request.break_glass", "user", glass["id"])]
    assert len(await told("action=request.created")) == 4
    assert await told("action=grant.revoked") == [("grant.revoked", "user", grant["id"])]
    assert len(await told("action=grant.created&resource_type=grant")) == 2
    assert [one[0] for one in await told("resource_type=policy")] == ["policy.created"]
    assert {one[1] for one in await told(f"actor_id=api_key:{key['id']}")} == {"api_key"}
    assert await told("actor_id=nobody") == []
    assert await told("resource_id=nobody") == []
    about = [one[0] for one in await told(f"resource_type=request&resource_id={first['id']}")]
    assert about[0] == "request.approved"
    assert about[-1] == "request.created"


async def test_what_time_ended_is_in_the_audit_log_as_of_its_own_moment(jit: Jit) -> None:
    await jit.policy("hasty", "permit(principal, action, resource);", priority=5, approval_timeout_seconds=60)
    made = await jit.ask()
    late = jit.clock.at + timedelta(seconds=60)
    jit.clock.at += timedelta(hours=1)
    assert error(await jit.call("ana", "POST", f"/requests/{made['id']}/approve")) == (409, "conflict")

    [entry] = (await jit.get("ada", "/audit-log?action=request.expired"))["data"]

    assert (entry["resource_id"], entry["actor_type"], entry["actor_id"]) == (made["id"], "system", "system")
    assert entry["created_at"] == late.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_the_audit_log_goes_by_pages_and_spans(jit: Jit) -> None:
    for _ in range(3):
        await jit.ask()
    first = jit.clock.at
    jit.clock.at += timedelta(hours=1)
    late = await jit.ask()
    seen: list[str] = []
    path = "/audit-log?limit=2&action=request.created"
    while path:
        page = await jit.get("ada", path)
        seen += [one["id"] for one in page["data"]]
        path = f"/audit-log?limit=2&action=request.created&cursor={page['next_cursor']}" if page["has_more"] else ""
    assert len(set(seen)) == len(seen) == 4
    span = (first + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    page = await jit.get("ada", f"/audit-log?action=request.created&from={span}")
    assert [one["resource_id"] for one in page["data"]] == [late["id"]]
    assert len((await jit.get("ada", f"/audit-log?action=request.created&to={span}"))["data"]) == 3
    for query in ("from=yesterday", "to=2026-01-01", "limit=0", "cursor=x"):
        assert error(await jit.call("ada", "GET", f"/audit-log?{query}")) == (400, "invalid_input")


@pytest.mark.parametrize(
    ("name", "text"), [("from", "0001-01-01T00:00:00%2B14:00"), ("to", "9999-12-31T23:59:59-14:00")]
)
async def test_a_moment_that_nothing_can_keep_is_bad_input(jit: Jit, name: str, text: str) -> None:
    answer = await jit.call("ada", "GET", f"/audit-log?{name}={text}")

    assert error(answer) == (400, "invalid_input")


async def test_the_audit_log_is_for_auditors_of_this_tenant(jit: Jit) -> None:
    await jit.ask()
    for who in ("rhea", "ana", "rita"):
        assert error(await jit.call(who, "GET", "/audit-log")) == (403, "forbidden")
    theirs = await jit.call("olu", "GET", "/audit-log?limit=250")
    assert theirs.status_code == 200
    assert str(jit.ids["rhea"]) not in theirs.text
    assert ACCOUNT["id"] not in theirs.text
