"""From names to ids: a thing of the file is one that is there already, or a new one."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from quorate.app.declare.schema import Entry, TenantEntry
from quorate.app.declare.state import State
from quorate.app.definitions import Unknown
from quorate.app.values import suggestion
from quorate.domain.workflows import Kind, Problem

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Names:
    """Who and what is called what, in the file and in the tenant.

    `ids` maps the path of an entry to its id, `parents` that of a resource to the id of its parent.
    """

    def __init__(self, tenant: TenantEntry, state: State, mint: Callable[[], UUID]) -> None:
        self.problems: list[Problem] = []
        self.ids: dict[str, UUID] = {}
        self.parents: dict[str, UUID | None] = {}
        self._mint = mint
        self._known: dict[str, dict[str, set[UUID]]] = {}
        self._stored_leaves = state.leaves
        users = {id: one for id, one in state.principals.items() if one.kind == "user"}
        services = {id: one for id, one in state.principals.items() if one.kind == "service"}
        sections = tenant.sections
        self._take("user", sections.get("users", ()), {id: (one.login or "").lower() for id, one in users.items()})
        self._take("service", sections.get("services", ()), {id: one.name for id, one in services.items()})
        self._take("role", sections.get("roles", ()), {id: one.name for id, one in state.roles.items()})
        self._take("group", sections.get("groups", ()), {id: one.name for id, one in state.groups.items()})
        self._take("workflow", sections.get("workflows", ()), {id: one.name for id, one in state.workflows.items()})
        self._take("policy", sections.get("policies", ()), {id: one.name for id, one in state.policies.items()})
        operations = {id: f"{one.method} {one.path}" for id, one in state.operations.items()}
        self._take("operation", sections.get("operations", ()), operations)
        self._take_resources(sections.get("resources", ()), state)
        for entry in sections.get("users", ()) + sections.get("services", ()):
            other = users if entry.kind == "service" else services
            if entry.id in other:
                self.problems.append(Problem(f"{entry.path}.id", "is that of a user or service of the other kind"))

    def find(self, kind: str, written: str) -> UUID:
        """Find a thing by id or name. Raises `Unknown`."""
        known = self._known[kind]
        if _UUID.fullmatch(written):
            id = UUID(written)
            if any(id in ids for ids in known.values()):
                return id
        found = known.get(written.lower() if kind == "user" else written, set())
        if len(found) > 1:
            raise Unknown(f"several {kind}s are called {written!r}; give the id")
        if not found:
            raise Unknown(f"there is no {kind} {written!r}{suggestion(written, known)}")
        return next(iter(found))

    def lookup(self, kind: str, written: str | None, path: str) -> UUID | None:
        """Like `find`, with a problem and None where there is no such thing."""
        if written is None:
            return None
        try:
            return self.find(kind, written)
        except Unknown as unknown:
            self.problems.append(Problem(path, str(unknown)))
            return None

    def leaf(self, kind: Kind, written: str) -> str:
        """Give the value of a leaf: an id, but of a role what was written, its name or id. Raises `Unknown`."""
        if (kind, written) in self._stored_leaves and not self._known[kind.value].get(written):
            return written  # What a stored workflow names already may stay, whether or not there is such a one.
        id = self.find(kind.value, written)
        return written if kind is Kind.ROLE else str(id)

    def _take(self, kind: str, entries: tuple[Entry, ...], stored: Mapping[UUID, str]) -> None:
        by_name: dict[str, set[UUID]] = {}
        for id, name in stored.items():
            by_name.setdefault(name, set()).add(id)
        claimed = {entry.id for entry in entries if entry.id is not None}
        for entry in entries:
            name = entry.name.lower() if kind == "user" else entry.name
            there = next(iter(by_name.get(name, ())), None)
            if entry.id is not None and there is not None and there != entry.id and there not in claimed:
                self.problems.append(Problem(f"{entry.path}.id", f"{entry.name} has the id {there}"))
            self.ids[entry.path] = entry.id or there or self._mint()
        now = {id: name for id, name in stored.items() if id not in set(self.ids.values())}
        now |= {self.ids[entry.path]: entry.name.lower() if kind == "user" else entry.name for entry in entries}
        known: dict[str, set[UUID]] = {}
        self._known[kind] = known
        for id, name in now.items():
            known.setdefault(name, set()).add(id)

    def _take_resources(self, entries: tuple[Entry, ...], state: State) -> None:
        """Identify resources, parents before their children: a name is unique only beside its parent and type."""
        stored = {(one.type, one.parent_id, one.name): id for id, one in state.resources.items()}
        known: dict[str, set[UUID]] = {}
        self._known["resource"] = known
        mentioned = {entry.id for entry in entries}
        for id, one in state.resources.items():
            if id not in mentioned:
                known.setdefault(one.name, set()).add(id)
        waiting = list(entries)
        while waiting:
            called = Counter(name for entry in waiting for name in _called(entry))
            ready = [entry for entry in waiting if called[parent_of(entry)] == (parent_of(entry) in _called(entry))]
            for entry in ready or waiting:
                parent = None
                if not ready:
                    self.problems.append(Problem(f"{entry.path}.parent", "leads in a circle, or to itself"))
                else:
                    parent = self.lookup("resource", entry.said.get("parent"), f"{entry.path}.parent")
                self.parents[entry.path] = parent
                there = stored.get((entry.said.get("type", ""), parent, entry.name))
                self.ids[entry.path] = entry.id or there or self._mint()
                known.setdefault(entry.name, set()).add(self.ids[entry.path])
            waiting = [entry for entry in waiting if entry not in ready] if ready else []


def parent_of(entry: Entry) -> str:
    return str(entry.said.get("parent") or "")


def _called(entry: Entry) -> set[str]:
    return {entry.name, str(entry.id)} if entry.id else {entry.name}


def values(said: Mapping[str, Any], keys: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """Give the columns for the keys that were written; where null was, the column's default."""
    return {
        column: default if said[key] is None else said[key] for key, (column, default) in keys.items() if key in said
    }
