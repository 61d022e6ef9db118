"""The quorum algebra, as a table and against every possibility tried out."""

from itertools import combinations, product
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.domain import quorum
from quorate.domain.evidence import NONE, Demand
from quorate.domain.quorum import Able
from quorate.domain.workflows import Count, Leaf, Node, Unit
from tests.cast import ANA, BEN, CYD, MONA, group, n_of, role, user
from tests.domain import oracle

Tree = Node

A, B, C = user(ANA), user(BEN), user(CYD)
LEADS = role("leads")
BOUNDED = settings(derandomize=True, max_examples=250, deadline=None)


def needs_of(tree: Tree) -> tuple[int, ...]:
    return tuple(node.n.value for node in tree.every_node())


def is_met(tree: Tree, votes: dict[Leaf, set[UUID]]) -> bool:
    return quorum.met(tree, needs_of(tree), {leaf: frozenset(people) for leaf, people in votes.items()})


NESTED = n_of(2, A, n_of(1, A, B))
OVERLAPPING = Node(Count(2), (A, n_of(1, A, B)), overlap=True)
TWO_PAIRS = n_of(2, n_of(1, A, B), n_of(1, A, C))
TWO_OF_TWO = n_of(2, n_of(2, A, B), n_of(2, A, B))
THREE_DEEP = n_of(2, n_of(1, n_of(1, A, B)), C)


@pytest.mark.parametrize(
    ("tree", "votes", "met"),
    [
        (n_of(1, A), {}, False),
        (n_of(1, A), {A: {ANA}}, True),
        (n_of(2, A, B, C), {A: {ANA}, C: {CYD}}, True),
        (n_of(2, A, B, C), {B: {BEN}}, False),
        (n_of(2, group()), {group(): {ANA}}, False),
        (n_of(2, group()), {group(): {ANA, BEN}}, True),
        (n_of(2, group(), LEADS), {group(): {ANA}, LEADS: {ANA}}, False),
        (n_of(2, group(), LEADS), {group(): {ANA}, LEADS: {BEN}}, True),
        (n_of(3, group(), A), {group(): {ANA, BEN}, A: {ANA}}, False),
        (NESTED, {A: {ANA}}, False),
        (NESTED, {A: {ANA}, B: {BEN}}, True),
        (NESTED, {B: {BEN}}, False),
        (OVERLAPPING, {A: {ANA}}, True),
        (OVERLAPPING, {B: {BEN}}, False),
        (TWO_PAIRS, {A: {ANA}}, False),
        (TWO_PAIRS, {A: {ANA}, B: {BEN}}, True),
        (TWO_PAIRS, {A: {ANA}, C: {CYD}}, True),
        (TWO_OF_TWO, {A: {ANA}, B: {BEN}}, True),
        (TWO_OF_TWO, {A: {ANA}}, False),
        (THREE_DEEP, {B: {BEN}, C: {CYD}}, True),
        (THREE_DEEP, {A: {ANA}, B: {BEN}}, False),
    ],
)
def test_a_tree_is_met_as_the_table_says(tree: Tree, votes: dict[Leaf, set[UUID]], met: bool) -> None:
    assert is_met(tree, votes) is met


@pytest.mark.parametrize(
    ("count", "approvers", "needed"),
    [
        (Count(2), 0, 2),
        (Count(2), 9, 2),
        (Count(25, Unit.PERCENT), 0, 1),
        (Count(25, Unit.PERCENT), 4, 1),
        (Count(25, Unit.PERCENT), 5, 2),
        (Count(50, Unit.PERCENT), 1, 1),
        (Count(50, Unit.PERCENT), 3, 2),
        (Count(50, Unit.PERCENT), 4, 2),
        (Count(100, Unit.PERCENT), 3, 3),
        (Count(1, Unit.PERCENT), 1000, 10),
        (Count(1, Unit.PERCENT), 1001, 11),
        (Count(1, Unit.CAPPED), 5, 1),
        (Count(2, Unit.CAPPED), 5, 2),
        (Count(3, Unit.CAPPED), 2, 2),
        (Count(3, Unit.CAPPED), 0, 1),
    ],
)
def test_a_count_needs_what_the_table_says(count: Count, approvers: int, needed: int) -> None:
    assert count.needed(approvers) == needed


def test_a_fraction_counts_people_once_and_a_sub_node_as_one() -> None:
    tree = Node(Count(100, Unit.PERCENT), (group(), A, LEADS, n_of(1, B, C)))
    able = {group(): Able([ANA, BEN]), A: Able([ANA]), LEADS: Able([MONA])}

    assert quorum.count_needs(tree, lambda leaf: able.get(leaf, Able())) == (4, 1)


def test_a_fraction_leaves_out_whoever_may_not_decide() -> None:
    tree = Node(Count(50, Unit.PERCENT), (A, B, C))

    assert quorum.count_needs(tree, lambda leaf: Able() if leaf == C else Able([UUID(leaf.value)])) == (1,)


