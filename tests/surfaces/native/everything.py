"""One of each thing there is in the story's tenant, so that a test can call every route of the table with real ids."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import msgspec

from quorate.store.database import Database
from quorate.surfaces.http.surface import Route
from quorate.surfaces.native import examples
from quorate.surfaces.native.api import surface
from tests.app.directory import a_key
from tests.surfaces.native.operating import asked, protect
from tests.surfaces.native.story import Story, by

ROUTES: tuple[Route[Any], ...] = surface(None).routes  # type: ignore[arg-type]  # Nobody is called.
MARK = "Xanadu"  # Stands in all that is written in the story's tenant and could be read.

# Which table's id stands in a path below this word, or under this name.
KINDS: Mapping[str, str] = {
    "users": "principal",
    "services": "service",
    "roles": "role",
    "groups": "user_group",
    "resources": "resource",
    "workflows": "workflow",
    "workflow-instances": "request",
    "access-requests": "request",
    "approvals": "task",
    "operations": "asked_operation",
    "grants": "access_grant",
    "delegations": "delegation",
    "events": "event",
    "webhooks": "webhook",
    "deliveries": "outbox",
    "policies": "policy",
    "keys": "credential",
    "members": "principal",
    "passkeys": "credential",
}


@dataclass(frozen=True)
class Things:
    """Ids of what there is: one of each table, and every id of the tenant."""

    one: Mapping[str, str]
    every: frozenset[str]

    def path(self, route: Route[Any], kind: str | None = None) -> str:
        """Put ids into a route's path: of this kind, or such as belong there."""
        parts, found = route.path.split("/"), []
        for before, part in zip(["", *parts], parts, strict=False):
            if part == "{type}":
                found.append("role")
            elif part.startswith("{"):
                fitting = self.one.get(KINDS.get(before, ""), str(uuid4()))
                found.append(fitting if kind is None else self.one[kind])
            else:
                found.append(part)
        return "/".join(found)

    def paths(self, route: Route[Any]) -> Iterator[str]:
        """Give the path with ids that belong there, then with ids of every kind."""
        yield self.path(route)
        if "{" in route.path:
            yield from (self.path(route, kind) for kind in self.one)


def name(route: Route[Any]) -> str:
    return f"{route.method} {route.path}"


def body(route: Route[Any], story: Story) -> Any:
    """Give the documented example of a route's body, with the story's ids in it; None where it takes none."""
    if route.example is None:
        return None
    text = json.dumps(route.example)
    for written, ours in {
        examples.PERSON: story.ids["ana"],
        examples.COLLEAGUE: story.ids["mona"],
        examples.GROUP: story.security,
        examples.ROLE: story.auditors,
    }.items():
        text = text.replace(written, str(ours))
    return json.loads(text)


def queries(route: Route[Any], story: Story) -> str:
    """Ask a list for somebody of ours, by every parameter of it that takes an id."""
    if route.query is None:
        return ""
    fields = [one.encode_name for one in msgspec.structs.fields(route.query) if one.encode_name.endswith("Id")]
    return "?" + "&".join(f"{field}={story.ids['rhea']}" for field in fields) if fields else ""


async def filled(story: Story, unfenced: Database) -> Things:
    """Make one of each thing, and find all ids there are."""
    for path in ("/webhooks", "/policies"):
        [route] = [one for one in ROUTES if name(one) == f"POST {path}"]
        await story.post("ada", path, body(route, story) | {"name": f"{MARK} {path}"}, 201)
    made = await story.workflow(by("ana"), name=f"{MARK} flow", resourceTypes=["role"])
    first = (await story.request(justification=f"{MARK} one"))["id"]
    await story.post("ana", f"/approvals/{await story.task('ana', first)}/decide", {"decision": "approve"})
    pending = (await story.request(resourceId=str(story.manager), justification=f"{MARK} two"))["id"]
    await story.post("rhea", f"/access-requests/{pending}/comments", {"text": f"{MARK} three"}, 201)
    await protect(story, "POST", "/x", {"reply": {"status": 200}}, made)
    operation = (await asked(story, "rhea", "POST", "/x", {"mark": MARK}))["id"]
    key, _ = await a_key(story.db, story.tenant, story.ids["rhea"])
    delegation = uuid4()
    async with story.db.tx([story.tenant]) as tx:
        await tx.run(
            "INSERT INTO delegation (tenant_id, id, from_id, to_id, starts_at, ends_at, created_at)"
            " VALUES ($1, $2, $3, $4, now(), now() + interval '1 day', now())",
            story.tenant,
            delegation,
            story.ids["ana"],
            story.ids["mona"],
        )
    tables = await tables_of(unfenced, story.tenant)
    every: set[str] = set()
    one: dict[str, str] = {"service": str(story.ids["bot"])}
    for table, columns in tables.items():
        if "id" in columns:
            rows = [id for id in await rows_of(unfenced, table, story.tenant, "id::text") if len(id) == 36]
            every.update(rows)
            one.update({table: rows[0]} if rows else {})
    one |= {
        "principal": str(story.ids["rhea"]),
        "workflow": made,
        "request": pending,
        "asked_operation": operation,
        "task": await story.task("ana", pending),
        "credential": str(key),
        "role": str(story.auditors),
    }
    assert one.keys() >= {"access_grant", "user_group", "resource", "delegation", "webhook", "policy", "outbox"}
    return Things(one, frozenset(every))


async def tables_of(unfenced: Database, tenant: UUID) -> dict[str, list[str]]:
    """Name every table that holds rows of tenants, with its columns."""
    async with unfenced.tx([tenant]) as tx:
        found = await tx.all(
            """SELECT c.table_name::text AS name, array_agg(c.column_name::text) AS columns
                 FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
                WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' GROUP BY 1"""
        )
    return {row["name"]: row["columns"] for row in found if "tenant_id" in row["columns"]}


async def rows_of(unfenced: Database, table: str, tenant: UUID, what: str) -> list[str]:
    async with unfenced.tx([tenant]) as tx:
        found = await tx.all(f"SELECT {what} AS it FROM {table} t WHERE tenant_id = $1 ORDER BY 1", tenant)
    return [row["it"] for row in found]


async def snapshot(unfenced: Database, tenant: UUID) -> dict[str, list[str]]:
    """Read every row of a tenant.

    When a key was last used is left out: a call by its holder writes it. So are wrong tries: to count is their point.
    """
    what = "(to_jsonb(t) - 'last_used_at')::text"
    tables = [table for table in await tables_of(unfenced, tenant) if table != "wrong_try"]
    return {table: await rows_of(unfenced, table, tenant, what) for table in tables}


def changed(before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Give the rows that came or went, by table."""
    return {table: sorted(set(rows) ^ set(after[table])) for table, rows in before.items() if rows != after[table]}


def ours_in(text: str, things: Things, story: Story, sent: str = "") -> list[str]:
    """Find what an answer gives away of the story's tenant beyond what the call itself named."""
    people = [who.capitalize() for who in story.ids if who != "olu"]
    words = [MARK, str(story.tenant), "Security", "auditors", '"prod"', *people, *(f"{who}@" for who in story.ids)]
    return [word for word in [*things.every, *words] if word in text and word not in sent and word != "olu@"]


def masked(text: str) -> str:
    """Put one word in the place of every id, so that two answers can be compared."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
