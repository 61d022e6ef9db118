"""Many approvals at once, for administrators: what can be done is done, and nobody is told what could not.

Source: SailPoint contract §4, bulk rows; §9 row 11.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from starlette.responses import Response

from quorate.app.passing import PASSING
from quorate.app.requests import OpenStep
from quorate.domain.events import Choice
from quorate.domain.refusals import Refusal
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.problems import BadInput, Problem, TryAgain
from quorate.surfaces.http.reading import body
from quorate.surfaces.sailpoint import reading
from quorate.surfaces.sailpoint.approvals import decide, every_id
from quorate.surfaces.sailpoint.reading import as_id, is_admin, said
from quorate.surfaces.sailpoint.services import Call
from quorate.surfaces.sailpoint.words import AdminOnly

log = logging.getLogger(__name__)


async def approve(http: Call) -> Response:
    _demand_admin(http)
    asked = await body(http, reading.BulkApprove)
    each = reading.Approve(asked.comment, asked.additional_attributes)

    return await _each(http, asked.approval_ids, lambda id: decide(http, id, Choice.APPROVE, said(asked.comment), each))


async def reject(http: Call) -> Response:
    _demand_admin(http)
    asked = await body(http, reading.Bulk)

    return await _each(http, asked.approval_ids, lambda id: decide(http, id, Choice.REJECT, said(asked.comment)))


async def cancel(http: Call) -> Response:
    _demand_admin(http)
    asked = await body(http, reading.Bulk)
    requests = http.services.cases.requests

    return await _each(http, asked.approval_ids, lambda id: requests.cancel(http.actor, id, said(asked.comment)))


async def reassign(http: Call) -> Response:
    _demand_admin(http)
    asked = await body(http, reading.BulkReassign)
    giver, to, note = as_id(asked.reassign_from), as_id(asked.reassign_to), said(asked.comment)
    if giver is None or to is None:
        raise BadInput.at("reassignFrom" if giver is None else "reassignTo", "is no identity")
    requests = http.services.cases.requests

    return await _each(
        http, asked.approval_ids, lambda id: requests.reassign(http.actor, OpenStep(id), to, giver, note)
    )


def _demand_admin(http: Call) -> None:
    if not is_admin(http):
        raise AdminOnly


async def _each(http: Call, ids: Sequence[str], act: Callable[[UUID], Awaitable[object]]) -> Response:
    """Do it to each. Together they share the door's transactions. Raises `TryAgain`: the database went away."""
    chosen = every_id(ids)
    done = await asyncio.gather(*map(act, chosen), return_exceptions=True)
    for id, result in zip(chosen, done, strict=True):
        if isinstance(result, PASSING):
            raise TryAgain
        if isinstance(result, Refusal | Problem):
            log.info("not done: %s", type(result).__name__, extra={"request": str(id), "request_id": http.request_id})
        elif isinstance(result, BaseException):
            raise result
    return answer({}, 202)
