"""The list: who sees what, and how it is filtered. Source: Fortanix contract §2, §7 rows 3, 4, 5, 11."""

from uuid import uuid4

import pytest

from quorate.surfaces.fortanix import requests
from tests.surfaces.fortanix.story import REQUESTS, Story


async def test_requesters_reviewers_and_auditors_see_it_and_nobody_else(story: Story) -> None:
    id = (await story.ask())["request_id"]

    for who in ("rhea", "ana", "ben", "cyd", "signer", "ada", "rita"):
        assert await story.listed(who) == [id], who
    assert await story.listed("olu") == []
    own = (await story.ask("ben", operation="crypto/v1/fail"))["request_id"]
    assert await story.listed("rhea") == [id]
    assert own in await story.listed("ben")


async def test_a_reviewer_sees_it_after_it_is_over_too(story: Story) -> None:
    id = (await story.ask())["request_id"]
    await story.deny("ana", id)

    for who in ("ana", "ben", "cyd", "signer"):
        assert await story.listed(who) == [id], who


async def test_the_newest_comes_first(story: Story) -> None:
    ids = []
    for _ in range(3):
        ids.append((await story.ask())["request_id"])
        story.clock.passes(seconds=1)

    assert await story.listed("ana") == ids[::-1]


async def test_filters_hold_together(story: Story) -> None:
    first, other = (await story.ask())["request_id"], (await story.ask("ben"))["request_id"]
    await story.deny("ana", other)
    rhea, ben, signer = (story.ids[who] for who in ("rhea", "ben", "signer"))

    for who in ("rita", "ana"):
        for query, expected in {
            f"?requester={rhea}": {first},
            f"?requester={str(ben).upper()}": {other},
            "?status=DENIED": {other},
            "?status=PENDING": {first},
            f"?status=PENDING&requester={ben}": set(),
            f"?reviewer={signer}": {first, other},
            f"?reviewer={rhea}": set(),
            f"?subject={story.vault}": {first, other},
            f"?subject={story.vault}&status=DENIED&reviewer={signer}&requester={ben}": {other},
            f"?subject={uuid4()}": set(),
            "?status=FAILED": set(),
        }.items():
            assert set(await story.listed(who, query)) == expected, (who, query)
    assert await story.listed("rhea", f"?requester={ben}") == []


async def test_a_filter_that_does_not_fit_is_a_400(story: Story) -> None:
    for query in ("status=pending", "status=EXPIRED", "requester=x", "reviewer=1", "subject=ana"):
        answer = await story.call("rhea", "GET", f"{REQUESTS}?{query}")
        assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain"), query


async def test_a_filter_finds_what_is_older_than_the_longest_list(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MOST", 2)
    monkeypatch.setattr(requests, "_PAGE", 2)
    await story.apply(
        workflows=[story.workflow("Ana", {"n": 1, "members": [{"user": story.login("ana")}]})],
        operations=[story.operation("crypto/v1/own", "Ana", {"status": 200}, resource=None)],
    )
    first = (await story.ask())["request_id"]
    story.clock.passes(seconds=1)
    denied = [(await story.ask(operation="crypto/v1/own"))["request_id"] for _ in range(3)]
    for id in denied:
        await story.deny("ana", id)

    for who in ("rita", "rhea", "ana"):
        assert len(await story.listed(who)) == 2
        assert await story.listed(who, "?status=PENDING") == [first]
        assert await story.listed(who, f"?subject={story.vault}") == [first]
        assert await story.listed(who, f"?reviewer={story.ids['signer']}") == [first]


async def test_a_list_longer_than_a_page_of_ours_is_whole(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_PAGE", 2)
    ids = {(await story.ask())["request_id"] for _ in range(5)}

    for who in ("rita", "rhea", "ana"):
        assert set(await story.listed(who)) == ids
