"""A plan while it is being made: what is there, what is wanted, and what has been found to differ."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from msgspec import Struct

from quorate.app.declare.names import Names
from quorate.app.declare.schema import Entry, TenantEntry
from quorate.app.declare.secret_values import Secrets
from quorate.app.declare.state import State
from quorate.app.declare.wanted import Change, Minted, Rows
from quorate.domain.workflows import Problem

Row = TypeVar("Row", bound=Struct)

_UNCOUNTED: Final = frozenset({"version", "created_at", "updated_at", "directory_version", "activated_at"})


class Draft:
    """What the planning of every section shares."""

    def __init__(
        self,
        tenant: TenantEntry,
        id: UUID,
        state: State,
        secrets: Secrets,
        mint: Callable[[], UUID],
        at: datetime,
        *,
        prune: bool,
    ) -> None:
        self.entry = tenant
        self.tenant = id
        self.state = state
        self.secrets = secrets
        self.mint = mint
        self.at = at
        self.prune = prune
        self.names = Names(tenant, state, mint)
        self.changes: list[Change] = []
        self.rows = Rows()
        self.minted: list[Minted] = []

    def entries(self, section: str) -> tuple[Entry, ...]:
        return self.entry.sections.get(section, ())

    def wrong(self, path: str, message: str) -> None:
        self.names.problems.append(Problem(path, message))

    def compare(
        self,
        entry: Entry,
        old: Row | None,
        new: Row,
        words: Mapping[str, str],
        more: tuple[str, ...] = (),
    ) -> bool:
        """Note a thing that is new or differs; say whether its row must be written. `more`: what else differs.

        `words` gives the file's word for a column that is called otherwise.
        """
        id: UUID = new.id  # type: ignore[attr-defined]  # Every row has one.
        if old is None:
            self.changes.append(Change("create", entry.kind, id, entry.name))
            return True
        details = tuple(dict.fromkeys(words.get(field, field) for field in differing(old, new)))
        if details or more:
            self.changes.append(Change("update", entry.kind, id, entry.name, details + more))
        return bool(details)

    def removed(self, kind: str, id: UUID, name: str, *details: str) -> None:
        self.changes.append(Change("remove", kind, id, name, details))

    def pruned(self, section: str, stored: Mapping[UUID, Any]) -> list[Any]:
        """Give what is there and not in the file, if it is to be taken out of use: only of a section that is there."""
        if not self.prune or section not in self.entry.sections:
            return []
        named = {self.names.ids[entry.path] for entry in self.entries(section) if entry.path in self.names.ids}
        return [one for id, one in stored.items() if id not in named]


def differing(old: Struct, new: Struct) -> list[str]:
    """Name the fields that differ, but for those that count or stamp."""
    return [
        field
        for field in new.__struct_fields__
        if field not in _UNCOUNTED and getattr(old, field) != getattr(new, field)
    ]
