"""The people of every story: Rhea asks; Ana, Ben and Cyd approve; Olu is from another tenant and is in every one."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain import lifecycle
from quorate.domain.events import Choice, Event, Filing, RequestKind, Target
from quorate.domain.history import apply_all
from quorate.domain.people import Crowd, People, Person
from quorate.domain.requests import Request
from quorate.domain.workflows import Count, Kind, Leaf, Node, Route, Step, any_one_of

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

TENANT = UUID("00000000-0000-4000-8000-00000000000a")
ELSEWHERE = UUID("00000000-0000-4000-8000-00000000000b")
REQUEST = UUID("00000000-0000-4000-8000-0000000000ff")


def _id(number: int) -> UUID:
    return UUID(f"00000000-0000-4000-8000-{number:012d}")


RHEA, ANA, BEN, CYD, MONA, ADA, OLU, BOT = (_id(number) for number in range(1, 9))
"""Mona is Rhea's manager, Ada an administrator, Bot a service (whose owner a story may name)."""

SECURITY = str(_id(100))
"""A group: Ana, Ben and Cyd."""

APPROVE, REJECT = Choice.APPROVE, Choice.REJECT


def user(id: UUID) -> Leaf:
    return Leaf(Kind.USER, str(id))


def service(id: UUID) -> Leaf:
    return Leaf(Kind.SERVICE, str(id))


def group(id: str = SECURITY) -> Leaf:
    return Leaf(Kind.GROUP, id)


def role(name: str) -> Leaf:
    return Leaf(Kind.ROLE, name)


def n_of(n: int, *members: Leaf | Node) -> Node:
    return Node(Count(n), members)


def step(approvers: Node | Leaf, order: int = 1, timeout_s: int | None = 48 * 3600, **rest: object) -> Step:
    tree = approvers if isinstance(approvers, Node) else any_one_of(approvers)
    return replace(Step(order, f"Step {order}", tree, timeout_s), **rest)


def everybody() -> dict[UUID, Person]:
    return {
        person.id: person
        for person in (
            Person(RHEA, name="Rhea Ray", email="rhea@acme.example", manager=MONA),
            Person(ANA, name="Ana Ott", groups=frozenset({SECURITY})),
            Person(BEN, name="Ben Bo", groups=frozenset({SECURITY})),
            Person(CYD, name="Cyd Sun", groups=frozenset({SECURITY})),
            Person(MONA, name="Mona Li"),
            Person(ADA, name="Ada Min", permissions=frozenset({"admin"}), roles=frozenset({"admins"})),
            Person(BOT, name="ci", is_service=True),
        )
    }


def on_the_hour(cron: str, zone: str, after: datetime) -> datetime:
    """Stand in for a calendar: whatever the schedule says, it is the next full hour."""
    return after.replace(minute=0, second=0, microsecond=0) + HOUR


def crowds(persons: Iterable[Person], leaves: Iterable[Leaf]) -> dict[tuple[Kind, str], Crowd]:
    """Count who is behind each leaf the way the store would."""
    view = People({person.id: person for person in persons})
    found = {}
    for leaf in leaves:
        here = {
            person.id: person.human
            for person in view.persons.values()
            if view.is_active(person.id) and view.admits(leaf, person, None)
        }
        found[leaf.kind, leaf.value] = Crowd(here, len(here))
    return found


class World:
    """One request and the people around it; what is done to it goes through the rules, and the history is kept."""

    def __init__(self, route: Route, *, at: datetime = NOON, filing: Filing | None = None) -> None:
        self.persons = everybody()
        self.self_approval = False
        self.fallback: tuple[Leaf, ...] = ()
        self.now = at
        self.filing = filing or Filing(
            kind=RequestKind.ACCESS,
            filed_by=RHEA,
            requester=RHEA,
            beneficiary=RHEA,
            target=Target("role", str(_id(200)), "auditors"),
            justification="quarter end",
        )
        self.route = route
        self.request: Request
        self.history: list[Event] = []

    @property
    def people(self) -> People:
        wanted = {leaf for step in self.route.steps for leaf in (*step.approvers.every_leaf(), *step.fallback)}
        wanted |= {step.escalate_to for step in self.route.steps if step.escalate_to}
        wanted |= {leaf for step in self.route.steps if step.escalations for leaf in step.escalations.leaves}
        if self.history:
            wanted |= {leaf for state in self.request.walk for leaf in self.request.tree_of(state).every_leaf()}
        wanted |= {*self.route.fallback, *self.fallback, Leaf(Kind.HOLDER, "admin")}
        many = [leaf for leaf in wanted if leaf.kind in (Kind.GROUP, Kind.ROLE, Kind.HOLDER)]
        return People(
            self.persons, crowds(self.persons.values(), many), self.self_approval, self.fallback, calendar=on_the_hour
        )

    def change(self, id: UUID, **facts: object) -> None:
        """Change a person in the directory."""
        self.persons[id] = replace(self.persons[id], **facts)

    def submit(self) -> "World":
        command = do.Submit(self.filing.filed_by, self.filing, self.route)
        self.request, events = lifecycle.submit(TENANT, REQUEST, command, self.people, at=self.now)
        self.history += events
        return self

    def wait(self, span: timedelta) -> "World":
        self.now += span
        return self

    def lapse(self, at: datetime | None = None) -> list[Event]:
        return self._keep(lifecycle.lapse(self.request, self.people, at=at or self.now))

    def do(self, command: do.Command, at: datetime | None = None) -> list[Event]:
        """Bring the request up to the moment, then run a command, as the door does."""
        self.lapse(at)
        return self._keep(lifecycle.handle(self.request, command, self.people, at=at or self.now))

    def decide(self, actor: UUID, choice: Choice, note: str | None = None, at: datetime | None = None) -> list[Event]:
        return self.do(do.Decide(actor, choice, note), at)

    def _keep(self, events: list[Event]) -> list[Event]:
        self.request = apply_all(self.request, events)
        self.history += events
        return events


def a_request_to(*approvers: UUID | Leaf | Node, **step_facts: object) -> World:
    """A request whose steps each take the given approver, tree, or any one of the group."""
    trees = [user(one) if isinstance(one, UUID) else one for one in approvers]
    steps = tuple(step(tree, order, **step_facts) for order, tree in enumerate(trees, 1))  # type: ignore[arg-type]  # Facts of a step, by name.
    return World(Route(steps)).submit()
