"""What may be said of a thing about approvals of it: how long one lasts, how soon it must come, is a reason wanted."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from quorate.domain.events import Duration


class Approval(Struct, frozen=True, rename="camel"):
    """What is said of one thing; None where it leaves something to what it stands under.

    `valid_for`: how long access lasts where nobody says so, and at most. `time_to_approve`: the deadline of a request.
    """

    valid_for: Duration | None = None
    time_to_approve: Duration | None = None
    justification: Literal["required", "optional"] | None = None


def together(said: Iterable[Approval]) -> Approval:
    """Put together what is said of a thing and of all that it stands under, the nearest first: the nearest wins."""
    valid_for = time_to_approve = justification = None
    for one in said:
        valid_for = valid_for or one.valid_for
        time_to_approve = time_to_approve or one.time_to_approve
        justification = justification or one.justification
    return Approval(valid_for, time_to_approve, justification)
