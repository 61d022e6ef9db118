"""Lists: whose, which, in which order, how many; the same under every path of a shape."""

from typing import Any

import pytest

from tests.surfaces.native.story import Story, by, by_security
from tests.surfaces.sailpoint.calls import CURRENT, FIRST, V1, call, error, generic, ids

EVERY = (*FIRST, *CURRENT)


@pytest.fixture
async def shelf(story: Story) -> dict[str, str]:
    """A generic approval by Ana about Rhea, one by Security about Mona, and Rhea's request for access, by Ana."""
    made = {"roof": await generic(story, by("ana"))}
    story.clock.passes(seconds=60)
    made["moat"] = await generic(story, by_security(), about="mona")
    story.clock.passes(seconds=60)
    await story.workflow(by("ana"), resourceTypes=["role"])
    made["access"] = (await story.request())["id"]
    story.clock.passes(seconds=60)
    return made


async def named(story: Story, shelf: dict[str, str], who: str, path: str = V1, **params: str) -> list[str]:
    names = {id: name for name, id in shelf.items()}
    return [names[id] for id in await ids(story, who, path, **params)]


@pytest.mark.parametrize("path", EVERY)
async def test_without_parameters_it_is_mine_but_an_administrators_is_all_in_the_current_shape(
    story: Story, shelf: dict[str, str], path: str
) -> None:
    is_first = path in FIRST
    expected: dict[str, list[str]] = {
        "ana": ["roof", "moat"] if is_first else ["roof", "moat", "access"],
        "ben": ["moat"],
        "rhea": [],
        "ada": [] if is_first else ["roof", "moat", "access"],
        "olu": [],
    }
    for who, sees in expected.items():
        assert await named(story, shelf, who, path) == sees
    assert error(await call(story, None, "GET", path))[0] == 401


WHOSE: tuple[tuple[str, dict[str, str], list[str]], ...] = (
    ("rhea", {"mine": "true"}, []),
    ("rhea", {"mine": "false"}, ["roof", "access"]),
    ("ana", {"mine": "false"}, ["roof", "moat", "access"]),
    ("mona", {"mine": "false"}, ["moat"]),
    ("rhea", {"requesterId": "@rhea"}, ["roof", "access"]),
    ("rhea", {"requesteeId": "@rhea"}, ["roof", "access"]),
    ("rhea", {"approverId": "@rhea"}, []),
    ("ana", {"approverId": "@ana"}, ["roof", "moat", "access"]),
    ("ana", {"approverId": "@ana", "requesterId": "@ana"}, []),
    ("ada", {"mine": "true"}, []),
    ("ada", {"mine": "false"}, ["roof", "moat", "access"]),
    ("ada", {"requesterId": "@rhea"}, ["roof", "access"]),
    ("ada", {"approverId": "@ben"}, ["moat"]),
    ("ada", {"approverId": "@ana", "requesteeId": "@mona"}, ["moat"]),
    ("ada", {"approverId": "nobody"}, []),
    ("olu", {"mine": "false"}, []),
    ("olu", {"requesterId": "@rhea"}, []),
)


async def test_whose_approvals_are_listed(story: Story, shelf: dict[str, str]) -> None:
    for who, params, sees in WHOSE:
        assert (who, params, await named(story, shelf, who, **story.known(params))) == (who, params, sees)


@pytest.mark.parametrize("name", ["requesterId", "requesteeId", "approverId"])
async def test_only_an_administrator_names_others(story: Story, shelf: dict[str, str], name: str) -> None:
    for other in (story.ids["ana"], story.ids["olu"], "nobody"):
        assert error(await call(story, "rhea", "GET", f"{V1}?{name}={other}"))[0] == 400
    assert error(await call(story, "rhea", "GET", f'{V1}?filters=approverId eq "{story.ids["ana"]}"'))[0] == 400
    assert await named(story, shelf, "ana", filters=f'approverId eq "{story.ids["ana"]}"') != []


BAD = (
    *("mine=yes", "limit=251", "limit=-1", "limit=x", "offset=-1", "offset=x", "count=1", "include-comments=maybe"),
    *("sorters=colour", "sorters=name,-name", "sorters=,", "filters=status", "filters=a eq b", "count-only=2"),
)


