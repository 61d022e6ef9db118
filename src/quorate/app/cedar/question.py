"""What the policies are asked: who, what, which action, under which circumstances. And how Cedar is told so."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from quorate.app.cedar.schema import REQUEST_ACCESS, Vocabulary, entity_type
from quorate.app.cedar.scope import Uid
from quorate.domain.people import Person
from quorate.store.policies import Thing

MAX_TAGS: Final = 50
MAX_SAID: Final = 256 * 1024  # Bytes of a question. A surface lets no such text in; this is the last bound.

_OWN: Final = {"role": "Role", "group": "Group", "operation": "Operation"}


class Who(Struct, frozen=True, kw_only=True):
    """Who would get the access, or would act. Groups by id; roles by id and by name; both by name in a dry run."""

    id: str
    is_service: bool = False
    name: str = ""
    email: str = ""
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()

    @property
    def type(self) -> str:
        return "Service" if self.is_service else "User"


class What(Struct, frozen=True, kw_only=True):
    """What it is about. `type` is the Cedar type, `kind` the type in our own words.

    `within`: what it stands in, directly or further up, as (Cedar type, id). `tags`: attributes, as text.
    """

    type: str
    id: str
    kind: str = ""
    name: str = ""
    external_id: str = ""
    carries_permissions: bool = False
    tags: Mapping[str, str] = {}
    within: tuple[tuple[str, str], ...] = ()


class Question(Struct, frozen=True, kw_only=True):
    """May `who` do `action` to `what`? `requester` asks for them, None: they do. `at` is UTC."""

    who: Who
    what: What
    action: str = REQUEST_ACCESS
    at: datetime
    duration_seconds: int | None = None
    reason: str | None = None
    requester: UUID | str | None = None
    surface: str = ""
    address: str = ""


def who(person: Person) -> Who:
    """A principal as the door has read them."""
    return Who(
        id=str(person.id),
        is_service=person.is_service,
        name=person.name,
        email=person.email or "",
        groups=person.groups,
        roles=person.roles,
        permissions=person.permissions,
    )


def what(asked: str, found: Thing, vocabulary: Vocabulary) -> What:
    """A target as it was read; `asked` is `role`, `group` or `resource`, whatever a resource's own type is called."""
    uid, *others = _uids(asked, found.kind, found.id, found.external_id, vocabulary)
    above = [uid for type, id, external in found.within for uid in _uids("resource", type, id, external, vocabulary)]
    plain = {key: value for key, value in found.attributes.items() if isinstance(value, str | bool | int | float)}
    return What(
        type=uid[0],
        id=uid[1],
        kind=found.kind,
        name=found.name,
        external_id=found.external_id or "",
        carries_permissions=found.has_permissions,
        tags={key: _text(value) for key, value in list(plain.items())[:MAX_TAGS]} if asked == "resource" else {},
        within=tuple(one for one in dict.fromkeys([*others, *above]) if one != uid),
    )


def unknown(word: str, id: str, vocabulary: Vocabulary) -> What:
    """A target that nobody has registered, like an AWS account known by its number alone."""
    type = _OWN.get(word) or entity_type(word, vocabulary)
    return What(type=type, id=id, kind=word, external_id="" if word in _OWN else id)


def operation(name: str, subject: What | None = None) -> What:
    """An operation (`METHOD path`), which stands in the resources that its subject is or stands in.

    The action has the same name.
    """
    above = () if subject is None else ((subject.type, subject.id), *subject.within)
    within = tuple(one for one in above if one[0] == "Resource")
    return What(type="Operation", id=name, kind="operation", name=name, within=within)


def _uids(asked: str, kind: str, id: UUID, external_id: str | None, vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """What a target goes by. A resource of a declared type: its external id, if it has one, and `Resource::"<id>"`."""
    if asked != "resource":
        return [(_OWN[asked], str(id))]
    type, plain = entity_type(kind, vocabulary), ("Resource", str(id))
    return [plain] if type == "Resource" else [(type, external_id or str(id)), plain]


def sets_of(question: Question, named: Collection[Uid], aliases: Mapping[str, Collection[str]]) -> list[Uid]:
    """The sets a principal is in, of those that the policies name or that are asked about: no rule could see others.

    `aliases`: the names of groups, by id.
    """
    it, about = question.who, question.what
    groups = it.groups | {name for group in it.groups for name in aliases.get(group, ())}
    sets = {("Group", one) for one in groups} | {("Role", one) for one in it.roles}
    return sorted(one for one in sets if one in named or one == (about.type, about.id))


def told(question: Question, sets: Collection[Uid]) -> tuple[dict[str, Any], str]:
    """Put a question into Cedar's JSON: the request, and the entities. `sets` are the principal's, as `sets_of` says.

    Raises:
        ValueError: it is too big, or is no text.
    """
    it, about = question.who, question.what
    entities = _encode(
        [
            {
                "uid": {"type": it.type, "id": it.id},
                "attrs": {"name": it.name, "email": it.email, "permissions": sorted(it.permissions)},
                "parents": [{"type": type, "id": id} for type, id in sets],
            },
            _asked_about(about),
        ]
    )
    request = {
        "principal": {"type": it.type, "id": it.id},
        "action": {"type": "Action", "id": question.action},
        "resource": {"type": about.type, "id": about.id},
        "context": _encode(_context(question)),
    }
    return request, entities


def _asked_about(what: What) -> dict[str, Any]:
    attributes: dict[str, Any] = {"name": what.name, "kind": what.kind, "external_id": what.external_id}
    if what.type == "Role":
        attributes["carries_permissions"] = what.carries_permissions
    entity: dict[str, Any] = {
        "uid": {"type": what.type, "id": what.id},
        "attrs": attributes,
        "parents": [{"type": type, "id": id} for type, id in what.within],
    }
    if what.tags:
        entity["tags"] = what.tags
    return entity


def _context(question: Question) -> dict[str, Any]:
    at = question.at.astimezone(UTC)
    requester = str(question.requester) if question.requester is not None else question.who.id
    reason = question.reason or ""
    said: dict[str, Any] = {
        "has_reason": bool(reason.strip()),
        "reason": reason,
        "now": {"__extn": {"fn": "datetime", "arg": at.strftime("%Y-%m-%dT%H:%M:%SZ")}},
        "hour": at.hour,
        "minute": at.minute,
        "weekday": at.isoweekday(),
        "requester": requester,
        "for_self": requester == question.who.id,
        "surface": question.surface,
    }
    if question.duration_seconds is not None:
        said["duration_seconds"] = question.duration_seconds
    if _is_address(question.address):
        said["address"] = {"__extn": {"fn": "ip", "arg": question.address}}
    return said


def _encode(said: Any) -> str:
    encoded = msgspec.json.encode(said)
    if len(encoded) > MAX_SAID:
        raise ValueError("the question is too big")
    return encoded.decode()


def _is_address(text: str) -> bool:
    try:
        return "%" not in str(ip_address(text))
    except ValueError:
        return False


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
