"""Large worlds, walked at random: deep trees, crowds, delegations, services; invariants as in the small ones."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain.cadence import Cadence
from quorate.domain.events import Choice, Event, Filing, RequestKind
from quorate.domain.history import apply_all
from quorate.domain.people import Person
from quorate.domain.refusals import Refusal
from quorate.domain.requests import Request
from quorate.domain.workflows import (
    Count,
    Escalations,
    Kind,
    Leaf,
    Node,
    OnTimeout,
    Rejection,
    Reminders,
    Route,
    Rule,
    Step,
    Unit,
    problems,
)
from tests.cast import HOUR, NOON
from tests.domain import oracle
from tests.domain.invariants import Directory, check_final, check_move, check_state, handle, submit
from tests.domain.seen import SEEN

WALKS = 120
STEPS = 25

PEOPLE = [UUID(int=number) for number in range(1, 13)]
SERVICES = [UUID(int=number) for number in range(101, 105)]
STRANGER = UUID(int=999)
EVERYONE = [*PEOPLE, *SERVICES, STRANGER]
GROUPS = ["g1", "g2"]
ROLES = ["r1", "r2"]
PERMISSIONS = ["workflow:write", "request:approve", "admin"]


def some(values: list[str]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(values), max_size=2)


@st.composite
def people(draw: st.DrawFn) -> dict[UUID, Person]:
    """A directory of a dozen people and a few services, some of them suspended, some lending their say."""
    found = {}
    for id in PEOPLE:
        found[id] = Person(
            id,
            active=draw(st.sampled_from([True] * 6 + [False])),
            manager=draw(st.sampled_from([None, *PEOPLE])),
            roles=draw(some(ROLES)),
            groups=draw(some(GROUPS)),
            permissions=draw(st.sampled_from([frozenset(), frozenset(), *(frozenset({one}) for one in PERMISSIONS)])),
            delegators=tuple(draw(st.lists(st.sampled_from(PEOPLE), max_size=2, unique=True))),
        )
    for id in SERVICES:
        owner = draw(st.sampled_from([None, *PEOPLE]))
        found[id] = Person(id, is_service=True, owner=owner, groups=draw(some(GROUPS)), roles=draw(some(ROLES)))
    return found


leaves = st.one_of(
    st.builds(lambda id: Leaf(Kind.USER, str(id)), st.sampled_from(PEOPLE)),
    st.builds(lambda id: Leaf(Kind.SERVICE, str(id)), st.sampled_from(SERVICES)),
    st.builds(lambda id: Leaf(Kind.GROUP, id), st.sampled_from(GROUPS)),
    st.builds(lambda name: Leaf(Kind.ROLE, name), st.sampled_from(ROLES)),
    st.just(Leaf(Kind.MANAGER, "requester")),
    st.builds(lambda name: Leaf(Kind.HOLDER, name), st.sampled_from(PERMISSIONS[1:])),
)
counts = st.one_of(
    st.builds(Count, st.integers(1, 4)),
    st.builds(Count, st.integers(1, 3), st.just(Unit.CAPPED)),
    st.builds(Count, st.sampled_from([25, 50, 100]), st.just(Unit.PERCENT)),
)


def trees(depth: int) -> st.SearchStrategy[Node]:
    member = st.one_of(leaves, leaves, trees(depth - 1)) if depth > 1 else leaves
    members = st.lists(member, min_size=1, max_size=4, unique=True).map(tuple)
    return st.builds(Node, counts, members, overlap=st.sampled_from([False, False, False, True]))


hours = st.sampled_from([None, 1, 2, 5])
rejection = st.sampled_from([None, Rejection(Rule.UNREACHABLE), Rejection(Rule.COUNT, 2), Rejection(Rule.COUNT, 3)])


soon = st.sampled_from([1800, 3600, 7200])
again = st.builds(Cadence, soon, soon) | st.builds(Cadence, soon, st.none(), st.just("0 * * * *"))


@st.composite
def steps(draw: st.DrawFn, order: int) -> Step:
    timeout = draw(hours)
    return Step(
        order,
        f"Step {order}",
        draw(trees(draw(st.integers(1, 5))).filter(_is_valid)),
        None if timeout is None else timeout * 3600,
        rejection=draw(rejection),
        on_timeout=draw(st.sampled_from([None, *OnTimeout])),
        escalate_to=draw(leaves),
        override=draw(st.sampled_from([None, None, False])),
        fallback=tuple(draw(st.lists(leaves, max_size=2, unique=True))),
        reminders=draw(st.none() | st.builds(Reminders, again | st.builds(Cadence, soon), st.integers(1, 3))),
        escalations=draw(
            st.none() | st.builds(Escalations, again, st.lists(leaves, min_size=1, max_size=3).map(tuple))
        ),
    )


def _is_valid(tree: Node) -> bool:
    return not problems((Step(1, "", tree),))


@st.composite
def filings(draw: st.DrawFn) -> Filing:
    asking = draw(st.sampled_from(PEOPLE + SERVICES))
    kind = draw(st.sampled_from([RequestKind.GENERIC, RequestKind.GENERIC, RequestKind.ACCESS]))
    beneficiary = asking if kind is RequestKind.ACCESS else draw(st.sampled_from([None, *PEOPLE, *SERVICES]))
    whole = draw(hours)
    return Filing(kind, asking, asking, beneficiary, time_to_decide_s=None if whole is None else whole * 3600 * 2)


actors = st.sampled_from(EVERYONE)
choices = st.sampled_from([Choice.APPROVE, Choice.APPROVE, Choice.APPROVE, Choice.REJECT])
maybe = st.one_of(st.none(), actors)
decides = st.builds(
    do.Decide, actors, choices, st.none(), st.sampled_from([None, None, None, 0, 1]), may_refuse_own=st.booleans()
)
commands: st.SearchStrategy[do.Command] = st.one_of(
    decides,
    decides,
    decides,
    st.builds(do.Override, actors, choices),
    st.builds(do.TakeSeat, actors, choices, st.none(), maybe),
    st.builds(do.Reassign, actors, actors, maybe),
    st.builds(do.Annotate, actors, st.just(UUID(int=6)), st.just({"a": "b"})),
    st.builds(do.Comment, actors, st.just(UUID(int=5)), st.just("text")),
    st.builds(do.Escalate, actors, st.one_of(st.none(), leaves)),
    st.builds(do.Remind, actors),
    st.just(do.Remind(None)),
    st.just(do.Recheck()),
)
ends = st.one_of(st.builds(do.Cancel, actors), st.builds(do.Discard, actors), st.just(do.LoseTarget()))

Change = Callable[[Person], Person]
changes: st.SearchStrategy[Change] = st.one_of(
    st.just(lambda person: replace(person, active=not person.active)),
    some(GROUPS).map(lambda groups: lambda person: replace(person, groups=groups)),
    some(ROLES).map(lambda roles: lambda person: replace(person, roles=roles)),
    st.lists(st.sampled_from(PEOPLE), max_size=2, unique=True).map(
        lambda lent: lambda person: replace(person, delegators=() if person.is_service else tuple(lent))
    ),
)
moves = st.one_of(
    commands,
    commands,
    commands,
    commands,
    st.tuples(st.sampled_from(PEOPLE + SERVICES), changes),
    st.sampled_from([HOUR / 2, HOUR, 5 * HOUR]),
    ends,
)


class Walked(Struct):
    """What the walks saw."""

    walks: int = 0
    commands: int = 0
    refusals: int = 0
    events: int = 0

    def __str__(self) -> str:
        return (
            f"random walks: {self.walks} walks, {self.commands} commands, "
            f"{self.refusals} refusals, {self.events} events"
        )


def walk_many(walks: int, progress: Callable[[int], None] | None = None) -> Walked:
    """Take at most so many walks, always the same ones. Raises AssertionError where a rule is broken.

    A walk that breaks one is told as it was: making it shorter can take minutes.
    """
    walked = Walked()

    @settings(derandomize=True, max_examples=walks, deadline=None, database=None, phases=[Phase.generate])
    @given(st.data())
    def one(data: st.DataObject) -> None:
        _walk(data, walked)
        if progress is not None:
            progress(walked.walks)

    one()
    return walked


def test_random_walks_through_large_worlds_keep_the_rules() -> None:
    walked = walk_many(WALKS)

    SEEN.append(str(walked))
    assert walked.commands > walked.refusals > 0


def _walk(data: st.DataObject, walked: Walked) -> None:
    persons = data.draw(people())
    self_approval = data.draw(st.sampled_from([False, False, True]))
    filing = data.draw(filings())
    route = Route(tuple(data.draw(steps(order)) for order in range(1, data.draw(st.integers(1, 3)) + 1)))
    here = Directory(persons, self_approval, tuple(data.draw(st.lists(leaves, max_size=1))), {})
    try:
        request, history = submit(do.Submit(filing.filed_by, filing, route), here, NOON)
    except Refusal:
        return
    walked.walks += 1
    now = NOON
    check_state(request, history, here, now)
    for _ in range(STEPS):
        able = _able(request, here)
        move = data.draw(st.one_of(moves, st.builds(do.Decide, st.sampled_from(able), choices)) if able else moves)
        if isinstance(move, tuple):
            id, change = move
            here = replace(here, persons={**here.persons, id: change(here.persons[id])}, counted={})
        elif isinstance(move, do.Command):
            request, history = _do(request, history, move, here, now, walked)
        else:
            now += move
        check_state(request, history, here, now)
    if not request.is_open:
        check_final(request, here, now)
    walked.events += len(history)


def _able(request: Request, here: Directory) -> list[UUID]:
    """Name the people who could decide the open step, so that not every walk dies among strangers."""
    if not request.is_open:
        return []
    able: set[UUID] = set()
    for leaf in oracle.every_leaf(request.tree):
        able |= oracle.eligible(leaf, request, request.current, here.persons, self_approval=here.self_approval)
    return sorted(able)


def _do(
    request: Request, history: list[Event], command: do.Command, here: Directory, now: datetime, walked: Walked
) -> tuple[Request, list[Event]]:
    walked.commands += 1
    try:
        lapsed, events = handle(request, command, here, now)
    except Refusal:
        walked.refusals += 1
        return request, history
    check_move(request, lapsed, here, None)
    lapsed_request = apply_all(request, lapsed)
    check_move(lapsed_request, events, here, command)
    return apply_all(lapsed_request, events), [*history, *lapsed, *events]
