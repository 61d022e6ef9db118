"""What a batch writes, worked out from the requests before and after it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from quorate.domain.events import Closed, Decided, Event, Outcome
from quorate.domain.grants import Granted, GrantFailed, granted_by
from quorate.domain.messages import Owed, Subscription, execution_fact, grant_fact, owed, owed_of_facts
from quorate.domain.operations import Reply
from quorate.domain.people import mentioned
from quorate.domain.requests import Request, StepState
from quorate.domain.workflows import Joined, Kind
from quorate.store.ids import new_command_id
from quorate.store.requests import (
    Changes,
    Counted,
    Given,
    Happening,
    Held,
    Key,
    Listing,
    Message,
    PastApprover,
    TaskRow,
    ToExecute,
)


class Origin(Struct, frozen=True):
    """Where a command came from, for the history: which credential, through which surface, from which address."""

    credential: UUID | None = None
    surface: str | None = None
    address: str | None = None


NOWHERE = Origin()


class Caused(Struct, frozen=True):
    """The events that one command brought about, in order."""

    command: UUID
    actor: UUID | None
    origin: Origin
    events: tuple[Event, ...]


class Change(Struct):
    """One request as it was locked (None: it is new), as it is now, and what happened in between."""

    before: Held | None
    after: Held
    caused: list[Caused]


def write_down(changes: Changes, change: Change) -> None:
    """Add to what a batch writes all that one changed request needs."""
    request, before = change.after.request, change.before.request if change.before else None
    (changes.moved if before else changes.born).append(change.after)
    changes.events += _happenings(change)
    _tasks(changes, change.before, change.after)
    _timers(changes, before, request)
    if before is None or before.status is not request.status:
        changes.counts += _counted(before, request)


def owe(
    changes: Changes, change: Change, subscriptions: Sequence[Subscription], new_id: Callable[[], UUID], at: datetime
) -> None:
    """Add to what a batch writes the messages that one changed request owes to those who want to hear of it.

    To be called after `give` and `execute`: what becomes of a grant and of an operation is told too.
    """
    if not subscriptions:
        return
    held, is_new = change.after, change.before is None
    tenant, request = held.request.tenant, held.request.id
    before = change.before.request if change.before else None

    def message(one: Owed, grant: UUID | None = None, grant_made: bool | None = None) -> Message:
        kind = "webhook"
        return Message(tenant, new_id(), kind, request, is_new, one.name, one.body, at, one.webhook, grant, grant_made)

    events = [(event, _author(event, caused).actor) for caused in change.caused for event in caused.events]
    changes.messages += map(message, owed(before, held.request, held.tasks, events, subscriptions))
    for one in changes.executions:
        if one.status is not None and (one.tenant, one.request) == (tenant, request):
            fact = execution_fact(one.id, one.request, one.state, one.at, None)
            changes.messages += (message(told) for told in owed_of_facts(tenant, [fact], subscriptions))
    for given in changes.grants:
        grant = given.grant
        if (grant.tenant, grant.request) != (tenant, request):
            continue
        # Whether there still is what it is for, the statement finds out that makes it.
        for made, event in ((True, Granted(grant.starts_at, grant)), (False, GrantFailed(grant.starts_at, grant))):
            fact = grant_fact(grant, event, given.actor)
            changes.messages += (message(one, grant.id, made) for one in owed_of_facts(tenant, [fact], subscriptions))


def give(changes: Changes, change: Change, new_id: Callable[[], UUID]) -> None:
    """Add the grant that an approval gives, if it was approved in this batch."""
    for caused in change.caused:
        for event in caused.events:
            if isinstance(event, Closed) and event.status is Outcome.APPROVED:
                grant = granted_by(change.after.request, event.at, new_id())
                if grant is not None:
                    changes.grants.append(
                        Given(grant, change.before is None, new_command_id(), caused.actor, caused.origin.surface)
                    )


def execute(changes: Changes, change: Change, new_id: Callable[[], UUID]) -> None:
    """Add the execution of an operation that was approved in this batch."""
    request = change.after.request
    operation = request.filing.operation
    if operation is None or (change.before is not None and not change.before.request.is_open):
        return
    if request.status is Outcome.APPROVED:
        assert request.closed_at is not None
        status = operation.execute.status if isinstance(operation.execute, Reply) else None
        changes.executions.append(
            ToExecute(request.tenant, new_id(), request.id, change.before is None, request.closed_at, status, new_id())
        )


def _happenings(change: Change) -> Iterator[Happening]:
    request, is_new = change.after.request, change.before is None
    seq = change.before.request.version if change.before else 0
    for caused in change.caused:
        for place, event in enumerate(caused.events):
            seq += 1
            author = _author(event, caused)
            yield Happening(
                request.tenant,
                request.id,
                is_new,
                seq,
                caused.command,
                place,
                event,
                author.actor,
                author.origin.credential,
                author.origin.surface,
                author.origin.address,
            )
    assert seq == request.version, "every event counts"


def _author(event: Event, caused: Caused) -> Caused:
    """Say who made an event, and where: of an approval that was made by asking, who asked, wherever that was."""
    if isinstance(event, Decided) and event.auto and event.by != caused.actor:
        return replace(caused, actor=event.by, origin=NOWHERE)
    return caused


def _tasks(changes: Changes, before: Held | None, after: Held) -> None:
    request, is_new = after.request, before is None
    known = len(before.tasks) if before else 0
    for place, (state, task) in enumerate(zip(request.walk, after.tasks, strict=True)):
        row = _task(request, state, task, is_new)
        keys = inbox_keys(request, state) if row.status == "open" else frozenset()
        if place >= known:
            changes.tasks_opened.append(replace(row, askers=tuple(sorted(set(request.askers())))))
            changes.past_approvers += _hands(request, None, state, is_over=row.status != "open", is_new=is_new)
            old_keys: frozenset[str] = frozenset()
        elif place < known - 1:
            continue  # A step that was passed before stays as it is.
        else:
            assert before is not None
            old = before.request.walk[place]
            old_row = _task(before.request, old, task, is_new)
            if old_row == row and old.tree == state.tree:
                continue
            if old_row != row:
                changes.tasks_changed.append(row)
                is_over = row.status != "open" == old_row.status
                changes.past_approvers += _hands(request, old, state, is_over=is_over, is_new=False)
            old_keys = inbox_keys(before.request, old) if old_row.status == "open" else frozenset()
            if old_keys and not keys:
                changes.tasks_done.append(Key(request.tenant, task))
                continue
        for key in sorted(keys - old_keys):
            changes.listed.append(Listing(request.tenant, key, task, request.id, is_new, request.created_at))
        changes.unlisted += [(request.tenant, task, key) for key in sorted(old_keys - keys)]


def _task(request: Request, state: StepState, task: UUID, is_new: bool) -> TaskRow:
    return TaskRow(
        request.tenant,
        task,
        request.id,
        is_new,
        state.index,
        task_status(request, state),
        state.opened_at,
        state.due_at,
        (),
        tuple(sorted(state.closed_to)),
        request.created_at,
    )


def _hands(
    request: Request, old: StepState | None, state: StepState, *, is_over: bool, is_new: bool
) -> Iterator[PastApprover]:
    """Name those whose say in a step was just used or given away; when it is over, also whom it named beside them."""

    def hand(person: UUID, *, has_acted: bool) -> PastApprover:
        return PastApprover(request.tenant, person, has_acted, request.id, is_new, request.created_at)

    acted = state.spent | state.excluded
    before = (old.spent | old.excluded) if old else frozenset()
    yield from (hand(id, has_acted=True) for id in acted - before)
    if is_over:
        yield from (hand(id, has_acted=False) for id in mentioned(request.tree_of(state).every_leaf()) - acted)


def task_status(request: Request, state: StepState) -> str:
    """Say what became of a step's task: open, approved, rejected, expired, or closed with the request."""
    if state is not request.current:
        return "approved"
    match request.status:
        case Outcome.PENDING:
            return "open"
        case Outcome.CANCELLED:
            return "closed"
        case final:
            return final.value


