"""Who decides, where it is settled by scope: nobody, or a chain of identities."""

from typing import Any

import pytest

from tests.surfaces.native.story import Story, by, by_security
from tests.surfaces.sailpoint.calls import CURRENT, FIRST, V1, call, error, generic, ids, shown
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


OF_ASKER, OF_OWNER = {"identityType": "MANAGER_OF_REQUESTER"}, {"identityType": "REQUESTED_TARGET_OWNER"}


async def for_rhea(story: Story) -> str:
    """Let Mona, whose manager is Cyd, ask for the role for Rhea, whose manager she is."""
    async with story.db.tx([story.tenant]) as tx:
        await tx.run("UPDATE principal SET manager_id = $2 WHERE id = $1", story.ids["mona"], story.ids["cyd"])
    return str((await story.request("mona", forUserId=str(story.ids["rhea"])))["id"])


async def owned_by(story: Story, who: str | None) -> None:
    body = {"ownerId": str(story.ids[who]) if who else None}
    assert (await story.call("ada", "PUT", f"/roles/{story.auditors}", body)).status_code == 200


async def test_the_manager_of_whoever_asks_for_another_approves(story: Story) -> None:
    await story.workflow(by("ana"), resourceTypes=["role"])
    await settle(story, "ROLE", str(story.auditors), {"serialChain": [OF_ASKER, {"identityType": "MANAGER_OF"}]})

    id = await for_rhea(story)

    now = await shown(story, "cyd", id)
    managers = [(one["type"], one["identityID"], one["name"]) for one in now["approvers"]]
    assert managers == [
        ("MANAGER_OF_REQUESTER", str(story.ids["cyd"]), "Cyd"),
        ("MANAGER_OF", str(story.ids["mona"]), "Mona"),
    ]
    assert (now["requester"]["name"], now["requestee"]["name"]) == ("Mona", "Rhea")
    assert await ids(story, "cyd") == [id]
    assert (await story.get("cyd", "/approvals/pending"))["total"] == 1
    assert error(await call(story, "olu", "GET", id))[0] == 404
    assert (await call(story, "cyd", "POST", f"{id}/approve")).json()["serialStep"] == 2
    assert error(await call(story, "mona", "POST", f"{id}/approve"))[0] == 403  # Rhea's manager, but it is her own.
    assert (await call(story, "ada", "POST", f"{id}/approve")).json()["status"] == "APPROVED"


async def test_for_oneself_the_manager_of_the_requester_is_that_of_the_requestee(story: Story) -> None:
    await story.workflow(by("ana"), resourceTypes=["role"])
    await settle(story, "TENANT", str(story.tenant), {"serialChain": [OF_ASKER]})
    id = await access(story)
    assert [one["type"] for one in (await shown(story, "mona", id))["approvers"]] == ["MANAGER_OF"]
    assert (await call(story, "mona", "POST", f"{id}/approve")).json()["status"] == "APPROVED"


async def test_the_owner_of_what_is_asked_for_approves(story: Story) -> None:
    await story.workflow(by("ana"), resourceTypes=["role"])
    await settle(story, "TENANT", str(story.tenant), {"serialChain": [OF_OWNER]})
    await owned_by(story, "ben")
    id = await access(story)
    await owned_by(story, "cyd")  # For what is asked from now on.

    [owner] = (await shown(story, "ben", id))["approvers"]
    assert (owner["type"], owner["identityID"]) == ("IDENTITY", str(story.ids["ben"]))
    assert error(await call(story, "cyd", "POST", f"{id}/approve"))[0] == 404
    assert await ids(story, "ben") == [id]
    assert (await call(story, "ben", "POST", f"{id}/approve")).json()["status"] == "APPROVED"


