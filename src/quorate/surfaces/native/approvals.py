"""Tasks: what waits for one's decision, and deciding it.

Source: native contract b.6 and b.8, (d) 9, 29, 39, 43.
"""

from starlette.responses import Response

from quorate.domain.events import Decided
from quorate.domain.permissions import WORKFLOW_WRITE
from quorate.domain.refusals import NoSuchRequest, OwnRequest
from quorate.surfaces.http.reading import query
from quorate.surfaces.native import shown
from quorate.surfaces.native.calls import body_and_key, given, said
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Decision, Reassignment, WholeList, as_id


async def pending(http: Call) -> Response:
    wanted = query(http, WholeList)

    found = await http.services.search.inbox(http.actor, limit=wanted.size, offset=wanted.offset)

    return given(shown.approvals(found.items, found.total))


async def decide(http: Call) -> Response:
    asked, key = await body_and_key(http, Decision)
    task = as_id(http.path["id"])

    try:
        done = await http.services.requests.decide(
            http.telling_actor if asked.evidence else http.actor,
            task,
            asked.decision,
            asked.words,
            asked.shown,
            idempotency=key,
        )
    except OwnRequest:
        raise NoSuchRequest(task) from None  # Nobody is an assignee of their own; (d) 9.

    made = next(event for event in done.events if isinstance(event, Decided))
    return given(shown.decision(task, done.request, made), done)


async def reassign(http: Call) -> Response:
    asked, key = await body_and_key(http, Reassignment)
    task, giver = as_id(http.path["id"]), as_id(asked.giver) if asked.giver else None

    try:
        done = await http.services.requests.reassign(http.actor, task, as_id(asked.to), giver, asked.words, key)
    except OwnRequest:
        if http.actor.may(WORKFLOW_WRITE):
            raise
        raise NoSuchRequest(task) from None

    return said("Approval reassigned", done)
