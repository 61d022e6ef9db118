"""What a run found: printed as it comes, then as a table beside the limit, and kept as JSON."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from bench.calls import Measured
from bench.limit import Limit
from bench.world import OUT

LIMIT_OF = {"create": "create", "decide": "decide", "cycle": "both"}


class Report(msgspec.Struct):
    """Everything one run found, and where."""

    at: str
    version: str
    machine: str
    limits: list[Limit] = []
    calls: list[Measured] = []
    facts: dict[str, float] = {}
    """Other figures, by what they are: `server memory, MB`."""

    @classmethod
    def begun(cls) -> Self:
        described = subprocess.run(["git", "describe", "--always", "--dirty"], stdout=subprocess.PIPE, check=False)
        system = f"Linux {platform.release()}, Python {platform.python_version()}"
        machine = f"{os.cpu_count()} cores, {platform.machine()}, {system}"
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), described.stdout.decode().strip(), machine)

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
        return [error for one in self.calls for error in one.errors]

    def best(self, operation: str) -> float | None:
        """The limit of an operation: its best count."""
        of = LIMIT_OF.get(operation)
        return max((one.per_second for one in self.limits if one.operation == of), default=None)

    def ratio(self, one: Measured) -> float | None:
        best = self.best(one.operation)
        return one.per_second / best if best and not one.offered else None

    def _line(self, one: Measured) -> str:
        return "  ".join(f"{column(self, one):>{len(head)}}" for head, column in _COLUMNS.items())

    def markdown(self) -> str:
        """Write the table for docs/performance.md."""
        lines = [f"{self.at}, version {self.version}. {self.machine}.", ""]
        if self.limits:
            lines += ["| The limit | clients | a second | mean, ms | PostgreSQL, µs |", "|---|---:|---:|---:|---:|"]
            lines += [
                f"| {limit.operation} | {limit.clients} | {limit.per_second:,.0f} | {limit.mean_ms:.2f}"
                f" | {limit.postgres_us:.0f} |"
                for limit in self.limits
            ]
            lines.append("")
        if self.calls:
            lines += [f"| {' | '.join(head.strip() for head in _COLUMNS)} |", f"|---|{'---:|' * (len(_COLUMNS) - 1)}"]
            lines += [
                f"| {' | '.join(column(self, one) for column in _COLUMNS.values())} |"
                for one in sorted(self.calls, key=lambda one: (one.operation, -one.tenants, one.connections))
            ]
            lines.append("")
        lines += [f"- {what}: {value:,.2f}" for what, value in self.facts.items()]
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
