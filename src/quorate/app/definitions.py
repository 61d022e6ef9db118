"""The one translation between steps as people write them and the steps of the rules.

Used by the declarative file, where approvers are named, and by the native API, where they are given by id.
Source of the shapes: native contract b.3 and b.8, design §8.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol
from uuid import UUID

from quorate.app.timing import read_escalations, read_reminders, show_escalations, show_reminders
from quorate.app.values import Reader, suggestion
from quorate.domain import permissions
from quorate.domain.evidence import Demand
from quorate.domain.workflows import (
    ASKER,
    MAX_DEPTH,
    MAX_TIMEOUT_S,
    REQUESTER,
    TARGET,
    Count,
    Kind,
    Leaf,
    Node,
    OnTimeout,
    Problem,
    Rejection,
    Rule,
    Step,
    Unit,
    Wants,
    any_one_of,
    problems,
)

DEFAULT_TIMEOUT_HOURS: Final = 72
MAX_TIMEOUT_HOURS: Final = MAX_TIMEOUT_S // 3600
MAX_ORDER: Final = 2**31 - 1

APPROVER_TYPES: Final = (Kind.USER, Kind.ROLE, Kind.GROUP)
STEP_KEYS: Final = (
    "order",
    "name",
    "approverType",
    "approverValue",
    "quorum",
    "timeoutHours",
    "timeoutSeconds",
    "rejection",
    "onTimeout",
    "escalateTo",
    "override",
    "requiresComment",
    "fallbackApprovers",
    "reminders",
    "escalations",
)
NODE_KEYS: Final = ("n", "members", "requirePassword", "requireSecondFactor", "overlap")
LEAF_KEYS: Final = tuple(kind.value for kind in Kind)
COUNT_WORDS: Final[Mapping[str, Count]] = {
    "SINGLE": Count(1, Unit.CAPPED),
    "DOUBLE": Count(2, Unit.CAPPED),
    "TRIPLE": Count(3, Unit.CAPPED),
    "QUARTER": Count(25, Unit.PERCENT),
    "HALF": Count(50, Unit.PERCENT),
    "ALL": Count(100, Unit.PERCENT),
}


class Unknown(Exception):
    """Nobody is called what was written; the text says so, for whoever wrote it."""


class Resolver(Protocol):
    """Turns what was written for a leaf of this kind into the value the rules use. Raises `Unknown`."""

    def __call__(self, kind: Kind, written: str) -> str: ...


Namer = Callable[[Kind, str], str]
"""The inverse: what to write for a leaf's value."""


def as_given(kind: Kind, written: str) -> str:
    """Take ids (and names of roles) as they are, whether or not there is such a one.

    An id is brought to its canonical spelling, since the rules compare text.
    Source: native contract (d) 5.
    """
    return canonical_id(written) if kind is not Kind.ROLE else written


def canonical_id(text: str) -> str:
    """Give the lower-case form of a UUID written with its dashes; any other text unchanged."""
    if len(text) == 36:
        try:
            return str(UUID(text))
        except ValueError:
            return text
    return text


def read_steps(
    items: object, resolve: Resolver = as_given, *, path: str = "steps", strict: bool = False
) -> tuple[tuple[Step, ...], list[Problem]]:
    """Read the steps of a workflow, and say everything that is wrong with them.

    The steps are of use only when there are no problems. `strict`: a key we do not know is a problem.
    A step that says nothing about time has 72 hours.
    """
    reader = _Reader(resolve, strict)
    if not isinstance(items, list | tuple):
        return (), [Problem(path, "must be a list of steps")]
    found: list[Step] = []
    for index, item in enumerate(items):
        here = f"{path}[{index}]"
        before = len(reader.problems)
        step = reader.step(item, here)
        if len(reader.problems) > before:
            continue
        found.append(step)
        for problem in problems((step,)):
            reader.wrong(here + problem.path.removeprefix("steps[0]"), problem.message)
    if found or not items:
        for problem in problems(tuple(found)):
            if problem.path == "steps":
                reader.wrong(path, problem.message)
    return tuple(found), reader.problems


