"""Configuration by scope: what it does to what is filed from then on; what would do nothing is refused."""

from typing import Any

import pytest

from tests.surfaces.native.story import Story, by
from tests.surfaces.sailpoint.calls import CURRENT, V1, call, error, generic, shown

NOWHERE = "3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a"


async def settle(story: Story, scope: str, id: str, config: dict[str, Any], status: int = 200) -> Any:
    answer = await call(story, "ada", "PUT", f"{V1}/config/{id}/{scope}", config)
    assert answer.status_code == status, answer.text
    return answer.json()


async def access(story: Story) -> str:
    return str((await story.request())["id"])


@pytest.mark.parametrize("path", CURRENT)
async def test_what_is_settled_is_read_replaced_and_removed(story: Story, path: str) -> None:
    url = f"{path}/config/{story.tenant}"
    config = {"requiresComment": "ALL", "autoApprove": "OFF", "fallbackApprover": {"type": "MANAGER_OF"}}

    assert error(await call(story, "ada", "GET", url))[0] == 404
    assert (await call(story, "ada", "PUT", f"{url}/TENANT", {"requiresComment": "OFF"})).json() == {
        "requiresComment": "OFF"
    }
    assert (await call(story, "ada", "PUT", f"{url}/TENANT", config)).json() == config
    assert (await call(story, "ada", "GET", url)).json() == config
    assert (await call(story, "ada", "DELETE", f"{url}/TENANT")).status_code == 204
    assert error(await call(story, "ada", "DELETE", f"{url}/TENANT"))[0] == 404


async def test_only_an_administrator_settles_anything_and_of_their_own_tenant(story: Story) -> None:
    await settle(story, "TENANT", str(story.tenant), {"requiresComment": "ALL"})
    url = f"{V1}/config/{story.tenant}"
    for who in ("ana", "rhea", "rita"):
        assert error(await call(story, who, "GET", url))[0] == 403
        assert error(await call(story, who, "PUT", f"{url}/TENANT", {}))[0] == 403
        assert error(await call(story, who, "DELETE", f"{url}/TENANT"))[0] == 403
    assert error(await call(story, "olu", "GET", url))[0] == 404
    assert error(await call(story, "olu", "PUT", f"{url}/TENANT", {}))[0] == 400
    assert (await call(story, "ada", "GET", url)).json() == {"requiresComment": "ALL"}
    assert (await shown(story, "ana", await generic(story)))["approvalConfig"]["requiresComment"] == "ALL"


async def test_the_narrowest_scope_counts_and_what_runs_is_left_alone(story: Story) -> None:
    await story.workflow(by("ana"), resourceTypes=["role"])
    before = await access(story)
    await call(story, "ada", "POST", f"{before}/cancel")
    await settle(story, "TENANT", str(story.tenant), {"requiresComment": "ALL"})
    await settle(story, "APPROVAL_TYPE", "ACCESS_REQUEST_APPROVAL", {"requiresComment": "REJECTION"})
    of_type, of_tenant = await access(story), await generic(story)
    await call(story, "ada", "POST", f"{of_type}/cancel")
    await settle(story, "ROLE", str(story.auditors), {"requiresComment": "APPROVAL"})
    of_target = await access(story)

    for id, wants in ((before, "OFF"), (of_type, "REJECTION"), (of_tenant, "ALL"), (of_target, "APPROVAL")):
        assert (await shown(story, "ada", id))["approvalConfig"]["requiresComment"] == wants
    assert error(await call(story, "ana", "POST", f"{of_target}/approve"))[0] == 400
    assert (await call(story, "ana", "POST", f"{of_target}/approve", {"comment": "yes"})).json()["status"] == "APPROVED"


@pytest.mark.parametrize(("result", "status"), [("EXPIRED", "EXPIRED"), ("APPROVED", "APPROVED"), (None, "EXPIRED")])
async def test_a_deadline_ends_it_as_it_was_settled(story: Story, result: str | None, status: str) -> None:
    late = {"enabled": True, "daysUntilTimeout": 2} | ({"timeoutResult": result} if result else {})
    await settle(story, "APPROVAL_TYPE", "GENERIC_APPROVAL", {"timeoutConfig": late})
    id = await generic(story)
    story.clock.passes(seconds=2 * 86_400 - 1)
    assert (await shown(story, "rhea", id))["status"] == "PENDING"
    story.clock.passes(seconds=2)
    await call(story, "ana", "POST", f"{id}/approve")  # Whoever touches it next brings it up to date.
    assert (await shown(story, "rhea", id))["status"] == status


