"""Whatever is sent, the answer is one of ours, and what is refused has changed nothing."""

import json
import random
from typing import Any
from uuid import uuid4

import pytest

from quorate.store.database import Database
from quorate.surfaces.native.api import surface
from tests.surfaces.native.story import Story, by, error

_TABLE = surface(None).routes  # type: ignore[arg-type]  # Nobody is called.
ROUTES = [(route.method, route.path) for route in _TABLE]
BODILESS = {(route.method, route.path) for route in _TABLE if route.body is None}
WRITES = [(method, path) for method, path in ROUTES if method in ("POST", "PUT") and "auth" not in path]
_ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    2**80,
    1.5,
    1e400,
    "",
    " ",
    "x",
    "x" * 5000,
    "\ud800",
    "a\0b",
    "é😀",
    [],
    [[]],
    {},
    {"n": {}},
]


async def state(story: Story, db: Database) -> list[tuple[Any, ...]]:
    """Count what there is of everything a call could make or change."""
    async with db.tx([story.tenant]) as tx:
        rows = await tx.all(
            """SELECT 'workflow' AS what, count(*), max(updated_at) FROM workflow WHERE tenant_id = $1
               UNION ALL SELECT 'request', count(*), max(updated_at) FROM request WHERE tenant_id = $1
               UNION ALL SELECT 'event', count(*), max(at) FROM event WHERE tenant_id = $1""",
            story.tenant,
        )
    return [tuple(row.values()) for row in rows]


def filled(path: str, story: Story, request: str, workflow: str, task: str) -> str:
    id = task if path.startswith("/approvals") else workflow if path.startswith("/workflows") else request
    return path.replace("{id}", id)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"[]",
        b"7",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"a": 1,}',
        b"{'a': 1}",
        b"[" * 100 + b"]" * 100,
        b'{"justification": "' + b"x" * 1_100_000 + b'"}',
    ],
    ids=lambda body: str(body[:12]),
)
async def test_what_is_no_object_is_400_on_every_route_and_changes_nothing(
    story: Story, db: Database, body: bytes
) -> None:
    workflow = await story.workflow(by("ana"))
    request = (await story.request())["id"]
    task = await story.task("ana", request)
    before = await state(story, db)

    for method, path in WRITES:
        if (method, path) in BODILESS:
            continue
        who = "ana" if path.startswith("/approvals") else "ada"
        answer = await story.call(who, method, filled(path, story, request, workflow, task), body)
        assert error(answer) == (400, "VALIDATION_ERROR"), (method, path)
    assert await state(story, db) == before


async def test_no_call_whatever_gets_an_answer_that_is_not_ours(story: Story) -> None:
    rolls = random.Random(7)
    keys = ["name", "steps", "description", "subject", "metadata", "resourceType", "resourceId", "justification"]
    keys += ["duration", "forUserId", "breakGlass", "note", "reason", "decision", "evidence", "to", "from", "text"]
    keys += ["resourceTypes", "autoApprove", "fallbackApprovers", "email", "password", "refreshToken", "rememberMe"]
    step = story.known(by("ana"))
    step_keys = [*step, "quorum", "timeoutSeconds", "onTimeout", "escalateTo", "rejection", "requiresComment"]
    step_keys += ["reminders", "escalations"]
    workflow = await story.workflow(by("ana"))
    request = (await story.request())["id"]
    task = await story.task("ana", request)

    met = set()
    for _ in range(40):
        for method, path in ROUTES:
            body = {key: rolls.choice(_ODD) for key in rolls.sample(keys, rolls.randint(0, 8))}
            if rolls.random() < 0.5:
                body["steps"] = [step | {rolls.choice(step_keys): rolls.choice(_ODD)}]
            ids = rolls.choice([(request, workflow, task), (str(uuid4()),) * 3, ("%00", "%2e%2e", "%F0%9F%98%80")])
            query = f"?page={rolls.choice(_PAGES)}&limit={rolls.choice(_PAGES)}&status={rolls.choice(_PAGES)}"
            target = filled(path, story, *ids) + (query if method == "GET" else "")
            data = json.dumps(body).encode() if method != "GET" else None
            answer = await story.call(rolls.choice(["rhea", "ana", "olu", "ada", None]), method, target, data)
            assert answer.status_code < 500, (method, target, body, answer.text)
            assert answer.status_code != 422
            met.add(answer.status_code)
            if answer.status_code >= 400:
                error(answer)
    assert met >= {200, 400, 401, 403, 404, 409}


_PAGES = ["", "0", "1", "-1", "x", "1e9", "99999999999999999999", "pending", "expired", "%00", "%ff", "1&page=2"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_that_is_not_open_wants_a_credential_first(story: Story, method: str, path: str) -> None:
    if path in ("/auth/login", "/auth/refresh", "/auth/mfa"):
        return
    target = path.replace("{id}", "x")

    assert error(await story.call(None, method, target, b"{")) == (401, "UNAUTHORIZED")
    for credential in ("nonsense", "eyJhbGciOiJub25lIn0.e30.", f"qk_{uuid4().hex}_x"):
        answer = await story.call(None, method, target, headers={"Authorization": f"Bearer {credential}"})
        assert error(answer) == (401, "UNAUTHORIZED")
    key = story.keys["ada"]
    for scheme in (f"Basic {key}", key, f"TOKEN {key}"):
        answer = await story.call(None, method, target, headers={"Authorization": scheme})
        assert error(answer) == (401, "UNAUTHORIZED")


async def test_unknown_paths_and_methods_are_answered_in_the_same_envelope(story: Story) -> None:
    assert error(await story.call("ada", "GET", "/nothing/here")) == (404, "RESOURCE_NOT_FOUND")
    answer = await story.call("ada", "PATCH", "/workflows")
    assert error(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert error(await story.call("ada", "GET", f"/workflows/{uuid4()}/")) == (404, "RESOURCE_NOT_FOUND")
