"""The audit log. Source: JITSudo contract b.7; (d) 37."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from msgspec import Struct
from starlette.responses import Response

from quorate.app.audit import Occurrence, Pattern, Recorded, Sought
from quorate.surfaces.http.answering import moment
from quorate.surfaces.http.reading import query, storable
from quorate.surfaces.jitsudo import shown
from quorate.surfaces.jitsudo.calls import listed
from quorate.surfaces.jitsudo.reading import AuditListing, account, key_meant, place
from quorate.surfaces.jitsudo.services import Call

ACTIONS: Final[Mapping[str, Pattern]] = {
    "request.created": Pattern("request", "Submitted", is_access=True),
    "request.break_glass": Pattern("request", "Closed", is_access=True, status="approved", cause="break_glass"),
    "request.approved": Pattern("request", "Closed", is_access=True, status="approved", not_cause="break_glass"),
    "request.denied": Pattern("request", "Closed", is_access=True, status="rejected"),
    "request.expired": Pattern("request", "Closed", is_access=True, status="expired"),
    "request.cancelled": Pattern("request", "Closed", is_access=True, status="cancelled"),
    "request.message": Pattern("request", "Commented", is_access=True),
    "grant.created": Pattern("grant", "Granted"),
    "grant.revoked": Pattern("grant", "GrantRevoked"),
    "grant.expired": Pattern("grant", "GrantExpired"),
}
"""What the contract names, and how our history has it. All else goes by our own names."""

NOBODY: Final = UUID(int=0)
REASONS: Final = ("note", "reason")


class EntryShown(Struct, frozen=True):
    """One thing that happened."""

    id: str
    actor_id: str
    actor_type: Literal["user", "api_key", "system"]
    action: str
    resource_type: str
    resource_id: str
    metadata: dict[str, Any]
    reasoning: str | None
    created_at: shown.Moment


async def list_all(http: Call) -> Response:
    wanted = query(http, AuditListing)
    sought = await _sought(http, wanted)
    asked = (wanted.actor_id, wanted.resource_type, wanted.resource_id, wanted.action, wanted.from_, wanted.to)
    of = f"audit {asked!r}"
    after = place(http, wanted, of, datetime, int)

    found = await http.services.audit.after(http.actor, sought, wanted.limit + 1, after)

    return listed(http, wanted, of, found, lambda one: (one.at, one.recorded.number), _entry)


async def _sought(http: Call, wanted: AuditListing) -> Sought:
    key = key_meant(wanted.actor_id) if wanted.actor_id else None
    actor = None
    if wanted.actor_id and key is None:
        actor = await account(http, wanted.actor_id) or NOBODY
    pattern = ACTIONS.get(wanted.action) if wanted.action else None
    return Sought(
        actor=actor,
        credential=key,
        action=wanted.action if pattern is None else None,
        patterns=(pattern,) if pattern else (),
        kinds=(wanted.resource_type,) if wanted.resource_type else (),
        resource=_as_id(wanted.resource_id) if wanted.resource_id else None,
        since=storable(wanted.from_, "from") if wanted.from_ else None,
        before=storable(wanted.to, "to") if wanted.to else None,
    )


def _entry(one: Occurrence) -> EntryShown:
    is_key = one.actor_is_service and one.credential is not None
    reasons = [one.details[name] for name in REASONS if isinstance(one.details.get(name), str)]
    return EntryShown(
        id=one.id,
        actor_id=shown.who(one.actor, one.credential if is_key else None) if one.actor else shown.SYSTEM,
        actor_type="system" if one.actor is None else "api_key" if is_key else "user",
        action=_action(one.action, one.recorded),
        resource_type=one.recorded.kind,
        resource_id=str(one.recorded.subject),
        metadata={name: value for name, value in one.details.items() if name not in REASONS},
        reasoning=reasons[0] if reasons else None,
        created_at=moment(one.at),
    )


def _action(ours: str, recorded: Recorded) -> str:
    return next((name for name, pattern in ACTIONS.items() if recorded.fits(pattern)), ours)


def _as_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return NOBODY
