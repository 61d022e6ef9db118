"""The list: whose it is, what it is narrowed down to, and its pages. Source: Britive contract §2, §5."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from quorate.app.asking import AskAccess
from quorate.app.batch import lapse_due
from quorate.app.commands import Door
from quorate.app.orders import Order
from tests.surfaces.britive.story import PROD, SERVER, TEST, V1, Brit, error


def ids(found: list[Any]) -> list[str]:
    return [one["requestId"] for one in found]


@pytest.fixture
async def several(brit: Brit) -> dict[str, str]:
    """Requests in every state, by the state; made in this order, a minute apart."""
    made: dict[str, Any] = {}
    for state, who, thing in (
        ("TIMEOUT", "rhea", PROD),
        ("GRANTED", "ben", PROD),
        ("REVOKED", "ben", TEST),
        ("REJECTED", "cyd", PROD),
        ("CANCELLED", "cyd", TEST),
        ("APPROVED", "mona", PROD),
        ("PENDING", "mona", TEST),
    ):
        made[state] = await brit.ask(who, thing, justification=f"for {state}")
        id = made[state]["requestId"]
        if state in ("GRANTED", "REVOKED", "APPROVED"):
            await brit.decided("ana", id)
        if state == "REVOKED":
            await brit.decided("ada", id, "revoke")
        if state == "REJECTED":
            await brit.decided("ana", id, "no")
        if state == "CANCELLED":
            assert (await brit.call("cyd", "DELETE", f"{V1}/{id}")).status_code == 204
        brit.clock.passes(minutes=25 if state == "CANCELLED" else 1)
    return {state: one["requestId"] for state, one in made.items()}


async def test_whose_list_it_is(brit: Brit, several: dict[str, str]) -> None:
    every = list(reversed(several.values()))

    assert ids(await brit.listed("rita")) == every
    for noticed in (False, True):
        if noticed:
            await lapse_due(brit.story.db, brit.story.tenant, "request", brit.clock, uuid4, 100)
        assert ids(await brit.listed("ana", "requestType=myApprovals")) == every
        one = f"{V1}/{several['TIMEOUT']}?requestType=myApprovals"
        assert (await brit.get("ana", one))["status"] == "TIMEOUT"
    assert ids(await brit.listed("ana", "requestType=myRequests")) == []
    assert ids(await brit.listed("ben", "requestType=myRequests")) == [several["REVOKED"], several["GRANTED"]]
    assert ids(await brit.listed("ben", "requestType=%20myRequests%20")) == [several["REVOKED"], several["GRANTED"]]
    assert ids(await brit.listed("ben", "requestType=myApprovals")) == []
    assert ids(await brit.listed("olu")) == []
    assert error(await brit.call("ben", "GET", V1)) == (403, "PE-0002")


async def test_states_are_those_of_now(brit: Brit, several: dict[str, str]) -> None:
    listed = {one["requestId"]: one for one in await brit.listed("rita")}
    shown = {state: listed[id]["status"] for state, id in several.items()}

    assert shown == {one: one for one in several} | {"GRANTED": "TIMEOUT"}
    assert "actionBy" not in listed[several["TIMEOUT"]]
    assert listed[several["GRANTED"]]["actionBy"] == "ana@acme.example"
    assert listed[several["PENDING"]] == await brit.read(several["PENDING"], "mona")


async def test_a_list_is_narrowed_down(brit: Brit, several: dict[str, str]) -> None:
    server = (await brit.ask("rhea", SERVER))["requestId"]
    tracking = (await brit.read(server))["trackingId"]
    everything = {*several.values(), server}
    timeouts = {several["TIMEOUT"], several["GRANTED"]}
    open_ones = {several["PENDING"], server}

    async def found(query: str) -> set[str]:
        return set(ids(await brit.listed("rita", query)))

    for query, wanted in {
        "status eq PENDING": open_ones,
        "status eq PENDING, TIMEOUT": open_ones | timeouts,
        "status eq pending": open_ones,
        "status eq APPROVED": {several["APPROVED"]},
        "status eq REVOKED": {several["REVOKED"]},
        "status eq REJECTED": {several["REJECTED"]},
        "status eq CANCELLED": {several["CANCELLED"]},
        "status eq NOTHING": set(),
        "status co ED": {several[one] for one in ("APPROVED", "REVOKED", "REJECTED", "CANCELLED")},
        "userId eq ben@acme.example": {several["GRANTED"], several["REVOKED"]},
        "userId co BEN": {several["GRANTED"], several["REVOKED"]},
        f"resource eq {TEST}": {several[one] for one in ("REVOKED", "CANCELLED", "PENDING")},
        "resource co admin/": {*several.values()},
        "resourceName eq billing:admin": {*several.values()},
        "resourceName eq Server 1": {server},
        "consumer eq resourceprofile": {server},
        "consumer eq papservice": {*several.values()},
        "consumer co p": everything,
        "consumer eq secretmanager": set(),
        "action eq resource.profile.checkout": {server},
        "action co papservice": {*several.values()},
        f"trackingId eq {tracking}": {server},
        "trackingId co req-": everything,
        "justification eq for PENDING": {several["PENDING"]},
        "justification co 'for '": {*several.values()},
        "justification co for and status eq PENDING": {several["PENDING"]},
    }.items():
        assert await found(f"filter={query}") == wanted, query
    assert await found("consumer=resourceprofile") == {server}
    assert await found("consumer=nothing") == set()
    assert await found("activeStatus=active") == {several["APPROVED"]}
    assert await found("activeStatus=inactive") == everything - {several["APPROVED"]}
    assert await found("activeStatus=all&filter=status eq APPROVED&unknown=1") == {several["APPROVED"]}
    brit.clock.passes(days=2)
    assert await found("createdWithinDays=2") == {server}
    assert await found("createdWithinDays=3") == everything


async def test_a_bad_query_is_refused(brit: Brit) -> None:
    for query in (
        "requestType=theirs",
        "requestType=myapprovals",
        "filter=status ne PENDING",
        "filter=x",
        "pageToken=x",
        "activeStatus=maybe",
        "createdWithinDays=0",
        "createdWithinDays=x",
    ):
        assert error(await brit.call("rita", "GET", f"{V1}?{query}")) == (400, "E1003"), query


async def test_pages_are_followed_by_absolute_links_and_belong_to_one_caller_and_question(brit: Brit) -> None:
    door = Door(brit.story.db, brit.clock, uuid4)
    await brit.story.workflow()
    asked = AskAccess("role", str(brit.story.auditors), "x", refuses_duplicates=False)
    for _ in range(51):
        await door.take(Order(uuid4(), brit.story.tenant, brit.ids["rhea"], asked))
        brit.clock.passes(milliseconds=1)
    await door.close()

    first = await brit.get("rhea", f"{V1}/?requestType=myRequests&activeStatus=all")
    link = first["pagination"]["next"]
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path) == ("http", "quorate.test", f"/api{V1}/")
    assert parse_qs(parts.query)["requestType"] == ["myRequests"]
    path = link.removeprefix("http://quorate.test/api")
    second = await brit.get("rhea", f"{path}&requestType=myRequests")  # The SDK sends its parameters once more.

    assert [len(first["result"]), len(second["result"])] == [50, 1]
    assert second["pagination"] == {"next": ""}
    assert len({*ids(first["result"]), *ids(second["result"])}) == 51
    created = [one["createdAt"] for one in first["result"] + second["result"]]
    assert created == sorted(created, reverse=True)
    assert error(await brit.call("ana", "GET", path)) == (400, "E1003")
    assert error(await brit.call("olu", "GET", path)) == (400, "E1003")
    token = parse_qs(parts.query)["pageToken"][0]
    for changed in (f"{token}x", token[:-2], token[::-1], ""):
        answer = await brit.call("rhea", "GET", f"{V1}?requestType=myRequests&pageToken={changed}")
        assert answer.status_code == (400 if changed else 200), changed
    other = await brit.call("rhea", "GET", f"{V1}?requestType=myRequests&filter=status eq PENDING&pageToken={token}")
    assert error(other) == (400, "E1003")
