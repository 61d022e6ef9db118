"""Listing, reading, deciding, withdrawing and revoking. Source: Britive contract §2, §3, §5."""

import asyncio
import re
from datetime import datetime
from typing import Any
from uuid import uuid4

from tests.surfaces.britive.story import ALWAYS, PROD, ROOT, SERVER, TEST, V1, Brit, asking, error
from tests.surfaces.native.story import by

MANAGER = {"order": 1, "name": "Manager", "quorum": {"n": 1, "members": [{"manager": "requester"}]}}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_what_is_asked_for_is_shown_with_every_field_as_the_contract_says(brit: Brit) -> None:
    made = await brit.ask()
    shown = await brit.read(made["requestId"])

    assert set(shown) == ALWAYS
    assert shown == made
    rhea, ana = "rhea@acme.example", "ana@acme.example"
    assert {key: shown[key] for key in ALWAYS - {"createdAt", "expirationTimeForApproveRequest", "context"}} == {
        "requestId": made["requestId"],
        "userId": rhea,
        "resource": PROD,
        "resourceName": "Billing:Admin",
        "action": "papservice.profile.access",
        "consumer": "papservice",
        "justification": "The quarter ends",
        "approvers": {"userIds": [ana]},
        "status": "PENDING",
        "overallStatus": "PENDING",
        "validFor": 30,
        "validForInDays": False,
        "timeToApprove": 5,
        "multilevelApprovalSupport": False,
        "trackingId": made["trackingId"],
        "highRisk": None,
    }
    assert re.fullmatch(r"REQ-\d+", made["trackingId"])
    assert MOMENT.fullmatch(shown["createdAt"])
    assert MOMENT.fullmatch(shown["expirationTimeForApproveRequest"])
    assert seconds(shown["createdAt"], shown["expirationTimeForApproveRequest"]) == 300
    assert shown["context"] == {
        "profileName": "Admin",
        "profileId": "admin",
        "appName": "Billing",
        "appId": "Billing",
        "envId": "prod",
        "tenantUrl": "http://quorate.test",
        "iconUrl": "",
        "justification": "The quarter ends",
        "userId": str(brit.ids["rhea"]),
        "highRisk": "false",
    }


async def test_a_resource_in_a_profile_is_shown_as_one(brit: Brit) -> None:
    made = await brit.ask(thing=SERVER)

    assert (made["consumer"], made["action"]) == ("resourceprofile", "resource.profile.checkout")
    assert (made["resource"], made["resourceName"]) == (SERVER, "Server 1")
    assert made["context"] == {
        "profileName": "Root",
        "profileId": "root",
        "permissionId": "",
        "permissionName": "",
        "permissionVersion": "",
        "resourceId": "server-1",
        "resourceName": "Server 1",
        "resourceType": "server",
        "justification": "The quarter ends",
        "userId": str(brit.ids["rhea"]),
    }
    assert made["approvers"] == {"userIds": []}  # Holders of a permission, for whom there is no place.


async def test_what_is_said_of_a_profile_is_shown_in_the_context_as_strings(brit: Brit) -> None:
    said = {"appName": "Shop", "profileName": "Clerk", "appId": 7, "iconUrl": "https://x/i.png", "highRisk": True}
    shop = await brit.thing("profile", "x", "shop", attributes=said)
    await brit.thing("environment", "Production", "prod", shop)
    tools = {"permissionId": "p-1", "permissionName": "Root", "permissionVersion": 3, "highRisk": "yes"}
    await brit.thing("server", "S", "s", await brit.thing("profile", "Tools", "tools", attributes=tools))
    await brit.thing("environment", "Low", "low", shop, attributes={"highRisk": False})

    made, low = await brit.ask(thing="shop/prod"), await brit.ask(thing="shop/low")
    answer = await brit.call(
        "rhea",
        "POST",
        "/resource-manager/my-resources/profiles/tools/resources/s/approvalRequest",
        {"justification": "x"},
    )

    assert made["highRisk"] is True
    named = ("appName", "profileName", "appId", "iconUrl", "highRisk")
    assert [made["context"][name] for name in named] == ["Shop", "Clerk", "7", "https://x/i.png", "true"]
    assert (low["highRisk"], low["context"]["highRisk"]) == (False, "false")  # The nearest says it.
    server = answer.json()
    assert server["highRisk"] is None
    assert {name: server["context"][name] for name in server["context"] if name.startswith("permission")} == {
        "permissionId": "p-1",
        "permissionName": "Root",
        "permissionVersion": "3",
    }


