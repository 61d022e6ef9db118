"""How many must approve: each cell of the table, walked through by the rules. Source: SailPoint contract §6."""

from uuid import UUID

import pytest

from quorate.app.definitions import COUNT_WORDS
from quorate.domain import commands as do
from quorate.domain.people import Person
from quorate.domain.workflows import Count, Node, Route, Unit
from quorate.surfaces.sailpoint.vocabulary import calculation, criterion
from tests.cast import APPROVE, REJECT, World, group, step, user

TABLE = {
    "SINGLE": {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 10: 1},
    "DOUBLE": {1: 1, 2: 2, 3: 2, 4: 2, 5: 2, 10: 2},
    "TRIPLE": {1: 1, 2: 2, 3: 3, 4: 3, 5: 3, 10: 3},
    "QUARTER": {1: 1, 2: 1, 3: 1, 4: 1, 5: 2, 10: 3},
    "HALF": {1: 1, 2: 1, 3: 2, 4: 2, 5: 3, 10: 5},
    "ALL": {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 10: 10},
}
CELLS = [(word, approvers, needed) for word, row in TABLE.items() for approvers, needed in row.items()]
SHOWN = {
    "SINGLE": ("COUNT", 1),
    "DOUBLE": ("COUNT", 2),
    "TRIPLE": ("COUNT", 3),
    "QUARTER": ("PERCENT", 25),
    "HALF": ("PERCENT", 50),
    "ALL": ("PERCENT", 100),
}


def people(number: int) -> list[UUID]:
    return [UUID(int=0x1000 + one) for one in range(number)]


def asked_of(approvers: int, count: Count) -> World:
    world = World(Route((step(Node(count, tuple(user(id) for id in people(approvers)))),)))
    world.persons |= {id: Person(id, name=str(id)) for id in people(approvers)}
    return world.submit()


def status(world: World) -> str:
    return world.request.status.value


@pytest.mark.parametrize(("word", "approvers", "needed"), CELLS)
def test_so_many_approvals_pass_and_one_less_does_not(word: str, approvers: int, needed: int) -> None:
    world = asked_of(approvers, COUNT_WORDS[word])
    voters = people(approvers)

    for voter in voters[: needed - 1]:
        world.decide(voter, APPROVE)
    assert status(world) == "pending"
    world.decide(voters[needed - 1], APPROVE)

    assert status(world) == "approved"
    assert criterion(COUNT_WORDS[word], world.request.current.needs[0]) == word
    assert calculation(COUNT_WORDS[word]) == SHOWN[word]


@pytest.mark.parametrize("word", TABLE)
def test_one_rejection_ends_it_whatever_is_needed(word: str) -> None:
    world = asked_of(3, COUNT_WORDS[word])
    world.decide(people(3)[0], REJECT)
    assert status(world) == "rejected"


@pytest.mark.parametrize(
    ("count", "approvers", "needed"),
    [
        (Count(7, Unit.CAPPED), 3, 3),
        (Count(1, Unit.PERCENT), 10, 1),
        (Count(33, Unit.PERCENT), 3, 1),
        (Count(34, Unit.PERCENT), 3, 2),
        (Count(67, Unit.PERCENT), 3, 3),
    ],
)
def test_any_count_is_capped_and_any_fraction_rounds_up(count: Count, approvers: int, needed: int) -> None:
    assert asked_of(approvers, count).request.current.needs == (needed,)


def test_a_governance_group_counts_as_one_approver_and_any_member_acts_for_it() -> None:
    of_security = Node(Count(1), (group(),))
    world = World(Route((step(Node(COUNT_WORDS["ALL"], (user(people(1)[0]), of_security))),)))
    world.persons |= {id: Person(id) for id in people(1)}
    world.submit()

    assert world.request.current.needs == (2, 1)


def test_the_count_is_taken_again_when_the_approvers_change() -> None:
    world = asked_of(4, COUNT_WORDS["HALF"])
    stranger = UUID(int=0x2000)
    world.persons[stranger] = Person(stranger)
    world.decide(people(4)[0], APPROVE)

    world.do(do.Reassign(people(4)[1], stranger))

    assert world.request.current.needs == (2,)
    world.decide(stranger, APPROVE)
    assert status(world) == "approved"


@pytest.mark.parametrize(
    ("count", "needed", "word"),
    [
        (Count(2), 2, "DOUBLE"),
        (Count(5), 5, "ALL"),
        (Count(30, Unit.PERCENT), 2, "HALF"),
        (Count(60, Unit.PERCENT), 2, "ALL"),
    ],
)
def test_what_the_first_shape_has_no_word_for_is_the_next_that_asks_more(count: Count, needed: int, word: str) -> None:
    assert criterion(count, needed) == word
