"""Definitions: who must agree, in which order, by when."""

import enum
import math
from collections.abc import Iterable, Iterator
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.domain.cadence import Cadence
from quorate.domain.evidence import NONE, Demand

MAX_DEPTH = 5
MAX_LEAVES = 200
MAX_REMINDERS = 20  # Source: SailPoint contract §4, ApprovalConfig.
MAX_TIMEOUT_S = 8760 * 3600  # A year; source: native contract (d) 19.


class Kind(enum.StrEnum):
    """What a leaf of an approver rule names."""

    USER = "user"
    SERVICE = "service"
    GROUP = "group"
    ROLE = "role"
    MANAGER = "manager"
    HOLDER = "holder"
    OWNER = "owner"


class Joined(enum.StrEnum):
    """Why a leaf stands in an open step that was not written there."""

    FALLBACK = "fallback"  # Nobody could decide; never admits requester or beneficiary, whatever the tenant allows.
    ESCALATION = "escalation"


class Leaf(Struct, frozen=True, tag="leaf", omit_defaults=True):
    """Those who are named one way: a user by id, a role by name or id, the holders of a permission …

    `value` of a manager leaf is `requester`: it is the beneficiary's manager. What is written as `asker`, the manager
    of whoever asks, and as the owner of the `target`, is known when a request is filed: see `Route.known`. Then a
    manager leaf has the account whose manager it is, and an owner leaf stands only where there is none.
    `joined` and `demand` are set only on leaves that joined an open step later, which take over all that the step
    demands.
    """

    kind: Kind
    value: str
    demand: Demand = NONE
    joined: Joined | None = None

    @property
    def names_one(self) -> bool:
        return self.kind in (Kind.USER, Kind.SERVICE)

    @property
    def needs_request(self) -> bool:
        """Say whether only a request can tell what is meant, and a route keeps it."""
        return self.kind is Kind.OWNER or (self.kind is Kind.MANAGER and self.value == ASKER)

    def managed(self, beneficiary: UUID | None) -> UUID | None:
        """Name the account whose manager a manager leaf is, in a request of this beneficiary."""
        if self.value == REQUESTER:
            return beneficiary
        return None if self.value == ASKER else UUID(self.value)


REQUESTER, ASKER, TARGET = "requester", "asker", "target"


class Unit(enum.StrEnum):
    PEOPLE = "people"
    CAPPED = "capped"  # SINGLE, DOUBLE, TRIPLE: a count, but never more than there are approvers.
    PERCENT = "percent"


class Count(Struct, frozen=True, omit_defaults=True):
    """How many must approve: a number of people, capped or not, or per cent of the approvers."""

    value: int
    unit: Unit = Unit.PEOPLE

    def needed(self, approvers: int) -> int:
        """Count the approvals that meet this, of so many approvers; at least 1.

        A fraction rounds up, so 50 % of 3 is 2: half must have agreed, and one of three has not.
        """
        match self.unit:
            case Unit.PEOPLE:
                return self.value
            case Unit.CAPPED:
                return max(1, min(self.value, approvers))
            case Unit.PERCENT:
                return max(1, math.ceil(self.value * approvers / 100))


class Node(Struct, frozen=True, tag="node", omit_defaults=True):
    """`n` of `members`, which are leaves or nodes of their own. See `quorum` for when it is met."""

    n: Count
    members: tuple["Leaf | Node", ...]
    demand: Demand = NONE
    overlap: bool = False

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        return tuple(member for member in self.members if isinstance(member, Leaf))

    @property
    def nodes(self) -> tuple["Node", ...]:
        return tuple(member for member in self.members if isinstance(member, Node))

    def every_leaf(self) -> Iterator[Leaf]:
        for member in self.members:
            if isinstance(member, Leaf):
                yield member
            else:
                yield from member.every_leaf()

    def every_node(self) -> Iterator["Node"]:
        """This node and those below it, each before its own members: the order in which needs are kept."""
        yield self
        for node in self.nodes:
            yield from node.every_node()


def each_leaf_once(members: Iterable[Leaf | Node]) -> Iterator[Leaf | Node]:
    """Leave out a leaf that stands there already. Equal nodes stay: each of them counts."""
    seen: set[Leaf] = set()
    for member in members:
        if isinstance(member, Leaf):
            if member in seen:
                continue
            seen.add(member)
        yield member


def any_one_of(*leaves: Leaf) -> Node:
    return Node(Count(1), leaves)


class Rule(enum.StrEnum):
    ANY = "any"
    UNREACHABLE = "unreachable"
    COUNT = "count"


class Rejection(Struct, frozen=True, omit_defaults=True):
    """When rejections end the request: with the first, when the quorum is out of reach, or with so many."""

    rule: Rule = Rule.ANY
    count: int = 1


