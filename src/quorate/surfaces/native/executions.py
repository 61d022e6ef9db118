"""The history of an instance as the contract tells it: steps that start, decisions, and the end.

Source: native contract b.4, the mapping below its table. What is not in it (fallback, reassignment, comments,
reminders) is for the audit log alone.
"""

from collections.abc import Iterable
from typing import Literal
from uuid import UUID, uuid5

from msgspec import Struct

from quorate.app.requests import Past
from quorate.domain.events import (
    ApprovedByPolicy,
    Choice,
    Closed,
    Commented,
    Decided,
    Escalated,
    Event,
    Outcome,
    Overridden,
    PassedByTime,
    StepOpened,
)
from quorate.domain.requests import Request
from quorate.surfaces.http.answering import moment
from quorate.surfaces.native.shown import Id, Moment

What = Literal["step_started", "approved", "rejected", "escalated", "expired", "cancelled"]


class Execution(Struct, frozen=True, rename="camel"):
    """One thing that happened. What time or a policy did has no actor and no note."""

    id: Id
    step: int | None
    step_name: str | None
    event: What
    actor_id: Id | None
    note: str | None
    occurred_at: Moment


class ExecutionList(Struct, frozen=True, rename="camel"):
    instance_id: Id
    executions: list[Execution]


class CommentShown(Struct, frozen=True, rename="camel"):
    id: Id
    author_id: Id
    author_name: str
    text: str
    created_at: Moment


class CommentList(Struct, frozen=True, rename="camel"):
    comments: list[CommentShown]
    total: int


def executions(one: Request, history: Iterable[Past]) -> ExecutionList:
    """Tell a request's history. Ids are made from the request's and the number of the event, so they stay."""
    found: list[Execution] = []
    current: int | None = None
    for past in history:
        if isinstance(past.event, StepOpened):
            current = past.event.step
        told = _told(past.event)
        if told is None:
            continue
        what, actor, note = told
        step = None if current is None else one.route.steps[current]
        found.append(
            Execution(
                id=str(uuid5(one.id, str(past.seq))),
                step=step.order if step else None,
                step_name=step.name if step else None,
                event=what,
                actor_id=str(actor) if actor else None,
                note=note or None,
                occurred_at=moment(past.at),
            )
        )
    return ExecutionList(str(one.id), found)


def comment(said: Commented) -> CommentShown:
    return CommentShown(str(said.id), str(said.by), said.name, said.text, moment(said.at))


def comments(history: Iterable[Past]) -> CommentList:
    found = [comment(past.event) for past in history if isinstance(past.event, Commented)]
    return CommentList(found, len(found))


def _told(event: Event) -> tuple[What, UUID | None, str | None] | None:
    match event:
        case StepOpened():
            return "step_started", None, None
        case Decided(by=by, choice=choice, note=note) | Overridden(by=by, choice=choice, note=note):
            return "approved" if choice is Choice.APPROVE else "rejected", by, note
        case PassedByTime() | ApprovedByPolicy():
            return "approved", None, None
        case Escalated(by=by):
            return "escalated", by, None
        case Closed(status=Outcome.EXPIRED):
            return "expired", None, None
        case Closed(status=Outcome.CANCELLED, by=by, note=note):
            return "cancelled", by, note
        case _:
            return None
