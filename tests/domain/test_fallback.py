"""A step nobody can decide is never silent: design §3, rule 8."""

from collections.abc import Mapping
from uuid import UUID

import pytest
from msgspec.structs import replace

from quorate.domain import commands as do
from quorate.domain import lifecycle, routing
from quorate.domain.events import Closed, Decided, Event, FellBack, Outcome, StepOpened
from quorate.domain.evidence import Demand
from quorate.domain.history import apply_all
from quorate.domain.people import Crowd, People, Person
from quorate.domain.workflows import Count, Joined, Kind, Leaf, Node, OnTimeout, Rejection, Route, Rule, Step, Unit
from tests.cast import (
    ADA,
    ANA,
    APPROVE,
    BEN,
    BOT,
    CYD,
    MONA,
    NOON,
    REJECT,
    REQUEST,
    RHEA,
    SECURITY,
    TENANT,
    World,
    a_request_to,
    group,
    n_of,
    role,
    service,
    step,
    user,
)

NOBODY = role("nobody")
ADMINS = Leaf(Kind.HOLDER, "admin")


def fell_back(*leaves: Leaf, is_stuck: bool = False) -> FellBack:
    return FellBack(NOON, 0, tuple(replace(leaf, joined=Joined.FALLBACK) for leaf in leaves), is_stuck)


DEE = UUID(int=55)
"""Somebody nobody has thought of."""


def opened(
    only: Step, *, of_workflow: tuple[Leaf, ...] = (), of_tenant: tuple[Leaf, ...] = (), away: tuple[UUID, ...] = ()
) -> World:
    world = World(Route((only,), of_workflow))
    world.fallback = of_tenant
    for id in away:
        world.change(id, active=False)
    return world.submit()


def last(world: World) -> Event:
    return world.history[-1]


def test_a_step_that_somebody_can_decide_falls_back_to_nobody() -> None:
    assert isinstance(last(a_request_to(group())), StepOpened)


def test_the_levels_of_fallback_come_in_order() -> None:
    own = step(NOBODY, fallback=(user(ANA),))

    def without(*away: UUID) -> Event:
        return last(opened(own, of_workflow=(user(BEN),), of_tenant=(user(CYD),), away=away))

    assert without() == fell_back(user(ANA))
    assert without(ANA) == fell_back(user(BEN))
    assert without(ANA, BEN) == fell_back(user(CYD))
    assert without(ANA, BEN, CYD) == fell_back(ADMINS)


def test_when_even_the_administrators_are_too_few_the_step_is_stuck_and_says_so() -> None:
    world = opened(step(NOBODY, fallback=(user(ANA),)), away=(ANA, ADA))

    assert last(world) == fell_back(user(ANA), ADMINS, is_stuck=True)
    assert world.do(do.Recheck()) == []
    world.change(ADA, active=True)
    world.decide(ADA, APPROVE)
    assert world.request.status is Outcome.APPROVED


def test_levels_that_are_enough_only_together_all_join_and_nothing_is_stuck() -> None:
    world = opened(step(n_of(3, NOBODY), fallback=(user(ANA),)), of_workflow=(user(BEN),))

    assert last(world) == fell_back(user(ANA), user(BEN), ADMINS)
    for actor in (ANA, BEN, ADA):
        world.decide(actor, APPROVE)
    assert world.request.status is Outcome.APPROVED


def test_fewer_than_the_quorum_needs_is_nobody() -> None:
    world = opened(step(n_of(2, user(ANA), user(BEN)), fallback=(user(CYD),)), away=(BEN,))

    assert last(world) == fell_back(user(CYD))
    world.decide(ANA, APPROVE)
    world.decide(CYD, APPROVE)
    assert world.request.status is Outcome.APPROVED


def test_one_person_behind_two_approvers_is_too_few_for_two() -> None:
    world = World(Route((step(n_of(2, user(ANA), service(BOT))),)))
    world.change(BOT, owner=ANA)

    assert last(world.submit()) == fell_back(ADMINS)


def test_requester_and_beneficiary_are_nobody() -> None:
    world = World(Route((step(n_of(1, user(RHEA), user(MONA))),)))
    world.filing = replace(world.filing, filed_by=MONA, requester=MONA)

    assert last(world.submit()) == fell_back(ADMINS)


def test_a_manager_nobody_has_is_nobody() -> None:
    world = World(Route((step(Leaf(Kind.MANAGER, "requester")),)))
    world.change(RHEA, manager=None)

    assert last(world.submit()) == fell_back(ADMINS)


def test_a_later_step_is_looked_at_when_it_opens() -> None:
    world = World(Route((step(user(ANA)), step(NOBODY, 2)))).submit()

    events = world.decide(ANA, APPROVE)

    assert [type(event) for event in events] == [Decided, StepOpened, FellBack]


def test_a_directory_change_that_leaves_nobody_sends_the_step_on() -> None:
    world = a_request_to(n_of(2, user(ANA), user(BEN)))
    world.decide(ANA, APPROVE)
    world.change(BEN, active=False)

    assert world.do(do.Recheck()) == [fell_back(ADMINS)]
    world.decide(ADA, APPROVE)
    assert world.request.status is Outcome.APPROVED


