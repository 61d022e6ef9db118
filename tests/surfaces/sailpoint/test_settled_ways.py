"""Who decides, where it is settled by scope: nobody, or a chain of identities."""

from typing import Any

import pytest

from tests.surfaces.native.story import Story, by, by_security
from tests.surfaces.sailpoint.calls import CURRENT, FIRST, call, error, generic, ids, shown
from tests.surfaces.sailpoint.test_config import access, settle


def identity(story: Story, who: str) -> dict[str, str]:
    return {"identityType": "IDENTITY", "identityId": str(story.ids[who])}


async def permitting(story: Story) -> None:
    """Let the role that is asked for carry a permission."""
    async with story.db.tx([story.tenant]) as tx:
        await tx.run(
            "UPDATE role SET permissions = '{audit:read}' WHERE tenant_id = $1 AND name = 'auditors'", story.tenant
        )


async def test_what_is_waived_is_passed_at_once_and_says_so_everywhere(story: Story) -> None:
    await story.workflow(by("ana"), resourceTypes=["role"])
    await settle(story, "ROLE", str(story.auditors), {"circumventApprovalProcess": True})

    id = await access(story)

    for path in CURRENT:
        now = await shown(story, "rhea", id, path)
        assert (now["status"], now["approvedBy"], now["assignedTo"]) == ("PASSED", [], [])
        assert now["completedDate"] == now["createdDate"]
        assert now["approvalConfig"] == {"circumventApprovalProcess": True}
    for path in FIRST:
        assert (await shown(story, "rhea", id, path))["status"] == "APPROVED"
    natively = await story.get("rhea", f"/access-requests/{id}")
    assert natively["status"] == "approved"
    async with story.db.tx([story.tenant]) as tx:
        [grant] = await tx.all("SELECT principal_id FROM access_grant WHERE tenant_id = $1", story.tenant)
        [closed] = await tx.all(
            "SELECT body ->> 'cause' AS cause FROM event WHERE tenant_id = $1 AND type = 'Closed'", story.tenant
        )
    assert (grant["principal_id"], closed["cause"]) == (story.ids["rhea"], "waived")
    assert error(await call(story, "ana", "POST", f"{id}/approve"))[0] == 404
    assert error(await call(story, "ada", "POST", f"{id}/approve"))[0] == 400
    assert error(await call(story, "olu", "GET", id))[0] == 404


async def test_what_is_passed_is_found_by_its_status_and_not_as_approved(story: Story) -> None:
    approved, pending = await generic(story), await generic(story)
    await call(story, "ana", "POST", f"{approved}/approve")
    await settle(story, "APPROVAL_TYPE", "GENERIC_APPROVAL", {"circumventApprovalProcess": True})
    passed = await generic(story)

    for text, found in (
        ("status eq PASSED", [passed]),
        ("status eq passed", [passed]),
        ("status ne PASSED", [approved, pending]),
        ("status eq APPROVED", [approved]),
        ("status ne APPROVED", [pending, passed]),
        ("status in (APPROVED,PASSED)", [approved, passed]),
        ("status sw P", [pending, passed]),
        ("status co ED", [approved, passed]),
        ("status eq PENDING", [pending]),
    ):
        assert (text, await ids(story, "ada", filters=text)) == (text, found)
    for path in FIRST:
        assert await ids(story, "rhea", path, requesterId=str(story.ids["rhea"]), filters="status eq APPROVED") == [
            approved,
            passed,
        ]


async def test_what_carries_permissions_demands_evidence_or_a_policy_rules_is_never_passed(story: Story) -> None:
    await settle(story, "TENANT", str(story.tenant), {"circumventApprovalProcess": True})
    quorum = {"n": 1, "requirePassword": True, "members": [{"user": str(story.ids["ana"])}]}
    demanding = {"order": 1, "name": "Step 1", "quorum": quorum}
    assert (await shown(story, "rhea", await generic(story, demanding)))["status"] == "PENDING"

    await story.workflow(by("ana"), resourceTypes=["role"])
    policy = {"name": "p", "enabled": True, "cedar": "permit(principal, action, resource);", "approvalMode": "require"}
    made = await story.post("ada", "/policies", policy, 201)
    ruled = await access(story)
    assert (await shown(story, "rhea", ruled))["status"] == "PENDING"
    await call(story, "ada", "POST", f"{ruled}/cancel")
    assert (await story.call("ada", "DELETE", f"/policies/{made['id']}")).status_code == 200

    await permitting(story)
    assert (await shown(story, "rhea", await access(story)))["status"] == "PENDING"


