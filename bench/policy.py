"""How long a policy decision takes: `python -m bench.policy [RULES …]`, default 1 10 100 1000.

Beside it, with the same rules and the same question: the engine alone, everything prepared, which nothing can beat; one
call for each priority, which is what Cedar's own forbid and permit would need; and the engine given the text each time,
which is what a server without a cache does. Ratios are to the first line; the times belong to one machine.
"""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import quantiles
from uuid import UUID

import cedarpy

from quorate.app.cedar.compiled import Compiled
from quorate.app.cedar.question import Question, What, Who, sets_of, told
from quorate.domain.policy import Policy

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
PRIORITIES = 3
ROUNDS = 1500
WHO = Who(
    id="rhea",
    email="rhea@acme.example",
    groups=frozenset(f"g{number}" for number in range(12)),
    roles=frozenset({"dev", "auditor"}),
)
WHAT = What(type="AwsAccount", id="123456789012", kind="aws_account", name="prod-1", tags={"env": "prod"})


def rule(number: int, one_in: int) -> str:
    """One in so many rules concerns this principal; one in ten forbids, and what it forbids is not so."""
    effect = "forbid" if number % 10 == 9 else "permit"
    hours = "context.hour > 22" if effect == "forbid" else "context.hour >= 8 && context.has_reason"
    group = f"g{number // one_in % len(WHO.groups)}" if number % one_in == 0 else f"other{number % 60}"
    return (
        f'@id("r{number}") @notice("Rule {number}")\n'
        f'{effect}(principal in Group::"{group}", action in [Action::"request_access", Action::"assume"], '
        "resource is AwsAccount)\n"
        f"when {{ context has duration_seconds && context.duration_seconds <= {3600 + number} && {hours} }}\n"
        'unless { resource.hasTag("env") && resource.getTag("env") == "lab" };'
    )


def policies(rules: int, one_in: int) -> list[Policy]:
    """As many rules, dealt out to ten policies of three priorities."""
    dealt = [
        [rule(number, one_in) for number in range(rules) if number % 10 == place] for place in range(min(10, rules))
    ]
    return [
        Policy(
            id=UUID(int=place + 1),
            name=f"p{place}",
            priority=place % PRIORITIES,
            cedar="\n".join(texts),
            created_at=AT,
            updated_at=AT,
        )
        for place, texts in enumerate(dealt)
    ]


def median_and_p99(call: Callable[[], object], rounds: int) -> tuple[float, float]:
    """In microseconds."""
    for _ in range(20):
        call()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter_ns()
        call()
        taken.append((time.perf_counter_ns() - began) / 1000)
    cuts = quantiles(taken, n=100)
    return cuts[49], cuts[98]


def measure(rules: int, one_in: int) -> None:
    known = policies(rules, one_in)
    began = time.perf_counter()
    compiled = Compiled(known)
    spent_ms = (time.perf_counter() - began) * 1000
    question = Question(who=WHO, what=WHAT, at=AT, duration_seconds=1800, reason="INC-7", surface="native")
    assert compiled.ask(question).is_permitted
    request, entities = told(question, sets_of(question, compiled.named, {}))
    text = "\n".join(one.cedar for one in known)
    prepared, graph = cedarpy.PolicySet.from_str(text), cedarpy.Entities.from_json_str(entities)
    groups = [
        cedarpy.PolicySet.from_str("\n".join(one.cedar for one in known if one.priority == priority))
        for priority in range(PRIORITIES)
    ]

    def each() -> None:
        for group in groups:
            cedarpy.is_authorized(request, group, entities)

    print(f"\n{rules} rules, one in {one_in} concerns who asks; compiled in {spent_ms:.1f} ms")
    print(f"{'median, µs':>65} {'p99':>9} {'ratio':>7}")
    first = _line("a decision", 1.0, lambda: compiled.ask(question), ROUNDS)
    _line("the engine alone, all prepared", first, lambda: cedarpy.is_authorized(request, prepared, graph), ROUNDS)
    _line(f"a call for each of {PRIORITIES} priorities", first, each, ROUNDS)
    _line("the engine given the text", first, lambda: cedarpy.is_authorized(request, text, entities), ROUNDS // 10)


def _line(what: str, beside: float, call: Callable[[], object], rounds: int) -> float:
    median, p99 = median_and_p99(call, rounds)
    print(f"  {what:52} {median:10.0f} {p99:9.0f} {median / beside if beside != 1.0 else 1:7.2f}", flush=True)
    return median


def main(arguments: Sequence[str]) -> None:
    for rules in [int(one) for one in arguments] or [1, 10, 100, 1000]:
        for one_in in (10, 3):
            measure(rules, one_in)


if __name__ == "__main__":
    main(sys.argv[1:])
