from typing import Any

import pytest

from quorate.surfaces.http.peer import Peers


def scope(client: str | None, *headers: tuple[str, str]) -> dict[str, Any]:
    return {
        "type": "http",
        "scheme": "http",
        "client": (client, 5000) if client else None,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


PEERS = Peers(None, ("127.0.0.0/8", "::1", "10.0.0.0/8"))


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "192.0.2.66, 198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("127.0.0.1", "192.0.2.66, nonsense", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.66, nonsense, 10.1.2.3", "10.1.2.3"),
        ("::ffff:127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "10.0.0.1, 10.0.0.2", "10.0.0.1"),
        (None, "198.51.100.1", "unix"),
    ],
)
def test_the_address_is_the_nearest_that_no_trusted_proxy_speaks_for(
    client: str | None, forwarded: str | None, address: str
) -> None:
    headers = [("x-forwarded-for", forwarded)] if forwarded else []

    assert PEERS.address(scope(client, *headers)) == address


def test_a_unix_socket_is_trusted_when_the_operator_says_so() -> None:
    assert Peers(None, ("unix",)).address(scope(None, ("x-forwarded-for", "198.51.100.1"))) == "198.51.100.1"


def test_the_public_url_wins_over_every_header() -> None:
    peers = Peers("https://keys.acme.example/", ("127.0.0.1",))

    assert peers.origin(scope("127.0.0.1", ("host", "evil.example"))) == "https://keys.acme.example"


@pytest.mark.parametrize(
    ("client", "headers", "found"),
    [
        ("203.0.113.9", {"host": "a.example:8080"}, "http://a.example:8080"),
        (
            "203.0.113.9",
            {"host": "a.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https"},
            "http://a.example",
        ),
        (
            "127.0.0.1",
            {"host": "a", "x-forwarded-host": "b.example", "x-forwarded-proto": "https"},
            "https://b.example",
        ),
        ("127.0.0.1", {"host": "a", "x-forwarded-proto": "javascript"}, "http://a"),
        ("203.0.113.9", {"host": "evil.example/path?"}, "http://localhost"),
        ("203.0.113.9", {"host": "user@evil.example"}, "http://localhost"),
        ("203.0.113.9", {"host": "[::1]:8080"}, "http://[::1]:8080"),
        ("203.0.113.9", {}, "http://localhost"),
    ],
)
def test_links_begin_with_a_valid_host_and_forwarded_ones_only_from_proxies(
    client: str, headers: dict[str, str], found: str
) -> None:
    assert PEERS.origin(scope(client, *headers.items())) == found
