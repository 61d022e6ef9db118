"""What the rules should answer, worked out the slow way from the design's words, with none of the rules' own code.

Everything is tried: a quorum is met if some way of giving its sub-nodes a person each meets it.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import count
from uuid import UUID

from quorate.domain.events import Choice, Decided, RequestKind
from quorate.domain.people import Person
from quorate.domain.requests import Request, StepState
from quorate.domain.workflows import Joined, Kind, Leaf, Node, Rule, Unit

Persons = Mapping[UUID, Person]
Votes = Mapping[Leaf, frozenset[UUID]]


def is_met(tree: Node, needs: Sequence[int], votes: Votes) -> bool:
    """Say whether a tree is met; `needs` in the order root first, then each sub-node with all below it."""
    return _walk(tree, needs, count(), votes)[0]


def _walk(node: Node, needs: Sequence[int], place: "count[int]", votes: Votes) -> tuple[bool, frozenset[UUID]]:
    need = needs[next(place)]
    below = [_walk(member, needs, place, votes) for member in node.members if isinstance(member, Node)]
    own = {human for member in node.members if isinstance(member, Leaf) for human in votes.get(member, ())}
    met = [voters for passed, voters in below if passed]
    further = len(met) if node.overlap else _most(met, frozenset(own))
    everybody = frozenset(own).union(*met)
    return len(own) + further >= need, everybody


def _most(groups: list[frozenset[UUID]], taken: frozenset[UUID]) -> int:
    """Try every way to give groups a person nobody else has been given; say how many can have one."""
    if not groups:
        return 0
    first, *rest = groups
    return max(_most(rest, taken), *(1 + _most(rest, taken | {one}) for one in first - taken), 0)


def is_live(id: UUID, persons: Persons) -> bool:
    person = persons.get(id)
    if person is None or not person.active:
        return False
    return person.owner is None or (person.owner in persons and persons[person.owner].active)


def human(id: UUID, persons: Persons) -> UUID:
    return (persons[id].owner or id) if id in persons else id


def members(leaf: Leaf, request: Request, persons: Persons) -> set[UUID]:
    """Name the live accounts a leaf stands for."""
    found = set()
    for id, person in persons.items():
        match leaf.kind:
            case Kind.USER | Kind.SERVICE:
                named = str(id) == leaf.value and person.is_service == (leaf.kind is Kind.SERVICE)
            case Kind.GROUP:
                named = leaf.value in person.groups
            case Kind.ROLE:
                named = leaf.value in person.roles
            case Kind.HOLDER:
                named = leaf.value in person.permissions or "admin" in person.permissions
            case Kind.MANAGER:
                named = id == manager(leaf, request, persons)
            case Kind.OWNER:
                named = False  # It is an owner's leaf only where there is none.
        if named and is_live(id, persons):
            found.add(id)
    return found


def manager(leaf: Leaf, request: Request, persons: Persons) -> UUID | None:
    whose = request.filing.beneficiary if leaf.value == "requester" else UUID(leaf.value)
    who = persons.get(whose) if whose else None
    if who is not None and who.is_service:
        who = persons.get(who.owner) if who.owner else None
    return who.manager if who else None


def own_people(request: Request, persons: Persons) -> set[UUID]:
    filing = request.filing
    return {human(id, persons) for id in (filing.requester, filing.beneficiary, filing.filed_by) if id is not None}


def eligible(leaf: Leaf, request: Request, state: StepState, persons: Persons, *, self_approval: bool) -> set[UUID]:
    """Name the human beings who could decide through a leaf, whether they have or not."""
    barred = own_people(request, persons)
    out = set()
    for id in members(leaf, request, persons):
        who = human(id, persons)
        if {id, who} & state.excluded:
            continue
        if who in barred and (not self_approval or leaf.joined is Joined.FALLBACK):
            continue
        out.add(who)
    return out


def needs(request: Request, state: StepState, persons: Persons, *, self_approval: bool) -> tuple[int, ...]:
    """Count what every node of a step needs."""
    found: list[int] = []

    def visit(node: Node) -> None:
        approvers = {
            who
            for member in node.members
            if isinstance(member, Leaf) and member.joined is None
            for who in eligible(member, request, state, persons, self_approval=self_approval)
        }
        total = len(approvers) + sum(isinstance(member, Node) for member in node.members)
        match node.n.unit:
            case Unit.PEOPLE:
                found.append(node.n.value)
            case Unit.CAPPED:
                found.append(min(node.n.value, total) or 1)
            case Unit.PERCENT:
                share = Fraction(node.n.value * total, 100)
                found.append(max(1, -(-share.numerator // share.denominator)))
        for member in node.members:
            if isinstance(member, Node):
                visit(member)

    visit(request.tree_of(state))
    return tuple(found)


def votes(state: StepState, persons: Persons) -> dict[Leaf, frozenset[UUID]]:
    found: dict[Leaf, frozenset[UUID]] = {}
    for made in counting(state, Choice.APPROVE, persons):
        for leaf in made.leaves:
            found[leaf] = found.get(leaf, frozenset()) | {made.human}
    return found


def counting(state: StepState, choice: Choice, persons: Persons) -> list[Decided]:
    return [made for made in state.decisions if made.choice is choice and is_live(made.by, persons)]


def is_reachable(request: Request, state: StepState, persons: Persons, *, self_approval: bool) -> bool:
    spent = {id for made in state.decisions for id in (made.human, made.on_behalf_of)}
    found = votes(state, persons)
    for leaf in every_leaf(request.tree_of(state)):
        able = eligible(leaf, request, state, persons, self_approval=self_approval) - spent
        found[leaf] = found.get(leaf, frozenset()) | able
    return is_met(request.tree_of(state), state.needs, found)


def passes(request: Request, state: StepState, persons: Persons) -> bool:
    return is_met(request.tree_of(state), state.needs, votes(state, persons))


def is_rejected(request: Request, state: StepState, persons: Persons, *, self_approval: bool) -> bool:
    rejecting = {made.human for made in counting(state, Choice.REJECT, persons)}
    rule = request.route.steps[state.index].rejects
    if not rejecting:
        return False
    reachable = is_reachable(request, state, persons, self_approval=self_approval)
    match rule.rule:
        case Rule.ANY:
            return True
        case Rule.UNREACHABLE:
            return not reachable
        case Rule.COUNT:
            spent = {id for made in state.decisions for id in (made.human, made.on_behalf_of)}
            left: set[UUID] = set()
            for leaf in every_leaf(request.tree_of(state)):
                left |= eligible(leaf, request, state, persons, self_approval=self_approval) - spent
            return len(rejecting) >= rule.count or (not reachable and len(rejecting | left) < rule.count)


def every_leaf(node: Node) -> list[Leaf]:
    found: list[Leaf] = []
    for member in node.members:
        found += [member] if isinstance(member, Leaf) else every_leaf(member)
    return found


def may_be_overridden(request: Request, index: int) -> bool:
    kept = request.filing.kind is RequestKind.OPERATION or request.filing.is_review
    return not kept and request.route.steps[index].override is not False
