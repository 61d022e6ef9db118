"""Keys and delegations: native contract b.8."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.surfaces.native.story import Story, by, error
from tests.surfaces.native.tour import SPAN


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_key_is_shown_once_and_signs_in(story: Story) -> None:
    path = f"/users/{story.ids['rhea']}/keys"

    new = await story.post("rhea", path, {"name": " laptop ", "expiresAt": "2090-01-01T01:00:00+01:00"}, 201)

    assert set(new) == {"id", "name", "secret", "createdAt", "expiresAt", "lastUsedAt"}
    assert (new["name"], new["expiresAt"], new["lastUsedAt"]) == ("laptop", "2090-01-01T00:00:00Z", None)
    me = await story.call(None, "GET", "/users/me", headers=bearer(new["secret"]))
    assert me.json()["data"]["id"] == str(story.ids["rhea"])
    listed = await story.get("rhea", path)
    assert new["secret"] not in str(listed)
    [seen] = [one for one in listed["keys"] if one["id"] == new["id"]]
    assert set(seen) == {"id", "name", "createdAt", "expiresAt", "lastUsedAt"}
    assert seen["lastUsedAt"] == seen["createdAt"]
    assert new["secret"] not in str(await story.get("ada", "/audit/events?limit=100"))


async def test_keys_overlap_so_that_one_can_be_replaced_without_a_gap(story: Story) -> None:
    path = f"/users/{story.ids['rhea']}/keys"
    old, new = [await story.post("rhea", path, {"name": "laptop"}, 201) for _ in "ab"]
    for key in (old, new):
        assert (await story.call(None, "GET", "/users/me", headers=bearer(key["secret"]))).status_code == 200

    answer = await story.call("rhea", "DELETE", f"{path}/{old['id']}")

    assert answer.json() == {"success": True, "message": "Key revoked"}
    assert error(await story.call(None, "GET", "/users/me", headers=bearer(old["secret"]))) == (401, "UNAUTHORIZED")
    assert (await story.call(None, "GET", "/users/me", headers=bearer(new["secret"]))).status_code == 200
    assert error(await story.call("rhea", "DELETE", f"{path}/{old['id']}")) == (404, "RESOURCE_NOT_FOUND")
    assert old["id"] not in str(await story.get("rhea", path))


async def test_a_key_counts_until_it_expires(story: Story) -> None:
    path = f"/users/{story.ids['rhea']}/keys"
    at = story.clock.at.replace(microsecond=0)
    refused = await story.call("rhea", "POST", path, {"name": "k", "expiresAt": at.isoformat()})
    assert error(refused) == (400, "VALIDATION_ERROR")
    naive = await story.call("rhea", "POST", path, {"name": "k", "expiresAt": "2090-01-01T00:00:00"})
    assert error(naive) == (400, "VALIDATION_ERROR")
    soon = at.replace(year=at.year + 1)
    key = await story.post("rhea", path, {"name": "k", "expiresAt": soon.isoformat()}, 201)
    assert (await story.call(None, "GET", "/users/me", headers=bearer(key["secret"]))).status_code == 200

    story.clock.at = soon

    assert error(await story.call(None, "GET", "/users/me", headers=bearer(key["secret"]))) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("body", [{}, {"name": " "}, {"name": 1}, {"name": "k", "expiresAt": "soon"}])
async def test_a_key_that_is_not_valid_is_400(story: Story, body: Any) -> None:
    answer = await story.call("rhea", "POST", f"/users/{story.ids['rhea']}/keys", body)

    assert error(answer) == (400, "VALIDATION_ERROR")


async def test_keys_are_ones_own_affair(story: Story) -> None:
    [key] = (await story.get("ana", f"/users/{story.ids['ana']}/keys"))["keys"]
    for id in (story.ids["ana"], story.ids["olu"], uuid4()):
        for method, path in (("GET", ""), ("POST", ""), ("DELETE", f"/{key['id']}")):
            body = {"name": "k"} if method == "POST" else None
            answer = await story.call("rhea", method, f"/users/{id}/keys{path}", body)
            assert error(answer) == (403, "FORBIDDEN"), (method, id)
    # A key is found only below its holder, and a holder only as what they are.
    for path in (
        f"/users/{story.ids['rhea']}/keys/{key['id']}",
        f"/services/{story.ids['ana']}/keys/{key['id']}",
        f"/users/{story.ids['bot']}/keys/{key['id']}",
    ):
        assert error(await story.call("ada", "DELETE", path)) == (404, "RESOURCE_NOT_FOUND")
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", f"/{key['id']}")):
        body = {"name": "k"} if method == "POST" else None
        answer = await story.call("olu", method, f"/users/{story.ids['ana']}/keys{path}", body)
        assert error(answer) == (404, "RESOURCE_NOT_FOUND"), method
    assert (await story.call("ana", "GET", "/users/me")).status_code == 200


async def test_a_service_and_its_owner_look_after_its_keys(story: Story) -> None:
    path = f"/services/{story.ids['bot']}/keys"

    own = await story.post("bot", path, {"name": "next"}, 201)
    assert (await story.call(None, "GET", "/approvals/pending", headers=bearer(own["secret"]))).status_code == 200
    assert (await story.get("ben", path))["total"] == 2
    # Ben may not write workflows himself, so he may not make a key for what may.
    assert error(await story.call("ben", "POST", path, {"name": "k"})) == (403, "FORBIDDEN")
    assert (await story.call("ben", "DELETE", f"{path}/{own['id']}")).status_code == 200

    assert error(await story.call(None, "GET", "/approvals/pending", headers=bearer(own["secret"])))[0] == 401
    assert error(await story.call("ana", "GET", path)) == (403, "FORBIDDEN")


async def test_an_account_has_at_most_a_hundred_keys_even_if_many_are_made_at_once(story: Story) -> None:
    path = f"/users/{story.ids['rhea']}/keys"
    for _ in range(97):
        await story.post("rhea", path, {"name": "k"}, 201)

    answers = await asyncio.gather(*(story.call("rhea", "POST", path, {"name": "k"}) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]
    page = await story.get("rhea", f"{path}?limit=60&page=2")
    assert (len(page["keys"]), page["total"]) == (40, 100)


# Delegations.


async def test_a_delegate_decides_from_when_until_when_it_was_said(story: Story) -> None:
    await story.workflow(by("ana", timeoutHours=8000))
    request = (await story.request())["id"]
    at = story.clock.at
    span = {"startsAt": at.replace(year=at.year + 1), "endsAt": at.replace(year=at.year + 2)}
    soon = {key: moment.replace(day=1).isoformat() for key, moment in span.items()}
    lent = await story.post("ana", "/delegations", {"to": str(story.ids["mona"]), **soon}, 201)
    assert set(lent) == {"id", "from", "to", "startsAt", "endsAt"}
    assert (lent["from"], lent["to"]) == (str(story.ids["ana"]), str(story.ids["mona"]))
    assert (await story.get("mona", "/approvals/pending"))["total"] == 0

    now = {"startsAt": at.isoformat(), "endsAt": at.replace(year=at.year + 1).isoformat()}
    today = await story.post("ana", "/delegations", {"to": str(story.ids["mona"]), **now}, 201)

    assert await story.task("mona", request)
    await story.call("ana", "DELETE", f"/delegations/{today['id']}")
    assert (await story.get("mona", "/approvals/pending"))["total"] == 0
    assert error(await story.call("ana", "DELETE", f"/delegations/{today['id']}")) == (403, "FORBIDDEN")
    assert error(await story.call("ada", "DELETE", f"/delegations/{today['id']}")) == (404, "RESOURCE_NOT_FOUND")


async def test_a_moment_that_nothing_can_keep_is_bad_input(story: Story) -> None:
    never = "9999-12-31T23:59:59-14:00"
    span = {"to": str(story.ids["ben"]), "startsAt": never, "endsAt": never}

    assert error(await story.call("ana", "POST", "/delegations", span)) == (400, "VALIDATION_ERROR")
    key = {"name": "laptop", "expiresAt": never}
    answer = await story.call("ana", "POST", f"/users/{story.ids['ana']}/keys", key)
    assert error(answer) == (400, "VALIDATION_ERROR")


async def test_one_lends_ones_own_say_and_with_workflow_write_anybodys(story: Story) -> None:
    body = {"from": str(story.ids["ana"]), "to": str(story.ids["cyd"]), **SPAN}
    assert error(await story.call("rhea", "POST", "/delegations", body)) == (403, "FORBIDDEN")

    lent = (await story.post("bot", "/delegations", body, 201))["id"]

    for who, seen in (("ana", [lent]), ("cyd", [lent]), ("ada", [lent]), ("rhea", []), ("olu", [])):
        listed = await story.get(who, "/delegations")
        assert ([one["id"] for one in listed["delegations"]], listed["total"]) == (seen, len(seen)), who
    for who, status in (("cyd", 403), ("rhea", 403), ("olu", 404), ("ana", 200)):
        assert (await story.call(who, "DELETE", f"/delegations/{lent}")).status_code == status, who
    told = (await story.get("ada", f"/audit/resources/delegation/{lent}/history"))["events"]
    assert [(one["action"], one["userId"]) for one in told] == [
        ("delegation.deleted", str(story.ids["ana"])),
        ("delegation.created", str(story.ids["bot"])),
    ]


@pytest.mark.parametrize(("who", "to"), [("ada", "ada"), ("bot", "ben")])
async def test_an_administrator_lends_nobodys_say_to_themselves_nor_through_a_service(
    story: Story, who: str, to: str
) -> None:
    body = {"from": str(story.ids["ana"]), "to": str(story.ids[to]), **SPAN}

    assert error(await story.call(who, "POST", "/delegations", body)) == (400, "VALIDATION_ERROR")

    assert (await story.get("ada", "/delegations"))["total"] == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": "@ana"}, "to"),
        ({"to": "@olu"}, "to"),
        ({"to": "@bot"}, "to"),
        ({"to": "@cyd"}, "to"),
        ({"to": None}, "to"),
        ({"startsAt": SPAN["endsAt"]}, "endsAt"),
        ({"startsAt": "2001-01-01T00:00:00Z", "endsAt": "2001-01-02T00:00:00Z"}, "endsAt"),
        ({"startsAt": "2090-01-01"}, "startsAt"),
        ({"endsAt": None}, "endsAt"),
    ],
)
async def test_a_delegation_that_cannot_be_is_400(story: Story, change: dict[str, Any], field: str) -> None:
    await story.post("ada", f"/users/{story.ids['cyd']}/suspend")
    body = story.known({"to": "@ben", **SPAN} | change)

    answer = await story.call("ana", "POST", "/delegations", body)

    assert error(answer) == (400, "VALIDATION_ERROR")
    assert [detail.get("field") for detail in answer.json()["error"]["details"]] == [field]
    assert (await story.get("ada", "/delegations"))["total"] == 0


async def test_the_delegations_of_a_deleted_user_are_gone(story: Story) -> None:
    await story.post("ana", "/delegations", {"to": str(story.ids["ben"]), **SPAN}, 201)

    await story.call("ada", "DELETE", f"/users/{story.ids['ben']}")

    assert (await story.get("ana", "/delegations"))["total"] == 0
