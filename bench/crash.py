"""Kill the server, its PostgreSQL or both, again and again under load: is anything lost, or done twice?

`python -m bench crash [--kills 200] [--seed N] [--seconds-limit S]`. A crowd asks, decides, overrides, cancels,
reassigns and comments over HTTP; deadlines of a second or two and access for two seconds run out meanwhile; a receiver
takes the webhooks. After each kill the server is started again, calls without an answer are repeated with their
`Idempotency-Key`, and everything is compared (`bench/proof.py`). The same seed draws the same victims and moments; what
the calls do depends on the machine too.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from uuid import UUID

import httpx
from tests.commands.program import OURS, Program, ran
from tests.receiver import Receiver, receiving
from tests.store.embedded_world import postmaster, serving

from bench.crowd import SILENT, Crowd, Deed, People
from bench.proof import Proof
from quorate.domain.messages import Subscription
from quorate.store.database import Database, Retryable
from quorate.store.embedded.cluster import dsn

KILLS, SECONDS_LIMIT = 200, 1500.0
PATIENCE_S = 30.0  # For a restart, for answers to repeated calls, for what is due.
ENDS = "none: the server is asked to end"
VICTIMS = {
    "the server": 4,
    "PostgreSQL": 3,
    "both": 3,
    "a session of PostgreSQL": 1,
    "the server while it starts": 1,
    ENDS: 1,
}
MENDED = ("PostgreSQL", "a session of PostgreSQL")  # Whose death the server survives.
OFTEN = 3  # So often in a row PostgreSQL alone may die; a server gives it up at five deaths within a minute.


class Violation(Exception):
    """Something that must hold does not."""


@dataclass
class Report:
    """What was done, and what was found."""

    kills: Counter[str] = field(default_factory=Counter)
    recovered_s: dict[str, list[float]] = field(default_factory=dict)
    deeds: list[Deed] = field(default_factory=list)
    looks: int = 0
    seen: int = 0
    told: int = 0
    took_s: float = 0.0
    violations: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The closing table."""
        ends = self.kills[ENDS]
        kills = f"{self.kills.total() - ends} kills and {ends} orderly ends in {self.took_s:.0f} s"
        lines = [f"{kills}; back within (median, worst):"]
        for victim, times in sorted(self.recovered_s.items()):
            lines.append(f"  {victim:28} {self.kills[victim]:5}   {median(times):6.2f} s {max(times):6.2f} s")
        first = Counter(_answered(deed.statuses[0]) for deed in self.deeds)
        lines.append(
            f"{len(self.deeds)} calls that change something: "
            + ", ".join(f"{n} {what}" for what, n in sorted(first.items()))
        )
        again = [deed for deed in self.deeds if len(deed.statuses) > 1]
        had = sum(deed.was_replayed for deed in again)
        lines.append(f"{len(again)} repeated after a restart: {had} had happened, {len(again) - had} had not")
        lines.append(
            f"{self.told} messages received; {self.looks} looks, {self.seen} requests compared with their rows"
        )
        lines.append(f"violations: {len(self.violations)}")
        return lines


def _answered(status: int) -> str:
    match status:
        case 0:
            return "without an answer"
        case 503:
            return "told to try again"
        case _ if status >= 500:
            return "answered with an error of ours"
        case _:
            return "refused" if status >= 400 else "answered yes"


