"""The filter of the list, and what our conditions are for its words. Source: Britive contract §2, Filter.

    filter     = condition *( " and " condition )
    condition  = field operator value *( "," value )
    operator   = "eq" | "co"
    value      = text without comma, or text in single or double quotes

A list after one operator means any of them. Words are compared whatever their case.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from quorate.domain.conditions import ALWAYS, NEVER, Compare, Condition, Every, Field, Not, Says, Some
from quorate.surfaces.britive.words import ACTIONS, CONSUMERS, ENVIRONMENT, SECRET, Consumer
from quorate.surfaces.http.problems import BadInput

MOST: Final = 50  # conditions, and values of one
_HEAD: Final = re.compile(r"\s*([A-Za-z]+)\s+([A-Za-z]+)\s+")
_QUOTED: Final = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)')\s*""")
_PLAIN: Final = re.compile(r"\s*([^\s,\"'](?:(?!\s+and(?:\s|\Z))[^,])*)\s*", re.IGNORECASE)
_AND: Final = re.compile(r"\s*and(?=\s)", re.IGNORECASE)
_OPERATORS: Final = {"eq": Compare.EQUAL, "co": Compare.CONTAINS}


def read_filter(text: str) -> Condition:
    """Read a filter. Raises: BadInput."""
    found, at = [], 0
    while True:
        condition, at = _condition(text, at)
        found.append(condition)
        if at == len(text):
            return Every(tuple(found))
        joint = _AND.match(text, at)
        if joint is None or len(found) == MOST:
            raise _wrong(f"is not understood from character {at + 1} on")
        at = joint.end()


def _condition(text: str, at: int) -> tuple[Condition, int]:
    head = _HEAD.match(text, at)
    if head is None:
        raise _wrong("must be of the form: field operator value")
    name, operator = head[1].lower(), head[2].lower()
    if name not in _FIELDS:
        raise _wrong(f"has no field {head[1]}")
    if operator not in _OPERATORS:
        raise _wrong(f"has no operator {head[2]}")
    values, at = _values(text, head.end())
    return _FIELDS[name](_OPERATORS[operator], values), at


def _values(text: str, at: int) -> tuple[tuple[str, ...], int]:
    values: list[str] = []
    while len(values) < MOST:
        if (quoted := _QUOTED.match(text, at)) is not None:
            value, at = quoted[1] if quoted[1] is not None else quoted[2], quoted.end()
        elif (plain := _PLAIN.match(text, at)) is not None:
            value, at = plain[1].strip(), plain.end()
        else:
            value = ""
        if not value.strip():
            raise _wrong("has an empty value")
        values.append(value)
        if not text.startswith(",", at):
            return tuple(values), at
        at += 1
    raise _wrong(f"has more than {MOST} values")


def _wrong(why: str) -> BadInput:
    return BadInput.at("filter", why)


def of_consumer(consumer: Consumer) -> Condition:
    """Say what requests of a consumer are about."""
    secret = Says(Field.TARGET_OWN_TYPE, Compare.EQUAL, (SECRET,))
    stands_in_something = Says(Field.TARGET_WITHIN, Compare.PRESENT)
    environment = Says(Field.TARGET_OWN_TYPE, Compare.EQUAL, (ENVIRONMENT,))
    in_profile = Every((stands_in_something, Not(environment), Not(secret)))
    match consumer:
        case Consumer.SECRETS:
            return secret
        case Consumer.RESOURCES:
            return in_profile
        case Consumer.ACCESS:
            return Every((Not(secret), Not(in_profile)))


def named_consumer(word: str) -> Condition:
    """Narrow a list down to the requests of one consumer; an unknown one has none."""
    return _consumer(Compare.EQUAL, (word.strip(),))


def of_status(status: str) -> Condition:
    """Say what a status of theirs is in ours. Source: contract §3."""
    approved = _status("approved")
    match status:
        case "PENDING":
            return _status("pending")
        case "APPROVED":
            return Every((approved, _access("active")))
        case "TIMEOUT":
            return Some((_status("expired"), Every((approved, _access("expired")))))
        case "REVOKED":
            return Every((approved, _access("revoked")))
        case "REJECTED":
            return _status("rejected")
        case "CANCELLED":
            nothing_given = Not(Says(Field.ACCESS, Compare.PRESENT))
            return Some((_status("cancelled"), Every((approved, nothing_given))))
        case _:
            raise AssertionError(status)


STATUSES: Final = ("PENDING", "APPROVED", "TIMEOUT", "REVOKED", "REJECTED", "CANCELLED")


def _status(ours: str) -> Condition:
    return Says(Field.STATUS, Compare.EQUAL, (ours,))


def _access(state: str) -> Condition:
    return Says(Field.ACCESS, Compare.EQUAL, (state,))


def _any_of(words: Mapping[str, Condition], compare: Compare, values: tuple[str, ...]) -> Condition:
    """Say that one of a few words is meant by one of the values."""
    meant = tuple(
        condition
        for word, condition in words.items()
        if any(
            value.lower() == word.lower() if compare is Compare.EQUAL else value.lower() in word.lower()
            for value in values
        )
    )
    return Some(meant) if meant else NEVER


def _one_of_status(compare: Compare, values: tuple[str, ...]) -> Condition:
    return _any_of({word: of_status(word) for word in STATUSES}, compare, values)


def _consumer(compare: Compare, values: tuple[str, ...]) -> Condition:
    return _any_of({CONSUMERS[one]: of_consumer(one) for one in Consumer}, compare, values)


def _action(compare: Compare, values: tuple[str, ...]) -> Condition:
    return _any_of({ACTIONS[one]: of_consumer(one) for one in Consumer}, compare, values)


def _resource_name(compare: Compare, values: tuple[str, ...]) -> Condition:
    """An environment is shown by the name of its profile. Source: contract §2, `resourceName`."""
    by_profile = Every(
        (
            Says(Field.TARGET_OWN_TYPE, Compare.EQUAL, (ENVIRONMENT,)),
            Says(Field.TARGET_WITHIN, Compare.PRESENT),
        )
    )
    return Some(
        (
            Every((by_profile, Says(Field.TARGET_WITHIN_NAME, compare, values))),
            Every((Not(by_profile), Says(Field.TARGET_NAME, compare, values))),
        )
    )


def _field(field: Field) -> Callable[[Compare, tuple[str, ...]], Condition]:
    return lambda compare, values: Says(field, compare, values)


_FIELDS: Final[Mapping[str, Callable[[Compare, tuple[str, ...]], Condition]]] = {
    "status": _one_of_status,
    "userid": _field(Field.REQUESTER_LOGIN),
    "resource": _field(Field.TARGET_PATH),
    "resourcename": _resource_name,
    "consumer": _consumer,
    "action": _action,
    "trackingid": _field(Field.TRACKING),
    "justification": _field(Field.JUSTIFICATION),
}

ACTIVE: Final[Mapping[str, Condition]] = {
    "all": ALWAYS,
    "active": of_status("APPROVED"),
    "inactive": Not(of_status("APPROVED")),
}
"""Source: contract §2: active is what is approved and has not run out."""


def fields() -> Iterator[str]:
    """Name the fields there are, in lower case."""
    yield from _FIELDS
