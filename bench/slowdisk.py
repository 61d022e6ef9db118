"""A disk whose fdatasync takes a millisecond longer: a small library, compiled here and preloaded into PostgreSQL."""

import re
import shutil
from pathlib import Path

from bench.client import compiled
from bench.server import Postgres
from quorate.store.embedded.child import LAUNCH

SOURCE = Path(__file__).with_name("slowdisk.c")
_LAUNCH = """\
import os, runpy
os.environ["LD_PRELOAD"] = {library!r}
runpy.run_path({launch!r}, run_name="__main__")
"""


def is_possible() -> bool:
    return shutil.which("cc") is not None


def launch(place: Path) -> Path:
    """Make a program that starts PostgreSQL on such a disk, in a directory that its user can read."""
    compiler = shutil.which("cc")
    assert compiler is not None
    library = place / "slowdisk.so"
    shutil.copyfile(compiled(compiler, SOURCE, "-shared", "-fPIC", "-O2"), library)
    library.chmod(0o755)
    program = place / "launch.py"
    program.write_text(_LAUNCH.format(library=str(library), launch=str(LAUNCH)))
    return program


def is_in(postgres: Postgres) -> bool:
    """Say whether it took: the library is in PostgreSQL's memory."""
    with postgres.eyes():
        return bool(re.search(r"slowdisk\.so", Path(f"/proc/{postgres.pid}/maps").read_text()))
