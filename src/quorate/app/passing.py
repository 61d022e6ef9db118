"""What goes wrong in the database for a while and is nobody's mistake: the caller may try again."""

from typing import Final

from quorate.app.commands import Unavailable
from quorate.store.database import CommitUnknown, Retryable

PASSING: Final[tuple[type[Exception], ...]] = (Unavailable, Retryable, CommitUnknown)
