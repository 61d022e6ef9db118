"""A small company in the database, and a door to work on it: Rhea asks; Ana, Ben and Cyd approve."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from quorate.app.commands import Door
from quorate.app.filing import AskAccess, Asking, Start
from quorate.app.orders import Done, Idempotency, Order
from quorate.domain import commands as do
from quorate.domain.events import Choice
from quorate.domain.workflows import Kind, Leaf, Node, Step, any_one_of
from quorate.store import directory, people
from quorate.store import requests as store
from quorate.store.database import Database
from quorate.store.requests import Held, Key
from tests.app import consistency
from tests.app.directory import Clock


class Company:
    """One tenant: its people by first name, a role to ask for, and a door."""

    def __init__(self, db: Database, tenant: UUID, clock: Clock | None = None, door: Door | None = None) -> None:
        self.db, self.tenant = db, tenant
        self.clock = clock or Clock()
        self.door = door or Door(db, self.clock, uuid4)
        self.rhea, self.ana, self.ben, self.cyd, self.mona, self.ada = (uuid4() for _ in range(6))
        self.security, self.auditors, self.admins = uuid4(), uuid4(), uuid4()

    async def settle(self) -> "Company":
        """Write the directory."""
        at = self.clock()
        named = {"Rhea": self.rhea, "Ana": self.ana, "Ben": self.ben, "Cyd": self.cyd, "Mona": self.mona}
        named["Ada"] = self.ada
        users = [
            people.Principal(
                id=id, kind="user", name=name, login=f"{name.lower()}@acme.example", created_at=at, updated_at=at
            )
            for name, id in named.items()
        ]
        async with self.db.tx([self.tenant]) as tx:
            await people.put_principals(tx, self.tenant, users)
            await people.put_principals(tx, self.tenant, [msgspec.structs.replace(users[0], manager_id=self.mona)])
            await directory.put_groups(
                tx, self.tenant, [directory.Group(id=self.security, name="Security", created_at=at, updated_at=at)]
            )
            await directory.put_roles(
                tx,
                self.tenant,
                [
                    directory.Role(id=self.auditors, name="auditors", created_at=at, updated_at=at),
                    directory.Role(id=self.admins, name="admins", permissions=("admin",), created_at=at, updated_at=at),
                ],
            )
            await people.set_groups(tx, self.tenant, {id: [self.security] for id in (self.ana, self.ben, self.cyd)})
            await people.set_roles(tx, self.tenant, {self.ada: [self.admins]})
        return self

    async def workflow(self, *approvers: UUID | Leaf | Node, status: str = "active", **facts: Any) -> UUID:
        """Define a workflow whose steps each take an approver, a leaf or a tree."""
        steps = tuple(
            msgspec.structs.replace(
                Step(order, f"Step {order}", _tree(one), 48 * 3600),
                **facts,
            )
            for order, one in enumerate(approvers, 1)
        )
        workflow, at = uuid4(), self.clock()
        async with self.db.tx([self.tenant]) as tx:
            await tx.run(
                """
                INSERT INTO workflow (tenant_id, id, name, status, steps, activated_at, created_at, updated_at)
                VALUES ($1, $2, $3, $4, $5, $6, $6, $6)
                """,
                self.tenant,
                workflow,
                f"Workflow {workflow}",
                status,
                msgspec.json.encode(steps),
                at,
            )
        return workflow

    def asking(self, **rest: Any) -> AskAccess:
        return AskAccess("role", str(self.auditors), "quarter end", **rest)

    def order(self, actor: UUID | None, what: do.Command | Asking | None, **rest: Any) -> Order:
        return Order(uuid4(), self.tenant, actor, what, **rest)

    async def ask(self, actor: UUID | None = None, asking: AskAccess | Start | None = None, **rest: Any) -> Done:
        return await self.door.take(self.order(actor or self.rhea, asking or self.asking(), **rest))

    async def decide(self, actor: UUID, done: Done, choice: Choice = Choice.APPROVE, **rest: Any) -> Done:
        """Decide the request's open task."""
        return await self.door.take(self.order(actor, do.Decide(actor, choice), task=done.held.tasks[-1], **rest))

    async def cancel(self, actor: UUID, done: Done) -> Done:
        return await self.door.take(self.order(actor, do.Cancel(actor), request=done.request.id))

    async def held(self, request: UUID) -> Held:
        async with self.db.tx([self.tenant]) as tx:
            return (await store.load(tx, [request]))[Key(self.tenant, request)]

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        async with self.db.tx([self.tenant]) as tx:
            return [tuple(row) for row in await tx.all(sql, self.tenant, *values)]

    async def check(self) -> None:
        """Compare every request with its history, and all that hangs on it with its state."""
        async with self.db.tx([self.tenant]) as tx:
            await consistency.check(tx, self.tenant)


def group_leaf(group: UUID) -> Leaf:
    return Leaf(Kind.GROUP, str(group))


def keyed(key: str, fingerprint: bytes = b"same") -> Idempotency:
    return Idempotency(key, fingerprint)


def later(clock: Clock, span: timedelta) -> datetime:
    clock.at += span
    return clock.at


def _tree(approver: UUID | Leaf | Node) -> Node:
    match approver:
        case UUID():
            return any_one_of(Leaf(Kind.USER, str(approver)))
        case Leaf():
            return any_one_of(approver)
        case Node():
            return approver
