"""The machine that every request walks through. Pure: values in, events out, refusals raised.

    handle   what a command brings about, or the refusal it meets
    lapse    what time alone has brought about
    apply    the request after an event (`history`)

The guards of a command come in one order: who may know, then is it open, then the detail; so a stranger cannot
tell a closed request from an open one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from quorate.domain import commands as do
from quorate.domain import quorum, routing
from quorate.domain import refusals as no
from quorate.domain.events import (
    Annotated,
    ApprovedByPolicy,
    Cause,
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
    RequestKind,
    StepOpened,
    Submitted,
)
from quorate.domain.evidence import Demand, Proof
from quorate.domain.history import apply, apply_all, begin
from quorate.domain.people import People, Person
from quorate.domain.permissions import (
    ACT_FOR,
    REQUEST_APPROVE,
    REQUEST_FOR_OTHERS,
    WORKFLOW_READ,
    WORKFLOW_WRITE,
    allows,
)
from quorate.domain.requests import Request, StepState, joining, with_stand_in
from quorate.domain.tally import Verdict, tally
from quorate.domain.workflows import Joined, Kind, Leaf, OnTimeout, OwnSay

REMIND_EVERY: Final = timedelta(hours=1)
MOST_NOTES: Final = 100
TARGET_CHANGED: Final = "What was asked for has been renamed, moved or removed"

__all__ = ["apply", "handle", "lapse", "submit"]


def submit(tenant: UUID, id: UUID, command: do.Submit, people: People, *, at: datetime) -> tuple[Request, list[Event]]:
    """Work out what filing a request brings about: the request it makes and its first events.

    Whether its target exists, which workflow governs it and whether the beneficiary has one open already is
    settled before, by those who can look.

    Raises:
        AccountInactive: the account that files it may do nothing.
        NotPermitted: it is for somebody else, who is not the caller's report.
        TimedApprovalForbidden: a step could pass by time for something that carries permissions.
    """
    filing, actor = command.filing, people.person(command.actor)
    _must_be_active(actor, people)
    if filing.kind is RequestKind.ACCESS and filing.beneficiary != actor.id:
        is_manager = actor.id == people.manager_of(filing.beneficiary)
        if not is_manager and not allows(actor.permissions, REQUEST_FOR_OTHERS):
            raise no.NotPermitted(REQUEST_FOR_OTHERS)
    if filing.target_has_permissions or filing.kind is RequestKind.OPERATION:
        for step in command.route.steps:
            if step.when_late is OnTimeout.APPROVE:
                raise no.TimedApprovalForbidden(step.name)

    submitted = Submitted(at, filing, command.route)
    request = begin(tenant, id, submitted)
    if (settled := command.settled) is not None:
        rest: list[Event] = [Closed(at, settled.status, settled.cause, note=settled.note, notices=settled.notices)]
        if settled.status is Outcome.APPROVED:
            rest.insert(0, ApprovedByPolicy(at, settled.by))
    else:
        rest = _open(request, 0, people, at)
    return apply_all(request, rest), [submitted, *rest]


def handle(request: Request, command: do.Command, people: People, *, at: datetime) -> list[Event]:
    """Work out what a command brings about on a request that has been brought up to `at` (see `lapse`).

    Raises: the refusals that the function for each command names.
    """
    match command:
        case do.Decide():
            return decide(request, command, people, at=at)
        case do.Override():
            return override(request, command, people, at=at)
        case do.TakeSeat():
            return take_seat(request, command, people, at=at)
        case do.Reassign():
            return reassign(request, command, people, at=at)
        case do.Comment():
            return comment(request, command, people, at=at)
        case do.Annotate():
            return annotate(request, command, people, at=at)
        case do.Cancel():
            return cancel(request, command, people, at=at)
        case do.Discard():
            return discard(request, command, people, at=at)
        case do.Escalate():
            return escalate(request, command, people, at=at)
        case do.Remind():
            return remind(request, command, people, at=at)
        case do.Recheck():
            return recheck(request, people, at=at)
        case do.LoseTarget():
            return lose_target(request, at=at)
        case do.Submit():
            raise AssertionError("a submission starts a request; see submit")


def decide(request: Request, command: do.Decide, people: People, *, at: datetime) -> list[Event]:
    """Work out what one approver's decision brings about.

    Raises:
        NotPermitted: it is passed on by somebody who is no program with the permission to.
        OwnRequest: it is their own request, which they know of anyway, or that of whoever passes it on.
        NotAnApprover: this person has and had no say in the step.
        AlreadyDecided: this person has decided in this step, in whatever capacity, or their say has been used.
        AlreadyClosed: the step is no longer open.
        CommentRequired, EvidenceMissing: what the step wants with this decision is not there.

    Source: native contract, `POST /approvals/{id}/decide`, its 404 and 409 rows.
    """
    say, actor = may_decide(request, command, people), people.person(command.actor)
    return _settle(request, _decision(request, command, say, actor, people, at), people, at)


def may_decide(request: Request, command: do.Decide, people: People) -> routing.Say:
    """Find the say that an approver's decision would use, whatever the step wants with it.

    Raises: as `decide`, but for CommentRequired and EvidenceMissing.
    """
    actor = people.person(command.actor)
    if command.through is not None:
        _must_pass_on(request, people.person(command.through), people)
    if not request.walk and not routing.is_own(request, actor, people) and _may(actor.id, REQUEST_APPROVE, people):
        raise no.AlreadyClosed(request.id, request.status)  # Settled when it was filed, so it had no approvers.
    state = _step_meant(request, command.step)
    stops_own = command.may_refuse_own and command.choice is Choice.REJECT
    say = routing.say(request, state, actor, people, even_own=stops_own)
    if say is None and state.decided_by(actor.human) is None:
        raise no.OwnRequest(request.id) if routing.is_own(request, actor, people) else no.NotAnApprover(request.id)
    if say is None or {actor.id, actor.human} & state.closed_to or say.on_behalf_of in state.spent:
        raise no.AlreadyDecided(request.id)
    if not request.is_open or state is not request.current:
        raise no.AlreadyClosed(request.id, request.status)
    return say


def override(request: Request, command: do.Override, people: People, *, at: datetime) -> list[Event]:
    """Work out what an administrator's decision on the open step brings about: it settles the whole step.

    Raises:
        NotPermitted: the actor does not hold `workflow:write`.
        OwnRequest: nobody passes their own request.
        AlreadyClosed: nothing is open.
        OverrideForbidden: an operation, a review of break-glass access, or a step that says so.
        CommentRequired, EvidenceMissing: what the step wants with this decision is not there.

    Source: native contract (d) 8 and 9.
    """
    actor = may_override(request, command.actor, people)
    showed = _fit(request, command.choice, command.note, command.proof, request.step.demand, actor)

    own = routing.is_own(request, actor, people)
    index = request.current.index
    settled = Overridden(
        at,
        index,
        actor.id,
        actor.human,
        command.choice,
        command.note,
        own,
        showed.password,
        showed.second_factor,
        credential=command.credential,
        **_factor(command.proof, showed),
    )
    if command.choice is Choice.REJECT:
        return [settled, Closed(at, Outcome.REJECTED, Cause.OVERRIDE, actor.id, command.note)]
    return [settled, *_go_on(apply(request, settled), people, at, Cause.OVERRIDE, actor.id, command.note)]


def may_override(request: Request, id: UUID, people: People) -> Person:
    """Find the administrator who may settle the open step, whatever it wants with that.

    Raises: as `override`, but for CommentRequired and EvidenceMissing.
    """
    actor = _administrator(request, id, people)
    _must_be_overridable(request)
    return actor


def take_seat(request: Request, command: do.TakeSeat, people: People, *, at: datetime) -> list[Event]:
    """Work out what an administrator brings about who takes a say in the open step and decides with it.

    It counts as one decision like any other: unlike an override it does not settle the step.

    Raises: as `override`; also
        AlreadyDecided: the administrator has decided in this step.
        CannotReassign: the named giver has no say to give, or the administrator is no person.
    """
    actor = may_override(request, command.actor, people)
    state = request.current
    if state.decided_by(actor.human):
        raise no.AlreadyDecided(request.id)
    if people.person(actor.human).is_service:
        raise no.CannotReassign(actor.human, "inactive")
    say = routing.say(request, state, actor, people)
    if say is not None and say.on_behalf_of is None:
        return _settle(request, _decision(request, command, say, actor, people, at), people, at)

    giver, leaves = _seat(request, actor, command.giver, people)
    moved = _reassignment(request, actor, giver, actor.human, leaves, command.note, people, at)
    seated = apply(request, moved)
    seat = routing.Say(tuple(leaf for leaf in seated.tree.every_leaf() if leaf.value == str(actor.human)))
    decided = _decision(seated, command, seat, actor, people, at)
    return [moved, *_settle(seated, decided, people, at)]


def reassign(request: Request, command: do.Reassign, people: People, *, at: datetime) -> list[Event]:
    """Work out what giving a say in the open step to somebody else brings about.

    Raises:
        OwnRequest: nobody chooses who decides what is their own.
        NotAnApprover: neither an approver nor a holder of `workflow:write`.
        NotPermitted: an approver gives away somebody else's say.
        AlreadyDecided: the say has been used.
        AlreadyClosed: the step is no longer open.
        CannotReassign: the giver has none, or the taker may not have it. Source: design §3, rule 12.
        OverrideForbidden: an administrator takes somebody's say for themselves where no seat may be taken (rule 11).
    """
    actor, is_administrator = people.person(command.actor), _may(command.actor, WORKFLOW_WRITE, people)
    state = _step_meant(request, command.step)
    say = routing.say(request, state, actor, people)
    if routing.is_own(request, actor, people) and routing.bars_own(request, people):
        raise no.OwnRequest(request.id)
    if say is None and state.decided_by(actor.human) is None and not is_administrator:
        raise no.NotAnApprover(request.id)
    owns_say = say is not None and say.on_behalf_of is None
    giver = people.person(command.giver or (actor.id if owns_say else actor.human))
    if giver.human != actor.human and not is_administrator:
        raise no.NotPermitted(WORKFLOW_WRITE)
    if state.decided_by(giver.human):
        raise no.AlreadyDecided(request.id)
    if not request.is_open or state is not request.current:
        raise no.AlreadyClosed(request.id, request.status)
    given = routing.say(request, state, giver, people)
    if given is None or given.on_behalf_of is not None:
        raise no.CannotReassign(giver.id, "no_say")
    _may_take(request, people.person(command.to), people)
    if giver.human != actor.human and people.human(command.to) == actor.human:
        _must_be_overridable(request)

    moved = _reassignment(request, actor, giver.human, command.to, given.leaves, command.note, people, at)
    return [moved, *recheck(apply(request, moved), people, at=at)]


def comment(request: Request, command: do.Comment, people: People, *, at: datetime) -> list[Event]:
    """Raises: NotPermitted: the actor may not read the request."""
    actor = people.person(command.actor)
    if not may_read(request, actor, people):
        raise no.NotPermitted(WORKFLOW_READ)
    return [Commented(at, command.id, actor.id, actor.name, command.text, command.details, command.credential)]


def annotate(request: Request, command: do.Annotate, people: People, *, at: datetime) -> list[Event]:
    """Work out what putting texts beside a request brings about.

    Raises:
        NotAnApprover: neither an approver of the open step nor a holder of `workflow:write`.
        OwnRequest: nobody adds to their own request what others have asked for.
        AlreadyClosed; BadReference: there would be too many.
    """
    actor = people.person(command.actor)
    if routing.is_own(request, actor, people) and routing.bars_own(request, people):
        raise no.OwnRequest(request.id)
    say = routing.say(request, request.current, actor, people) if request.walk else None
    if say is None and not _may(actor.id, WORKFLOW_WRITE, people):
        raise no.NotAnApprover(request.id)
    _must_be_open(request)
    if len({*request.notes, *command.put} - {*command.remove} | {*command.put}) > MOST_NOTES:
        raise no.BadReference("attributes", f"there may be at most {MOST_NOTES}")
    said: list[Event] = [Commented(at, command.id, actor.id, actor.name, command.text)] if command.text else []
    return [Annotated(at, actor.id, command.put, command.remove), *said]


def cancel(request: Request, command: do.Cancel, people: People, *, at: datetime) -> list[Event]:
    """Raises: NotPermitted: neither theirs nor `workflow:write`. OwnRequest: a review of what one did oneself.
    AlreadyClosed. Source: native contract (d) 10.
    """
    actor = people.person(command.actor)
    if request.filing.is_review and routing.is_own(request, actor, people):
        raise no.OwnRequest(request.id)
    if not _is_theirs(request, actor, people) and not _may(actor.id, WORKFLOW_WRITE, people):
        raise no.NotPermitted(WORKFLOW_WRITE)
    _must_be_open(request)
    return [Closed(at, Outcome.CANCELLED, Cause.CANCEL, actor.id, command.note)]


def discard(request: Request, command: do.Discard, people: People, *, at: datetime) -> list[Event]:
    """Work out what putting a request out of sight brings about: an open one is withdrawn by it.

    Raises: NotPermitted: it is not theirs. OwnRequest: a review of what one did oneself. AlreadyClosed: it has been
    discarded. Source: Fortanix contract §7, row 6.
    """
    actor = people.person(command.actor)
    if not _is_theirs(request, actor, people):
        raise no.NotPermitted(WORKFLOW_WRITE)
    if request.filing.is_review:
        raise no.OwnRequest(request.id)
    if request.discarded_at is not None:
        raise no.AlreadyClosed(request.id, request.status)
    discarded = Discarded(at, actor.id)
    if not request.is_open:
        return [discarded]
    return [Closed(at, Outcome.CANCELLED, Cause.CANCEL, actor.id), discarded]


def escalate(request: Request, command: do.Escalate, people: People, *, at: datetime) -> list[Event]:
    """Work out what escalating the open step by hand brings about; a step is escalated once, by hand or by time.

    Raises: NotPermitted; OwnRequest: nobody chooses who decides what is their own; AlreadyClosed; CannotEscalate.
    """
    actor = people.person(command.actor)
    if not _may(actor.id, WORKFLOW_WRITE, people):
        raise no.NotPermitted(WORKFLOW_WRITE)
    if command.to is not None and routing.is_own(request, actor, people) and routing.bars_own(request, people):
        raise no.OwnRequest(request.id)
    _must_be_open(request)
    to = command.to or request.step.escalate_to
    cannot_show = to is not None and to.kind is Kind.SERVICE and bool(request.step.demand)
    if request.current.is_escalated or to is None or cannot_show:
        raise no.CannotEscalate(request.id)
    return [_escalation(request, to, at, actor.id)]


def remind(request: Request, command: do.Remind, people: People, *, at: datetime) -> list[Event]:
    """Work out what reminding brings about; it changes nobody's say. [] where the clock asks and it is not time.

    Raises: NotPermitted: neither theirs nor `workflow:write`. AlreadyClosed. RemindedRecently: within the hour.
    """
    if command.actor is None:
        return _remind_in_time(request, people, at)
    actor = people.person(command.actor)
    if not _is_theirs(request, actor, people) and not _may(actor.id, WORKFLOW_WRITE, people):
        raise no.NotPermitted(WORKFLOW_WRITE)
    _must_be_open(request)
    last = request.current.reminded_at
    if last is not None and at < last + REMIND_EVERY:
        raise no.RemindedRecently(request.id)
    return [Reminded(at, request.current.index, actor.id)]


def recheck(request: Request, people: People, *, at: datetime) -> list[Event]:
    """Look at the open step again after a change of people: it may be met now, or rejected, or be nobody's.

    [] if nothing is due.
    """
    if not request.is_open:
        return []
    match tally(request, people):
        case Verdict.OPEN:
            return _fall_back(request, people, at)
        case Verdict.FAILED:
            return [Closed(at, Outcome.REJECTED, Cause.DECISION)]
        case Verdict.PASSED:
            return _go_on(request, people, at, Cause.DECISION, None, None)


def lose_target(request: Request, *, at: datetime) -> list[Event]:
    """End a request whose target is not what it was when it was asked for: whoever decides saw something else.

    [] if it has ended. Source: Britive contract §3; decision 0027.
    """
    if not request.is_open:
        return []
    return [Closed(at, Outcome.CANCELLED, Cause.TARGET_CHANGED, note=TARGET_CHANGED)]


def lapse(request: Request, people: People, *, at: datetime) -> list[Event]:
    """Bring a request up to `at`: what time alone has done since it was last touched.

    Events carry the deadline itself and not `at`: a request expires when its time is up, however late anybody
    comes round to notice. [] when nothing is due.
    """
    events: list[Event] = []
    while (wakes_at := request.wakes_at) is not None and wakes_at <= at:
        happened = _in_time(request, people, wakes_at)
        request = apply_all(request, happened)
        events += happened
    return events


def may_read(
    request: Request, actor: Person, people: People, permission: str = WORKFLOW_READ, *, even_before: bool = False
) -> bool:
    """Say whether an account may see a request: theirs, an approver of it now or once, or a holder of that.

    `even_before`: an approver of a step that is still to come, too.
    """
    if not people.is_active(actor.id):
        return False
    if _is_theirs(request, actor, people) or allows(actor.permissions, permission):
        return True
    coming = (StepState(index, request.created_at, ()) for index in range(len(request.walk), len(request.route.steps)))
    if even_before and any(routing.say(request, state, actor, people) is not None for state in coming):
        return True
    return any(
        state.decided_by(actor.human)
        or actor.human in state.excluded
        or routing.say(request, state, actor, people) is not None
        for state in request.walk
    )


def steps_to_count(request: Request, commands: Sequence[do.Command | None], at: datetime) -> range:
    """Name the steps whose crowds the rules may ask for: those that may open, the open one where it is counted again.

    `commands` will be handled one after the other, after what time has done by `at`.
    """
    return routing.with_those_at_once(request.route, _steps_to_count(request, commands, at))


def _steps_to_count(request: Request, commands: Sequence[do.Command | None], at: datetime) -> range:
    total = len(request.route.steps)
    if not request.walk:
        return range(min(1, total))
    if not request.is_open:
        return range(0)
    here = request.current.index
    if (wakes_at := request.wakes_at) is not None and wakes_at <= at:
        return range(here, total)
    if len(commands) > 1:  # Each may pass a step, or change who is left of the open one for those after it.
        return range(here, min(here + len(commands) + 1, total))
    rejected = any(made.choice is Choice.REJECT for made in request.current.decisions)
    match next(iter(commands), None):
        case do.Decide(choice=Choice.APPROVE) if not rejected:
            return range(here + 1, min(here + 2, total))
        case do.Override():
            return range(here + 1, min(here + 2, total))
        case do.Decide() | do.TakeSeat() | do.Reassign() | do.Recheck():
            return range(here, min(here + 2, total))
        case _:
            return range(0)


# What a decision brings about.


def _settle(request: Request, decided: Decided, people: People, at: datetime) -> list[Event]:
    after = apply(request, decided)
    match tally(after, people):
        case Verdict.OPEN:
            return [decided]
        case Verdict.FAILED:
            return [decided, Closed(at, Outcome.REJECTED, Cause.DECISION, decided.by, decided.note)]
        case Verdict.PASSED:
            return [decided, *_go_on(after, people, at, Cause.DECISION, decided.by, decided.note)]


def _go_on(
    request: Request, people: People, at: datetime, cause: Cause, by: UUID | None, note: str | None
) -> list[Event]:
    """Open the next step, or approve: the open one has passed."""
    if request.on_last_step:
        return [Closed(at, Outcome.APPROVED, cause, by, note)]
    return _open(request, request.current.index + 1, people, at)


def _open(request: Request, index: int, people: People, at: datetime) -> list[Event]:
    unopened = StepState(index, at, ())
    needs = quorum.count_needs(request.tree_of(unopened), routing.crowd_of(request, unopened, people))
    step = request.route.steps[index]
    opened = StepOpened(
        at,
        index,
        needs,
        request.due_after(index, at),
        step.escalations.cadence.first(at, people.calendar) if step.escalations else None,
        step.reminders.cadence.first(at, people.calendar) if step.reminders else None,
    )
    now = apply(request, opened)
    own = _own_approval(now, people, at)
    if own is None:
        return [opened, *_fall_back(now, people, at)]
    after = apply(now, own)
    if tally(after, people) is Verdict.PASSED:
        return [opened, own, *_go_on(after, people, at, Cause.DECISION, own.by, None)]
    return [opened, own, *_fall_back(after, people, at)]


def _own_approval(request: Request, people: People, at: datetime) -> Decided | None:
    """Make the decision that somebody has made by asking for another, where the step that opens takes it for made.

    Only where the tenant lets people decide what is their own, and never what they ask for themselves, what carries
    permissions, an operation, or where a step wants evidence or a comment.
    """
    step, filing = request.step, request.filing
    if step.own_say is None or filing.requester is None or filing.beneficiary is None:
        return None
    if step.demand or step.wants_note(approving=True):
        return None
    if filing.target_has_permissions or filing.kind is RequestKind.OPERATION:
        return None
    asker = people.person(filing.requester)
    say = routing.say(request, request.current, asker, people)
    if say is None or say.on_behalf_of is not None or asker.human == people.human(filing.beneficiary):
        return None
    if step.own_say is OwnSay.DIRECT and not any(leaf.names_one or leaf.kind is Kind.MANAGER for leaf in say.leaves):
        return None
    index, human = request.current.index, asker.human
    return Decided(at, index, asker.id, human, Choice.APPROVE, say.leaves, is_own=True, auto=True)


def _fall_back(request: Request, people: People, at: datetime) -> list[Event]:
    """Let others join a step that nobody can decide: fewer people are left than its quorum still needs."""
    state = request.current
    if routing.can_be_met(request, state, people):
        return []
    leaves, is_stuck = routing.fallback(request, state, people)
    if not leaves and state.is_stuck:
        return []
    return [FellBack(at, state.index, leaves, is_stuck)]


def _in_time(request: Request, people: People, at: datetime) -> list[Event]:
    """Do what time does at this moment: a deadline first, which leaves nobody to join."""
    due_at = request.due_at
    return [_next_escalation(request, people, at)] if due_at is None or at < due_at else _time_out(request, people, at)


def _time_out(request: Request, people: People, due_at: datetime) -> list[Event]:
    state, step = request.current, request.step
    expired = Closed(due_at, Outcome.EXPIRED, Cause.TIME)
    if request.due_by is not None and request.due_by <= due_at:
        return [expired]
    match step.when_late:
        case OnTimeout.ESCALATE if not state.is_escalated and step.escalate_to is not None:
            return [_escalation(request, step.escalate_to, due_at, None)]
        case OnTimeout.APPROVE:
            passed = PassedByTime(due_at, state.index)
            return [passed, *_go_on(apply(request, passed), people, due_at, Cause.TIME, None, None)]
        case OnTimeout.ESCALATE | OnTimeout.EXPIRE:
            return [expired]


def _escalation(request: Request, to: Leaf, at: datetime, by: UUID | None) -> Escalated:
    state = request.current
    due_at = request.due_after(state.index, at) or state.due_at
    return Escalated(at, state.index, (joining(request.step, to, Joined.ESCALATION),), due_at, by)


def _next_escalation(request: Request, people: People, at: datetime) -> Escalated:
    """Let the next of those join who join one after another. Only the last may bring a deadline, to a step without."""
    state, step = request.current, request.step
    assert step.escalations is not None
    cadence, leaves = step.escalations.cadence, step.escalations.leaves
    place = state.escalations + 1
    next_at = cadence.after(at, people.calendar) if place < len(leaves) else None
    due_at = state.due_at
    if next_at is None and due_at is None and cadence.first_s is not None:
        due_at = at + timedelta(seconds=cadence.first_s)
    joins = joining(step, leaves[place - 1], Joined.ESCALATION)
    return Escalated(at, state.index, (joins,), due_at, place=place, next_at=next_at)


def _remind_in_time(request: Request, people: People, at: datetime) -> list[Event]:
    """Remind once, however many moments have passed unnoticed; the next is counted from now."""
    remind_at, reminders = request.remind_at, request.step.reminders if request.walk else None
    if remind_at is None or at < remind_at or reminders is None:
        return []
    is_last = request.current.reminders + 1 >= reminders.most
    next_at = None if is_last else reminders.cadence.after(at, people.calendar)
    return [Reminded(at, request.current.index, next_at=next_at)]


def _decision(
    request: Request,
    command: do.Decide | do.TakeSeat,
    say: routing.Say,
    actor: Person,
    people: People,
    at: datetime,
) -> Decided:
    """Make the event of a decision, once what the step wants with it is there."""
    demand = quorum.demand_on(request.tree, say.leaves)
    showed = _fit(request, command.choice, command.note, command.proof, demand, actor)
    giver = people.person(say.on_behalf_of or actor.id)
    return Decided(
        at,
        request.current.index,
        by=actor.id,
        human=actor.human,
        choice=command.choice,
        leaves=say.leaves,
        note=command.note,
        on_behalf_of=say.on_behalf_of,
        is_own=not routing.askers(request, people).isdisjoint((actor.human, giver.human)),
        showed_password=showed.password,
        showed_second_factor=showed.second_factor,
        attached=command.attached,
        credential=command.credential if isinstance(command, do.Decide) else None,
        **_factor(command.proof, showed),
    )


# Guards and small things.


def _step_meant(request: Request, index: int | None) -> StepState:
    """Find the step a command is about: the one at this place of the route, else the current one.

    Raises NotAnApprover: nobody is of a step that has not been opened.
    """
    state = request.opened(index) if index is not None else next(reversed(request.walk), None)
    if state is None:
        raise no.NotAnApprover(request.id)
    return state


def _fit(
    request: Request, choice: Choice, note: str | None, proof: Proof | None, demand: Demand, actor: Person
) -> Demand:
    """Check that what a decision needs came with it; say which evidence was shown. Rejecting demands none.

    Raises: CommentRequired, EvidenceMissing.
    """
    if not note and request.step.wants_note(approving=choice is Choice.APPROVE):
        raise no.CommentRequired
    showed = _shown(proof, actor)
    if choice is Choice.APPROVE:
        lacks = Demand(demand.password and not showed.password, demand.second_factor and not showed.second_factor)
        if lacks:
            raise no.EvidenceMissing(lacks.password, lacks.second_factor)
    return showed


def _shown(proof: Proof | None, actor: Person) -> Demand:
    """Say which evidence a proof gives that is still current: the password it saw, a count that is new."""
    if proof is None:
        return Demand()
    password = proof.password_stamp is not None and proof.password_stamp == actor.password_stamp
    factor = proof.credential is not None and actor.has_yet_to_show(proof.credential, proof.sign_count)
    return Demand(password, factor)


def _factor(proof: Proof | None, showed: Demand) -> dict[str, Any]:
    """Say with which second factor a decision was made, and what that signed."""
    if proof is None or not showed.second_factor:
        return {}
    return {"factor": proof.credential, "signed": proof.signed}


def _administrator(request: Request, id: UUID, people: People) -> Person:
    actor = people.person(id)
    if not _may(id, WORKFLOW_WRITE, people):
        raise no.NotPermitted(WORKFLOW_WRITE)
    if routing.is_own(request, actor, people) and routing.bars_own(request, people):
        raise no.OwnRequest(request.id)
    _must_be_open(request)
    return actor


def _must_pass_on(request: Request, program: Person, people: People) -> None:
    if not program.is_service or not _may(program.id, ACT_FOR, people):
        raise no.NotPermitted(ACT_FOR)
    if routing.is_own(request, program, people) and routing.bars_own(request, people):
        raise no.OwnRequest(request.id)


def _must_be_overridable(request: Request) -> None:
    if not request.may_be_overridden:
        raise no.OverrideForbidden(request.id)


def _must_be_open(request: Request) -> None:
    if not request.is_open:
        raise no.AlreadyClosed(request.id, request.status)


def _must_be_active(actor: Person, people: People) -> None:
    if not people.is_active(actor.id):
        raise no.AccountInactive(actor.id)


def _may(id: UUID, permission: str, people: People) -> bool:
    return people.is_active(id) and allows(people.person(id).permissions, permission)


def _is_theirs(request: Request, actor: Person, people: People) -> bool:
    return people.is_active(actor.id) and routing.is_own(request, actor, people)


def _may_take(request: Request, taker: Person, people: People) -> None:
    if routing.is_own(request, taker, people):
        raise no.CannotReassign(taker.id, "requester")
    if taker.is_service or not people.is_active(taker.id):
        raise no.CannotReassign(taker.id, "inactive")
    if request.current.decided_by(taker.id):
        raise no.CannotReassign(taker.id, "decided")
    say = routing.say(request, request.current, taker, people)
    able = routing.crowd_of(request, request.current, people)
    through_service = any(taker.id in able(leaf).known for leaf in request.tree.every_leaf())
    if through_service or (say is not None and say.on_behalf_of is None):
        raise no.CannotReassign(taker.id, "approver")


def _reassignment(
    request: Request,
    actor: Person,
    giver: UUID | None,
    to: UUID,
    leaves: Sequence[Leaf],
    note: str | None,
    people: People,
    at: datetime,
) -> Reassigned:
    """Make the event of a say changing hands, with what the step needs now that its approvers are others."""
    state = request.current
    tree = with_stand_in(request.tree, tuple(leaves), to)
    excluded = (state.excluded | {giver}) - {to} if giver else state.excluded - {to}
    changed = StepState(state.index, state.opened_at, state.needs, tree=tree, excluded=excluded)
    needs = quorum.count_needs(tree, routing.crowd_of(request, changed, people))
    return Reassigned(at, state.index, actor.id, giver, to, tuple(leaves), needs, note)


def _seat(request: Request, actor: Person, giver: UUID | None, people: People) -> tuple[UUID | None, tuple[Leaf, ...]]:
    """Find a seat to take: the giver's; else that of the first approver who has not decided; else beside a crowd."""
    state = request.current
    barred = routing.is_own(request, actor, people)
    leaves = [leaf for leaf in request.tree.every_leaf() if not (barred and leaf.joined is Joined.FALLBACK)]
    if giver is not None:
        if state.decided_by(people.human(giver)):
            raise no.AlreadyDecided(request.id)
        given = routing.say(request, state, people.person(giver), people)
        if given is None or given.on_behalf_of is not None or set(leaves).isdisjoint(given.leaves):
            raise no.CannotReassign(giver, "no_say")
        return people.human(giver), tuple(leaf for leaf in given.leaves if leaf in leaves)
    able = routing.still_able(request, state, people)
    for leaf in leaves:
        if (leaf.names_one or leaf.kind is Kind.MANAGER) and able(leaf).known:
            [id] = people.crowd(leaf, request.beneficiary).humans
            return _seat(request, actor, id, people)
    crowd = next((leaf for leaf in leaves if not leaf.names_one), None)
    if crowd is None:
        raise no.CannotReassign(request.id, "no_say")
    return None, (crowd,)
