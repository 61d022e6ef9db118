"""Users, roles, groups, resources and services: native contract b.7 and b.8, row by row."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from quorate.domain.permissions import KNOWN
from quorate.surfaces.native.roles import PERMISSIONS
from tests.surfaces.native.story import Story, error

KINDS: dict[str, dict[str, Any]] = {
    "users": {"email": "zoe@acme.example", "firstName": "Zoe"},
    "roles": {"name": "watchers", "description": "d", "permissions": ["workflow:read"]},
    "groups": {"name": "Ops", "description": "d", "externalId": "g-1"},
    "resources": {"type": "db", "name": "billing", "description": "d", "attributes": {"a": [1, {"b": None}]}},
    "services": {"name": "ci", "permissions": ["workflow:read", "audit:read"]},
}
CHANGES: dict[str, dict[str, Any]] = {
    "users": {"displayName": "Zoe Z."},
    "roles": {"description": "other"},
    "groups": {"description": "other"},
    "resources": {"attributes": {}},
    "services": {"permissions": []},
}
KEYS = {
    "users": {
        *("id", "tenantId", "email", "login", "firstName", "fatherName", "grandfatherName", "familyName"),
        *("displayName", "status", "roles", "permissions", "preferences", "mfaEnabled", "metadata", "managerId"),
        *("createdAt", "updatedAt"),
    },
    "roles": {"id", "tenantId", "name", "description", "permissions", "isSystem", "createdAt", "updatedAt"},
    "groups": {"id", "tenantId", "name", "description", "memberCount", "externalId", "createdAt", "updatedAt"},
    "resources": {"id", "tenantId", "type", "name", "description", "attributes", "createdAt", "updatedAt"},
    "services": {"id", "tenantId", "name", "ownerId", "permissions", "status", "createdAt", "updatedAt"},
}
every_kind = pytest.mark.parametrize("kind", list(KINDS))


async def made(story: Story, kind: str, **more: Any) -> Any:
    return await story.post("ada", f"/{kind}", KINDS[kind] | more, 201)


async def put(story: Story, who: str, path: str, body: Any, tag: str | None = None) -> Any:
    return await story.call(who, "PUT", path, body, headers={"If-Match": tag} if tag else None)


@every_kind
async def test_what_is_made_has_exactly_the_documented_keys_and_is_found_again(story: Story, kind: str) -> None:
    new = await made(story, kind)

    assert set(new) == KEYS[kind]
    assert {key: new[key] for key in KINDS[kind]} == KINDS[kind]
    assert new["tenantId"] == str(story.tenant)
    assert await story.get("ada", f"/{kind}/{new['id']}") == new
    listed = await story.get("ada", f"/{kind}?limit=100")
    assert set(listed) == {kind, "total"}
    assert new in listed[kind]
    assert listed["total"] == len(listed[kind])


@every_kind
async def test_lists_are_newest_first_by_page_with_the_true_total(story: Story, kind: str) -> None:
    before = (await story.get("ada", f"/{kind}"))["total"]
    story.clock.passes(seconds=1)
    first = await made(story, kind)
    story.clock.passes(seconds=1)
    again = {"email": "other@acme.example"} if kind == "users" else {"name": "other"}
    if kind == "groups":
        again["externalId"] = "g-2"
    second = await made(story, kind, **again)

    page = await story.get("ada", f"/{kind}?limit=1&page=2")

    assert ([one["id"] for one in page[kind]], page["total"]) == ([first["id"]], before + 2)
    assert (await story.get("ada", f"/{kind}?limit=1"))[kind][0]["id"] == second["id"]
    assert (await story.get("ada", f"/{kind}?page=99"))[kind] == []
    found = await story.get("ada", f"/{kind}?search=OTHER")
    assert [one["id"] for one in found[kind]] == [second["id"]]
    assert (await story.get("ada", f"/{kind}?search=%25"))["total"] == 0
    assert error(await story.call("ada", "GET", f"/{kind}?page=0")) == (400, "VALIDATION_ERROR")


@every_kind
async def test_a_change_makes_a_new_tag_and_an_old_one_is_412(story: Story, kind: str) -> None:
    path = f"/{kind}/{(await made(story, kind))['id']}"
    story.clock.passes(seconds=5)
    tag = (await story.call("ada", "GET", path)).headers["etag"]

    changed = await put(story, "ada", path, CHANGES[kind], tag)

    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    assert changed.json()["data"]["updatedAt"] > changed.json()["data"]["createdAt"]
    assert changed.json()["data"] == await story.get("ada", path)
    name = {"displayName": "x"} if kind == "users" else {"name": "x"}
    assert error(await put(story, "ada", path, name, tag)) == (412, "PRECONDITION_FAILED")
    assert error(await put(story, "ada", path, name, "odd")) == (400, "VALIDATION_ERROR")
    assert await story.get("ada", path) == changed.json()["data"]


@every_kind
async def test_of_two_who_change_it_with_one_tag_exactly_one_does(story: Story, kind: str) -> None:
    path = f"/{kind}/{(await made(story, kind))['id']}"
    tag = (await story.call("ada", "GET", path)).headers["etag"]
    field = "displayName" if kind == "users" else "name"

    answers = await asyncio.gather(*(put(story, "ada", path, {field: word}, tag) for word in "abc"))

    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]


@every_kind
async def test_what_is_answered_can_be_sent_back_and_changes_nothing(story: Story, kind: str) -> None:
    new = await made(story, kind)
    tag = (await story.call("ada", "GET", f"/{kind}/{new['id']}")).headers["etag"]
    story.clock.passes(hours=1)

    unchanged: list[Any] = [new, {}]
    for same in unchanged:
        answer = await put(story, "ada", f"/{kind}/{new['id']}", same)

        assert (answer.status_code, answer.json()["data"], answer.headers["etag"]) == (200, new, tag)
    assert (await story.get("ada", f"/audit/resources/{kind[:-1]}/{new['id']}/history"))["total"] == 1


@every_kind
async def test_what_is_deleted_is_absent_and_gives_its_name_back(story: Story, kind: str) -> None:
    path = f"/{kind}/{(await made(story, kind))['id']}"

    answer = await story.call("ada", "DELETE", path)

    assert answer.json() == {"success": True, "message": f"{kind[:-1].capitalize()} deleted"}
    for method, body in (("GET", None), ("PUT", CHANGES[kind]), ("DELETE", None)):
        assert error(await story.call("ada", method, path, body)) == (404, "RESOURCE_NOT_FOUND")
    assert path.split("/")[2] not in str(await story.get("ada", f"/{kind}?limit=100"))
    await made(story, kind)


@every_kind
async def test_a_taken_name_is_409_whoever_comes_first(story: Story, kind: str) -> None:
    answers = await asyncio.gather(*(story.call("ada", "POST", f"/{kind}", KINDS[kind]) for _ in range(4)))

    code = "CONFLICT" if kind == "users" else "DUPLICATE_NAME"
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {error(answer) for answer in answers if answer.status_code == 409} == {(409, code)}
    again = {"email": "other@acme.example"} if kind == "users" else {"name": "other"}
    other = await made(story, kind, **again | ({"externalId": "g-2"} if kind == "groups" else {}))
    taken = {key: value for key, value in KINDS[kind].items() if key in again}
    assert error(await put(story, "ada", f"/{kind}/{other['id']}", taken)) == (409, code)


@every_kind
async def test_olu_finds_nothing_of_ours(story: Story, kind: str) -> None:
    new = await made(story, kind)
    path = f"/{kind}/{new['id']}"

    for method, body in (("GET", None), ("PUT", CHANGES[kind]), ("DELETE", None)):
        assert error(await story.call("olu", method, path, body)) == (404, "RESOURCE_NOT_FOUND")
    assert new["id"] not in str(await story.get("olu", f"/{kind}"))
    await story.post("olu", f"/{kind}", KINDS[kind], 201)
    assert await story.get("ada", path) == new


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("users", {"email": None}, "email"),
        ("users", {"email": "nobody"}, "email"),
        ("users", {"email": "a b@c"}, "email"),
        ("users", {"password": "short"}, "password"),
        ("users", {"status": "suspended"}, "status"),
        ("users", {"metadata": []}, "metadata"),
        ("users", {"managerId": str(uuid4())}, "managerId"),
        ("users", {"managerId": "x"}, "managerId"),
        ("roles", {"name": "  "}, "name"),
        ("roles", {"permissions": ["everything"]}, "permissions[0]"),
        ("roles", {"permissions": ["admin\n"]}, "permissions[0]"),
        ("roles", {"workflowId": str(uuid4())}, "workflowId"),
        ("roles", {"ownerId": str(uuid4())}, "ownerId"),
        ("groups", {"ownerId": "x"}, "ownerId"),
        ("groups", {"name": None}, "name"),
        ("groups", {"name": "x" * 256}, "name"),
        ("resources", {"type": ""}, "type"),
        ("resources", {"parentId": str(uuid4())}, "parentId"),
        ("resources", {"ownerId": str(uuid4())}, "ownerId"),
        ("resources", {"attributes": None}, "attributes"),
        ("services", {"ownerId": str(uuid4())}, "ownerId"),
        ("services", {"permissions": None}, "permissions"),
    ],
)
async def test_what_is_not_valid_is_400_and_names_the_field(
    story: Story, kind: str, body: dict[str, Any], field: str
) -> None:
    before = (await story.get("ada", f"/{kind}"))["total"]

    answer = await story.call("ada", "POST", f"/{kind}", KINDS[kind] | body)

    assert error(answer) == (400, "VALIDATION_ERROR")
    assert [detail.get("field") for detail in answer.json()["error"]["details"]] == [field]
    assert (await story.get("ada", f"/{kind}"))["total"] == before


async def test_references_into_another_tenant_do_not_exist(story: Story) -> None:
    theirs = (await story.post("olu", "/resources", {"type": "db", "name": "x"}, 201))["id"]
    for kind, body in (
        ("users", {"managerId": str(story.ids["olu"])}),
        ("services", {"ownerId": str(story.ids["olu"])}),
        ("resources", {"parentId": theirs}),
        *((kind, {"ownerId": str(story.ids["olu"])}) for kind in ("roles", "groups", "resources")),
    ):
        assert error(await story.call("ada", "POST", f"/{kind}", KINDS[kind] | body)) == (400, "VALIDATION_ERROR")
    for path, sent in (
        (f"/users/{story.ids['rhea']}/roles", {"roleId": theirs}),
        (f"/groups/{story.security}/members", {"userId": str(story.ids["olu"])}),
    ):
        assert error(await story.call("ada", "POST", path, sent)) == (404, "RESOURCE_NOT_FOUND")


@pytest.mark.parametrize("kind", ["roles", "groups", "resources"])
async def test_what_can_be_asked_for_may_have_a_user_who_answers_for_it(story: Story, kind: str) -> None:
    new = await story.post("ada", f"/{kind}", KINDS[kind] | {"ownerId": str(story.ids["ana"])}, 201)
    path = f"/{kind}/{new['id']}"
    assert new["ownerId"] == str(story.ids["ana"])

    assert error(await put(story, "ada", path, {"ownerId": str(story.ids["bot"])})) == (400, "VALIDATION_ERROR")
    assert (await put(story, "ada", path, {"ownerId": str(story.ids["ben"])})).json()["data"]["ownerId"] == str(
        story.ids["ben"]
    )
    assert (await story.call("ada", "DELETE", f"/users/{story.ids['ben']}")).status_code == 200
    assert (await put(story, "ada", path, {"description": "d"})).json()["data"]["ownerId"] == str(story.ids["ben"])
    assert "ownerId" not in (await put(story, "ada", path, {"ownerId": None})).json()["data"]


def test_the_permissions_of_the_api_are_those_there_are() -> None:
    assert set(PERMISSIONS) == KNOWN


async def test_the_permissions_are_listed_at_both_paths(story: Story) -> None:
    listed = await story.get("ada", "/permissions")

    assert {one["name"] for one in listed["permissions"]} == KNOWN
    assert await story.get("ada", "/roles/permissions") == listed
