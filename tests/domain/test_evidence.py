"""What must accompany an approval, and whether it is still current: design §3, rules 10 and 11."""

from uuid import UUID

import pytest

from quorate.domain import commands as do
from quorate.domain import refusals as no
from quorate.domain.events import Decided, Outcome, Overridden
from quorate.domain.evidence import NONE, Demand, Proof
from quorate.domain.workflows import Count, Node
from tests.cast import ADA, ANA, APPROVE, BEN, CYD, REJECT, World, a_request_to, group, n_of, service, user

STAMP, KEY = UUID(int=41), UUID(int=51)
PASSWORD, FACTOR, BOTH = Demand(password=True), Demand(second_factor=True), Demand(password=True, second_factor=True)
SHOWN = Proof(password_stamp=STAMP, credential=KEY, sign_count=8)


def demanding(demand: Demand, *actors: UUID) -> World:
    world = a_request_to(Node(Count(1), (user(ANA), user(BEN)), demand))
    for actor in actors or (ANA, ADA):
        world.change(actor, password_stamp=STAMP, sign_counts={KEY: 7})
    return world


@pytest.mark.parametrize(
    ("demand", "proof", "lacks"),
    [
        (NONE, None, NONE),
        (PASSWORD, None, PASSWORD),
        (PASSWORD, Proof(), PASSWORD),
        (PASSWORD, Proof(password_stamp=STAMP), NONE),
        (PASSWORD, Proof(password_stamp=UUID(int=1)), PASSWORD),
        (PASSWORD, Proof(credential=KEY, sign_count=8), PASSWORD),
        (FACTOR, None, FACTOR),
        (FACTOR, Proof(credential=KEY, sign_count=8), NONE),
        (FACTOR, Proof(credential=KEY, sign_count=7), FACTOR),
        (FACTOR, Proof(credential=UUID(int=1), sign_count=8), FACTOR),
        (FACTOR, Proof(password_stamp=STAMP), FACTOR),
        (BOTH, Proof(password_stamp=STAMP), FACTOR),
        (BOTH, Proof(credential=KEY, sign_count=8), PASSWORD),
        (BOTH, SHOWN, NONE),
    ],
)
@pytest.mark.parametrize("command", [do.Decide(ANA, APPROVE), do.Override(ADA, APPROVE), do.TakeSeat(ADA, APPROVE)])
def test_an_approval_needs_evidence_that_is_current(
    demand: Demand, proof: Proof | None, lacks: Demand, command: do.Decide | do.Override | do.TakeSeat
) -> None:
    world = demanding(demand)
    with_proof = type(command)(command.actor, command.choice, proof=proof)
    if lacks:
        with pytest.raises(no.EvidenceMissing) as refused:
            world.do(with_proof)
        assert (refused.value.password, refused.value.second_factor) == (lacks.password, lacks.second_factor)
        assert world.request.is_open
    else:
        world.do(with_proof)
        assert world.request.status is Outcome.APPROVED


@pytest.mark.parametrize("command", [do.Decide(ANA, REJECT), do.Override(ADA, REJECT), do.TakeSeat(ADA, REJECT)])
def test_rejecting_demands_none(command: do.Command) -> None:
    world = demanding(BOTH)
    world.do(command)

    assert world.request.status is Outcome.REJECTED


def test_evidence_dies_with_the_password_it_was_checked_against() -> None:
    world = demanding(PASSWORD)
    world.change(ANA, password_stamp=UUID(int=42))

    with pytest.raises(no.EvidenceMissing):
        world.do(do.Decide(ANA, APPROVE, proof=SHOWN))


def test_nobody_without_a_password_shows_one() -> None:
    world = demanding(PASSWORD, BEN)

    with pytest.raises(no.EvidenceMissing):
        world.do(do.Decide(ANA, APPROVE, proof=Proof(password_stamp=None)))


def test_what_was_shown_is_kept_with_the_decision() -> None:
    decided, *_ = demanding(PASSWORD).do(do.Decide(ANA, APPROVE, proof=SHOWN))
    overridden, *_ = demanding(PASSWORD).do(do.Override(ADA, APPROVE, proof=Proof(password_stamp=STAMP)))

    assert isinstance(decided, Decided)
    assert isinstance(overridden, Overridden)
    assert (decided.showed_password, decided.showed_second_factor) == (True, True)
    assert (overridden.showed_password, overridden.showed_second_factor) == (True, False)


def test_a_delegate_decides_with_their_own_evidence() -> None:
    world = demanding(PASSWORD, ANA)
    world.change(CYD, delegators=(ANA,))
    with pytest.raises(no.EvidenceMissing):
        world.do(do.Decide(CYD, APPROVE, proof=SHOWN))
    world.change(CYD, password_stamp=STAMP)

    world.do(do.Decide(CYD, APPROVE, proof=SHOWN))

    assert world.request.status is Outcome.APPROVED


def test_demands_on_every_path_to_an_approver_add_up() -> None:
    deep = Node(Count(1), (user(ANA), Node(Count(1), (user(BEN),), FACTOR)), PASSWORD)
    world = a_request_to(n_of(2, deep, user(CYD), user(ANA)))
    for actor in (ANA, BEN):
        world.change(actor, password_stamp=STAMP, sign_counts={KEY: 7})

    for actor, proof in ((ANA, None), (BEN, Proof(password_stamp=STAMP))):
        with pytest.raises(no.EvidenceMissing):
            world.do(do.Decide(actor, APPROVE, proof=proof))
    world.do(do.Decide(CYD, APPROVE))
    world.do(do.Decide(BEN, APPROVE, proof=SHOWN))

    assert world.request.status is Outcome.APPROVED


def test_an_override_shows_all_that_the_step_demands_of_anybody() -> None:
    world = a_request_to(n_of(1, user(CYD), Node(Count(1), (user(BEN),), FACTOR)))
    world.change(ADA, password_stamp=STAMP, sign_counts={KEY: 7})

    with pytest.raises(no.EvidenceMissing):
        world.do(do.Override(ADA, APPROVE, proof=Proof(password_stamp=STAMP)))
    world.do(do.Override(ADA, APPROVE, proof=SHOWN))

    assert world.request.status is Outcome.APPROVED


def test_who_is_escalated_to_takes_over_the_demands_and_a_service_cannot() -> None:
    world = demanding(PASSWORD)
    with pytest.raises(no.CannotEscalate):
        world.do(do.Escalate(ADA, service(UUID(int=8))))
    world.do(do.Escalate(ADA, group()))

    with pytest.raises(no.EvidenceMissing):
        world.do(do.Decide(CYD, APPROVE))


def test_a_stand_in_shows_what_was_demanded_of_the_giver() -> None:
    world = demanding(PASSWORD)
    world.do(do.Reassign(ANA, CYD))

    with pytest.raises(no.EvidenceMissing):
        world.do(do.Decide(CYD, APPROVE))


def test_who_may_know_comes_before_what_is_demanded() -> None:
    world = demanding(PASSWORD)
    with pytest.raises(no.NotAnApprover):
        world.do(do.Decide(CYD, APPROVE))
    world.do(do.Override(ADA, APPROVE, proof=SHOWN))

    with pytest.raises(no.AlreadyClosed):
        world.do(do.Decide(ANA, APPROVE))
