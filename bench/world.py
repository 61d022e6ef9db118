"""The tenants, people and things that the measured calls are about: the same in every run, ids and keys included.

Tenant `big` has half of all requests and takes the calls of "1 tenant"; twenty others share the rest and take those
of "20 tenants". In `patterns` the rows are made that `fill` copies, and `ruled` has policies (elsewhere there are none,
so that filing is the same work as in `limit`). Group 0 of a tenant decides the measured requests; the inboxes of
groups 1 to 4 are read. A manager decides what exactly one person asks for, and so sees just that in their inbox.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

import asyncpg
import httpx
from asyncpg import Connection, Record

from quorate.app.keys import secret_hash

SHARED = tuple(f"shared-{number}" for number in range(20))
BIG, PATTERNS, RULED = "big", "patterns", "ruled"
TENANTS = (BIG, *SHARED, PATTERNS, RULED)

OUT = Path(__file__).parent / "out"
"""Where results and what is compiled are kept; git ignores it."""

GROUPS, MEMBERS = 5, 4
POLICIES, RULES = 10, 10


class Sizes(NamedTuple):
    """How big a world is: people of the crowd in `big` and in every other tenant, and resources.

    `things` that group 0 decides, and as many that a manager does.
    """

    big_crowd: int = 10_000
    crowd: int = 500
    things: int = 2000


SIZES = Sizes()


class Who(NamedTuple):
    """Somebody: `requester`, `manager`, `member` (of group n // MEMBERS), `reader`, `admin`, or one of the `crowd`.

    The crowd asked for what is history by now, so that nobody holds more grants than one person would.
    """

    tenant: str
    kind: str
    number: int = 0

    @property
    def id(self) -> UUID:
        return named(*self)

    @property
    def key(self) -> str:
        """Their API key."""
        secret = hashlib.sha256(f"bench {self.id}".encode()).hexdigest()
        return f"qk_{named(*self, 'key').hex}_{secret[:43]}"


@lru_cache(maxsize=100_000)
def named(*words: object) -> UUID:
    """Make the id of something."""
    return uuid5(NAMESPACE_OID, "/".join(map(str, words)))


def tenant_id(tenant: str) -> UUID:
    return named(tenant)


def requesters(tenant: str) -> int:
    """How many ask in a tenant; as many manage. Never so few that two connections meet at one manager."""
    return 640 if tenant == BIG else 40


def crowd(tenant: str) -> int:
    return SIZES.big_crowd if tenant == BIG else SIZES.crowd


def people(tenant: str) -> Iterator[Who]:
    for number in range(requesters(tenant)):
        yield Who(tenant, "requester", number)
        yield Who(tenant, "manager", number)
    for number in range(GROUPS * MEMBERS):
        yield Who(tenant, "member", number)
    for number in range(crowd(tenant)):
        yield Who(tenant, "crowd", number)
    yield Who(tenant, "reader")
    yield Who(tenant, "admin")


def group(tenant: str, number: int) -> UUID:
    return named(tenant, "group", number)


def thing(tenant: str, kind: str, number: int) -> UUID:
    """Name a resource: `by-group`, `by-manager`, or `slow` (two steps: group 1, then group 2)."""
    return named(tenant, "resource", kind, number)


WORKFLOWS = {
    **{f"Group {n}": (("group", n),) for n in range(GROUPS)},
    "Manager": (("manager", 0),),
    "Slow": (("group", 1), ("group", 2)),
}
"""Workflows by name: who decides their steps."""


def workflow(tenant: str, name: str) -> UUID:
    """Name a workflow; in `patterns` the server chose other ids."""
    return named(tenant, "workflow", name)


def things(tenant: str) -> Iterator[tuple[UUID, str, str]]:
    """Every resource: its id, its name, the workflow that governs it."""
    for number in range(SIZES.things):
        yield thing(tenant, "by-group", number), f"database {number}", "Group 0"
        yield thing(tenant, "by-manager", number), f"cluster {number}", "Manager"
    for number in range(1, GROUPS):
        yield thing(tenant, "of-group", number), f"vault {number}", f"Group {number}"
    yield thing(tenant, "slow", 0), "ledger", "Slow"


def asked(tenant: str, kind: str, nth: int) -> tuple[Who, UUID]:
    """Who asks for what in the nth asking of a tenant: never twice the same, so none is refused as a duplicate."""
    turn, number = divmod(nth, requesters(tenant))
    return Who(tenant, "requester", number), thing(tenant, kind, turn % SIZES.things)


async def exists(connection: "Connection[Record]") -> bool:
    """Say whether the world is there, whole."""
    found = await connection.fetchval("SELECT count(DISTINCT tenant_id) FROM resource")
    return int(found) == len(TENANTS)


async def make(connection: "Connection[Record]") -> None:
    """Put everybody and everything into an empty database, but what `define` makes."""
    at = datetime.now(UTC)
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _COLUMNS}
    for tenant in TENANTS:
        of = tenant_id(tenant)
        rows["tenant"].append((of, tenant, tenant.title()))
        for who in people(tenant):
            login = f"{who.kind}-{who.number}@{tenant}.example"
            parts = b'\x01{"firstName": "Rhea", "familyName": "Smith"}'
            boss = Who(tenant, "manager", who.number).id if who.kind == "requester" else None
            rows["principal"].append((of, who.id, "user", login, "Rhea Smith", login, parts, boss, at, at))
            if who.kind != "crowd":
                rows["credential"].append((of, named(*who, "key"), who.id, "key", secret_hash(who.key), at))
        for n in range(GROUPS):
            rows["user_group"].append((of, group(tenant, n), f"Group {n}", at, at))
            for m in range(MEMBERS):
                rows["group_member"].append((of, group(tenant, n), Who(tenant, "member", n * MEMBERS + m).id))
        for role, permission in (("reader", "workflow:read"), ("admin", "admin")):
            rows["role"].append((of, named(tenant, "role", role), f"{role}s", [permission], at, at))
            rows["role_member"].append((of, named(tenant, "role", role), Who(tenant, role).id))
    rows["principal"].sort(key=lambda row: row[7] is not None)  # Managers first: others refer to them.
    async with connection.transaction():
        for table, columns in _COLUMNS.items():
            await connection.copy_records_to_table(table, records=rows[table], columns=columns)


_COLUMNS: dict[str, Sequence[str]] = {
    "tenant": ("id", "slug", "name"),
    "principal": (
        *("tenant_id", "id", "kind", "login", "name", "email", "name_parts", "manager_id"),
        *("created_at", "updated_at"),
    ),
    "credential": ("tenant_id", "id", "principal_id", "kind", "secret_hash", "created_at"),
    "user_group": ("tenant_id", "id", "name", "created_at", "updated_at"),
    "group_member": ("tenant_id", "group_id", "principal_id"),
    "role": ("tenant_id", "id", "name", "permissions", "created_at", "updated_at"),
    "role_member": ("tenant_id", "role_id", "principal_id"),
}


async def define(connection: "Connection[Record]", url: str) -> None:
    """Have the server make workflows and policies through its API, and give every tenant the same workflows."""
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=30) as http:
        admin = {"Authorization": f"Bearer {Who(PATTERNS, 'admin').key}"}
        ids = {}
        for name, steps in WORKFLOWS.items():
            body = {"name": name, "steps": [_step(PATTERNS, n, *step) for n, step in enumerate(steps)]}
            ids[name] = (await called(http, "POST", "/workflows", body, admin))["id"]
            await called(http, "POST", f"/workflows/{ids[name]}/activate", None, admin)
        admin = {"Authorization": f"Bearer {Who(RULED, 'admin').key}"}
        for n in range(POLICIES):
            body = {"name": f"policy {n}", "cedar": "\n".join(map(_rule, range(n * RULES, (n + 1) * RULES)))}
            await called(http, "POST", "/policies", body | {"priority": n % 3}, admin)
    await _spread(connection, ids)
    at = datetime.now(UTC)
    for tenant in TENANTS:
        made = ids if tenant == PATTERNS else {name: workflow(tenant, name) for name in WORKFLOWS}
        rows = [(tenant_id(tenant), id, "database", name, made[by], at, at) for id, name, by in things(tenant)]
        columns = ("tenant_id", "id", "type", "name", "workflow_id", "created_at", "updated_at")
        await connection.copy_records_to_table("resource", records=rows, columns=columns)
    await connection.execute("ANALYZE")


async def _spread(connection: "Connection[Record]", ids: Mapping[str, str]) -> None:
    """Copy the workflows of `patterns` to the other tenants, each with its own groups."""
    text = io.BytesIO()
    await connection.copy_from_query("SELECT * FROM workflow WHERE tenant_id = $1", tenant_id(PATTERNS), output=text)
    for tenant in TENANTS:
        if tenant == PATTERNS:
            continue
        here = text.getvalue().decode().replace(str(tenant_id(PATTERNS)), str(tenant_id(tenant)))
        for name, id in ids.items():
            here = here.replace(id, str(workflow(tenant, name)))
        for number in range(GROUPS):
            here = here.replace(str(group(PATTERNS, number)), str(group(tenant, number)))
        await connection.copy_to_table("workflow", source=io.BytesIO(here.encode()))


async def called(http: httpx.AsyncClient, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
    """Make one call that must succeed; answers its data."""
    answer = await http.request(method, path, json=body, headers=headers)
    if not answer.is_success:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json().get("data")


def _step(tenant: str, place: int, kind: str, number: int) -> dict[str, Any]:
    whom = {"manager": "requester"} if kind == "manager" else {"group": str(group(tenant, number))}
    return {
        "order": place + 1,
        "name": f"Step {place + 1}",
        "quorum": {"n": 1, "members": [whom]},
        "timeoutSeconds": 30 * 86_400,
    }


def _rule(number: int) -> str:
    effect, hours = ("forbid", "context.hour > 24") if number % 10 == 9 else ("permit", "context.hour >= 0")
    group = "Group 0" if number % 5 == 0 else f"Group {number % 40 + 10}"
    return (
        f'@id("r{number}")\n{effect}(principal in Group::"{group}", action, resource)\n'
        f"when {{ context has duration_seconds && context.duration_seconds <= {86_400 + number} && {hours} }};"
    )


async def connect(dsn: str) -> "Connection[Record]":
    """Connect as the owner; jsonb goes in and out as its binary form."""
    connection: Connection[Record] = await asyncpg.connect(dsn)
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
    return connection