@pytest.mark.parametrize("path", [FIRST[0], V1])
async def test_what_a_parameter_cannot_be_is_refused(story: Story, path: str) -> None:
    for params in BAD:
        assert (params, error(await call(story, "ada", "GET", f"{path}?{params}"))[0]) == (params, 400)


async def test_a_page_is_a_part_and_the_count_is_of_all(story: Story, shelf: dict[str, str]) -> None:
    page = await call(story, "ada", "GET", f"{V1}?limit=1&offset=1&count=true")
    assert ([one["id"] for one in page.json()], page.headers["X-Total-Count"]) == ([shelf["moat"]], "3")

    only = await call(story, "ada", "GET", f"{V1}?count-only=true&filters=status%20eq%20PENDING")
    assert (only.json(), only.headers["X-Total-Count"]) == ([], "3")
    for params in ("", "?count=false", "?offset=0&limit=250"):
        assert "X-Total-Count" not in (await call(story, "ada", "GET", V1 + params)).headers
    assert (await call(story, "ada", "GET", f"{V1}?limit=0")).json() == []
    assert (await call(story, "ada", "GET", f"{V1}?offset=99")).json() == []


async def test_heavy_parts_come_when_they_are_asked_for(story: Story, shelf: dict[str, str]) -> None:
    heavy = {"approvers", "comments", "reassignmentHistory", "batchRequest"}
    plain: dict[str, Any] = (await call(story, "ada", "GET", V1)).json()[0]
    assert not heavy & plain.keys()
    for name in ("approvers", "comments", "reassignment-history"):
        asked = (await call(story, "ada", "GET", f"{V1}?include-{name}=true")).json()[0]
        assert len(heavy & asked.keys()) == 1
    whole = (await call(story, "ada", "GET", shelf["roof"])).json()
    assert {"approvers", "comments", "reassignmentHistory"} <= whole.keys()


@pytest.mark.parametrize(
    ("sorters", "order"),
    [
        ("createdDate", ["roof", "moat", "access"]),
        ("-createdDate", ["access", "moat", "roof"]),
        ("-modifiedDate", ["moat", "access", "roof"]),
        ("-dueDate", ["access", "moat", "roof"]),
        ("status,-createdDate", ["roof", "access", "moat"]),
        ("priority,createdDate", ["roof", "moat", "access"]),
    ],
)
async def test_the_order_is_chosen(story: Story, shelf: dict[str, str], sorters: str, order: list[str]) -> None:
    if "status" in sorters:
        await call(story, "ada", "POST", f"{shelf['roof']}/cancel")
    await call(story, "ben", "POST", f"{shelf['moat']}/comments", {"comment": "hm"})

    assert await named(story, shelf, "ada", sorters=sorters) == order


