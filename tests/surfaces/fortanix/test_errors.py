"""What goes wrong, in the vendor's shape. Source: Fortanix contract §5, §7."""

from typing import Any
from uuid import uuid4

import httpx

from tests.surfaces.fortanix.story import REQUESTS, SIGN, Story

ACTS = ("GET", ""), ("DELETE", ""), ("POST", "/approve"), ("POST", "/deny"), ("POST", "/challenge"), ("POST", "/result")


def said(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "text/plain"
    assert answer.text
    return answer.status_code, answer.text


async def test_what_is_not_there_and_what_one_may_not_know_of_are_answered_alike(story: Story) -> None:
    id = (await story.ask())["request_id"]
    own = (await story.ask("ben", operation="crypto/v1/fail"))["request_id"]
    await story.deny("ana", own)

    unknown = (404, "The approval request does not exist")
    for method, act in ACTS:
        for who, path in (
            ("rhea", str(uuid4())),
            ("rhea", "no-uuid"),
            ("rhea", id.replace("-", "")),
            ("olu", id),
            ("rhea", own),
            ("helper", own),
        ):
            assert said(await story.call(who, method, f"{REQUESTS}/{path}{act}")) == unknown, (who, method, act)
    assert (await story.call("rhea", "GET", f"{REQUESTS}/{id.upper()}")).json()["request_id"] == id


async def test_without_credentials_that_count_everything_is_a_401(story: Story) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eA=="}, {"X-API-Key": "x"}):
        for method, act in ACTS:
            answer = await story.call(None, method, f"{REQUESTS}/{uuid4()}{act}", headers=headers)
            assert said(answer)[0] == 401
            assert "www-authenticate" in answer.headers
        assert said(await story.call(None, "GET", REQUESTS, headers=headers))[0] == 401


async def test_who_is_no_reviewer_may_not_decide_and_who_is_no_requester_may_not_delete(story: Story) -> None:
    id = (await story.ask())["request_id"]

    for who in ("rhea", "rita"):
        assert said(await story.approve(who, id))[0] == 403
        assert said(await story.deny(who, id))[0] == 403
    for who in ("ana", "signer", "rita", "ada"):
        assert said(await story.call(who, "DELETE", f"{REQUESTS}/{id}")) == (403, "Only the requester may do this")


async def test_who_has_reviewed_may_not_review_again(story: Story) -> None:
    id = (await story.ask())["request_id"]
    await story.approve("ana", id)

    for again in (await story.approve("ana", id), await story.deny("ana", id)):
        assert said(again) == (409, "You have reviewed this approval request already")
    assert (await story.read("rhea", id))["approvers"] == [{"user": str(story.ids["ana"])}]


async def test_nothing_is_decided_about_what_is_over(story: Story) -> None:
    for operation, status in (("sign", "APPROVED"), ("fail", "FAILED"), ("sign", "DENIED")):
        id = (await story.ask(operation=f"crypto/v1/{operation}"))["request_id"]
        if status == "DENIED":
            await story.deny("ana", id)
        else:
            for who in ("ana", "ben"):
                await story.approve(who, id)

        assert (await story.read("rhea", id))["status"] == status
        for answer in (await story.approve("cyd", id), await story.deny("cyd", id)):
            assert said(answer)[0] == 409, status


async def test_a_result_is_for_the_requester_and_only_once_there_is_one(story: Story) -> None:
    id = (await story.ask())["request_id"]

    assert said(await story.call("rhea", "POST", f"{REQUESTS}/{id}/result")) == (409, "There is no result to fetch")
    for who in ("ana", "rita"):
        assert said(await story.call(who, "POST", f"{REQUESTS}/{id}/result"))[0] == 403
    await story.deny("ana", id)
    assert said(await story.call("rhea", "POST", f"{REQUESTS}/{id}/result"))[0] == 409


async def test_an_operation_nobody_knows_is_a_404_and_makes_nothing(story: Story) -> None:
    for more in ({"operation": "crypto/v1/melt"}, {"method": "DELETE"}, {"method": "BREW"}):
        assert said(await story.call("rhea", "POST", REQUESTS, SIGN | more))[0] == 404
    assert await story.listed("rhea") == []


async def test_what_needs_no_approval_is_a_400_and_makes_nothing(story: Story) -> None:
    """It is one of our own operations, and nothing says that it needs approval."""
    own = {"operation": f"/api/v1/workflows/{uuid4()}", "method": "DELETE"}

    assert said(await story.call("ada", "POST", REQUESTS, own)) == (400, "This operation needs no approval")
    assert await story.listed("ada") == []


BAD_REQUESTS: tuple[Any, ...] = (
    b"{",
    b"[]",
    b'"text"',
    b"",
    b"\xff",
    {"body": 1},
    {"operation": ""},
    {"operation": 7},
    {"operation": "x", "method": ["POST"]},
    {"operation": "x", "description": {}},
    {"operation": "x", "body": "\0"},
    {"operation": "x" * 3000},
)
BAD_APPROVALS: tuple[Any, ...] = (
    b"{",
    b"[]",
    {"password": 7},
    {"u2f": {"keyHandle": "a"}},
    {"u2f": {"keyHandle": "AAAA", "signatureData": "%", "clientData": "AAAA"}},
    {"fido2_auth_request": {"id": "AAAA", "type": "public-key"}},
    {"fido2_auth_request": {"id": "AAAA", "type": "password", "response": {}}},
)


async def test_a_request_that_does_not_fit_is_a_400(story: Story) -> None:
    for body in BAD_REQUESTS:
        assert said(await story.call("rhea", "POST", REQUESTS, body))[0] == 400, body
    assert await story.listed("rhea") == []


async def test_an_approval_that_does_not_fit_is_a_400_and_counts_as_none(story: Story) -> None:
    id = (await story.ask())["request_id"]

    for body in BAD_APPROVALS:
        assert said(await story.approve("ana", id, body))[0] == 400, body
    assert (await story.read("rhea", id))["approvers"] == []


async def test_two_second_factors_at_once_are_a_400(story: Story) -> None:
    id = (await story.ask())["request_id"]
    response = {"clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA"}
    u2f = {"keyHandle": "AAAA", "signatureData": "AAAA", "clientData": "AAAA"}
    both = {"u2f": u2f, "fido2_auth_request": {"id": "AAAA", "type": "public-key", "response": response}}

    assert said(await story.approve("ana", id, both))[0] == 400


async def test_a_body_over_a_megabyte_or_too_deep_is_a_400(story: Story) -> None:
    deep = b'{"operation": "x", "body": ' + b"[" * 70 + b"]" * 70 + b"}"

    for body in (SIGN | {"body": "x" * 1_000_001}, deep):
        assert said(await story.call("rhea", "POST", REQUESTS, body))[0] == 400


async def test_unknown_paths_and_wrong_methods_are_answered_in_the_vendors_shape(story: Story) -> None:
    for who in ("rhea", None):
        assert said(await story.call(who, "GET", "/sys/v1/keys"))[0] == 404
        assert said(await story.call(who, "GET", "/sys"))[0] == 404
        wrong = await story.call(who, "PUT", REQUESTS)
        assert said(wrong)[0] == 405
        assert wrong.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_a_protected_operation_called_directly_says_so_and_only_where_it_is_protected(story: Story) -> None:
    refused = (403, "This operation requires approval")
    for who in ("rhea", "signer", "ana"):
        assert said(await story.call(who, "POST", "/crypto/v1/sign", {"hash": "c2hhMjU2"})) == refused
    for who, method, path in (
        ("olu", "POST", "/crypto/v1/sign"),
        ("rhea", "GET", "/crypto/v1/sign"),
        ("rhea", "POST", "/crypto/v1/melt"),
        ("rhea", "POST", "/crypto"),
    ):
        assert said(await story.call(who, method, path))[0] == 404, (who, method, path)
    assert said(await story.call(None, "POST", "/crypto/v1/sign"))[0] == 404
    wrong = await story.call(None, "POST", "/crypto/v1/sign", headers={"Authorization": "Bearer x"})
    assert said(wrong)[0] == 401
    assert await story.listed("rhea") == []


async def test_a_tenant_header_may_only_agree(story: Story) -> None:
    for tenant, status in ((story.tenant, 200), (story.elsewhere, 403), ("x", 400)):
        answer = await story.call("rhea", "GET", REQUESTS, headers={"X-Tenant-ID": str(tenant)})
        assert answer.status_code == status
