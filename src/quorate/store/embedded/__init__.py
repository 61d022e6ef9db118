"""A private PostgreSQL for one Quorate: made, started, watched and stopped by us.

Layout of a data directory: `pg18` (the cluster, with its `log`), `lock` (who owns it), and `bin-…` (a copy of the
programs, where one is needed). Why it is like this: docs/decisions/0001-embedded-postgresql.md.
"""

from quorate.store.embedded.errors import EmbeddedError, InUse
from quorate.store.embedded.server import Embedded, attach_or_start

__all__ = ["Embedded", "EmbeddedError", "InUse", "attach_or_start"]
