"""Grants. Source: JITSudo contract b.6; (d) 27."""

from datetime import datetime
from uuid import UUID

from starlette.responses import Response

from quorate.domain import refusals as no
from quorate.surfaces.http.answering import answer
from quorate.surfaces.http.reading import query
from quorate.surfaces.jitsudo import shown
from quorate.surfaces.jitsudo.calls import listed
from quorate.surfaces.jitsudo.reading import GrantListing, account, id_of, place
from quorate.surfaces.jitsudo.services import Call


async def list_all(http: Call) -> Response:
    wanted = query(http, GrantListing)
    of = f"grants {wanted.status} {wanted.grantee_id}"
    after = place(http, wanted, of, datetime, UUID)
    grantee = await account(http, wanted.grantee_id) if wanted.grantee_id else None

    found = (
        []
        if wanted.grantee_id and grantee is None
        else await http.services.grants.after(http.actor, grantee, wanted.status, limit=wanted.limit + 1, place=after)
    )

    at = http.services.clock()
    return listed(http, wanted, of, found, lambda one: (one[0].starts_at, one[0].id), lambda one: shown.grant(*one, at))


async def read(http: Call) -> Response:
    found = await http.services.grants.read_whole(http.actor, id_of(http, absent=no.NoSuchGrant))

    return answer(shown.grant(*found, http.services.clock()))


async def revoke(http: Call) -> Response:
    id = id_of(http, absent=no.NoSuchGrant)
    revoked = await http.services.grants.revoke(http.actor, id, None, hides=False)
    [given_by] = await http.services.search.by_ids(http.actor.tenant, [revoked.request])

    return answer(shown.grant(revoked, given_by.request, http.services.clock()))
