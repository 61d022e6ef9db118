"""Drives the client: a C program where there is a compiler, else a Python one that costs several times as much.

Both read the same file of prepared calls and answer with the same line of JSON.
"""

import asyncio
import hashlib
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bench.world import OUT

HOLE = "#" * 36  # Here the first id of the answer before is put.
PATIENCE_S = 120

Chain = Sequence[bytes]
"""Calls made one after another on one connection, each a whole HTTP request."""


class Outcome(Struct, frozen=True):
    """What a run of the client found. Times are of whole chains; `measured` is what ended after warming up."""

    done: int
    measured: int
    answered: int
    refused: int
    lost: int
    seconds: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    client_cpu_s: float
    statuses: dict[str, int]
    sample: str

    @property
    def per_second(self) -> float:
        return self.measured / self.seconds if self.seconds else 0.0

    @property
    def is_clean(self) -> bool:
        return not self.refused and not self.lost and self.done > 0


def call(method: str, path: str, key: str, body: Any = None, *, headers: Mapping[str, object] | None = None) -> bytes:
    """Write one HTTP request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    if body is None:
        return f"{head}\r\n".encode()
    sent = msgspec.json.encode(body)
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n".encode() + sent


async def drive(
    address: tuple[str, int],
    chains: Iterable[Chain],
    *,
    connections: int,
    seconds: float,
    warm: float = 0.5,
    rate: float = 0,
    loop: bool = False,
) -> Outcome:
    """Make calls for so many seconds after `warm` ones, or until the chains are used up; `loop` begins them again.

    `rate`: so many chains a second are due, whether or not anybody is free to begin them (0: as fast as answered).
    """
    with tempfile.NamedTemporaryFile(prefix="quorate-bench-") as file:
        _write(file, list(chains))
        file.flush()
        host, port = address
        words = [host, port, file.name, connections, seconds, warm, rate, int(loop)]
        process = await asyncio.create_subprocess_exec(*program(), *map(str, words), stdout=asyncio.subprocess.PIPE)
        try:
            said, _ = await asyncio.wait_for(process.communicate(), seconds + warm + PATIENCE_S)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise RuntimeError(f"the client ended with {process.returncode}")
    return msgspec.json.decode(said, type=Outcome)


def _write(file: Any, chains: Sequence[Chain]) -> None:
    file.write(struct.pack("=I", len(chains)))
    for chain in chains:
        file.write(struct.pack("=I", len(chain)))
        for one in chain:
            file.write(struct.pack("=I", len(one)) + one)


def program() -> list[str]:
    """Name the client to run; the C one is compiled when it is first wanted."""
    compiler = shutil.which("cc")
    if compiler is None:
        return [sys.executable, str(Path(__file__).with_name("slow_client.py"))]
    return [str(compiled(compiler, Path(__file__).with_name("client.c"), "-O2"))]


def compiled(compiler: str, source: Path, *options: str) -> Path:
    """Compile a file of ours, unless that has been done."""
    made = OUT / f"{source.stem}-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    if not made.exists():
        OUT.mkdir(exist_ok=True)
        subprocess.run([compiler, *options, "-o", f"{made}.new", str(source)], check=True)
        Path(f"{made}.new").rename(made)
    return made
