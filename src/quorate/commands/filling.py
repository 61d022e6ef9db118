"""A declarative file brought to a database, for the commands that do so: `apply`, `init`, `demo`."""

from datetime import UTC, datetime

from quorate.app import declare
from quorate.app.seal import BadSecretKey, Sealer, sealer
from quorate.app.verify import Passwords
from quorate.commands.filing import files
from quorate.commands.terminal import Trouble, note, progress
from quorate.settings import Settings
from quorate.store.database import Database


async def fill(
    owner: Database,
    dsn: str,
    source: bytes | str,
    name: str,
    settings: Settings,
    *,
    prune: bool = False,
    dry_run: bool = False,
    yes: bool = False,
) -> declare.Report:
    """Bring tenants to what a file says. `name` is the file's, for problems and for what stands beside it.

    `settings` say which key seals what is secret and must be read back.

    Raises:
        Trouble: something is wrong with the file, all of which has been said, or the database does not take it.
    """
    passwords = Passwords()

    def seal() -> Sealer:
        return sealer(settings.secret_key, settings.data)

    order = declare.Order(at=datetime.now(UTC), passwords=passwords, seal=seal, prune=prune, yes=yes)
    try:
        file = declare.parse(source, name)
        async with progress(f"applying {name}"):
            if dry_run:
                return await declare.dry_run(owner, file, order)
            async with files(dsn) as file_request:
                return await declare.apply(owner, file, order, file_request)
    except declare.Problems as problems:
        *others, last = problems.lines()
        for line in others:
            note(line)
        raise Trouble(last) from problems
    except (declare.CannotApply, BadSecretKey) as error:
        raise Trouble(str(error)) from error
    finally:
        passwords.close()