async def test_managers_and_members_of_tags_find_what_waits_for_them(brit: Brit) -> None:
    managed = await brit.story.workflow(MANAGER)
    tagged = await brit.story.workflow(
        {"order": 1, "name": "Either", "approverType": "group", "approverValue": "@security"}
    )
    for name, workflow in (("managed", managed), ("tagged", tagged)):
        await brit.thing("environment", "E", "e", await brit.thing("profile", name, name, workflow=workflow))
    first, second = await brit.ask(thing="managed/e"), await brit.ask(thing="tagged/e")

    assert first["approvers"] == {"userIds": ["mona@acme.example"]}
    assert second["approvers"] == {"userIds": [], "tags": ["Security"]}
    mine = {who: await brit.listed(who, "requestType=myApprovals") for who in ("mona", "ana", "cyd", "rhea", "olu")}

    assert {who: [one["requestId"] for one in found] for who, found in mine.items()} == {
        "mona": [first["requestId"]],
        "ana": [second["requestId"]],
        "cyd": [second["requestId"]],
        "rhea": [],
        "olu": [],
    }
    await brit.decided("mona", first["requestId"])
    await brit.decided("cyd", second["requestId"])
    assert (await brit.read(second["requestId"]))["actionBy"] == "cyd@acme.example"


async def test_a_secret_is_shown_without_a_context(brit: Brit) -> None:
    await brit.story.workflow(resourceTypes=["secret"])
    secret = await brit.thing("secret", "db password", "/vault/db")
    made = await brit.story.request(resourceType="resource", resourceId=str(secret))

    shown = await brit.read(made["id"])

    assert set(shown) == ALWAYS - {"context"}
    assert (shown["consumer"], shown["action"]) == ("secretmanager", "sm.secret.read")
    assert (shown["resource"], shown["resourceName"]) == ("/vault/db", "db password")


async def test_a_request_from_elsewhere_is_shown_and_decided_here(brit: Brit) -> None:
    await brit.story.workflow(resourceTypes=["role"])
    made = await brit.story.request(duration={"value": 5, "unit": "days"})

    shown = await brit.read(made["id"], "ana")
    assert (shown["consumer"], shown["resource"]) == ("papservice", str(brit.story.auditors))
    assert (shown["validFor"], shown["validForInDays"]) == (5, True)
    assert re.fullmatch(r"REQ-\d+", shown["trackingId"])
    await brit.decided("ana", made["id"])
    assert (await brit.story.get("rhea", f"/access-requests/{made['id']}"))["status"] == "approved"


async def test_what_has_no_row_in_the_directory_is_shown_by_what_it_goes_by(brit: Brit) -> None:
    body = {"name": "all", "max_duration_seconds": 3600, "cedar_policy_set": "permit(principal, action, resource);"}
    made = {}
    for who, path, said in (
        ("ada", "policies", body),
        ("rhea", "requests", {"resource": {"type": "aws_account", "id": "123456789012"}, "action": "read"}),
    ):
        headers = {"X-API-Key": brit.story.keys[who], "X-Tenant-ID": str(brit.story.tenant)}
        answer = await brit.story.callers[""].post(f"/v1/{path}", json=said, headers=headers)
        assert answer.status_code == 201, answer.text
        made = answer.json()

    await brit.decided("ada", made["id"])

    shown = await brit.read(made["id"])
    assert (shown["status"], shown["resource"], shown["consumer"]) == ("APPROVED", "123456789012", "papservice")
    assert all(isinstance(one, str) for one in shown["context"].values())


async def test_what_is_no_asking_for_access_is_not_here(brit: Brit) -> None:
    workflow = await brit.story.workflow()
    started = await brit.story.post("ada", f"/workflows/{workflow}/start", {"subject": {}}, 201)

    assert error(await brit.call("ada", "GET", f"{V1}/{started['instanceId']}")) == (404, "AP-0004")


