"""The approvals: listed, read, decided, withdrawn, revoked. Source: Britive contract §2, §3, §5."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from msgspec.structs import asdict
from starlette.responses import Response

from quorate.app.listing import Wanted
from quorate.app.requests import ACCESS, OpenStep
from quorate.domain import refusals as no
from quorate.domain.conditions import Condition, Every, Of, Party
from quorate.domain.events import Choice, Outcome
from quorate.domain.grants import Grant, State
from quorate.domain.permissions import ACT_FOR, GRANT_REVOKE, WORKFLOW_READ
from quorate.domain.requests import Request
from quorate.surfaces.britive import shown
from quorate.surfaces.britive.filters import ACTIVE, named_consumer, read_filter
from quorate.surfaces.britive.reading import (
    Deciding,
    Decision,
    Getting,
    Listing,
    Revocation,
    Withdrawal,
    acting_for,
    id_of,
    place,
    question,
    request_id,
    request_type,
)
from quorate.surfaces.britive.services import Call
from quorate.surfaces.britive.words import CONSUMERS, ENVIRONMENT, Consumer
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.reading import body, decoded, query, raw_body

PAGE: Final = 50  # Source: contract §5, row 8.
PARTIES: Final = {"myApprovals": Party.APPROVER, "myRequests": Party.REQUESTER}


async def list_all(http: Call) -> Response:
    wanted = query(http, Listing)
    where, person = _where(wanted), await acting_for(http)
    after = place(http, wanted, person)
    if person is not None and wanted.request_type is None:
        raise no.NotPermitted(WORKFLOW_READ)  # What a program may see for somebody is what is theirs.
    at = http.services.clock()

    found = await http.services.listing.page(
        http.actor,
        Wanted(
            of=_of(wanted.request_type, person),
            permission=ACT_FOR if person else WORKFLOW_READ,
            kinds=ACCESS,
            where=where,
            created_since=at - timedelta(days=wanted.created_within_days) if wanted.created_within_days else None,
            limit=PAGE,
            after=after,
        ),
    )

    items = await _shown(http, [one.request for one in found.items], found.at)
    return answer(shown.ApprovalsShown(items, shown.Pagination(_next(http, wanted, person, found.after))))


def _of(kind: str | None, person: UUID | None) -> tuple[Of, ...]:
    return () if kind is None else (Of(PARTIES[kind.strip()], person),)


def _where(wanted: Listing) -> Condition:
    conditions = [ACTIVE[wanted.active_status]]
    if wanted.filter is not None:
        conditions.append(read_filter(wanted.filter))
    if wanted.consumer is not None:
        conditions.append(named_consumer(wanted.consumer))
    return Every(tuple(conditions))


def _next(http: Call, wanted: Listing, person: UUID | None, after: tuple[datetime, UUID] | None) -> str:
    """Give the whole address of the next page: the SDK takes no other. Source: contract §1."""
    if after is None:
        return ""
    token = http.services.cursors.give(http.actor, question(wanted, person), *after)
    names = {"request_type": "requestType", "active_status": "activeStatus"}
    names |= {"created_within_days": "createdWithinDays", "filter": "filter", "consumer": "consumer"}
    said = {names[name]: value for name, value in asdict(wanted).items() if value is not None and name in names}
    return f"{http.origin}/api/v1/approvals/?{urlencode(said | {'pageToken': token})}"


async def read(http: Call) -> Response:
    wanted = query(http, Getting)

    return await _read(http, wanted.request_type)


async def read_as(http: Call) -> Response:
    """Read one by the path of the vendor's own example, `{id}/requestType=…`."""
    return await _read(http, request_type(http.path["requestType"]))


async def _read(http: Call, kind: str | None) -> Response:
    id, person = id_of(http), await acting_for(http)
    if kind is None:
        request, at = await _readable(http, id, person), http.services.clock()
    else:
        request, at = await _among(http, id, _of(kind, person), person)
    [one] = await _shown(http, [request], at)
    return answer(one)


