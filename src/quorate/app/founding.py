"""New tenants, made over the API by the administrators of the one tenant that the operator names."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from msgspec import Struct

from quorate.app import authority
from quorate.app.actor import Actor
from quorate.app.keys import mint, secret_hash
from quorate.app.tell import tell
from quorate.domain import refusals as no
from quorate.domain.permissions import ADMIN
from quorate.store import credentials, directory, people, signin, tenants
from quorate.store.credentials import StoredCredential
from quorate.store.database import Database
from quorate.store.directory import Role
from quorate.store.events import Entry
from quorate.store.people import Principal
from quorate.store.tenants import Tenant
from quorate.store.tx import Tx

ROLE: Final = "admin"
KEY: Final = "first key"


class NewTenant(Struct, frozen=True, kw_only=True):
    """What a tenant shall be, and who looks after it. `jitsudo`: more of its settings by that name."""

    slug: str
    name: str
    owner_login: str
    owner_name: str
    jitsudo: dict[str, Any] = {}


class Founded(Struct, frozen=True):
    """A new tenant, and its first administrator's key, which nobody will be shown again."""

    tenant: Tenant
    owner: UUID
    secret: str

    def __repr__(self) -> str:
        return f"Founded(tenant={self.tenant.id})"  # The secret stays out of logs.


class Founding:
    """The use case.

    Args:
        operators: the slug of the tenant whose administrators may; None: nobody may.
    """

    def __init__(
        self, db: Database, *, clock: Callable[[], datetime], new_id: Callable[[], UUID], operators: str | None
    ) -> None:
        self._db, self._clock, self._new_id, self._operators = db, clock, new_id, operators

    async def found(self, actor: Actor, new: NewTenant) -> Founded:
        """Make a tenant with one administrator, who has a key and no password.

        Raises: NotPermitted: the caller is no administrator of the operator's tenant, or there is none such;
            DuplicateName: the slug is taken.
        """
        at, id = self._clock(), self._new_id()
        settings = {"fallbackApprovers": [{"role": ROLE}], **({"jitsudo": new.jitsudo} if new.jitsudo else {})}
        tenant = Tenant(id=id, slug=new.slug, name=new.name, settings=settings, created_at=at, updated_at=at)
        try:
            async with self._db.tx({actor.tenant, id}) as tx:
                if self._operators is None or await signin.slug(tx, actor.tenant) != self._operators:
                    raise no.NotPermitted(ADMIN)
                await authority.demand(tx, actor, ADMIN, at)
                await tenants.add(tx, tenant)
                founded = await self._furnish(tx, tenant, new, at)
                await self._happened(tx, actor, founded, at)
                return founded
        except asyncpg.UniqueViolationError:
            raise no.DuplicateName(new.slug) from None

    async def _furnish(self, tx: Tx, tenant: Tenant, new: NewTenant, at: datetime) -> Founded:
        owner, role, key = self._new_id(), self._new_id(), self._new_id()
        secret = mint(key)
        login = new.owner_login
        user = Principal(
            id=owner, kind="user", name=new.owner_name, login=login, email=login, created_at=at, updated_at=at
        )
        carries = Role(id=role, name=ROLE, permissions=(ADMIN,), created_at=at, updated_at=at)
        held = StoredCredential(
            id=key, principal_id=owner, kind="key", name=KEY, secret_hash=secret_hash(secret), created_at=at
        )
        await people.put_principals(tx, tenant.id, [user])
        await directory.put_roles(tx, tenant.id, [carries])
        await people.set_roles(tx, tenant.id, {owner: {role}})
        await credentials.put_credentials(tx, tenant.id, [held])
        who = {"userId": str(owner)}
        happened: list[tuple[str, UUID, str, dict[str, Any]]] = [
            ("tenant", tenant.id, "tenant.created", {"name": tenant.slug}),
            ("user", owner, "user.created", {**who, "status": "active", "managerId": None}),
            ("role", role, "role.created", {"name": ROLE, "permissions": [ADMIN]}),
            ("role", role, "role.assigned", {**who, "roleId": str(role), "roleName": ROLE}),
            ("key", key, "key.created", {**who, "name": KEY, "expiresAt": None}),
        ]
        # The tenant's own history names nobody: who made it is of another tenant.
        entries = [
            Entry(subject_kind=kind, subject=id, command=self._new_id(), at=at, type=what, actor=None, body=body)
            for kind, id, what, body in happened
        ]
        await tell(tx, tenant.id, entries, self._new_id)
        return Founded(tenant, owner, secret)

    async def _happened(self, tx: Tx, actor: Actor, founded: Founded, at: datetime) -> None:
        """Tell the operator's tenant who has made which."""
        entry = Entry(
            subject_kind="tenant",
            subject=founded.tenant.id,
            command=self._new_id(),
            at=at,
            type="tenant.created",
            actor=actor.principal,
            credential=actor.how.credential,
            surface=actor.how.surface,
            address=actor.how.address,
            body={"name": founded.tenant.slug},
        )
        await tell(tx, actor.tenant, [entry], self._new_id)
