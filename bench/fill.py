"""Fills the tables with requests that look as if they had come through the API.

A few requests do come through it, in the tenant `patterns`. Every row they leave, in whatever table, becomes a
pattern: ids and moments in it are replaced and it is copied as often as wanted. So the rows are what this version
writes, state JSON and all, and a table that is new tomorrow is filled too. Counts are written as already added up.
"""

import io
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import httpx
from asyncpg import Connection, Record

from bench import world
from bench.world import BIG, PATTERNS, SHARED, Who, tenant_id

CHUNK = 4000  # requests
WITHOUT_INDEXES_FROM = 50_000
PAST = timedelta(days=330)
APPROVED = 0.9  # of the closed ones; the others were rejected
# When a key was last used; the next number of a tenant, of which there is one; and see above.
NOT_COPIED = frozenset({"credential", "request_number", "request_count"})

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d+)?)(?:\+00|Z)")


class Pattern(NamedTuple):
    """The rows of one request. `texts`: by table, lines for COPY with places for what differs.

    Places are `who`, `tenant` and so on where named, `u0` … for other ids, `t0` … for moments, `offsets` after it was
    asked for.
    """

    name: str
    texts: dict[str, str]
    columns: dict[str, list[str]]
    ids: int
    offsets: list[timedelta]
    request: str
    task: str
    events: int


class Made(NamedTuple):
    """A pending request that was prepared, and who may decide it."""

    tenant: str
    request: str
    task: str
    approver: Who


