"""The measuring run: everything on this machine, once, beside the limit, or one part of it. See docs/performance.md."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from asyncpg import Connection, Record

from bench import limit, report, server, slowdisk, timers, world
from bench.calls import BESIDE, OPERATIONS, Bench, tenants_of
from bench.fill import Fill, tell
from bench.limit import Limit
from bench.report import Report
from bench.server import Postgres

INBOX = 30  # pending requests of a group that decides none of the measured ones
LIMIT_ENOUGH = {"create": 7000, "decide": 9000, "both": 4000}


@contextmanager
def place(given: Path | None) -> Iterator[Path]:
    """A directory for the database: the given one, which stays, or one that goes."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="quorate-bench-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@asynccontextmanager
async def filled(data: Path, size: int, *, launch: Path | None = None) -> AsyncIterator[tuple[Postgres, Bench]]:
    """Run everything on a directory: PostgreSQL, the world in it, as many requests as wanted, the server."""
    async with server.postgres(data, launch=launch) as postgres:
        connection = await world.connect(postgres.dsn)
        fill = Fill(connection)
        try:
            await _made(connection, fill, postgres, data)
            await fill.history(size, tell)
            async with server.server(postgres, data / "server") as running:
                yield postgres, Bench(connection, fill, running, size)
        finally:
            await connection.close()


async def _made(connection: "Connection[Record]", fill: Fill, postgres: Postgres, data: Path) -> None:
    is_new = not await world.exists(connection)
    if is_new:
        tell("making tenants and people")
        await world.make(connection)
    async with server.server(postgres, data / "server") as running:
        if is_new:
            await world.define(connection, running.url)
        await fill.prepare(running.url)
    await limit.prepare(connection)
    if is_new:
        for group in range(1, world.GROUPS):
            for tenants in ([world.BIG], world.SHARED):
                await fill.pending(f"group {group}", tenants, INBOX * len(tenants))


async def measure_limit(
    bench: Bench, postgres: Postgres, operation: str, *, tenants: int, clients: int, seconds: float
) -> Limit:
    """Measure the limit once."""
    among = tenants_of(tenants)
    number = round(LIMIT_ENOUGH[operation] * (seconds + 1) / (1 if clients > 1 else 3))
    if operation == "decide":
        await limit.to_decide(bench.db, await bench.decidable(among, number))
    else:
        await limit.to_ask(bench.db, bench.fill, among, number)
    before = postgres.cpu_s
    rate, mean_ms, done = await limit.run(postgres.dsn, operation, clients, seconds)
    return Limit(operation, clients, bench.size, rate, mean_ms, (postgres.cpu_s - before) * 1e6 / max(done, 1))


def _arguments(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m bench {name}", allow_abbrev=False)
    parser.add_argument("--sizes", nargs="+", type=int, help="requests in the tables, closed ones")
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 8, 64, 256])
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8, 32, 64], help="of pgbench")
    parser.add_argument("--seconds", type=float, default=3.5, help="a measurement")
    parser.add_argument("--data", type=Path, help="a directory to keep the filled database in, for the next time")
    parser.add_argument("--json", type=Path, help="where to write the results")
    return parser


def _part(name: str, arguments: Sequence[str]) -> argparse.Namespace:
    parser = _arguments(name)
    parser.add_argument("--ops", nargs="+", help="operations, all unless said")
    parser.add_argument("--tenants", nargs="+", type=int, default=[20, 1])
    parser.add_argument("--rate", type=float, default=0.0, help="operations due a second; 0: as fast as answered")
    parser.add_argument("--slow-disk", action="store_true", help="make fdatasync take a millisecond longer")
    asked = parser.parse_args(arguments)
    asked.sizes = asked.sizes or [10_000]
    return asked


def http(arguments: Sequence[str]) -> None:
    """Calls over HTTP, alone."""
    asked, found = _part("http", arguments), Report.begun()

    async def measured(_: Postgres, bench: Bench) -> None:
        await http_part(bench, found, asked.ops or OPERATIONS, asked.tenants, asked.connections, asked)

    asyncio.run(_at_every_size(asked, measured))
    report.finish(found, asked.json)


def limits(arguments: Sequence[str]) -> None:
    """The limit, alone."""
    asked, found = _part("limit", arguments), Report.begun()
    if limit.program() is None:
        sys.exit("the limit is measured with pgbench, of Debian's package postgresql-15")

    async def measured(postgres: Postgres, bench: Bench) -> None:
        await limit_part(bench, postgres, found, asked.ops or limit.OPERATIONS, asked.clients, asked.seconds)

    asyncio.run(_at_every_size(asked, measured))
    report.finish(found, asked.json)


def due(arguments: Sequence[str]) -> None:
    """Deadlines, alone."""
    parser = _arguments("timers")
    parser.add_argument("--pending", type=int, default=100_000)
    parser.add_argument("--due", type=int, default=10_000, help="of them, at one moment")
    asked, found = parser.parse_args(arguments), Report.begun()
    with place(asked.data) as data:
        asyncio.run(timers_part(data, found, asked.pending, asked.due))
    report.finish(found, asked.json)


async def _at_every_size(asked: argparse.Namespace, measured: Callable[[Postgres, Bench], Awaitable[None]]) -> None:
    with place(asked.data) as data:
        launch = slowdisk.launch(data) if asked.slow_disk else None
        for size in asked.sizes:
            async with filled(data, size, launch=launch) as (postgres, bench):
                assert launch is None or slowdisk.is_in(postgres), "the slow disk did not take"
                await measured(postgres, bench)