async def test_an_approval_says_who_when_and_until_when(brit: Brit) -> None:
    made = await brit.ask()
    brit.clock.passes(seconds=7)

    await brit.decided("ana", made["requestId"], body={"approverComment": "fine"})

    shown = await brit.read(made["requestId"])
    assert (shown["status"], shown["overallStatus"]) == ("APPROVED", "APPROVED")
    assert (shown["actionBy"], shown["approverComment"]) == ("ana@acme.example", "fine")
    assert seconds(shown["createdAt"], shown["updatedAt"]) == 7
    assert seconds(shown["updatedAt"], shown["expirationTimeApproval"]) == 1_800
    brit.clock.passes(minutes=30)
    over = await brit.read(made["requestId"])
    assert over == shown | {"status": "TIMEOUT", "overallStatus": "TIMEOUT"}  # `actionBy` says which TIMEOUT it is.


async def test_a_decision_on_what_was_renamed_or_is_gone_is_cancelled(brit: Brit) -> None:
    profile = await brit.thing("profile", "Old", "old")
    things = [await brit.thing("environment", name, name, profile) for name in ("prod", "test", "dev")]
    made = [await brit.ask(thing=f"old/{name}") for name in ("prod", "test", "dev")]
    for method, path, body in (
        ("DELETE", f"/resources/{things[0]}", None),
        ("PUT", f"/resources/{things[1]}", {"name": "staging"}),
        ("PUT", f"/resources/{profile}", {"name": "Older"}),
    ):
        answer = await brit.story.call("ada", method, path, body)
        assert answer.status_code == 200, answer.text

    for one in made:
        assert error(await brit.decide("ada", one["requestId"])) == (409, "AP-0009")

        shown = await brit.read(one["requestId"])
        assert shown["status"] == shown["overallStatus"] == "CANCELLED"
        assert set(shown) == ALWAYS | {"updatedAt"}  # Nobody decided.
    assert len(await brit.listed("rhea", "requestType=myRequests&filter=status eq CANCELLED")) == 3


async def test_a_decision_for_somebody_who_is_gone_counts_as_cancelled(brit: Brit) -> None:
    made = await brit.ask(thing=ROOT)
    answer = await brit.story.call("ada", "PUT", f"/users/{brit.ids['rhea']}", {"status": "inactive"})
    assert answer.status_code == 200, answer.text

    await brit.decided("ada", made["requestId"])

    shown = await brit.read(made["requestId"], "ada")
    assert (shown["status"], shown["actionBy"]) == ("CANCELLED", "ada@acme.example")
    assert "expirationTimeApproval" not in shown
    for status, count in (("CANCELLED", 1), ("APPROVED", 0)):
        assert len(await brit.listed("ada", f"filter=status eq {status}")) == count


async def test_nobody_who_decides_in_time_leaves_a_timeout_without_a_name(brit: Brit) -> None:
    made = await brit.ask()
    brit.clock.passes(minutes=5)

    shown = await brit.read(made["requestId"])

    assert shown == made | {"status": "TIMEOUT", "overallStatus": "TIMEOUT"}
    assert error(await brit.decide("ana", made["requestId"])) == (409, "AP-0009")
    assert "actionBy" not in await brit.read(made["requestId"])


async def test_a_rejection_needs_no_comment(brit: Brit) -> None:
    for body in ({}, {"approverComment": ""}, {"approverComment": None}, {"more": 1}, b""):
        made = await brit.ask()

        await brit.decided("ana", made["requestId"], "no", body=body)

        shown = await brit.read(made["requestId"])
        assert (shown["status"], shown["actionBy"], shown["approverComment"]) == ("REJECTED", "ana@acme.example", "")
        assert "expirationTimeApproval" not in shown


