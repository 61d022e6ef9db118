"""`python -m quorate`, and the installed command `quorate`."""

import os
import sys


def main() -> int:
    try:
        from quorate.commands.line import run

        return run(sys.argv[1:], os.environ)
    except KeyboardInterrupt:
        return 130  # As a shell says it: ended by SIGINT.


if __name__ == "__main__":
    sys.exit(main())