FILTERS = {
    "status eq PENDING": ["moat", "access"],
    "status eq approved": ["roof"],
    "status ne PENDING": ["roof"],
    "status in (APPROVED, REJECTED)": ["roof"],
    'status co "END"': ["moat", "access"],
    "status sw app": ["roof"],
    "not status eq PENDING": ["roof"],
    "status eq PASSED": [],
    "type eq ACCESS_REQUEST_APPROVAL": ["access"],
    "type ne access_request_approval": ["roof", "moat"],
    "type sw GENERIC": ["roof", "moat"],
    'name eq "AUDITORS"': ["access"],
    "name co auditor": ["access"],
    "description eq 'x'": [],
    'description co "quarter"': ["access"],
    "search co quarter": ["access"],
    "priority eq MEDIUM": ["roof", "moat", "access"],
    "priority eq high": [],
    "medium eq EMAIL": [],
    "medium ne EMAIL": ["roof", "moat", "access"],
    "batchId eq b": [],
    "referenceId eq {access}": ["access"],
    "referenceType eq accessRequestId": ["access"],
    "referenceName sw audit": ["access"],
    "requestedTargetId eq @auditors": ["access"],
    "requestedTargetType eq ROLE": ["access"],
    "requestedTargetName eq auditors": ["access"],
    "requestedTargetRequestType eq GRANT_ACCESS": ["access"],
    "requestedTargetRequestType eq REVOKE_ACCESS": [],
    "approvalId in ({roof}, {moat})": ["roof", "moat"],
    "requesterId eq @rhea": ["roof", "access"],
    "requesteeId ne @rhea": ["moat"],
    "approverId eq @ben": ["moat"],
    "approverId in (@ben, @ana)": ["roof", "moat", "access"],
    "approverId ne @ben": ["roof", "access"],
    "createdDate gt 2018": ["roof", "moat", "access"],
    "createdDate lt 2018-01-01T00:00:00Z": [],
    "createdDate eq {created}": ["roof"],
    "createdDate gt {created}": ["moat", "access"],
    "createdDate ge {created}": ["roof", "moat", "access"],
    "createdDate le {created}": ["roof"],
    "createdDate ne {created}": ["moat", "access"],
    "createdDate sw {created}": ["roof"],
    "createdDate co T": ["roof", "moat", "access"],
    "createdDate in ({created}, 2018)": ["roof"],
    "completedDate gt 2018": ["roof"],
    "decisionDate gt 2018": ["roof"],
    "dueDate lt 2018": [],
    "modifiedDate ge {created}": ["roof", "moat", "access"],
    "status eq PENDING and type sw ACCESS or status eq APPROVED": ["roof", "access"],
    "status eq PENDING and (type sw ACCESS or status eq APPROVED)": ["access"],
    "filters=status eq APPROVED": ["roof"],
}


async def test_every_filter_of_the_current_shape_finds_what_it_says(story: Story, shelf: dict[str, str]) -> None:
    await call(story, "ana", "POST", f"{shelf['roof']}/approve")
    created = (await call(story, "ada", "GET", shelf["roof"])).json()["createdDate"]

    for text, found in FILTERS.items():
        known = text.format(**shelf, created=created).replace("@auditors", str(story.auditors))
        for who in ("rhea", "ana", "ben"):
            known = known.replace(f"@{who}", str(story.ids[who]))
        assert (text, await named(story, shelf, "ada", filters=known)) == (text, found)
        assert await named(story, shelf, "olu", filters=known) == []
        story.clock.passes(seconds=1)


async def test_a_filter_that_is_not_offered_is_refused(story: Story) -> None:
    for text in (
        *("colour eq red", "status gt A", "status isnull", "pr status", "name ca (a, b)"),
        *("createdDate gt soon", "approverId sw 1", "dueDate isnull", "status EQ PENDING"),
    ):
        assert (text, error(await call(story, "ada", "GET", f"{V1}?filters={text}"))[0]) == (text, 400)


async def test_the_first_shape_filters_by_status_and_kind_of_reference_alone(story: Story) -> None:
    waiting, over = await generic(story, by("ana")), await generic(story, by("ana"))
    await call(story, "ada", "POST", f"{over}/cancel")

    for text, found in {
        "status eq PENDING": [waiting],
        "status eq REJECTED": [over],  # It has no word for what was cancelled.
        "status eq PENDING or status eq REJECTED": [waiting, over],
        "not status eq PENDING": [over],
        "referenceType eq AccessRequestId": [],
    }.items():
        assert sorted(await ids(story, "ana", FIRST[0], filters=text)) == sorted(found)
    for text in ("status ne PENDING", "name eq x", "createdDate gt 2018", "referenceId eq r1"):
        assert error(await call(story, "ana", "GET", f"{FIRST[0]}?filters={text}"))[0] == 400


async def test_a_filter_asks_for_no_more_than_the_database_answers_at_once(story: Story) -> None:
    mine = f'approverId eq "{story.ids["ana"]}"'
    for text, status in [
        (" or ".join([mine] * 10), 200),
        (" or ".join([mine] * 11), 400),
        (f"approverId in ({', '.join([str(story.ids['ana'])] * 11)})", 400),
        (" or ".join(["name co x"] * 100), 200),
        (" and ".join(["not name co x"] * 101), 400),
    ]:
        answer = await story.callers["ana"].get(V1, params={"filters": text})
        assert answer.status_code == status, text
        if status == 400:
            error(answer)
