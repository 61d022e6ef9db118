"""New ids, as the type in which the database driver gives them back: it compares and writes them in C."""

import os
import time
from uuid import UUID

from asyncpg.pgproto import pgproto

_MS_BYTES = 6


def new_id() -> UUID:
    """Mint an id that says nothing: version 4 of RFC 9562."""
    return _made(bytearray(os.urandom(16)), version=4)


def new_command_id() -> UUID:
    """Mint an id that begins with the time in ms: version 7 of RFC 9562.

    History has an index by command. Ids in the order of time keep its new entries side by side, in pages that are in
    memory, however long the history is.
    """
    now_ms = time.time_ns() // 1_000_000
    return _made(bytearray(now_ms.to_bytes(_MS_BYTES, "big") + os.urandom(10)), version=7)


def _made(raw: bytearray, *, version: int) -> UUID:
    raw[6] = raw[6] & 0x0F | version << 4
    raw[8] = raw[8] & 0x3F | 0x80
    made: UUID = pgproto.UUID(bytes(raw))
    return made
