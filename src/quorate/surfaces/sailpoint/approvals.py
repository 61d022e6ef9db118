"""Approvals one by one, and lists of them. Source: SailPoint contract §4, §5, §7; §9 rows 2, 3, 4, 7 and 9."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from starlette.responses import Response

from quorate.app.listing import Listed, Wanted
from quorate.app.orders import Done
from quorate.app.requests import EVERY_KIND, OpenStep, Past
from quorate.domain import refusals as no
from quorate.domain.conditions import Of, Party, parties
from quorate.domain.events import Choice, RequestKind
from quorate.domain.permissions import ACT_FOR, WORKFLOW_WRITE
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import body, query
from quorate.surfaces.sailpoint import reading, shown
from quorate.surfaces.sailpoint.reading import as_id, is_admin, omitted, said
from quorate.surfaces.sailpoint.services import Call
from quorate.surfaces.sailpoint.shown import WHOLE, Parts, View
from quorate.surfaces.sailpoint.words import AdminOnly, MayNot, Unseen

_NOT_ACCESS: Final = EVERY_KIND - {RequestKind.ACCESS}


class Layout(Struct, frozen=True):
    """Which shape a path answers in."""

    first_shape: bool

    async def list_all(self, http: Call) -> Response:
        asked = query(http, reading.ListFilter)
        wanted = _wanted(http, asked, self)

        found = await http.services.cases.listing.page(http.actor, wanted)

        parts = Parts(
            approvers=asked.include_approvers == "true",
            comments=asked.include_comments == "true",
            reassignment_history=asked.include_reassignment_history == "true",
            batch_info=asked.include_batch_info == "true",
            decisions=False,
        )
        headers = {"X-Total-Count": str(found.total)} if wanted.count else None
        return answer(await self._shown(http, found, parts), headers=headers)

    async def read(self, http: Call) -> Response:
        return await self.one(http, await _readable(http, _id(http)))

    async def one(self, http: Call, found: Listed) -> Response:
        """Show one approval as a whole."""
        return answer((await self._shown(http, found, WHOLE))[0])

    async def done(self, http: Call, done: Done) -> Response:
        """Show what an approval has become."""
        return await self.one(http, Listed((done.held,), http.services.cases.clock()))

    async def _shown(self, http: Call, found: Listed, parts: Parts) -> list[Any]:
        search, tenant = http.services.cases.search, http.actor.tenant
        ids = [one.request.id for one in found.items]
        past: dict[UUID, list[Past]] = {}
        if ids and (self.first_shape or parts.need_history):
            past = await search.histories(tenant, ids)
        cast = await search.cast(tenant, found.items, set().union(*map(shown.named, past.values())))
        views = [View(one.request, cast, past.get(one.request.id, []), found.at) for one in found.items]
        left_out = omitted(http)
        return [shown.without(view.first() if self.first_shape else view.current(parts), left_out) for view in views]


async def approve(http: Call) -> Response:
    asked = await body(http, reading.Approve, optional=True)

    done = await decide(http, _id(http), Choice.APPROVE, said(asked.comment), asked)

    return await CURRENT.done(http, done)


async def reject(http: Call) -> Response:
    asked = await body(http, reading.Reject, optional=True)

    await decide(http, _id(http), Choice.REJECT, said(asked.comment), asked)

    return Response(status_code=204)


async def decide(
    http: Call, id: UUID, choice: Choice, note: str | None, asked: reading.Approve | reading.Reject | None = None
) -> Done:
    """Decide in the open step as one of its approvers; as an administrator who is none, take the place of one.

    Raises: Unseen, and as the use cases.
    """
    requests, actor = http.services.cases.requests, http.actor
    attributes = asked.additional_attributes if isinstance(asked, reading.Approve) else None
    attached = {"attributes": attributes} if attributes else None
    acting_for = None
    if asked is not None and asked.override_approver_id is not None:
        acting_for = as_id(asked.override_approver_id)
        if acting_for is None:
            raise MayNot
    if acting_for is None or not actor.may(ACT_FOR):
        await _readable(http, id)
    try:
        return await requests.decide(actor, OpenStep(id), choice, note, attached=attached, acting_for=acting_for)
    except no.NotAnApprover:
        if acting_for is not None or not is_admin(http):
            raise
    return await requests.take_seat(actor, id, choice, note, attached=attached)


async def comment(http: Call) -> Response:
    asked, id = await body(http, reading.Remark), _id(http)
    if not said(asked.comment):
        raise BadInput.at("comment", "must say something")
    await _readable(http, id)

    done = await http.services.cases.requests.comment(http.actor, id, asked.comment, kinds=EVERY_KIND, idempotency=None)

    return await CURRENT.done(http, done)


async def attributes(http: Call) -> Response:
    asked, id = await body(http, reading.Annotation), _id(http)
    await _readable(http, id)

    done = await http.services.cases.requests.annotate(
        http.actor, id, asked.additional_attributes, tuple(asked.remove_attribute_keys), said(asked.comment)
    )

    return await CURRENT.done(http, done)


async def reassign(http: Call) -> Response:
    asked, id = await body(http, reading.Reassign), _id(http)
    to = as_id(asked.reassign_to)
    giver = as_id(asked.reassign_from) if asked.reassign_from else None
    if to is None:
        raise BadInput.at("reassignTo", "is no identity")
    if asked.reassign_from and giver is None:
        raise BadInput.at("reassignFrom", "is no identity")
    await _readable(http, id)

    await http.services.cases.requests.reassign(http.actor, OpenStep(id), to, giver, said(asked.comment))

    return Response(status_code=204)


async def cancel(http: Call) -> Response:
    asked, id = await body(http, reading.Cancel, optional=True), _id(http)
    if not is_admin(http):
        raise AdminOnly
    await _readable(http, id)

    await http.services.cases.requests.cancel(http.actor, id, said(asked.comment))

    return Response(status_code=204)


FIRST, CURRENT = Layout(first_shape=True), Layout(first_shape=False)


def _id(http: Call) -> UUID:
    """Read the id in the path. Raises `Unseen`."""
    id = as_id(http.path["id"])
    if id is None:
        raise Unseen
    return id


async def _readable(http: Call, id: UUID) -> Listed:
    """Read an approval that the caller may see: theirs, one they decide or have decided, or will when it is their turn;
    as an administrator, any.

    Raises: Unseen.
    """
    cases, actor = http.services.cases, http.actor
    if is_admin(http):
        found = await cases.listing.page(actor, Wanted(ids=(id,), limit=1, permission=WORKFLOW_WRITE))
        if not found.items:
            raise Unseen
        return found
    try:
        held = await cases.search.instance(actor, id, even_before=True)
    except (no.NotPermitted, no.NoSuchRequest):
        raise Unseen from None
    return Listed((held,), cases.clock())


def _wanted(http: Call, asked: reading.ListFilter, layout: Layout) -> Wanted:
    """Say which list is meant. Raises `BadInput`."""
    people = (
        (Party.REQUESTER, "requesterId", asked.requester_id),
        (Party.BENEFICIARY, "requesteeId", asked.requestee_id),
        (Party.APPROVER, "approverId", asked.approver_id),
    )
    of = [_of(http, party, name, id) for party, name, id in people if id]
    mine = asked.mine == "true" or (asked.names_nobody and (layout.first_shape or not is_admin(http)))
    if mine:
        of.append(Of(Party.APPROVER))
    elif not of and not is_admin(http):
        of.append(Of(Party.INVOLVED))
    where = asked.condition(first_shape=layout.first_shape)
    if where is not None and not is_admin(http):
        for one in parties(where):
            _of(http, one.party, "filters", str(one.person))
    return Wanted(
        of=tuple(of),
        kinds=_NOT_ACCESS if layout.first_shape else EVERY_KIND,
        where=where,
        sort=asked.order(),
        limit=0 if asked.count_only == "true" else asked.limit,
        offset=asked.offset,
        count="true" in (asked.count, asked.count_only),
        permission=WORKFLOW_WRITE,
    )


def _of(http: Call, party: Party, name: str, written: str) -> Of:
    """Name somebody a list is about. Raises `BadInput`: only an administrator names others."""
    id = as_id(written)
    if id != http.actor.principal and not is_admin(http):
        raise BadInput.at(name, "must be the calling identity")
    return Of(party, id or NOBODY)


NOBODY: Final = UUID(int=0)


def every_id(ids: Sequence[str]) -> list[UUID]:
    """Read the ids of a bulk call, each once; what is no id names nothing."""
    return list(dict.fromkeys(id for id in map(as_id, ids) if id is not None))
