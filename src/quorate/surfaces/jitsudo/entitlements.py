"""The "ensure" hook: what the caller needs now is there, on its way, or asked for.

Source: JITSudo contract b.6. A target and a role are an account and what is done in it.
"""

from typing import Annotated, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from msgspec import Meta, Struct
from starlette.responses import Response

from quorate.app.cedar.policies import Asked
from quorate.app.filing import AskAccess
from quorate.app.listing import Wanted
from quorate.app.requests import ACCESS
from quorate.domain import refusals as no
from quorate.domain.conditions import Of, Party
from quorate.domain.events import Outcome
from quorate.domain.grants import Grant, State, lasting
from quorate.domain.policy import Outcome as Verdicts
from quorate.domain.policy import Verdict
from quorate.domain.requests import Request
from quorate.surfaces.http.answering import answer, moment, moment_or_none
from quorate.surfaces.http.reading import body
from quorate.surfaces.jitsudo import shown
from quorate.surfaces.jitsudo.reading import Ensuring, Entitlement, Justification, demand_named, id_of
from quorate.surfaces.jitsudo.requests import TERMS
from quorate.surfaces.jitsudo.services import SURFACE, Call

ACCOUNT = "aws_account"
PREFIX = "AWS::Account::"
MOST = 250  # live grants or pending requests of one's own that are looked through

ItemStatus = Literal["active", "pending", "provisioning", "expired", "revoked"]
Change = Literal["none", "activated", "requested", "extended"]
Provisioning = Literal["pending", "successful", "failed"]


class Validation(Struct, frozen=True):
    has_reason: bool
    has_ticket_attachment: bool


class Item(Struct, frozen=True):
    """What became of one entitlement."""

    id: shown.Id
    name: str
    status: ItemStatus
    change: Change
    approved: bool
    duration_seconds: Annotated[int, Meta(ge=1)] | None
    expires_at: shown.Moment | None
    activated_at: shown.Moment | None
    access_request_id: shown.Id | None
    provisioning_status: Provisioning
    validation: Validation
    diagnostics: list[str]


class Ensured(Struct, frozen=True):
    grants: list[Item]


class GivenItem(Struct, frozen=True):
    id: shown.Id
    name: str
    status: State
    approved: bool
    expires_at: shown.Moment | None
    activated_at: shown.Moment | None
    provisioning_status: Provisioning


class RequestStatus(Struct, frozen=True):
    id: shown.Id
    status: shown.Status
    grants: list[GivenItem]


async def ensure(http: Call) -> Response:
    asked = await body(http, Ensuring)
    naming = await http.services.tenants.naming(http.actor.tenant)
    for index, one in enumerate(asked.entitlements):
        demand_named(naming, ACCOUNT, _account(one), f"entitlements[{index}]")

    items = []
    for one in asked.entitlements:  # In order, and each by itself: what one of them is refused keeps none of the rest.
        known = await _known(http, one)
        if known is not None:
            items.append(_item(one, asked.justification, *known))
        elif asked.dry_run:
            items.append(await _tried(http, one, asked.justification))
        else:
            items.append(await _requested(http, one, asked.justification))

    return answer(Ensured(items))


async def status(http: Call) -> Response:
    about = (await http.services.search.request(http.actor, id_of(http), hides=False)).request
    given = (await http.services.grants.given_by(http.actor, [about.id])).get(about.id)

    at = http.services.clock()
    state = shown.request(about, at).status
    items = [] if given is None else [_given(given, about, given.state_at(at))]
    return answer(RequestStatus(str(about.id), state, items))


def _account(one: Entitlement) -> str:
    return one.target.removeprefix(PREFIX)


async def _known(http: Call, one: Entitlement) -> tuple[Request, Grant | None, Change] | None:
    """Find a live grant of the caller's for this, else a request of theirs that is pending."""
    cases, me = http.services, http.actor.principal
    for grant, given_by in await cases.grants.after(http.actor, me, State.ACTIVE, limit=MOST):
        if _is_about(given_by, one):
            return given_by, grant, "none"
    mine = Wanted(of=(Of(Party.REQUESTER),), kinds=ACCESS, statuses={Outcome.PENDING}, limit=MOST)
    for held in (await cases.listing.page(http.actor, mine)).items:
        if _is_about(held.request, one):
            return held.request, None, "none"
    return None