def read_leaves(
    items: object,
    resolve: Resolver = as_given,
    *,
    path: str = "fallbackApprovers",
    strict: bool = False,
    of_tenant: bool = False,
) -> tuple[tuple[Leaf, ...], list[Problem]]:
    """Read a list of leaves, such as the fallback approvers of a workflow. None is an empty list.

    `of_tenant`: they belong to no route, so none may be what only a route keeps.
    """
    reader = _Reader(resolve, strict, knows_request=not of_tenant)
    leaves = reader.leaves(items, path)
    return leaves, reader.problems


def read_leaf(
    item: object, resolve: Resolver = as_given, *, path: str, strict: bool = False
) -> tuple[Leaf | None, list[Problem]]:
    """Read one leaf, such as whom a step is escalated to. None is none."""
    reader = _Reader(resolve, strict)
    return None if item is None else reader._leaf(item, path), reader.problems


def show_step(step: Step, name: Namer = as_given) -> dict[str, Any]:
    """Show a step: the documented keys always, ours only where something was said."""
    plain = step.approvers.leaves[0] if step.is_plain else None
    shown: dict[str, Any] = {
        "order": step.order,
        "name": step.name,
        "approverType": plain.kind.value if plain else None,
        "approverValue": name(plain.kind, plain.value) if plain else None,
        "timeoutHours": None if step.timeout_s is None else math.ceil(step.timeout_s / 3600),
    }
    if step.in_seconds:
        shown["timeoutSeconds"] = step.timeout_s
    if plain is None:
        shown["quorum"] = _show_node(step.approvers, name)
    if step.rejection is not None:
        counted = step.rejection.rule is Rule.COUNT
        shown["rejection"] = {"count": step.rejection.count} if counted else step.rejection.rule.value
    if step.requires_comment is not None:
        shown["requiresComment"] = step.requires_comment.value
    if step.override is not None:
        shown["override"] = step.override
    if step.on_timeout is not None:
        shown["onTimeout"] = step.on_timeout.value
    if step.escalate_to is not None:
        shown["escalateTo"] = _show_escalation(step.escalate_to, name)
    if step.fallback:
        shown["fallbackApprovers"] = show_leaves(step.fallback, name)
    if step.reminders is not None:
        shown["reminders"] = show_reminders(step.reminders)
    if step.escalations is not None:
        shown["escalations"] = show_escalations(step.escalations, lambda leaves: show_leaves(leaves, name))
    return shown


def show_leaves(leaves: Iterable[Leaf], name: Namer = as_given) -> list[dict[str, str]]:
    """Show leaves as `{"user": …}`, `{"role": …}` and so on."""
    return [{leaf.kind.value: name(leaf.kind, leaf.value)} for leaf in leaves]


def _show_node(node: Node, name: Namer) -> dict[str, Any]:
    shown: dict[str, Any] = {"n": _show_count(node.n)}
    if node.demand.password:
        shown["requirePassword"] = True
    if node.demand.second_factor:
        shown["requireSecondFactor"] = True
    if node.overlap:
        shown["overlap"] = True
    shown["members"] = [
        _show_node(member, name) if isinstance(member, Node) else show_leaves((member,), name)[0]
        for member in node.members
    ]
    return shown


def _show_count(count: Count) -> int | str:
    match count.unit:
        case Unit.PEOPLE:
            return count.value
        case Unit.PERCENT:
            return f"{count.value}%"
        case Unit.CAPPED:
            return next(word for word, meant in COUNT_WORDS.items() if meant == count)


def _show_escalation(leaf: Leaf, name: Namer) -> dict[str, str]:
    if leaf.kind in APPROVER_TYPES:
        return {"approverType": leaf.kind.value, "approverValue": name(leaf.kind, leaf.value)}
    return show_leaves((leaf,), name)[0]


# What is returned beside a problem: never used, but of the right type, so that reading can go on and find more.
_NOBODY = Leaf(Kind.USER, "")
_NONE_OF_NOBODY = any_one_of(_NOBODY)


