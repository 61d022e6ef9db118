"""A wire to PostgreSQL that can be cut at the one moment that matters: around COMMIT."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

COMMIT = b"Q" + (4 + len(b"COMMIT\0")).to_bytes(4, "big") + b"COMMIT\0"


class Cut(Enum):
    """When the wire is cut."""

    NEVER = "never"
    BEFORE_COMMIT = "before the server has seen COMMIT"
    AFTER_COMMIT = "after the server has answered COMMIT, before the client hears of it"


class Proxy:
    """Forwards bytes between clients on its own socket and PostgreSQL's.

    `cut` says when to cut; the first time it does so it goes back to NEVER, so that a second try gets through. With
    `about`, only a transaction in which these bytes went by is cut off: others may be under way beside it.
    `hang_up` cuts all connections now. While it `is_down`, nobody gets through; with `stays_down` it is down from
    the next cut on, for every connection.
    """

    def __init__(self, upstream: str, dsn: str) -> None:
        self._upstream = upstream
        self._writers: set[asyncio.StreamWriter] = set()
        self.dsn = dsn
        self.cut, self.about = Cut.NEVER, b""
        self.is_down = self.stays_down = False

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self.is_down:
            to_client.close()
            return
        server, to_server = await asyncio.open_unix_connection(self._upstream)
        self._writers |= {to_client, to_server}
        answers = asyncio.create_task(self._answers(server, to_client))
        is_meant = False
        try:
            while data := await client.read(65536):
                is_meant = is_meant or self.about in data
                ends, meant = data.endswith(COMMIT), is_meant
                is_meant = is_meant and not ends
                if ends and meant and self.cut is not Cut.NEVER:
                    cut, self.cut, self.is_down = self.cut, Cut.NEVER, self.stays_down
                    if cut is Cut.BEFORE_COMMIT:
                        return
                    answers.cancel()
                    await asyncio.wait([answers])
                    to_server.write(data)
                    await server.readexactly(1)  # CommandComplete, or an error: either way it has been decided.
                    return
                to_server.write(data)
                await to_server.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            if self.is_down:
                self.hang_up()
            answers.cancel()
            await asyncio.wait([answers])
            for writer in (to_client, to_server):
                writer.close()
                self._writers.discard(writer)

    async def _answers(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await server.read(65536):
                to_client.write(data)
                await to_client.drain()
            to_client.close()

    def hang_up(self) -> None:
        """Cut every connection."""
        for writer in list(self._writers):
            writer.close()


@asynccontextmanager
async def proxied(dsn: str) -> AsyncIterator[Proxy]:
    """Put a proxy before the PostgreSQL behind this DSN, which must name a socket directory as its host."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    port = query.get("port", ["5432"])[0]
    with tempfile.TemporaryDirectory(prefix="qt-", dir="/tmp") as place:  # Short enough for a socket.
        mine = f"postgresql://{parts.netloc}{parts.path}?host={quote(place, safe='')}&port=5432"
        proxy = Proxy(f"{query['host'][0]}/.s.PGSQL.{port}", mine)
        listener = await asyncio.start_unix_server(proxy.serve, str(Path(place) / ".s.PGSQL.5432"))
        try:
            yield proxy
        finally:
            listener.close()
            proxy.hang_up()
            await listener.wait_closed()