async def test_a_narrower_scope_takes_a_waiver_back(story: Story) -> None:
    await settle(story, "TENANT", str(story.tenant), {"circumventApprovalProcess": True})
    await settle(story, "APPROVAL_TYPE", "GENERIC_APPROVAL", {"circumventApprovalProcess": False})
    assert (await shown(story, "rhea", await generic(story)))["status"] == "PENDING"


async def test_a_chain_approves_one_after_the_other_in_the_place_of_the_workflow(story: Story) -> None:
    security = {"identityType": "GOVERNANCE_GROUP", "identityId": str(story.security)}
    await settle(
        story,
        "TENANT",
        str(story.tenant),
        {"serialChain": [identity(story, "rita"), security, {"identityType": "MANAGER_OF"}]},
    )
    id = await generic(story, by("ana"), by_security(2))

    first = await shown(story, "rita", id)
    assert (first["approvalCriteria"]["type"], first["serialStep"]) == ("SERIAL", 1)
    assert [(one["type"], one["serialOrder"]) for one in first["approvers"]] == [
        ("IDENTITY", 1),
        ("GOVERNANCE_GROUP", 2),
        ("MANAGER_OF", 3),
    ]
    assert [one["identityID"] for one in first["assignedTo"]] == [str(story.ids["rita"])]
    for who in ("ben", "mona"):  # Not their turn yet: they see it, and may not act.
        assert (await shown(story, who, id))["status"] == "PENDING"
        for what, body in (("approve", None), ("reject", None), ("comments", {"comment": "hm"})):
            assert error(await call(story, who, "POST", f"{id}/{what}", body))[0] == 403
    assert error(await call(story, "olu", "POST", f"{id}/approve"))[0] == 404

    assert (await call(story, "rita", "POST", f"{id}/approve")).json()["serialStep"] == 2
    assert error(await call(story, "rita", "POST", f"{id}/approve"))[0] == 403
    assert error(await call(story, "mona", "POST", f"{id}/approve"))[0] == 403
    second = (await call(story, "cyd", "POST", f"{id}/approve")).json()
    assert (second["serialStep"], second["status"]) == (3, "PENDING")
    assert (await call(story, "mona", "POST", f"{id}/approve")).json()["status"] == "APPROVED"


async def test_one_rejection_ends_a_chain(story: Story) -> None:
    await settle(story, "TENANT", str(story.tenant), {"serialChain": [identity(story, "ben"), identity(story, "cyd")]})
    id = await generic(story)
    assert (await call(story, "ben", "POST", f"{id}/reject")).status_code == 204
    assert (await shown(story, "cyd", id))["status"] == "REJECTED"


async def test_whoever_asks_is_passed_over_in_a_chain_for_the_fallback(story: Story) -> None:
    await settle(
        story,
        "TENANT",
        str(story.tenant),
        {
            "serialChain": [identity(story, "rhea"), identity(story, "cyd")],
            "fallbackApprover": {"type": "MANAGER_OF"},
        },
    )
    id = await generic(story)
    assert error(await call(story, "rhea", "POST", f"{id}/approve"))[0] == 403
    assert (await call(story, "mona", "POST", f"{id}/approve")).json()["serialStep"] == 2
    assert (await call(story, "cyd", "POST", f"{id}/approve")).json()["status"] == "APPROVED"


async def test_evidence_that_a_workflow_demands_a_chain_demands_too(story: Story) -> None:
    await settle(story, "TENANT", str(story.tenant), {"serialChain": [identity(story, "cyd")]})
    quorum = {"n": 1, "requirePassword": True, "members": [{"user": str(story.ids["ana"])}]}
    id = await generic(story, {"order": 1, "name": "Step 1", "quorum": quorum})
    assert error(await call(story, "cyd", "POST", f"{id}/approve"))[0] == 403
    assert (await call(story, "cyd", "POST", f"{id}/reject")).status_code == 204


@pytest.mark.parametrize(
    "settled", [{"circumventApprovalProcess": True}, {"serialChain": [{"identityType": "MANAGER_OF"}]}]
)
async def test_what_runs_is_left_alone(story: Story, settled: dict[str, Any]) -> None:
    id = await generic(story)
    await settle(story, "TENANT", str(story.tenant), settled)
    assert (await call(story, "ana", "POST", f"{id}/approve")).json()["status"] == "APPROVED"
