"""`quorate serve`."""

import time
from argparse import Namespace

from quorate.app.seal import sealer
from quorate.commands import logs, running
from quorate.commands.places import owns, where
from quorate.commands.terminal import BOLD, Trouble, note, out, paint
from quorate.settings import Settings
from quorate.store.database import Database
from quorate.store.tenants import every_tenant


def serve(settings: Settings, args: Namespace) -> int:
    """Serve until stopped. An empty database is served too, after saying how to fill it."""
    started_at = time.monotonic()
    logs.set_up(form=settings.log_format, level=settings.log_level)
    make_place(settings)

    async def look(owner: Database, dsn: str) -> None:
        if await owns(owner) and not await every_tenant(owner):
            advise(settings)

    def announce(url: str) -> None:
        took_s = time.monotonic() - started_at
        place = settings.data if settings.database_url is None else "the given database"
        out(f"Quorate answers at {paint(url, BOLD)} on {place} after {took_s:.1f} s. Ctrl-C stops it.")

    return running.run(settings, look, announce)


def make_place(settings: Settings) -> None:
    """See to a place for the secret key, before anything is started: the key given, or the data directory for one.

    Raises:
        BadSecretKey: the key given is none.
        Trouble: the directory cannot be made.
    """
    if settings.secret_key is not None:
        sealer(settings.secret_key, settings.data)
        return
    if settings.database_url is None:
        return  # The embedded database makes its directory its own way.
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Trouble(f"{settings.data} cannot be used: {error.strerror}") from error


def advise(settings: Settings) -> None:
    note("There is no tenant yet. While this runs, in another terminal:")
    note(f"  quorate init {where(settings)}          makes one, with an administrator and a key")
    note(f"  quorate apply FILE {where(settings)}    makes what a file says (docs/apply.md)")