@pytest.mark.parametrize("who", [None, "rhea", "ben"])
async def test_without_an_owner_who_may_decide_the_fallback_does(story: Story, who: str | None) -> None:
    await story.workflow(by("ana"), resourceTypes=["role"])
    config = {"serialChain": [OF_OWNER], "fallbackApprover": {"type": "MANAGER_OF"}}
    await settle(story, "TENANT", str(story.tenant), config)
    await owned_by(story, who)
    if who == "ben":
        assert (await story.call("ada", "DELETE", f"/users/{story.ids['ben']}")).status_code == 200

    id = await access(story)

    now = await shown(story, "mona", id)
    assert [one["reassignmentType"] for one in now["reassignmentHistory"]] == ["AUTO_REASSIGNMENT"]
    assert [one["type"] for one in now["approvers"]] == [
        "IDENTITY" if who else "REQUESTED_TARGET_OWNER",
        "MANAGER_OF",
    ]
    assert error(await call(story, "rhea", "POST", f"{id}/approve"))[0] == 403
    assert (await call(story, "mona", "POST", f"{id}/approve")).json()["status"] == "APPROVED"


async def test_what_stands_under_something_has_its_owner(story: Story) -> None:
    top = await story.post("ada", "/resources", {"type": "db", "name": "top", "ownerId": str(story.ids["ben"])}, 201)
    low = await story.post("ada", "/resources", {"type": "db", "name": "low", "parentId": top["id"]}, 201)
    own = {"order": 1, "name": "Owner", "quorum": {"n": 1, "members": [{"owner": "target"}]}}
    await story.workflow(own, resourceTypes=["resource"])
    id = (await story.request(resourceType="resource", resourceId=low["id"]))["id"]
    assert (await call(story, "ben", "POST", f"{id}/approve")).json()["status"] == "APPROVED"


async def test_a_late_step_goes_to_the_owner_or_the_manager_of_whoever_asked(story: Story) -> None:
    await story.workflow(by("ana"), resourceTypes=["role"])
    await owned_by(story, "ben")
    for to, who in ((OF_OWNER, "ben"), (OF_ASKER, "cyd")):
        late = {"enabled": True, "daysUntilFirstEscalation": 1, "escalationChain": [to]}
        await settle(story, "TENANT", str(story.tenant), {"escalationConfig": late})
        id = await for_rhea(story)
        story.clock.passes(seconds=86_401)
        await call(story, "ana", "POST", f"{id}/comments", {"comment": "late"})  # Brings it up to date.
        assert (await call(story, who, "POST", f"{id}/approve")).json()["status"] == "APPROVED"


async def test_an_operation_goes_to_the_owner_of_what_it_is_about(story: Story) -> None:
    await owned_by(story, "ben")
    own = {"order": 1, "name": "Owner", "quorum": {"n": 1, "members": [{"owner": "target"}]}}
    workflow = await story.workflow(own)
    async with story.db.tx([story.tenant]) as tx:
        await tx.run(
            """INSERT INTO operation (tenant_id, id, method, path, workflow_id, execute, created_at, updated_at)
               VALUES ($1, gen_random_uuid(), 'DELETE', '/api/v1/roles/{id}', $2, '"internal"', now(), now())""",
            story.tenant,
            workflow,
        )
    asked = await story.post("ada", "/operations", {"method": "DELETE", "path": f"/api/v1/roles/{story.auditors}"}, 201)
    assert (await call(story, "ben", "POST", f"{asked['id']}/approve")).json()["status"] == "APPROVED"


async def own_allowed(story: Story, *, yes: bool = True) -> None:
    async with story.db.tx([story.tenant]) as tx:
        settings = b'{"selfApproval": true}' if yes else b"{}"
        await tx.run("UPDATE tenant SET settings = $2 WHERE id = $1", story.tenant, settings)


