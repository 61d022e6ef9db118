"""What policies may speak of: entity types, their attributes, actions and the context of a question.

The same for every tenant but for the resource types its settings add (`jitsudo.resourceTypes`) and the names of its
operations. Source: JITSudo contract b.4 (resource types), b.7 (entity types), (d) 39.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

import cedarpy
import msgspec
from msgspec import Struct

from quorate.domain.policy import Problem

REQUEST_ACCESS: Final = "request_access"
APPROVE: Final = "approve"
ACTIONS: Final = (REQUEST_ACCESS, APPROVE, "assume", "read", "write", "admin")
AWS_TYPES: Final = (
    "aws_account",
    "aws_permission_set",
    "aws_s3_bucket",
    "aws_rds_instance",
    "aws_ec2_instance",
    "aws_organizational_unit",
)
OWN_TYPES: Final = frozenset({"User", "Service", "Group", "Role", "Resource", "Operation", "Action"})
MAX_ACTION: Final = 255
MAX_TYPES: Final = 50
MAX_ACTIONS: Final = 24  # Named in one policy; each is one more world the validator goes through.

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*([_-][A-Za-z0-9]+)*")
_RESERVED: Final = frozenset({"Bool", "Boolean", "Entity", "Extension", "Long", "Record", "Set", "String", "Asked"})
_THING: Final = "name: String, kind: String, external_id: String"
_ACTOR: Final = "name: String, email: String, permissions: Set<String>"
_ENTITIES: Final = f"""
type Asked = {{
    duration_seconds?: Long, has_reason: Bool, reason: String,
    now: datetime, hour: Long, minute: Long, weekday: Long,
    requester: String, for_self: Bool, surface: String, address?: ipaddr
}};
entity User in [Group, Role] = {{{_ACTOR}}};
entity Service in [Group, Role] = {{{_ACTOR}}};
entity Group = {{{_THING}}};
entity Role = {{{_THING}, carries_permissions: Bool}};
entity Resource in [Resource] = {{{_THING}}} tags String;
entity Operation in [Resource] = {{{_THING}}};
"""


class Vocabulary(Struct, frozen=True):
    """What a tenant adds: its own resource types, as written, and the names of its operations (`METHOD path`)."""

    types: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()


def entity_type(word: str, vocabulary: Vocabulary) -> str:
    """The Cedar type of a resource type: `aws_account` is `AwsAccount`; a type nobody has declared is `Resource`."""
    return _types(vocabulary.types).get(word, "Resource")


def vocabulary(settings: bytes, operations: Collection[str] = ()) -> Vocabulary:
    """Read a tenant's settings as they are kept."""
    said = msgspec.json.decode(settings)
    jitsudo = said.get("jitsudo") if isinstance(said, dict) else None
    types = jitsudo.get("resourceTypes") if isinstance(jitsudo, dict) else None
    words = [one for one in types if isinstance(one, str)] if isinstance(types, list) else []
    return Vocabulary(tuple(words[:MAX_TYPES]), tuple(sorted(operations)))


def unknown_actions(named: Collection[tuple[str, str]], vocabulary: Vocabulary) -> list[str]:
    """The actions a policy names that nothing here is known by. Actions are free words, so they are no mistake."""
    return sorted(_actions(named) - {*ACTIONS, *vocabulary.operations})


def validate(
    text: str, vocabulary: Vocabulary, named: Collection[tuple[str, str]]
) -> tuple[list[tuple[int, str]], list[Problem]]:
    """Hold a text that could be read against the schema: what is wrong by rule, from 0, and what is as a whole.

    `named` are the entities it names: the actions among them are of the schema.
    """
    actions = _actions(named)
    if len(actions) > MAX_ACTIONS:
        return [], [Problem("cedar", f"names more than {MAX_ACTIONS} actions")]
    if any(not action or len(action) > MAX_ACTION for action in actions):
        return [], [Problem("cedar", f"the name of an action has 1 to {MAX_ACTION} characters")]
    schema = _schema(vocabulary.types, tuple(sorted(actions | set(ACTIONS))))
    result = cedarpy.validate_policies(text, schema, release_gil=True)
    if result.validation_passed:
        return [], []
    found = {(_number(one.policy_id), _plain(one.error)) for one in result.errors}
    by_rule = sorted(one for one in found if one[0] >= 0)
    whole = [Problem("cedar", message) for number, message in sorted(found) if number < 0]
    return by_rule, whole if by_rule or whole else [Problem("cedar", "is not valid")]


def schema_text(vocabulary: Vocabulary, actions: Collection[str] = ACTIONS) -> str:
    """The schema in Cedar's own words."""
    things = ["Resource", "Role", "Group", "Operation", *_types(vocabulary.types).values()]
    types = "".join(
        f"entity {one} in [Resource, AwsOrganizationalUnit] = {{{_THING}}} tags String;\n"
        for one in _types(vocabulary.types).values()
    )
    names = ", ".join(quoted(action) for action in actions)
    applies = f"appliesTo {{principal: [User, Service], resource: [{', '.join(things)}], context: Asked}}"
    return f"{_ENTITIES}{types}action {names} {applies};\n"


@lru_cache(maxsize=64)
def _schema(types: tuple[str, ...], actions: tuple[str, ...]) -> cedarpy.Schema:
    return cedarpy.Schema.from_str(schema_text(Vocabulary(types), actions))


@lru_cache(maxsize=256)
def _types(added: tuple[str, ...]) -> dict[str, str]:
    """Type words with their Cedar names. A word that makes no name of its own is left out."""
    found: dict[str, str] = {}
    for word in (*AWS_TYPES, *added):
        if not _WORD.fullmatch(word):
            continue
        name = "".join(part[:1].upper() + part[1:] for part in re.split("[_-]", word))
        if name not in OWN_TYPES | _RESERVED and name not in found.values():
            found[word] = name
    return found


def _actions(named: Collection[tuple[str, str]]) -> set[str]:
    return {id for type, id in named if type == "Action"}


def quoted(text: str) -> str:
    """Write a text as Cedar does; its escapes are not those of JSON."""
    plain = (one if one.isprintable() and one not in '"\\' else f"\\u{{{ord(one):x}}}" for one in text)
    return f'"{"".join(plain)}"'


def _number(policy_id: str) -> int:
    found = re.fullmatch(r"policy(\d+)", policy_id)
    return int(found[1]) if found else -1


def _plain(error: str) -> str:
    return re.sub(r"^for policy `policy\d+`, ", "", error)
