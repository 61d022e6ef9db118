"""The one client for every call that leaves this machine.

Whoever may name a URL here could otherwise have us call what only we can reach: the database beside us, a cloud's
metadata service, the office printer. So a name is resolved once, every address it has is looked at, and what was
looked at is what is dialled; nothing is followed anywhere else. Source: design §6.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import httpcore
from msgspec import Struct

TIMEOUT_S: Final = 30.0  # From the look-up of the name to the last byte of the answer.
CONNECT_S: Final = 5.0  # Each address; the next is tried when one does not answer.
MOST_ANSWER: Final = 1_000_000  # bytes
LONGEST_URL: Final = 2_000  # characters
KEPT_S: Final = 10.0  # How long a connection may wait for the next call.
MOST_CONNECTIONS: Final = 512

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host, as text. Raises OSError."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Global by the registry, or by some versions of Python, and yet no receiver's: the wire server of Azure, where the
# platform answers; protocol assignments (Oracle's metadata), 6to4 relays, site-local, documentation.
_NOBODYS: Final = tuple(
    ipaddress.ip_network(one)
    for one in ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "2001::/23", "3fff::/20")
)
_HTTP_PORTS: Final = frozenset({80, 443})
_LEAST_FREE_PORT: Final = 1024


class BadTarget(Exception):
    """We do not call this. The text says why, and names no address that the caller did not write."""


class CallFailed(Exception):
    """No whole answer came. The text is short and fit to be shown.

    `was_sent`: the call may have arrived all the same.
    """

    def __init__(self, why: str, *, was_sent: bool = True) -> None:
        super().__init__(why)
        self.was_sent = was_sent


class Target(Struct, frozen=True):
    """A URL taken apart. `path` has the query with it."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


class Answer(Struct, frozen=True):
    """What came back. `is_cut`: there was more than MOST_ANSWER, which was left."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False


class Outgoing:
    """Makes calls. To be closed at the end.

    Args:
        allow_private: reach whatever the operator's network reaches, on any port.
        resolve: how names become addresses.
        trusted: whose certificates are good; None: those the machine trusts.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        resolve: Resolve | None = None,
        timeout_s: float = TIMEOUT_S,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private, self._timeout_s = allow_private, timeout_s
        # Not httpx: it would have to be kept from redirects, proxies of the environment, .netrc and decompression.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusted or ssl.create_default_context(),
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=KEPT_S,
            network_backend=_Guarded(resolve or resolved, allow_private),
        )

    async def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Call a URL and read the answer, of whatever status. Redirects are answers.

        Raises:
            BadTarget: it is no URL we call, or a name that leads where we do not.
            CallFailed: no connection, no answer in time, a broken one.
        """
        target = demand_callable(url, allow_private=self._allow_private)
        said = [
            ("Host", target.authority),
            ("User-Agent", "quorate"),
            ("Accept-Encoding", "identity"),
            *headers.items(),
            ("Content-Length", str(len(body))),
        ]
        where = httpcore.URL(
            scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
        )
        waits = {"connect": CONNECT_S, "read": self._timeout_s, "write": self._timeout_s, "pool": self._timeout_s}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._pool.stream(method, where, headers=said, content=body, extensions={"timeout": waits}) as response,
            ):
                return await _read(response)
        except TimeoutError:
            raise CallFailed(f"no answer within {self._timeout_s:g} s") from None
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise CallFailed(_why(error), was_sent=not isinstance(error, _NEVER_SENT)) from error

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._pool.aclose()


def demand_callable(url: str, *, allow_private: bool) -> Target:
    """Take a URL apart, or say why it will never be called. Looks up no name.

    Raises:
        BadTarget: with what is wrong.
    """
    if len(url) > LONGEST_URL or not all("!" <= one <= "~" for one in url) or "\\" in url:
        raise BadTarget(f"a URL has at most {LONGEST_URL} visible ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadTarget("this is no URL") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise BadTarget("a URL begins with https:// or http:// and a host")
    if "@" in parts.netloc:
        raise BadTarget("a URL carries no credentials")
    if "#" in url:
        raise BadTarget("a URL to call has no fragment")
    port = _PORTS[parts.scheme] if port is None else port
    if port == 0 or not (allow_private or port in _HTTP_PORTS or port >= _LEAST_FREE_PORT):
        raise BadTarget("the port is 80, 443, or 1024 and above")
    address = _address(parts.hostname)
    if address is not None and not allow_private and not is_public(address):
        raise BadTarget("the address is not a public one")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port, path)


def is_public(address: Address) -> bool:
    """Say whether an address leads out into the internet, and to one machine there.

    IPv6 forms that carry an IPv4 address (mapped, 6to4, Teredo, NAT64) do not, whatever they carry: some gateway
    on our side would open them. An IPv4-mapped address is what it maps.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.sixtofour is not None or address.teredo is not None or address.scope_id is not None:
            return False
    leads_out = address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
    return leads_out and not any(address in network for network in _NOBODYS)


async def resolved(host: str, port: int) -> Sequence[str]:
    """Ask the machine's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class _Guarded(httpcore.AsyncNetworkBackend):
    """Dials addresses that were looked at, and never a name. TLS still asks for the name's certificate."""

    def __init__(self, resolve: Resolve, allow_private: bool) -> None:
        self._resolve, self._allow_private = resolve, allow_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        trouble: Exception = CallFailed("the name has no address", was_sent=False)
        for address in await self._addresses(host, port):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        raise trouble

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        """All addresses of a host, or none of them: a name that has one we do not call may be a trap."""
        try:
            found = await self._resolve(host, port)
        except OSError as error:
            raise CallFailed("the name cannot be resolved", was_sent=False) from error
        for one in found:
            address = _address(one)
            if address is None or not (self._allow_private or is_public(address)):
                raise BadTarget("the name leads to an address that is not a public one")
        return found


async def _read(response: httpcore.Response) -> Answer:
    body = bytearray()
    async for part in response.aiter_stream():
        body += part
        if len(body) > MOST_ANSWER:
            break
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    return Answer(response.status, headers, bytes(body[:MOST_ANSWER]), len(body) > MOST_ANSWER)


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _why(error: Exception) -> str:
    match error:
        case httpcore.ConnectTimeout():
            return "the connection was not taken in time"
        case httpcore.ConnectError() if isinstance(error.__cause__ or error.__context__, ssl.SSLError):
            return f"TLS failed: {error}"[:200]
        case httpcore.ConnectError():
            return "the connection was refused"
        case httpcore.TimeoutException():
            return "no answer in time"
        case httpcore.ProtocolError():
            return "the answer was not HTTP, or ended too early"
        case _:
            return "the connection broke"


_NEVER_SENT: Final = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout)
_PORTS: Final = {"http": 80, "https": 443}
