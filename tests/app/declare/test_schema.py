"""A file is valid, or everything that is wrong with it is said with its line."""

import contextlib
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from quorate.app.declare import Problems, parse
from quorate.app.declare.plan import plan
from quorate.app.declare.secret_values import gather
from quorate.app.declare.sections import SECTIONS, SETTINGS
from quorate.app.declare.state import State
from tests.app.declare.test_apply import AT, DEMO, everything

DOCS = Path(__file__).parents[3] / "docs" / "apply.md"


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(Problems) as raised:
        parse(text, "f.yaml")
    return raised.value.lines()


def of(**sections: Any) -> list[str]:
    """The paths, within the tenant, of what is wrong with these sections."""
    lines = problems(json.dumps({"tenants": [{"slug": "acme", **sections}]}))
    return [line.split(": ")[1].removeprefix("tenants[0]").removeprefix(".") for line in lines]


def test_all_problems_are_said_at_once_with_lines_and_suggestions() -> None:
    assert problems(
        """\
tenants:
  - slug: Acme
    setings: {}
    users:
      - name: Ana
        emial: ana@acme.example
        password: 12345678
      - login: ben
        status: on leave
      - login: BEN
    groups: Security
"""
    ) == [
        "f.yaml:2: tenants[0].slug: must be lower-case letters, digits and dashes, at most 63",
        "f.yaml:3: tenants[0].setings: is unknown here; did you mean settings?",
        "f.yaml:5: tenants[0].users[0]: login is needed",
        "f.yaml:6: tenants[0].users[0].emial: is unknown here; did you mean email?",
        "f.yaml:7: tenants[0].users[0].password: must be text: put it in quotes",
        "f.yaml:9: tenants[0].users[1].status: must be one of active, suspended, inactive",
        "f.yaml:10: tenants[0].users[2]: BEN stands here twice, first as tenants[0].users[1]",
        "f.yaml:11: tenants[0].groups: must be a list",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f.yaml:1: tenants is needed"),
        ("[]", "f.yaml:1: must be an object"),
        ("tenants: acme", "f.yaml:1: tenants: must be a list"),
        ("a: [", "f.yaml:1: did not find expected node content"),
        (b"\xff\xfe", "f.yaml:1: is not UTF-8 text"),
        ("tenants: [{slug: a}, {slug: a}]", "f.yaml:1: tenants[1].slug: a stands here twice"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str | bytes, problem: str) -> None:
    assert problem in problems(text)


ID = "3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a"


@pytest.mark.parametrize(
    ("sections", "path"),
    [
        ({"id": "x"}, "id"),
        ({"settings": {"selfApproval": "no"}}, "settings.selfApproval"),
        ({"settings": {"publicUrl": "ftp://x"}}, "settings.publicUrl"),
        ({"settings": {"webauthn": {"rpId": "x"}}}, "settings.webauthn"),
        ({"settings": {"fallbackApprovers": [{"boss": "x"}]}}, "settings.fallbackApprovers[0].boss"),
        ({"roles": [{"name": "r", "permissions": ["admins"]}]}, "roles[0].permissions[0]"),
        ({"roles": [{"name": "r", "id": ID}, {"name": "s", "id": ID}]}, "roles[1].id"),
        (
            {"roles": [{"name": "r", "approval": {"validFor": {"value": 5, "unit": "years"}}}]},
            "roles[0].approval.validFor.unit",
        ),
        (
            {"roles": [{"name": "r", "approval": {"validFor": {"value": 0, "unit": "days"}}}]},
            "roles[0].approval.validFor.value",
        ),
        ({"users": [{"login": "a", "password": "x", "passwordEnv": "Y"}]}, "users[0].passwordEnv"),
        ({"users": [{"login": "a", "passwordHash": "md5"}]}, "users[0].passwordHash"),
        ({"users": [{"login": "a", "roles": ["x", "x"]}]}, "users[0].roles[1]"),
        ({"users": [{"login": "a", "keys": [{"secret": "x" * 30}]}]}, "users[0].keys[0]"),
        ({"users": [{"login": "a", "keys": [{"name": "k", "secretHash": "ab"}]}]}, "users[0].keys[0].secretHash"),
        ({"users": [{"login": "a", "keys": [{"name": "k", "expiresAt": "2030-01-01"}]}]}, "users[0].keys[0].expiresAt"),
        ({"users": [{"login": "a", "clients": [{"secret": "x" * 30}]}]}, "users[0].clients[0]"),
        (
            {"users": [{"login": "a", "passkeys": [{"id": "a+b", "publicKey": {"kty": "EC"}}]}]},
            "users[0].passkeys[0].id",
        ),
        ({"users": [{"login": "a", "passkeys": [{"id": "a", "publicKey": {}}]}]}, "users[0].passkeys[0].publicKey"),
        ({"resources": [{"name": "x"}]}, "resources[0]"),
        ({"workflows": [{"name": "w", "steps": []}]}, "workflows[0].steps"),
        (
            {"workflows": [{"name": "w", "steps": [{"order": 1, "name": "s", "aproverType": "user"}]}]},
            "workflows[0].steps[0].aproverType",
        ),
        (
            {"policies": [{"name": "p", "maxDurationSeconds": 1, "defaultDurationSeconds": 2}]},
            "policies[0].defaultDurationSeconds",
        ),
        ({"operations": [{"method": "BREW", "path": "/"}]}, "operations[0].method"),
        ({"operations": [{"method": "POST", "path": "/", "execute": {"url": "x"}}]}, "operations[0].execute.url"),
        ({"operations": [{"method": "POST", "path": "/", "execute": {"reply": {}}}]}, "operations[0].execute.reply"),
        (
            {"delegations": [{"from": "a", "to": "b", "startsAt": "2026-01-02T00:00Z", "endsAt": "2026-01-01T00:00Z"}]},
            "delegations[0].endsAt",
        ),
        ({"requests": [{"requester": "a"}]}, "requests[0]"),
        ({"requests": [{"requester": "a", "kind": "generic"}]}, "requests[0]"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(sections: dict[str, Any], path: str) -> None:
    assert path in of(**sections)


@pytest.mark.parametrize("section", ["roles", "groups", "resources"])
@pytest.mark.parametrize(
    ("setting", "unit", "most"),
    [
        ("validFor", "minutes", 43_200),
        ("validFor", "hours", 720),
        ("validFor", "days", 365),
        ("timeToApprove", "minutes", 43_200),
        ("timeToApprove", "hours", 720),
        ("timeToApprove", "days", 30),
    ],
)
def test_how_long_an_approval_lasts_or_may_take_is_bounded(section: str, setting: str, unit: str, most: int) -> None:
    """Source: Britive contract §5, row 12."""

    def said(value: Any) -> dict[str, Any]:
        entry = {"name": "x", "type": "t"} if section == "resources" else {"name": "x"}
        return {section: [entry | {"approval": {setting: {"value": value, "unit": unit}}}]}

    for value in (1, most):
        parse(json.dumps({"tenants": [{"slug": "acme", **said(value)}]}), "f.yaml")
    for wrong in (0, -1, most + 1, 1.5, True, "5"):
        assert of(**said(wrong)) == [f"{section}[0].approval.{setting}.value"], wrong


def test_a_secret_is_never_part_of_a_problem() -> None:
    said = {
        "users": [{"login": "a", "password": "hush\0", "passwordHash": "hush", "keys": [{"name": "k", "secret": 4711}]}]
    }

    text = "\n".join(problems(json.dumps({"tenants": [{"slug": "acme"} | said]})))

    assert "hush" not in text
    assert "4711" not in text


def test_every_key_stands_in_the_documentation() -> None:
    text = DOCS.read_text("utf-8")
    keys = {key for section in SECTIONS.values() for key in section.fields} | set(SECTIONS) | set(SETTINGS)

    assert sorted(key for key in keys if f"`{key}`" not in text) == []


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a value, as the keys and positions that lead there."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


WHOLE = {"tenants": [{"slug": "acme", **everything()}]}
PLACES = places(WHOLE)[1:]
ODD: some.SearchStrategy[Any] = some.one_of(
    some.none(),
    some.booleans(),
    some.sampled_from(
        [0, -1, 10**30, 1.5, "", " ", "\0", "x" * 5000, "requester", [], {}, [[]], [None], {"": None}, "\u2028"]
    ),
    some.text(max_size=5),
    some.lists(some.integers(), max_size=2),
    some.dictionaries(some.sampled_from(["name", "n", "members", "id", "url", "reply"]), some.integers(), max_size=2),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.lists(some.tuples(some.sampled_from(PLACES), ODD), min_size=1, max_size=3))
def test_a_file_with_anything_anywhere_is_read_or_refused(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    value = json.loads(json.dumps(WHOLE))
    for path, odd in changes:
        with contextlib.suppress(LookupError, TypeError):
            at = value
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = odd
    with contextlib.suppress(Problems):
        file = parse(json.dumps(value), "f.yaml")
        secrets = gather(file, {})
        for tenant in file.tenants:
            made, problems = plan(tenant, uuid4(), State(), secrets, {}, mint=uuid4, at=AT, prune=True)
            assert problems or msgspec.json.encode(made.rows)


def test_the_demo_is_marked_as_such() -> None:
    assert "FOR TRYING OUT ONLY" in DEMO.read_text("utf-8").splitlines()[0]
