"""Break-glass: access at once in an emergency, without anybody's approval, and somebody else's judgement afterwards.

Source: JITSudo contract (d) 24, which holds on every surface.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from quorate.domain import refusals as no
from quorate.domain.events import Duration, Filing, RequestKind, Target
from quorate.domain.grants import lasting, span
from quorate.domain.people import LAST_RESORT, Person
from quorate.domain.workflows import Route, Step, any_one_of

AWS_TYPES: Final = (
    "aws_account",
    "aws_permission_set",
    "aws_s3_bucket",
    "aws_rds_instance",
    "aws_ec2_instance",
    "aws_organizational_unit",
)
REVIEW_WITHIN: Final = timedelta(hours=24)


class GlassRules(Struct, frozen=True):
    """Who may break the glass for what, and for how long. No groups: every user may."""

    enabled: bool = False
    groups: tuple[str, ...] = ()
    max_seconds: int = 3600
    types: tuple[str, ...] = AWS_TYPES


def duration_allowed(
    rules: GlassRules,
    person: Person,
    *,
    asked_as: str,
    resource_type: str | None,
    for_self: bool,
    duration: Duration | None,
    has_overdue_review: bool,
) -> Duration:
    """Say how long the access lasts: as asked, or as long as the tenant allows.

    Raises: BreakGlassForbidden: not enabled, not theirs to break, not for this, too long, or an earlier one of theirs
        has waited more than a day for its review.
    """
    refused = {
        "disabled": not rules.enabled,
        "person": person.is_service or bool(rules.groups and person.groups.isdisjoint(rules.groups)),
        "beneficiary": not for_self,
        "target": asked_as in ("role", "group") or resource_type not in rules.types,
        "duration": duration is not None and span(duration) > timedelta(seconds=rules.max_seconds),
        "review": has_overdue_review,
    }
    for why, is_refused in refused.items():
        if is_refused:
            raise no.BreakGlassForbidden(why)
    return duration or lasting(rules.max_seconds)


def review_of(request: UUID, filing: Filing) -> tuple[Filing, Route]:
    """Make the review that follows: a request to any administrator but the person, with no deadline.

    Approving says it was justified; rejecting revokes the grant.
    """
    step = Step(1, "Review of break-glass access", any_one_of(*LAST_RESORT), override=False)
    asked = Filing(
        kind=RequestKind.GENERIC,
        filed_by=filing.filed_by,
        requester=filing.requester,
        beneficiary=filing.beneficiary,
        requester_name=filing.requester_name,
        requester_email=filing.requester_email,
        justification=filing.justification,
        is_review=True,
        subject={"userId": str(filing.requester), "reason": filing.justification, "requestId": str(request)},
        details={"reviewOf": str(request), "target": _named(filing.target)},
        surface=filing.surface,
    )
    return asked, Route((step,))


def reviewed(filing: Filing) -> UUID | None:
    """Name the request whose break-glass access a review judges."""
    return UUID(filing.details["reviewOf"]) if filing.is_review else None


def _named(target: Target | None) -> dict[str, str] | None:
    return {"type": target.type, "id": target.id, "name": target.name} if target else None
