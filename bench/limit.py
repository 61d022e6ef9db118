"""The limit: what PostgreSQL itself does with the same rows, one request or decision a transaction.

pgbench calls one function an operation: one round trip, one commit; no HTTP, no sign-in, no JSON to parse. The
functions (limit.sql) write the very rows that ours writes for the same call, into the same tables with the same
indexes and constraints: state, events, task, inbox, timers, counts, and the grant that the approval gives. They look
up what nobody could do without: the person, the thing and its workflow; that the approver is in the group. They leave
out what ours asks besides: row security, a tenant's settings, webhooks and policies, delegations, passkeys, quorum
trees. So no server that carries out one operation a transaction can be faster on this machine.

`both` is an asking and its approval: two round trips, two transactions, counted as one.
"""

import asyncio
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from asyncpg import Connection, Record
from msgspec import Struct

from bench import world
from bench.fill import Fill, Made
from bench.world import Who, tenant_id

SQL = Path(__file__).with_name("limit.sql")
OPERATIONS = ("create", "decide", "both")

_NEXT = "\\set i :i + 1\n\\set n (:i - 1) * :clients + :client_id\n"
_ASK = "bench.ask(tenant, requester, thing)"
_SCRIPTS = {
    "create": f"{_NEXT}SELECT {_ASK} FROM bench.to_ask WHERE n = :n;\n",
    "decide": f"{_NEXT}SELECT bench.decide(tenant, task, approver) FROM bench.to_decide WHERE n = :n;\n",
    "both": f"{_NEXT}SELECT tenant, approver, {_ASK} AS task FROM bench.to_ask WHERE n = :n \\gset\n"
    "SELECT bench.decide(:tenant, :task, :approver);\n",
}


class Limit(Struct, frozen=True):
    """What pgbench reached: transactions a second (of `both`: pairs of them)."""

    operation: str
    clients: int
    size: int
    per_second: float
    mean_ms: float
    postgres_us: float


def program() -> str | None:
    """Find pgbench: on the path, or where Debian's postgresql-15 has it."""
    return shutil.which("pgbench") or shutil.which("pgbench", path="/usr/lib/postgresql/15/bin")


async def prepare(connection: "Connection[Record]") -> None:
    await connection.execute(SQL.read_text())


async def to_decide(connection: "Connection[Record]", made: Sequence[Made]) -> None:
    """Say what the next run decides."""
    rows = [(n, tenant_id(one.tenant), one.task, one.approver.id) for n, one in enumerate(made)]
    await connection.execute("TRUNCATE bench.to_decide")
    await connection.copy_records_to_table("to_decide", schema_name="bench", records=rows)
    await connection.execute("ANALYZE bench.to_decide")


async def to_ask(connection: "Connection[Record]", fill: Fill, tenants: Sequence[str], number: int) -> None:
    """Say what the next run asks for."""
    begin = await fill.numbers(f"asked {tenants[0]}", -(-number // len(tenants)))
    rows = []
    for place in range(number):
        tenant, nth = tenants[place % len(tenants)], begin + place // len(tenants)
        asker, thing = world.asked(tenant, "by-group", nth)
        rows.append((place, tenant_id(tenant), asker.id, thing, Who(tenant, "member", nth % world.MEMBERS).id))
    await connection.execute("TRUNCATE bench.to_ask")
    await connection.copy_records_to_table("to_ask", schema_name="bench", records=rows)
    await connection.execute("ANALYZE bench.to_ask")


async def run(dsn: str, operation: str, clients: int, seconds: float) -> tuple[float, float, int]:
    """Run pgbench; answers transactions a second, the mean in ms, and how many there were."""
    script = world.OUT / f"limit-{operation}.sql"
    world.OUT.mkdir(exist_ok=True)
    script.write_text(_SCRIPTS[operation])
    place = urlsplit(dsn)
    asked = parse_qs(place.query)
    words = ["-h", asked.get("host", [place.hostname or "localhost"])[0]]
    words += ["-p", asked.get("port", [str(place.port or 5432)])[0]]
    words += ["-U", place.username or "postgres", "-n", "-M", "prepared", "-T", str(max(1, round(seconds)))]
    words += ["-c", str(clients), "-j", str(min(2, clients)), "-D", "i=0", "-D", f"clients={clients}"]
    pgbench = program()
    assert pgbench is not None
    process = await asyncio.create_subprocess_exec(
        *(pgbench, *words, "-f", str(script), place.path[1:]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = (text.decode() for text in await process.communicate())
    rate, mean = re.search(r"^tps = ([\d.]+)", out, re.MULTILINE), re.search(r"latency average = ([\d.]+)", out)
    number = re.search(r"actually processed: (\d+)", out)
    failed = re.search(r"failed transactions: (\d+)", out)
    if process.returncode or rate is None or mean is None or number is None or (failed and int(failed[1])):
        raise RuntimeError(f"pgbench: {out[-500:]} {said[-500:]}")
    return float(rate[1]), float(mean[1]), int(number[1])
