"""Operations: calls that wait for approval. All of this is ours beside the contract; b.8 says where approvals are."""

from contextlib import suppress
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from starlette.responses import Response

from quorate.app.operations.use import AskOperation, Execution, Result
from quorate.app.requests import OPERATIONS
from quorate.domain.refusals import NoLongerTheirs
from quorate.domain.requests import Request
from quorate.surfaces.http.answering import moment, moment_or_none
from quorate.surfaces.native.calls import body_and_key, given, said
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Cancellation, Note, as_id
from quorate.surfaces.native.shown import Id, Moment, Status

Path = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"^[!-~]+$")]


class NewOperation(Struct, frozen=True, rename="camel"):
    """What shall be done once it is approved: a call. Of our own API, or one that the operator has told us of."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    path: Path
    body: Any = None
    description: Note | None = None


class ExecutionShown(Struct, frozen=True, rename="camel"):
    """What became of an approved operation. `status` unknown: it was sent, and nobody can say whether it arrived."""

    id: Id
    status: Literal["waiting", "running", "succeeded", "failed", "unknown"]
    http_status: int | None
    failure: str | None
    attempts: int
    started_at: Moment | None
    ended_at: Moment | None


class ResultShown(Struct, frozen=True, rename="camel"):
    """What it answered: JSON if it succeeded, else a sentence."""

    status: int
    body: Any


class OperationShown(Struct, frozen=True, rename="camel"):
    """An operation. `result` is for whoever asked for it, once there is one, and while the tenant lets them."""

    id: Id
    workflow_instance_id: Id
    workflow_id: Id | None
    workflow_name: str | None
    requester_id: Id
    requester_name: str | None
    method: str
    path: str
    body: Any
    description: str | None
    status: Status
    execution: ExecutionShown | None
    result: ResultShown | None
    created_at: Moment
    updated_at: Moment
    expires_at: Moment | None


async def create(http: Call) -> Response:
    asked, key = await body_and_key(http, NewOperation)

    asking = AskOperation(asked.method, asked.path, asked.body, asked.description or None)
    done = await http.services.operations.ask(http.actor, asking, key)

    return given(_shown(http, done.request), done, status=201)


async def read(http: Call) -> Response:
    request, execution = await http.services.operations.read(http.actor, as_id(http.path["id"]))
    result = None
    if execution is not None and execution.state.is_final and request.filing.requester == http.actor.principal:
        with suppress(NoLongerTheirs):
            result = await http.services.operations.result(http.actor, request.id)

    return given(_shown(http, request, execution, result))


async def cancel(http: Call) -> Response:
    asked, key = await body_and_key(http, Cancellation, optional=True)

    id = as_id(http.path["id"])
    done = await http.services.requests.cancel(http.actor, id, asked.words, kinds=OPERATIONS, idempotency=key)

    return said("Operation cancelled", done)


def _shown(
    http: Call, one: Request, execution: Execution | None = None, result: Result | None = None
) -> OperationShown:
    filing, operation = one.filing, one.filing.operation
    assert operation is not None, "it was found among operations"
    return OperationShown(
        id=str(one.id),
        workflow_instance_id=str(one.id),
        workflow_id=None if filing.workflow is None else str(filing.workflow),
        workflow_name=filing.workflow_name,
        requester_id=str(filing.requester),
        requester_name=filing.requester_name,
        method=operation.method,
        path=operation.path,
        body=operation.body,
        description=filing.justification,
        status=one.shown_at(http.services.clock()).value,
        execution=None if execution is None else _execution(execution),
        result=None if result is None else ResultShown(result.status, result.body),
        created_at=moment(one.created_at),
        updated_at=moment(one.updated_at),
        expires_at=moment_or_none(one.kept_until),
    )


def _execution(one: Execution) -> ExecutionShown:
    return ExecutionShown(
        id=str(one.id),
        status=one.state.value,
        http_status=one.status,
        failure=one.failure,
        attempts=one.attempts,
        started_at=moment_or_none(one.started_at),
        ended_at=moment_or_none(one.ended_at),
    )
