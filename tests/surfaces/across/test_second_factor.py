"""A decision that demands a second factor is impossible without it on every surface there is."""

from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from msgspec import Struct

from quorate.app.verify.jwk import base64url
from tests.app.directory import PASSWORD, a_service
from tests.surfaces.across.faces import APPROVALS, REQUESTS, Asked
from tests.surfaces.across.test_pairs import FILINGS, everybody_sees
from tests.surfaces.across.world import World
from tests.surfaces.native.step_up import a_passkey
from tests.surfaces.native.story import Body
from tests.surfaces.sailpoint.calls import add_key

LOOKS_RIGHT: Final = {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "clientExtensionResults": {}} | {
    "response": {"clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA"}
}
FOR_FORTANIX: Final = {name: LOOKS_RIGHT[name] for name in ("id", "type", "response")}
ANYTHING: Final = {
    "reasoning": "sure",
    "comment": "sure",
    "approverComment": "sure",
    "password": PASSWORD,
    "otp": "123456",
    "evidence": {"password": PASSWORD, "webauthn": LOOKS_RIGHT},
    "fido2_auth_request": FOR_FORTANIX,
}


class Attempt(Struct, frozen=True):
    """A way to have it approved, and how it must be answered where requests of its kind are known; else: 404."""

    face: str
    who: str
    method: str
    path: str
    body: Any = None
    status: int = 403


def attempts() -> list[Attempt]:
    """List every way there is to approve, for Ana, who may; for Ben, to whom she lends her say; for Ada, who is an
    administrator; and for a program that passes decisions on.
    """
    decide, approve = "/api/v1/approvals/{task}/decide", {"decision": "approve"}
    given = [{"password": PASSWORD}, {"totp": "123456"}, {"webauthn": LOOKS_RIGHT}]
    found = [Attempt("native", "ana", "POST", decide, approve | {"evidence": one}) for one in (None, {}, *given)]
    found += [Attempt("fortanix", "ana", "POST", f"{REQUESTS}/{{id}}/approve", body) for body in ({}, {"body": True})]
    found += [
        Attempt("fortanix", "ana", "POST", f"{REQUESTS}/{{id}}/approve", {"password": PASSWORD}),
        Attempt("fortanix", "ana", "POST", f"{REQUESTS}/{{id}}/approve", {"fido2_auth_request": FOR_FORTANIX}, 401),
        Attempt("sailpoint", "clerk", "POST", f"{APPROVALS}/{{id}}/approve", {"overrideApproverID": "{ana}"}),
        Attempt("sailpoint", "ada", "POST", f"{APPROVALS}/bulk-approve", {"approvalIds": ["{id}"]}, 202),
        Attempt("override", "ada", "POST", "/api/v1/access-requests/{id}/approve", {}),
        Attempt("override", "ada", "POST", "/api/v1/access-requests/{id}/approve", {"evidence": given[0]}),
    ]
    for who in ("ana", "ben", "ada"):
        found += [
            Attempt("native", who, "POST", decide, approve),
            Attempt("fortanix", who, "POST", f"{REQUESTS}/{{id}}/approve"),
        ]
        for body in (None, ANYTHING):
            found += [
                Attempt("britive", who, "PATCH", "/api/v1/approvals/{id}?approveRequest=yes", body),
                Attempt("jitsudo", who, "POST", "/v1/requests/{id}/approve", body),
                Attempt("sailpoint", who, "POST", f"{APPROVALS}/{{id}}/approve", body),
            ]
    return found


def demanding(*members: str) -> Body:
    quorum = {"n": 1, "members": [{"user": one} for one in members], "requireSecondFactor": True}
    return {"order": 1, "name": "Sure", "quorum": quorum}


@FILINGS
@pytest.mark.parametrize("members", [("@ana",), ("@ana", "@ada")], ids=["ada-administers", "ada-approves"])
async def test_no_surface_lets_an_approval_pass_without_its_second_factor(
    world: World, face: str, kind: str, members: tuple[str, ...]
) -> None:
    await world.settle(demanding(*members))
    await everybody_is_ready(world)
    asked = await world.ask(face, kind)
    before = await world.history(asked)

    for attempt in attempts():
        answer = await tried(world, attempt, asked)
        assert answer.status_code == expected(world, attempt, kind, members), (attempt, answer.text)
        assert await world.history(asked) == before, attempt
    await everybody_sees(world, asked, "pending")
    assert await world.given(asked) == (0, 0)


