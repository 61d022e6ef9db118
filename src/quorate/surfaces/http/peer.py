"""Who is at the other end, and under what name they reached us.

A proxy may say both in `X-Forwarded-*`. Anybody else can write those headers too, so they count only
when the connection comes from a proxy the operator trusts.
"""

import functools
import ipaddress
import re
from collections.abc import Iterable

from starlette.types import Scope

_HOST = re.compile(rb"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LONGEST_CHAIN = 32  # Hops of X-Forwarded-For we look through.

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Peers:
    """Finds the caller's address and our own origin.

    Args:
        public_url: what the operator says we are reached at; wins over every header.
        trusted: addresses or networks whose `X-Forwarded-For`, `-Proto` and `-Host` are believed.
            `unix` stands for connections over a unix socket, which have no address.
    """

    def __init__(self, public_url: str | None, trusted: Iterable[str]) -> None:
        words = tuple(trusted)
        self._public_url = public_url.rstrip("/") if public_url else None
        self._trusts_unix = "unix" in words
        self._trusted: tuple[Network, ...] = tuple(ipaddress.ip_network(word) for word in words if word != "unix")
        self._is_trusted = functools.lru_cache(maxsize=1024)(self._trusts)

    def address(self, scope: Scope) -> str:
        """The nearest address that is not a trusted proxy; `unix` where there is none."""
        client = scope.get("client")
        nearest = str(client[0]) if client and client[0] else "unix"
        if not self._is_trusted(nearest):
            return nearest
        for hop in reversed(_values(scope, b"x-forwarded-for")[-_LONGEST_CHAIN:]):
            found = _ip(hop)
            if found is None:
                return nearest  # What stands before an unreadable hop is nobody's word.
            nearest = str(found)
            if not self._is_trusted(nearest):
                return nearest
        return nearest

    def origin(self, scope: Scope) -> str:
        """Scheme and authority for absolute links; `http://localhost` when the caller names no valid host."""
        if self._public_url is not None:
            return self._public_url
        scheme, host = str(scope.get("scheme", "http")), _first(scope, b"host")
        client = scope.get("client")
        if self._is_trusted(str(client[0]) if client and client[0] else "unix"):
            proto = _first(scope, b"x-forwarded-proto")
            scheme = proto.decode() if proto in (b"http", b"https") else scheme
            forwarded = _first(scope, b"x-forwarded-host")
            host = forwarded if forwarded and _HOST.fullmatch(forwarded) else host
        if host is None or not _HOST.fullmatch(host):
            return f"{scheme}://localhost"
        return f"{scheme}://{host.decode()}"

    def _trusts(self, address: str) -> bool:
        if address == "unix":
            return self._trusts_unix
        found = _ip(address)
        return found is not None and any(found in network for network in self._trusted)


@functools.lru_cache(4096)
def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _values(scope: Scope, name: bytes) -> list[str]:
    values = [value for key, value in scope["headers"] if key == name]
    return [part.strip() for value in values for part in value.decode("latin-1").split(",")]


def _first(scope: Scope, name: bytes) -> bytes | None:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).split(b",")[0].strip()
    return None