class Fill:
    """Fills one database; `prepare` first."""

    def __init__(self, connection: "Connection[Record]") -> None:
        self._db = connection
        self._patterns: dict[str, Pattern] = {}
        self.requests = 0

    async def prepare(self, url: str) -> None:
        """Make the patterns with the running server, and look at what is there already."""
        async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=30) as http:
            for name, play in _PLAYS.items():
                request, self._patterns[name] = await self._pattern(name, play(http))
                if name.startswith("pending"):
                    await _decide(http, request, int(name[-1]), "approve")  # So that it can be asked for again.
        await self.count()

    async def count(self) -> int:
        """How many requests there are, in all tenants."""
        self.requests = int(await self._db.fetchval("SELECT coalesce(sum(delta), 0) FROM request_count"))
        return self.requests

    @property
    def events_a_request(self) -> float:
        approved, rejected = self._patterns["approved"].events, self._patterns["rejected"].events
        return APPROVED * approved + (1 - APPROVED) * rejected

    async def history(self, total: int, tell: Callable[[str], None]) -> None:
        """Add closed requests until there are so many in all: half in `big`, the rest in the shared tenants."""
        wanted = total - self.requests
        if wanted <= 0:
            return
        tables = sorted({table for one in self._patterns.values() for table in one.texts})
        held = await self._drop_indexes(tables) if wanted >= WITHOUT_INDEXES_FROM else []
        began, done, now = time.monotonic(), 0, datetime.now(UTC)
        while done < wanted:
            some = min(CHUNK, wanted - done)
            approved = round(some * APPROVED)
            for name, number in (("approved", approved), ("rejected", some - approved)):
                await self._copy(self._patterns[name], [self._past(now) for _ in range(number)])
            done += some
            left_s = (time.monotonic() - began) / done * (wanted - done)
            tell(f"filling: {self.requests + done:,} of {total:,} requests, {left_s:.0f} s left")
        await self._count_as(SHARED, wanted)
        for number, (name, text) in enumerate(held):
            tell(f"filling: index {number + 1} of {len(held)}, {name}")
            await self._db.execute(text)
        tell("filling: vacuum")
        await self._settle(tables)
        await self.count()

    async def pending(
        self,
        kind: str,
        tenants: Sequence[str],
        number: int,
        *,
        asked_at: Callable[[int], datetime] | None = None,
    ) -> list[Made]:
        """Add pending requests, dealt out to tenants: `group 0` … by which group decides them.

        `asked_at` says when the nth was asked for; within the last minute unless given.
        """
        made: list[Made] = []
        begin = await self.numbers(f"{kind} {tenants[0]}", -(-number // len(tenants)))
        while len(made) < number:
            made += await self._some_pending(kind, tenants, begin, range(len(made), number)[:CHUNK], asked_at)
        of = Counter(one.tenant for one in made)
        await self._db.executemany(
            "INSERT INTO request_count (tenant_id, status, kind, target_type, delta)"
            " VALUES ($1, 'pending', 'access', 'resource', $2)",
            [(tenant_id(tenant), of[tenant]) for tenant in sorted(of)],
        )
        return made

    async def _some_pending(
        self,
        kind: str,
        tenants: Sequence[str],
        begin: int,
        numbers: Sequence[int],
        asked_at: Callable[[int], datetime] | None,
    ) -> list[Made]:
        pattern, group = self._patterns[f"pending {kind}"], int(kind.split()[-1])
        now, whose, places = datetime.now(UTC), [], []
        for place in numbers:
            tenant, nth = tenants[place % len(tenants)], begin + place // len(tenants)
            turn, asking = divmod(nth, world.crowd(tenant))
            thing = world.thing(tenant, "of-group", group)
            if group == 0:
                thing = world.thing(tenant, "by-group", turn % world.SIZES.things)
            at = asked_at(place) if asked_at else now - timedelta(seconds=random.random() * 60)
            places.append(self._names(tenant, Who(tenant, "crowd", asking), thing, f"Group {group}", at))
            whose.append(Who(tenant, "member", group * world.MEMBERS + nth % world.MEMBERS))
        return [
            Made(who.tenant, values[pattern.request], values[pattern.task], who)
            for who, values in zip(whose, await self._copy(pattern, places), strict=True)
        ]

    async def numbers(self, what: str, many: int) -> int:
        """Hand out numbers that no run on this database has had: the first of `many`."""
        await self._db.execute("CREATE SCHEMA IF NOT EXISTS bench")
        await self._db.execute("CREATE TABLE IF NOT EXISTS bench.used (what text PRIMARY KEY, upto bigint NOT NULL)")
        upto = await self._db.fetchval(
            "INSERT INTO bench.used VALUES ($1, $2)"
            " ON CONFLICT (what) DO UPDATE SET upto = used.upto + excluded.upto RETURNING upto",
            what,
            many,
        )
        return int(upto) - many

    def _past(self, now: datetime) -> dict[str, Any]:
        tenant = BIG if random.random() < 0.5 else random.choice(SHARED)
        asker = Who(tenant, "crowd", random.randrange(world.crowd(tenant)))
        at = now - PAST * random.random() - timedelta(days=1)
        return self._names(tenant, asker, world.thing(tenant, "slow", 0), "Slow", at)

    def _names(self, tenant: str, asker: Who, thing: UUID, workflow: str, at: datetime) -> dict[str, Any]:
        known = _Known.of(tenant)
        by = world.workflow(tenant, workflow)
        return {**known, "who": str(asker.id), "thing": str(thing), "workflow": str(by), "at": at}

    async def _pattern(self, name: str, play: Awaitable[str]) -> tuple[str, Pattern]:
        before = await self._rows()
        request = await play
        after = await self._rows()
        lines = {table: _without(rows, before.get(table, [])) for table, rows in after.items()}
        lines = {table: rows for table, rows in lines.items() if rows and table not in NOT_COPIED}
        created = await self._db.fetchval("SELECT created_at FROM request WHERE id = $1", UUID(request))
        task = await self._db.fetchval(
            "SELECT id FROM task WHERE request_id = $1 ORDER BY step_index LIMIT 1", UUID(request)
        )
        names = {id: key for key, id in _Known.of(PATTERNS).items()}
        names |= {str(Who(PATTERNS, "requester", number).id): "who" for number in range(3)}
        names |= {str(id): "thing" for id, _, _ in world.things(PATTERNS)}
        rows = await self._db.fetch("SELECT id FROM workflow WHERE tenant_id = $1", tenant_id(PATTERNS))
        workflows = {str(row["id"]): "workflow" for row in rows}
        names |= workflows | {str(world.named(*Who(PATTERNS, "requester", n), "key")): "key" for n in range(3)}
        others: list[str] = []
        moments: list[datetime] = []

        def id_place(found: re.Match[str]) -> str:
            if found[0] not in names:
                names[found[0]] = f"u{len(others)}"
                others.append(found[0])
            return f"%({names[found[0]]})s"

        def moment_place(found: re.Match[str]) -> str:
            at = datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00")
            if at not in moments:
                moments.append(at)
            return f"%(t{moments.index(at)})s"

        texts = {
            table: _MOMENT.sub(moment_place, _UUID.sub(id_place, "".join(rows).replace("%", "%%")))
            for table, rows in sorted(lines.items())
        }
        offsets = [at - created for at in moments]
        columns = {table: await self._columns(table) for table in texts}
        places = names | {id: f"u{place}" for place, id in enumerate(others)}
        number = len(lines["event"])
        return request, Pattern(name, texts, columns, len(others), offsets, places[request], places[str(task)], number)

    async def _rows(self) -> dict[str, list[str]]:
        tables = await self._db.fetch(
            "SELECT table_name AS name FROM information_schema.columns JOIN information_schema.tables"
            " USING (table_schema, table_name)"
            " WHERE table_schema = 'public' AND column_name = 'tenant_id' AND table_type = 'BASE TABLE'"
        )
        found = {}
        for row in tables:
            columns, into = await self._columns(row["name"]), io.BytesIO()
            await self._db.copy_from_query(
                f"SELECT {', '.join(columns)} FROM {row['name']} WHERE tenant_id = $1", tenant_id(PATTERNS), output=into
            )
            found[row["name"]] = into.getvalue().decode().splitlines(keepends=True)
        return found

    async def _columns(self, table: str) -> list[str]:
        rows = await self._db.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped"
            " AND attidentity = '' AND attgenerated = '' ORDER BY attnum",
            table,
        )
        return [row["attname"] for row in rows]

    async def _copy(self, pattern: Pattern, places: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        ids = _fresh_ids(pattern.ids * len(places))
        for values in places:
            values.update((f"u{n}", next(ids)) for n in range(pattern.ids))
            at: datetime = values["at"]
            for n, offset in enumerate(pattern.offsets):
                values[f"t{n}"] = f"{(at + offset).replace(tzinfo=None).isoformat()}Z"
        async with self._db.transaction():
            await self._db.execute("SET LOCAL session_replication_role = replica")
            for table, text in pattern.texts.items():
                lines = "".join([text % values for values in places]).encode()
                await self._db.copy_to_table(table, source=io.BytesIO(lines), columns=pattern.columns[table])
        return list(places)

    async def _count_as(self, tenants: Sequence[str], wanted: int) -> None:
        """Write how many closed requests there are now, as the worker that adds up would have left it."""
        await self._db.execute(
            "DELETE FROM request_count WHERE status <> 'pending' AND tenant_id = ANY ($1)",
            list(map(tenant_id, (BIG, *tenants))),
        )
        await self._db.execute(
            "INSERT INTO request_count (tenant_id, status, kind, target_type, delta)"
            " SELECT tenant_id, status, kind, coalesce(target_type, ''), count(*) FROM request"
            " WHERE status <> 'pending' AND tenant_id = ANY ($1) GROUP BY 1, 2, 3, 4",
            list(map(tenant_id, (BIG, *tenants))),
        )

    async def _drop_indexes(self, tables: Sequence[str]) -> list[tuple[str, str]]:
        """Drop what a long fill would only slow down, but for what foreign keys need; answers how to make it again."""
        rows = await self._db.fetch(
            """
            SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS of, c.conname,
                   pg_get_constraintdef(c.oid) AS held_by, pg_get_indexdef(i.indexrelid) AS text
              FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
             WHERE i.indrelid = ANY ($1::text[]::regclass[])
               AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = i.indexrelid)
            """,
            list(tables),
        )
        again = []
        for row in rows:
            if row["conname"]:
                await self._db.execute(f"ALTER TABLE {row['of']} DROP CONSTRAINT {row['conname']}")
                text = f"ALTER TABLE {row['of']} ADD CONSTRAINT {row['conname']} {row['held_by']}"
            else:
                await self._db.execute(f"DROP INDEX {row['name']}")
                text = row["text"]
            again.append((row["name"], f"SET maintenance_work_mem = '1GB'; {text}"))
        return again

    async def _settle(self, tables: Sequence[str]) -> None:
        for table in tables:
            await self._db.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
        await self._db.execute("CHECKPOINT")


class _Known:
    """What has a name in a pattern and in the tenant it is copied to, made once a tenant."""

    _made: dict[str, dict[str, str]] = {}  # noqa: RUF012  A memory, not a field.

    @classmethod
    def of(cls, tenant: str) -> dict[str, str]:
        if tenant not in cls._made:
            known = {"tenant": tenant_id(tenant)}
            for number in range(world.GROUPS):
                member = Who(tenant, "member", number * world.MEMBERS)
                known |= {f"group{number}": world.group(tenant, number), f"member{number}": member.id}
                known |= {f"member{number}_key": world.named(*member, "key")}
            known["key"] = world.named(*Who(tenant, "requester", 0), "key")
            cls._made[tenant] = {name: str(id) for name, id in known.items()}
        return cls._made[tenant]


def _without(rows: Sequence[str], known: Sequence[str]) -> list[str]:
    there = set(known)
    return [row for row in rows if row not in there]


def _fresh_ids(number: int) -> Iterator[str]:
    raw = os.urandom(16 * number).hex()
    for start in range(0, len(raw), 32):
        h = raw[start : start + 32]
        yield f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


async def _ask(http: httpx.AsyncClient, number: int, thing: UUID, **more: Any) -> str:
    body = {"resourceType": "resource", "resourceId": str(thing), "justification": "Quarter-end close, INC-4711"}
    who = {"Authorization": f"Bearer {Who(PATTERNS, 'requester', number).key}"}
    return str((await world.called(http, "POST", "/access-requests", body | more, who))["id"])


async def _talk(http: httpx.AsyncClient, number: int, request: str, times: int) -> None:
    who = {"Authorization": f"Bearer {Who(PATTERNS, 'requester', number).key}"}
    for n in range(times):
        await world.called(http, "POST", f"/access-requests/{request}/comments", {"text": f"Any news? ({n})"}, who)


async def _decide(http: httpx.AsyncClient, request: str, group: int, decision: str) -> None:
    who = {"Authorization": f"Bearer {Who(PATTERNS, 'member', group * world.MEMBERS).key}"}
    found = await world.called(http, "GET", "/approvals/pending", None, who)
    [task] = [one["id"] for one in found["approvals"] if one["workflowInstanceId"] == request]
    body = {"decision": decision, "note": "Checked with the owner"}
    await world.called(http, "POST", f"/approvals/{task}/decide", body, who)


async def _approved(http: httpx.AsyncClient) -> str:
    request = await _ask(http, 0, world.thing(PATTERNS, "slow", 0))
    await _talk(http, 0, request, 2)
    await _decide(http, request, 1, "approve")
    await _talk(http, 0, request, 2)
    await _decide(http, request, 2, "approve")
    return request


async def _rejected(http: httpx.AsyncClient) -> str:
    request = await _ask(http, 1, world.thing(PATTERNS, "slow", 0))
    await _talk(http, 1, request, 3)
    await _decide(http, request, 1, "approve")
    await _talk(http, 1, request, 2)
    await _decide(http, request, 2, "reject")
    return request


def _pending(group: int) -> Callable[[httpx.AsyncClient], Awaitable[str]]:
    async def play(http: httpx.AsyncClient) -> str:
        thing = world.thing(PATTERNS, "of-group", group) if group else world.thing(PATTERNS, "by-group", 0)
        return await _ask(http, 2, thing, duration={"value": 5, "unit": "days"})

    return play


_PLAYS: dict[str, Callable[[httpx.AsyncClient], Awaitable[str]]] = {
    "approved": _approved,
    "rejected": _rejected,
    **{f"pending group {group}": _pending(group) for group in range(world.GROUPS)},
}


def tell(text: str) -> None:
    """Show progress: in place on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
