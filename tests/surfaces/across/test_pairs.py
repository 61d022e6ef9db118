"""Whatever surface a request is filed on and whatever surface it is decided on, all say the same of it afterwards."""

import asyncio
from itertools import cycle
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from quorate import wiring
from tests.surfaces.across.faces import FACES, Asked, Face, absent
from tests.surfaces.across.world import World, Written, filings
from tests.surfaces.native.story import by, by_security

FILINGS = pytest.mark.parametrize(("face", "kind"), [*filings()])
EXPECTED = {  # how it ends, the events that end it, and how the native history tells them
    "approve": ("approved", ["Decided", "Closed"], "approved"),
    "reject": ("rejected", ["Decided", "Closed"], "rejected"),
    "cancel": ("cancelled", ["Closed"], "cancelled"),
}


def test_every_surface_there_is_stands_in_the_table() -> None:
    assert {face.name for face in FACES} == set(wiring.SURFACES)


@FILINGS
@pytest.mark.parametrize("how", EXPECTED)
async def test_one_decision_is_told_alike_everywhere_whatever_surface_it_was_made_on(
    world: World, face: str, kind: str, how: str
) -> None:
    await world.settle()
    status, events, told = EXPECTED[how]
    written: list[list[dict[str, Any]]] = []
    for decider in world.knowing(kind):
        asked = await world.ask(face, kind)
        await everybody_sees(world, asked, "pending")
        who = decider.may_cancel if how == "cancel" else "ana"
        note = None if how == "cancel" or (how == "approve" and decider.name == "fortanix") else f"By {decider.name}"

        answer = await act(decider, how, who, asked, note)

        assert answer.is_success, (decider.name, answer.text)
        await everybody_sees(world, asked, status, who, note)
        assert await world.given(asked) == ((kind == "access", kind == "operation") if how == "approve" else (0, 0))
        assert await world.executions(asked) == [("step_started", 1, None, None), (told, 1, who, note)]
        filed, opened, *ended = await world.history(asked)
        assert [(one.type, one.actor, one.surface) for one in (filed, opened)] == [
            ("Submitted", "rhea", face),
            ("StepOpened", "rhea", face),
        ]
        if decider.name == "fortanix" and how == "cancel":
            assert ended.pop()[:3] == ("Discarded", who, "fortanix")  # Whoever deletes it sees it no more.
        assert [(one.type, one.actor, one.surface) for one in ended] == [(type, who, decider.name) for type in events]
        assert [one.body.get("note") for one in ended] == [note] * len(ended)
        written.append([alike(one) for one in ended])
        await nobody_changes_it(world, asked)
    assert written == written[:1] * len(written)


@FILINGS
async def test_time_ends_a_request_alike_everywhere_whoever_notices(world: World, face: str, kind: str) -> None:
    await world.settle()
    late = [(decider, await world.ask(face, kind)) for decider in world.knowing(kind)]
    world.clock.passes(hours=72)
    for decider, asked in late:
        world.clock.passes(seconds=10)
        refused = await decider.approve("ana", asked)
        assert refused.status_code == CLOSED[decider.name], (decider.name, refused.text)
        await everybody_sees(world, asked, "expired")
        await nobody_changes_it(world, asked)
        opened, closed = (await world.history(asked))[1:]
        assert closed[:2] == ("Closed", None)
        assert closed.body == {"type": "Closed", "status": "expired", "cause": "time", "at": opened.body["due_at"]}
        assert await world.executions(asked) == [("step_started", 1, None, None), ("expired", 1, None, None)]
        assert await world.given(asked) == (0, 0)


@FILINGS
async def test_a_renamed_target_ends_a_request_alike_everywhere_whoever_notices(
    world: World, face: str, kind: str
) -> None:
    await world.settle()
    if kind == "operation":
        await world.have_operations_be_about(world.profile)
    for decider in world.knowing(kind):
        asked = await world.ask(face, kind)
        await world.rename(asked.thing if kind == "access" else world.profile)
        world.clock.passes(seconds=10)

        refused = await decider.approve("ana", asked)

        assert refused.status_code == CLOSED[decider.name], (decider.name, refused.text)
        for reader in world.faces.values():
            note = WHY if (reader.name, kind) == ("native", "access") else None  # The others have no place for it.
            told = reader.tells(asked, "cancelled", None, note)
            for one in ("rhea", "ana"):
                seen = await reader.look(one, asked)
                assert seen == (told if kind == "access" else replace(told, what=seen.what)), (reader.name, one)
        await nobody_changes_it(world, asked)
        closed = (await world.history(asked))[2]
        assert closed[:3] == ("Closed", None, None)
        assert (closed.body["status"], closed.body["cause"], closed.body["note"]) == (
            "cancelled",
            "target_changed",
            WHY,
        )
        assert await world.executions(asked) == [("step_started", 1, None, None), ("cancelled", 1, None, WHY)]
        assert await world.given(asked) == (0, 0)


