"""What is called over HTTP, and one measurement of it: the calls prepared, made, and counted again in the database."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from asyncpg import Connection, Record
from msgspec import Struct

from bench import client, world
from bench.client import HOLE, Chain, Outcome, call
from bench.fill import Fill, Made
from bench.server import Server
from bench.world import BIG, RULED, SHARED, Who, tenant_id

API = "/api/v1"
PAGES = 20
READ = 20_000  # Calls that only read are made again and again.
ENOUGH = {"create": 7000, "decide": 9000, "cycle": 4000} | {
    "decide-jitsudo": 7000,
    "decide-fortanix": 7000,
}  # a second: more than will be answered.


class Measured(Struct, frozen=True):
    """One measurement. Times in ms are of one operation, µs are CPU time of one operation.

    `requests`: how many there were when it began. `offered`: operations due a second (0: as fast as answered).
    `batch`: operations a commit. `size`: how many requests the tables were filled with.
    """

    operation: str
    tenants: int
    connections: int
    size: int
    requests: int
    offered: float
    per_second: float
    p50_ms: float
    p99_ms: float
    server_us: float
    postgres_us: float
    client_us: float
    batch: float | None
    operations: int
    errors: list[str]


class Bench:
    """One server on filled tables, to be called. `decidable` are requests of earlier runs nobody has decided yet."""

    def __init__(self, connection: "Connection[Record]", fill: Fill, server: Server, size: int) -> None:
        self.db, self.fill, self.server, self.size = connection, fill, server, size
        self._decidable: dict[int, list[Made]] = {}

    async def decidable(self, tenants: Sequence[str], number: int) -> list[Made]:
        """Prepare pending requests, those left over from before among them."""
        held = self._decidable.get(len(tenants), [])
        rows = await self.db.fetch(
            "SELECT id::text FROM task WHERE tenant_id = ANY ($1) AND id = ANY ($2::uuid[]) AND status = 'open'",
            list(map(tenant_id, tenants)),
            [one.task for one in held],
        )
        still = {row["id"] for row in rows}
        held = [one for one in held if one.task in still]
        if len(held) < number:
            held += await self.fill.pending("group 0", tenants, number - len(held))
            await self.db.execute("ANALYZE request, task, inbox, timer")
        self._decidable[len(tenants)] = held
        return held[:number]

    async def measure(
        self, operation: str, *, tenants: int, connections: int, seconds: float, warm: float = 0.5, rate: float = 0
    ) -> Measured:
        """Measure one operation. What does not add up in the database, or was refused, is among the errors."""
        what = OPERATIONS[operation]
        among = [RULED] if operation == "policy" else tenants_of(tenants)
        enough = rate or ENOUGH.get(operation, READ) if connections > 1 else ENOUGH.get(operation, READ) / 3
        number = round(enough * (seconds + warm)) if what.event else READ
        chains = await what.prepare(self, among, number)
        if what.event is None:  # What is kept ready after the first call is not what is measured.
            await client.drive(self.server.address, chains[:8], connections=1, seconds=60, warm=0)
        there, mark = await self.fill.count(), await self._mark()
        before = self.server.cost
        found = await client.drive(
            self.server.address,
            chains,
            connections=connections,
            seconds=seconds,
            warm=warm,
            rate=rate,
            loop=what.event is None,
        )
        cost = self.server.cost - before
        done, commits = await self._written(what.event, among, mark) if what.event else (found.done, 0)
        each = 1e6 / max(found.done, 1)
        return Measured(
            operation,
            len(among),
            connections,
            self.size,
            there,
            rate,
            found.per_second,
            found.p50_ms,
            found.p99_ms,
            cost.server_s * each,
            cost.postgres_s * each,
            found.client_cpu_s * each,
            done / commits if commits else None,
            found.done,
            _errors(found, done),
        )

    async def _mark(self) -> int:
        """Give a number that events to come have higher ids than."""
        return int(await self.db.fetchval("SELECT last_value FROM pg_sequences WHERE sequencename = 'event_id_seq'"))

    async def _written(self, event: str, tenants: Sequence[str], mark: int) -> tuple[int, int]:
        """Count the events of this type since `mark`, and the transactions that wrote them."""
        row = await self.db.fetchrow(
            "SELECT count(*) AS events, count(DISTINCT xmin::text) AS commits FROM event"
            " WHERE tenant_id = ANY ($1) AND id > $2 AND type = $3",
            list(map(tenant_id, tenants)),
            mark,
            event,
        )
        assert row is not None
        return row["events"], row["commits"]


def tenants_of(number: int) -> Sequence[str]:
    """Who is called: the big tenant alone, or so many of the others."""
    return [BIG] if number == 1 else SHARED[:number]


def _errors(found: Outcome, done: int) -> list[str]:
    errors = []
    if not found.is_clean:
        errors.append(
            f"{found.refused} refused, {found.lost} lost of {found.answered}: {found.statuses} {found.sample}"
        )
    if done != found.done:
        errors.append(f"{found.done} were answered, but the database has {done}")
    return errors


async def _create(bench: Bench, tenants: Sequence[str], number: int) -> list[Chain]:
    return [[asking] for _, asking in await askings(bench, tenants, number, "by-group")]


async def askings(bench: Bench, tenants: Sequence[str], number: int, kind: str) -> list[tuple[Who, bytes]]:
    begin = await bench.fill.numbers(
        f"{'asked' if kind == 'by-group' else kind} {tenants[0]}", -(-number // len(tenants))
    )
    made = []
    for place in range(number):
        who, thing = world.asked(tenants[place % len(tenants)], kind, begin + place // len(tenants))
        body = {
            "resourceType": "resource",
            "resourceId": str(thing),
            "justification": "Quarter-end close, INC-4711",
            "duration": {"value": 5, "unit": "days"},
        }
        made.append((who, call("POST", f"{API}/access-requests", who.key, body)))
    return made


async def _decide(bench: Bench, tenants: Sequence[str], number: int) -> list[Chain]:
    made = await bench.decidable(tenants, number)
    return [[call("POST", f"{API}/approvals/{one.task}/decide", one.approver.key, _APPROVE)] for one in made]


async def _decide_jitsudo(bench: Bench, tenants: Sequence[str], number: int) -> list[Chain]:
    made = await bench.decidable(tenants, number)
    body = {"reasoning": _APPROVE["note"]}
    return [
        [
            call(
                "POST",
                f"/v1/requests/{one.request}/approve",
                one.approver.key,
                body,
                headers={"X-Tenant-ID": tenant_id(one.tenant)},
            )
        ]
        for one in made
    ]


async def _decide_fortanix(bench: Bench, tenants: Sequence[str], number: int) -> list[Chain]:
    made = await bench.decidable(tenants, number)
    path = "/sys/v1/approval_requests"
    return [[call("POST", f"{path}/{one.request}/approve", one.approver.key, {})] for one in made]


async def _cycle(bench: Bench, tenants: Sequence[str], number: int) -> list[Chain]:
    """File; the manager, whose inbox holds just that, looks it up; and approves."""
    chains: list[Chain] = []
    for who, asking in await askings(bench, tenants, number, "by-manager"):
        key = who._replace(kind="manager").key
        look = call("GET", f"{API}/approvals/pending?page=1&limit=1", key)
        chains.append([asking, look, call("POST", f"{API}/approvals/{HOLE}/decide", key, _APPROVE)])
    return chains


async def _inbox(bench: Bench, tenants: Sequence[str], number: int) -> list[Chain]:
    members = range(world.MEMBERS, world.GROUPS * world.MEMBERS)
    path = f"{API}/approvals/pending?page=1&limit=25"
    return [
        [call("GET", path, Who(tenants[n % len(tenants)], "member", members[n // len(tenants) % len(members)]).key)]
        for n in range(len(tenants) * len(members))
    ]


async def _list(bench: Bench, tenants: Sequence[str], number: int) -> list[Chain]:
    return [
        [call("GET", f"{API}/access-requests?page={page}&limit=25", Who(tenant, "reader").key)]
        for page in range(1, PAGES + 1)
        for tenant in tenants
    ]


async def _policy(bench: Bench, tenants: Sequence[str], number: int) -> list[Chain]:
    chains: list[Chain] = []
    for nth in range(2000):
        who, thing = world.asked(RULED, "by-group", nth)
        body = {"resourceType": "resource", "resourceId": str(thing), "durationSeconds": 3600, "reason": "INC-4711"}
        chains.append([call("POST", f"{API}/policies/evaluate", who.key, body)])
    return chains


_APPROVE = {"decision": "approve", "note": "Checked with the owner"}


class Operation(NamedTuple):
    """How its calls are prepared, and the event that each one leaves (None: it only reads)."""

    prepare: Callable[[Bench, Sequence[str], int], Awaitable[list[Chain]]]
    event: str | None = None


OPERATIONS = {
    "inbox": Operation(_inbox),
    "list": Operation(_list),
    "policy": Operation(_policy),
    "decide": Operation(_decide, "Decided"),
    "decide-jitsudo": Operation(_decide_jitsudo, "Decided"),
    "decide-fortanix": Operation(_decide_fortanix, "Decided"),
    "create": Operation(_create, "Submitted"),
    "cycle": Operation(_cycle, "Closed"),
}
BESIDE = frozenset({"decide-jitsudo", "decide-fortanix"})
"""What is the same work as `decide`, through another surface: measured beside it once, and not at every size."""
