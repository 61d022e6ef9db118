"""The sockets a server listens on, taken before anything else is started."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from quorate.commands.terminal import Trouble

BACKLOG = 2048


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Take every address the host stands for, for as long as the block lasts.

    We listen at once, so that the port is ours; who calls before the server is up is answered when it is.

    Raises:
        Trouble: the port is in use, not ours to take, or the host is no address of this machine.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Trouble(f"cannot listen on {host}: {error.strerror or error}") from error
    with ExitStack() as held:
        sockets: list[socket.socket] = []
        for family, kind, protocol, _, place in dict.fromkeys(found):
            # One port for all of them, if any may be chosen.
            chosen = sockets[0].getsockname()[1] if sockets else port
            try:
                one = held.enter_context(socket.socket(family, kind, protocol))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind((place[0], chosen, *place[2:]))
                one.listen(BACKLOG)
            except OSError as error:
                if sockets and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    continue  # `localhost` names ::1 on machines without IPv6 too.
                raise Trouble(_reason(host, port, error)) from error
            one.setblocking(False)  # noqa: FBT003  Its only parameter.
            sockets.append(one)
        yield sockets


def url(host: str, sockets: list[socket.socket]) -> str:
    """The address to tell people, one that a browser on this machine can open."""
    place = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  Compared, not bound.
    place = f"[{place}]" if ":" in place and not place.startswith("[") else place
    return f"http://{place}:{sockets[0].getsockname()[1]}"


def _reason(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {host} is in use: choose another with --port, or stop what listens there"
        case errno.EACCES:
            return f"port {port} is for privileged programs: choose one above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine: choose another with --host"
        case _:
            return f"cannot listen on {host} port {port}: {error.strerror}"
