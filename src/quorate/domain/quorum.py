"""The quorum algebra: when a tree of approvers is met, and whether it still can be.

A node is met when (distinct people who approved through its own leaves) + (its sub-nodes met) reaches what it
needs. A sub-node counts only with a person whom its parent has not counted yet, unless the tree says `overlap`:
so one person alone never meets a node that needs two. Adding an approval never unmeets a node, which is why
`can be met` is simply `would be met if everybody who still can were to approve`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import UUID

from quorate.domain.evidence import NONE, Demand
from quorate.domain.workflows import Leaf, Node, Unit

Approvals = Mapping[Leaf, frozenset[UUID]]
"""Who approved through which leaf: the human beings."""


class Able(tuple[frozenset[UUID], int]):
    """The people who could decide through a leaf: those known by id, and how many more there are at least."""

    __slots__ = ()

    def __new__(cls, known: Iterable[UUID] = (), more: int = 0) -> "Able":
        return super().__new__(cls, (frozenset(known), max(0, more)))

    @property
    def known(self) -> frozenset[UUID]:
        return self[0]

    @property
    def more(self) -> int:
        return self[1]


def met(tree: Node, needs: Sequence[int], approvals: Approvals) -> bool:
    """Say whether the root is met. `needs` holds what each node needs, in the order of `Node.every_node`."""
    is_met, _ = _standing(tree, iter_needs(tree, needs), approvals)
    return is_met


def reachable(tree: Node, needs: Sequence[int], approvals: Approvals, able: Callable[[Leaf], Able]) -> bool:
    """Say whether the root would be met if everybody who still can were to approve through every leaf.

    People known only by number are taken for the same ones wherever they appear, so a yes is never too early.
    """
    ceiling = sum(needs) + 1
    possible = {}
    for leaf in tree.every_leaf():
        here = able(leaf)
        strangers = (UUID(int=number) for number in range(min(here.more, ceiling)))
        possible[leaf] = approvals.get(leaf, frozenset()) | here.known | frozenset(strangers)
    return met(tree, needs, possible)


def count_needs(tree: Node, able: Callable[[Leaf], Able]) -> tuple[int, ...]:
    """Work out what every node needs, now that its approvers can be counted.

    Counted are the distinct people who could decide through the node's own leaves, and one for each sub-node.
    Leaves that joined a step later are not counted: they help to reach the number and do not raise it.
    """
    return tuple(node.n.needed(_approvers(node, able)) for node in tree.every_node())


def demand_on(tree: Node, leaves: Iterable[Leaf]) -> Demand:
    """Collect what is demanded of somebody who decides through these leaves, on every path to each of them."""
    wanted = set(leaves)
    total = NONE
    for node in tree.every_node():
        if node.demand and not wanted.isdisjoint(node.every_leaf()):
            total |= node.demand
    for leaf in wanted:
        total |= leaf.demand
    return total


def iter_needs(tree: Node, needs: Sequence[int]) -> dict[int, int]:
    """Pair each node (by identity) with what it needs."""
    return {id(node): need for node, need in zip(tree.every_node(), needs, strict=True)}


def _standing(node: Node, needs: Mapping[int, int], approvals: Approvals) -> tuple[bool, frozenset[UUID]]:
    own: frozenset[UUID] = frozenset().union(*(approvals.get(leaf, frozenset()) for leaf in node.leaves))
    met_by = [people for is_met, people in (_standing(sub, needs, approvals) for sub in node.nodes) if is_met]
    count = len(own) + (len(met_by) if node.overlap else _with_a_person_each([people - own for people in met_by]))
    return count >= needs[id(node)], own.union(*met_by)


def _with_a_person_each(groups: Sequence[frozenset[UUID]]) -> int:
    """Count the groups that can be given a person each, no person twice: a maximum matching."""
    given: dict[UUID, int] = {}

    def place(group: int, tried: set[UUID]) -> bool:
        for person in groups[group]:
            if person not in tried:
                tried.add(person)
                if person not in given or place(given[person], tried):
                    given[person] = group
                    return True
        return False

    return sum(place(group, set()) for group in range(len(groups)))


def _approvers(node: Node, able: Callable[[Leaf], Able]) -> int:
    if node.n.unit is Unit.PEOPLE:
        return 0  # Nobody asks.
    crowds = [able(leaf) for leaf in node.leaves if not leaf.joined]
    known: frozenset[UUID] = frozenset().union(*(crowd.known for crowd in crowds))
    return len(known) + sum(crowd.more for crowd in crowds) + len(node.nodes)