async def test_the_first_decision_wins_and_of_two_at_once_exactly_one(brit: Brit) -> None:
    workflow = await brit.story.workflow(
        {"order": 1, "name": "Either", "approverType": "group", "approverValue": "@security"}
    )
    wide = await brit.thing("profile", "Wide:Open", "wide", workflow=workflow)
    await brit.thing("environment", "Production", "prod", wide)
    for choices in (("yes", "no"), ("no", "yes"), ("yes", "yes")):
        made = await brit.ask(thing="wide/prod")
        assert made["approvers"] == {"userIds": [], "tags": ["Security"]}
        answers = await asyncio.gather(
            *(brit.decide(who, made["requestId"], how) for who, how in zip(("ana", "ben"), choices, strict=True))
        )
        assert sorted(one.status_code for one in answers) == [204, 409]
        assert error(await brit.decide("ana", made["requestId"]))[0] == 409
        if (await brit.read(made["requestId"]))["status"] == "APPROVED":
            answer = await brit.call(
                "rhea", "POST", f"{V1}/revoke", {"approvals": [made["requestId"]], "revokerComment": "done"}
            )
            assert answer.status_code == 202


async def test_levels_go_one_after_the_other_and_a_rejection_at_any_ends_all(brit: Brit) -> None:
    workflow = await brit.story.workflow(by("ana"), by("ben", 2))
    deep = await brit.thing("profile", "Deep:Two", "deep", workflow=workflow)
    await brit.thing("environment", "Production", "prod", deep)
    for choice, end in (("yes", "APPROVED"), ("no", "REJECTED")):
        made = await brit.ask("rhea" if choice == "yes" else "mona", "deep/prod")
        id, who = made["requestId"], "rhea" if choice == "yes" else "mona"
        assert made["multilevelApprovalSupport"] is True
        assert error(await brit.decide("ben", id)) == (404, "AP-0004")  # It has not come to him yet.
        await brit.decided("ana", id)
        between = await brit.read(id, who)
        assert (between["status"], between["overallStatus"]) == ("PENDING", "PENDING")
        assert between["approvers"] == {"userIds": ["ben@acme.example"]}
        assert "actionBy" not in between
        assert error(await brit.decide("ana", id)) == (403, "PE-0002")  # She sees it; this level is not hers.
        await brit.decided("ben", id, choice)
        after = await brit.read(id, who)
        assert (after["status"], after["overallStatus"], after["actionBy"]) == (end, end, "ben@acme.example")


async def test_who_may_decide(brit: Brit) -> None:
    made = await brit.ask()
    id = made["requestId"]

    assert error(await brit.decide("rhea", id)) == (403, "PE-0002")  # Her own.
    assert error(await brit.decide("rita", id)) == (403, "PE-0002")  # She may read all.
    assert error(await brit.decide("ada", id)) == (403, "PE-0002")  # Who may revoke does not decide.
    for outside in ("ben", "olu"):
        assert error(await brit.decide(outside, id)) == (404, "AP-0004")
        assert error(await brit.decide(outside, str(uuid4()))) == (404, "AP-0004")
    assert error(await brit.decide("ana", "not-an-id")) == (404, "AP-0004")


async def test_a_decision_stands_in_the_query_and_nowhere_else(brit: Brit) -> None:
    made = await brit.ask()

    for query in ("", "?approveRequest=", "?approveRequest=YES", "?approveRequest=maybe"):
        answer = await brit.call("ana", "PATCH", f"{V1}/{made['requestId']}{query}", {"approveRequest": "yes"})
        assert error(answer) == (400, "E1003")
        assert "approveRequest" in answer.json()["details"]


async def test_a_level_that_wants_evidence_is_not_approved_here(brit: Brit) -> None:
    quorum = {"n": 1, "requirePassword": True, "members": [{"user": "@ana"}]}
    workflow = await brit.story.workflow({"order": 1, "name": "Proof", "quorum": quorum})
    sealed = await brit.thing("profile", "Sealed", "sealed", workflow=workflow)
    await brit.thing("environment", "Production", "prod", sealed)
    made = await brit.ask(thing="sealed/prod")

    assert error(await brit.decide("ana", made["requestId"])) == (403, "PE-0028")
    await brit.decided("ana", made["requestId"], "no")  # Rejecting wants none.


