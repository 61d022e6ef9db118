"""Approval requests: asked for, listed, read, approved, denied, deleted, and what they answered.

Source: Fortanix contract §2, §4, §5, §7.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, TypeAlias

from msgspec.structs import replace
from starlette.responses import Response

from quorate.app.actor import Actor
from quorate.app.cases import UseCases
from quorate.app.listing import Wanted
from quorate.app.operations.use import AskOperation, Execution
from quorate.app.orders import Done
from quorate.app.panel import Keeping
from quorate.app.requests import OpenStep
from quorate.domain.conditions import Compare, Condition, Every, Field, Not, Of, Party, Says, Some
from quorate.domain.events import Choice, Outcome, RequestKind
from quorate.domain.permissions import AUDIT_READ
from quorate.domain.refusals import NoResult, NoSuchRequest, NotPermitted, NotTheRequester, Refusal
from quorate.domain.requests import Request
from quorate.surfaces.fortanix import shown
from quorate.surfaces.fortanix.reading import Approval, Denial, Filter, NewRequest, Status, as_id
from quorate.surfaces.fortanix.shown import ApprovalRequest, Result
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.call import Http
from quorate.surfaces.http.reading import body, query

Call: TypeAlias = Http[UseCases]
EVERY_KIND: Final = frozenset(RequestKind)
MOST: Final = 10_000  # of a list that has no pages; the newest that match
_PAGE: Final = 500
_KEPT: Final = frozenset(Outcome) - {Outcome.CANCELLED}
_SHOWN_AS: Final[Mapping[Status, frozenset[Outcome]]] = {
    "PENDING": frozenset({Outcome.PENDING, Outcome.EXPIRED}),
    "APPROVED": frozenset({Outcome.APPROVED}),
    "DENIED": frozenset({Outcome.REJECTED}),
    "FAILED": frozenset({Outcome.APPROVED}),
}
PATIENCE_S: Final = 10.0  # how long an approval waits for what it lets happen (§7, row 2)


async def create(http: Call) -> Response:
    asked = await body(http, NewRequest)

    done = await http.services.operations.ask(
        http.actor, AskOperation(asked.method, asked.operation, asked.body, asked.description)
    )

    return answer(await _shown(http, done.request))


async def list_all(http: Call) -> Response:
    wanted, services = query(http, Filter), http.services
    actor, keeping = http.actor, await services.panels.keeping(http.actor.tenant)

    matching: list[ApprovalRequest] = []
    page = _first_page(actor, wanted, keeping, services.clock())
    while True:  # Shown page by page, so that others are answered in between.
        listed = await services.listing.page(actor, page)
        found = await _all_shown(http, [held.request for held in listed.items])
        matching += [one for one in found if _matches(one, wanted)]
        if listed.after is None or len(matching) >= MOST:
            break
        page = replace(page, after=listed.after)

    return answer(shown.in_order(matching)[:MOST])


async def read(http: Call) -> Response:
    found = await _visible(http)

    return answer(await _shown(http, found))


async def approve(http: Call) -> Response:
    sent = await body(http, Approval, optional=True)
    evidence, id = sent.evidence, as_id(http.path["id"])

    async with _hiding(http):
        done = await http.services.requests.decide(
            http.actor, OpenStep(id), Choice.APPROVE, None, evidence, attached=sent.body
        )
    became = None
    if done.request.status is Outcome.APPROVED and done.request.filing.kind is RequestKind.OPERATION:
        became = await http.services.operations.wait(http.actor.tenant, id, PATIENCE_S)

    return await _after(http, done, became)


async def deny(http: Call) -> Response:
    sent = await body(http, Denial, optional=True)
    id = as_id(http.path["id"])

    async with _hiding(http):
        done = await http.services.requests.decide(
            http.actor, OpenStep(id), Choice.REJECT, sent.reason or None, may_refuse_own=True
        )

    return await _after(http, done)


async def delete(http: Call) -> Response:
    found = await find(http)

    try:
        await http.services.requests.discard(http.actor, found.id)
    except NotPermitted:
        raise NotTheRequester(found.id) from None

    return Response(status_code=204)


async def result(http: Call) -> Response:
    found, services = await find(http), http.services
    keeping, at = await services.panels.keeping(http.actor.tenant), services.clock()
    if found.filing.kind is not RequestKind.OPERATION or shown.is_over(found, keeping, at):
        raise NoResult(found.id, found.status.value)

    got = await services.operations.result(http.actor, found.id)

    return answer(Result(got.status, got.body))


@asynccontextmanager
async def _hiding(http: Call) -> AsyncIterator[None]:
    """Tell whoever may not see a request that there is none, and not what else is wrong. Raises: NoSuchRequest."""
    try:
        yield
    except Refusal:
        await find(http)
        raise


async def find(http: Call) -> Request:
    """Find the request a call is about. Raises: NoSuchRequest: there is none, or it is not for this caller to know."""
    found = await _visible(http)
    keeping = await http.services.panels.keeping(http.actor.tenant)
    if shown.is_hidden(found, keeping, http.services.clock()):
        raise NoSuchRequest(found.id)
    return found


async def _visible(http: Call) -> Request:
    """Find a request that is the caller's to see, unless it is hidden from all. Raises: NoSuchRequest."""
    id = as_id(http.path["id"])
    try:
        held = await http.services.search.request(http.actor, id, kinds=EVERY_KIND, permission=AUDIT_READ)
    except NotPermitted:
        raise NoSuchRequest(id) from None
    return held.request


