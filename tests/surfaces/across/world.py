"""The people of the native story before all surfaces at once: Ana decides whatever Rhea asks for, wherever she asks."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec

from tests.authenticator import SETTINGS as KEYS
from tests.surfaces.across.faces import (
    FACES,
    OPERATION,
    OPERATION_PATH,
    PROFILE,
    REASON,
    THING,
    Asked,
    Face,
    Native,
    external,
)
from tests.surfaces.native.operating import protect
from tests.surfaces.native.story import Body, Story, by


class Written(NamedTuple):
    """An event as it is kept: what happened, who did it, where, and what else is said of it."""

    type: str
    actor: str | None
    surface: str | None
    body: Body


class World:
    """What can be asked for, the surfaces, and what is kept of a request."""

    def __init__(self, story: Story) -> None:
        self.story, self.clock = story, story.clock
        self.faces = {one.name: one(story) for one in FACES}
        self.profile = uuid4()

    async def settle(self, *steps: Body) -> "World":
        """Have Ana, or these steps, decide everything; let the policies permit it, with approval."""
        settings = {"jitsudo": {"resourceTypes": [THING]}, "webauthn": KEYS}
        async with self.story.db.tx([self.story.tenant]) as tx:
            said = msgspec.json.encode(settings)
            await tx.run("UPDATE tenant SET settings = $2 WHERE id = $1", self.story.tenant, said)
        await self._resource(self.profile, "profile", "Vaults", PROFILE, None)
        self.workflow = await self.story.workflow(*(steps or [by("ana")]))
        reply = {"reply": {"status": 200, "body": {"done": True}}}
        await protect(self.story, "POST", OPERATION_PATH, reply, self.workflow)
        policy = {"name": "base", "cedar": "permit(principal, action, resource);", "maxDurationSeconds": 14_400}
        await self.story.post("ada", "/policies", policy, 201)
        return self

    async def thing(self) -> UUID:
        """Put a new thing into the directory. Every surface that knows access can ask for it."""
        thing = uuid4()
        await self._resource(thing, THING, f"Vault {thing}", external(thing), self.profile)
        return thing

    async def _resource(self, id: UUID, type: str, name: str, external_id: str, parent: UUID | None) -> None:
        async with self.story.db.tx([self.story.tenant]) as tx:
            await tx.run(
                """INSERT INTO resource (tenant_id, id, type, name, external_id, parent_id, created_at, updated_at)
                   VALUES ($1, $2, $3, $4, $5, $6, now(), now())""",
                self.story.tenant,
                id,
                type,
                name,
                external_id,
                parent,
            )

    async def rename(self, thing: UUID) -> None:
        """Have an administrator call something otherwise; what it is called at first is known by its id."""
        name = f"Renamed {uuid4()}"
        answer = await self.story.callers["ada"].put(f"/api/v1/resources/{thing}", json={"name": name})
        assert answer.status_code == 200, answer.text

    async def have_operations_be_about(self, thing: UUID) -> None:
        async with self.story.db.tx([self.story.tenant]) as tx:
            await tx.run("UPDATE operation SET resource_id = $2 WHERE tenant_id = $1", self.story.tenant, thing)

    async def ask(self, face: str, kind: str, who: str = "rhea") -> Asked:
        """File a request about a thing of its own, ten seconds after the last."""
        self.clock.passes(seconds=10)
        thing, surface = await self.thing(), self.faces[face]
        if isinstance(surface, Native) and kind == OPERATION:
            id = await surface.ask_operation(who, thing, REASON)
        else:
            id = await surface.ask(who, thing, REASON)
        return Asked(id, face, kind, thing, await self.task(id))

    def knowing(self, kind: str) -> list[Face]:
        """Name the surfaces that know requests of a kind."""
        return [face for face in self.faces.values() if kind in face.knows]

    async def again(self, asked: Asked) -> Asked:
        """Find a request again when its next step is open."""
        return Asked(asked.id, asked.face, asked.kind, asked.thing, await self.task(asked.id))

    async def task(self, id: str) -> str:
        """Find the newest task of a request."""
        async with self.story.db.tx([self.story.tenant]) as tx:
            rows = await tx.all(
                "SELECT id FROM task WHERE tenant_id = $1 AND request_id = $2 ORDER BY step_index DESC LIMIT 1",
                self.story.tenant,
                UUID(id),
            )
        return str(rows[0]["id"])

    async def history(self, asked: Asked) -> list[Written]:
        """Tell what is written down."""
        async with self.story.db.tx([self.story.tenant]) as tx:
            rows = await tx.all(
                """SELECT type, actor_id, surface, body FROM event
                    WHERE tenant_id = $1 AND subject_id = $2 ORDER BY seq""",
                self.story.tenant,
                UUID(asked.id),
            )
        return [
            Written(row["type"], self._name(row["actor_id"]), row["surface"], msgspec.json.decode(row["body"]))
            for row in rows
        ]

    async def executions(self, asked: Asked) -> list[tuple[Any, ...]]:
        """Tell the history as the native API does."""
        found = await self.story.get("ada", f"/workflow-instances/{asked.id}/executions")
        return [
            (one["event"], one["step"], one["actorId"] and self._name(UUID(one["actorId"])), one["note"])
            for one in found["executions"]
        ]

    async def given(self, asked: Asked) -> tuple[int, int]:
        """Count the grants that a request has led to, and how often it is carried out."""
        async with self.story.db.tx([self.story.tenant]) as tx:
            rows = await tx.all(
                """SELECT (SELECT count(*) FROM access_grant
                            WHERE tenant_id = $1 AND request_id = $2 AND principal_id = $3) AS grants,
                          (SELECT count(*) FROM execution WHERE tenant_id = $1 AND request_id = $2) AS executions""",
                self.story.tenant,
                UUID(asked.id),
                self.story.ids["rhea"],
            )
        return rows[0]["grants"], rows[0]["executions"]

    def _name(self, id: UUID | None) -> str | None:
        return None if id is None else next(name for name, one in self.story.ids.items() if one == id)


def filings() -> Iterator[tuple[str, str]]:
    """Name everywhere that something can be filed, and what."""
    for face in FACES:
        if face.files is not None:
            yield face.name, face.files
    yield Native.name, OPERATION
