"""The routes of what is shown beside a decision: passwords, security keys, one-time codes.

Source: native contract b.8.
"""

from typing import Final

from quorate.domain.permissions import WORKFLOW_WRITE
from quorate.surfaces.native import challenges
from quorate.surfaces.native.routes import Table, route
from quorate.surfaces.native.shown import Ok

STEP_UP: Final[Table] = (
    route(
        "POST",
        "/approvals/{id}/challenge",
        challenges.to_decide,
        "Ask what a security key is to sign before one approves",
        answer=Ok[challenges.AssertionOptions],
        errors=(404, 409, 429),
    ),
    route(
        "POST",
        "/access-requests/{id}/challenge",
        challenges.to_override,
        "Ask the same before one approves as an administrator",
        who=WORKFLOW_WRITE,
        answer=Ok[challenges.AssertionOptions],
        errors=(404, 409, 429),
    ),
)
