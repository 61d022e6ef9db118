"""A role for one hour, in a real server on a real data directory: up, killed, down when the hour ends, and up again."""

import json
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from quorate.store.embedded import attach_or_start
from tests.commands.program import ran
from tests.commands.test_serving import call, served, stopped
from tests.receiver import Receiver, receiving
from tests.store.embedded_world import eventually, postmaster, serving, serving_as

HOUR = timedelta(hours=1)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "data"
    yield place
    assert serving(place) == set()


async def test_a_role_for_an_hour_counts_at_once_outlives_the_server_and_ends_while_it_is_down(data: Path) -> None:
    async with receiving() as receiver:
        async with served(data, "--allow-private-targets") as (program, url):
            boss = json.loads((await ran("init", "--data", data, "--tenant", "acme", "--json")).out)["apiKey"]
            rhea, key, role = await company(url, boss, receiver)
            assert await may(url, key) is False

            asked: dict[str, Any] = {"resourceType": "role", "resourceId": role, "justification": "The quarter ends"}
            asked |= {"duration": {"value": 1, "unit": "hours"}}
            request = (await call(url, "/api/v1/access-requests", asked, key=key))["data"]["id"]
            [task] = (await call(url, "/api/v1/approvals/pending", key=boss))["data"]["approvals"]
            await call(url, f"/api/v1/approvals/{task['id']}/decide", {"decision": "approve"}, key=boss)

            assert await may(url, key) is True
            [grant] = (await call(url, "/api/v1/grants", key=key))["data"]["grants"]
            assert (grant["requestId"], grant["status"]) == (request, "active")
            assert moment(grant["endsAt"]) - moment(grant["startsAt"]) == HOUR
            await eventually(lambda: told(receiver) == ["grant.active"])
            postgres = postmaster(data)
            program.send(signal.SIGKILL)
            await program.ended()
            await eventually(lambda: not serving_as(postgres))

        async with served(data, "--allow-private-targets") as (program, url):
            assert await may(url, key) is True
            [access] = (await call(url, f"/api/v1/users/{rhea}/access", key=key))["data"]["access"]
            assert (access["resourceId"], access["grants"], access["standing"]) == (role, [grant["id"]], False)
            await stopped(program)

        await an_hour_passes(data)
        async with served(data, "--allow-private-targets") as (program, url):
            assert await may(url, key) is False
            assert (await call(url, f"/api/v1/users/{rhea}/access", key=key))["data"]["access"] == []
            [ended] = (await call(url, "/api/v1/grants", key=key))["data"]["grants"]
            assert (ended["id"], ended["status"]) == (grant["id"], "expired")
            assert ended["endsAt"] == grant["startsAt"]  # An hour before what it was.
            await eventually(lambda: told(receiver) == ["grant.active", "grant.expired"])
            await stopped(program)

    message = receiver.got[-1].said
    assert message["data"]["subject"]["id"] == grant["id"]
    assert moment(message["timestamp"]).replace(microsecond=0) == moment(ended["endsAt"])
    async with attach_or_start(data) as dsn:
        database = await asyncpg.connect(dsn)
        happened = await database.fetch("SELECT type, at FROM event WHERE subject_kind = 'grant' ORDER BY seq")
        [end] = [row["ends_at"] for row in await database.fetch("SELECT ends_at FROM access_grant")]
        owed = await database.fetch("SELECT 1 FROM outbox WHERE event_type = 'grant.expired'")
        await database.close()
    assert [row["type"] for row in happened] == ["Granted", "GrantExpired"]
    assert happened[-1]["at"] == end
    assert len(owed) == 1


async def company(url: str, boss: str, receiver: Receiver) -> tuple[str, str, str]:
    """Make Rhea, a role that lets her read the audit log once the administrator agrees, and a webhook.

    Answers her id, her key and the role's id.
    """

    async def made(path: str, body: dict[str, Any]) -> Any:
        return (await call(url, f"/api/v1{path}", body, key=boss))["data"]

    me = (await call(url, "/api/v1/users/me", key=boss))["data"]["id"]
    rhea = (await made("/users", {"email": "rhea@acme.example", "firstName": "Rhea", "familyName": "Ott"}))["id"]
    key = (await made(f"/users/{rhea}/keys", {"name": "k"}))["secret"]
    role = (await made("/roles", {"name": "auditors", "permissions": ["audit:read"]}))["id"]
    step = {"order": 1, "name": "Boss", "approverType": "user", "approverValue": me}
    workflow = await made("/workflows", {"name": "W", "steps": [step]})
    await made(f"/workflows/{workflow['id']}/activate", {})
    await made("/webhooks", {"name": "desk", "url": receiver.url(), "events": ["grant.*"]})
    return rhea, key, role


async def may(url: str, key: str) -> bool:
    """Say whether the role's permission counts."""
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=20) as http:
        answer = await http.get("/api/v1/audit/events")
    assert answer.status_code in (200, 403), answer.text
    return answer.is_success


def told(receiver: Receiver) -> list[str]:
    return [one.said["type"] for one in receiver.got]


async def an_hour_passes(data: Path) -> None:
    """Make all that the database knows of grants an hour older, while the server is down."""
    async with attach_or_start(data) as dsn:
        database = await asyncpg.connect(dsn)
        await database.execute(
            "UPDATE access_grant SET starts_at = starts_at - $1::interval, ends_at = ends_at - $1", HOUR
        )
        moved = await database.execute("UPDATE timer SET due_at = due_at - $1::interval WHERE kind = 'grant'", HOUR)
        await database.close()
    assert moved == "UPDATE 1"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
