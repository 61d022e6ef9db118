"""The request after an event. Replaying a history is nothing but this: it applies what is recorded, tallies nothing."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from msgspec.structs import replace

from quorate.domain.events import (
    Annotated,
    ApprovedByPolicy,
    Choice,
    Closed,
    Commented,
    Decided,
    Discarded,
    Escalated,
    Event,
    FellBack,
    Outcome,
    Overridden,
    PassedByTime,
    Reassigned,
    Reminded,
    StepOpened,
    Submitted,
)
from quorate.domain.requests import Request, StepState, with_leaves, with_stand_in


def begin(tenant: UUID, id: UUID, submitted: Submitted) -> Request:
    """Make the request that a submission starts. Everything else starts from it."""
    limit_s = submitted.filing.time_to_decide_s
    return Request(
        tenant=tenant,
        id=id,
        filing=submitted.filing,
        route=submitted.route,
        status=Outcome.PENDING,
        walk=(),
        created_at=submitted.at,
        updated_at=submitted.at,
        due_by=None if limit_s is None else submitted.at + timedelta(seconds=limit_s),
        version=1,
    )


def apply(request: Request, event: Event) -> Request:
    """Give the request as it is after an event."""
    after = replace(request, version=request.version + 1, updated_at=event.at)
    match event:
        case Submitted():
            return begin(request.tenant, request.id, event)
        case StepOpened(at, index, needs, due_at, escalates_at, remind_at):
            opened = StepState(index, at, needs, due_at, escalates_at=escalates_at, remind_at=remind_at)
            return replace(after, walk=(*request.walk, opened))
        case FellBack(leaves=leaves, is_stuck=is_stuck):
            return _current(after, tree=with_leaves(request.tree, *leaves), is_stuck=is_stuck)
        case Decided():
            return _current(after, decisions=(*request.current.decisions, event))
        case Overridden(by=by, choice=choice, credential=credential):
            return _current(after, settled=choice, settled_by=by, settled_with=credential)
        case PassedByTime():
            return _current(after, settled=Choice.APPROVE)
        case Reassigned():
            return _reassigned(after, event)
        case Escalated():
            return _escalated(after, event)
        case Reminded(at=at, by=None, next_at=next_at):
            return _current(after, reminded_at=at, reminders=request.current.reminders + 1, remind_at=next_at)
        case Reminded(at=at):
            return _current(after, reminded_at=at)
        case Closed(at, status, _, by, note):
            return replace(after, status=status, closed_at=at, closed_by=by, closing_note=note)
        case Annotated(put=put, removed=removed):
            kept = {name: text for name, text in request.notes.items() if name not in removed}
            return replace(after, notes=kept | put)
        case Discarded(at=at):
            return replace(after, discarded_at=at)
        case Commented() | ApprovedByPolicy():
            return after


def apply_all(request: Request, events: Iterable[Event]) -> Request:
    for event in events:
        request = apply(request, event)
    return request


def replay(tenant: UUID, id: UUID, events: Sequence[Event]) -> Request:
    """Build a request from its whole history, which begins with its submission."""
    first, *rest = events
    assert isinstance(first, Submitted)
    return apply_all(begin(tenant, id, first), rest)


def _current(request: Request, **changes: object) -> Request:
    return replace(request, walk=(*request.walk[:-1], replace(request.current, **changes)))


def _escalated(request: Request, event: Escalated) -> Request:
    joined = _current(
        request, tree=with_leaves(request.tree, *event.leaves), due_at=event.due_at, escalated_at=event.at
    )
    if event.place is None:
        return _current(joined, is_escalated=True)
    return _current(joined, escalations=event.place, escalates_at=event.next_at)


def _reassigned(request: Request, event: Reassigned) -> Request:
    excluded = request.current.excluded
    if event.giver is not None:
        excluded |= {event.giver}
    tree = with_stand_in(request.tree, event.leaves, event.to)
    return _current(request, tree=tree, excluded=excluded - {event.to}, needs=event.needs)
