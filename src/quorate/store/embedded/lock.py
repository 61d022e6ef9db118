"""One owner for each data directory.

The lock is the kernel's (flock), so it ends with its holder, however that came to die; what stands
in the file only tells others whom to ask.
"""

import fcntl
import os
from pathlib import Path

import msgspec

from quorate.store.embedded.errors import InUse


class Owner(msgspec.Struct, frozen=True):
    """What the lock file says of who holds, or last held, the lock."""

    pid: int
    major: int
    sockets: str
    postgres: int | None = None  # None until it accepts connections.


class Lock:
    """The lock on one data directory, held until `release` or our death."""

    def __init__(self, data: Path) -> None:
        """Take the lock.

        Raises:
            InUse: somebody else holds it.
            OSError: the file cannot be made or opened.
        """
        self._fd = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = self.read()
            os.close(self._fd)
            if not isinstance(error, BlockingIOError):
                raise
            who = f"process {owner.pid}" if owner else "another process"
            ready = owner is not None and owner.postgres is not None
            raise InUse(f"{data} is in use by {who}", sockets=owner.sockets if owner and ready else None) from None

    def read(self) -> Owner | None:
        """Read who holds or last held the lock; None when the file does not say."""
        try:
            return msgspec.json.decode(os.pread(self._fd, 4096, 0), type=Owner)
        except msgspec.DecodeError:
            return None

    def write(self, *, major: int, sockets: Path, postgres: int | None = None) -> None:
        """Say that we hold it."""
        self._replace(msgspec.json.encode(Owner(os.getpid(), major, str(sockets), postgres)) + b"\n")

    def release(self) -> None:
        """Give the lock up; the file stays, for removing it would let two processes lock two files of one name."""
        self._replace(b"")
        os.close(self._fd)

    def _replace(self, text: bytes) -> None:
        # In this order it needs no room on the disk but the first time.
        os.pwrite(self._fd, text, 0)
        os.ftruncate(self._fd, len(text))
