"""Gives up root, ties its life to its parent's, and becomes the program it was asked for.

Run as a script by `child.py`: `python -I -S launch.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT …]`. It is
a program and not a function run between fork and exec, because the server has threads, and after a fork only a
fresh process may safely run Python. It imports the standard library alone.
"""

import ctypes
import os
import sys

# prctl(2)
PR_SET_PDEATHSIG = 1
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4


def main() -> None:
    parent, death_signal, uid, gid = (int(word) for word in sys.argv[1:5])
    program = sys.argv[5:]
    if uid != os.geteuid():
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    os.umask(0o077)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    # What the service manager gave our server (a low port, perhaps) is not for its database.
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    # After the change of user, which the kernel answers by forgetting this signal.
    if prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("the process that wanted this program has ended")
    try:
        os.execv(program[0], program)  # noqa: S606  There is no shell to want.
    except OSError as error:
        sys.exit(f"{program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
