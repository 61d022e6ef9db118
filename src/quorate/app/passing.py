"""What goes wrong for a while and is nobody's mistake, in the database or outside: the caller may try again."""

from typing import Final

from quorate.app.lanes import Unavailable
from quorate.app.oidc.issuers import ProviderAway
from quorate.store.database import CommitUnknown, Retryable

PASSING: Final[tuple[type[Exception], ...]] = (Unavailable, Retryable, CommitUnknown, ProviderAway)