def _first_page(actor: Actor, wanted: Filter, keeping: Keeping, at: datetime) -> Wanted:
    """Say what to read: what the caller has to do with; of an auditor, everything. What cannot be shown, or cannot
    match, is left out early."""
    of: tuple[Of, ...] = ()
    if not actor.may(AUDIT_READ):
        of = (Of(Party.INVOLVED),)
    elif wanted.requester is not None:
        of = (Of(Party.REQUESTER, wanted.requester),)
    where: list[Condition] = []
    if not keeping.retains:
        lately = Says(Field.CLOSED_AT, Compare.AT_LEAST, (at - keeping.period,))
        where.append(Some((lately, Not(Says(Field.CLOSED_AT, Compare.PRESENT)))))
    if wanted.subject is not None:
        where.append(Says(Field.TARGET_ID, Compare.EQUAL, (str(wanted.subject),)))
    statuses = _SHOWN_AS[wanted.status] if wanted.status else _KEPT
    return Wanted(
        of=of,
        statuses=statuses if keeping.retains else statuses - {Outcome.EXPIRED},
        where=Every(tuple(where)),
        discarded=False,
        limit=_PAGE,
        permission=AUDIT_READ,
    )


def _matches(one: ApprovalRequest, wanted: Filter) -> bool:
    return (
        wanted.status in (None, one.status)
        and (wanted.requester is None or one.requester.is_(wanted.requester))
        and (wanted.reviewer is None or any(each.is_(wanted.reviewer) for each in one.reviewers))
        and (wanted.subject is None or any(each.is_(wanted.subject) for each in one.subjects))
    )


async def _after(http: Call, done: Done, became: Execution | None = None) -> Response:
    """Answer the request as it is after a decision. `became`: what became of the operation that this approved."""
    panel, keeping = await http.services.panels.after(done)
    return answer(shown.request(done.request, panel, keeping, became, http.services.clock()))


async def _shown(http: Call, request: Request) -> ApprovalRequest:
    """Show a request. Raises: NoSuchRequest: it is hidden from all."""
    found = await _all_shown(http, [request])
    if not found:
        raise NoSuchRequest(request.id)
    return found[0]


async def _all_shown(http: Call, requests: Collection[Request]) -> list[ApprovalRequest]:
    """Show requests, but for those that are hidden from all."""
    tenant, services, at = http.actor.tenant, http.services, http.services.clock()
    panels, keeping = await services.panels.of(tenant, requests)
    there = [one for one in requests if not shown.is_hidden(one, keeping, at)]
    done = [one.id for one in there if one.status is Outcome.APPROVED and one.filing.kind is RequestKind.OPERATION]
    executions = await services.operations.executions(tenant, done) if done else {}
    return [shown.request(one, panels[one.id], keeping, executions.get(one.id), at) for one in there]
