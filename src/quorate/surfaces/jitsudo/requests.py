"""Requests and what is said about them. Source: JITSudo contract b.3, b.5; (d) 2, 5–7, 11, 13–17, 20–25, 28–36."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from quorate.app.filing import AskAccess, Terms
from quorate.app.listing import Wanted
from quorate.app.requests import OpenStep, Past
from quorate.domain.conditions import Compare, Every, Field, Of, Party, Says, Some
from quorate.domain.events import Choice, Commented
from quorate.domain.grants import lasting
from quorate.domain.permissions import WORKFLOW_READ
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.jitsudo import shown
from quorate.surfaces.jitsudo.calls import ACCESS, listed
from quorate.surfaces.jitsudo.reading import (
    Decision,
    Listing,
    NewMessage,
    NewRequest,
    RequestListing,
    account,
    demand_named,
    id_of,
    place,
)
from quorate.surfaces.jitsudo.services import Call

MINE: Final = Some((Of(Party.REQUESTER), Of(Party.BENEFICIARY), Of(Party.CAN_DECIDE)))
NOBODY: Final = UUID(int=0)
TERMS: Final = Terms(built_in_step=True, needs_permit=True, must_end=True, any_resource=True)


async def create(http: Call) -> Response:
    asked = await body(http, NewRequest)
    demand_named(await http.services.tenants.naming(http.actor.tenant), asked.resource.type, asked.resource.id)

    done = await http.services.requests.ask(
        http.actor,
        AskAccess(
            asked.resource.type,
            asked.resource.id,
            asked.reason,
            lasting(asked.duration_seconds) if asked.duration_seconds else None,
            refuses_duplicates=False,
            breaks_glass=asked.break_glass is True,
            action=asked.action,
            metadata=shown.said_of(asked.metadata),
            terms=TERMS,
        ),
    )

    return answer(shown.request(done.request, done.request.created_at), 201)


async def list_all(http: Call) -> Response:
    wanted = query(http, RequestListing)
    of = f"requests {wanted.status} {wanted.requester_id}"
    after = place(http, wanted, of, datetime, UUID)
    requester = (await account(http, wanted.requester_id) or NOBODY) if wanted.requester_id else None

    found = await http.services.listing.page(
        http.actor,
        Wanted(
            **_seen_by(http, requester),
            kinds=ACCESS,
            statuses={wanted.outcome} if wanted.outcome else None,
            limit=wanted.limit,
            after=after,
        ),
    )

    next_one = http.services.cursors.give(http.actor, of, *found.after) if found.after else None
    return answer(shown.Listed([shown.request(one.request, found.at) for one in found.items], next_one, bool(next_one)))


def _seen_by(http: Call, requester: UUID | None) -> dict[str, Any]:
    """Narrow a list down to what the caller may see: all with `workflow:read`, else what is in `MINE`. (d) 32."""
    if http.actor.may(WORKFLOW_READ):
        return {"of": (Of(Party.REQUESTER, requester),) if requester else ()}
    theirs = (Says(Field.REQUESTER, Compare.EQUAL, (str(requester),)),) if requester else ()
    return {"of": (Of(Party.INVOLVED),), "where": Every((MINE, *theirs))}


async def read(http: Call) -> Response:
    held = await http.services.search.request(http.actor, id_of(http), hides=False)

    return answer(shown.request(held.request, http.services.clock()))


async def approve(http: Call) -> Response:
    return await _decide(http, Choice.APPROVE)


async def deny(http: Call) -> Response:
    return await _decide(http, Choice.REJECT)


async def _decide(http: Call, choice: Choice) -> Response:
    asked = await body(http, Decision, optional=True)

    done = await http.services.requests.decide(
        http.actor, OpenStep(id_of(http)), choice, asked.reasoning or None, kinds=ACCESS
    )

    return answer(shown.request(done.request, done.request.updated_at))


async def cancel(http: Call) -> Response:
    done = await http.services.requests.cancel(http.actor, id_of(http), None, kinds=ACCESS, hides=False)

    return answer(shown.request(done.request, done.request.updated_at))


async def add_message(http: Call) -> Response:
    asked = await body(http, NewMessage)

    done = await http.services.requests.comment(
        http.actor, id_of(http), asked.content, kinds=ACCESS, details=shown.said_of(asked.metadata), hides=False
    )

    said = next(event for event in done.events if isinstance(event, Commented))
    return answer(shown.message(said, done.request), 201)


async def list_messages(http: Call) -> Response:
    wanted, id = query(http, Listing), id_of(http)
    of = f"messages {id}"
    after = place(http, wanted, of, int)
    about = (await http.services.search.request(http.actor, id, hides=False)).request

    past = await http.services.search.history(http.actor.tenant, id)

    seen = after[0] if after else 0
    found = [(one.seq, said) for one in past if one.seq > seen and (said := _said(one)) is not None]
    return listed(
        http, wanted, of, found[: wanted.limit + 1], lambda one: (one[0],), lambda one: shown.message(one[1], about)
    )


def _said(past: Past) -> Commented | None:
    return past.event if isinstance(past.event, Commented) else None