def test_an_approver_who_is_suspended_after_approving_leaves_a_hole() -> None:
    world = a_request_to(n_of(2, user(ANA), user(BEN)))
    world.decide(ANA, APPROVE)
    world.change(ANA, active=False)

    assert world.do(do.Recheck()) == [fell_back(ADMINS)]


def test_a_change_that_takes_nothing_away_brings_nothing_about() -> None:
    world = a_request_to(group())
    world.change(ANA, active=False)

    assert world.do(do.Recheck()) == []


def test_a_rejected_step_whose_quorum_goes_out_of_reach_ends_instead_of_falling_back() -> None:
    world = a_request_to(n_of(2, group()), rejection=Rejection(Rule.UNREACHABLE))
    world.decide(ANA, REJECT)
    world.change(BEN, active=False)

    [closed] = world.do(do.Recheck())

    assert isinstance(closed, Closed)
    assert closed.status is Outcome.REJECTED


def test_the_number_that_is_needed_stays_when_others_join() -> None:
    world = opened(step(Node(Count(100, Unit.PERCENT), (group(),)), fallback=(user(MONA),)))
    world.change(ANA, active=False)
    world.do(do.Recheck())

    assert world.request.current.needs == (3,)
    assert world.request.tree.leaves == (group(), replace(user(MONA), joined=Joined.FALLBACK))


def test_those_who_joined_do_not_raise_the_number_when_it_is_counted_again() -> None:
    world = opened(step(Node(Count(100, Unit.PERCENT), (group(),)), fallback=(user(MONA), user(ADA))))
    world.change(ANA, active=False)
    world.do(do.Recheck())
    world.change(ANA, active=True)

    world.persons[DEE] = Person(DEE)
    world.do(do.Reassign(ADA, DEE, MONA))

    assert world.request.current.needs == (3,)


def test_who_joins_takes_over_what_the_step_demands_and_a_service_cannot() -> None:
    demand = Demand(second_factor=True)
    tree = Node(Count(1), (NOBODY,), demand)
    world = opened(step(tree, fallback=(service(BOT),)), of_workflow=(user(ANA),))

    assert last(world) == FellBack(NOON, 0, (Leaf(Kind.USER, str(ANA), demand, Joined.FALLBACK),))


def test_a_timed_chain_looks_at_every_step_it_opens() -> None:
    first = step(user(ANA), 1, 3600, on_timeout=OnTimeout.APPROVE)
    world = World(Route((first, step(NOBODY, 2)))).submit()

    events = world.lapse(NOON.replace(day=9))

    assert [type(event).__name__ for event in events] == ["PassedByTime", "StepOpened", "FellBack", "Closed"]


# Crowds of which only the number is known.


def big_world(tree: Node, count: int, excused: Mapping[UUID, Person] | None = None) -> tuple[Route, People]:
    persons = {**World(Route()).persons, **(excused or {})}
    crowds = {(Kind.GROUP, SECURITY): Crowd({}, count), (Kind.HOLDER, "admin"): Crowd({ADA: ADA}, 1)}
    return Route((step(tree, rejection=Rejection(Rule.UNREACHABLE)),)), People(persons, crowds)


def test_a_crowd_known_only_by_its_number_is_counted_without_those_who_may_not() -> None:
    member = Person(RHEA, groups=frozenset({SECURITY}))
    route, people = big_world(Node(Count(50, Unit.PERCENT), (group(),)), 2001, {RHEA: member})

    request, _ = lifecycle.submit(TENANT, REQUEST, do.Submit(RHEA, World(route).filing, route), people, at=NOON)

    assert request.current.needs == (1000,)
    assert routing.can_be_met(request, request.current, people)


def test_a_crowd_known_only_by_its_number_decides_and_rejects_as_any_other() -> None:
    route, people = big_world(n_of(2, group()), 1500)
    request, _ = lifecycle.submit(TENANT, REQUEST, do.Submit(RHEA, World(route).filing, route), people, at=NOON)
    for actor, choice in ((ANA, REJECT), (BEN, APPROVE), (CYD, APPROVE)):
        events = lifecycle.decide(request, do.Decide(actor, choice), people, at=NOON)
        request = apply_all(request, events)

    assert request.status is Outcome.APPROVED


def test_a_crowd_that_shrinks_below_what_is_needed_falls_back() -> None:
    route, people = big_world(n_of(1100, group()), 1500)
    request, _ = lifecycle.submit(TENANT, REQUEST, do.Submit(RHEA, World(route).filing, route), people, at=NOON)
    _, fewer = big_world(n_of(1100, group()), 1099)

    [fell] = lifecycle.recheck(request, fewer, at=NOON)

    assert isinstance(fell, FellBack)
    assert not fell.is_stuck


@pytest.mark.parametrize("more", [1, 2])
def test_a_stand_in_for_a_member_of_such_a_crowd_takes_the_members_place(more: int) -> None:
    route, people = big_world(Node(Count(100, Unit.PERCENT), (group(),)), 1000 + more)
    request, _ = lifecycle.submit(TENANT, REQUEST, do.Submit(RHEA, World(route).filing, route), people, at=NOON)

    [moved] = lifecycle.reassign(request, do.Reassign(ANA, MONA), people, at=NOON)

    assert lifecycle.apply(request, moved).current.needs == request.current.needs == (1000 + more,)
