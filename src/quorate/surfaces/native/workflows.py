"""Definitions, and starting one by hand.

Source: native contract b.3 and (c).
"""

from starlette.responses import Response

from quorate.app.filing import Start
from quorate.app.workflows import Definition
from quorate.surfaces.http.answering import answer, etag, matches, moment
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.native import shown
from quorate.surfaces.native.calls import body_and_key, given, said
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import ChangedWorkflow, NewInstance, NewWorkflow, WholeList, as_id
from quorate.surfaces.native.shown import Ok, WorkflowList, WorkflowStatus


async def list_all(http: Call) -> Response:
    wanted = query(http, WholeList)

    found, total = await http.services.workflows.page(http.actor, wanted.size, wanted.offset)

    return given(WorkflowList([shown.workflow(http.actor.tenant, one) for one in found], total))


async def read(http: Call) -> Response:
    return _whole(http, await http.services.workflows.read(http.actor, as_id(http.path["id"])))


async def create(http: Call) -> Response:
    draft = (await body(http, NewWorkflow)).read()

    made = await http.services.workflows.create(http.actor, draft)

    return _whole(http, made, 201)


async def update(http: Call) -> Response:
    change = (await body(http, ChangedWorkflow, optional=True)).read()
    if_match = http.headers.get("if-match")
    matches(if_match, "")  # What is no entity tag is refused before anything is looked up.

    changed = await http.services.workflows.update(
        http.actor, as_id(http.path["id"]), change, lambda now: matches(if_match, _tag(now))
    )

    return _whole(http, changed)


async def delete(http: Call) -> Response:
    await http.services.workflows.delete(http.actor, as_id(http.path["id"]))

    return said("Workflow deleted")


async def activate(http: Call) -> Response:
    return _status(await http.services.workflows.activate(http.actor, as_id(http.path["id"])))


async def deactivate(http: Call) -> Response:
    return _status(await http.services.workflows.deactivate(http.actor, as_id(http.path["id"])))


async def start(http: Call) -> Response:
    asked, key = await body_and_key(http, NewInstance)

    done = await http.services.requests.start(
        http.actor, Start(as_id(http.path["id"]), asked.subject, asked.metadata or {}), key
    )

    return given(shown.started(done.request, done.request.created_at), done, 201)


def _whole(http: Call, one: Definition, status: int = 200) -> Response:
    return answer(Ok(data=shown.workflow(http.actor.tenant, one)), status, {"ETag": _tag(one)})


def _status(one: Definition) -> Response:
    made = one.workflow
    return given(WorkflowStatus(str(made.id), made.status.value, moment(one.updated_at)))


def _tag(one: Definition) -> str:
    return etag(one.id, one.workflow.version)
