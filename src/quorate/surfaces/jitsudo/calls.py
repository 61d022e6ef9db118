"""What several handlers do around a call: pages of lists, and which requests are of this surface at all."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.responses import Response

from quorate.app.requests import ACCESS
from quorate.surfaces.http.answering import answer
from quorate.surfaces.jitsudo.reading import Listing
from quorate.surfaces.jitsudo.services import Call
from quorate.surfaces.jitsudo.shown import Listed

__all__ = ["ACCESS", "listed"]

T = TypeVar("T")


def listed(
    http: Call,
    wanted: Listing,
    of: str,
    found: Sequence[T],
    place: Callable[[T], tuple[Any, ...]],
    shown: Callable[[T], Any],
) -> Response:
    """Answer a page of a list. `found` has one more than the page, if there is one; `of` names list and question."""
    page, has_more = found[: wanted.limit], len(found) > wanted.limit
    after = http.services.cursors.give(http.actor, of, *place(page[-1])) if has_more else None
    return answer(Listed([shown(one) for one in page], after, has_more))