def inbox_keys(request: Request, state: StepState) -> frozenset[str]:
    """Name the inboxes a step's task stands in: one for each way its approvers are named.

    They say nothing of what the directory may change. Where somebody joined as a fallback, the key says so: it is
    never open to those whom the request is by or for, whatever the tenant allows.
    """
    keys = set()
    for leaf in request.tree_of(state).every_leaf():
        joined = f"{leaf.joined}:" if leaf.joined is Joined.FALLBACK else ""
        if leaf.kind is not Kind.MANAGER:
            keys.add(f"{joined}{leaf.kind}:{leaf.value}")
        elif (managed := leaf.managed(request.beneficiary)) is not None:
            keys.add(f"{joined}manager:{managed}")
    return frozenset(keys)


def _timers(changes: Changes, before: Request | None, after: Request) -> None:
    def turned(
        kind: str, was: datetime | None, now: datetime | None, to_set: list[tuple[UUID, UUID, bool, datetime]]
    ) -> None:
        if now == was:
            return
        if now is None:
            changes.timers_gone.append((after.tenant, kind, after.id))
        else:
            to_set.append((after.tenant, after.id, before is None, now))

    turned("request", before.wakes_at if before else None, after.wakes_at, changes.timers_set)
    turned("reminder", before.remind_at if before else None, after.remind_at, changes.reminders_set)


def _counted(before: Request | None, after: Request) -> Iterator[Counted]:
    filing = after.filing
    what = (filing.kind.value, filing.target.type if filing.target else "")
    if before is not None:
        yield Counted(after.tenant, after.id, before is None, before.status.value, *what, -1)
    yield Counted(after.tenant, after.id, before is None, after.status.value, *what, 1)
