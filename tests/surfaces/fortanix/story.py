"""One tenant as an operator writes it down, Olu in another, and all of them calling as the vendor's clients do.

Rhea asks; Ana, Ben, Cyd and the app `signer` are the custodians of the contract's example: Ana, one of Ben and Cyd, and
the app, of whom two must approve. Ada is an administrator, Rita an auditor; Olu is another tenant's administrator.
"""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

import httpx

from quorate.app.declare import Order, RequestToFile, apply, parse
from quorate.app.verify import Passwords
from quorate.settings import Settings
from quorate.store.database import Database
from quorate.surfaces.http.origin import Origin
from tests.app.directory import CHEAP, PASSWORD, SEALER, Clock

PEOPLE: Final = ("rhea", "ana", "ben", "cyd", "ada", "rita", "olu")
SETTINGS: Final = Settings(signin_per_login=0, signin_per_address=0, allow_private_targets=True)
REQUESTS: Final = "/sys/v1/approval_requests"
SIGN: Final = {"operation": "crypto/v1/sign", "body": {"hash": "c2hhMjU2"}, "description": "The release of May"}

_HASH = CHEAP.hash(PASSWORD)


class Story:
    """The people and how they call. `clock` is the server's."""

    def __init__(self, origin: Origin, clock: Clock, owner: Database) -> None:
        self.origin, self.clock, self.owner = origin, clock, owner
        self.mark = uuid4().hex[:12]  # The database is shared, and logins are looked up across tenants.
        self.ids = {name: uuid4() for name in (*PEOPLE, "signer", "helper")}
        self.keys = {name: f"key-of-{name}-{uuid4().hex}" for name in self.ids}
        self.tenant, self.elsewhere, self.vault, self.auditors = uuid4(), uuid4(), uuid4(), uuid4()
        self.passwords = Passwords(CHEAP)
        self.client: httpx.AsyncClient

    def login(self, who: str) -> str:
        return f"{who}-{self.mark}@acme.example"

    def api_key(self, who: str) -> str:
        """An app's API key, as the vendor's clients take it."""
        return base64.b64encode(f"{self.ids[who]}:{self.keys[who]}".encode()).decode()

    def credential(self, who: str) -> str:
        return f"Basic {self.api_key(who)}" if who in ("signer", "helper") else f"Bearer {self.keys[who]}"

    async def call(
        self, who: str | None, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Call as somebody; None: as nobody."""
        said = {"Authorization": self.credential(who)} if who else {}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return await self.client.request(method, path, content=content, headers=said | (headers or {}))

    async def ask(self, who: str = "rhea", **more: Any) -> dict[str, Any]:
        """Ask for a signature to be made."""
        answer = await self.call(who, "POST", REQUESTS, SIGN | more)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def read(self, who: str, id: str) -> dict[str, Any]:
        answer = await self.call(who, "GET", f"{REQUESTS}/{id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def approve(self, who: str, id: str, body: Any = None) -> httpx.Response:
        return await self.call(who, "POST", f"{REQUESTS}/{id}/approve", body)

    async def deny(self, who: str, id: str, body: Any = None) -> httpx.Response:
        return await self.call(who, "POST", f"{REQUESTS}/{id}/deny", body)

    async def listed(self, who: str, query: str = "") -> list[str]:
        """The ids of a list."""
        answer = await self.call(who, "GET", f"{REQUESTS}{query}")
        assert answer.status_code == 200, answer.text
        return [one["request_id"] for one in answer.json()]

    async def apply(self, *, tenant: UUID | None = None, **sections: Any) -> None:
        """Bring a tenant to what an operator's file says."""
        here = tenant or self.tenant
        entry = {"slug": f"t-{here}", "id": str(here), **sections}
        await self.apply_text(json.dumps({"tenants": [entry]}, default=str))

    async def apply_text(self, text: str) -> None:
        file = parse(text, "tenant.yaml")
        await apply(
            self.owner, file, Order(at=datetime.now(UTC), passwords=self.passwords, seal=lambda: SEALER), _no_request
        )

    def user(self, who: str, **more: Any) -> dict[str, Any]:
        return {
            "login": self.login(who),
            "id": self.ids[who],
            "name": who.capitalize(),
            "passwordHash": _HASH,
            "keys": [{"name": "test", "secret": self.keys[who]}],
            **more,
        }

    def service(self, who: str, **more: Any) -> dict[str, Any]:
        return {"name": who, "id": self.ids[who], "keys": [{"name": "test", "secret": self.keys[who]}], **more}

    def workflow(self, name: str, quorum: dict[str, Any], **more: Any) -> dict[str, Any]:
        step = {"order": 1, "name": name, "quorum": quorum, "timeoutHours": 8760, **more}
        return {"name": name, "status": "active", "resourceTypes": ["operation"], "steps": [step]}

    @property
    def custodians(self) -> dict[str, Any]:
        """The nested quorum of the contract's §3."""
        either = {"n": 1, "members": [{"user": self.login("ben")}, {"user": self.login("cyd")}]}
        members = [{"user": self.login("ana")}, either, {"service": "signer"}]
        return {"n": 2, "overlap": True, "members": members}

    def everything(self) -> dict[str, Any]:
        return {
            "roles": [
                {"name": "admins", "permissions": ["admin"]},
                {"name": "keepers", "permissions": ["audit:read"]},
                {"name": "auditors", "id": self.auditors},
            ],
            "users": [
                *(self.user(who) for who in ("rhea", "ana", "ben", "cyd")),
                self.user("ada", roles=["admins"]),
                self.user("rita", roles=["keepers"]),
            ],
            "services": [self.service("signer"), self.service("helper", owner=self.login("rhea"))],
            "resources": [{"name": "vault", "type": "vault", "id": self.vault}],
            "workflows": [
                self.workflow("Custodians", self.custodians),
                {
                    "name": "Access",
                    "status": "active",
                    "resourceTypes": ["role"],
                    "steps": [{"order": 1, "name": "Ana", "approverType": "user", "approverValue": self.login("ana")}],
                },
            ],
            "operations": [
                self.operation("crypto/v1/sign", "Custodians", {"status": 200, "body": {"signature": "c2ln"}}),
                self.operation("crypto/v1/fail", "Custodians", {"status": 422, "body": "the key is disabled"}),
            ],
        }

    def operation(self, path: str, workflow: str, reply: dict[str, Any], **more: Any) -> dict[str, Any]:
        """An operation that answers something fixed when it is approved."""
        execute = {"reply": reply}
        return {"method": "POST", "path": path, "workflow": workflow, "resource": "vault", "execute": execute} | more


async def _no_request(_: RequestToFile) -> None:
    raise AssertionError("the file names no request")


@asynccontextmanager
async def told(origin: Origin, clock: Clock, owner: Database) -> AsyncIterator[Story]:
    """Apply the files and connect everybody."""
    story = Story(origin, clock, owner)
    await story.apply(**story.everything())
    admins = [{"name": "admins", "permissions": ["admin"]}]
    await story.apply(tenant=story.elsewhere, roles=admins, users=[story.user("olu", roles=["admins"])])
    async with AsyncExitStack() as stack:
        transport = httpx.ASGITransport(app=origin)
        client = httpx.AsyncClient(transport=transport, base_url="http://quorate.test")
        story.client = await stack.enter_async_context(client)
        yield story
    story.passwords.close()