class OnTimeout(enum.StrEnum):
    EXPIRE = "expire"
    ESCALATE = "escalate"
    APPROVE = "approve"


class Wants(enum.StrEnum):
    """Which decisions of a step need a note."""

    APPROVAL = "approval"
    REJECTION = "rejection"
    ALL = "all"
    NONE = "none"


class Reminders(Struct, frozen=True, omit_defaults=True):
    """When those who can decide are reminded, and how many times at most."""

    cadence: Cadence
    most: int = MAX_REMINDERS


class Escalations(Struct, frozen=True, omit_defaults=True):
    """Who join the step one after another, and when.

    They change no deadline. Where the step has none, whoever joins last has as long as the first waited.
    """

    cadence: Cadence
    leaves: tuple[Leaf, ...]


class OwnSay(enum.StrEnum):
    """When one who asks for another, and is an approver, has approved by asking: never, or if they are named, by
    themselves or as somebody's manager; or through a group, a role or a permission too.
    """

    NEVER = "never"
    DIRECT = "direct"
    INDIRECT = "indirect"


class Step(Struct, frozen=True, omit_defaults=True):
    """One stage. What is None was not said, and is left out of answers; the properties give what then holds.

    `is_plain`: written as one approver type and value. `in_seconds`: its timeout was given in seconds.
    """

    order: int
    name: str
    approvers: Node
    timeout_s: int | None = None
    is_plain: bool = False
    in_seconds: bool = False
    rejection: Rejection | None = None
    on_timeout: OnTimeout | None = None
    escalate_to: Leaf | None = None
    override: bool | None = None
    requires_comment: Wants | None = None
    fallback: tuple[Leaf, ...] = ()
    reminders: Reminders | None = None
    escalations: Escalations | None = None
    own_say: OwnSay | None = None  # Never `NEVER`.

    @property
    def rejects(self) -> Rejection:
        return self.rejection or Rejection()

    @property
    def when_late(self) -> OnTimeout:
        return self.on_timeout or OnTimeout.EXPIRE

    @property
    def may_be_overridden(self) -> bool:
        return self.override is not False

    @property
    def demand(self) -> Demand:
        """Everything the step demands of anybody: what an override must show, and who joins it later."""
        total = NONE
        for node in self.approvers.every_node():
            total |= node.demand
        return total

    def wants_note(self, *, approving: bool) -> bool:
        match self.requires_comment:
            case Wants.ALL:
                return True
            case Wants.APPROVAL:
                return approving
            case Wants.REJECTION:
                return not approving
            case Wants.NONE | None:
                return False


class Route(Struct, frozen=True, omit_defaults=True):
    """What a request walks through, frozen when it was submitted."""

    steps: tuple[Step, ...] = ()
    fallback: tuple[Leaf, ...] = ()

    def known(self, asker: UUID, beneficiary: UUID | None, owner: UUID | None) -> "Route":
        """Give the route of a request that this account files, for what has this owner: its leaves made known.

        The owner stays who it is now; a manager is looked up whenever one is needed.
        """

        def leaf(one: Leaf) -> Leaf:
            if one.kind is Kind.OWNER and owner is not None:
                return msgspec.structs.replace(one, kind=Kind.USER, value=str(owner))
            if one.needs_request and one.kind is Kind.MANAGER:
                return msgspec.structs.replace(one, value=REQUESTER if asker == beneficiary else str(asker))
            return one

        def leaves(many: tuple[Leaf, ...]) -> tuple[Leaf, ...]:
            return tuple(dict.fromkeys(map(leaf, many)))

        def node(one: Node) -> Node:
            members = [leaf(each) if isinstance(each, Leaf) else node(each) for each in one.members]
            return msgspec.structs.replace(one, members=tuple(each_leaf_once(members)))

        if not any(one.needs_request for one in self.every_leaf()):
            return self
        steps = (
            msgspec.structs.replace(
                step,
                approvers=node(step.approvers),
                escalate_to=leaf(step.escalate_to) if step.escalate_to else None,
                fallback=leaves(step.fallback),
                escalations=msgspec.structs.replace(step.escalations, leaves=leaves(step.escalations.leaves))
                if step.escalations
                else None,
            )
            for step in self.steps
        )
        return Route(tuple(steps), leaves(self.fallback))

    def every_leaf(self) -> Iterator[Leaf]:
        yield from self.fallback
        for step in self.steps:
            yield from step.approvers.every_leaf()
            yield from step.fallback
            if step.escalate_to is not None:
                yield step.escalate_to
            if step.escalations is not None:
                yield from step.escalations.leaves


