"""The data directory and the scratch directory: prepared, checked, and given to the right user."""

import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from quorate.store.embedded import binaries
from quorate.store.embedded.binaries import reachable
from quorate.store.embedded.child import User
from quorate.store.embedded.cluster import Cluster
from quorate.store.embedded.errors import EmbeddedError

PREFIX = "quorate-"
SOCKET_LIMIT = 107  # Bytes in a Unix socket's path; PostgreSQL's lock beside it has a longer name, but no such limit.
SOCKET = ".s.PGSQL.5432"


def prepare(data: Path) -> Path:
    """Make the data directory if it is missing, and return its absolute path.

    Raises:
        EmbeddedError: it is not a directory.
        OSError: it cannot be made.
    """
    data = data.absolute()
    try:
        data.parent.mkdir(parents=True, exist_ok=True)
        if data.is_dir():
            return data
        data.mkdir()
    except (FileExistsError, NotADirectoryError) as error:
        obstacle = next(place for place in (data, *data.parents) if place.exists())
        raise EmbeddedError(f"{obstacle} is not a directory") from error
    # As root we keep the programs in it that somebody else runs; all else in it is closed by its own mode.
    data.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return data


def scratch(user: User, held: ExitStack) -> Path:
    """Make the short, private directory of one run: PostgreSQL's socket and who may connect to it.

    It goes when `held` is closed. The lock on it tells systemd-tmpfiles that it is in use.
    """
    name_bytes = len(f"/{PREFIX}12345678/{SOCKET}")
    usual = Path(tempfile.gettempdir())
    suits = "," not in str(usual) and len(os.fsencode(usual)) + name_bytes <= SOCKET_LIMIT and reachable(usual, user)
    place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=usual if suits else "/tmp"))  # noqa: S108  mkdtemp is the safe way.
    held.callback(shutil.rmtree, place, ignore_errors=True)
    (place / "hba").write_text("local all all peer map=quorate\n")
    # Whoever runs Quorate, and root; not even PostgreSQL's own user, whom other daemons may share.
    admitted = {User.us().name, User(0, 0).name}
    (place / "ident").write_text("".join(f'quorate "{name}" all\n' for name in sorted(admitted)))
    for file in place.iterdir():
        file.chmod(0o644)
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    held.callback(os.close, fd)
    fcntl.flock(fd, fcntl.LOCK_SH)
    os.chown(place, user.uid, user.gid)
    return place


def sweep(left: str) -> None:
    """Remove the scratch directory of an owner that was killed."""
    place = Path(left)
    if place.name.startswith(PREFIX) and (place / "ident").is_file() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)


def settle(data: Path, major: int, held: ExitStack) -> Cluster:
    """Decide who runs which programs on the cluster of a data directory.

    Raises:
        EmbeddedError: the cluster there is of another major version or another user's, or the programs cannot
            be run from anywhere.
    """
    place = data / f"pg{major}"
    for version in sorted(data.glob("pg*/PG_VERSION")):
        if (found := version.read_text().strip()) != str(major):
            raise EmbeddedError(
                f"{version.parent} is a database of PostgreSQL {found}, and this Quorate runs PostgreSQL {major}: "
                "start it with the Quorate that made it, or upgrade it (docs/decisions/0001-embedded-postgresql.md)"
            )
    user = _runs(place)
    sockets = scratch(user, held)
    return Cluster(place, major, user, binaries.runnable(major, user, data=data, scratch=sockets), sockets)


def _runs(place: Path) -> User:
    """Decide who runs the cluster at `place`: whom it belongs to if it is there."""
    if not place.exists():
        return User.unprivileged()
    is_ = place.stat()
    owner = User(is_.st_uid, is_.st_gid)
    if owner.uid == 0:
        raise EmbeddedError(f"{place} belongs to root, and PostgreSQL does not run as root: give it to another user")
    if os.geteuid() not in (0, owner.uid):
        raise EmbeddedError(f"{place} belongs to {owner.name}: start Quorate as that user")
    return owner
