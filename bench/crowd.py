"""A crowd that calls a server all at once, and remembers every call and every answer.

Each call that changes something carries words of its own into the history, so that it can be counted there, and an
`Idempotency-Key` where the API takes one. A call without an answer is repeated, word for word, when the server is back.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import UUID, uuid4

import httpx

Body = dict[str, Any]

SILENT: Final = 0  # The status of a call without an answer.
TIMEOUT_S: Final = 20.0
ROLES, GROUPS, RESOURCES = 40, 40, 40
ASKERS: Final = tuple(f"asker{number}" for number in range(10))
APPROVERS: Final = ("ana", "ben", "cyd")


@dataclass
class Deed:
    """One call that changes something. `statuses`: what each try was answered, SILENT where there was no answer."""

    who: str
    what: str
    path: str
    body: Body
    words: str
    key: str | None
    statuses: list[int] = field(default_factory=list)
    answer: Any = None
    was_replayed: bool = False

    @property
    def is_done(self) -> bool:
        """Whether a try was answered yes."""
        return bool(self.statuses) and 200 <= self.statuses[-1] < 300

    @property
    def is_refused(self) -> bool:
        return bool(self.statuses) and 400 <= self.statuses[-1] < 500 and self.statuses[-1] != 429

    @property
    def is_open(self) -> bool:
        """Whether nobody knows yet what became of it."""
        return not self.is_done and not self.is_refused


class People:
    """Who calls: by name their id, their key and their tenant."""

    def __init__(self, seed: int) -> None:
        draw = Random(seed)
        names = (*ASKERS, *APPROVERS, "mona", "ada", "olu", "pia", "opal")
        self.ids = {name: UUID(int=draw.getrandbits(128), version=4) for name in names}
        self.keys = {name: f"crash-{name}-{draw.getrandbits(96):x}" for name in names}
        self.tenants = {name: UUID(int=draw.getrandbits(128), version=4) for name in ("acme", "olympia")}
        self.things = {
            kind: [str(UUID(int=draw.getrandbits(128), version=4)) for _ in range(number)]
            for kind, number in (("role", ROLES), ("group", GROUPS), ("resource", RESOURCES))
        }
        self.theirs = [str(UUID(int=draw.getrandbits(128), version=4)) for _ in range(ROLES)]

    def tenant(self, who: str) -> UUID:
        return self.tenants["olympia" if who in ("olu", "pia", "opal") else "acme"]

    def declared(self) -> Body:
        """The file that `quorate apply` reads: two tenants, short deadlines, access for two seconds."""
        security = {"order": 1, "name": "Security", "approverType": "group", "approverValue": "Security"}
        two = {"n": 2, "members": [{"user": f"{name}@acme.example"} for name in APPROVERS]}
        late = {"escalateTo": {"approverType": "user", "approverValue": "ada@acme.example"}, "onTimeout": "escalate"}
        acme = {
            "slug": "acme",
            "name": "Acme",
            "id": str(self.tenants["acme"]),
            "roles": [{"name": "admins", "permissions": ["admin"]}, *_named("role", self.things["role"])],
            "groups": [{"name": "Security"}, *_named("group", self.things["group"])],
            "users": [
                *(self._user(name, "acme") for name in (*ASKERS, "mona")),
                *(self._user(name, "acme", groups=["Security"]) for name in APPROVERS),
                self._user("ada", "acme", roles=["admins"]),
            ],
            "resources": [{**one, "type": "database"} for one in _named("resource", self.things["resource"])],
            "workflows": [
                {"name": "Roles", "resourceTypes": ["role"], "steps": [security, _step(2, quorum=two)]},
                {"name": "Groups", "resourceTypes": ["group"], "steps": [{**security, "timeoutSeconds": 2}]},
                {"name": "Things", "resourceTypes": ["resource"], "steps": [{**security, **late, "timeoutSeconds": 1}]},
            ],
            "policies": [
                {"name": "short", "defaultDurationSeconds": 2, "cedar": "permit(principal, action, resource);"}
            ],
        }
        olympia = {
            "slug": "olympia",
            "name": "Olympia",
            "id": str(self.tenants["olympia"]),
            "roles": [{"name": "admins", "permissions": ["admin"]}, *_named("role", self.theirs)],
            "users": [
                self._user("olu", "olympia", roles=["admins"]),
                self._user("pia", "olympia"),
                self._user("opal", "olympia"),
            ],
            "workflows": [
                {"name": "Anything", "steps": [_step(1, approverType="user", approverValue="pia@olympia.example")]}
            ],
        }
        return {"tenants": [acme, olympia]}

    def _user(self, name: str, tenant: str, **more: Any) -> Body:
        key = {"name": "crash", "secret": self.keys[name]}
        login = f"{name}@{tenant}.example"
        return {"login": login, "name": name.title(), "id": str(self.ids[name]), "keys": [key], **more}


def _named(kind: str, ids: list[str]) -> list[Body]:
    return [{"name": f"{kind} {number}", "id": id} for number, id in enumerate(ids)]


def _step(order: int, **more: Any) -> Body:
    return {"order": order, "name": f"Step {order}", "timeoutHours": 48, **more}


class Crowd:
    """Calls until told to stop. What it has asked for and seen, it goes on with after a restart.

    `deeds` is the journal, in the order in which the calls were first made. `trouble`: what was known to be there and
    could not be read.
    """

    def __init__(self, people: People, seed: int) -> None:
        self.people = people
        self.deeds: list[Deed] = []
        self.trouble: list[str] = []
        self._draw = Random(seed)
        self._requests: dict[str, list[str]] = {"acme": [], "olympia": []}
        self._stopped = asyncio.Event()

    async def call(self, url: str) -> None:
        """Everybody calls, each one call after the other, until `stop`."""
        self._stopped.clear()
        async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False) as http:
            work: list[tuple[str, Callable[[httpx.AsyncClient, str], Any]]] = [
                *((name, self._asks) for name in (*ASKERS[:5], "opal")),
                *((name, self._decides) for name in (*APPROVERS, "pia")),
                ("ada", self._administers),
            ]
            await asyncio.gather(*(self._keeps_at_it(http, name, does) for name, does in work))

    def stop(self) -> None:
        """Let everybody finish the call they are at."""
        self._stopped.set()

    async def repeat(self, url: str, deeds: list[Deed]) -> None:
        """Make calls that have no answer again, a few at a time."""
        async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False) as http:
            await asyncio.gather(*(self._try(http, deed) for deed in deeds))

    async def _keeps_at_it(
        self, http: httpx.AsyncClient, who: str, does: Callable[[httpx.AsyncClient, str], Any]
    ) -> None:
        while not self._stopped.is_set():
            answered = True
            with suppress(httpx.TransportError, _NoAnswer):
                answered = False
                await does(http, who)
                answered = True
            if not answered:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), 0.05)

    async def _asks(self, http: httpx.AsyncClient, who: str) -> None:
        known = self._requests["olympia" if who == "opal" else "acme"]
        match self._draw.randrange(10):
            case 0 if known:
                await self._do(http, who, "cancel", f"/access-requests/{self._draw.choice(known)}/cancel", "reason")
            case 1 if known:
                await self._do(http, who, "comment", f"/access-requests/{self._draw.choice(known)}/comments", "text")
            case 2:
                await self._gives_back(http, who)
            case _:
                kind = "role" if who == "opal" else self._draw.choice(("role", "group", "resource"))
                things = self.people.theirs if who == "opal" else self.people.things[kind]
                asker = who if who == "opal" else self._draw.choice(ASKERS)
                thing = self._draw.choice(things)
                deed = await self._do(
                    http, asker, "file", "/access-requests", "justification", resourceType=kind, resourceId=thing
                )
                if deed.is_done:
                    known.append(deed.answer["data"]["id"])
                    del known[:-60]

    async def _decides(self, http: httpx.AsyncClient, who: str) -> None:
        tasks = (await self._read(http, who, "/approvals/pending?limit=50"))["approvals"]
        if not tasks:
            await asyncio.sleep(0.02)
        for task in self._draw.sample(tasks, min(3, len(tasks))):
            if self._draw.random() < 0.08 and who != "pia":
                to = str(self.people.ids["mona"])
                await self._do(http, who, "reassign", f"/approvals/{task['id']}/reassign", "note", to=to)
            else:
                choice = "approve" if self._draw.random() < 0.8 else "reject"
                await self._do(http, who, "decide", f"/approvals/{task['id']}/decide", "note", decision=choice)

    async def _administers(self, http: httpx.AsyncClient, who: str) -> None:
        known = self._requests["acme"]
        if not known:
            return await asyncio.sleep(0.02)
        request = self._draw.choice(known)
        if self._draw.random() < 0.3:
            await self._read(http, who, f"/access-requests/{request}")
        elif self._draw.random() < 0.7:
            await self._do(http, who, "override", f"/access-requests/{request}/approve", "note")
        else:
            await self._do(http, who, "override", f"/access-requests/{request}/reject", "reason")
        return None

    async def _gives_back(self, http: httpx.AsyncClient, who: str) -> None:
        grants = (await self._read(http, who, "/grants?status=active&limit=20"))["grants"]
        if grants:
            path = f"/grants/{self._draw.choice(grants)['id']}/revoke"
            await self._do(http, who, "revoke", path, "reason", is_keyed=False)

    async def _read(self, http: httpx.AsyncClient, who: str, path: str) -> Any:
        answer = await http.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {self.people.keys[who]}"})
        if answer.status_code != 200:
            if answer.status_code != 503:
                self.trouble.append(f"{who} reads {path} and is answered {answer.status_code}")
            raise _NoAnswer
        return answer.json()["data"]

    async def _do(
        self, http: httpx.AsyncClient, who: str, what: str, path: str, says: str, *, is_keyed: bool = True, **body: Any
    ) -> Deed:
        """Make a call that changes something. `says` is where in the body its words stand."""
        words = f"words {uuid4()}"
        deed = Deed(who, what, path, {**body, says: words}, words, str(uuid4()) if is_keyed else None)
        self.deeds.append(deed)
        await self._try(http, deed)
        if deed.is_open:
            raise _NoAnswer
        return deed

    async def _try(self, http: httpx.AsyncClient, deed: Deed) -> None:
        headers = {"Authorization": f"Bearer {self.people.keys[deed.who]}"}
        if deed.key is not None:
            headers["Idempotency-Key"] = deed.key
        deed.statuses.append(SILENT)
        try:
            answer = await http.post(f"/api/v1{deed.path}", json=deed.body, headers=headers)
        except httpx.TransportError:
            return
        deed.statuses[-1] = answer.status_code
        if answer.status_code == 503 and "retry-after" not in answer.headers:
            self.trouble.append(f"{deed.who} is told to try again, and not when")
        deed.was_replayed = "idempotency-replayed" in answer.headers
        deed.answer = answer.json()


class _NoAnswer(Exception):
    """The server gave none, or said to come again."""
