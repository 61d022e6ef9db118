"""Parts that the statements of lists are put together from. $1 is always the tenant."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

Place = tuple[datetime, UUID]
"""Where a page ended: when its last request was made, and the id of what was listed (a task or a request)."""


class Way(Struct, frozen=True):
    """One way in which open tasks may be somebody's.

    `keys` are those of the inbox. `shut`: accounts of whom none may have used or given away a say in the step.
    `barred`: accounts of whom none may be one whom the request is by or for.
    """

    keys: tuple[str, ...]
    shut: tuple[UUID, ...]
    barred: tuple[UUID, ...] = ()


class Bound:
    """The values of a statement under construction."""

    def __init__(self, tenant: UUID, at: datetime) -> None:
        self.values: list[Any] = [tenant]
        self._at = at

    def __call__(self, value: object, kind: str) -> str:
        """Bind a value; give what stands for it in the text."""
        self.values.append(value)
        return f"${len(self.values)}::{kind}"

    def moment(self) -> str:
        return self(self._at, "timestamptz")

    def place(self, after: Place) -> str:
        return f"({self(after[0], 'timestamptz')}, {self(after[1], 'uuid')})"
