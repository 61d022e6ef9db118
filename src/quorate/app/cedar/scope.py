"""What a rule's head alone says: whom, which action and what kind of thing it can concern at all.

A rule whose head does not fit matches nothing and cannot fail, so it need not be asked.
"""

from collections.abc import Collection

import msgspec
from msgspec import Struct

Uid = tuple[str, str]  # A Cedar type and an id.


class _Entity(Struct, frozen=True):
    type: str
    id: str

    @property
    def uid(self) -> Uid:
        return self.type, self.id


class _In(Struct, frozen=True):
    entity: _Entity


class Head(Struct, frozen=True):
    """One part of a rule's head, as the engine's JSON says it."""

    op: str
    entity: _Entity | None = None
    entities: tuple[_Entity, ...] = ()
    entity_type: str | None = None
    within: _In | None = msgspec.field(default=None, name="in")


class Scope(Struct, frozen=True):
    """Whom a rule can concern: None for anybody or anything."""

    principal: Uid | None = None
    is_exactly: bool = False
    principal_type: str | None = None
    actions: frozenset[Uid] | None = None
    resource_type: str | None = None

    def fits(self, principal: Uid, sets: Collection[Uid], action: Uid, resource_type: str) -> bool:
        """Say whether the head may hold for this principal, which is in these sets. True where in doubt."""
        if self.principal_type is not None and self.principal_type != principal[0]:
            return False
        if (
            self.principal is not None
            and self.principal != principal
            and (self.is_exactly or self.principal not in sets)
        ):
            return False
        if self.actions is not None and action not in self.actions:
            return False
        return self.resource_type is None or self.resource_type == resource_type


def scope(principal: Head, action: Head, resource: Head) -> Scope:
    """Read a rule's head. What it says of the resource's place is left to the engine."""
    named = principal.entity or (principal.within.entity if principal.within else None)
    actions = (*action.entities, action.entity) if action.entity else action.entities
    return Scope(
        principal=named.uid if named else None,
        is_exactly=principal.op == "==",
        principal_type=principal.entity_type,
        actions=None if action.op == "All" else frozenset(one.uid for one in actions),
        resource_type=resource.entity.type if resource.op == "==" and resource.entity else resource.entity_type,
    )
