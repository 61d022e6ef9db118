"""What a definition may say: design §3, quorum algebra and rule 13."""

from uuid import UUID

import pytest

from quorate.domain.evidence import Demand
from quorate.domain.workflows import (
    MAX_TIMEOUT_S,
    Count,
    Kind,
    Leaf,
    Node,
    OnTimeout,
    Rejection,
    Rule,
    Status,
    Step,
    Unit,
    Workflow,
    problems,
)
from tests.cast import ANA, BEN, BOT, group, n_of, role, service, step, user

PASSWORD = Demand(password=True)
MANAGER = Leaf(Kind.MANAGER, "requester")


def nested(depth: int) -> Node:
    return n_of(1, user(ANA)) if depth == 1 else n_of(1, nested(depth - 1))


def percent(value: int) -> Node:
    return Node(Count(value, Unit.PERCENT), (group(),))


GOOD = {
    "one approver": step(user(ANA)),
    "five levels": step(nested(5)),
    "as many as there are": step(n_of(3, user(ANA), service(BOT), n_of(1, user(BEN)))),
    "more than can be known": step(n_of(7, group(), user(ANA))),
    "capped": step(Node(Count(3, Unit.CAPPED), (user(ANA),))),
    "a fraction": step(percent(100)),
    "one person in two nodes": step(n_of(2, user(ANA), n_of(1, user(ANA), user(BEN)))),
    "equal nodes": step(n_of(2, n_of(1, group()), n_of(1, group()))),
    "a year": step(user(ANA), 1, MAX_TIMEOUT_S),
    "a service beside a demand": step(n_of(2, service(BOT), Node(Count(1), (user(ANA),), PASSWORD))),
    "escalation": step(user(ANA), on_timeout=OnTimeout.ESCALATE, escalate_to=group()),
}


@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD)
def test_a_definition_may_say_this(good: Step) -> None:
    assert problems((good,)) == []


BAD = {
    "no members": (step(Node(Count(1), ())), "steps[0].quorum.members"),
    "six levels": (step(nested(6)), "steps[0].quorum" + ".members[0]" * 5),
    "none needed": (step(n_of(0, user(ANA))), "steps[0].quorum.n"),
    "fewer than none": (step(n_of(-1, group())), "steps[0].quorum.n"),
    "more than there are": (step(n_of(3, user(ANA), n_of(1, user(BEN)))), "steps[0].quorum.n"),
    "more than one manager": (step(n_of(2, MANAGER)), "steps[0].quorum.n"),
    "too many in a sub-node": (step(n_of(1, n_of(2, user(ANA)))), "steps[0].quorum.members[0].n"),
    "none at all, capped": (step(Node(Count(0, Unit.CAPPED), (group(),))), "steps[0].quorum.n"),
    "no per cent": (step(percent(0)), "steps[0].quorum.n"),
    "more than all": (step(percent(101)), "steps[0].quorum.n"),
    "a great many": (step(n_of(1001, group())), "steps[0].quorum.n"),
    "the same twice": (step(n_of(1, user(ANA), user(ANA))), "steps[0].quorum.members"),
    "a service below a demand": (
        step(Node(Count(1), (n_of(1, service(BOT)),), PASSWORD)),
        "steps[0].quorum.members[0].members[0]",
    ),
    "no time": (step(user(ANA), 1, 0), "steps[0].timeoutSeconds"),
    "more than a year": (step(user(ANA), 1, MAX_TIMEOUT_S + 1), "steps[0].timeoutSeconds"),
    "nobody to escalate to": (step(user(ANA), on_timeout=OnTimeout.ESCALATE), "steps[0].escalateTo"),
    "evidence by time": (
        step(Node(Count(1), (user(ANA),), PASSWORD), on_timeout=OnTimeout.APPROVE),
        "steps[0].onTimeout",
    ),
    "evidence by time, deep down": (
        step(n_of(1, Node(Count(1), (user(ANA),), PASSWORD)), on_timeout=OnTimeout.APPROVE),
        "steps[0].onTimeout",
    ),
    "a service to escalate to": (
        step(Node(Count(1), (user(ANA),), PASSWORD), escalate_to=service(BOT)),
        "steps[0].escalateTo",
    ),
    "a service to fall back on": (
        step(Node(Count(1), (user(ANA),), PASSWORD), fallback=(service(BOT),)),
        "steps[0].fallbackApprovers",
    ),
    "no rejections": (step(user(ANA), rejection=Rejection(Rule.COUNT, 0)), "steps[0].rejection"),
    "too many members": (step(n_of(1, *(role(str(number)) for number in range(201)))), "steps[0].quorum"),
}


@pytest.mark.parametrize(("bad", "path"), BAD.values(), ids=BAD)
def test_a_definition_may_not_say_this(bad: Step, path: str) -> None:
    assert [problem.path for problem in problems((bad,))] == [path]


def test_a_definition_has_steps_of_different_order() -> None:
    assert [problem.path for problem in problems(())] == ["steps"]
    assert [problem.path for problem in problems((step(user(ANA), 1), step(user(BEN), 1)))] == ["steps"]


def test_steps_run_in_their_order_however_they_were_written() -> None:
    steps = (step(user(ANA), 7), step(user(BEN), 2))
    workflow = Workflow(UUID(int=1), "W", None, Status.DRAFT, steps, fallback=(group(),))

    assert [one.order for one in workflow.route.steps] == [2, 7]
    assert workflow.route.fallback == (group(),)