WHY = "What was asked for has been renamed, moved or removed"
CLOSED = {"native": 409, "britive": 409, "jitsudo": 409, "sailpoint": 400, "fortanix": 404}


async def test_each_step_may_be_decided_on_another_surface(world: World) -> None:
    await world.settle(by("ana"), by("ben", 2))
    for first in world.knowing("access"):
        for second in world.knowing("access"):
            asked = await world.ask("native", "access")
            assert (await first.approve("ana", asked)).is_success
            asked = await world.again(asked)
            for reader in world.faces.values():
                assert (await reader.look("rhea", asked)).status == "pending", (first.name, reader.name)

            assert (await second.approve("ben", asked)).is_success

            for reader in world.faces.values():
                assert (await reader.look("rhea", asked)).status == "approved", (second.name, reader.name)
            assert [(one.type, one.actor, one.surface) for one in (await world.history(asked))[2:]] == [
                ("Decided", "ana", first.name),
                ("StepOpened", "ana", first.name),
                ("Decided", "ben", second.name),
                ("Closed", "ben", second.name),
            ]


@FILINGS
async def test_of_decisions_made_on_all_surfaces_at_once_one_counts(world: World, face: str, kind: str) -> None:
    await world.settle(by_security())
    deciders = world.knowing(kind)
    for first in range(len(deciders)):
        asked = await world.ask(face, kind)
        votes = [
            (decider, who, "approve" if (place + first) % 2 else "reject")
            for place, (decider, who) in enumerate(zip(deciders, cycle(("ana", "ben", "cyd")), strict=False))
        ]

        answers = await asyncio.gather(*(act(decider, how, who, asked) for decider, who, how in votes))

        [(won, who, how)] = [vote for vote, answer in zip(votes, answers, strict=True) if answer.is_success]
        status, events, _ = EXPECTED[how]
        await everybody_sees(world, asked, status, who)
        written = [(one.type, one.actor, one.surface) for one in (await world.history(asked))[2:]]
        assert written == [(type, who, won.name) for type in events]
        assert sum(await world.given(asked)) == (how == "approve")


@FILINGS
async def test_another_tenant_is_told_what_is_told_of_nothing(world: World, face: str, kind: str) -> None:
    await world.settle()
    asked = await world.ask(face, kind)
    before = await world.history(asked)

    for status in ("pending", "approved"):
        for surface in world.faces.values():
            world.clock.passes(seconds=10)
            nothing = absent(asked)
            for act in (surface.read, surface.approve, surface.reject, surface.cancel):
                of_ours, of_nothing = await act("olu", asked), await act("olu", nothing)
                assert said(of_ours, asked) == said(of_nothing, nothing), (surface.name, act.__name__)
                assert not of_ours.is_success
        assert await world.history(asked) == before, status
        await everybody_sees(world, asked, status, None if status == "pending" else "ana")
        assert (await world.faces["native"].approve("ana", asked)).is_success is (status == "pending")
        before = await world.history(asked)


async def act(face: Face, how: str, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
    match how:
        case "approve":
            return await face.approve(who, asked, note)
        case "reject":
            return await face.reject(who, asked, note)
        case _:
            return await face.cancel(who, asked)


async def everybody_sees(
    world: World, asked: Asked, status: str, who: str | None = None, note: str | None = None
) -> None:
    """Look at a request on every surface, as who asked for it and as who decides it."""
    for reader in world.faces.values():
        for one in ("rhea", "ana"):
            assert await reader.look(one, asked) == reader.tells(asked, status, who, note), (reader.name, one)


async def nobody_changes_it(world: World, asked: Asked) -> None:
    """Try to decide what is final, on every surface. Whatever that brings about, it is not another end."""
    for face in world.faces.values():
        for how in ("approve", "reject"):
            again = await act(face, how, "ana", asked)
            assert again.is_client_error, (face.name, how, again.text)
    assert [one.type for one in await world.history(asked)].count("Closed") == 1


def alike(one: Written) -> dict[str, Any]:
    """Leave out what differs by when, by whom and with which words it was done."""
    return {name: value for name, value in one.body.items() if name not in ("at", "note", "by")}


def said(answer: httpx.Response, about: Asked) -> tuple[int, str]:
    """Give what was answered; which request it was about, and the number of the call, left out."""
    text = answer.text.replace(about.id, "it").replace(about.task, "it")
    if answer.headers.get("content-type") == "application/json":
        body = answer.json()
        if isinstance(body, dict) and "trackingId" in body:
            text = text.replace(body["trackingId"], "")
    return answer.status_code, text
