"""What a tenant has settled for steps beside the workflows: for all of its requests, for a type, for one target.

It is laid over the route when a request is filed, and frozen with it. Of several, the narrower one counts.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from quorate.domain.events import RequestKind
from quorate.domain.evidence import NONE, Demand
from quorate.domain.workflows import (
    Count,
    Escalations,
    Kind,
    Leaf,
    Node,
    OnTimeout,
    OwnSay,
    Problem,
    Reminders,
    Route,
    Step,
    Wants,
    in_vain,
)

# By whether an approval and whether a rejection wants a comment.
_WANTS: Final[Mapping[tuple[bool, bool], Wants | None]] = {
    (True, True): Wants.ALL,
    (True, False): Wants.APPROVAL,
    (False, True): Wants.REJECTION,
    (False, False): None,
}


class Scope(enum.StrEnum):
    """For which requests; the narrower ones come later."""

    TENANT = "tenant"
    TYPE = "type"
    TARGET = "target"


class Defaults(Struct, frozen=True, omit_defaults=True):
    """What is settled; None and () leave a step as the workflow has it.

    `fallback` comes before the step's own. A step that demands evidence, or a request for what carries permissions,
    never passes by time: there `APPROVE` is `EXPIRE`. `chain`: who approve instead, one after the other. `waived`: what
    is asked for is approved by nobody, when it is filed. Where escalations are settled and no timeout is, steps have no
    deadline, since it would keep some from joining.
    """

    requires_comment: Wants | None = None
    timeout_s: int | None = None
    on_timeout: OnTimeout | None = None
    escalate_to: Leaf | None = None
    fallback: tuple[Leaf, ...] = ()
    chain: tuple[Leaf, ...] = ()
    waived: bool | None = None
    reminders: Reminders | None = None
    escalations: Escalations | None = None
    own_say: OwnSay | None = None

    def every_leaf(self) -> Iterator[Leaf]:
        yield from self.fallback
        yield from self.chain
        if self.escalate_to is not None:
            yield self.escalate_to
        if self.escalations is not None:
            yield from self.escalations.leaves


class Settled(Struct, frozen=True):
    """Defaults and for which requests they are. `subject`: the type, or the target's id; `` for the whole tenant."""

    scope: Scope
    subject: str
    defaults: Defaults


def laid_over(
    route: Route, settled: Iterable[Settled], kind: str, target: str | None, *, has_permissions: bool
) -> Route:
    """Give the route of a request of this kind (its type) about this target, with what is settled for it."""
    found = list(_settled_for(settled, kind, target))
    if any(one.escalations for one in found) and not any(one.timeout_s for one in found):
        steps = tuple(replace(step, timeout_s=None, on_timeout=None, escalate_to=None) for step in route.steps)
        route = replace(route, steps=steps)
    if chains := [one.chain for one in found if one.chain]:
        route = replace(route, steps=_chained(route.steps, chains[-1]))
    for defaults in found:
        steps = tuple(_over(step, defaults, may_pass_by_time=not has_permissions) for step in route.steps)
        route = replace(route, steps=steps)
    return route


def is_waived(
    route: Route, settled: Iterable[Settled], kind: str, target: str | None, *, has_permissions: bool
) -> bool:
    """Say whether nobody need approve such a request. What carries permissions or demands evidence is never waived."""
    said = [one.waived for one in _settled_for(settled, kind, target) if one.waived is not None]
    return bool(said and said[-1]) and not has_permissions and not any(step.demand for step in route.steps)


def problems(defaults: Defaults) -> Iterator[Problem]:
    """Say what of it could have no effect; the path is a field's name."""
    if defaults.on_timeout is not None and defaults.timeout_s is None:
        yield Problem("on_timeout", "says what happens when a timeout is over, and there is none")
    if (defaults.on_timeout is OnTimeout.ESCALATE) != (defaults.escalate_to is not None):
        yield Problem("escalate_to", "goes together with escalating when the time is over")
    if defaults.on_timeout is not OnTimeout.ESCALATE:
        yield from in_vain(defaults.timeout_s, reminders=defaults.reminders, escalations=defaults.escalations)


def type_of(kind: RequestKind, given: object) -> str:
    """Name the type of a request: the one it is filed with, else its kind."""
    return given if isinstance(given, str) else kind.value


def _settled_for(settled: Iterable[Settled], kind: str, target: str | None) -> Iterator[Defaults]:
    """Give what is settled for such a request, the wider first."""
    subjects = {Scope.TENANT: "", Scope.TYPE: kind, Scope.TARGET: target}
    order = list(Scope)
    for one in sorted(settled, key=lambda each: order.index(each.scope)):
        if one.subject == subjects[one.scope]:
            yield one.defaults


def _chained(steps: tuple[Step, ...], chain: tuple[Leaf, ...]) -> tuple[Step, ...]:
    """Give a step to each of a chain, with the times and the fallback of the first step there was.

    What any step there was holds to, each of the new ones does: the evidence, the comment, that none is overridden.
    Services, which cannot show evidence, are left out where it is demanded; of a chain of nothing else nothing is left.
    """
    first, demand = steps[0], NONE
    for step in steps:
        demand |= step.demand
    chain = tuple(leaf for leaf in chain if not (demand and leaf.kind is Kind.SERVICE))
    if not chain:
        return steps
    when, to = first.on_timeout, first.escalate_to
    if demand and (when is OnTimeout.APPROVE or (to is not None and to.kind is Kind.SERVICE)):
        when, to = OnTimeout.EXPIRE, None
    wants = {asking: any(step.wants_note(approving=asking) for step in steps) for asking in (True, False)}
    common = replace(
        first,
        is_plain=False,
        rejection=None,
        on_timeout=when,
        escalate_to=to,
        escalations=_who_can_show(first.escalations, demand),
        override=first.override if all(step.may_be_overridden for step in steps) else False,
        requires_comment=_WANTS[wants[True], wants[False]],
    )
    return tuple(
        replace(common, order=order, name=f"Approval {order}", approvers=Node(Count(1), (leaf,), demand))
        for order, leaf in enumerate(chain, 1)
    )


def _over(step: Step, defaults: Defaults, *, may_pass_by_time: bool) -> Step:
    changes: dict[str, object] = {}
    if defaults.requires_comment is not None:
        changes["requires_comment"] = defaults.requires_comment
    if defaults.timeout_s is not None:
        when = defaults.on_timeout or OnTimeout.EXPIRE
        if when is OnTimeout.APPROVE and (step.demand or not may_pass_by_time):
            when = OnTimeout.EXPIRE
        changes |= {"timeout_s": defaults.timeout_s, "on_timeout": when, "escalate_to": defaults.escalate_to}
    new = [leaf for leaf in defaults.fallback if not (step.demand and leaf.kind is Kind.SERVICE)]
    if defaults.own_say is not None:
        changes["own_say"] = None if defaults.own_say is OwnSay.NEVER else defaults.own_say
    if new:
        changes["fallback"] = tuple(dict.fromkeys((*new, *step.fallback)))
    if defaults.reminders is not None:
        changes["reminders"] = defaults.reminders
    if defaults.escalations is not None:
        changes["escalations"] = _who_can_show(defaults.escalations, step.demand)
    return replace(step, **changes) if changes else step


def _who_can_show(escalations: Escalations | None, demand: Demand) -> Escalations | None:
    """Leave out services where evidence is demanded, which they cannot give."""
    if escalations is None or not demand:
        return escalations
    leaves = tuple(leaf for leaf in escalations.leaves if leaf.kind is not Kind.SERVICE)
    return replace(escalations, leaves=leaves) if leaves else None
