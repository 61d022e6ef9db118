"""Lets Schemathesis play a caller who has read nothing but an OpenAPI document, and one who means harm."""

import asyncio
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from quorate.surfaces.http.origin import Origin
from quorate.surfaces.http.serving import config
from tests.surfaces.http.test_serving import Announced

EXAMPLES = 3  # for each operation and phase; the test shall take well below a minute
LONGEST_S = 300


async def play(
    origin: Origin, document: str, settings: Path, home: Path, *headers: str, phases: str = "examples,fuzzing,stateful"
) -> tuple[int | None, str]:
    """Serve, and let it call everything in a document at this path; give its exit status and what it said.

    `settings` is its own file of settings; `home` is where it may write; `headers` go with every call.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = Announced(config(origin, host="127.0.0.1", port=port, drain_s=1))
    running = asyncio.create_task(server._serve([listening]))  # `serve` would take the signal handlers.
    try:
        async with asyncio.timeout(10):
            await server.is_up.wait()
        return await _played(
            *("--config-file", str(settings), "run", f"http://127.0.0.1:{port}{document}"),
            *("--phases", phases, "--max-examples", str(EXAMPLES)),
            *(word for header in headers for word in ("--header", header)),
            home=home,
        )
    finally:
        server.should_exit = True
        await running
        listening.close()


async def _played(*words: str, home: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"), *words, cwd=home, stdout=PIPE, stderr=STDOUT
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, said.decode()
