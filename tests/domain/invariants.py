"""What must be true of every state and of every move, checked against the oracle."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.domain import commands as do
from quorate.domain import lifecycle, routing
from quorate.domain.events import (
    Choice,
    Closed,
    Commented,
    Decided,
    Discarded,
    Escalated,
    Event,
    Outcome,
    Overridden,
    Reassigned,
    Reminded,
    StepOpened,
    Submitted,
)
from quorate.domain.history import apply, apply_all, begin, replay
from quorate.domain.people import LAST_RESORT, Crowd, People, Person
from quorate.domain.requests import Request
from quorate.domain.workflows import Joined, Kind, Leaf, OwnSay
from tests.cast import REQUEST, TENANT, on_the_hour
from tests.domain import oracle


class Directory(Struct, frozen=True):
    """Everybody, and what the tenant allows; a view of it holds only what the store would have read."""

    persons: dict[UUID, Person]
    self_approval: bool = False
    fallback: tuple[Leaf, ...] = ()
    counted: dict[tuple[Kind, str], Crowd] = {}

    def view(self, request: Request, command: do.Command | None, at: datetime) -> People:
        """Give the rules the crowds they said they would ask for, before time is brought up to the moment; no other."""
        wanted = set(routing.wanted_leaves(request, self.fallback, lifecycle.steps_to_count(request, (), at)))
        wanted |= set(routing.wanted_leaves(request, self.fallback, lifecycle.steps_to_count(request, (command,), at)))
        found = {(leaf.kind, leaf.value): self._crowd(leaf, request) for leaf in wanted if _is_crowd(leaf)}
        return People(self.persons, found, self.self_approval, self.fallback, calendar=on_the_hour)

    def _crowd(self, leaf: Leaf, request: Request) -> Crowd:
        key = leaf.kind, leaf.value
        if key not in self.counted:
            here = {id: oracle.human(id, self.persons) for id in oracle.members(leaf, request, self.persons)}
            self.counted[key] = Crowd(here, len(here))
        return self.counted[key]


def _is_crowd(leaf: Leaf) -> bool:
    return leaf.kind in (Kind.GROUP, Kind.ROLE, Kind.HOLDER)


def submit(command: do.Submit, here: Directory, at: datetime) -> tuple[Request, list[Event]]:
    """File a request; what it needs of the directory is asked the way the door asks: of a request not yet begun."""
    blank = begin(TENANT, REQUEST, Submitted(at, command.filing, command.route))
    view = here.view(blank, command, at)
    return lifecycle.submit(TENANT, REQUEST, command, view, at=at)


def lapse(request: Request, here: Directory, at: datetime) -> list[Event]:
    return lifecycle.lapse(request, here.view(request, None, at), at=at)


def handle(request: Request, command: do.Command, here: Directory, at: datetime) -> tuple[list[Event], list[Event]]:
    """Bring a request up to the moment and run a command, with one view for both, as the door does.

    Gives what time has done and what the command did. Raises a refusal that says nothing of the former.
    """
    view = here.view(request, command, at)
    lapsed = lifecycle.lapse(request, view, at=at)
    return lapsed, lifecycle.handle(apply_all(request, lapsed), command, view, at=at)


def check_state(request: Request, history: Sequence[Event], here: Directory, at: datetime) -> None:
    """Check what must be true of a request and its history at a moment, whatever led there."""
    assert replay(request.tenant, request.id, history) == request
    assert request.version == len(history)
    assert [event.at for event in history] == sorted(event.at for event in history)
    assert msgspec.json.decode(msgspec.json.encode(request), type=Request) == request
    assert msgspec.json.decode(msgspec.json.encode(history), type=list[Event]) == list(history)
    _check_end(request, history)
    _check_decisions(request, history, here)
    _check_time(request, here, at)


def check_move(before: Request, events: Sequence[Event], here: Directory, command: do.Command | None) -> None:
    """Check what must be true of one move: every step that passed or was rejected had to, and none was left waiting."""
    request = before
    for event in events:
        assert request.is_open or isinstance(event, Commented | Discarded), "final is final"
        if isinstance(event, StepOpened):
            _check_opening(request, event, here)
        if isinstance(event, StepOpened) or (isinstance(event, Closed) and event.status is Outcome.APPROVED):
            _check_passed(request, here)
        if isinstance(event, Closed) and event.status is Outcome.REJECTED:
            _check_rejected(request, here)
        if isinstance(event, Decided):
            _check_say(request, event, here)
        if isinstance(event, Reassigned):
            _check_reassigned(request, event, here)
        if isinstance(event, Reminded):
            _check_reminded(request, event)
        if isinstance(event, Escalated) and event.place is not None:
            _check_next_escalation(request, event)
        if isinstance(event, Overridden):
            assert oracle.may_be_overridden(request, event.step)
        request = apply(request, event)
    tallied = do.Decide | do.TakeSeat | do.Reassign | do.Recheck
    if request.is_open and isinstance(command, tallied):
        state = request.current
        assert not oracle.passes(request, state, here.persons), "a step passes at the first moment its quorum is met"
        assert not oracle.is_rejected(request, state, here.persons, self_approval=here.self_approval)
    if request.is_open and (isinstance(command, do.Recheck) or any(isinstance(event, StepOpened) for event in events)):
        _check_not_silent(request, here)


def check_final(request: Request, here: Directory, at: datetime) -> None:
    assert lapse(request, here, at) == []
    assert handle(request, do.Recheck(), here, at) == ([], [])
    assert request.due_at is None
    assert request.wakes_at is None
    assert request.remind_at is None
    assert request.expires_at is None


def _check_end(request: Request, history: Sequence[Event]) -> None:
    ends = [event for event in history if isinstance(event, Closed)]
    assert len(ends) == (0 if request.is_open else 1)
    if ends:
        [end] = ends
        assert (request.status, request.closed_at) == (end.status, end.at)
        after = history[history.index(end) + 1 :]
        assert all(isinstance(event, Commented | Discarded) for event in after)


def _check_decisions(request: Request, history: Sequence[Event], here: Directory) -> None:
    own = oracle.own_people(request, here.persons)
    for event in history:
        if isinstance(event, Decided | Overridden):
            theirs = bool(own & {event.human, oracle.human(event.by, here.persons)})
            theirs |= isinstance(event, Decided) and event.on_behalf_of in own
            assert event.is_own is theirs
            stops_only = event.choice is Choice.REJECT and isinstance(event, Decided)
            assert not theirs or here.self_approval or stops_only, "nobody decides their own request"
        if isinstance(event, Decided) and event.auto:
            _check_own_approval(request, event, here)
        if isinstance(event, Decided) and event.human in own:
            assert all(leaf.joined is not Joined.FALLBACK for leaf in event.leaves)
    for state in request.walk:
        spent = [id for made in state.decisions for id in {made.human, made.on_behalf_of} - {None}]
        assert len(spent) == len(set(spent)), "one decision per human being and step"


def _check_own_approval(request: Request, event: Decided, here: Directory) -> None:
    """Only who asks for another has approved by asking, when the step opened, where nothing more is at stake."""
    step, filing = request.route.steps[event.step], request.filing
    opened = request.opened(event.step)
    assert opened is not None
    assert (event.by, event.choice, event.at) == (filing.requester, Choice.APPROVE, opened.opened_at)
    assert filing.beneficiary is not None
    assert event.human != oracle.human(filing.beneficiary, here.persons)
    assert event.is_own
    assert step.own_say is not None
    assert not step.demand
    assert not step.wants_note(approving=True)
    assert not filing.target_has_permissions
    named = [leaf for leaf in event.leaves if leaf.kind in (Kind.USER, Kind.SERVICE, Kind.MANAGER)]
    assert named or step.own_say is OwnSay.INDIRECT


def _check_time(request: Request, here: Directory, at: datetime) -> None:
    coming = lapse(request, here, at)
    assert all(event.at <= at for event in coming)
    later = apply_all(request, coming)
    if request.shown_at(at) is Outcome.EXPIRED:
        assert later.status is Outcome.EXPIRED, "what is shown expired is"
    if coming:
        assert request.wakes_at is not None
        assert coming[0].at == request.wakes_at
        by_and_by, step = [], request
        while step.wakes_at is not None and step.wakes_at <= at:
            events = lapse(step, here, step.wakes_at)
            by_and_by += events
            step = apply_all(step, events)
        assert by_and_by == coming, "what time does is the same however late it is noticed"
    else:
        assert request.wakes_at is None or request.wakes_at > at
    if later.is_open:
        assert later.wakes_at is None or later.wakes_at > at
    if request.is_open and request.expires_at is not None:
        assert request.due_at is not None
        assert request.due_at <= request.expires_at


def _check_opening(request: Request, event: StepOpened, here: Directory) -> None:
    opened = apply(request, event)
    assert event.step == (request.current.index + 1 if request.walk else 0)
    assert event.needs == oracle.needs(opened, opened.current, here.persons, self_approval=here.self_approval)


def _check_say(request: Request, made: Decided, here: Directory) -> None:
    """Whoever decides has a say of their own, or one that somebody who has it lends them, through every leaf."""
    own_allowed = here.self_approval or made.choice is Choice.REJECT
    assert oracle.is_live(made.by, here.persons)
    assert made.human == oracle.human(made.by, here.persons)
    assert not request.current.excluded & {made.by, made.human}, "who gave their say away has none"
    assert made.leaves
    for leaf in made.leaves:
        able = oracle.eligible(leaf, request, request.current, here.persons, self_approval=own_allowed)
        assert (made.on_behalf_of or made.human) in able
    if made.on_behalf_of is not None:
        assert made.on_behalf_of in here.persons[made.by].delegators


def _check_reassigned(request: Request, event: Reassigned, here: Directory) -> None:
    after = apply(request, event)
    assert event.needs == oracle.needs(after, after.current, here.persons, self_approval=here.self_approval)
    assert len(list(after.tree.every_node())) == len(list(request.tree.every_node()))
    assert oracle.is_live(event.to, here.persons)
    assert event.to not in after.current.excluded
    assert event.giver in {None, event.to} | after.current.excluded
    assert event.giver is None or event.giver == oracle.human(event.giver, here.persons)
    assert not request.current.spent & {event.to, event.giver}
    assert here.self_approval or event.to not in oracle.own_people(request, here.persons)


def _check_reminded(request: Request, event: Reminded) -> None:
    """A reminder changes nothing but when the next one is due; time's own comes when due, and not more than settled."""
    state, after = request.current, apply(request, event).current
    told = {"reminded_at": event.at, "reminders": after.reminders, "remind_at": after.remind_at}
    assert after == msgspec.structs.replace(state, **told)
    if event.by is not None:
        assert (after.reminders, after.remind_at) == (state.reminders, state.remind_at)
        return
    assert request.step.reminders is not None
    assert state.remind_at is not None
    assert state.remind_at <= event.at
    assert after.reminders == state.reminders + 1 <= request.step.reminders.most
    assert after.remind_at is None or after.remind_at > event.at


