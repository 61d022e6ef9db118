"""The long form of the explorer and the random walks: `python -m bench explore [STATES] [WALKS]`.

The small worlds of the tests are explored again, then wider ones, whose states are too many for every test run.
"""

import sys
import time
from collections.abc import Sequence

from tests.domain import test_random_walks
from tests.domain.explorer import SmallWorld, explore
from tests.domain.worlds import WIDER, WORLDS

STATES, WALKS = 50_000, 2_000


def main(arguments: Sequence[str]) -> None:
    """Explore every world up to so many states, then take so many random walks. Raises where a rule is broken."""
    states = int(arguments[0]) if arguments else STATES
    walks = int(arguments[1]) if len(arguments) > 1 else WALKS
    for make in (*WORLDS, *WIDER):
        _explore(make(), states)
    _walk(walks)


def _explore(world: SmallWorld, states: int) -> None:
    began = time.perf_counter()
    found = explore(world, most=states, progress=lambda seen: _tell(f"{world.name}: {seen} states"))
    _tell("")
    print(f"{found} ({time.perf_counter() - began:.1f} s)", flush=True)


def _walk(walks: int) -> None:
    began = time.perf_counter()
    walked = test_random_walks.walk_many(walks, progress=lambda seen: _tell(f"random walks: {seen}"))
    _tell("")
    print(f"{walked} ({time.perf_counter() - began:.1f} s)", flush=True)


def _tell(text: str) -> None:
    """Show progress on a terminal, in place."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
