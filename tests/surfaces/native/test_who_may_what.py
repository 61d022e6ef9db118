"""Every route of the table, called by everybody who may not: nothing is told, and nothing changes.

`RULES` says, from the contract and not from the table of routes, who may call what. A route that no rule knows
fails the first test.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from quorate.domain.permissions import (
    ADMIN,
    AUDIT_READ,
    DIRECTORY_READ,
    DIRECTORY_WRITE,
    GRANT_REVOKE,
    KEY_WRITE,
    KNOWN,
    WEBHOOK_WRITE,
    WORKFLOW_READ,
    WORKFLOW_WRITE,
)
from quorate.store.database import Database
from quorate.surfaces.http.surface import Route, Who
from tests.app.directory import a_key, a_user, change
from tests.surfaces.native import everything
from tests.surfaces.native.everything import ROUTES, Things, body, changed, filled, masked, name, ours_in, queries
from tests.surfaces.native.story import Story


@dataclass(frozen=True)
class Anyone:
    """Open to all the world."""


@dataclass(frozen=True)
class Everybody:
    """Whoever is signed in; it concerns the caller alone, or the use case decides by what is asked."""


@dataclass(frozen=True)
class Holds:
    """Holders of any one of the permissions, and nobody else."""

    permissions: tuple[str, ...]


@dataclass(frozen=True)
class Own:
    """Whom it concerns (their own account, request, task …), and holders of any one of the permissions."""

    permissions: tuple[str, ...] = ()


Rule = Anyone | Everybody | Holds | Own

POLICY_WRITE = "policy:write"

# Method and path, whole, as regular expressions; the first that fits counts.
RULES: tuple[tuple[str, str, Rule], ...] = (
    ("POST", "/auth/(login|refresh|mfa)", Anyone()),
    ("POST", "/auth/logout", Everybody()),
    ("GET", "/users/me(/factors)?", Everybody()),
    ("POST", "/users/me/passkeys/{id}/remove", Own()),
    ("POST", "/users/me/.*", Everybody()),
    ("GET", "/workflows.*", Holds((WORKFLOW_READ,))),
    (".*", "/workflows.*", Holds((WORKFLOW_WRITE,))),
    ("GET", "/workflow-instances", Holds((WORKFLOW_READ,))),
    ("GET", "/workflow-instances/{id}(/executions)?", Own((WORKFLOW_READ,))),
    ("POST", "/workflow-instances/{id}/cancel", Holds((WORKFLOW_WRITE,))),
    ("GET", "/access-requests/my-requests", Everybody()),
    ("GET", "/access-requests(/pending-approvals)?", Holds((WORKFLOW_READ,))),
    ("POST", "/access-requests", Everybody()),
    ("GET|POST", "/access-requests/{id}(/approvers|/comments)?", Own((WORKFLOW_READ,))),
    ("POST", "/access-requests/{id}/(approve|challenge|reject)", Holds((WORKFLOW_WRITE,))),
    ("POST", "/access-requests/{id}/cancel", Own((WORKFLOW_WRITE,))),
    ("GET", "/approvals/pending", Everybody()),
    ("POST", "/approvals/{id}/(decide|challenge)", Own()),
    ("POST", "/approvals/{id}/reassign", Own((WORKFLOW_WRITE,))),
    ("POST", "/operations", Everybody()),
    ("GET", "/operations/{id}", Own((WORKFLOW_READ,))),
    ("POST", "/operations/{id}/cancel", Own((WORKFLOW_WRITE,))),
    ("GET", "/grants", Everybody()),
    ("GET", "/grants/{id}", Own((WORKFLOW_READ,))),
    ("POST", "/grants/{id}/revoke", Own((GRANT_REVOKE,))),
    ("GET", "/users/{id}/access", Own((WORKFLOW_READ,))),
    (".*", "/(users|services)/{id}/keys.*", Own((KEY_WRITE,))),
    ("GET", "/users/{id}", Own((DIRECTORY_READ,))),
    ("GET", "/(users|services|roles|groups|resources|permissions)(/.*)?", Holds((DIRECTORY_READ,))),
    (".*", "/(users|services|roles|groups|resources)(/.*)?", Holds((DIRECTORY_WRITE,))),
    ("GET|POST", "/delegations", Everybody()),
    ("DELETE", "/delegations/{id}", Own((WORKFLOW_WRITE,))),
    ("GET", "/audit/me/.*", Everybody()),
    ("GET", "/audit/.*", Holds((AUDIT_READ,))),
    (".*", "/webhooks.*", Holds((WEBHOOK_WRITE,))),
    (".*", "/identity-provider", Holds((ADMIN,))),
    ("GET", "/policies(/{id})?", Holds((WORKFLOW_READ, POLICY_WRITE))),
    ("POST", "/policies/evaluate", Own((POLICY_WRITE,))),
    (".*", "/policies.*", Holds((POLICY_WRITE,))),
)
# Everybody may send these, and they do something: what they refuse is the matter of their own tests.
DO_SOMETHING = {
    "POST /access-requests",
    "POST /operations",
    "POST /delegations",
    "POST /auth/logout",
    *(name(route) for route in ROUTES if route.path.startswith("/users/me/") and route.method == "POST"),
}


def rule(route: Route[Any]) -> Rule | None:
    for method, path, found in RULES:
        if re.fullmatch(method, route.method) and re.fullmatch(
            path.replace("{", r"\{").replace("}", r"\}"), route.path
        ):
            return found
    return None


every_route = pytest.mark.parametrize("route", ROUTES, ids=name)
CLOSED = [route for route in ROUTES if not isinstance(rule(route), Anyone)]


@every_route
def test_every_route_has_a_rule_and_the_table_says_the_same(route: Route[Any]) -> None:
    match rule(route):
        case None:
            pytest.fail(f"{name(route)}: say who may call it, in RULES of tests/surfaces/native/test_who_may_what.py")
        case Anyone():
            assert route.who is Who.ANYONE
        case Holds((permission,)):
            assert route.who == permission
            assert permission in KNOWN
        case Everybody() | Own() | Holds():
            assert route.who is Who.SIGNED_IN


def test_every_rule_is_of_some_route() -> None:
    used = {id(rule(route)) for route in ROUTES}

    assert [path for _, path, one in RULES if id(one) not in used] == []


def test_a_route_without_a_rule_is_noticed() -> None:
    assert rule(Route(method="GET", path="/secrets", handler=_nothing, summary="")) is None
    assert rule(Route(method="POST", path="/grants/{id}/share", handler=_nothing, summary="")) is None


async def _nothing(_: Any) -> Any:
    raise AssertionError


# What an answer may be, by who calls. A body that does not fit is told after the permission and before existence.
HIDDEN = frozenset({403, 404})
ABSENT = frozenset({404})
EMPTY = frozenset({200, 404})
LISTS_OF_ONE = {"GET /audit/resources/{type}/{id}/history"}  # What is not has no history: an empty list.


async def test_a_stranger_is_let_in_nowhere(story: Story, unfenced: Database) -> None:
    things = await filled(story, unfenced)
    before = await everything.snapshot(unfenced, story.tenant)
    wrong = []

    odd = ["garbage", "Bearer", "Bearer garbage", f"Basic {'x' * 30}", f"Bearer qk_{uuid4().hex}_{'0' * 43}"]
    for route in CLOSED:
        for path in things.paths(route):
            wrong += await _tried(story, things, route, path, _as(None, story), lambda code: code == 401)
        for credential in odd:
            headers = {"Authorization": credential}
            path = things.path(route)
            wrong += await _tried(story, things, route, path, _as(None, story, headers), lambda code: code == 401)

    assert not wrong, "\n".join(wrong)
    assert changed(before, await everything.snapshot(unfenced, story.tenant)) == {}


async def test_the_open_routes_tell_a_stranger_nothing(story: Story, unfenced: Database) -> None:
    things = await filled(story, unfenced)
    before = await everything.snapshot(unfenced, story.tenant)
    tenants: list[dict[str, str]] = [{}, {"X-Tenant-ID": str(story.tenant)}, {"X-Tenant-ID": str(uuid4())}]

    for route in (one for one in ROUTES if one not in CLOSED):
        for headers in tenants:
            sent = body(route, story) | {"password": "a guess"}
            answer = await story.call(None, route.method, route.path, sent, headers=headers)
            assert answer.status_code in (401, 404), answer.text
            assert ours_in(answer.text, things, story) == []

    left = changed(before, await everything.snapshot(unfenced, story.tenant))
    assert {table: [json.loads(row)["type"] for row in rows] for table, rows in left.items()} == {
        "event": ["auth.failed"]  # That somebody guessed at Ana's password.
    }


async def test_an_outsider_finds_nothing_of_ours_and_cannot_tell_it_from_what_is_not(
    story: Story, unfenced: Database
) -> None:
    things = await filled(story, unfenced)
    before = await everything.snapshot(unfenced, story.tenant)
    wrong = []

    # Reading first: what an outsider has written names what the calls named.
    for route in sorted(CLOSED, key=lambda one: one.method != "GET"):
        for path in things.paths(route):
            call = _as("olu", story)
            if "{" not in route.path:
                ours = path + queries(route, story)
                wrong += await _tried(story, things, route, ours, call, lambda code: code < 500 and code != 401)
                continue
            right = EMPTY if name(route) in LISTS_OF_ONE else ABSENT
            wrong += await _tried(story, things, route, path, call, right.__contains__)
            other = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", lambda _: str(uuid4()), path)
            there, nowhere = await call(route, path), await call(route, other)
            if (there.status_code, masked(there.text)) != (nowhere.status_code, masked(nowhere.text)):
                wrong.append(f"{name(route)}: {there.text} but of what is not: {nowhere.text}")
        stolen = _as("olu", story, {"X-Tenant-ID": str(story.tenant)})
        wrong += await _tried(story, things, route, things.path(route), stolen, lambda code: code == 403)

    assert not wrong, "\n".join(wrong)
    assert changed(before, await everything.snapshot(unfenced, story.tenant)) == {}


async def test_a_suspended_administrator_may_do_nothing(story: Story, unfenced: Database) -> None:
    things = await filled(story, unfenced)
    await _somebody(story, "sue", [ADMIN], status="suspended")
    before = await everything.snapshot(unfenced, story.tenant)
    wrong = []

    for route in CLOSED:
        for path in things.paths(route):
            wrong += await _tried(story, things, route, path, _as("sue", story), lambda code: code == 401)

    assert not wrong, "\n".join(wrong)
    assert changed(before, await everything.snapshot(unfenced, story.tenant)) == {}


async def test_a_plain_user_sees_and_touches_only_what_is_theirs(story: Story, unfenced: Database) -> None:
    things = await filled(story, unfenced)
    await _somebody(story, "pia", [])
    before = await everything.snapshot(unfenced, story.tenant)

    wrong = [problem for route in CLOSED for problem in await _denied(story, things, route, "pia", rule(route))]

    assert not wrong, "\n".join(wrong)
    assert changed(before, await everything.snapshot(unfenced, story.tenant)) == {}


async def test_all_other_permissions_do_not_stand_in_for_the_one_that_is_needed(
    story: Story, unfenced: Database
) -> None:
    things = await filled(story, unfenced)
    for missing in {found.permissions for _, _, found in RULES if isinstance(found, Holds | Own)}:
        await _somebody(story, f"all but {missing}", sorted(KNOWN - {*missing, ADMIN}))
    before = await everything.snapshot(unfenced, story.tenant)
    wrong: list[str] = []

    for route in CLOSED:
        match rule(route):
            case Holds(missing) | Own(missing) as found:
                wrong += await _denied(story, things, route, f"all but {missing}", found)
            case _:
                continue

    assert not wrong, "\n".join(wrong)
    assert changed(before, await everything.snapshot(unfenced, story.tenant)) == {}


async def test_the_one_permission_that_is_needed_is_enough(story: Story, unfenced: Database) -> None:
    await filled(story, unfenced)
    wrong: list[str] = []
    for permission in KNOWN:
        await _somebody(story, f"only {permission}", [permission])

    for route in CLOSED:
        match rule(route):
            case Holds(permissions) | Own(permissions):
                path = re.sub(r"{\w+}", lambda _: str(uuid4()), route.path)
                for who in (f"only {permission}" for permission in (*permissions, ADMIN) if permissions):
                    answer = await story.call(who, route.method, path)
                    if answer.status_code not in ((400, 404) if "{" in path or route.body else (200, 404)):
                        wrong.append(f"{name(route)} as {who}: {answer.status_code} {answer.text}")
            case _:
                continue

    assert not wrong, "\n".join(wrong)


async def _denied(story: Story, things: Things, route: Route[Any], who: str, found: Rule | None) -> Iterable[str]:
    """Call a route as somebody who may not; say what was wrong with the answers."""
    call, wrong = _as(who, story), []
    for path in things.paths(route):
        match found:
            case Holds():
                wrong += await _tried(story, things, route, path, call, lambda code: code == 403)
            case Own():
                wrong += await _tried(story, things, route, path, call, lambda code: code in HIDDEN)
            case _ if name(route) not in DO_SOMETHING:
                ours = path + queries(route, story)
                wrong += await _tried(story, things, route, ours, call, lambda code: code == 200, tells_of=who)
            case _:
                continue
    return wrong


Calling = Callable[[Route[Any], str], Any]


def _as(who: str | None, story: Story, headers: dict[str, str] | None = None) -> Calling:
    async def call(route: Route[Any], path: str) -> httpx.Response:
        return await story.call(who, route.method, path, body(route, story), headers=headers)

    return call


async def _tried(
    story: Story,
    things: Things,
    route: Route[Any],
    path: str,
    call: Calling,
    right: Callable[[int], bool],
    tells_of: str = "",
) -> list[str]:
    """Call a route; say what is wrong with the answer: its status, or what it gives away."""
    answer = await call(route, path)
    wrong = [] if right(answer.status_code) else [f"{answer.status_code} {answer.text[:200]}"]
    own = f"{story.ids[tells_of]} {story.tenant}" if tells_of else ""
    sent = f"{path} {body(route, story)} {own}"
    wrong += [f"gives away {word}: {answer.text[:300]}" for word in ours_in(answer.text, things, story, sent)]
    return [f"{name(route)} at {path}: {one}" for one in wrong]


async def _somebody(story: Story, who: str, permissions: list[str], status: str = "active") -> None:
    """Bring one more person into the story's tenant, with a role of their own and a key."""
    roles = [(f"role of {who}", permissions)] if permissions else []
    story.ids[who] = await a_user(
        story.db, story.tenant, f"{uuid4()}@x.example", roles=roles, status=status, password_hash="-"
    )
    await change(
        story.db, story.tenant, "UPDATE principal SET name = $3 WHERE tenant_id = $1 AND id = $2", story.ids[who], who
    )
    _, key = await a_key(story.db, story.tenant, story.ids[who])
    story.callers[who] = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=story.origin),
        base_url="http://quorate.test",
        headers={"Authorization": f"Bearer {key}"},
    )
