"""What is settled beside the workflows, laid over a route: a table of what was there and what comes out."""

from collections.abc import Sequence

import pytest
from msgspec import json
from msgspec.structs import replace

from quorate.domain.defaults import Defaults, Scope, Settled, is_waived, laid_over
from quorate.domain.evidence import NONE, Demand
from quorate.domain.workflows import Count, Kind, Leaf, Node, OnTimeout, OwnSay, Rejection, Route, Rule, Step, Wants
from tests.cast import ANA, BEN, CYD, group, n_of, service, step, user

PASSWORD = Demand(password=True)
CHAIN = (user(CYD), group(), Leaf(Kind.MANAGER, "requester"))
OURS = ("access", "t1")


def demanding(demand: Demand = PASSWORD) -> Node:
    return Node(Count(1), (user(BEN),), demand)


def settled(*each: tuple[Scope, Defaults]) -> list[Settled]:
    subjects = {Scope.TENANT: "", Scope.TYPE: "access", Scope.TARGET: "t1"}
    return [Settled(scope, subjects[scope], defaults) for scope, defaults in each]


def chained(*steps: Step, chain: Sequence[Leaf] = CHAIN) -> tuple[Step, ...]:
    over = settled((Scope.TENANT, Defaults(chain=tuple(chain))))
    return laid_over(Route(steps), over, *OURS, has_permissions=False).steps


def test_a_chain_stands_in_the_place_of_all_steps_one_step_each() -> None:
    first = step(
        n_of(2, user(ANA), user(BEN)), timeout_s=60, fallback=(user(ANA),), rejection=Rejection(Rule.UNREACHABLE)
    )

    new = chained(first, step(user(BEN), 2))

    assert [(one.order, one.name) for one in new] == [(1, "Approval 1"), (2, "Approval 2"), (3, "Approval 3")]
    assert [one.approvers for one in new] == [Node(Count(1), (leaf,)) for leaf in CHAIN]
    for one in new:
        assert (one.timeout_s, one.fallback, one.rejection) == (60, (user(ANA),), None)


@pytest.mark.parametrize(
    ("steps", "demand"),
    [
        ((step(user(ANA)),), NONE),
        ((step(demanding()),), PASSWORD),
        ((step(user(ANA)), step(demanding(), 2)), PASSWORD),
        (
            (step(demanding()), step(demanding(Demand(second_factor=True)), 2)),
            Demand(password=True, second_factor=True),
        ),
        ((step(n_of(1, user(ANA), demanding())),), PASSWORD),
    ],
)
def test_a_chain_demands_all_the_evidence_that_any_step_did(steps: tuple[Step, ...], demand: Demand) -> None:
    assert {one.demand for one in chained(*steps)} == {demand}


@pytest.mark.parametrize(
    ("wanted", "wants"),
    [
        ((None,), None),
        ((Wants.NONE, None), None),
        ((None, Wants.APPROVAL), Wants.APPROVAL),
        ((Wants.REJECTION, None), Wants.REJECTION),
        ((Wants.REJECTION, Wants.APPROVAL), Wants.ALL),
        ((Wants.ALL, Wants.NONE), Wants.ALL),
    ],
)
def test_a_chain_wants_every_comment_that_any_step_did(wanted: tuple[Wants | None, ...], wants: Wants | None) -> None:
    steps = [step(user(ANA), order, requires_comment=one) for order, one in enumerate(wanted, 1)]
    assert {one.requires_comment for one in chained(*steps)} == {wants}


def test_no_administrator_passes_a_step_of_a_chain_where_one_of_the_old_steps_said_so() -> None:
    assert {one.may_be_overridden for one in chained(step(user(ANA)), step(user(BEN), 2, override=False))} == {False}
    assert {one.may_be_overridden for one in chained(step(user(ANA)), step(user(BEN), 2))} == {True}


