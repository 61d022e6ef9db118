"""What a plan consists of: the changes in words, and as the rows that are written."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from quorate.domain.defaults import Scope, Settled
from quorate.domain.events import Duration
from quorate.store.credentials import StoredCredential
from quorate.store.declare import OperationRow, PolicyRow, WorkflowRow
from quorate.store.directory import Group, Resource, Role
from quorate.store.people import Delegation, Password, Principal
from quorate.store.providers import Provider
from quorate.store.tenants import Tenant


class Change(Struct, frozen=True):
    """One thing that is made, changed, or taken out of use. `about`: what its event says beside, of a credential."""

    verb: Literal["create", "update", "remove"]
    kind: str
    id: UUID
    name: str
    details: tuple[str, ...] = ()
    about: Mapping[str, str | None] = {}

    def line(self) -> str:
        sign = {"create": "+", "update": "~", "remove": "-"}[self.verb]
        return f"{sign} {self.kind} {self.name}" + (f": {', '.join(self.details)}" if self.details else "")


class Membership(Struct, frozen=True):
    """A user or a service that is put into a role or a group by right, or out of it."""

    what: Literal["role", "group"]
    id: UUID
    name: str
    holder: UUID
    holder_kind: str


class Minted(Struct, frozen=True):
    """A secret that was made because none was given. It is shown once. `client` is a client's id."""

    tenant: str
    kind: Literal["key", "client"]
    of: str
    name: str
    secret: str
    client: str | None = None

    def __repr__(self) -> str:
        return f"Minted(of={self.of}, name={self.name})"  # The secret stays out of logs.


class RequestToFile(Struct, frozen=True, kw_only=True):
    """A request of the file, with its names resolved: to be filed through the door as if `requester` had asked now.

    `target` is the id of the role, group or resource; None for a generic request, which has a `workflow`.
    `details` holds what the file says beside: title, description, type, priority, references, batch, attributes.
    """

    tenant: UUID
    id: UUID
    kind: Literal["access", "generic"]
    requester: UUID
    beneficiary: UUID | None = None
    workflow: UUID | None = None
    target_type: str | None = None
    target: UUID | None = None
    justification: str | None = None
    duration: Duration | None = None
    subject: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = {}
    details: Mapping[str, Any] = {}
    label: str = ""


class ProviderRow(Struct, frozen=True):
    """An identity provider, and its client's secret in the clear; None: the sealed one in the row stays."""

    provider: Provider
    secret: str | None

    def __repr__(self) -> str:
        return f"ProviderRow(provider={self.provider})"  # The secret stays out of logs.


class Rows(Struct):
    """What is written for one tenant, in the order of the foreign keys."""

    tenant: Tenant | None = None
    workflows: list[WorkflowRow] = []
    principals: list[Principal] = []
    passwords: list[Password] = []
    roles: list[Role] = []
    groups: list[Group] = []
    resources: list[Resource] = []
    roles_of: dict[UUID, frozenset[UUID]] = {}
    groups_of: dict[UUID, frozenset[UUID]] = {}
    joined: list[Membership] = []
    left: list[Membership] = []
    revoked: list[UUID] = []
    credentials: list[StoredCredential] = []
    policies: list[PolicyRow] = []
    operations: list[OperationRow] = []
    operations_gone: list[UUID] = []
    defaults: list[Settled] = []
    defaults_gone: list[tuple[Scope, str]] = []
    delegations: list[Delegation] = []
    delegations_gone: list[UUID] = []
    provider: ProviderRow | None = None
    provider_gone: bool = False


class Plan(Struct, frozen=True):
    """All that brings one tenant to what the file says."""

    tenant: UUID
    slug: str
    at: datetime
    changes: tuple[Change, ...]
    rows: Rows
    minted: tuple[Minted, ...]
    requests: tuple[RequestToFile, ...]
