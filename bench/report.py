"""What a run found: printed as it comes, then as a table beside the limit, and kept as JSON."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from bench.calls import BESIDE, Measured
from bench.limit import Limit
from bench.world import OUT

LIMIT_OF = {"create": "create", "decide": "decide", "cycle": "both"} | dict.fromkeys(BESIDE, "decide")
AIMED = {("decide", 64): 1.0, ("decide", 256): 1.3, ("cycle", 64): 0.8, ("create", 64): 0.8}
"""Times the limit, by operation and connections."""


class Report(msgspec.Struct):
    """Everything one run found, and where."""

    at: str
    version: str
    machine: str
    limits: list[Limit] = []
    calls: list[Measured] = []
    facts: dict[str, float] = {}
    slow_disk: "Report | None" = None
    load: float = 0.0
    """Facts are other figures, by what they are. `load`: how busy the machine was before we began."""

    @classmethod
    def begun(cls) -> Self:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        system = f"Linux {platform.release()}, Python {platform.python_version()}"
        machine = f"{os.cpu_count()} cores, {platform.machine()}, {system}"
        return cls(
            datetime.now(UTC).isoformat(timespec="seconds"),
            described.stdout.decode().strip(),
            machine,
            load=os.getloadavg()[0],
        )

    def add(self, one: Measured) -> None:
        if not self.calls:
            _say(_HEAD)
        self.calls.append(one)
        _say(self._line(one))
        for error in one.errors:
            _say(f"    ERROR {error}")

    def add_limit(self, one: Limit) -> None:
        self.limits.append(one)
        _say(
            f"limit {one.operation:8} {one.clients:3} clients {one.per_second:8,.0f}/s {one.mean_ms:7.2f} ms mean"
            f" {one.postgres_us:6.0f} µs of PostgreSQL"
        )

    def add_fact(self, what: str, value: float) -> None:
        self.facts[what] = value
        _say(f"{what}: {value:,.2f}")

    @property
    def errors(self) -> list[str]:
        later = self.slow_disk.errors if self.slow_disk else []
        return [error for one in self.calls for error in one.errors] + later

    def best(self, one: Measured) -> float | None:
        """The limit of an operation: the best count on tables of the same size, or of any if there is none."""
        limits = [limit for limit in self.limits if limit.operation == LIMIT_OF.get(one.operation)]
        same = [limit for limit in limits if limit.size == one.size]
        return max((limit.per_second for limit in same or limits), default=None)

    def ratio(self, one: Measured) -> float | None:
        best = self.best(one)
        return one.per_second / best if best and not one.offered else None

    def aims(self) -> Iterator[tuple[str, float, bool]]:
        """What we want to reach: what it is, what was found, whether it is reached. Only what was measured."""
        sizes = sorted({one.size for one in self.calls})
        for one in self.calls:
            ratio, at = self.ratio(one), (one.operation, one.connections)
            if one.tenants < 20 and one.operation != "policy":
                continue
            if ratio is not None and one.size == sizes[0] and at in AIMED:
                yield f"{one.operation} at {one.connections} ≥ {AIMED[at]} × the limit", ratio, ratio >= AIMED[at]
            if one.operation == "inbox" and one.connections == 64:
                yield f"inbox ≥ 6,000/s at {one.size:,}", one.per_second, one.per_second >= 6000
                yield f"inbox p99 < 20 ms at {one.size:,}", one.p99_ms, one.p99_ms < 20
            if one.offered:
                yield f"decide p99 < 25 ms at {one.offered:,.0f}/s, {one.size:,}", one.p99_ms, one.p99_ms < 25
            small = [few for few in self.calls if _place(few) == _place(one) and few.size == sizes[0]]
            if one.size == sizes[-1] > sizes[0] and small and small[0].p99_ms:
                slower = one.p99_ms / small[0].p99_ms
                offered = f" and {one.offered:,.0f}/s" if one.offered else ""
                yield (
                    f"{one.operation} at {one.connections}{offered}: p99 at {one.size:,} ≤ 1.3 ×",
                    slower,
                    slower <= 1.3,
                )
        for what, value in self.facts.items():
            if what.startswith("memory of the server"):
                yield f"{what} < 150", value, value < 150

    def _line(self, one: Measured) -> str:
        return "  ".join(f"{column(self, one):>{len(head)}}" for head, column in _COLUMNS.items())

    def markdown(self) -> str:
        """Write the table for docs/performance.md."""
        lines = [f"{self.at}, version {self.version}. {self.machine}; load before: {self.load:.1f}.", ""]
        if self.limits:
            lines += [
                "| The limit | filled with | clients | a second | mean, ms | PostgreSQL, µs |",
                "|---|---:|---:|---:|---:|---:|",
            ]
            lines += [
                f"| {limit.operation} | {limit.size:,} | {limit.clients} | {limit.per_second:,.0f}"
                f" | {limit.mean_ms:.2f} | {limit.postgres_us:.0f} |"
                for limit in self.limits
            ]
            lines.append("")
        if self.calls:
            lines += [f"| {' | '.join(head.strip() for head in _COLUMNS)} |", f"|---|{'---:|' * (len(_COLUMNS) - 1)}"]
            lines += [
                f"| {' | '.join(column(self, one) for column in _COLUMNS.values())} |"
                for one in sorted(self.calls, key=lambda one: (*_place(one), one.size))
            ]
            lines.append("")
        lines += [f"- {what}: {value:,.2f}" for what, value in self.facts.items()]
        if aims := list(self.aims()):
            lines += ["", "| Aim | found | |", "|---|---:|---|"]
            lines += [f"| {what} | {value:,.2f} | {'yes' if met else 'no'} |" for what, value, met in aims]
        if self.slow_disk is not None:
            lines += ["", "With a disk whose fdatasync takes a millisecond longer:", "", self.slow_disk.markdown()]
        return "\n".join(lines).rstrip() + "\n"


_COLUMNS: dict[str, Callable[[Report, Measured], str]] = {
    "operation": lambda _, one: one.operation + (f" at {one.offered:,.0f}/s" if one.offered else ""),
    "tenants": lambda _, one: str(one.tenants),
    "connections": lambda _, one: str(one.connections),
    "  requests": lambda _, one: f"{one.requests:,}",
    "a second": lambda _, one: f"{one.per_second:,.0f}",
    "of limit": lambda report, one: "" if (ratio := report.ratio(one)) is None else f"{ratio:.2f}",
    "p50, ms": lambda _, one: f"{one.p50_ms:.1f}",
    "p99, ms": lambda _, one: f"{one.p99_ms:.1f}",
    "server, µs": lambda _, one: f"{one.server_us:.0f}",
    "PostgreSQL, µs": lambda _, one: f"{one.postgres_us:.0f}",
    "client, µs": lambda _, one: f"{one.client_us:.0f}",
    "batch": lambda _, one: "" if one.batch is None else f"{one.batch:.1f}",
}
_HEAD = "  ".join(_COLUMNS)


def _place(one: Measured) -> tuple[str, int, int, float]:
    return one.operation, -one.tenants, one.connections, one.offered


def finish(report: Report, path: Path | None) -> None:
    """Write the JSON, print the table, and fail if anything went wrong."""
    path = path or OUT / f"{report.at.replace(':', '')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    _say(f"\n{report.markdown()}\nwritten to {path}")
    if report.errors:
        sys.exit(f"{len(report.errors)} errors")


def main(arguments: Sequence[str]) -> None:
    """Print the table of a run that was kept: `python -m bench report FILE`."""
    print(msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Report).markdown(), end="")


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    print(text, flush=True)