@pytest.mark.parametrize(
    ("said", "approver", "status"),
    [
        ("OFF", {"manager": "requester"}, "PENDING"),
        ("DIRECT", {"manager": "requester"}, "APPROVED"),
        ("DIRECT", {"user": "@mona"}, "APPROVED"),
        ("DIRECT", {"group": "@security"}, "PENDING"),
        ("INDIRECT", {"group": "@security"}, "APPROVED"),
        ("INDIRECT", {"user": "@mona"}, "APPROVED"),
        ("INDIRECT", {"user": "@ana"}, "PENDING"),
    ],
)
async def test_whoever_asks_for_another_and_is_an_approver_has_approved(
    story: Story, said: str, approver: dict[str, str], status: str
) -> None:
    await own_allowed(story)
    async with story.db.tx([story.tenant]) as tx:
        await tx.run("INSERT INTO group_member VALUES ($1, $2, $3)", story.tenant, story.security, story.ids["mona"])
    one = {"order": 1, "name": "One", "quorum": {"n": 1, "members": [approver]}}
    await story.workflow(one, resourceTypes=["role"])
    await settle(story, "TENANT", str(story.tenant), {"autoApprove": said})

    id = await for_rhea(story)

    now = await shown(story, "mona", id)
    assert now["status"] == status
    assert now["approvalConfig"].get("autoApprove", "OFF") == said
    approved = [(one["identityID"], one["decisionDate"]) for one in now["approvedBy"]]
    assert approved == ([(str(story.ids["mona"]), now["createdDate"])] if status == "APPROVED" else [])
    events = (await story.get("ada", f"/audit/resources/request/{id}/history"))["events"]
    made = [one["details"] for one in events if "decision" in one["details"]]
    marks = [(one["auto"], one["selfApproval"], one["decision"]) for one in made]
    assert marks == ([(True, True, "approve")] if status == "APPROVED" else [])
    async with story.db.tx([story.tenant]) as tx:
        grants = await tx.all("SELECT principal_id FROM access_grant WHERE tenant_id = $1", story.tenant)
    assert [row["principal_id"] for row in grants] == ([story.ids["rhea"]] if status == "APPROVED" else [])


async def test_asking_approves_only_where_and_while_people_may_decide_what_is_their_own(story: Story) -> None:
    await story.workflow(by("mona"), resourceTypes=["role"])
    refused = await call(story, "ada", "PUT", f"{V1}/config/{story.tenant}/TENANT", {"autoApprove": "DIRECT"})
    assert error(refused) == (400, "selfApproval: the tenant does not let people decide what is their own")
    await own_allowed(story)
    await settle(story, "TENANT", str(story.tenant), {"autoApprove": "DIRECT"})
    await own_allowed(story, yes=False)
    id = await for_rhea(story)
    assert (await shown(story, "mona", id))["status"] == "PENDING"
    assert error(await call(story, "mona", "POST", f"{id}/approve"))[0] == 403


async def test_asking_never_approves_what_carries_permissions_or_is_for_oneself(story: Story) -> None:
    await own_allowed(story)
    await story.workflow(by("mona"), resourceTypes=["role"])
    await settle(story, "TENANT", str(story.tenant), {"autoApprove": "INDIRECT"})
    mine = str((await story.request("mona"))["id"])
    assert (await shown(story, "mona", mine))["status"] == "PENDING"
    assert (await call(story, "mona", "POST", f"{mine}/approve")).json()["status"] == "APPROVED"  # She may; by hand.
    await permitting(story)
    assert (await shown(story, "mona", await for_rhea(story)))["status"] == "PENDING"


async def test_what_asking_approves_later_is_told_of_whoever_asked(story: Story) -> None:
    await own_allowed(story)
    await story.workflow(by("ana"), by("mona", 2), resourceTypes=["role"])
    await settle(story, "TENANT", str(story.tenant), {"autoApprove": "DIRECT"})
    id = await for_rhea(story)

    assert (await call(story, "ana", "POST", f"{id}/approve")).json()["status"] == "APPROVED"

    events = (await story.get("ada", f"/audit/resources/request/{id}/history"))["events"]
    told = {
        one["userId"]: (one["details"].get("auto"), one["details"].get("surface"))
        for one in events
        if "decision" in one["details"]
    }
    assert set(told) == {str(story.ids["ana"]), str(story.ids["mona"])}
    assert told[str(story.ids["ana"])][0] is None
    assert told[str(story.ids["mona"])] == (True, None)
