"""A program that owns (or borrows) an embedded database, for the tests that need another process or another user.

`database_owner.py own|borrow DATA` starts the database and prints one JSON line with what it got, or {"refused": why}.
On each further line of input it answers one JSON line with what the database says; at the end of input, or
on Ctrl-C after one last question, it stops. Imports nothing of the tests, so that it runs from a copied installation.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from quorate.store.embedded import Embedded, EmbeddedError, attach_or_start


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


@asynccontextmanager
async def own(data: Path) -> AsyncIterator[str]:
    server = await Embedded.start(data)
    try:
        yield server.dsn
    finally:
        await server.stop()


async def ask(dsn: str, question: str = "SELECT 1") -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def main(how: str, data: Path) -> None:
    questions: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, questions.put_nowait, "")
    loop.add_reader(sys.stdin, lambda: questions.put_nowait(sys.stdin.readline()))
    try:
        async with own(data) if how == "own" else attach_or_start(data) as dsn:
            say(dsn=dsn, uid=os.geteuid(), pid=os.getpid())
            while question := (await questions.get()).strip():
                say(answer=await ask(dsn, question))
            say(answer=await ask(dsn))
    except EmbeddedError as error:
        say(refused=str(error))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
