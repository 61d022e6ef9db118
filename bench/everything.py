"""The measuring run: everything on this machine, once, beside the limit. See docs/performance.md.

python -m bench http|limit|… [--ops …] [--connections …] [--tenants …] [--sizes …] [--seconds …] [--data DIR]
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from asyncpg import Connection, Record

from bench import limit, report, server, world
from bench.calls import OPERATIONS, Bench, tenants_of
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
                yield postgres, Bench(connection, fill, running)
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
    return Limit(operation, clients, rate, mean_ms, (postgres.cpu_s - before) * 1e6 / max(done, 1))


def _arguments(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m bench {name}", allow_abbrev=False)
    parser.add_argument("--ops", nargs="+", help="operations, all unless said")
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 8, 64, 256])
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8, 32, 64], help="of pgbench")
    parser.add_argument("--tenants", nargs="+", type=int, default=[20, 1])
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000], help="requests in the tables, closed ones")
    parser.add_argument("--seconds", type=float, default=4.0, help="a measurement")
    parser.add_argument("--rate", type=float, default=0.0, help="operations due a second; 0: as fast as answered")
    parser.add_argument("--data", type=Path, help="a directory to keep the filled database in, for the next time")
    parser.add_argument("--json", type=Path, help="where to write the results")
    return parser


def http(arguments: Sequence[str]) -> None:
    """Calls over HTTP, alone."""
    asked = _arguments("http").parse_args(arguments)
    asyncio.run(_http(asked, Report.begun()))


async def _http(asked: argparse.Namespace, found: Report) -> None:
    with place(asked.data) as data:
        for size in asked.sizes:
            async with filled(data, size) as (_, bench):
                await http_part(bench, asked, found)
    report.finish(found, asked.json)


async def http_part(bench: Bench, asked: argparse.Namespace, found: Report) -> None:
    for operation in asked.ops or OPERATIONS:
        for tenants in asked.tenants if operation != "policy" else [1]:
            for connections in asked.connections:
                tell(f"{operation}, {tenants} tenants, {connections} connections")
                one = await bench.measure(
                    operation, tenants=tenants, connections=connections, seconds=asked.seconds, rate=asked.rate
                )
                found.add(one)


def limits(arguments: Sequence[str]) -> None:
    """The limit, alone."""
    asked = _arguments("limit").parse_args(arguments)
    asyncio.run(_limits(asked, Report.begun()))


async def _limits(asked: argparse.Namespace, found: Report) -> None:
    if limit.program() is None:
        sys.exit("the limit is measured with pgbench, of Debian's package postgresql-15")
    with place(asked.data) as data:
        async with filled(data, asked.sizes[0]) as (postgres, bench):
            await limit_part(bench, postgres, asked, found)
    report.finish(found, asked.json)


async def limit_part(bench: Bench, postgres: Postgres, asked: argparse.Namespace, found: Report) -> None:
    wanted = [one for one in asked.ops or limit.OPERATIONS if one in limit.OPERATIONS]
    for operation in wanted:
        for clients in asked.clients:
            tell(f"limit: {operation}, {clients} clients")
            one = await measure_limit(
                bench, postgres, operation, tenants=max(asked.tenants), clients=clients, seconds=asked.seconds
            )
            found.add_limit(one)
