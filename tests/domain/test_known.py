"""What only a request can tell: whose manager, whose owner. It is known when the route is frozen."""

from uuid import UUID

import pytest

from quorate.domain import commands as do
from quorate.domain.cadence import Cadence
from quorate.domain.events import FellBack, Filing, RequestKind
from quorate.domain.refusals import NotAnApprover, OwnRequest
from quorate.domain.requests import Request
from quorate.domain.workflows import Escalations, Joined, Kind, Leaf, Route
from tests.cast import ADA, ANA, APPROVE, BEN, BOT, CYD, MONA, RHEA, World, n_of, step, user

ASKERS = Leaf(Kind.MANAGER, "asker")
OWNERS = Leaf(Kind.OWNER, "target")
REQUESTERS = Leaf(Kind.MANAGER, "requester")
OF_ANA = Leaf(Kind.MANAGER, str(ANA))


@pytest.mark.parametrize(
    ("leaf", "asker", "owner", "known"),
    [
        (user(CYD), ANA, BEN, user(CYD)),
        (REQUESTERS, ANA, BEN, REQUESTERS),
        (ASKERS, ANA, BEN, OF_ANA),
        (ASKERS, RHEA, BEN, REQUESTERS),
        (OWNERS, ANA, BEN, user(BEN)),
        (OWNERS, ANA, None, OWNERS),
    ],
)
def test_every_leaf_of_a_route_is_made_known(leaf: Leaf, asker: UUID, owner: UUID | None, known: Leaf) -> None:
    def route(one: Leaf) -> Route:
        inner = n_of(1, one, user(ADA))
        others = Escalations(Cadence(60), (one,))
        return Route((step(n_of(2, one, inner), escalate_to=one, fallback=(one,), escalations=others),), (one,))

    assert route(leaf).known(asker, RHEA, owner) == route(known)


def test_who_is_named_twice_when_all_is_known_stands_there_once() -> None:
    route = Route((step(n_of(1, user(BEN), OWNERS), fallback=(OWNERS, user(BEN))),), (user(BEN), OWNERS))

    known = route.known(RHEA, RHEA, BEN)

    assert known == Route((step(n_of(1, user(BEN)), fallback=(user(BEN),)),), (user(BEN),))


def for_another(leaf: Leaf, owner: UUID | None = None, asker: UUID = ANA) -> World:
    """Ana, whose manager is Cyd, asks for Rhea, whose manager is Mona."""
    filing = Filing(RequestKind.ACCESS, filed_by=asker, requester=asker, beneficiary=RHEA)
    world = World(Route((step(leaf),)).known(asker, RHEA, owner), filing=filing)
    world.change(ANA, manager=CYD, permissions=frozenset({"request:for-others"}))
    world.change(BOT, owner=ANA, permissions=frozenset({"request:for-others"}))
    return world.submit()


def is_approved(request: Request) -> bool:
    return request.status.value == "approved"


@pytest.mark.parametrize("asker", [ANA, BOT])
def test_the_manager_of_whoever_asks_decides_and_of_a_service_that_of_its_owner(asker: UUID) -> None:
    world = for_another(ASKERS, asker=asker)
    with pytest.raises(NotAnApprover):
        world.decide(MONA, APPROVE)
    world.decide(CYD, APPROVE)
    assert is_approved(world.request)


def test_a_manager_is_looked_up_when_it_matters() -> None:
    world = for_another(ASKERS)
    world.change(ANA, manager=BEN)
    with pytest.raises(NotAnApprover):
        world.decide(CYD, APPROVE)
    world.decide(BEN, APPROVE)
    assert is_approved(world.request)


@pytest.mark.parametrize("own", [ANA, RHEA])
def test_nobody_decides_their_own_as_the_owner_of_what_they_ask_for(own: UUID) -> None:
    world = for_another(OWNERS, owner=own)
    assert any(isinstance(event, FellBack) for event in world.history)
    with pytest.raises(OwnRequest):
        world.decide(own, APPROVE)
    world.decide(ADA, APPROVE)
    assert is_approved(world.request)


def test_a_step_of_an_owner_who_is_not_there_or_gone_falls_back() -> None:
    for world in (for_another(OWNERS), for_another(OWNERS, owner=BEN)):
        if world.history[-1].__class__ is not FellBack:
            world.change(BEN, active=False)
            world.do(do.Recheck())
        last = world.history[-1]
        assert isinstance(last, FellBack)
        assert last.leaves == (Leaf(Kind.HOLDER, "admin", joined=Joined.FALLBACK),)
        assert not last.is_stuck


def test_the_owner_decides() -> None:
    world = for_another(OWNERS, owner=BEN)
    world.decide(BEN, APPROVE)
    assert is_approved(world.request)