class Status(enum.StrEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    INACTIVE = "inactive"


class Problem(Struct, frozen=True):
    """What is wrong with a definition: where (`steps[0].quorum.n`), and in words."""

    path: str
    message: str


def problems(steps: tuple[Step, ...]) -> list[Problem]:
    """Check a list of steps as it is written. [] when it can be kept."""
    found = [] if steps else [Problem("steps", "at least one step is needed")]
    orders = [step.order for step in steps]
    if len(set(orders)) < len(orders):
        found.append(Problem("steps", "step orders must be unique"))
    for index, step in enumerate(steps):
        found.extend(_step_problems(step, f"steps[{index}]"))
    return found


def _step_problems(step: Step, path: str) -> Iterator[Problem]:
    yield from node_problems(step.approvers, f"{path}.quorum")
    if sum(1 for _ in step.approvers.every_leaf()) > MAX_LEAVES:
        yield Problem(f"{path}.quorum", f"at most {MAX_LEAVES} members in all")
    if step.timeout_s is not None and not 1 <= step.timeout_s <= MAX_TIMEOUT_S:
        yield Problem(f"{path}.timeoutSeconds", f"must be between 1 and {MAX_TIMEOUT_S}")
    if step.on_timeout is OnTimeout.ESCALATE and step.escalate_to is None:
        yield Problem(f"{path}.escalateTo", "onTimeout escalate needs somebody to escalate to")
    if step.on_timeout is OnTimeout.APPROVE and step.demand:
        yield Problem(f"{path}.onTimeout", "a step that demands evidence cannot pass by time alone")
    if step.escalate_to is not None and step.escalate_to.kind is Kind.SERVICE and step.demand:
        yield Problem(f"{path}.escalateTo", "a service cannot give the evidence this step demands")
    if step.demand and step.escalations and any(leaf.kind is Kind.SERVICE for leaf in step.escalations.leaves):
        yield Problem(f"{path}.escalations.to", "a service cannot give the evidence this step demands")
    if step.when_late is not OnTimeout.ESCALATE:
        for problem in in_vain(step.timeout_s, reminders=step.reminders, escalations=step.escalations):
            yield Problem(f"{path}.{problem.path}", problem.message)
    if step.demand and any(leaf.kind is Kind.SERVICE for leaf in step.fallback):
        yield Problem(f"{path}.fallbackApprovers", "a service cannot give the evidence this step demands")
    if step.rejects.count < 1:
        yield Problem(f"{path}.rejection", "count must be at least 1")


def in_vain(timeout_s: int | None, **often: Reminders | Escalations | None) -> Iterator[Problem]:
    """Name what would come for the first time when a deadline is over that ends the step."""
    for name, one in often.items():
        if one is not None and one.cadence.is_in_vain(timeout_s):
            yield Problem(name, "would come first when the time is over")


def node_problems(node: Node, path: str, depth: int = 1, demanded: Demand = NONE) -> Iterator[Problem]:
    """Check one node and all below it.

    `n` must be within what is reachable: a user or service leaf and a sub-node can each give 1, any other leaf
    as many as it has members, which only time can tell.
    """
    if depth > MAX_DEPTH:
        yield Problem(path, f"at most {MAX_DEPTH} levels")
        return
    if not node.members:
        yield Problem(f"{path}.members", "at least one member is needed")
    demanded |= node.demand
    bounded = all(
        isinstance(member, Node) or member.names_one or member.kind in (Kind.MANAGER, Kind.OWNER)
        for member in node.members
    )
    distinct = len({(leaf.kind, leaf.value) for leaf in node.leaves}) + len(node.nodes)
    if node.n.unit is Unit.PERCENT:
        if not 1 <= node.n.value <= 100:
            yield Problem(f"{path}.n", "a fraction must be between 1% and 100%")
    elif node.n.value < 1:
        yield Problem(f"{path}.n", "must be at least 1")
    elif node.n.unit is Unit.PEOPLE and bounded and node.members and node.n.value > distinct:
        yield Problem(f"{path}.n", f"must be at most {distinct}, the number of members")
    if node.n.value > 1000:
        yield Problem(f"{path}.n", "must be at most 1000")
    if len({(leaf.kind, leaf.value) for leaf in node.leaves}) < len(node.leaves):
        yield Problem(f"{path}.members", "a member may stand only once in a quorum")
    for index, member in enumerate(node.members):
        if isinstance(member, Node):
            yield from node_problems(member, f"{path}.members[{index}]", depth + 1, demanded)
        elif member.kind is Kind.SERVICE and demanded:
            yield Problem(f"{path}.members[{index}]", "a service cannot give the evidence that is demanded here")


class Workflow(Struct, frozen=True):
    """A definition as it is kept. `resource_types` None: it governs every type."""

    id: UUID
    name: str
    description: str | None
    status: Status
    steps: tuple[Step, ...]
    resource_types: tuple[str, ...] | None = None
    auto_approve: str | None = None
    fallback: tuple[Leaf, ...] = ()
    version: int = 1

    @property
    def route(self) -> Route:
        return Route(tuple(sorted(self.steps, key=lambda step: step.order)), self.fallback)
