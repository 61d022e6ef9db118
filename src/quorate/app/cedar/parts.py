"""A rule taken apart and put together: its head in words, and the rest as it is written."""

import re
from collections.abc import Mapping
from typing import Final

import cedarpy
import msgspec
from msgspec import Struct

from quorate.app.cedar.schema import quoted
from quorate.app.cedar.scope import Head
from quorate.app.cedar.text import Statement, parse
from quorate.domain.policy import BadPolicy, Effect, Problem, Rule

_TYPE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)*")
_ENTITY: Final = re.compile(_TYPE.pattern + r'::"([^"\\]|\\.)*"')


class Part(Struct, frozen=True):
    """What a rule's head says of principal, action or resource: `any`, `eq`, `in`, `is` or `is_in`, and of which.

    `ids` are of actions. Of `is_in` the type is what it is, and `id` what it is in: written as an entity
    (`Group::"ops"`), or as an id alone, which is then a group's or a resource's.
    """

    scope: str = "any"
    type: str | None = None
    id: str | None = None
    ids: tuple[str, ...] = ()


class Parts(Struct, frozen=True):
    """A rule. `conditions`: its `when` and `unless` clauses as they are written, "" for none."""

    effect: Effect
    principal: Part = Part()
    action: Part = Part()
    resource: Part = Part()
    conditions: str = ""
    annotations: Mapping[str, str] = {}


class _Read(Struct, frozen=True):
    principal: Head
    action: Head
    resource: Head


class _ReadSet(Struct, frozen=True):
    static: dict[str, _Read] = msgspec.field(default_factory=dict, name="staticPolicies")


def apart(rule: Rule) -> Parts:
    """Take a rule apart that could be read before."""
    [read] = _decode(cedarpy.policies_to_json_str(rule.text)).static.values()
    [statement] = parse(rule.text).statements
    return Parts(
        rule.effect,
        _part(read.principal),
        _action(read.action),
        _part(read.resource),
        _conditions(rule.text, statement),
        rule.annotations,
    )


def together(parts: Parts) -> str:
    """Write a rule. Conditions stand in it as they are given, so the whole must still be read and checked.

    Raises: BadPolicy: a part names no type or no entity where its scope needs one.
    """
    notes = "".join(f"@{name}({quoted(value)})\n" for name, value in parts.annotations.items())
    head = ", ".join(
        _written(name, part, name)
        for name, part in (("principal", parts.principal), ("action", parts.action), ("resource", parts.resource))
    )
    conditions = parts.conditions.strip().removesuffix(";").rstrip()
    return f"{notes}{parts.effect.value}({head})" + (f"\n{conditions};" if conditions else ";")


def annotated(text: str, annotations: Mapping[str, str]) -> str:
    """Put annotations before a rule's text, but for those it has already. What cannot be read is left alone."""
    rules = parse(text).rules
    if len(rules) != 1:
        return text
    new = {name: value for name, value in annotations.items() if name not in rules[0].annotations}
    return "".join(f"@{name}({quoted(value)})\n" for name, value in new.items()) + text.strip()


def _part(head: Head) -> Part:
    entity = head.entity or (head.within.entity if head.within else None)
    match head.op:
        case "All":
            return Part()
        case "is":
            within = f"{entity.type}::{quoted(entity.id)}" if entity else None
            return Part("is_in" if entity else "is", head.entity_type, within)
        case op:
            assert entity is not None, "the engine has read it"
            return Part("eq" if op == "==" else "in", entity.type, entity.id)


def _action(head: Head) -> Part:
    if head.op == "All":
        return Part()
    named = (head.entity,) if head.entity else head.entities
    return Part("eq" if head.op == "==" else "in", ids=tuple(one.id for one in named))


def _conditions(text: str, statement: Statement) -> str:
    """Cut out what stands behind the head: from the bracket that closes it to the semicolon."""
    depth, effect = 0, statement.effect
    assert effect is not None, "the engine has read it"
    for token in statement.tokens[statement.tokens.index(effect) :]:
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        if depth == 0 and token.text == ")":
            return text[token.end : statement.tokens[-1].at].strip()
    raise AssertionError("the engine has read it")


def _written(name: str, part: Part, path: str) -> str:
    match part.scope:
        case "any":
            return name
        case "eq" | "in" if name == "action":
            if not part.ids or (part.scope == "eq" and len(part.ids) > 1):
                raise BadPolicy((Problem(path, "needs one action" if part.scope == "eq" else "needs actions"),))
            listed = ", ".join(f"Action::{quoted(id)}" for id in part.ids)
            return f"action == {listed}" if part.scope == "eq" else f"action in [{listed}]"
        case "eq":
            return f"{name} == {_entity(part, path)}"
        case "in":
            return f"{name} in {_entity(part, path)}"
        case "is":
            return f"{name} is {_type(part, path)}"
        case _:
            return f"{name} is {_type(part, path)} in {_within(name, part, path)}"


def _type(part: Part, path: str) -> str:
    if part.type is None or not _TYPE.fullmatch(part.type):
        raise BadPolicy((Problem(path, "needs an entity type"),))
    return part.type


def _entity(part: Part, path: str) -> str:
    if part.id is None:
        raise BadPolicy((Problem(path, "needs an entity id"),))
    return f"{_type(part, path)}::{quoted(part.id)}"


def _within(name: str, part: Part, path: str) -> str:
    if part.id is None:
        raise BadPolicy((Problem(path, "needs what it is in"),))
    found = _ENTITY.fullmatch(part.id)
    return part.id if found else f"{'Group' if name == 'principal' else 'Resource'}::{quoted(part.id)}"


_decode: Final = msgspec.json.Decoder(_ReadSet).decode