async def test_whoever_asked_withdraws_and_nobody_else(brit: Brit) -> None:
    made = await brit.ask()
    id = made["requestId"]
    assert error(await brit.call("ana", "DELETE", f"{V1}/{id}")) == (403, "PE-0002")
    assert error(await brit.call("ben", "DELETE", f"{V1}/{id}")) == (404, "AP-0004")
    assert error(await brit.call("olu", "DELETE", f"{V1}/{id}")) == (404, "AP-0004")

    answer = await brit.call("rhea", "DELETE", f"{V1}/{id}")

    assert (answer.status_code, answer.content) == (204, b"")
    shown = await brit.read(id)
    assert shown["status"] == "CANCELLED"
    assert not {"actionBy", "approverComment", "expirationTimeApproval"} & set(shown)
    assert error(await brit.call("rhea", "DELETE", f"{V1}/{id}")) == (409, "AP-0009")
    assert error(await brit.decide("ana", id)) == (409, "AP-0009")


async def test_a_request_is_withdrawn_by_what_it_asks_for(brit: Brit) -> None:
    for thing, consumer, other in (
        (PROD, "papservice", "resourceprofile"),
        (SERVER, "resourceprofile", "papservice"),
    ):
        made = await brit.ask(thing=thing)
        path = f"{V1}/consumer/{{}}/resource?resourceId={thing}"
        for wrong in (other, "secretmanager", "nothing"):
            assert error(await brit.call("rhea", "DELETE", path.format(wrong))) == (404, "AP-0004")
        for nobodys in ("ana", "olu"):
            assert error(await brit.call(nobodys, "DELETE", path.format(consumer))) == (404, "AP-0004")
        assert (await brit.call("rhea", "DELETE", path.format(consumer))).status_code == 204
        assert (await brit.read(made["requestId"]))["status"] == "CANCELLED"
        assert error(await brit.call("rhea", "DELETE", path.format(consumer))) == (404, "AP-0004")
    none = f"{V1}/consumer/papservice/resource?resourceId=None/None"
    assert error(await brit.call("rhea", "DELETE", none)) == (404, "AP-0004")
    assert error(await brit.call("rhea", "DELETE", f"{V1}/consumer/papservice/resource")) == (400, "E1003")


async def test_what_was_given_is_taken_back_by_who_may(brit: Brit) -> None:
    made = await brit.ask()
    id = made["requestId"]
    said = {"approvals": [id], "revokerComment": "enough", "killSession": True}
    assert error(await brit.call("ada", "POST", f"{V1}/revoke", said)) == (409, "AP-0009")  # Not approved yet.
    await brit.decided("ana", id)
    for who, no in (("ana", (403, "PE-0002")), ("ben", (404, "AP-0004")), ("olu", (404, "AP-0004"))):
        assert error(await brit.call(who, "POST", f"{V1}/revoke", said)) == no
        assert error(await brit.decide(who, id, "revoke")) == no

    assert (await brit.call("ada", "POST", f"{V1}/revoke", said)).status_code == 202

    shown = await brit.read(id)
    assert (shown["status"], shown["actionBy"]) == ("REVOKED", "ana@acme.example")
    assert error(await brit.call("ada", "POST", f"{V1}/revoke", said)) == (409, "AP-0009")


async def test_all_is_taken_back_or_nothing(brit: Brit) -> None:
    first, second = await brit.ask(), await brit.ask(thing=TEST)
    await brit.decided("ana", first["requestId"])

    both = {"approvals": [first["requestId"], second["requestId"]], "revokerComment": "enough"}
    assert error(await brit.call("ada", "POST", f"{V1}/revoke", both)) == (409, "AP-0009")

    assert (await brit.read(first["requestId"]))["status"] == "APPROVED"
    for kill, status in (("perhaps", 400), ("", 204)):
        answer = await brit.decide("ada", f"{first['requestId']}", f"revoke&killSession={kill}" if kill else "revoke")
        assert answer.status_code == status, answer.text
    assert (await brit.read(first["requestId"]))["status"] == "REVOKED"


