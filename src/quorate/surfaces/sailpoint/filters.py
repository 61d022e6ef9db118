"""What a filter and an order mean in our words. Source: SailPoint contract §5, filter grammar, and §9 rows 4 and 5."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from quorate.app.listing import Sort
from quorate.domain.conditions import (
    NEVER,
    Compare,
    Condition,
    Detail,
    Every,
    Field,
    Of,
    Party,
    Says,
    Some,
    parties,
)
from quorate.domain.conditions import Not as Isnt
from quorate.domain.events import Outcome, RequestKind
from quorate.surfaces.sailpoint import grammar
from quorate.surfaces.sailpoint.grammar import And, BadFilter, Comparison, Filter, Not, Or
from quorate.surfaces.sailpoint.vocabulary import (
    ACCESS_TYPE,
    GENERIC_TYPE,
    PASSED,
    REFERENCE_TYPE,
    REQUEST_TYPE,
    STATUS,
    STATUS_FIRST,
)

MOST_APPROVERS: Final = 10

_COMPARE: Final[Mapping[str, Compare]] = {
    "eq": Compare.EQUAL,
    "in": Compare.EQUAL,
    "co": Compare.CONTAINS,
    "sw": Compare.STARTS,
    "gt": Compare.MORE,
    "ge": Compare.AT_LEAST,
    "lt": Compare.LESS,
    "le": Compare.AT_MOST,
}
_ON_TEXTS: Final = frozenset({"eq", "ne", "in", "co", "sw"})
_ON_MOMENTS: Final = _ON_TEXTS | {"gt", "ge", "lt", "le"}

_TEXTS: Final[Mapping[str, Field]] = {
    "name": Field.TITLE,
    "priority": Field.PRIORITY,
    "description": Field.DESCRIPTION,
    "requestedTargetId": Field.TARGET_ID,
    "requestedTargetName": Field.TARGET_NAME,
    "requestedTargetType": Field.TARGET_TYPE,
    "approvalId": Field.ID,
    "requesterId": Field.REQUESTER,
    "requesteeId": Field.BENEFICIARY,
}
_DETAILS: Final[Mapping[str, Detail]] = {
    "batchId": Detail(("batch", "id")),
    "referenceId": Detail(("references", "id")),
    "referenceType": Detail(("references", "type")),
    "referenceName": Detail(("references", "name")),
}
# A request for access refers to itself, as the vendor's approvals refer to an access request.
_OWN_REFERENCE: Final[Mapping[str, Field]] = {"referenceId": Field.ID, "referenceName": Field.TARGET_NAME}
_MOMENTS: Final[Mapping[str, Field]] = {
    "createdDate": Field.CREATED_AT,
    "dueDate": Field.DUE_AT,
    "completedDate": Field.CLOSED_AT,
    "modifiedDate": Field.UPDATED_AT,
    "decisionDate": Field.DECIDED_AT,
}
_FIRST_SHAPE: Final[Mapping[str, frozenset[str]]] = {"status": frozenset({"eq"}), "referenceType": frozenset({"eq"})}
_SORTERS: Final[Mapping[str, Field]] = {
    "createdDate": Field.CREATED_AT,
    "modifiedDate": Field.UPDATED_AT,
    "dueDate": Field.DUE_AT,
    "priority": Field.PRIORITY,
    "status": Field.STATUS,
    "name": Field.TITLE,
}
_WAS_WAIVED: Final = Says(Field.WAIVED, Compare.PRESENT)
_IS_ACCESS: Final = Says(Field.KIND, Compare.EQUAL, (RequestKind.ACCESS.value,))


def condition(text: str, *, first_shape: bool) -> Condition:
    """Read a filter of a list. The vendor's own example begins with the parameter's name again. Raises `BadFilter`."""
    found = _meaning(grammar.parse(text.strip().removeprefix("filters=")), first_shape)
    if sum(1 for _ in parties(found)) > MOST_APPROVERS:  # Each costs the database far more than any other comparison.
        raise BadFilter(f"a filter may ask for approvers at most {MOST_APPROVERS} times")
    return found


def order(text: str) -> tuple[Sort, ...]:
    """Read the sorters, separated by commas, a minus before those that go down. Raises `BadFilter`."""
    found = []
    for word in text.split(","):
        name = word.strip().removeprefix("-")
        if name not in _SORTERS:
            raise BadFilter(f"cannot sort by {name!r}; can by {', '.join(_SORTERS)}")
        found.append(Sort(_SORTERS[name], ascending=not word.strip().startswith("-")))
    if len({one.by for one in found}) < len(found):
        raise BadFilter("sorts by the same field twice")
    return tuple(found)


def _meaning(tree: Filter, first_shape: bool) -> Condition:
    match tree:
        case And(members):
            return Every(tuple(_meaning(one, first_shape) for one in members))
        case Or(members):
            return Some(tuple(_meaning(one, first_shape) for one in members))
        case Not(member):
            return Isnt(_meaning(member, first_shape))
        case Comparison():
            return _compared(tree, first_shape)


def _compared(test: Comparison, first_shape: bool) -> Condition:
    name, op = test.field, test.op
    if first_shape and name not in _FIRST_SHAPE:
        raise BadFilter(f"cannot filter by {name!r} here; can by {', '.join(_FIRST_SHAPE)}")
    _demand(test, _FIRST_SHAPE[name] if first_shape else _offered(name))
    if op == "ne" and name not in _DETAILS and name != "decisionDate":
        return Isnt(_compared(Comparison(name, "eq", test.values), first_shape))
    if name in _MOMENTS and op in ("co", "sw"):  # Compared as it is shown.
        return Says(_MOMENTS[name], _COMPARE[op], test.values)
    if name in _MOMENTS:
        compare = Compare.DIFFERS if op == "ne" else _COMPARE[op]
        return Says(_MOMENTS[name], compare, tuple(_moment(one) for one in test.values))
    if name in _TEXTS:
        return Says(_TEXTS[name], _COMPARE[op], test.values)
    if name in _DETAILS:
        return _of_references(test)
    match name:
        case "status":
            return _of_outcome(test, STATUS_FIRST) if first_shape else _of_status(test)
        case "approverId":
            return _of_approvers(test)
        case "type":
            return _of_type(test)
        case "requestedTargetRequestType":
            return _IS_ACCESS if _fits(test, REQUEST_TYPE) else NEVER
        case "medium":
            return NEVER  # We say of no approval how it is told.
        case _:
            of = (Field.TITLE, Field.DESCRIPTION, Field.TARGET_NAME)
            return Some(tuple(Says(one, _COMPARE[op], test.values) for one in of))


def _offered(name: str) -> frozenset[str]:
    if name in _MOMENTS:
        return _ON_MOMENTS
    if name in _TEXTS or name in _DETAILS:
        return _ON_TEXTS
    if name in ("approverId", "status", "type", "medium", "search", "requestedTargetRequestType"):
        return _ON_TEXTS
    raise BadFilter(f"cannot filter by {name!r}")


def _demand(test: Comparison, offered: frozenset[str]) -> None:
    if test.op not in offered:
        raise BadFilter(f"cannot filter {test.field!r} by {test.op!r}; can by {', '.join(sorted(offered))}")


def _of_approvers(test: Comparison) -> Condition:
    """Look up approvers, whom ids alone name: a part of an id is refused, and does not stand for all who have it."""
    people = [_id(one) for one in test.values]
    if test.op in ("co", "sw") and None in people:
        raise BadFilter("approverId needs whole ids")
    return Some(tuple(Of(Party.APPROVER, one) for one in people if one is not None))


def _of_references(test: Comparison) -> Condition:
    """Compare what there may be several of: any of them will do."""
    compare = Compare.DIFFERS if test.op == "ne" else _COMPARE[test.op]
    named = Says(_DETAILS[test.field], compare, test.values)
    if test.field == "referenceType":
        return Some((named, _IS_ACCESS)) if _fits(test, REFERENCE_TYPE) else named
    own = _OWN_REFERENCE.get(test.field)
    return Some((named, Every((_IS_ACCESS, Says(own, compare, test.values))))) if own else named


def _of_status(test: Comparison) -> Condition:
    usual = _of_outcome(test, STATUS)
    return Some((usual, _WAS_WAIVED)) if _fits(test, PASSED) else Every((usual, Isnt(_WAS_WAIVED)))


def _of_outcome(test: Comparison, words: Mapping[Outcome, str]) -> Condition:
    fitting = tuple(outcome.value for outcome, word in words.items() if _fits(test, word))
    return Says(Field.STATUS, Compare.EQUAL, fitting) if fitting else NEVER


def _of_type(test: Comparison) -> Condition:
    """Compare the type: the one that was filed with it, else the one that the kind of request goes by."""
    given = Detail(("type",))
    kinds = [
        kind.value for kind in RequestKind if _fits(test, ACCESS_TYPE if kind is RequestKind.ACCESS else GENERIC_TYPE)
    ]
    usual = Says(Field.KIND, Compare.EQUAL, tuple(kinds)) if kinds else NEVER
    without = Isnt(Says(given, Compare.PRESENT))
    return Some((Says(given, _COMPARE[test.op], test.values), Every((without, usual))))


_FITS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "eq": str.__eq__,
    "in": str.__eq__,
    "ne": str.__ne__,
    "co": str.__contains__,
    "sw": str.startswith,
}


def _fits(test: Comparison, word: str) -> bool:
    """Compare a word of ours, without regard to case."""
    return any(_FITS[test.op](word.lower(), one.lower()) for one in test.values)


def _moment(text: str) -> datetime:
    """Read RFC 3339, or the beginning of it: `2018` is the start of that year. Raises `BadFilter`."""
    whole = text + {4: "-01-01", 7: "-01"}.get(len(text), "")
    try:
        at = datetime.fromisoformat(whole)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadFilter(f"{text!r} is no time") from None


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None
