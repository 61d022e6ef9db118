"""Every route is documented in full, and every example in the document is one that works."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from quorate.app.verify.jwk import base64url
from quorate.store.database import Database
from quorate.surfaces.http.openapi import document
from quorate.surfaces.http.surface import Route, Who
from quorate.surfaces.native import examples
from quorate.surfaces.native.api import surface
from tests.authenticator import Authenticator
from tests.surfaces.native.everything import ROUTES, body, filled, name
from tests.surfaces.native.operating import protect
from tests.surfaces.native.step_up import a_passkey, takes_keys
from tests.surfaces.native.story import Story, by
from tests.surfaces.native.test_factors import MINE, an_app, from_base32, halfway, now

DOCUMENT = document(surface(None))  # type: ignore[arg-type]  # Nobody is called.
every_route = pytest.mark.parametrize("route", ROUTES, ids=name)
WITH_BODIES = [route for route in ROUTES if route.body is not None]


def operation(route: Route[Any]) -> Any:
    return DOCUMENT["paths"][f"/api/v1{route.path}"][route.method.lower()]


@every_route
def test_a_route_says_what_it_does_and_what_can_go_wrong(route: Route[Any]) -> None:
    said = operation(route)

    assert re.fullmatch(r"[A-Z][^.]{3,99}", said["summary"]), said["summary"]
    assert [len(tag) > 2 for tag in said["tags"]] == [True]
    statuses = set(said["responses"])
    assert {status for status in statuses if status < "300"} == {str(route.status)}
    if route.who is not Who.ANYONE:
        assert {"401", "403"} <= statuses
        assert said["security"] == [{"bearer": []}]
    if isinstance(route.who, str):
        assert said["x-permission"] == route.who
    if route.body is not None or route.query is not None:
        assert "400" in statuses
    if "{" in route.path and name(route) != "GET /audit/resources/{type}/{id}/history":  # No history is a history.
        assert "404" in statuses
    for response in said["responses"].values():
        assert response["description"]
        assert response["content"]["application/json"]["schema"]


def test_operation_ids_are_all_different_and_fit_to_be_names_of_functions() -> None:
    ids = [operation(route)["operationId"] for route in ROUTES]

    assert len(set(ids)) == len(ids)
    assert [id for id in ids if not re.fullmatch(r"(get|post|put|delete)([A-Z][a-z]+)+", id)] == []


@pytest.mark.parametrize("route", WITH_BODIES, ids=name)
def test_a_body_is_shown_by_an_example(route: Route[Any]) -> None:
    [content] = operation(route)["requestBody"]["content"].values()

    assert "example" in content, f"add one for {route.body.__name__} to surfaces/native/examples.py"
    assert content["example"] == examples.EXAMPLES[route.body.__name__]


def test_every_example_is_of_some_body() -> None:
    assert set(examples.EXAMPLES) == {route.body.__name__ for route in WITH_BODIES}


@pytest.mark.parametrize(
    ("header", "right", "wrong"),
    [
        ("If-Match", ['"a"', 'W/"a"', "*", '"a" , W/"b"'], ["", "a", '"a', '"a" b']),
        ("Idempotency-Key", ["a", "a b", "k" * 255, "~"], ["", " ", "ä", "a\tb"]),
    ],
)
def test_a_header_is_described_as_strictly_as_it_is_read(header: str, right: list[str], wrong: list[str]) -> None:
    found = [
        parameter["schema"]["pattern"]
        for route in ROUTES
        for parameter in operation(route).get("parameters", ())
        if parameter["name"] == header
    ]

    assert len(found) > 3
    [pattern] = set(found)
    assert [value for value in right if not re.search(pattern, value)] == []
    assert [value for value in wrong if re.search(pattern, value)] == []


@pytest.mark.parametrize("value", ["", "a", '"a'])
async def test_a_header_that_does_not_fit_its_description_is_refused(value: str, story: Story) -> None:
    answer = await story.call("ada", "DELETE", f"/policies/{story.tenant}", headers={"If-Match": value})

    assert answer.status_code == 400
    assert "400" in DOCUMENT["paths"]["/api/v1/policies/{id}"]["delete"]["responses"]


Way = Callable[[Story], Awaitable[tuple[str | None, str, dict[str, str]]]]
Fresh = tuple[str | None, str, dict[str, Any]]


async def _login(story: Story) -> tuple[str | None, str, dict[str, str]]:
    return None, "/auth/login", {"X-Tenant-ID": str(story.tenant)}


async def _decide(story: Story) -> tuple[str | None, str, dict[str, str]]:
    return "ana", f"/approvals/{await _fresh_task(story)}/decide", {}


async def _reassign(story: Story) -> tuple[str | None, str, dict[str, str]]:
    return "ana", f"/approvals/{await _fresh_task(story)}/reassign", {}


async def _cancel(story: Story) -> tuple[str | None, str, dict[str, str]]:
    return "rhea", f"/access-requests/{await _fresh_request(story)}/cancel", {}


async def _approve(story: Story) -> tuple[str | None, str, dict[str, str]]:
    return "ada", f"/access-requests/{await _fresh_request(story)}/approve", {}


async def _reject(story: Story) -> tuple[str | None, str, dict[str, str]]:
    return "ada", f"/access-requests/{await _fresh_request(story)}/reject", {}


async def _delegate(story: Story) -> tuple[str | None, str, dict[str, str]]:
    return "ana", "/delegations", {}


async def _ask(story: Story) -> tuple[str | None, str, dict[str, str]]:
    await story.workflow(by("ana"))
    return "rhea", "/access-requests", {}


async def _operate(story: Story) -> tuple[str | None, str, dict[str, str]]:
    await protect(story, "POST", "/api/v1/users/{id}/roles")
    return "ada", "/operations", {}


# How to call a route so that its example works, where "as Ada, with one of what is there" does not do.
WAYS: dict[str, Way] = {
    "POST /auth/login": _login,
    "POST /access-requests": _ask,
    "POST /operations": _operate,
    "POST /access-requests/{id}/approve": _approve,
    "POST /access-requests/{id}/reject": _reject,
    "POST /access-requests/{id}/cancel": _cancel,
    "POST /approvals/{id}/decide": _decide,
    "POST /approvals/{id}/reassign": _reassign,
    "POST /delegations": _delegate,
}


async def _mfa(story: Story) -> Fresh:
    secret, _ = await an_app(story)
    return None, "/auth/mfa", {"mfaToken": (await halfway(story))["mfaToken"], "code": now(story, secret)}


async def _begin_passkey(story: Story) -> Fresh:
    return "ana", "/users/me/passkeys/begin", {}


async def _passkey(story: Story) -> Fresh:
    options = await story.post("ana", "/users/me/passkeys/begin", MINE)
    return "ana", "/users/me/passkeys", {"credential": Authenticator().make(base64url(options["challenge"]))}


async def _remove_passkey(story: Story) -> Fresh:
    await a_passkey(story, "ana")
    [mine] = (await story.get("ana", "/users/me/factors"))["passkeys"]
    return "ana", f"/users/me/passkeys/{mine['id']}/remove", {}


async def _app(story: Story) -> Fresh:
    begun = await story.post("ana", "/users/me/totp/begin", MINE)
    return "ana", "/users/me/totp", {"code": now(story, from_base32(begun["secret"]))}


async def _remove_app(story: Story) -> Fresh:
    await an_app(story)
    return "ana", "/users/me/totp/remove", {}


async def _codes(story: Story) -> Fresh:
    await an_app(story)
    return "ana", "/users/me/recovery-codes", {}


# Where an example holds what is right for one moment only, with what is right now.
NOW: dict[str, Callable[[Story], Awaitable[Fresh]]] = {
    "POST /auth/mfa": _mfa,
    "POST /users/me/passkeys/begin": _begin_passkey,
    "POST /users/me/passkeys": _passkey,
    "POST /users/me/passkeys/{id}/remove": _remove_passkey,
    "POST /users/me/totp": _app,
    "POST /users/me/totp/remove": _remove_app,
    "POST /users/me/recovery-codes": _codes,
}


@pytest.mark.parametrize("route", WITH_BODIES, ids=name)
async def test_an_example_works(route: Route[Any], story: Story, owner: Database, unfenced: Database) -> None:
    sent = body(route, story)
    headers: dict[str, str] = {}
    if name(route) in NOW:
        await takes_keys(story, owner)
        who, path, fresh = await NOW[name(route)](story)
        assert fresh.keys() <= sent.keys()
        sent = sent | fresh
    elif name(route) in WAYS:
        who, path, headers = await WAYS[name(route)](story)
    else:
        who, path = "ada", (await filled(story, unfenced)).path(route)
    if name(route) == "POST /auth/refresh":
        login = {"email": "ana@acme.example", "password": examples.EXAMPLES["Login"]["password"]}
        opened = await story.call(None, "POST", "/auth/login", login, headers={"X-Tenant-ID": str(story.tenant)})
        sent = {"refreshToken": opened.json()["data"]["refreshToken"]}
        for token in (sent["refreshToken"], examples.REFRESH_TOKEN):
            assert re.fullmatch(r"qr_[0-9a-f]{32}_[0-9a-f]{32}_[\w-]{43}", token)

    answer = await story.call(who, route.method, path, sent, headers=headers)

    assert answer.status_code == route.status, answer.text


async def _fresh_request(story: Story) -> str:
    await story.workflow(by("ana"))
    return str((await story.request())["id"])


async def _fresh_task(story: Story) -> str:
    return await story.task("ana", await _fresh_request(story))
