"""A company in the database that changes at random: its people, their groups, roles, managers and delegations, and
what is asked of them. Everybody and everything goes through the door, but for the directory."""

import random
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec

from quorate.app import look
from quorate.app.commands import Door
from quorate.app.filing import AskAccess, Start
from quorate.app.orders import Order
from quorate.domain import commands as do
from quorate.domain import lifecycle
from quorate.domain import refusals as no
from quorate.domain.cadence import Cadence
from quorate.domain.events import Choice
from quorate.domain.workflows import Count, Escalations, Kind, Leaf, Node, OnTimeout, Reminders, Step
from quorate.store import requests as store
from quorate.store.database import Database
from quorate.store.requests import Held
from tests.app.directory import Clock, a_service, a_user

ROLES = {"approvers": ["request:approve"], "admins": ["admin"], "plain": [], "askers": ["request:for-others"]}
REFUSALS = (no.NotAnApprover, no.OwnRequest, no.AlreadyDecided, no.AlreadyClosed)


class RandomCompany:
    """One tenant. `draw` decides everything, so that a seed is a story."""

    def __init__(self, db: Database, tenant: UUID, draw: random.Random) -> None:
        self.db, self.tenant, self.draw = db, tenant, draw
        self.clock = Clock()
        self.door = Door(db, self.clock, uuid4)
        self.users: list[UUID] = []
        self.reader = UUID(int=0)  # May see everything, and decides nothing.
        self.services: list[UUID] = []
        self.groups = [uuid4() for _ in range(2)]
        self.roles = {name: uuid4() for name in ROLES}
        self.workflows: list[UUID] = []
        self.target = uuid4()

    @property
    def everybody(self) -> list[UUID]:
        return [*self.users, *self.services]

    async def settle(self, *, self_approval: bool) -> None:
        at = self.clock()
        self.users = [await a_user(self.db, self.tenant, f"u{n}@acme.example", password_hash="x") for n in range(6)]
        self.reader = await a_user(self.db, self.tenant, roles=[("readers", ["workflow:read"])], password_hash="x")
        owner = self.draw.choice(self.users)
        self.services = [
            await a_service(self.db, self.tenant, owner=owner, permissions=["workflow:write"]),
            await a_service(self.db, self.tenant, permissions=["request:approve", "workflow:write"]),
        ]
        await self.run(
            "UPDATE tenant SET settings = $2 WHERE id = $1", msgspec.json.encode({"selfApproval": self_approval})
        )
        for name, permissions in ROLES.items():
            await self.run(
                """
                INSERT INTO role (tenant_id, id, name, permissions, created_at, updated_at)
                VALUES ($1, $2, $3, $4, $5, $5)
                """,
                self.roles[name],
                name,
                permissions,
                at,
            )
        for group in self.groups:
            await self.run(
                "INSERT INTO user_group (tenant_id, id, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)",
                group,
                str(group),
                at,
            )
        for _ in range(20):
            await self.move_people()
        for _ in range(5):
            await self.define()

    async def run(self, sql: str, *values: object) -> None:
        async with self.db.tx([self.tenant]) as tx:
            await tx.run(sql, self.tenant, *values)

    async def move_people(self) -> None:
        """Change one thing in the directory."""
        who, other = self.draw.choice(self.everybody), self.draw.choice(self.users)
        user, service = self.draw.choice(self.users), self.draw.choice(self.services)
        into = self.draw.random() < 0.6
        match self.draw.choice(["group", "role", "manager", "owner", "status", "delegate", "delegate"]):
            case "group":
                await self._member("group", self.draw.choice(self.groups), who, into)
            case "role":
                role = self.draw.choice(["approvers", "plain", "askers", "admins"])
                await self._member("role", self.roles[role], who, into and (role != "admins" or who == self.users[0]))
            case "manager" if user != other:
                await self.run("UPDATE principal SET manager_id = $3 WHERE tenant_id = $1 AND id = $2", user, other)
            case "owner":
                owner = other if into else None
                await self.run("UPDATE principal SET owner_id = $3 WHERE tenant_id = $1 AND id = $2", service, owner)
            case "status":
                status = "active" if self.draw.random() < 0.85 else "suspended"
                await self.run("UPDATE principal SET status = $3 WHERE tenant_id = $1 AND id = $2", who, status)
            case "delegate" if who != other:
                starts_at = self.clock() + timedelta(hours=self.draw.randint(-3, 1))
                await self.run(
                    """
                    INSERT INTO delegation (tenant_id, id, from_id, to_id, starts_at, ends_at, created_at)
                    VALUES ($1, gen_random_uuid(), $2, $3, $4, $5, $4)
                    """,
                    other,
                    who,
                    starts_at,
                    starts_at + timedelta(hours=self.draw.randint(1, 9)),
                )
            case _:
                pass

    async def _member(self, what: str, of: UUID, who: UUID, into: bool) -> None:
        if into:
            columns = f"tenant_id, {what}_id, principal_id"
            sql = f"INSERT INTO {what}_member ({columns}) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
        else:
            sql = f"DELETE FROM {what}_member WHERE tenant_id = $1 AND {what}_id = $2 AND principal_id = $3"
        await self.run(sql, of, who)

    def leaf(self) -> Leaf:
        match self.draw.choice(list(Kind)):
            case Kind.USER:
                return Leaf(Kind.USER, str(self.draw.choice(self.users)))
            case Kind.SERVICE:
                return Leaf(Kind.SERVICE, str(self.draw.choice(self.services)))
            case Kind.GROUP:
                return Leaf(Kind.GROUP, str(self.draw.choice(self.groups)))
            case Kind.ROLE:
                name = self.draw.choice(list(self.roles))
                return Leaf(Kind.ROLE, name if self.draw.random() < 0.5 else str(self.roles[name]))
            case Kind.MANAGER:
                return Leaf(Kind.MANAGER, self.draw.choice(["requester", "asker"]))
            case Kind.OWNER:
                return Leaf(Kind.OWNER, "target")
            case Kind.HOLDER:
                return Leaf(Kind.HOLDER, self.draw.choice(["request:approve", "grant:revoke", "admin"]))

    async def define(self) -> None:
        """Make an active workflow."""
        steps = []
        for order in range(1, self.draw.randint(1, 2) + 1):
            leaves = tuple(dict.fromkeys(self.leaf() for _ in range(self.draw.randint(1, 4))))
            tree = Node(Count(self.draw.randint(1, len(leaves))), leaves)
            when_late, to = self.draw.choice(list(OnTimeout)), self.leaf()
            escalate_to = to if when_late is OnTimeout.ESCALATE else None
            timeout_s = self.draw.choice([None, 3600, 4 * 3600, 24 * 3600])
            soon = Cadence(self.draw.choice([1800, 7200]), every_s=self.draw.choice([1800, 7200]))
            chain = tuple(self.leaf() for _ in range(self.draw.randint(0, 3)))
            steps.append(
                Step(
                    order,
                    f"Step {order}",
                    tree,
                    timeout_s,
                    on_timeout=when_late,
                    escalate_to=escalate_to,
                    reminders=Reminders(soon, 3) if self.draw.random() < 0.5 else None,
                    escalations=Escalations(soon, chain) if chain and self.draw.random() < 0.5 else None,
                )
            )
        workflow = uuid4()
        await self.run(
            """
            INSERT INTO workflow (tenant_id, id, name, status, steps, activated_at, created_at, updated_at)
            VALUES ($1, $2, $3, 'active', $4, $5, $5, $5)
            """,
            workflow,
            str(workflow),
            msgspec.json.encode(steps),
            self.clock(),
        )
        self.workflows.append(workflow)

    async def act(self) -> None:
        """Let somebody do something, or time pass."""
        held = await self.held()
        open_ones = [one for one in held if one.request.is_open]
        who = self.draw.choice(self.everybody)
        what = self.draw.choice(
            [*["ask"] * 6, *["decide"] * 5, *["people"] * 3, "reassign", "cancel", "escalate", "time"]
        )
        if what == "ask":
            await self._try(self._asking(who), who)
        elif what == "time":
            self.clock.at += timedelta(minutes=self.draw.choice([5, 20, 90]))
        elif what == "people":
            await self.move_people()
        elif open_ones:
            one = self.draw.choice(open_ones)
            command: do.Command
            match what:
                case "decide":
                    choice = Choice.APPROVE if self.draw.random() < 0.8 else Choice.REJECT
                    for anybody in self.draw.sample(self.everybody, len(self.everybody)):
                        if await self._try(do.Decide(anybody, choice), anybody, one.request.id):
                            break
                    return
                case "reassign":
                    giver, to = self.draw.choice(self.users), self.draw.choice(self.users)
                    command = do.Reassign(giver, to)
                    who = giver
                case "cancel":
                    command = do.Cancel(who)
                case _:
                    command = do.Escalate(who, self.leaf())
            await self._try(command, who, one.request.id)

    def _asking(self, who: UUID) -> AskAccess | Start:
        if self.draw.random() < 0.3:
            return Start(self.draw.choice(self.workflows), {"userId": str(self.draw.choice(self.everybody))})
        beneficiary = self.draw.choice([None, None, self.draw.choice(self.everybody)])
        return AskAccess(
            "role",
            str(self.roles["plain"]),
            "because",
            beneficiary=beneficiary,
            workflow=self.draw.choice(self.workflows),
            refuses_duplicates=False,
        )

    async def _try(self, what: do.Command | AskAccess | Start, who: UUID, request: UUID | None = None) -> bool:
        try:
            await self.door.take(Order(uuid4(), self.tenant, who, what, request))
        except no.Refusal:
            return False
        return True

    async def held(self) -> list[Held]:
        async with self.db.tx([self.tenant]) as tx:
            ids = [row["id"] for row in await tx.all("SELECT id FROM request WHERE tenant_id = $1", self.tenant)]
            return list((await store.load(tx, ids)).values())

    async def decidable(self, who: UUID) -> dict[UUID, UUID]:
        """Name the tasks, with their requests, that the rules would let somebody decide now, by trying every one."""
        at, held = self.clock(), await self.held()
        async with self.db.tx([self.tenant]) as tx:
            people = await look.people_of(tx, who, [one.request for one in held], at)
        found = {}
        for one in held:
            for state, task in zip(one.request.walk, one.tasks, strict=True):
                try:
                    lifecycle.decide(one.request, do.Decide(who, Choice.REJECT, "no", state.index), people, at=at)
                except REFUSALS:
                    continue
                if not one.request.shown_at(at).is_final:
                    found[task] = one.request.id
        return found