def _check_next_escalation(request: Request, event: Escalated) -> None:
    """They join in their order, each at its moment; nothing is lowered, decided or sooner late because of it."""
    state, after = request.current, apply(request, event).current
    assert request.step.escalations is not None
    leaves = request.step.escalations.leaves
    assert (event.place, event.at) == (state.escalations + 1, state.escalates_at)
    [joined] = event.leaves
    assert (joined.kind, joined.value) == (leaves[state.escalations].kind, leaves[state.escalations].value)
    assert joined in request.tree_of(after).leaves
    assert (after.needs, after.decisions, after.is_escalated) == (state.needs, state.decisions, state.is_escalated)
    assert state.due_at in (None, after.due_at)
    assert (after.escalates_at is None) == (after.escalations == len(leaves))


def _check_passed(request: Request, here: Directory) -> None:
    if not request.walk:
        return  # The first step opens, or a policy approved.
    state = request.current
    if state.settled is not None:
        assert state.settled is Choice.APPROVE
        return
    assert oracle.passes(request, state, here.persons)
    own = oracle.is_rejected(request, state, here.persons, self_approval=here.self_approval)
    assert not own, "rejection beats approval"


def _check_rejected(request: Request, here: Directory) -> None:
    state = request.current
    if state.settled is None:
        assert oracle.is_rejected(request, state, here.persons, self_approval=here.self_approval)
    else:
        assert state.settled is Choice.REJECT


def _check_not_silent(request: Request, here: Directory) -> None:
    """A step nobody can decide has gone to others, as far as there are any; or it says that it is stuck."""
    state = request.current
    if oracle.is_reachable(request, state, here.persons, self_approval=here.self_approval):
        return
    assert state.is_stuck
    joined = {leaf.value for leaf in request.tree.leaves if leaf.joined is Joined.FALLBACK}
    asked = {leaf.value for leaf in (*request.step.fallback, *request.route.fallback, *here.fallback, *LAST_RESORT)}
    if not request.step.demand:
        assert joined >= asked


def outcome(events: Sequence[Event]) -> str:
    """Name what happened: the events in order, as the table of the docs shows them."""
    return " → ".join(
        f"Closed({event.status})" if isinstance(event, Closed) else type(event).__name__ for event in events
    )
