"""Each surface as one small adapter: how people file, decide, withdraw and read there, and what its words mean in ours.

The words are written out here from design §6 and the vendors' contracts, not taken from the code under test.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final
from uuid import UUID, uuid4

import httpx
from msgspec import Struct

from tests.surfaces.native.story import Story

ACCESS, OPERATION = "access", "operation"
REASON: Final = "The quarter ends"
OPERATION_PATH: Final = "vault/rotate"
THING: Final = "environment"
HIDDEN: Final = "hidden"
"""What a surface shows of a request that it does not show."""


class Asked(Struct, frozen=True):
    """A request: where it was filed, what of, and which thing it is about."""

    id: str
    face: str
    kind: str
    thing: UUID
    task: str = ""


class Seen(Struct, frozen=True):
    """What a surface says of a request, in our words. None: it says nothing of this."""

    status: str
    asker: str | None = None
    reason: str | None = None
    by: str | None = None
    note: str | None = None
    what: tuple[str, ...] = ()


class Face:
    """One surface."""

    name: ClassVar[str]
    files: ClassVar[str | None] = None  # which kind of request can be filed there
    knows: ClassVar[frozenset[str]] = frozenset({ACCESS, OPERATION})  # which kinds are shown there
    words: ClassVar[Mapping[str, str]]  # its words for how a request stands
    hides: ClassVar[frozenset[str]] = frozenset()  # what it has no word for
    may_cancel: ClassVar[str] = "rhea"
    names_who_cancels: ClassVar[bool] = False

    def __init__(self, story: Story) -> None:
        self.story = story
        self.people = {str(id): name for name, id in story.ids.items()}

    async def send(self, who: str, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = self.headers(who)
        if body is None:
            return await self.story.callers[who].request(method, path, headers=headers)
        return await self.story.callers[who].request(method, path, json=body, headers=headers)

    def headers(self, who: str) -> dict[str, str]:
        return {}

    async def ask(self, who: str, thing: UUID, reason: str) -> str:
        raise NotImplementedError

    async def approve(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        raise NotImplementedError

    async def reject(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        raise NotImplementedError

    async def cancel(self, who: str, asked: Asked) -> httpx.Response:
        raise NotImplementedError

    async def read(self, who: str, asked: Asked) -> httpx.Response:
        raise NotImplementedError

    def seen(self, body: Any, asked: Asked) -> Seen:
        raise NotImplementedError

    def names(self, asked: Asked) -> tuple[str, ...]:
        """Say what it calls what was asked for. Source: design §6."""
        raise NotImplementedError

    def tells(self, asked: Asked, status: str, by: str | None, note: str | None) -> Seen:
        """Say what it must show of a request that Rhea filed and that `by` ended. Most do not name who withdraws it."""
        if asked.kind not in self.knows or status in self.hides:
            return Seen(HIDDEN)
        if status == "cancelled" and not self.names_who_cancels:
            by = None
        return Seen(status, "rhea", REASON, by, note, self.names(asked))

    async def look(self, who: str, asked: Asked) -> Seen:
        """Read it, or find that it is not shown."""
        answer = await self.read(who, asked)
        if answer.status_code == 404:
            return Seen(HIDDEN)
        assert answer.status_code == 200, answer.text
        return self.seen(answer.json(), asked)

    def person(self, id: Any) -> str | None:
        return None if id is None else self.people[id]


class Native(Face):
    name = "native"
    files = ACCESS
    names_who_cancels = True
    words: ClassVar = {one: one for one in ("pending", "approved", "rejected", "expired", "cancelled")}

    async def ask(self, who: str, thing: UUID, reason: str) -> str:
        body = {"resourceType": "resource", "resourceId": str(thing), "justification": reason}
        return str((await self.story.post(who, "/access-requests", body, 201))["id"])

    async def ask_operation(self, who: str, thing: UUID, reason: str) -> str:
        body = {"method": "POST", "path": OPERATION_PATH, "body": {"key": str(thing)}, "description": reason}
        return str((await self.story.post(who, "/operations", body, 201))["id"])

    async def approve(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        return await self._decide(who, asked, "approve", note)

    async def reject(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        return await self._decide(who, asked, "reject", note)

    async def _decide(self, who: str, asked: Asked, decision: str, note: str | None) -> httpx.Response:
        body = {"decision": decision} | ({"note": note} if note else {})
        return await self.send(who, "POST", f"/api/v1/approvals/{asked.task}/decide", body)

    async def cancel(self, who: str, asked: Asked) -> httpx.Response:
        return await self.send(who, "POST", f"{self._path(asked)}/cancel")

    async def read(self, who: str, asked: Asked) -> httpx.Response:
        return await self.send(who, "GET", self._path(asked))

    def seen(self, body: Any, asked: Asked) -> Seen:
        one = body["data"]
        if asked.kind == OPERATION:
            what: tuple[str, ...] = (one["method"], one["path"])
            return Seen(self.words[one["status"]], self.person(one["requesterId"]), one["description"], what=what)
        return Seen(
            self.words[one["status"]],
            self.person(one["requesterId"]),
            one["justification"],
            self.person(one["decidedBy"]),
            one["decisionNote"],
            (one["resourceType"], one["resourceId"], one["resourceName"]),
        )

    def names(self, asked: Asked) -> tuple[str, ...]:
        if asked.kind == OPERATION:
            return "POST", OPERATION_PATH
        return "resource", str(asked.thing), f"Vault {asked.thing}"

    def tells(self, asked: Asked, status: str, by: str | None, note: str | None) -> Seen:
        if asked.kind == OPERATION:
            by = note = None  # Of operations the executions say this.
        return super().tells(asked, status, by, note)

    def _path(self, asked: Asked) -> str:
        return f"/api/v1/{'access-requests' if asked.kind == ACCESS else 'operations'}/{asked.id}"


class Jitsudo(Face):
    name = "jitsudo"
    files = ACCESS
    knows = frozenset({ACCESS})
    words: ClassVar = {
        "pending": "pending",
        "approved": "approved",
        "denied": "rejected",
        "expired": "expired",
        "cancelled": "cancelled",
    }

    def headers(self, who: str) -> dict[str, str]:
        return {"X-Tenant-ID": str(self.story.elsewhere if who == "olu" else self.story.tenant)}

    async def ask(self, who: str, thing: UUID, reason: str) -> str:
        resource = {"type": THING, "id": external(thing)}
        body = {"resource": resource, "action": "request_access", "reason": reason}
        answer = await self.send(who, "POST", "/v1/requests", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def approve(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        return await self.send(who, "POST", f"/v1/requests/{asked.id}/approve", {"reasoning": note} if note else None)

    async def reject(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        return await self.send(who, "POST", f"/v1/requests/{asked.id}/deny", {"reasoning": note} if note else None)

    async def cancel(self, who: str, asked: Asked) -> httpx.Response:
        return await self.send(who, "POST", f"/v1/requests/{asked.id}/cancel")

    async def read(self, who: str, asked: Asked) -> httpx.Response:
        return await self.send(who, "GET", f"/v1/requests/{asked.id}")

    def seen(self, body: Any, asked: Asked) -> Seen:
        return Seen(
            self.words[body["status"]],
            self.person(body["requester_id"]),
            body["reason"],
            self.person(body["decided_by"]),
            body["decision_reasoning"],
            (body["resource"]["type"], body["resource"]["id"], body["action"]),
        )

    def names(self, asked: Asked) -> tuple[str, ...]:
        return THING, external(asked.thing), "request_access"


class Fortanix(Face):
    name = "fortanix"
    files = OPERATION
    words: ClassVar = {"PENDING": "pending", "APPROVED": "approved", "DENIED": "rejected"}
    hides = frozenset({"expired", "cancelled"})

    async def ask(self, who: str, thing: UUID, reason: str) -> str:
        body = {"operation": OPERATION_PATH, "body": {"key": str(thing)}, "description": reason}
        answer = await self.send(who, "POST", REQUESTS, body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["request_id"])

    async def approve(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        return await self.send(who, "POST", f"{REQUESTS}/{asked.id}/approve")  # It has no place for a note.

    async def reject(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        return await self.send(who, "POST", f"{REQUESTS}/{asked.id}/deny", {"reason": note} if note else None)

    async def cancel(self, who: str, asked: Asked) -> httpx.Response:
        return await self.send(who, "DELETE", f"{REQUESTS}/{asked.id}")

    async def read(self, who: str, asked: Asked) -> httpx.Response:
        return await self.send(who, "GET", f"{REQUESTS}/{asked.id}")

    def seen(self, body: Any, asked: Asked) -> Seen:
        deciders = [*body["approvers"], *([body["denier"]] if "denier" in body else [])]
        return Seen(
            self.words[body["status"]],
            self.person(body["requester"]["user"]),
            body["description"],
            self.person(deciders[-1]["user"] if deciders else None),
            body["denial_reason"],
            (body["method"], body["operation"]),
        )

    def names(self, asked: Asked) -> tuple[str, ...]:
        return "POST", OPERATION_PATH if asked.kind == OPERATION else f"access/resource/{asked.thing}"

    def tells(self, asked: Asked, status: str, by: str | None, note: str | None) -> Seen:
        return super().tells(asked, status, by, note if status == "rejected" else None)


class Sailpoint(Face):
    """The current layouts: nothing is filed there."""

    name = "sailpoint"
    words: ClassVar = {one.upper(): one for one in ("pending", "approved", "rejected", "expired", "cancelled")}
    may_cancel = "ada"  # Source: SailPoint contract §4: cancelling is an administrator's.

    async def approve(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        return await self.send(who, "POST", f"{APPROVALS}/{asked.id}/approve", {"comment": note} if note else None)

    async def reject(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        return await self.send(who, "POST", f"{APPROVALS}/{asked.id}/reject", {"comment": note} if note else None)

    async def cancel(self, who: str, asked: Asked) -> httpx.Response:
        return await self.send(who, "POST", f"{APPROVALS}/{asked.id}/cancel")

    async def read(self, who: str, asked: Asked) -> httpx.Response:
        """Read it in the current shape; the first one, of three words, must say the same."""
        answer = await self.send(who, "GET", f"{APPROVALS}/{asked.id}")
        first = await self.send(who, "GET", f"/generic-approvals/{asked.id}")
        assert first.status_code == answer.status_code
        if answer.status_code == 200:
            now, then = answer.json(), first.json()
            over = ("EXPIRED", "CANCELLED")
            assert then["status"] == ("REJECTED" if now["status"] in over else now["status"])
            assert (then["approvalId"], then["type"]) == (now["id"], now["type"])
            for by in ("approvedBy", "rejectedBy"):
                assert [one["id"] for one in then[by]] == [one["identityID"] for one in now[by]]
        return answer

    def seen(self, body: Any, asked: Asked) -> Seen:
        deciders = [one["identityID"] for one in (*body["approvedBy"], *body["rejectedBy"])]
        comments = [one["comment"] for one in body["comments"]]
        return Seen(
            self.words[body["status"]],
            self.person(body["requester"]["identityID"]),
            next((one["value"] for one in body["description"]), None),
            self.person(deciders[-1] if deciders else None),
            comments[-1] if comments else None,
            (body["type"], *(one["id"] for one in body["requestedTarget"])),
        )

    def names(self, asked: Asked) -> tuple[str, ...]:
        if asked.kind == OPERATION:
            return ("GENERIC_APPROVAL",)
        return "ACCESS_REQUEST_APPROVAL", str(asked.thing)


class Britive(Face):
    name = "britive"
    files = ACCESS
    knows = frozenset({ACCESS})
    words: ClassVar = {
        "PENDING": "pending",
        "APPROVED": "approved",
        "REJECTED": "rejected",
        "TIMEOUT": "expired",
        "CANCELLED": "cancelled",
    }

    async def ask(self, who: str, thing: UUID, reason: str) -> str:
        path = f"/api/access/{PROFILE}/environments/{external(thing)}/approvalRequest"
        answer = await self.send(who, "POST", path, {"justification": reason})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["requestId"])

    async def approve(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        return await self._decide(who, asked, "yes", note)

    async def reject(self, who: str, asked: Asked, note: str | None = None) -> httpx.Response:
        return await self._decide(who, asked, "no", note)

    async def _decide(self, who: str, asked: Asked, word: str, note: str | None) -> httpx.Response:
        body = {"approverComment": note} if note else None
        return await self.send(who, "PATCH", f"/api/v1/approvals/{asked.id}?approveRequest={word}", body)

    async def cancel(self, who: str, asked: Asked) -> httpx.Response:
        return await self.send(who, "DELETE", f"/api/v1/approvals/{asked.id}")

    async def read(self, who: str, asked: Asked) -> httpx.Response:
        return await self.send(who, "GET", f"/api/v1/approvals/{asked.id}")

    def seen(self, body: Any, asked: Asked) -> Seen:
        assert body["overallStatus"] == body["status"]
        by = body.get("actionBy")
        return Seen(
            self.words[body["status"]],
            _person(body["userId"]),
            body["justification"],
            None if by is None else _person(by),
            body.get("approverComment") or None,
            (body["consumer"], body["resource"], body["action"]),
        )

    def names(self, asked: Asked) -> tuple[str, ...]:
        return "papservice", f"{PROFILE}/{external(asked.thing)}", "papservice.profile.access"


REQUESTS: Final = "/sys/v1/approval_requests"
APPROVALS: Final = "/generic-approvals/v1"
PROFILE: Final = "vaults"
FACES: Final[tuple[type[Face], ...]] = (Native, Britive, Jitsudo, Sailpoint, Fortanix)


def external(thing: UUID) -> str:
    """Name a thing as the systems around us do."""
    return f"env-{thing.hex}"


def _person(login: str) -> str:
    """Name who signs in so, in the story."""
    return login.partition("@")[0]


def absent(asked: Asked) -> Asked:
    """Name a request of the same kind that there is not."""
    return Asked(str(uuid4()), asked.face, asked.kind, asked.thing, str(uuid4()))
