"""What a test needs of the machine beyond Python: skipped where it is missing, failed where nothing may be."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence

import pytest


def _ran(*words: str) -> bool:
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


# What is not a program on the path, and how to tell that it is there.
CONDITIONS: Mapping[str, Callable[[], bool]] = {
    "root": lambda: os.geteuid() == 0,
    "mount-rights": lambda: _ran("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"),
    "postgresql-15": lambda: os.access("/usr/lib/postgresql/15/bin/postgres", os.X_OK),
}


def needs(program: str) -> pytest.MarkDecorator:
    """Mark a test that needs a program (or one of `CONDITIONS`).

    Without it the test is skipped with the reason "needs <program>"; under QUORATE_REQUIRE_ALL=1 it
    is not skipped, and so fails.
    """
    has = CONDITIONS.get(program, lambda: shutil.which(program) is not None)
    missing = not has() and os.environ.get("QUORATE_REQUIRE_ALL") != "1"
    return pytest.mark.skipif(missing, reason=f"needs {program}")


def closing_line(reasons: Sequence[str]) -> str:
    """Say how many tests were skipped, for these reasons, and what to install so that they run."""
    wanted = sorted({found[1] for reason in reasons if (found := re.search(r"\bneeds ([\w.+-]+)", reason))})
    tests = "1 test" if len(reasons) == 1 else f"{len(reasons)} tests"
    return f"{tests} skipped" + (f"; to run them install: {', '.join(wanted)}" if wanted else "")
