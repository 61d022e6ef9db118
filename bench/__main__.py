"""Run the benches: `python -m bench [ARGUMENT …]` measures everything, `python -m bench NAME [ARGUMENT …]` one part."""

import sys
from collections.abc import Callable, Mapping, Sequence

from bench import crash, everything, explore, policy, report

BENCHES: Mapping[str, Callable[[Sequence[str]], None]] = {
    "all": everything.everything,
    "http": everything.http,
    "limit": everything.limits,
    "timers": everything.due,
    "policy": policy.main,
    "crash": crash.main,
    "explore": explore.main,
    "report": report.main,
}
"""What each bench is called, and what runs it with the arguments given after its name."""


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        arguments = ["all", *arguments]
    name, *rest = arguments
    if name not in BENCHES:
        print(f"no bench is called {name}; there are: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    BENCHES[name](rest)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
