"""How much memory this machine, or the container we are in, has."""

import os
from pathlib import Path
from typing import Final

MB: Final = 1 << 20
_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def installed_bytes(limits: tuple[Path, ...] = _LIMITS) -> int:
    """Count what there is, or less if a control group (version 2 or 1) allows less."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in limits:
        try:
            found.append(int(file.read_text()))
        except (OSError, ValueError):  # No such control group, or `max`.
            continue
    return min(found)


def buffers_mb(memory_bytes: int) -> int:
    """Say how much of the memory PostgreSQL keeps pages in: an eighth, from 128 MB to 1 GB."""
    return max(128, min(memory_bytes // 8 // MB, 1024))
