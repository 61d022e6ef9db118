"""Schemathesis plays a caller who has read nothing but the OpenAPI document, and one who means harm.

All of its checks that a schema can decide; `schemathesis.toml` says which are left out and why, and how to run the
long form.
"""

import asyncio
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from quorate.store.database import Database
from quorate.surfaces.http.serving import config
from tests.surfaces.http.test_serving import Announced
from tests.surfaces.native.everything import ROUTES, filled
from tests.surfaces.native.story import Story

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 3  # for each operation and phase; the test shall take well below a minute
LONGEST_S = 300


async def test_the_document_alone_is_enough_to_call_the_api_rightly(
    story: Story, unfenced: Database, tmp_path: Path
) -> None:
    await filled(story, unfenced)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = Announced(config(story.origin, host="127.0.0.1", port=port, drain_s=1))
    running = asyncio.create_task(server._serve([listening]))  # `serve` would take the signal handlers.
    try:
        async with asyncio.timeout(10):
            await server.is_up.wait()
        status, said = await played(f"http://127.0.0.1:{port}/openapi.json", story.keys["ada"], tmp_path)
    finally:
        server.should_exit = True
        await running
        listening.close()

    assert status == 0, said
    assert f"Tested: {len(ROUTES)}" in said, said


async def played(document: str, key: str, home: Path) -> tuple[int | None, str]:
    """Let Schemathesis call everything in a document; give its exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("--config-file", CONFIG, "run", document),
        *("--phases", "examples,fuzzing,stateful", "--max-examples", str(EXAMPLES)),
        *("--header", f"Authorization: Bearer {key}"),
        cwd=home,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, said.decode()
