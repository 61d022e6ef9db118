"""What somebody's security key is to sign before they approve or override. Source: native contract b.8."""

from starlette.responses import Response

from quorate.app.requests import OpenStep
from quorate.domain.refusals import NoSuchRequest, OwnRequest
from quorate.surfaces.http.signing import options
from quorate.surfaces.native.calls import given
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import as_id


async def to_decide(http: Call) -> Response:
    task = as_id(http.path["id"])

    try:
        asked = await http.services.challenges.issue(http.actor, task)
    except OwnRequest:
        raise NoSuchRequest(task) from None  # Nobody is an assignee of their own; (d) 9.

    return given(options(asked))


async def to_override(http: Call) -> Response:
    request = OpenStep(as_id(http.path["id"]))

    asked = await http.services.challenges.issue(http.actor, request, to_override=True)

    return given(options(asked))