def _is_about(request: Request, one: Entitlement) -> bool:
    about = shown.resource(request.filing.target)
    return (about.type, about.id, request.filing.action) == (ACCOUNT, _account(one), one.role)


async def _requested(http: Call, one: Entitlement, why: Justification | None) -> Item:
    try:
        done = await http.services.requests.ask(
            http.actor,
            AskAccess(
                ACCOUNT,
                _account(one),
                why.reason if why else None,
                lasting(one.duration_seconds) if one.duration_seconds else None,
                refuses_duplicates=False,
                action=one.role,
                metadata={"attachments": why.attachments} if why and why.attachments else {},
                terms=TERMS,
            ),
        )
    except no.DeniedByPolicy as denied:
        return _refused(one, why, denied.request, list(denied.notices))
    except no.DurationTooLong as asked:
        return _refused(one, why, None, [f"a policy allows at most {asked.max_seconds} seconds"])
    given = (await http.services.grants.given_by(http.actor, [done.request.id])).get(done.request.id)
    return _item(one, why, done.request, given, "activated" if given else "requested")


async def _tried(http: Call, one: Entitlement, why: Justification | None) -> Item:
    """Say what would come of asking, as far as the policies tell."""
    outcome = await http.services.policies.dry_run(
        http.actor,
        Asked(
            principal=str(http.actor.principal),
            type=ACCOUNT,
            target=_account(one),
            action=one.role,
            duration_seconds=one.duration_seconds,
            reason=why.reason if why else None,
            surface=SURFACE,
        ),
    )
    if outcome.verdict is Verdict.DENY:
        return _refused(one, why, None, list(outcome.notices) or [outcome.reason])
    is_auto = outcome.verdict is Verdict.AUTO
    return Item(
        id=_nobody(one),
        name=one.role,
        status="active" if is_auto else "pending",
        change="activated" if is_auto else "requested",
        approved=is_auto,
        duration_seconds=one.duration_seconds or _usual(outcome),
        expires_at=None,
        activated_at=None,
        access_request_id=None,
        provisioning_status="pending",
        validation=_validation(why),
        diagnostics=["this was not asked for: it is a dry run", *outcome.notices],
    )


def _usual(outcome: Verdicts) -> int | None:
    return outcome.default_duration_seconds or outcome.max_duration_seconds


def _item(one: Entitlement, why: Justification | None, about: Request, grant: Grant | None, change: Change) -> Item:
    seen = shown.request(about, about.updated_at)
    return Item(
        id=str(grant.id if grant else about.id),
        name=one.role,
        status="active" if grant else "pending",
        change=change,
        approved=grant is not None,
        duration_seconds=seen.duration_seconds,
        expires_at=moment_or_none(grant.ends_at) if grant else None,
        activated_at=moment(grant.starts_at) if grant else None,
        access_request_id=str(about.id),
        provisioning_status="successful" if grant else "pending",
        validation=_validation(why),
        diagnostics=[],
    )


def _refused(one: Entitlement, why: Justification | None, request: UUID | str | None, said: list[str]) -> Item:
    return Item(
        id=str(request or _nobody(one)),
        name=one.role,
        status="revoked",
        change="none",
        approved=False,
        duration_seconds=one.duration_seconds,
        expires_at=None,
        activated_at=None,
        access_request_id=str(request) if request else None,
        provisioning_status="failed",
        validation=_validation(why),
        diagnostics=said,
    )


def _given(grant: Grant, about: Request, state: State) -> GivenItem:
    return GivenItem(
        id=str(grant.id),
        name=about.filing.action or shown.ACTION,
        status=state,
        approved=True,
        expires_at=moment_or_none(grant.ends_at),
        activated_at=moment(grant.starts_at),
        provisioning_status="successful",
    )


def _nobody(one: Entitlement) -> str:
    """Make an id for what has none: the same one for the same entitlement."""
    return str(uuid5(NAMESPACE_URL, f"{one.target} {one.role}"))


def _validation(why: Justification | None) -> Validation:
    return Validation(bool(why and why.reason and why.reason.strip()), bool(why and why.attachments))
