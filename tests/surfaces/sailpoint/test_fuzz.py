"""Whatever is sent, the answer is in the vendor's shapes, and never a mistake of ours."""

import random
from typing import Any

from quorate.surfaces.sailpoint.services import WINDOW_S
from tests.surfaces.native.story import Story, by
from tests.surfaces.sailpoint.calls import CURRENT, FIRST, call, error, generic

ODD: tuple[Any, ...] = (
    None,
    "",
    " ",
    "x",
    "é\u2028",
    "a" * 5000,
    0,
    -1,
    2**63,
    1.5,
    True,
    [],
    {},
    [[]],
    {"a": {"b": None}},
    "0" * 36,
)
FIELDS = (
    *("comment", "additionalAttributes", "overrideApproverID", "removeAttributeKeys"),
    *("reassignTo", "reassignFrom", "approvalIds"),
)
PARAMS = (
    "mine",
    "requesterId",
    "requesteeId",
    "approverId",
    "limit",
    "offset",
    "count",
    "count-only",
    "filters",
    "sorters",
)
TEXTS = (
    "",
    "true",
    "false",
    "1",
    "-1",
    "99999999999999999999",
    "x",
    "%00",
    "%ff",
    "'",
    '"',
    "status eq",
    "a eq b",
    "createdDate gt 9999-12-31T23:59:59-23:59",
    "createdDate lt 0001-01-01T00:00:00+23:59",
    "approvalId eq x",
    "approverId eq x",
    "not " * 40 + "status eq x",
    "dueDate sw 2",
    "name co \\",
    "search in (a,b)",
    "decisionDate ne 2018",
    "referenceId ne x",
)


async def test_nothing_that_is_sent_breaks_it(story: Story) -> None:
    draw = random.Random(7)
    id = await generic(story, by("ana"))
    ids = [id, "x", "0" * 36, str(story.ids["ana"]), "v1", "config", "bulk-approve"]
    for number in range(600):
        who = draw.choice(["ana", "ada", "rhea", "olu"])
        base = draw.choice([*CURRENT, *FIRST])
        method = draw.choice(["GET", "GET", "POST", "POST", "PUT", "DELETE"])
        path = base
        if draw.random() < 0.6:
            path += f"/{draw.choice(ids)}" + draw.choice(
                ["", "/approve", "/reject", "/cancel", "/comments", "/attributes", "/reassign"]
            )
        else:
            path += draw.choice(["", "", "/bulk-approve", "/bulk-reject", "/bulk-cancel", "/bulk-reassign"])
        query = "&".join(f"{draw.choice(PARAMS)}={draw.choice(TEXTS)}" for _ in range(draw.randint(0, 3)))
        body: Any = {draw.choice(FIELDS): draw.choice(ODD) for _ in range(draw.randint(0, 3))}
        if draw.random() < 0.3:
            body = draw.choice([*ODD, b"{", b"\xff", b"[" * 100])
        answer = await call(story, who, method, f"{path}?{query}" if query else path, body)
        assert answer.status_code != 500, (who, method, path, query, body)
        if answer.status_code >= 400:
            error(answer)
        if number % 20 == 0:
            story.clock.passes(seconds=WINDOW_S)
