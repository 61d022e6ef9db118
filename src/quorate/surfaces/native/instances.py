"""Requests of every kind, as instances of the workflow they walk through.

Source: native contract b.4.
"""

from starlette.responses import Response

from quorate.surfaces.http.reading import query
from quorate.surfaces.native import shown
from quorate.surfaces.native.calls import body_and_key, given, said
from quorate.surfaces.native.executions import executions
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Cancellation, InstanceFilter, as_id
from quorate.surfaces.native.shown import InstanceList


async def list_all(http: Call) -> Response:
    wanted = query(http, InstanceFilter)

    found = await http.services.search.requests(
        http.actor.tenant,
        status=wanted.status,
        workflow=as_id(wanted.workflow_id) if wanted.workflow_id else None,
        limit=wanted.limit,
        offset=wanted.offset,
    )

    at = http.services.clock()
    return given(InstanceList([shown.instance_listed(held.request, at) for held in found.items], found.total))


async def read(http: Call) -> Response:
    held = await http.services.search.instance(http.actor, as_id(http.path["id"]))

    return given(shown.instance(held.request, http.services.clock()))


async def history(http: Call) -> Response:
    held = await http.services.search.instance(http.actor, as_id(http.path["id"]))
    past = await http.services.search.history(http.actor.tenant, held.request.id)

    return given(executions(held.request, past))


async def cancel(http: Call) -> Response:
    asked, key = await body_and_key(http, Cancellation, optional=True)

    done = await http.services.requests.cancel(http.actor, as_id(http.path["id"]), asked.words, idempotency=key)

    return said("Workflow instance cancelled", done)
