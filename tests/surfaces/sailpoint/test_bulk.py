"""Many approvals at once: for administrators alone, and never a word about what could not be done."""

from typing import Any
from uuid import uuid4

import pytest

from tests.surfaces.native.story import Story, by
from tests.surfaces.sailpoint.calls import CURRENT, V1, call, error, generic, shown

NOWHERE = "3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a"
WHAT = ("approve", "reject", "cancel", "reassign")


async def statuses(story: Story, ids: list[str]) -> list[str]:
    return [(await shown(story, "rhea", id))["status"] for id in ids]


@pytest.mark.parametrize(("what", "status"), [("approve", "APPROVED"), ("reject", "REJECTED"), ("cancel", "CANCELLED")])
async def test_what_can_be_done_is_done_and_nobody_is_told_the_rest(story: Story, what: str, status: str) -> None:
    ids = [await generic(story) for _ in range(3)]
    await call(story, "ada", "POST", f"{ids[2]}/cancel")
    own = await generic(story, about="ada")
    body = {"approvalIds": [ids[0], ids[0], NOWHERE, "x", ids[2], own, ids[1]], "comment": "all of it"}

    answer = await call(story, "ada", "POST", f"bulk-{what}", body)

    assert (answer.status_code, answer.json()) == (202, {})
    assert await statuses(story, ids) == [status, status, "CANCELLED"]
    assert [one["comment"] for one in (await shown(story, "rhea", ids[0]))["comments"]] == ["all of it"]
    assert (await shown(story, "ana", own))["status"] == ("CANCELLED" if what == "cancel" else "PENDING")


async def test_what_one_approver_holds_goes_to_another(story: Story) -> None:
    ids = [await generic(story), await generic(story, by("ben"))]
    ana, cyd = str(story.ids["ana"]), str(story.ids["cyd"])

    body = {"approvalIds": [*ids, NOWHERE], "reassignFrom": ana, "reassignTo": cyd, "comment": "away"}
    answer = await call(story, "ada", "POST", "bulk-reassign", body)

    assert (answer.status_code, answer.json()) == (202, {})
    holders = [[one["identityID"] for one in (await shown(story, "rhea", id))["assignedTo"]] for id in ids]
    assert holders == [[cyd], [str(story.ids["ben"])]]


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("path", CURRENT)
async def test_nobody_else_may_not_even_for_their_own(story: Story, path: str, what: str) -> None:
    id = await generic(story)
    body = {"approvalIds": [id], "reassignFrom": str(story.ids["ana"]), "reassignTo": str(story.ids["ben"])}

    for who in ("ana", "rhea", "rita"):
        assert error(await call(story, who, "POST", f"{path}/bulk-{what}", body))[0] == 403
    assert (await call(story, "olu", "POST", f"{path}/bulk-{what}", body)).status_code == 202
    assert (await shown(story, "ana", id))["status"] == "PENDING"
    assert [one["identityID"] for one in (await shown(story, "ana", id))["assignedTo"]] == [body["reassignFrom"]]


@pytest.mark.parametrize("what", WHAT)
async def test_fifty_are_the_most_and_one_the_least(story: Story, what: str) -> None:
    people = {"reassignFrom": str(story.ids["ana"]), "reassignTo": str(story.ids["ben"])}
    bad: list[Any] = [[], [str(uuid4()) for _ in range(51)], "x", [1], None]
    for ids in bad:
        assert error(await call(story, "ada", "POST", f"bulk-{what}", {"approvalIds": ids} | people))[0] == 400
    nothing: tuple[Any, ...] = ({}, None, b"{")
    for body in nothing:
        assert error(await call(story, "ada", "POST", f"bulk-{what}", body))[0] == 400
    fifty = {"approvalIds": [str(uuid4()) for _ in range(50)]} | people
    assert (await call(story, "ada", "POST", f"bulk-{what}", fifty)).status_code == 202


async def test_a_bulk_reassignment_names_people(story: Story) -> None:
    for wrong in ("reassignFrom", "reassignTo"):
        people = {"reassignFrom": str(story.ids["ana"]), "reassignTo": str(story.ids["ben"])} | {wrong: "x"}
        body = {"approvalIds": [NOWHERE]} | people
        assert error(await call(story, "ada", "POST", f"{V1}/bulk-reassign", body))[0] == 400
