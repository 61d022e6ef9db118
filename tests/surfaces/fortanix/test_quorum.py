"""Nested quorums over HTTP. Source: Fortanix contract §3."""

from itertools import chain, combinations
from typing import Any

import pytest

from quorate.app.declare import Problems
from tests.surfaces.fortanix.story import Story

APPROVERS = ("ana", "ben", "cyd", "signer")
SUBSETS = tuple(chain.from_iterable(combinations(APPROVERS, size) for size in range(5)))


def suffices(subset: tuple[str, ...]) -> bool:
    """The contract's algebra by hand: two of Ana, (Ben or Cyd), the app."""
    return ("ana" in subset) + ("ben" in subset or "cyd" in subset) + ("signer" in subset) >= 2


async def test_the_nested_quorum_of_the_contract_is_right_for_all_sixteen_subsets_of_its_approvers(
    story: Story,
) -> None:
    right = {}
    for subset in SUBSETS:
        id = (await story.ask())["request_id"]
        status = "PENDING"
        for who in subset:
            answer = await story.approve(who, id)
            assert answer.status_code == (200 if status == "PENDING" else 409), (subset, who, answer.text)
            status = (await story.read("rhea", id))["status"]
        right[subset] = status

    assert len(right) == 16
    assert right == {subset: "APPROVED" if suffices(subset) else "PENDING" for subset in SUBSETS}
    assert [subset for subset in SUBSETS if len(subset) == 2 and suffices(subset)] == [
        ("ana", "ben"),
        ("ana", "cyd"),
        ("ana", "signer"),
        ("ben", "signer"),
        ("cyd", "signer"),
    ]


async def test_it_is_approved_at_the_first_moment_that_the_quorum_is_met(story: Story) -> None:
    id = (await story.ask())["request_id"]

    first, second = await story.approve("ben", id), await story.approve("signer", id)

    assert (first.json()["status"], second.json()["status"]) == ("PENDING", "APPROVED")
    assert second.json()["approvers"] == [{"user": str(story.ids["ben"])}, {"app": str(story.ids["signer"])}]


async def policy(story: Story, quorum: dict[str, Any]) -> str:
    """An operation under this policy, and a request for it."""
    await story.apply(
        workflows=[story.workflow("Own", quorum)],
        operations=[story.operation("crypto/v1/own", "Own", {"status": 200, "body": {}})],
    )
    return str((await story.ask(operation="crypto/v1/own"))["request_id"])


@pytest.mark.parametrize(("overlap", "status"), [(True, "APPROVED"), (False, "PENDING")])
async def test_somebody_in_two_quorums_counts_in_each_where_the_policy_says_overlap(
    story: Story, overlap: bool, status: str
) -> None:
    ana, ben, cyd = (story.login(who) for who in ("ana", "ben", "cyd"))
    members = [{"n": 1, "members": [{"user": ana}, {"user": ben}]}, {"n": 1, "members": [{"user": ana}, {"user": cyd}]}]
    id = await policy(story, {"n": 2, "overlap": overlap, "members": members})

    answer = await story.approve("ana", id)

    assert answer.json()["status"] == status


async def test_an_app_and_its_owner_are_one_person(story: Story) -> None:
    owned = story.service("signer", owner=story.login("ana"))
    await story.apply(services=[owned])
    id = (await story.ask())["request_id"]

    assert (await story.approve("ana", id)).json()["status"] == "PENDING"
    again = await story.approve("signer", id)

    assert (again.status_code, again.text) == (409, "You have reviewed this approval request already")


async def test_an_app_owned_by_the_requester_is_refused_like_the_requester(story: Story) -> None:
    await story.apply(services=[story.service("signer", owner=story.login("rhea"))])
    id = (await story.ask())["request_id"]

    assert (await story.approve("signer", id)).status_code == 403


async def test_reviewers_are_the_distinct_leaves_and_all_that_any_quorum_above_them_requires(story: Story) -> None:
    ana, ben = story.login("ana"), story.login("ben")
    inner = {"n": 1, "requirePassword": True, "members": [{"user": ana}, {"user": ben}]}
    other = {"n": 1, "requireSecondFactor": True, "members": [{"user": ana}]}
    id = await policy(story, {"n": 2, "overlap": True, "members": [inner, other, {"service": "signer"}]})

    shown = (await story.read("rhea", id))["reviewers"]

    assert shown == [
        {"user": str(story.ids["ana"]), "requires_password": True, "requires_2fa": True},
        {"user": str(story.ids["ben"]), "requires_password": True, "requires_2fa": False},
        {"app": str(story.ids["signer"])},
    ]


async def test_a_policy_that_changes_later_does_not_touch_an_open_request(story: Story) -> None:
    id = (await story.ask())["request_id"]
    await story.apply(workflows=[story.workflow("Custodians", {"n": 1, "members": [{"user": story.login("cyd")}]})])

    assert (await story.approve("cyd", id)).json()["status"] == "PENDING"
    later = (await story.ask())["request_id"]
    assert (await story.approve("cyd", later)).json()["status"] == "APPROVED"


async def test_a_policy_that_makes_no_sense_is_refused_when_it_is_written(story: Story) -> None:
    ana: dict[str, Any] = {"user": story.login("ana")}
    deep = ana
    for _ in range(6):
        deep = {"n": 1, "members": [deep]}
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"n": 0, "members": [ana]}, "must be at least 1"),
        ({"n": 2, "members": [ana]}, "must be at most 1"),
        ({"n": 1, "members": []}, "at least one member"),
        ({"n": 1, "members": [ana, ana]}, "only once"),
        ({"n": 1, "requirePassword": True, "members": [{"service": "signer"}]}, "a service cannot give"),
        ({"n": 1, "members": [{"user": story.login("olu")}]}, "there is no user"),
        (deep, "at most 5 levels"),
    )

    for quorum, problem in refused:
        with pytest.raises(Problems) as problems:
            await policy(story, quorum)
        assert any(problem in line for line in problems.value.lines()), (problem, [*problems.value.lines()])
