"""What happened: the audit log.

Source: native contract b.7 and (d) 50.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from quorate.app.audit import Occurrence, Sort, Sought
from quorate.surfaces.http.answering import moment
from quorate.surfaces.http.paging import Paging
from quorate.surfaces.http.problems import BadInput
from quorate.surfaces.http.reading import query
from quorate.surfaces.native.calls import given
from quorate.surfaces.native.services import Call
from quorate.surfaces.native.shapes import Name, as_id
from quorate.surfaces.native.shown import Id, Moment

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_MOMENTS: Final = frozenset({"dueAt", "startsAt", "endsAt", "expiresAt"})


class HistoryFilter(Paging, frozen=True, kw_only=True, rename="camel"):
    """The query of a list of events. Dates are days or moments, both included; without an offset they are UTC."""

    start_date: Name | None = None
    end_date: Name | None = None
    action: Name | None = None
    status: Literal["success", "failure"] | None = None
    sort_by: Sort = "timestamp"
    sort_order: Literal["asc", "desc"] = "desc"

    def read(self, **more: Any) -> Sought:
        """Raises `BadInput`: a date is none."""
        return Sought(
            action=self.action,
            since=_date(self.start_date, "startDate")[0] if self.start_date else None,
            before=_date(self.end_date, "endDate")[1] if self.end_date else None,
            status=self.status,
            sort=self.sort_by,
            descending=self.sort_order == "desc",
            **more,
        )


class EventFilter(HistoryFilter, frozen=True, kw_only=True, rename="camel"):
    """The query of the list of all events."""

    user_id: Name | None = None
    resource_type: Name | None = None
    resource_id: Name | None = None


class EventShown(Struct, frozen=True, kw_only=True, rename="camel"):
    """One thing that happened. Without `userId` time, a policy or the operator did it, or somebody unknown tried."""

    id: str
    tenant_id: Id
    user_id: Id | UnsetType = UNSET
    user_email: str | UnsetType = UNSET
    action: str
    resource_type: str
    resource_id: Id
    ip_address: str | UnsetType = UNSET
    user_agent: str | UnsetType = UNSET
    details: dict[str, Any]
    status: Literal["success", "failure"]
    timestamp: Moment


class EventList(Struct, frozen=True, rename="camel"):
    events: list[EventShown]
    total: int


async def list_all(http: Call) -> Response:
    wanted = query(http, EventFilter)
    sought = wanted.read(
        actor=as_id(wanted.user_id) if wanted.user_id else None,
        resource_type=wanted.resource_type,
        resource=as_id(wanted.resource_id) if wanted.resource_id else None,
    )

    found, total = await http.services.audit.page(http.actor, sought, wanted.limit, wanted.offset)

    return given(EventList([_shown(http, one) for one in found], total))


async def read(http: Call) -> Response:
    return given(_shown(http, await http.services.audit.read(http.actor, http.path["id"])))


async def history(http: Call) -> Response:
    wanted = query(http, HistoryFilter)
    sought = wanted.read(resource_type=http.path["type"], resource=as_id(http.path["id"]))

    found, total = await http.services.audit.page(http.actor, sought, wanted.limit, wanted.offset)

    return given(EventList([_shown(http, one) for one in found], total))


async def mine(http: Call) -> Response:
    wanted = query(http, HistoryFilter)
    sought = wanted.read()

    found, total = await http.services.audit.mine(http.actor, sought, wanted.limit, wanted.offset)

    return given(EventList([_shown(http, one) for one in found], total))


def _shown(http: Call, one: Occurrence) -> EventShown:
    return EventShown(
        id=one.id,
        tenant_id=str(http.actor.tenant),
        user_id=str(one.actor) if one.actor else UNSET,
        user_email=one.actor_email if one.actor_email is not None else UNSET,
        action=one.action,
        resource_type=one.resource_type,
        resource_id=str(one.resource),
        ip_address=one.address if one.address is not None else UNSET,
        user_agent=one.agent if one.agent is not None else UNSET,
        details={key: _plain(key, value) for key, value in one.details.items()},
        status="failure" if one.is_failure else "success",
        timestamp=moment(one.at),
    )


def _plain(key: str, value: Any) -> Any:
    """Show a moment as all moments are shown, and everything else as it stands in the history."""
    return moment(datetime.fromisoformat(value)) if key in _MOMENTS and value is not None else value


def _date(text: str, field: str) -> tuple[datetime, datetime]:
    """Read a day or a moment; answers where it begins and where it is over. Timestamps are shown to the second."""
    try:
        if len(text) == 10:
            begins = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
            return begins, begins + _DAY
        at = datetime.fromisoformat(text)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        return at, at + (timedelta(microseconds=1) if at.microsecond else _SECOND)
    except (ValueError, OverflowError):
        raise BadInput.at(field, "must be a day, or a moment like 2026-03-02T12:00:00Z") from None