@pytest.mark.parametrize(
    ("when", "to", "after"),
    [
        (OnTimeout.APPROVE, None, (OnTimeout.EXPIRE, None)),
        (OnTimeout.ESCALATE, service(ANA), (OnTimeout.EXPIRE, None)),
        (OnTimeout.ESCALATE, user(ANA), (OnTimeout.ESCALATE, user(ANA))),
        (None, None, (None, None)),
    ],
)
def test_a_chain_that_takes_over_a_demand_never_passes_by_time(
    when: OnTimeout | None, to: Leaf | None, after: tuple[OnTimeout | None, Leaf | None]
) -> None:
    first = step(user(ANA), on_timeout=when, escalate_to=to)
    assert {(one.on_timeout, one.escalate_to) for one in chained(first, step(demanding(), 2))} == {after}
    assert {(one.on_timeout, one.escalate_to) for one in chained(first)} == {(when, to)}


def test_a_service_stands_in_a_chain_only_where_no_evidence_is_demanded() -> None:
    both = (service(ANA), user(CYD))
    plain, demands = step(user(BEN)), step(demanding())
    assert [one.approvers.leaves for one in chained(plain, chain=both)] == [(service(ANA),), (user(CYD),)]
    assert [one.approvers for one in chained(demands, chain=both)] == [Node(Count(1), (user(CYD),), PASSWORD)]
    assert chained(demands, chain=(service(ANA),)) == (demands,)


def test_of_several_chains_the_narrower_counts_and_other_settings_hold_for_its_steps() -> None:
    over = settled(
        (Scope.TARGET, Defaults(chain=(user(ANA), user(BEN)))),
        (Scope.TENANT, Defaults(chain=(user(CYD),), requires_comment=Wants.ALL, timeout_s=7)),
        (Scope.TYPE, Defaults(fallback=(user(CYD),))),
    )

    new = laid_over(Route((step(user(CYD)),)), over, *OURS, has_permissions=False).steps

    assert [one.approvers.members for one in new] == [(user(ANA),), (user(BEN),)]
    assert {(one.timeout_s, one.requires_comment, one.fallback) for one in new} == {(7, Wants.ALL, (user(CYD),))}


def test_what_is_settled_for_something_else_says_nothing() -> None:
    over = [Settled(Scope.TARGET, "t2", Defaults(chain=CHAIN, waived=True))]
    over.append(Settled(Scope.TYPE, "generic", Defaults(chain=CHAIN, waived=True)))
    route = Route((step(user(ANA)),))

    assert laid_over(route, over, *OURS, has_permissions=False) == route
    assert not is_waived(route, over, *OURS, has_permissions=False)
    assert not is_waived(route, over, "access", None, has_permissions=False)


@pytest.mark.parametrize(
    ("said", "demand", "has_permissions", "waived"),
    [
        ([], NONE, False, False),
        ([None], NONE, False, False),
        ([True], NONE, False, True),
        ([True, None], NONE, False, True),
        ([True, False], NONE, False, False),
        ([False, True], NONE, False, True),
        ([True], PASSWORD, False, False),
        ([True], NONE, True, False),
    ],
)
def test_nobody_need_approve_what_is_waived_unless_it_carries_permissions_or_demands_evidence(
    said: list[bool | None], demand: Demand, has_permissions: bool, waived: bool
) -> None:
    over = settled(*zip(Scope, [Defaults(waived=one) for one in said], strict=False))
    route = Route((step(user(ANA)), step(demanding(demand), 2)))
    assert is_waived(route, over, *OURS, has_permissions=has_permissions) is waived


@pytest.mark.parametrize(
    ("said", "after"),
    [
        ([None], None),
        ([OwnSay.NEVER], None),
        ([OwnSay.DIRECT], OwnSay.DIRECT),
        ([OwnSay.DIRECT, None, OwnSay.INDIRECT], OwnSay.INDIRECT),
        ([OwnSay.INDIRECT, OwnSay.NEVER], None),
    ],
)
def test_whether_asking_approves_is_settled_for_each_step(said: list[OwnSay | None], after: OwnSay | None) -> None:
    over = settled(*zip(Scope, [Defaults(own_say=one) for one in said], strict=False))
    route = Route((step(user(ANA)), step(user(BEN), 2)))
    assert {one.own_say for one in laid_over(route, over, *OURS, has_permissions=False).steps} == {after}


def test_what_is_settled_is_kept_as_it_is() -> None:
    over = Defaults(chain=CHAIN, waived=False, own_say=OwnSay.NEVER, fallback=(user(ANA),))
    assert json.decode(json.encode(over), type=Defaults) == over
    assert json.encode(replace(over, chain=(), waived=None, own_say=None, fallback=())) == b"{}"
