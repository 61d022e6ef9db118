"""Access requests: filed, listed, read, settled by an administrator, withdrawn, talked about.

Source: native contract b.5 and b.8, (d) 8–10, 26–28, 32.
"""

from collections.abc import Iterable

from starlette.responses import Response

from quorate.app.filing import AskAccess
from quorate.app.requests import ACCESS
from quorate.domain.events import Choice, Commented
from quorate.surfaces.http.reading import query
from quorate.surfaces.native import shown
from quorate.surfaces.native.calls import body_and_key, given, said
from quorate.surfaces.native.executions import comment, comments
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import (
    Approval,
    Cancellation,
    MyFilter,
    NewComment,
    NewRequest,
    Rejection,
    RequestFilter,
    WholeList,
    as_id,
)
from quorate.surfaces.native.shown import PendingList, RequestList


async def create(http: Call) -> Response:
    asked, key = await body_and_key(http, NewRequest)

    done = await http.services.requests.ask(
        http.actor,
        AskAccess(
            asked.resource_type,
            asked.resource_id.strip(),
            asked.justification,
            asked.lasting,
            breaks_glass=asked.break_glass is True,
        ),
        asked.for_user_id,
        key,
    )

    return given(shown.request_made(done.request, done.request.created_at), done, 201)


async def mine(http: Call) -> Response:
    wanted = query(http, MyFilter)

    found = await http.services.search.requests(
        http.actor.tenant,
        kinds=ACCESS,
        requester=http.actor.principal,
        status=wanted.status,
        limit=wanted.limit,
        offset=wanted.offset,
    )

    return await _listed(http, found.items, found.total)


async def list_all(http: Call) -> Response:
    wanted = query(http, RequestFilter)

    found = await http.services.search.requests(
        http.actor.tenant,
        kinds=ACCESS,
        status=wanted.status,
        requester=as_id(wanted.requester_id) if wanted.requester_id else None,
        target_type=wanted.resource_type,
        limit=wanted.limit,
        offset=wanted.offset,
    )

    return await _listed(http, found.items, found.total)


async def pending(http: Call) -> Response:
    wanted = query(http, WholeList)

    found = await http.services.search.pending(http.actor.tenant, limit=wanted.size, offset=wanted.offset)

    at = http.services.clock()
    return given(PendingList([shown.pending(held.request, at) for held in found.items], found.total))


async def read(http: Call) -> Response:
    one = (await http.services.search.request(http.actor, as_id(http.path["id"]))).request
    overrides = await http.services.requests.overrides(http.actor.tenant, [one])

    return given(shown.request(one, http.services.clock(), overrides.get(one.id)))


async def approve(http: Call) -> Response:
    asked, key = await body_and_key(http, Approval, optional=True)

    caller = http.telling_actor if asked.evidence else http.actor
    done = await http.services.requests.override(
        caller, as_id(http.path["id"]), Choice.APPROVE, asked.words, asked.shown, key
    )

    return said("Access request approved", done)


async def reject(http: Call) -> Response:
    asked, key = await body_and_key(http, Rejection)

    done = await http.services.requests.override(
        http.actor, as_id(http.path["id"]), Choice.REJECT, asked.reason, idempotency=key
    )

    return said("Access request rejected", done)


async def cancel(http: Call) -> Response:
    asked, key = await body_and_key(http, Cancellation, optional=True)

    done = await http.services.requests.cancel(
        http.actor, as_id(http.path["id"]), asked.words, kinds=ACCESS, idempotency=key
    )

    return said("Access request cancelled", done)


async def approvers(http: Call) -> Response:
    found = await http.services.search.approvers(http.actor, as_id(http.path["id"]), kinds=ACCESS)

    return given(shown.approvers(found.items, found.total))


async def list_comments(http: Call) -> Response:
    held = await http.services.search.request(http.actor, as_id(http.path["id"]))
    past = await http.services.search.history(http.actor.tenant, held.request.id)

    return given(comments(past))


async def add_comment(http: Call) -> Response:
    asked, key = await body_and_key(http, NewComment)

    done = await http.services.requests.comment(
        http.actor, as_id(http.path["id"]), asked.text, kinds=ACCESS, idempotency=key
    )

    made = next(event for event in done.events if isinstance(event, Commented))
    return given(comment(made), done, 201)


async def _listed(http: Call, found: Iterable[shown.HasRequest], total: int) -> Response:
    requests = [held.request for held in found]
    overrides = await http.services.requests.overrides(http.actor.tenant, requests)
    at = http.services.clock()
    return given(RequestList([shown.request(one, at, overrides.get(one.id)) for one in requests], total))
