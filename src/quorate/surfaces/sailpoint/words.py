"""Every problem and every refusal in SailPoint's words. Source: SailPoint contract §8; §9 rows 3, 8, 9 and 11.

Each error carries a trackingId, which our log has too.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from quorate.app.actor import NotSignedIn, OtherTenant
from quorate.app.limits import TooOften
from quorate.domain import refusals as no
from quorate.domain.refusals import Refusal
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.problems import (
    BadInput,
    InternalError,
    NoSuchPath,
    Problem,
    TryAgain,
    WrongMethod,
)

log = logging.getLogger(__name__)

_ABSENT: Final = "The server did not find a current representation for the target resource."


class Message(Struct, frozen=True, rename="camel"):
    locale: str
    locale_origin: str
    text: str


class ErrorShown(Struct, frozen=True, rename="camel"):
    """An error, as most statuses have it."""

    detail_code: str
    tracking_id: str
    messages: list[Message]
    causes: list[Message] | UnsetType = UNSET


class Unauthorized(Struct, frozen=True):
    """401 has a shape of its own."""

    error: str = "JWT validation failed: JWT is expired"


class RateLimited(Struct, frozen=True):
    """So has 429."""

    message: str = " Rate Limit Exceeded "


class Face(Struct, frozen=True):
    """How a no looks. `text` may ask for its facts."""

    status: int
    code: str
    text: str | Callable[[Any], str]


class Unseen(Problem):
    """There is no such approval, or it is not the caller's to see: nobody can tell which."""


class MayNot(Problem):
    """The approval may be seen, but this is not the caller's to do."""


class AdminOnly(Problem):
    """Only an administrator may."""


def words(refused: Problem | Refusal) -> Response:
    """Put a problem or a refusal into words. Total: a test goes through all there are."""
    if isinstance(refused, (NotSignedIn, no.AccountInactive)):
        return answer(Unauthorized(), 401)
    if isinstance(refused, TooOften):
        return answer(RateLimited(), 429)
    face = _face(refused)
    tracking = _tracking(refused)
    message = Message("en-US", "DEFAULT", face.text if isinstance(face.text, str) else face.text(refused))
    if face.status < 500:
        log.info("refused: %s", type(refused).__name__, extra={"tracking_id": tracking, "status": face.status})
    causes = [message] if face.status == 400 else UNSET
    return answer(ErrorShown(face.code, tracking, [message], causes), face.status)


def _face(refused: Problem | Refusal) -> Face:
    for kind in type(refused).__mro__:
        if kind in FACES:
            return FACES[kind]
    return _bad(lambda other: str(other))  # What no call of this surface can bring about.


def _tracking(refused: Problem | Refusal) -> str:
    """Make the id under which the log knows it: for a mistake of ours, the one it was logged with."""
    given = getattr(refused, "request_id", "").replace("-", "").lower()
    is_hex = len(given) == 32 and not set(given) - set("0123456789abcdef")
    if is_hex:
        return given
    tracking = uuid4().hex
    if isinstance(refused, InternalError):
        log.error("told as %s", tracking, extra={"tracking_id": tracking, "request_id": refused.request_id})
    return tracking


def _bad(text: str | Callable[[Any], str]) -> Face:
    return Face(400, "400.1 Bad Request Content", text)


def _forbidden(text: str | Callable[[Any], str]) -> Face:
    return Face(403, "403 Forbidden", text)


def _absent() -> Face:
    return Face(404, "404 Not found", _ABSENT)


def _faults(bad: BadInput) -> str:
    return "; ".join(f"{one.field}: {one.message}" if one.field else one.message for one in bad.details)


_WHY_NOT: Final = {
    "requester": "it is whom the approval is by or for",
    "inactive": "it is no active identity",
    "approver": "it is an approver already",
    "decided": "it has decided already",
    "no_say": "it is not assigned to it",
}

FACES: Final[Mapping[type[Problem] | type[Refusal], Face]] = {
    BadInput: _bad(_faults),
    NoSuchPath: _absent(),
    WrongMethod: Face(405, "405 Method Not Allowed", "The server does not support this method here."),
    InternalError: Face(500, "500.0 Internal Fault", "An internal fault occurred."),
    TryAgain: Face(503, "503 Service Unavailable", "The server is not ready to handle the request; try again."),
    Unseen: _absent(),
    MayNot: _forbidden("The approval is not assigned to the calling identity."),
    AdminOnly: _forbidden("The calling identity is not an administrator."),
    OtherTenant: _forbidden("The credential belongs to another tenant."),
    no.NotPermitted: _forbidden(lambda lacks: f"The server understood the request but refuses it: {lacks.permission}."),
    no.NotAnApprover: _forbidden("The approval is not assigned to the calling identity."),
    no.OwnRequest: _forbidden("Nobody decides an approval that is by or for themselves."),
    no.EvidenceMissing: _forbidden("This approval demands a password or a second factor, which have no place here."),
    no.OverrideForbidden: _forbidden("No administrator may take a place among the approvers here."),
    no.ApprovalRequired: _forbidden("This change needs approval first; it has to be asked for."),
    no.NoSuchRequest: _absent(),
    no.AlreadyClosed: _bad(lambda closed: f"The approval is complete: {str(closed.status).upper()}."),
    no.AlreadyDecided: _bad("The identity has decided this approval already."),
    no.CommentRequired: _bad("A comment is required for this action."),
    no.CannotReassign: _bad(lambda wrong: f"Cannot reassign {wrong.person}: {_WHY_NOT.get(wrong.why, wrong.why)}."),
    no.BadReference: _bad(lambda wrong: f"{wrong.field}: {wrong.why}"),
}