def test_a_crowd_known_only_by_number_counts_with_its_number() -> None:
    tree = Node(Count(50, Unit.PERCENT), (group(), A))

    assert quorum.count_needs(tree, lambda leaf: Able([ANA]) if leaf == A else Able((), 1500)) == (751,)


def test_two_crowds_known_only_by_number_may_be_the_same_people() -> None:
    tree = n_of(2, n_of(1, group()), n_of(1, LEADS))

    assert not quorum.reachable(tree, (2, 1, 1), {}, lambda leaf: Able((), 1))
    assert quorum.reachable(tree, (2, 1, 1), {}, lambda leaf: Able((), 2))


def test_a_demand_binds_everyone_below_it_on_every_path() -> None:
    password, factor = Demand(password=True), Demand(second_factor=True)
    tree = Node(Count(1), (A, Node(Count(1), (B, Node(Count(1), (A, C), factor))), Node(Count(1), (C,), password)))

    assert quorum.demand_on(tree, [A]) == factor
    assert quorum.demand_on(tree, [B]) == NONE
    assert quorum.demand_on(tree, [C]) == Demand(password=True, second_factor=True)


LEAVES = (A, B, C, group(), LEADS)
PEOPLE = (ANA, BEN, CYD, MONA)


def nodes(depth: int) -> st.SearchStrategy[Node]:
    member = st.sampled_from(LEAVES)
    below = member if depth == 1 else st.one_of(member, nodes(depth - 1))
    return st.builds(
        lambda n, members, overlap: Node(Count(min(n, len(members))), tuple(members), overlap=overlap),
        st.integers(1, 4),
        st.lists(below, min_size=1, max_size=4, unique_by=lambda one: one if isinstance(one, Leaf) else id(one)),
        st.booleans() if depth < 3 else st.just(value=False),
    )


ballots = st.dictionaries(st.sampled_from(LEAVES), st.frozensets(st.sampled_from(PEOPLE)))


@BOUNDED
@given(nodes(3), ballots)
def test_a_tree_is_met_exactly_when_some_way_of_counting_meets_it(
    tree: Node, votes: dict[Leaf, frozenset[UUID]]
) -> None:
    assert quorum.met(tree, needs_of(tree), votes) == oracle.is_met(tree, needs_of(tree), votes)


@BOUNDED
@given(nodes(3), ballots, st.sampled_from(LEAVES), st.sampled_from(PEOPLE))
def test_one_more_approval_never_unmeets_a_tree(
    tree: Node, votes: dict[Leaf, frozenset[UUID]], leaf: Leaf, person: UUID
) -> None:
    more = {**votes, leaf: votes.get(leaf, frozenset()) | {person}}

    assert quorum.met(tree, needs_of(tree), votes) <= quorum.met(tree, needs_of(tree), more)


@BOUNDED
@given(nodes(3), ballots)
def test_without_overlap_at_the_root_it_takes_as_many_people_as_it_needs(
    tree: Node, votes: dict[Leaf, frozenset[UUID]]
) -> None:
    people = frozenset().union(*votes.values()) if votes else frozenset()
    if quorum.met(tree, needs_of(tree), votes) and not tree.overlap:
        assert len(people) >= tree.n.value


@BOUNDED
@given(nodes(3), ballots, st.frozensets(st.sampled_from(PEOPLE)))
def test_a_tree_can_be_met_exactly_when_those_left_approving_everywhere_would_meet_it(
    tree: Node, votes: dict[Leaf, frozenset[UUID]], left: frozenset[UUID]
) -> None:
    all_in = {leaf: votes.get(leaf, frozenset()) | left for leaf in LEAVES}

    expected = oracle.is_met(tree, needs_of(tree), all_in)
    assert quorum.reachable(tree, needs_of(tree), votes, lambda leaf: Able(left)) == expected


@BOUNDED
@given(st.integers(1, 100), st.integers(0, 2000))
def test_a_fraction_needs_at_least_one_and_never_more_than_there_are(percent: int, approvers: int) -> None:
    needed = Count(percent, Unit.PERCENT).needed(approvers)

    assert 1 <= needed <= max(1, approvers)
    assert needed * 100 >= percent * approvers
    assert (needed - 1) * 100 < percent * approvers or needed == 1


def test_every_choice_of_a_person_for_each_sub_node_is_weighed() -> None:
    """Three sub-nodes with overlapping approvers, in every combination of who approved."""
    tree = n_of(3, n_of(1, A, B), n_of(1, B, C), n_of(1, C, A))
    for choice in product([False, True], repeat=3):
        votes = {leaf: {UUID(leaf.value)} for leaf, chosen in zip((A, B, C), choice, strict=True) if chosen}
        assert is_met(tree, votes) is all(choice)
    assert all(
        not is_met(tree, {one: {UUID(one.value)}, two: {UUID(two.value)}}) for one, two in combinations((A, B, C), 2)
    )