@FILINGS
@pytest.mark.parametrize("asked_by", ["native", "fortanix"])
@pytest.mark.parametrize("shown_to", ["native", "fortanix"])
async def test_with_its_second_factor_it_passes_where_there_is_a_place_for_one(
    world: World, face: str, kind: str, asked_by: str, shown_to: str
) -> None:
    await world.settle(demanding("@ana"))
    key = await a_passkey(world.story, "ana")
    asked, other = await world.ask(face, kind), await world.ask(face, kind)

    assertion = key.sign(base64url(await challenge(world, asked_by, asked)))
    elsewhere = await show(world, shown_to, other, assertion)
    here = await show(world, shown_to, asked, assertion)

    assert elsewhere.status_code == (403 if shown_to == "native" else 401)  # It was signed for one request.
    assert here.status_code == 200, here.text
    await everybody_sees(world, other, "pending")
    await everybody_sees(world, asked, "approved", "ana")
    assert [(one.type, one.surface) for one in (await world.history(asked))[2:]] == [
        ("Decided", shown_to),
        ("Closed", shown_to),
    ]


@FILINGS
async def test_rejecting_demands_none_anywhere(world: World, face: str, kind: str) -> None:
    await world.settle(demanding("@ana"))
    for decider in world.knowing(kind):
        asked = await world.ask(face, kind)

        answer = await decider.reject("ana", asked)

        assert answer.is_success, (decider.name, answer.text)
        await everybody_sees(world, asked, "rejected", "ana")


async def everybody_is_ready(world: World) -> None:
    """Give Ana and Ada security keys, lend Ana's say to Ben, and make a program that may pass on what others decide."""
    story, at = world.story, world.clock()
    for who in ("ana", "ada"):
        await a_passkey(story, who)
    span = {"startsAt": (at - timedelta(hours=1)).isoformat(), "endsAt": (at + timedelta(hours=1)).isoformat()}
    await story.post("ana", "/delegations", {"to": str(story.ids["ben"]), **span}, 201)
    await add_key(story, "clerk", await a_service(story.db, story.tenant, permissions=["act:for", "workflow:read"]))


async def tried(world: World, attempt: Attempt, asked: Asked) -> httpx.Response:
    world.clock.passes(seconds=1)
    names = {"{id}": asked.id, "{task}": asked.task, "{ana}": str(world.story.ids["ana"])}
    path, body = attempt.path, attempt.body
    for name, value in names.items():
        path = path.replace(name, value)
    if isinstance(body, dict):
        body = {
            key: [names.get(one, one) for one in value] if isinstance(value, list) else names.get(str(value), value)
            for key, value in body.items()
        }
    face = world.faces.get(attempt.face, world.faces["native"])
    return await face.send(attempt.who, attempt.method, path, body)


def expected(world: World, attempt: Attempt, kind: str, members: tuple[str, ...]) -> int:
    """Say with which status it must be refused; natively, other people's tasks are not there."""
    if attempt.face == "override":
        return 403 if kind == "access" else 404
    is_stranger = attempt.who == "ada" and "@ada" not in members
    if kind not in world.faces[attempt.face].knows or (attempt.face == "native" and is_stranger):
        return 404
    return attempt.status


async def challenge(world: World, face: str, asked: Asked) -> str:
    """Ask what to sign."""
    surface = world.faces[face]
    if face == "native":
        answer = await surface.send("ana", "POST", f"/api/v1/approvals/{asked.task}/challenge")
        return str(answer.json()["data"]["challenge"])
    answer = await surface.send("ana", "POST", f"{REQUESTS}/{asked.id}/challenge?protocol=fido2")
    return str(answer.json()["challenge"])


async def show(world: World, face: str, asked: Asked, assertion: Body) -> httpx.Response:
    """Approve with what was signed."""
    surface = world.faces[face]
    if face == "native":
        body = {"decision": "approve", "evidence": {"webauthn": assertion}}
        return await surface.send("ana", "POST", f"/api/v1/approvals/{asked.task}/decide", body)
    sent = {name: assertion[name] for name in ("id", "type", "response")} | {"get_client_extension_results": {}}
    return await surface.send("ana", "POST", f"{REQUESTS}/{asked.id}/approve", {"fido2_auth_request": sent})
