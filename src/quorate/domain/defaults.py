"""What a tenant has settled for steps beside the workflows: for all of its requests, for a type, for one target.

It is laid over the route when a request is filed, and frozen with it. Of several, the narrower one counts.
"""

import enum
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from quorate.domain.events import RequestKind
from quorate.domain.workflows import Kind, Leaf, OnTimeout, Route, Step, Wants


class Scope(enum.StrEnum):
    """For which requests; the narrower ones come later."""

    TENANT = "tenant"
    TYPE = "type"
    TARGET = "target"


class Defaults(Struct, frozen=True, omit_defaults=True):
    """What is settled; None and () leave a step as the workflow has it.

    `fallback` comes before the step's own. A step that demands evidence, or a request for what carries permissions,
    never passes by time: there `APPROVE` is `EXPIRE`.
    """

    requires_comment: Wants | None = None
    timeout_s: int | None = None
    on_timeout: OnTimeout | None = None
    escalate_to: Leaf | None = None
    fallback: tuple[Leaf, ...] = ()


class Settled(Struct, frozen=True):
    """Defaults and for which requests they are. `subject`: the type, or the target's id; `` for the whole tenant."""

    scope: Scope
    subject: str
    defaults: Defaults


def laid_over(
    route: Route, settled: Iterable[Settled], kind: str, target: str | None, *, has_permissions: bool
) -> Route:
    """Give the route of a request of this kind (its type) about this target, with what is settled for it."""
    subjects = {Scope.TENANT: "", Scope.TYPE: kind, Scope.TARGET: target}
    order = list(Scope)
    for one in sorted(settled, key=lambda each: order.index(each.scope)):
        if one.subject == subjects[one.scope]:
            steps = tuple(_over(step, one.defaults, may_pass_by_time=not has_permissions) for step in route.steps)
            route = replace(route, steps=steps)
    return route


def type_of(kind: RequestKind, given: object) -> str:
    """Name the type of a request: the one it is filed with, else its kind."""
    return given if isinstance(given, str) else kind.value


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
    if new:
        changes["fallback"] = tuple(dict.fromkeys((*new, *step.fallback)))
    return replace(step, **changes) if changes else step
