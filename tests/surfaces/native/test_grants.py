"""Grants over HTTP: contract b.8, row by row."""

from uuid import uuid4

from tests.surfaces.native.story import Story, error

GRANT = {
    "id",
    "requestId",
    "userId",
    "resourceType",
    "resourceId",
    "resourceName",
    "status",
    "startsAt",
    "endsAt",
    "revokedAt",
}
APPROVE = {"decision": "approve"}


async def granted(story: Story, hours: int | None = 1) -> str:
    """Have Rhea's request for the role auditors approved; answers the request's id."""
    await story.workflow()
    request = (await story.request(duration={"value": hours, "unit": "hours"} if hours else None))["id"]
    await story.post("ana", f"/approvals/{await story.task('ana', request)}/decide", APPROVE)
    return str(request)


async def test_an_approved_request_is_a_grant_with_exactly_the_documented_keys(story: Story) -> None:
    request = await granted(story)

    listed = await story.get("rhea", "/grants")
    [grant] = listed["grants"]

    assert listed["total"] == 1
    assert set(grant) == GRANT
    assert (grant["requestId"], grant["userId"], grant["status"]) == (request, str(story.ids["rhea"]), "active")
    assert (grant["resourceType"], grant["resourceId"]) == ("role", str(story.auditors))
    assert grant["revokedAt"] is None
    assert await story.get("rhea", f"/grants/{grant['id']}") == grant
    shown = await story.get("rhea", f"/access-requests/{request}")
    assert shown["accessExpiresAt"] == grant["endsAt"]


async def test_effective_access_shows_standing_and_granted_and_ends_by_itself(story: Story) -> None:
    await granted(story)
    mine = f"/users/{story.ids['rhea']}/access"

    [access] = (await story.get("rhea", mine))["access"]
    assert set(access) == {"resourceType", "resourceId", "resourceName", "standing", "grants", "endsAt"}
    assert (access["standing"], len(access["grants"])) == (False, 1)
    assert await story.get("rita", mine) == {"access": [access]}
    assert error(await story.call("ben", "GET", mine)) == (403, "FORBIDDEN")
    assert error(await story.call("olu", "GET", mine)) == (404, "RESOURCE_NOT_FOUND")

    story.clock.passes(hours=1)
    assert await story.get("rhea", mine) == {"access": []}
    assert [one["status"] for one in (await story.get("rhea", "/grants"))["grants"]] == ["expired"]
    assert (await story.get("rhea", "/grants?status=active"))["total"] == 0
    assert (await story.get("rhea", "/grants?status=expired"))["total"] == 1


async def test_a_permission_that_came_by_a_grant_counts_at_once_and_is_gone_with_it(story: Story) -> None:
    role = {"resourceType": "role", "resourceId": str(story.manager), "justification": "x"}
    await story.workflow()
    assert error(await story.call("rhea", "GET", "/workflows")) == (403, "FORBIDDEN")
    async with story.db.tx([story.tenant]) as tx:
        await tx.run(
            "UPDATE role SET permissions = '{workflow:read}' WHERE tenant_id = $1 AND id = $2",
            story.tenant,
            story.manager,
        )
    request = (await story.post("rhea", "/access-requests", role | {"duration": {"value": 1, "unit": "hours"}}, 201))[
        "id"
    ]
    await story.post("ana", f"/approvals/{await story.task('ana', request)}/decide", APPROVE)

    assert (await story.call("rhea", "GET", "/workflows")).status_code == 200
    story.clock.passes(hours=1)
    assert error(await story.call("rhea", "GET", "/workflows")) == (403, "FORBIDDEN")


async def test_only_ones_own_grants_are_listed_without_the_right_to_read_all(story: Story) -> None:
    await granted(story)

    assert (await story.get("ben", "/grants"))["total"] == 0
    assert (await story.get("ben", f"/grants?userId={story.ids['rhea']}"))["total"] == 0
    assert (await story.get("rita", "/grants"))["total"] == 1
    assert (await story.get("rita", f"/grants?userId={story.ids['ben']}"))["total"] == 0
    assert (await story.get("olu", "/grants"))["total"] == 0
    assert error(await story.call("rita", "GET", "/grants?status=lost")) == (400, "VALIDATION_ERROR")
    assert error(await story.call("rita", "GET", "/grants?limit=0")) == (400, "VALIDATION_ERROR")


async def test_a_grant_is_given_back_once_and_gone_at_once(story: Story) -> None:
    await granted(story, hours=None)
    [grant] = (await story.get("rhea", "/grants"))["grants"]
    path = f"/grants/{grant['id']}/revoke"
    assert grant["endsAt"] is None

    for stranger in ("ben", "ana", "rita"):
        assert error(await story.call(stranger, "POST", path)) == (403, "FORBIDDEN")
        assert error(await story.call(stranger, "POST", f"/grants/{uuid4()}/revoke")) == (403, "FORBIDDEN")
    assert error(await story.call("olu", "POST", path)) == (404, "RESOURCE_NOT_FOUND")
    assert error(await story.call("rhea", "POST", path, {"reason": 5})) == (400, "VALIDATION_ERROR")
    done = await story.call("rhea", "POST", path, {"reason": "no longer needed"})

    assert done.json() == {"success": True, "message": "Grant revoked"}
    assert (await story.get("rhea", f"/grants/{grant['id']}"))["status"] == "revoked"
    assert await story.get("rhea", f"/users/{story.ids['rhea']}/access") == {"access": []}
    assert error(await story.call("rhea", "POST", path)) == (409, "CONFLICT")


async def test_unknown_and_foreign_grants_are_the_same(story: Story) -> None:
    await granted(story)
    [grant] = (await story.get("rhea", "/grants"))["grants"]

    for id in (grant["id"], str(uuid4()), "no-id"):
        assert error(await story.call("olu", "GET", f"/grants/{id}")) == (404, "RESOURCE_NOT_FOUND")
        assert error(await story.call("ben", "GET", f"/grants/{id}")) == (403, "FORBIDDEN")
    assert error(await story.call(None, "GET", f"/grants/{grant['id']}")) == (401, "UNAUTHORIZED")
