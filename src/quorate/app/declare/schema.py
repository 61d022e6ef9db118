"""A text becomes a File, or everything that is wrong with it is said at once."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from quorate.app.declare.fields import Field, anything, read_table
from quorate.app.declare.reading import Misread, line_of, read
from quorate.app.declare.sections import SECTIONS, TENANT, Section
from quorate.app.values import Reader
from quorate.domain.workflows import Problem

PASSWORD_WAYS: Final = ("password", "passwordHash", "passwordFile", "passwordEnv")
SECRET_WAYS: Final = ("secret", "secretHash", "secretFile", "secretEnv")
PROVIDER_WAYS: Final = ("clientSecret", "clientSecretFile", "clientSecretEnv")


class Entry(Struct, frozen=True):
    """One thing in the file: where it stands, and what is said of it, key by key. A None was written as null."""

    path: str
    kind: str
    name: str
    id: UUID | None
    said: Mapping[str, Any]


class TenantEntry(Struct, frozen=True):
    """A tenant in the file. A section that is absent is not in `sections`; one that is empty is.

    `provider`: UNSET where the file does not speak of it, None where it says that there is none.
    """

    path: str
    slug: str
    name: str
    id: UUID | None
    settings: Mapping[str, Any]
    sections: Mapping[str, tuple[Entry, ...]]
    provider: Mapping[str, Any] | UnsetType | None = UNSET


class File(Struct, frozen=True):
    name: str
    tenants: tuple[TenantEntry, ...]
    root: Any

    def refuse(self, problems: list[Problem]) -> None:
        """Raise `Problems` if there are any."""
        if problems:
            raise Problems(self.name, [(line_of(self.root, one.path), one) for one in problems])


class Problems(Exception):
    """Everything that is wrong with a file. `lines` gives it for people: `file:line: path: message`."""

    def __init__(self, file: str, found: list[tuple[int, Problem]]) -> None:
        self.file = file
        self.found = sorted(found, key=lambda one: one[0])
        super().__init__(self.lines()[0])

    def lines(self) -> list[str]:
        return [
            f"{self.file}:{line}: " + (f"{problem.path}: " if problem.path else "") + problem.message
            for line, problem in self.found
        ]


def parse(source: str | bytes, name: str = "-") -> File:
    """Read a file's text. `name` is its path, for problems and for finding `passwordFile` beside it.

    Raises:
        Problems: everything that is wrong with it.
    """
    try:
        root = read(source.decode() if isinstance(source, bytes) else source)
    except UnicodeDecodeError:
        raise Problems(name, [(1, Problem("", "is not UTF-8 text"))]) from None
    except Misread as error:
        raise Problems(name, [(error.line, Problem("", str(error)))]) from None
    reader = Reader(strict=True)
    said = read_table(reader, root if root is not None else {}, "", {"tenants": _tenants}, ("tenants",))
    file = File(name, said.get("tenants") or (), root)
    file.refuse(reader.problems)
    return file


def _tenants(reader: Reader, value: object, path: str) -> tuple[TenantEntry, ...]:
    if not isinstance(value, list | tuple):
        reader.wrong(path, "must be a list")
        return ()
    found = tuple(_tenant(reader, item, f"{path}[{index}]") for index, item in enumerate(value))
    for index, tenant in enumerate(found):
        if any(tenant.slug and tenant.slug == other.slug for other in found[:index]):
            reader.wrong(f"{tenant.path}.slug", f"{tenant.slug} stands here twice")
    return found


def _tenant(reader: Reader, value: object, path: str) -> TenantEntry:
    known: dict[str, Field] = {**TENANT, **dict.fromkeys(SECTIONS, anything)}
    said = read_table(reader, value, path, known, ("slug",))
    sections = {}
    for key, section in SECTIONS.items():
        if isinstance(value, Mapping) and value.get(key) is not None:
            sections[key] = _section(reader, value[key], f"{path}.{key}", section)
    provider = said.get("identityProvider", UNSET)
    if isinstance(provider, Mapping):
        _one_way(reader, provider, f"{path}.identityProvider", PROVIDER_WAYS)
    return TenantEntry(
        path,
        said.get("slug") or "",
        said.get("name") or "",
        said.get("id"),
        said.get("settings") or {},
        sections,
        provider,
    )


def _section(reader: Reader, value: object, path: str, section: Section) -> tuple[Entry, ...]:
    if not isinstance(value, list | tuple):
        reader.wrong(path, "must be a list")
        return ()
    found = []
    ids: dict[UUID, int] = {}
    names: dict[tuple[Any, ...], int] = {}
    for index, item in enumerate(value):
        here = f"{path}[{index}]"
        said = read_table(reader, item, here, section.fields, section.required)
        entry = Entry(here, section.kind, label(section.kind, said), said.get("id"), said)
        found.append(entry)
        if entry.id is not None and ids.setdefault(entry.id, index) != index:
            reader.wrong(f"{here}.id", f"is also that of {path}[{ids[entry.id]}]")
        key = identity(section.kind, said)
        if key is not None and names.setdefault(key, index) != index:
            reader.wrong(here, f"{entry.name} stands here twice, first as {path}[{names[key]}]")
        _check(reader, entry)
    return tuple(found)


def label(kind: str, said: Mapping[str, Any]) -> str:
    """What people call a thing."""
    match kind:
        case "user":
            return str(said.get("login") or "")
        case "operation":
            return f"{said.get('method')} {said.get('path')}"
        case "delegation":
            return f"{said.get('from')} to {said.get('to')}"
        case "default":
            target = said.get("target") or {}
            return " ".join(str(part) for one in target.items() for part in one) or str(
                said.get("type") or "everything"
            )
        case "request":
            return str(said.get("title") or said.get("resource") or said.get("workflow") or "")
        case _:
            return str(said.get("name") or "")


def identity(kind: str, said: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What names one thing among its kind, beside its id. None: nothing does."""
    match kind:
        case "user":
            return (str(said.get("login") or "").lower(),)
        case "resource":
            return (said.get("type"), said.get("parent"), said.get("name"))
        case "delegation":
            return (said.get("from"), said.get("to"), said.get("startsAt"), said.get("endsAt"))
        case "request":
            return None
        case _:
            return (label(kind, said),)


