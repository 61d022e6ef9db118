"""The access that an approval gives, and how it ends: by time, given back, or taken away."""

import enum
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from quorate.domain import refusals as no
from quorate.domain.events import Duration, RequestKind, Target
from quorate.domain.people import People
from quorate.domain.permissions import GRANT_REVOKE, allows
from quorate.domain.requests import Request


class State(enum.StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Grant(Struct, frozen=True):
    """Access of one account to one thing, from `starts_at` until `ends_at` (None: until it is revoked).

    `told_at`: its end has been told to the world. `version` counts its events.
    """

    tenant: UUID
    id: UUID
    request: UUID
    holder: UUID
    target: Target
    starts_at: datetime
    ends_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: UUID | None = None
    reason: str | None = None
    told_at: datetime | None = None
    version: int = 1

    def state_at(self, at: datetime) -> State:
        """Say what holds at a moment, whoever has noticed. A grant revoked before its end was revoked."""
        if self.revoked_at is not None and self.revoked_at <= at:
            return State.REVOKED
        return State.EXPIRED if self.ends_at is not None and self.ends_at <= at else State.ACTIVE


class Granted(Struct, frozen=True, tag=True, omit_defaults=True):
    at: datetime
    grant: Grant


class GrantFailed(Struct, frozen=True, tag=True, omit_defaults=True):
    """The request was approved, but what it was for, or whom, was no longer there."""

    at: datetime
    grant: Grant


class GrantRevoked(Struct, frozen=True, tag=True, omit_defaults=True):
    at: datetime
    by: UUID | None = None
    reason: str | None = None


class GrantExpired(Struct, frozen=True, tag=True, omit_defaults=True):
    """Its time was up at `at`, however late anybody came round to say so."""

    at: datetime


GrantEvent = Granted | GrantFailed | GrantRevoked | GrantExpired


def granted_by(request: Request, at: datetime, id: UUID) -> Grant | None:
    """Make the grant that an approval at a moment gives; None where what was asked for is no access."""
    filing = request.filing
    if filing.kind is not RequestKind.ACCESS or filing.target is None or filing.beneficiary is None:
        return None
    ends_at = at + span(filing.duration) if filing.duration is not None else None
    return Grant(request.tenant, id, request.id, filing.beneficiary, filing.target, at, ends_at)


def span(duration: Duration) -> timedelta:
    """How long a duration is. Units: hours, days (24 hours), minutes, seconds."""
    return timedelta(**{duration.unit: duration.value})


def lasting(seconds: int) -> Duration:
    """Say so many seconds as people ask for them: in hours where that is exact."""
    return Duration(seconds // 3600, "hours") if seconds % 3600 == 0 else Duration(seconds, "seconds")


def revoke(grant: Grant, actor: UUID, reason: str | None, people: People, *, at: datetime) -> GrantRevoked:
    """Work out what giving a grant back, or taking it away, brings about.

    Raises:
        NotPermitted: it is neither the actor's nor theirs to take away.
        GrantEnded: it has ended already.

    Source: native contract b.8, `POST /grants/{id}/revoke`.
    """
    person = people.person(actor)
    may = people.is_active(actor) and (
        person.human == people.human(grant.holder) or allows(person.permissions, GRANT_REVOKE)
    )
    if not may:
        raise no.NotPermitted(GRANT_REVOKE)
    state = grant.state_at(at)
    if state is not State.ACTIVE:
        raise no.GrantEnded(grant.id, state)
    return GrantRevoked(at, actor, reason)
