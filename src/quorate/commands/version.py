"""`quorate version`."""

import platform
from argparse import Namespace

import msgspec

from quorate import __version__
from quorate.commands.terminal import out
from quorate.settings import Settings
from quorate.store.embedded.server import MAJOR
from quorate.store.migrate import available


def version(settings: Settings, args: Namespace) -> int:
    """Say which versions of what this is."""
    facts = {
        "quorate": __version__,
        "python": platform.python_version(),
        "embeddedPostgresql": MAJOR,
        "newestMigration": available()[-1].name,
    }
    if args.json:
        out(msgspec.json.encode(facts).decode())
    else:
        out(
            f"quorate {__version__} (Python {facts['python']}, embedded PostgreSQL {MAJOR}, {facts['newestMigration']})"
        )
    return 0
