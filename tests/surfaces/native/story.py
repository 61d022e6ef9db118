"""One tenant with everybody in it, Olu in another, and all of them calling over HTTP.

Rhea asks and may do nothing else; Ana, Ben and Cyd are the group Security, Ana holds the role manager; Mona is
Rhea's manager; Ada is an administrator; Rita may read; Olu is the administrator of another tenant.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx

from quorate.app.keys import mint, secret_hash
from quorate.settings import Settings
from quorate.store.database import Database
from quorate.surfaces.http.origin import Origin
from tests.app.directory import CHEAP, PASSWORD, Clock

PEOPLE = ("rhea", "ana", "ben", "cyd", "mona", "ada", "rita")
SETTINGS = Settings(signin_per_login=0, signin_per_address=0)
_HASH = CHEAP.hash(PASSWORD)

Body = dict[str, Any]


class Story:
    """The people, what they can ask for, and how they call. `clock` is the server's."""

    def __init__(self, origin: Origin, clock: Clock, db: Database, tenant: UUID, elsewhere: UUID) -> None:
        self.origin, self.clock, self.db, self.tenant, self.elsewhere = origin, clock, db, tenant, elsewhere
        self.ids = {name: uuid4() for name in (*PEOPLE, "olu", "bot")}
        self.keys: dict[str, str] = {}
        self.security, self.auditors, self.manager, self.database = uuid4(), uuid4(), uuid4(), uuid4()
        self.callers: dict[str, httpx.AsyncClient] = {}

    async def call(
        self, who: str | None, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Call as somebody; None: as nobody."""
        client = self.callers[who or ""]
        if body is None:
            return await client.request(method, f"/api/v1{path}", headers=headers)
        if isinstance(body, bytes):
            return await client.request(method, f"/api/v1{path}", content=body, headers=headers)
        return await client.request(method, f"/api/v1{path}", json=body, headers=headers)

    async def get(self, who: str | None, path: str) -> Any:
        """Read something that must be there."""
        answer = await self.call(who, "GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def post(self, who: str | None, path: str, body: Any = None, status: int = 200) -> Any:
        """Do something that must work."""
        answer = await self.call(who, "POST", path, body)
        assert answer.status_code == status, answer.text
        return answer.json().get("data")

    async def workflow(self, *steps: Body, activate: bool = True, **more: Any) -> str:
        """Make a workflow, active unless said otherwise; answers its id."""
        body = {"name": f"Workflow {uuid4()}", "steps": list(steps) or [by("ana")], **more}
        made = await self.post("ada", "/workflows", self.known(body), 201)
        if activate:
            await self.post("ada", f"/workflows/{made['id']}/activate")
        return str(made["id"])

    async def request(self, who: str = "rhea", **more: Any) -> Any:
        """Ask for the role auditors."""
        body = {"resourceType": "role", "resourceId": str(self.auditors), "justification": "The quarter ends"}
        return await self.post(who, "/access-requests", body | more, 201)

    async def task(self, who: str, request: str) -> str:
        """Find somebody's open task of a request."""
        listed = await self.get(who, "/approvals/pending")
        [task] = [one["id"] for one in listed["approvals"] if one["workflowInstanceId"] == request]
        return str(task)

    def known(self, value: Any) -> Any:
        """Put ids in the place of names that begin with @."""
        match value:
            case str() if value.startswith("@"):
                return str({**self.ids, "security": self.security}[value[1:]])
            case dict():
                return {key: self.known(one) for key, one in value.items()}
            case list():
                return [self.known(one) for one in value]
            case _:
                return value


def by(who: str, order: int = 1, **more: Any) -> Body:
    """A step that one user decides."""
    return {"order": order, "name": f"Step {order}", "approverType": "user", "approverValue": f"@{who}"} | more


def by_security(order: int = 1, **more: Any) -> Body:
    """A step that any one of Ana, Ben and Cyd decides."""
    return {"order": order, "name": f"Step {order}", "approverType": "group", "approverValue": "@security"} | more


def error(answer: httpx.Response) -> tuple[int, str]:
    """Give status and code of an error, once its envelope is found right."""
    body = answer.json()
    assert set(body) == {"success", "error"}, body
    assert body["success"] is False
    assert set(body["error"]) <= {"code", "message", "details"}
    assert isinstance(body["error"]["message"], str)
    for detail in body["error"].get("details", []):
        assert set(detail) <= {"field", "message"}
    return answer.status_code, body["error"]["code"]


@asynccontextmanager
async def told(origin: Origin, clock: Clock, db: Database, tenant: UUID, elsewhere: UUID) -> AsyncIterator[Story]:
    """Put everybody into the database and connect them."""
    story = Story(origin, clock, db, tenant, elsewhere)
    await _fill(story, db)
    async with AsyncExitStack() as stack:
        transport = httpx.ASGITransport(app=origin)
        for who, key in {"": None, **story.keys}.items():
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            client = httpx.AsyncClient(transport=transport, base_url="http://quorate.test", headers=headers)
            story.callers[who] = await stack.enter_async_context(client)
        yield story


async def _fill(story: Story, db: Database) -> None:
    at, ids = datetime.now(UTC), story.ids
    async with db.tx([story.tenant]) as tx:
        for who in PEOPLE:
            await _user(tx, story.tenant, who, ids[who], at)
        await tx.run("UPDATE principal SET manager_id = $2 WHERE id = $1", ids["rhea"], ids["mona"])
        await tx.run(
            """INSERT INTO principal (tenant_id, id, kind, name, owner_id, permissions, created_at, updated_at)
               VALUES ($1, $2, 'service', 'bot', $3, '{workflow:write}', $4, $4)""",
            story.tenant,
            ids["bot"],
            ids["ben"],
            at,
        )
        await _role(tx, story.tenant, story.manager, "manager", (), [ids["ana"]], at)
        await _role(tx, story.tenant, story.auditors, "auditors", (), [], at)
        await _role(tx, story.tenant, uuid4(), "admins", ("admin",), [ids["ada"]], at)
        await _role(tx, story.tenant, uuid4(), "readers", ("workflow:read",), [ids["rita"]], at)
        await tx.run(
            "INSERT INTO user_group (tenant_id, id, name, created_at, updated_at) VALUES ($1, $2, 'Security', $3, $3)",
            story.tenant,
            story.security,
            at,
        )
        for who in ("ana", "ben", "cyd"):
            await tx.run("INSERT INTO group_member VALUES ($1, $2, $3)", story.tenant, story.security, ids[who])
        await tx.run(
            """INSERT INTO resource (tenant_id, id, type, name, created_at, updated_at)
               VALUES ($1, $2, 'database', 'prod', $3, $3)""",
            story.tenant,
            story.database,
            at,
        )
        for who in (*PEOPLE, "bot"):
            await _key(tx, story, story.tenant, who, at)
    async with db.tx([story.elsewhere]) as tx:
        await _user(tx, story.elsewhere, "olu", ids["olu"], at)
        await _role(tx, story.elsewhere, uuid4(), "admins", ("admin",), [ids["olu"]], at)
        await _key(tx, story, story.elsewhere, "olu", at)


async def _user(tx: Any, tenant: UUID, who: str, id: UUID, at: datetime) -> None:
    await tx.run(
        """INSERT INTO principal (tenant_id, id, kind, login, name, email, name_parts, password_hash, password_stamp,
                                  created_at, updated_at)
           VALUES ($1, $2, 'user', $3, $4, $3, $5, $6, $7, $8, $8)""",
        tenant,
        id,
        f"{who}@acme.example",
        who.capitalize(),
        b'{"firstName": "%s", "familyName": "Smith"}' % who.capitalize().encode(),
        _HASH,
        uuid4(),
        at,
    )


async def _role(
    tx: Any, tenant: UUID, id: UUID, name: str, permissions: Sequence[str], members: Sequence[UUID], at: datetime
) -> None:
    await tx.run(
        """INSERT INTO role (tenant_id, id, name, permissions, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $5)""",
        tenant,
        id,
        name,
        list(permissions),
        at,
    )
    for member in members:
        await tx.run("INSERT INTO role_member VALUES ($1, $2, $3)", tenant, id, member)


async def _key(tx: Any, story: Story, tenant: UUID, who: str, at: datetime) -> None:
    id = uuid4()
    story.keys[who] = mint(id)
    await tx.run(
        """INSERT INTO credential (tenant_id, id, principal_id, kind, secret_hash, created_at)
           VALUES ($1, $2, $3, 'key', $4, $5)""",
        tenant,
        id,
        story.ids[who],
        secret_hash(story.keys[who]),
        at,
    )