async def http_part(
    bench: Bench,
    found: Report,
    operations: Iterable[str],
    tenants: Sequence[int],
    connections: Sequence[int],
    asked: argparse.Namespace,
) -> None:
    for operation in operations:
        for several in tenants if operation != "policy" else [1]:
            for many in connections:
                tell(f"{operation}, {several} tenants, {many} connections")
                rate = getattr(asked, "rate", 0.0)
                one = await bench.measure(
                    operation, tenants=several, connections=many, seconds=asked.seconds, rate=rate
                )
                found.add(one)


async def limit_part(
    bench: Bench, postgres: Postgres, found: Report, operations: Iterable[str], clients: Sequence[int], seconds: float
) -> None:
    for operation in operations:
        for many in clients:
            tell(f"limit: {operation}, {many} clients")
            found.add_limit(await measure_limit(bench, postgres, operation, tenants=20, clients=many, seconds=seconds))


async def timers_part(data: Path, found: Report, pending: int, due: int) -> None:
    tell(f"timers: making {pending} requests pending")
    async with filled(data, 0) as (_, bench):
        await timers.prepare(bench.fill, pending - due)
        expired = await timers.measure(bench.db, bench.fill, pending, due, tell)
    of = f"of {due:,} deadlines at one moment, {pending:,} pending"
    found.add_fact(f"first {of}, seconds late", expired.first_s)
    found.add_fact(f"half {of}, seconds late", expired.p50_s)
    found.add_fact(f"99 % {of}, seconds late", expired.p99_s)
    found.add_fact(f"last {of}, seconds late", expired.last_s)
    found.add_fact("deadlines done a second", expired.per_second)


PARTS = ("http", "limit", "timers", "slow-disk")
RATE = 2000


def everything(arguments: Sequence[str]) -> None:
    """All parts, one after the other."""
    parser = _arguments("all")
    parser.add_argument("--quick", action="store_true", help="less of everything, in a few minutes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    asked = parser.parse_args(arguments)
    asked.sizes = asked.sizes or ([10_000] if asked.quick else [10_000, 150_000, 1_000_000])
    if asked.quick:
        asked.connections, asked.clients, asked.seconds = [8, 64], [8, 64], 1.5
    if "limit" in asked.only and limit.program() is None:
        sys.exit("the limit is measured with pgbench, of Debian's package postgresql-15")
    found = Report.begun()
    asyncio.run(_everything(asked, found))
    report.finish(found, asked.json)


async def _everything(asked: argparse.Namespace, found: Report) -> None:
    if "http" in asked.only or "limit" in asked.only:
        with place(asked.data) as data:
            for nth, size in enumerate(asked.sizes):
                async with filled(data, size) as (postgres, bench):
                    await _one_size(asked, found, postgres, bench, is_first=nth == 0)
    if "timers" in asked.only:
        with place(None) as data:
            await timers_part(data, found, *((10_000, 1_000) if asked.quick else (100_000, 10_000)))
    if "slow-disk" in asked.only and slowdisk.is_possible():
        print("\nfdatasync 1 ms slower", flush=True)
        found.slow_disk = Report.begun()
        with place(None) as data:
            async with filled(data, asked.sizes[0], launch=slowdisk.launch(data)) as (postgres, bench):
                assert slowdisk.is_in(postgres), "the slow disk did not take"
                operations = ["decide"] if asked.quick else ["decide", "create", "cycle"]
                limits = ["decide"] if asked.quick else limit.OPERATIONS
                await limit_part(bench, postgres, found.slow_disk, limits, [64], asked.seconds)
                await http_part(bench, found.slow_disk, operations, [20], [64, 256], asked)


async def _one_size(
    asked: argparse.Namespace, found: Report, postgres: Postgres, bench: Bench, *, is_first: bool
) -> None:
    """At the first size everything; at the others what could be slower there."""
    server = bench.server
    if is_first:
        found.add_fact("seconds until calls are answered", server.started_s)
        found.add_fact("memory of the server at rest, MB", server.memory_mb)
    several, many = ([20, 1], asked.connections) if is_first else ([20], asked.connections[-2:])
    if "http" in asked.only:
        usual = [one for one in OPERATIONS if one not in BESIDE]
        await http_part(bench, found, OPERATIONS if is_first else usual, [20], many, asked)
        if 1 in several and not asked.quick:
            await http_part(bench, found, [one for one in usual if one != "policy"], [1], [64, 256], asked)
        found.add(await bench.measure("decide", tenants=20, connections=64, seconds=asked.seconds, rate=RATE))
    if "limit" in asked.only:
        clients = asked.clients if is_first else asked.clients[-1:]
        await limit_part(bench, postgres, found, limit.OPERATIONS, clients, asked.seconds)
    there = await bench.fill.count()
    disk = int(await bench.db.fetchval("SELECT pg_database_size(current_database())"))
    found.add_fact(f"disk a request at {there:,} requests, bytes", disk / there)
    found.add_fact(f"memory of the server after {bench.size:,}, MB", server.memory_mb)
    found.add_fact(f"memory of PostgreSQL after {bench.size:,}, MB", postgres.memory_mb)