class World:
    """One data directory, the server on it, and those who call it."""

    def __init__(self, data: Path, seed: int, receiver: Receiver) -> None:
        self.data, self.receiver = data, receiver
        self.people = People(seed)
        self.crowd = Crowd(self.people, seed)
        self.report = Report(deeds=self.crowd.deeds)
        self.proofs = [Proof(self.people, "acme"), Proof(self.people, "olympia")]
        self._draw = Random(seed)
        self._log = (data.parent / "log").open("ab")
        self._server: Program | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._url = ""
        self._looked_at = 0
        self._begun = 0  # How many calls had been begun when the server was asked to end.

    async def settle(self, harm: str | None) -> None:
        """Fill the database, start the server, and have everything told to the receiver."""
        applied = await ran("apply", "-", "--data", self.data, given=json.dumps(self.people.declared()))
        assert applied.code == 0, applied.said
        if harm is not None:
            with (self.data / "pg18/postgresql.conf").open("a") as conf:
                conf.write(f"{harm}\n")
        await self._start()
        hook = {"name": "crash", "url": self.receiver.url(), "events": ["*"]}
        async with httpx.AsyncClient(base_url=self._url, trust_env=False) as http:
            made = await http.post("/api/v1/webhooks", json=hook, headers=self._as("ada"))
        assert made.status_code == 201, made.text
        self.proofs[0].subscriptions = [Subscription(UUID(made.json()["data"]["id"]), ("*",))]

    async def cycle(self, victim: str) -> None:
        """Load, kill, restart, compare. Raises Violation."""
        calling = asyncio.create_task(self.crowd.call(self._url))
        try:
            await asyncio.sleep(self._draw.uniform(0.3, 1.0))
            await self._kill(victim)
            killed_at = time.monotonic()
            self.report.kills[victim] += 1
            if victim in MENDED:
                await self._ready()
                took_s = time.monotonic() - killed_at
                await asyncio.sleep(self._draw.uniform(0.0, 0.4))
        finally:
            self.crowd.stop()
            await calling
        if victim in (*MENDED, ENDS):
            self._all_heard(self._begun if victim == ENDS else len(self.crowd.deeds))
        if victim not in MENDED:
            if victim == "the server while it starts":
                await self._start_and_kill()
            started_at = time.monotonic()
            await self._start()
            took_s = time.monotonic() - started_at
        self.report.recovered_s.setdefault(victim, []).append(took_s)
        await self.compare()

    async def compare(self, *, whole: bool = False) -> None:
        """Repeat what has no answer, wait for what is due, and look whether everything holds. Raises Violation."""
        deeds = self.crowd.deeds if whole else self.crowd.deeds[self._looked_at :]
        await self._answer_all(deeds)
        wrong = [f"{deed.what} by {deed.who} was answered {deed.statuses}" for deed in deeds if 500 in deed.statuses]
        wrong += self.crowd.trouble
        async with self._owner() as owner:
            for proof in self.proofs:
                await self._none_waits(owner, proof)
                told = {UUID(got.id) for got in self.receiver.got}
                wrong += await proof.wrong(owner, deeds, told, whole=whole)
        wrong += await self._can_be_read(deeds)
        self._looked_at = len(self.crowd.deeds)
        self.report.looks += 1
        self.report.seen = sum(proof.seen for proof in self.proofs)
        self.report.told = len({got.id for got in self.receiver.got})
        self.report.violations += wrong
        if self.report.violations:
            raise Violation(self.report.violations[0])

    async def end(self) -> None:
        """Leave nothing running."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), PATIENCE_S)
        self._kill_server()
        deadline = time.monotonic() + PATIENCE_S
        while (left := serving(self.data)) and time.monotonic() < deadline:  # noqa: ASYNC110  No event tells.
            await asyncio.sleep(0.05)
        _kill(left)
        self._log.close()

    async def _kill(self, victim: str) -> None:
        match victim:
            case "the server" | "the server while it starts":
                self._kill_server()
            case str() if victim == ENDS:
                await self._ask_to_end()
            case "PostgreSQL":
                _kill({postmaster(self.data)} if self._draw.random() < 0.5 else serving(self.data))
            case "a session of PostgreSQL":
                _kill({self._draw.choice(sorted(serving(self.data) - {postmaster(self.data)}))})
            case _:
                self._kill_server()
                _kill(serving(self.data))
        if victim not in MENDED:
            self.crowd.stop()
            assert self._process is not None
            await self._process.wait()

    async def _ask_to_end(self) -> None:
        """Send SIGTERM under load: what is in flight is answered, the rest is told to try again."""
        assert self._process is not None
        self._begun = len(self.crowd.deeds)
        self._process.terminate()
        await asyncio.sleep(0.3)
        self.crowd.stop()
        code = await asyncio.wait_for(self._process.wait(), PATIENCE_S)
        if code:
            self.report.violations.append(f"asked to end, the server ended with {code}")

    def _all_heard(self, upto: int) -> None:
        """A server that lives answers every call, with "try again" if need be: all from the last look up to this."""
        silent = [deed for deed in self.crowd.deeds[self._looked_at : upto] if deed.statuses[-1] == SILENT]
        self.report.violations += [f"{deed.what} by {deed.who} got no answer" for deed in silent]

    def _kill_server(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _spawn(self) -> Program:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "quorate", "serve", "--data", str(self.data), "--port", "0"),
            "--allow-private-targets",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
            env={"PATH": os.environ["PATH"], "TMPDIR": tempfile.gettempdir(), **OURS.env},
            start_new_session=True,
        )
        return Program(self._process)

    async def _start(self) -> None:
        self._url = await (await self._spawn()).answers()
        await self._ready()

    async def _start_and_kill(self) -> None:
        await self._spawn()
        await asyncio.sleep(self._draw.uniform(0.3, 1.5))
        self._kill_server()
        assert self._process is not None
        await self._process.wait()

    async def _ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        async with httpx.AsyncClient(base_url=self._url, timeout=5, trust_env=False) as http:
            while time.monotonic() < deadline:
                with suppress(httpx.TransportError):
                    if (await http.get("/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.02)
        raise Violation(f"the server is not ready after {PATIENCE_S} s")

    async def _answer_all(self, deeds: list[Deed]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while (left := [deed for deed in deeds if deed.is_open]) and time.monotonic() < deadline:
            await self.crowd.repeat(self._url, left)

    async def _none_waits(self, owner: Database, proof: Proof) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while waiting := await proof.waiting(owner):
            if time.monotonic() > deadline:
                raise Violation(f"not done {PATIENCE_S} s after the restart: {waiting}")
            await asyncio.sleep(0.05)

    async def _can_be_read(self, deeds: list[Deed]) -> list[str]:
        """Look for some of the requests that were filed the way callers do."""
        filed = [deed for deed in deeds if deed.what == "file" and deed.is_done and deed.who not in ("opal",)]
        wrong = []
        async with httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=PATIENCE_S) as http:
            for deed in self._draw.sample(filed, min(5, len(filed))):
                id = deed.answer["data"]["id"]
                mine = await http.get(f"/api/v1/access-requests/{id}", headers=self._as(deed.who))
                theirs = await http.get(f"/api/v1/access-requests/{id}", headers=self._as("olu"))
                if (mine.status_code, theirs.status_code) != (200, 404):
                    wrong.append(
                        f"request {id}: {mine.status_code} to who asked, {theirs.status_code} to another tenant"
                    )
        return wrong

    def _as(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.people.keys[who]}"}

    @asynccontextmanager
    async def _owner(self) -> AsyncIterator[Database]:
        """Come as the owner of the database, once it answers."""
        owner = Database(dsn(Path(json.loads((self.data / "lock").read_text())["sockets"])), role=None, size=1)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                await owner.open()
                break
            except Retryable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
        try:
            yield owner
        finally:
            await owner.close()


def drawn(kills: int, seed: int) -> Iterator[str]:
    """Draw victims, but PostgreSQL alone never too often in a row."""
    draw, in_a_row = Random(seed), 0
    for _ in range(kills):
        victim = draw.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        in_a_row = in_a_row + 1 if victim in MENDED else 0
        if in_a_row > OFTEN:
            victim, in_a_row = "both", 0
        yield victim


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def run(
    place: Path,
    victims: Iterable[str],
    *,
    seed: int,
    seconds_limit: float = SECONDS_LIMIT,
    tell: bool = False,
    harm: str | None = None,
) -> Report:
    """Kill one after the other, for so long at most. What was found stands in the report; a violation ends it.

    `harm`: a line for postgresql.conf, to see that a database which loses things is found out.
    """
    began = time.monotonic()
    async with receiving() as receiver:
        world = World(place / "data", seed, receiver)
        try:
            await world.settle(harm)
            for victim in victims:
                if time.monotonic() - began > seconds_limit:
                    break
                await world.cycle(victim)
                if tell:
                    _tell(world.report, time.monotonic() - began)
            await world.compare(whole=True)
        except Violation as error:
            world.report.violations = world.report.violations or [str(error)]
        finally:
            await world.end()
        world.report.took_s = time.monotonic() - began
        return world.report


def _tell(report: Report, took_s: float) -> None:
    text = f"{sum(report.kills.values())} kills, {len(report.deeds)} calls, {report.looks} looks, {took_s:.0f} s"
    print(f"\r\x1b[K{text}" if sys.stderr.isatty() else text, end="" if sys.stderr.isatty() else "\n", file=sys.stderr)


def main(arguments: Sequence[str]) -> None:
    """Run, and print the table. Exits with 1, and keeps the data directory, if anything was lost or done twice."""
    parser = argparse.ArgumentParser(prog="python -m bench crash", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--seconds-limit", type=float, default=SECONDS_LIMIT)
    asked = parser.parse_args(arguments)
    place = Path(tempfile.mkdtemp(prefix="crash-"))
    place.chmod(0o755)  # PostgreSQL, run as another user, must get there.
    print(f"seed {asked.seed}, in {place}", flush=True)
    report = asyncio.run(
        run(place, drawn(asked.kills, asked.seed), seed=asked.seed, seconds_limit=asked.seconds_limit, tell=True)
    )
    print("\n".join(report.lines()))
    if report.violations:
        print("\n".join(report.violations[:20]))
        sys.exit(1)
    shutil.rmtree(place)
