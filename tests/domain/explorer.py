"""Visits every state that a small world can reach, breadth first, and checks each one and each move.

A state is a request, what has changed in the directory, and how late it is. Two states that differ only in moments
long past are one: what the rules do depends on how far a deadline is away, not on when it is.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.domain import commands as do
from quorate.domain.events import Event, Filing
from quorate.domain.history import apply_all
from quorate.domain.lifecycle import REMIND_EVERY
from quorate.domain.people import Person
from quorate.domain.refusals import Refusal
from quorate.domain.requests import Request, StepState
from quorate.domain.workflows import Leaf, Route
from tests.cast import HOUR, NOON
from tests.domain.invariants import Directory, check_final, check_move, check_state, handle, lapse, outcome, submit

Persons = dict[UUID, Person]


class SmallWorld(Struct, frozen=True):
    """What may happen in a world: the commands, each with its name, and the changes to its directory.

    `most_late`: how many hours time may run past a deadline before somebody looks.
    """

    name: str
    route: Route
    filing: Filing
    persons: Persons
    commands: tuple[tuple[str, do.Command], ...]
    changes: tuple[Callable[[Persons], Persons], ...] = ()
    self_approval: bool = False
    fallback: tuple[Leaf, ...] = ()
    most_late: int = 3


class Point(NamedTuple):
    """A state of a world: the request, which changes of the directory hold, the moment, how it came to this."""

    request: Request
    changed: frozenset[int]
    now: datetime
    history: tuple[Event, ...]


class Found(Struct):
    """What an exploration saw. `table`: what each command did in each kind of state."""

    world: str
    states: int = 0
    moves: int = 0
    refused: int = 0
    ends: dict[str, int] = {}
    is_complete: bool = True
    table: dict[tuple[str, str], set[str]] = {}

    def __str__(self) -> str:
        ends = ", ".join(f"{number} {status}" for status, number in sorted(self.ends.items()))
        extent = "all" if self.is_complete else "the first"
        return f"{self.world}: {extent} {self.states} states, {self.moves} moves, {self.refused} refusals; ends: {ends}"


def explore(world: SmallWorld, *, most: int, progress: Callable[[int], None] | None = None) -> Found:
    """Visit the states of a world, at most so many, and check them all.

    Raises AssertionError where a rule is broken; its note tells the way there.
    """
    walk = _Walk(world)
    queue = deque([walk.start()])
    while queue and walk.found.states < most:
        point = queue.popleft()
        walk.found.states += 1
        if progress is not None and walk.found.states % 1000 == 0:
            progress(walk.found.states)
        try:
            walk.visit(point)
            queue.extend(walk.next(point))
        except Exception as wrong:
            wrong.add_note(_story(world, point))
            raise
    walk.found.is_complete = not queue
    return walk.found


class _Walk:
    def __init__(self, world: SmallWorld) -> None:
        self.world = world
        self.found = Found(world.name)
        self.known: set[object] = set()
        self.directories: dict[frozenset[int], Directory] = {}

    def start(self) -> Point:
        here = self.directory(frozenset())
        file = do.Submit(self.world.filing.filed_by, self.world.filing, self.world.route)
        request, events = submit(file, here, NOON)
        point = Point(request, frozenset(), NOON, tuple(events))
        self.known.add(self.key(point))
        self.found.table["submit", "new"] = {outcome(events)}
        return point

    def directory(self, changed: frozenset[int]) -> Directory:
        if changed not in self.directories:
            persons = dict(self.world.persons)
            for index in sorted(changed):
                persons = self.world.changes[index](persons)
            self.directories[changed] = Directory(persons, self.world.self_approval, self.world.fallback, {})
        return self.directories[changed]

    def visit(self, point: Point) -> None:
        here = self.directory(point.changed)
        check_state(point.request, point.history, here, point.now)
        if not point.request.is_open:
            status = str(point.request.status)
            self.found.ends[status] = self.found.ends.get(status, 0) + 1
            check_final(point.request, here, point.now)

    def next(self, point: Point) -> Iterator[Point]:
        before = msgspec.json.encode(point.request)
        for new in self._moves(point):
            self.found.moves += 1
            key = self.key(new)
            if key not in self.known:
                self.known.add(key)
                yield new
        assert msgspec.json.encode(point.request) == before, "no command changes the value it was given"

    def _moves(self, point: Point) -> Iterator[Point]:
        here = self.directory(point.changed)
        lapsed = lapse(point.request, here, point.now)
        check_move(point.request, lapsed, here, None)
        request = apply_all(point.request, lapsed)
        history = (*point.history, *lapsed)
        if lapsed:
            self._saw("time", point, outcome(lapsed))
            yield Point(request, point.changed, point.now, history)
        for name, command in self.world.commands:
            try:
                _, events = handle(point.request, command, here, point.now)
            except Refusal as refusal:
                self.found.refused += 1
                self._saw(name, point, type(refusal).__name__)
                continue
            self._saw(name, point, outcome(events))
            check_move(request, events, here, command)
            yield Point(apply_all(request, events), point.changed, point.now, history + tuple(events))
        if point.request.is_open:
            yield from self._elsewhere(point)

    def _elsewhere(self, point: Point) -> Iterator[Point]:
        """What happens without a command: an hour passes, the directory changes."""
        due_at = point.request.wakes_at
        if due_at is not None and point.now < due_at + self.world.most_late * HOUR:
            yield point._replace(now=point.now + HOUR)
        for index in range(len(self.world.changes)):
            yield point._replace(changed=point.changed ^ {index})

    def _saw(self, command: str, point: Point, answer: str) -> None:
        state = str(point.request.status)
        if point.request.wakes_at is not None and point.request.wakes_at <= point.now:
            state = "late"
        self.found.table.setdefault((command, state), set()).add(answer)

    def key(self, point: Point) -> object:
        request, now = point.request, point.now
        if not request.is_open:
            discarded = request.discarded_at is not None
            return request.status, discarded, point.changed, tuple(_past_key(state) for state in request.walk)
        due_in = None if request.due_by is None else request.due_by - now
        past = tuple(_past_key(state) for state in request.walk[:-1])
        return point.changed, due_in, past, _step_key(request.current, now)


def _past_key(state: StepState) -> object:
    """Tell apart steps that are over by what still matters: who had a say, who has used it."""
    return state.index, state.tree, state.spent, state.excluded


def _step_key(state: StepState, now: datetime) -> object:
    made = frozenset((one.by, one.human, one.choice, one.leaves, one.on_behalf_of) for one in state.decisions)
    due_in = None if state.due_at is None else state.due_at - now
    reminded = state.reminded_at is not None and now < state.reminded_at + REMIND_EVERY
    return (
        state.index,
        state.needs,
        made,
        due_in,
        reminded,
        state.tree,
        state.excluded,
        state.is_escalated,
        state.is_stuck,
        state.escalations,
        None if state.escalates_at is None else state.escalates_at - now,
        state.reminders,
        None if state.remind_at is None else max(state.remind_at - now, timedelta()),
    )


def _story(world: SmallWorld, point: Point) -> str:
    lines = [f"in {world.name}, at {point.now}, with changes {sorted(point.changed)}, after:"]
    return "\n".join([*lines, *(f"  {event}" for event in point.history)])


def merged(tables: list[Mapping[tuple[str, str], set[str]]]) -> dict[tuple[str, str], set[str]]:
    """Put together what several worlds showed."""
    whole: dict[tuple[str, str], set[str]] = {}
    for table in tables:
        for place, answers in table.items():
            whole.setdefault(place, set()).update(answers)
    return whole