async def test_a_revocation_says_what_and_why(brit: Brit) -> None:
    for body in (
        {},
        {"approvals": [], "revokerComment": "x"},
        {"approvals": ["x"]},
        {"approvals": ["x"], "revokerComment": ""},
        {"approvals": ["x"], "revokerComment": "x" * 256},
        {"approvals": "x", "revokerComment": "x"},
        b"[",
    ):
        assert error(await brit.call("ada", "POST", f"{V1}/revoke", body)) == (400, "E1003")


async def test_an_approval_is_read_by_whoever_has_to_do_with_it(brit: Brit) -> None:
    made = await brit.ask()
    id = made["requestId"]

    for who in ("rhea", "ana", "rita", "ada"):
        assert (await brit.read(id, who))["requestId"] == id
    for who in ("ben", "olu"):
        assert error(await brit.call(who, "GET", f"{V1}/{id}")) == (404, "AP-0004")
    for path in (f"{id}?requestType={{}}", f"{id}/requestType={{}}", f"{id}/requestType={{}}/"):
        for who, kind, status in (
            ("rhea", "myRequests", 200),
            ("rhea", "myApprovals", 404),
            ("ana", "myApprovals", 200),
            ("ana", "%20myApprovals%20", 200),
            ("ana", "myRequests", 404),
            ("ada", "myApprovals", 404),
            ("olu", "myRequests", 404),
            ("ana", "theirApprovals", 400),
        ):
            answer = await brit.call(who, "GET", f"{V1}/{path.format(kind)}")
            assert answer.status_code == status, (path, who, kind, answer.text)
    await brit.decided("ana", id)
    assert (await brit.get("ana", f"{V1}/{id}?requestType=myApprovals"))["status"] == "APPROVED"


async def test_asking_twice_is_told_apart_from_having_it_already(brit: Brit) -> None:
    made = await brit.ask()
    assert error(await brit.call("rhea", "POST", asking(PROD), {"justification": "again"})) == (400, "MA-0011")
    await brit.decided("ana", made["requestId"])

    again = await brit.call("rhea", "POST", asking(PROD), {"justification": "again"})

    assert (again.status_code, again.content) == (204, b"")
    brit.clock.passes(minutes=30)
    assert (await brit.ask())["requestId"] != made["requestId"]


async def test_what_no_workflow_governs_is_decided_by_who_may_approve(brit: Brit) -> None:
    made = await brit.ask(thing=ROOT)

    assert (made["validFor"], made["validForInDays"]) == (60, False)  # As long as the tenant usually gives.
    assert error(await brit.decide("ana", made["requestId"])) == (404, "AP-0004")
    await brit.decided("ada", made["requestId"])


async def test_an_asking_is_refused_with_the_code_for_what_it_lacks(brit: Brit) -> None:
    strict = await brit.thing("profile", "Strict", "strict", approval={"justification": "required"})
    await brit.thing("environment", "Production", "prod", strict)
    cases: list[tuple[Any, str]] = [
        ({"justification": None}, "AS-0001"),
        ({"justification": "  "}, "AS-0001"),
        (b"", "AS-0001"),
        ({"justification": 7}, "AS-0002"),
        ({"justification": "x" * 4001}, "AS-0002"),
        ({"justification": "x", "ticketId": "OPS-7"}, "AS-0004"),
        ({"justification": "x", "ticketType": "jira"}, "AS-0005"),
        (b"{", "E1003"),
    ]
    for body, code in cases:
        assert error(await brit.call("rhea", "POST", asking("strict/prod"), body)) == (400, code)
    await brit.ask(thing="strict/prod", ticketId="OPS-7", ticketType="jira")


async def test_what_is_not_offered_cannot_be_asked_for(brit: Brit) -> None:
    for thing in ("admin/nothing", "nothing/prod", "admin/server-1", "root/server-9"):
        assert error(await brit.call("rhea", "POST", asking(thing), {"justification": "x"})) == (404, "AP-0004")
    path = asking(SERVER).replace("server-1", "prod")  # An environment is no resource in a profile.
    assert error(await brit.call("rhea", "POST", path, {"justification": "x"})) == (404, "AP-0004")
    assert error(await brit.call("olu", "POST", asking(PROD), {"justification": "x"})) == (404, "AP-0004")


def seconds(since: str, until: str) -> float:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()
