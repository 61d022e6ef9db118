"""A receiver of webhooks on loopback: it keeps what it got and answers what a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from standardwebhooks import Webhook

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class Got(NamedTuple):
    """One call as it came in."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> dict[str, Any]:
        said: dict[str, Any] = msgspec.json.decode(self.body)
        return said

    def is_signed_by(self, secret: str) -> bool:
        """Whether the signature is what the reference implementation makes of it."""
        at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        return self.headers["webhook-signature"] == Webhook(secret).sign(self.id, at, self.body.decode())


Answering = Callable[[Got], Awaitable[bytes]]


class Receiver:
    """What came in, and the answer to the next call: bytes, or work that makes them."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: bytes | Answering = OK
        self.port = 0
        self.came = asyncio.Event()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *rest = head.decode("latin-1").strip().split("\r\n")
                headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in rest)}
                got = Got(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
                self.got.append(got)
                self.came.set()
                writer.write(self.answer if isinstance(self.answer, bytes) else await self.answer(got))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(**tls: Any) -> AsyncIterator[Receiver]:
    """Listen on a port of loopback, and close what is open at the end."""
    receiver, calls = Receiver(), set[asyncio.Task[None]]()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        calls.add(task)
        with suppress(asyncio.CancelledError):
            await receiver.take(reader, writer)
        calls.discard(task)

    server = await asyncio.start_server(take, "127.0.0.1", 0, **tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        left = set(calls)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An answer with a body and headers."""
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body