async def decide(http: Call) -> Response:
    wanted = query(http, Deciding)
    id = id_of(http)
    said, person = decoded(await raw_body(http), Decision, optional=True), await acting_for(http)
    comment = (said.approver_comment or "").strip() or None

    if wanted.approve_request == "revoke":
        if person is not None:
            raise no.NotPermitted(ACT_FOR)
        await _revoke(http, [id], comment)
        return Response(status_code=204)
    choice = Choice.APPROVE if wanted.approve_request == "yes" else Choice.REJECT
    try:
        await http.services.requests.decide(http.actor, OpenStep(id), choice, comment, kinds=ACCESS, acting_for=person)
    except no.NotAnApprover:
        await _readable(http, id, person)  # Whoever may not even see it does not learn that it is there.
        raise
    return Response(status_code=204)


async def withdraw(http: Call) -> Response:
    id = id_of(http)
    await _readable(http, id)

    await http.services.requests.cancel(http.actor, id, None, kinds=ACCESS, hides=False)

    return Response(status_code=204)


async def withdraw_by_resource(http: Call) -> Response:
    wanted, consumer = query(http, Withdrawal), http.path["consumer"]
    outer, _, inner = wanted.resource_id.partition("/")
    try:
        thing = await http.services.offers.find(http.actor, outer, inner)
    except no.NoSuchTarget:
        raise no.NoSuchRequest(wanted.resource_id) from None
    belongs = Consumer.ACCESS if thing.type == ENVIRONMENT else Consumer.RESOURCES
    if consumer != CONSUMERS[belongs]:
        raise no.NoSuchRequest(wanted.resource_id)
    found = await http.services.listing.page(
        http.actor,
        Wanted(
            of=(Of(Party.REQUESTER),),
            kinds=ACCESS,
            statuses={Outcome.PENDING},
            target_type="resource",
            target_id=str(thing.id),
            limit=1,
        ),
    )
    if not found.items:
        raise no.NoSuchRequest(wanted.resource_id)

    await http.services.requests.cancel(http.actor, found.items[0].request.id, None, kinds=ACCESS, hides=False)

    return Response(status_code=204)


async def revoke(http: Call) -> Response:
    asked = await body(http, Revocation)

    await _revoke(http, [request_id(text) for text in dict.fromkeys(asked.approvals)], asked.revoker_comment)

    return Response(status_code=202)


async def _revoke(http: Call, ids: Sequence[UUID], comment: str | None) -> None:
    """Take back what these approvals gave: all of it, or, if one of them cannot be, nothing."""
    given = await http.services.grants.given_by(http.actor, ids)
    at = http.services.clock()
    for id in ids:
        request = await _readable(http, id)
        _may_revoke(http, request, given.get(id), at)
    for id in ids:
        await http.services.grants.revoke(http.actor, given[id].id, comment, hides=False)


def _may_revoke(http: Call, request: Request, grant: Grant | None, at: datetime) -> None:
    if grant is None or grant.holder != http.actor.principal:
        http.actor.demand(GRANT_REVOKE)
    if grant is None:
        raise no.AlreadyClosed(request.id, request.status)
    state = grant.state_at(at)
    if state is not State.ACTIVE:
        raise no.GrantEnded(grant.id, state)


async def _readable(http: Call, id: UUID, person: UUID | None = None) -> Request:
    """Find a request that the caller, or the one it calls for, may see. Raises: NoSuchRequest."""
    if person is not None:
        return (await _among(http, id, (Of(Party.INVOLVED, person),), person))[0]
    try:
        return (await http.services.search.request(http.actor, id, kinds=ACCESS)).request
    except no.NotPermitted:
        raise no.NoSuchRequest(id) from None


async def _among(http: Call, id: UUID, of: tuple[Of, ...], person: UUID | None) -> tuple[Request, datetime]:
    """Find a request that somebody has to do with, and the moment its state is of. Raises: NoSuchRequest."""
    wanted = Wanted(of=of, kinds=ACCESS, ids=(id,), limit=1, permission=ACT_FOR if person else WORKFLOW_READ)
    found = await http.services.listing.page(http.actor, wanted)
    if not found.items:
        raise no.NoSuchRequest(id)
    return found.items[0].request, found.at


async def show(http: Call, request: Request, at: datetime) -> shown.ApprovalShown:
    """Show one request as an approval."""
    [one] = await _shown(http, [request], at)
    return one


async def _shown(http: Call, requests: Sequence[Request], at: datetime) -> list[shown.ApprovalShown]:
    around = await http.services.offers.around(http.actor, requests)
    return [shown.approval(one, around, at, http.origin) for one in requests]