def _check(reader: Reader, entry: Entry) -> None:
    """Say what is wrong with a thing as a whole."""
    said, path = entry.said, entry.path
    if entry.kind == "user":
        _one_way(reader, said, path, PASSWORD_WAYS)
        if not str(said.get("passwordHash") or "$argon2").startswith("$argon2"):
            reader.wrong(f"{path}.passwordHash", "must be an argon2 hash, like $argon2id$v=19$…")
    for list_name in ("keys", "clients"):
        for index, one in enumerate(said.get(list_name) or ()):
            here = f"{path}.{list_name}[{index}]"
            _one_way(reader, one, here, SECRET_WAYS)
            if list_name == "clients" and not (one.get("id") or one.get("name")):
                reader.wrong(here, "id or name is needed")
    if entry.kind == "delegation" and said.get("startsAt") and said.get("endsAt"):
        if said["startsAt"] >= said["endsAt"]:
            reader.wrong(f"{path}.endsAt", "must be after startsAt")
        if said.get("from") == said.get("to"):
            reader.wrong(f"{path}.to", "nobody delegates to themselves")
    if entry.kind == "policy":
        default, most = said.get("defaultDurationSeconds"), said.get("maxDurationSeconds")
        if default is not None and most is not None and default > most:
            reader.wrong(f"{path}.defaultDurationSeconds", "must not be more than maxDurationSeconds")
    if entry.kind == "default":
        target = said.get("target")
        if target is not None and (len(target) != 1 or None in target.values()):
            reader.wrong(f"{path}.target", "must name exactly one thing")
        if said.get("target") is not None and said.get("type") is not None:
            reader.wrong(f"{path}.type", "is for a type or for a target, not both")
    if entry.kind == "request":
        _check_request(reader, said, path)


def _check_request(reader: Reader, said: Mapping[str, Any], path: str) -> None:
    needed = ("resourceType", "resource") if said.get("kind", "access") == "access" else ("workflow",)
    for key in needed:
        if said.get(key) is None:
            reader.wrong(path, f"{key} is needed for {said.get('kind', 'access')} requests")


def _one_way(reader: Reader, said: Mapping[str, Any], path: str, ways: tuple[str, ...]) -> None:
    given = [way for way in ways if said.get(way) is not None]
    for way in given[1:]:
        reader.wrong(f"{path}.{way}", f"{given[0]} is given already")