class _Reader(Reader):
    def __init__(self, resolve: Resolver, strict: bool, *, knows_request: bool = True) -> None:
        super().__init__(strict=strict)
        self._resolve, self._knows_request = resolve, knows_request
        self._managed = (REQUESTER, ASKER) if knows_request else (REQUESTER,)

    def step(self, item: object, path: str) -> Step:
        fields = self.fields(item, path, STEP_KEYS)
        if fields is None:
            return Step(1, "", _NONE_OF_NOBODY)
        approvers, is_plain = self._approvers(fields, path)
        timeout_s, in_seconds = self._timeout(fields, path)
        return Step(
            order=self.whole(fields.get("order"), f"{path}.order", 1, MAX_ORDER),
            name=self.text(fields.get("name"), f"{path}.name"),
            approvers=approvers,
            timeout_s=timeout_s,
            is_plain=is_plain,
            in_seconds=in_seconds,
            rejection=self._rejection(fields.get("rejection"), f"{path}.rejection"),
            on_timeout=self.word(fields.get("onTimeout"), OnTimeout, f"{path}.onTimeout"),
            escalate_to=None
            if fields.get("escalateTo") is None
            else self._leaf(fields["escalateTo"], f"{path}.escalateTo"),
            override=self.flag(fields.get("override"), f"{path}.override"),
            requires_comment=self.word(fields.get("requiresComment"), Wants, f"{path}.requiresComment"),
            fallback=self.leaves(fields.get("fallbackApprovers"), f"{path}.fallbackApprovers"),
            reminders=read_reminders(self, fields.get("reminders"), f"{path}.reminders"),
            escalations=read_escalations(self, fields.get("escalations"), f"{path}.escalations", self.leaves),
        )

    def leaves(self, items: object, path: str) -> tuple[Leaf, ...]:
        if items is None:
            return ()
        if not isinstance(items, list | tuple):
            self.wrong(path, "must be a list")
            return ()
        return tuple(self._leaf(item, f"{path}[{index}]") for index, item in enumerate(items))

    def _approvers(self, fields: Mapping[str, object], path: str) -> tuple[Node, bool]:
        plainly = [key for key in ("approverType", "approverValue") if fields.get(key) is not None]
        if fields.get("quorum") is None:
            return any_one_of(self._typed_leaf(fields, path)), True
        if plainly:
            self.wrong(f"{path}.{plainly[0]}", "a step has approverType and approverValue, or a quorum, not both")
        return self._node(fields["quorum"], f"{path}.quorum", 1), False

    def _typed_leaf(self, fields: Mapping[str, object], path: str) -> Leaf:
        given = fields.get("approverType")
        kind = next((kind for kind in APPROVER_TYPES if kind.value == given), None)
        if kind is None:
            problem = "is needed" if given is None else "is unknown"
            hint = suggestion(given, APPROVER_TYPES) if given is not None else ""
            self.wrong(f"{path}.approverType", f"{problem}: one of user, role, group{hint}")
        value = self.text(fields.get("approverValue"), f"{path}.approverValue")
        if kind is None or not value:
            return _NOBODY
        return self._named(kind, value, f"{path}.approverValue")

    def _node(self, item: object, path: str, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.wrong(path, f"at most {MAX_DEPTH} levels")
            return _NONE_OF_NOBODY
        # A misspelt demand must not weaken a quorum unseen, so here nothing unknown is passed over.
        fields = self.fields(item, path, NODE_KEYS, strict=True)
        if fields is None:
            return _NONE_OF_NOBODY
        demand = Demand(
            password=self.flag(fields.get("requirePassword"), f"{path}.requirePassword") or False,
            second_factor=self.flag(fields.get("requireSecondFactor"), f"{path}.requireSecondFactor") or False,
        )
        overlap = self.flag(fields.get("overlap"), f"{path}.overlap") or False
        n = self._count(fields.get("n"), f"{path}.n")
        return Node(n, self._members(fields.get("members"), path, depth), demand, overlap)

    def _members(self, items: object, path: str, depth: int) -> tuple[Leaf | Node, ...]:
        if not isinstance(items, list | tuple):
            self.wrong(f"{path}.members", "is needed: a list of approvers" if items is None else "must be a list")
            return ()
        return tuple(
            self._node(item, f"{path}.members[{index}]", depth + 1)
            if isinstance(item, Mapping) and ("members" in item or "n" in item)
            else self._leaf(item, f"{path}.members[{index}]", in_quorum=True)
            for index, item in enumerate(items)
        )

    def _leaf(self, item: object, path: str, *, in_quorum: bool = False) -> Leaf:
        typed = () if in_quorum else ("approverType", "approverValue")
        fields = self.fields(item, path, (*LEAF_KEYS, *typed), strict=in_quorum)
        if fields is None:
            return _NOBODY
        kinds = [kind for kind in Kind if fields.get(kind.value) is not None]
        if any(fields.get(key) is not None for key in typed):
            if kinds:
                self.wrong(f"{path}.{kinds[0]}", "name the approver in one way only")
            return self._typed_leaf(fields, path)
        if len(kinds) != 1:
            words = ", ".join(LEAF_KEYS) + (", or n and members" if in_quorum else "")
            self.wrong(path, f"must name exactly one of: {words}")
            return _NOBODY
        [kind] = kinds
        value = self.text(fields[kind.value], f"{path}.{kind}")
        return self._named(kind, value, f"{path}.{kind}") if value else _NOBODY

    def _named(self, kind: Kind, value: str, path: str) -> Leaf:
        if kind is Kind.MANAGER:
            if value not in self._managed:
                self.wrong(path, f"must be {' or '.join(self._managed)}: of whoever gets the access, or asks for it")
            return Leaf(kind, value)
        if kind is Kind.OWNER:
            if value != TARGET or not self._knows_request:
                self.wrong(path, "must be target: the owner of what is asked for; only in a workflow")
            return Leaf(kind, value)
        if kind is Kind.HOLDER:
            if value not in permissions.KNOWN:
                self.wrong(path, f"there is no permission {value!r}{suggestion(value, permissions.KNOWN)}")
            return Leaf(kind, value)
        try:
            return Leaf(kind, self._resolve(kind, value))
        except Unknown as unknown:
            self.wrong(path, str(unknown))
            return _NOBODY

    def _count(self, value: object, path: str) -> Count:
        if isinstance(value, int) and not isinstance(value, bool):
            return Count(value)
        if isinstance(value, str):
            if value in COUNT_WORDS:
                return COUNT_WORDS[value]
            if re.fullmatch(r"[0-9]{1,4}%", value):
                return Count(int(value[:-1]), Unit.PERCENT)
        given = "is needed" if value is None else "must be"
        self.wrong(path, f'{given}: a whole number, a fraction like "50%", or one of {", ".join(COUNT_WORDS)}')
        return Count(1)

    def _timeout(self, fields: Mapping[str, object], path: str) -> tuple[int, bool]:
        hours, seconds = fields.get("timeoutHours"), fields.get("timeoutSeconds")
        if hours is not None or seconds is None:
            given = DEFAULT_TIMEOUT_HOURS if hours is None else hours
            hours = self.whole(given, f"{path}.timeoutHours", 1, MAX_TIMEOUT_HOURS)
        if seconds is None:
            assert isinstance(hours, int)
            return hours * 3600, False
        exact = self.whole(seconds, f"{path}.timeoutSeconds", 1, MAX_TIMEOUT_S)
        # Whoever sends back what we showed sends both; whoever changed one of them means something we cannot know.
        if hours is not None and hours != math.ceil(exact / 3600):
            self.wrong(f"{path}.timeoutHours", "contradicts timeoutSeconds; leave one of them out")
        return exact, True

    def _rejection(self, value: object, path: str) -> Rejection | None:
        match value:
            case None:
                return None
            case "any" | "unreachable":
                return Rejection(Rule(value))
            case Mapping():
                fields = self.fields(value, path, ("count",)) or {}
                return Rejection(Rule.COUNT, self.whole(fields.get("count"), f"{path}.count", 1, 1000))
            case _:
                self.wrong(path, "must be any, unreachable or {count: a whole number}")
                return None