async def test_what_carries_permissions_never_passes_by_time(story: Story) -> None:
    await story.workflow(by("ana"), resourceTypes=["role"])
    async with story.db.tx([story.tenant]) as tx:
        await tx.run(
            "UPDATE role SET permissions = '{audit:read}' WHERE tenant_id = $1 AND name = 'auditors'", story.tenant
        )
    late = {"enabled": True, "daysUntilTimeout": 1, "timeoutResult": "APPROVED"}
    await settle(story, "TENANT", str(story.tenant), {"timeoutConfig": late})
    id = await access(story)
    story.clock.passes(seconds=86_401)
    assert (await shown(story, "rhea", id))["status"] == "EXPIRED"


async def test_a_late_step_is_escalated_to_whom_it_was_settled(story: Story) -> None:
    chain = [{"identityType": "IDENTITY", "identityId": str(story.ids["cyd"])}]
    late = {"enabled": True, "daysUntilFirstEscalation": 1, "escalationChain": chain}
    await settle(story, "TENANT", str(story.tenant), {"escalationConfig": late})
    id = await generic(story)
    story.clock.passes(seconds=86_401)
    await call(story, "ana", "POST", f"{id}/comments", {"comment": "late"})  # Brings it up to date.
    assert (await call(story, "cyd", "POST", f"{id}/approve")).json()["status"] == "APPROVED"


async def test_whoever_is_the_fallback_joins_a_step_of_nobody(story: Story) -> None:
    security = {"type": "GOVERNANCE_GROUP", "identityID": str(story.security)}
    await settle(story, "TENANT", str(story.tenant), {"fallbackApprover": security})
    id = await generic(story, by("rhea"))  # Whose own it is.

    now = await shown(story, "rhea", id)
    assert [one["reassignmentType"] for one in now["reassignmentHistory"]] == ["AUTO_REASSIGNMENT"]
    assert (await call(story, "ben", "POST", f"{id}/approve")).json()["status"] == "APPROVED"


async def test_the_manager_of_whom_it_is_for_can_be_the_fallback(story: Story) -> None:
    await settle(story, "TENANT", str(story.tenant), {"fallbackApprover": {"type": "MANAGER_OF"}})
    id = await generic(story, by("rhea"))

    assert (await call(story, "mona", "POST", f"{id}/approve")).json()["status"] == "APPROVED"


BAD: tuple[dict[str, Any], ...] = (
    {"serialChain": [{"identityType": "MANAGER_OF"}, {"identityType": "IDENTITY"}]},
    {"serialChain": [{"identityType": "IDENTITY", "identityId": NOWHERE}]},
    {"serialChain": [{"identityType": "MANAGER_OF"}] * 21},
    {"autoApprove": "DIRECT"},  # Nobody may decide their own here.
    {"autoApprove": "INDIRECT"},
    {"autoApprove": "SOMETIMES"},
    {"circumventApprovalProcess": "yes"},
    {"machineIdentityManagerAssignment": "ACCOUNT_OWNER"},
    {"requiresComment": "maybe"},
    {"timeoutConfig": {"enabled": True}},
    {"timeoutConfig": {"enabled": True, "daysUntilTimeout": 91}},
    {"timeoutConfig": {"enabled": True, "daysUntilTimeout": 0}},
    {"timeoutConfig": {"enabled": True, "daysUntilTimeout": 1, "timeoutResult": "REJECTED"}},
    {"escalationConfig": {"enabled": True, "daysUntilFirstEscalation": 1}},
    {"escalationConfig": {"enabled": True, "escalationChain": [{"identityType": "MANAGER_OF"}]}},
    {"escalationConfig": {"enabled": True, "daysUntilFirstEscalation": 1, "escalationChain": [{"identityType": "X"}]}},
    {"fallbackApprover": {"type": "ROLE_OWNER"}},
    {"fallbackApprover": {"type": "MANAGER_OF_REQUESTER", "identityID": NOWHERE}},
    {"fallbackApprover": {"type": "REQUESTED_TARGET_OWNER", "identityID": NOWHERE}},
    {"fallbackApprover": {"type": "MANAGER_OF", "identityID": NOWHERE}},
    {"fallbackApprover": {"type": "IDENTITY"}},
    {"fallbackApprover": {"type": "IDENTITY", "identityID": NOWHERE}},
    {"fallbackApprover": {"type": "GOVERNANCE_GROUP", "identityID": NOWHERE}},
)


async def test_what_would_have_no_effect_is_refused(story: Story) -> None:
    url = f"{V1}/config/{story.tenant}"
    for config in BAD:
        assert (config, error(await call(story, "ada", "PUT", f"{url}/TENANT", config))[0]) == (config, 400)
    assert error(await call(story, "ada", "GET", url))[0] == 404


async def test_a_scope_that_is_none_and_an_id_that_is_none_of_it_are_refused(story: Story) -> None:
    for path in (f"{NOWHERE}/APPROVAL_REQUEST", f"{story.tenant}/EVERYTHING", f"{NOWHERE}/TENANT", "x/ROLE"):
        for method in ("PUT", "DELETE"):
            assert error(await call(story, "ada", method, f"{V1}/config/{path}", {}))[0] == 400
