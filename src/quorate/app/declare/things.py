"""What people are in and what they ask for: roles, groups, resources."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar
from uuid import UUID

from msgspec.structs import replace

from quorate.app.declare.draft import Draft
from quorate.app.declare.names import values
from quorate.app.declare.schema import Entry
from quorate.domain.permissions import USUAL
from quorate.store.directory import Group, Resource, Role

Asked = TypeVar("Asked", Role, Group, Resource)

_WORDS: Final = {"workflow_id": "approval", "external_id": "externalId", "parent_id": "parent", "owner_id": "owner"}
_COMMON: Final[Mapping[str, tuple[str, Any]]] = {"name": ("name", ""), "description": ("description", "")}
_ROLE: Final = {**_COMMON, "permissions": ("permissions", ())}
_GROUP: Final = {**_COMMON, "externalId": ("external_id", None)}
_RESOURCE: Final = {
    **_COMMON,
    "type": ("type", ""),
    "externalId": ("external_id", None),
    "attributes": ("attributes", {}),
}


def plan_things(draft: Draft) -> None:
    """Plan roles, groups and resources."""
    for entry in draft.entries("roles"):
        id = draft.names.ids[entry.path]
        usual = USUAL.get(entry.name, ())
        role = Role(id=id, name=entry.name, permissions=usual, created_at=draft.at, updated_at=draft.at)
        _one(draft, entry, draft.state.roles.get(id), role, _ROLE, draft.rows.roles)
    for entry in draft.entries("groups"):
        id = draft.names.ids[entry.path]
        group = Group(id=id, name=entry.name, created_at=draft.at, updated_at=draft.at)
        _one(draft, entry, draft.state.groups.get(id), group, _GROUP, draft.rows.groups)
    for entry in draft.entries("resources"):
        id = draft.names.ids[entry.path]
        resource = Resource(
            id=id, type=entry.said.get("type", ""), name=entry.name, created_at=draft.at, updated_at=draft.at
        )
        _one(draft, entry, draft.state.resources.get(id), resource, _RESOURCE, draft.rows.resources)
    _refuse_circles(draft)
    _prune(draft, "roles", "role", draft.state.roles, draft.rows.roles)
    _prune(draft, "groups", "group", draft.state.groups, draft.rows.groups)
    _prune(draft, "resources", "resource", draft.state.resources, draft.rows.resources)


def _one(
    draft: Draft,
    entry: Entry,
    old: Asked | None,
    fresh: Asked,
    columns: Mapping[str, tuple[str, Any]],
    rows: list[Asked],
) -> None:
    found = values(entry.said, columns)
    if "approval" in entry.said:
        approval = dict(entry.said["approval"] or {})
        path = f"{entry.path}.approval.workflow"
        found["workflow_id"] = draft.names.lookup("workflow", approval.pop("workflow", None), path)
        found["approval"] = {key: value for key, value in approval.items() if value is not None} or None
    if "owner" in entry.said:
        found["owner_id"] = draft.names.lookup("user", entry.said["owner"], f"{entry.path}.owner")
    if "parent" in entry.said:
        # A parent that does not exist was reported when the resources were identified.
        found["parent_id"] = draft.names.parents.get(entry.path)
    new = replace(old or fresh, **found)
    if draft.compare(entry, old, new, _WORDS):
        rows.append(replace(new, updated_at=draft.at))


def _prune(draft: Draft, section: str, kind: str, stored: Mapping[UUID, Asked], rows: list[Asked]) -> None:
    for one in draft.pruned(section, stored):
        draft.removed(kind, one.id, one.name, "deleted")
        rows.append(replace(one, deleted_at=draft.at, updated_at=draft.at))


def _refuse_circles(draft: Draft) -> None:
    """Refuse parents that lead in a circle, through resources that are there already too."""
    parents = {id: one.parent_id for id, one in draft.state.resources.items()}
    parents |= {one.id: one.parent_id for one in draft.rows.resources}
    for entry in draft.entries("resources"):
        seen: set[UUID] = set()
        here: UUID | None = draft.names.ids[entry.path]
        while here is not None and here not in seen:
            seen.add(here)
            here = parents.get(here)
        if here is not None:
            draft.wrong(f"{entry.path}.parent", "leads in a circle")
