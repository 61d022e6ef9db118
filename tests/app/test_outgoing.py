"""The one client that leaves this machine: whom it calls, whom it never does, and how much it bears."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quorate.app import outgoing as module
from quorate.app.outgoing import BadTarget, CallFailed, Outgoing, Resolve, demand_callable, is_public
from tests.receiver import Got, Receiver, answer, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@asynccontextmanager
async def client(
    *answers: Sequence[str], allow_private: bool = True, timeout_s: float = module.TIMEOUT_S
) -> AsyncIterator[Outgoing]:
    """A client whose resolver gives these answers, one after the other."""
    made = Outgoing(allow_private=allow_private, resolve=saying(*answers) if answers else None, timeout_s=timeout_s)
    try:
        yield made
    finally:
        await made.close()


def saying(*answers: Sequence[str]) -> Resolve:
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0)

    return resolve


async def test_a_call_carries_what_it_was_given_and_brings_the_answer_back(receiver: Receiver) -> None:
    receiver.answer = answer(418, b"short and stout", "X-Pot: tea")
    async with client() as outgoing:
        got = await outgoing.call("POST", receiver.url("/a/b?c=d%20e"), {"X-One": "1"}, b"hello")

    assert (got.status, got.body, got.headers["x-pot"], got.is_cut) == (418, b"short and stout", "tea", False)
    [call] = receiver.got
    assert (call.line, call.body) == ("POST /a/b?c=d%20e HTTP/1.1", b"hello")
    assert (call.headers["x-one"], call.headers["host"]) == ("1", f"127.0.0.1:{receiver.port}")


async def test_the_name_is_asked_for_once_and_the_answer_that_was_looked_at_is_dialled(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap of a name that is public when it is checked and private when it is dialled."""
    monkeypatch.setattr(module, "is_public", lambda address: str(address) == "127.0.0.1")
    async with client(["127.0.0.1"], ["127.0.0.2"], allow_private=False) as outgoing:
        receiver.answer = answer(200, b"", "Connection: close")
        assert (await outgoing.call("POST", receiver.url(host="rebind.example"), {})).status == 200
        with pytest.raises(BadTarget, match="not a public one"):
            await outgoing.call("POST", receiver.url(host="rebind.example"), {})

    assert [call.headers["host"] for call in receiver.got] == [f"rebind.example:{receiver.port}"]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fd00:ec2::254"],
        ["93.184.216.34", "10.0.0.1"],
        ["fe80::1%lo"],
        ["not an address"],
    ],
)
async def test_a_name_that_leads_home_even_among_others_is_never_dialled(
    receiver: Receiver, addresses: list[str]
) -> None:
    async with client(addresses, allow_private=False) as outgoing:
        with pytest.raises(BadTarget, match="not a public one"):
            await outgoing.call("POST", receiver.url(host="home.example"), {})

    assert receiver.got == []


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1"])
async def test_the_machines_own_resolver_is_looked_at_too(receiver: Receiver, host: str) -> None:
    async with client(allow_private=False) as outgoing:
        with pytest.raises((BadTarget, CallFailed)):
            await outgoing.call("POST", receiver.url(host=host), {})

    assert receiver.got == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:93.184.216.34", True),
        ("0.0.0.0", False),  # noqa: S104  # An address to refuse.
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("100.100.100.200", False),
        ("127.8.8.8", False),
        ("168.63.129.16", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.0.0.192", False),
        ("192.168.1.1", False),
        ("192.88.99.1", False),
        ("198.18.0.1", False),
        ("203.0.113.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::7f00:1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::1", False),
        ("2001:db8::1", False),
        ("2001::1", False),
        ("2002:a00:1::", False),
        ("3fff::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_only_addresses_of_the_internet_are_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://hooks.example/", "begins with"),
        ("file:///etc/passwd", "begins with"),
        ("//hooks.example/", "begins with"),
        ("https://", "begins with"),
        ("https:///path", "begins with"),
        ("https://ana:secret@hooks.example/", "credentials"),
        ("https://ana@hooks.example/", "credentials"),
        ("https://hooks.example/#here", "fragment"),
        ("https://hooks.example:0/", "port"),
        ("https://hooks.example:22/", "port"),
        ("https://hooks.example:99999/", "no URL"),
        ("https://[::1/", "no URL"),
        ("https://hooks.example/a b", "visible ASCII"),
        ("https://hooks.example/\r\nX: y", "visible ASCII"),
        ("https://hööks.example/", "visible ASCII"),
        ("https://good.example\\@evil.example/", "visible ASCII"),
        ("https://hooks.example/" + "a" * 2000, "at most 2000"),
        ("https://10.0.0.1/", "public"),
        ("https://[::1]/", "public"),
        ("https://169.254.169.254/latest/meta-data/", "public"),
    ],
)
def test_what_will_never_be_called_is_refused_before_any_name_is_looked_up(url: str, why: str) -> None:
    with pytest.raises(BadTarget, match=why):
        demand_callable(url, allow_private=False)


def test_the_operator_may_allow_private_addresses_and_any_port() -> None:
    target = demand_callable("http://[fd00::1]:25/x?y", allow_private=True)

    assert (target.host, target.port, target.path, target.authority) == ("fd00::1", 25, "/x?y", "[fd00::1]:25")


async def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver) -> None:
    receiver.answer = answer(302, b"", f"Location: {receiver.url('/elsewhere')}")
    async with client() as outgoing:
        assert (await outgoing.call("POST", receiver.url(), {})).status == 302

    assert len(receiver.got) == 1


async def test_proxies_of_the_environment_are_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with client() as outgoing:
        assert (await outgoing.call("POST", receiver.url(), {})).status == 204


async def test_an_answer_is_read_up_to_a_megabyte_and_the_rest_is_not_waited_for(receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * (module.MOST_ANSWER + 1)
    async with client(timeout_s=10) as outgoing:
        got = await outgoing.call("GET", receiver.url(), {})

    assert (got.status, len(got.body), got.is_cut) == (200, module.MOST_ANSWER, True)


async def test_an_answer_that_comes_too_slowly_is_given_up_in_all(receiver: Receiver) -> None:
    async def drip(got: Got) -> bytes:
        await asyncio.Event().wait()
        return b""

    receiver.answer = drip
    async with client(timeout_s=0.05) as outgoing:
        with pytest.raises(CallFailed, match=r"no answer"):
            await outgoing.call("POST", receiver.url(), {})


async def test_a_name_that_takes_too_long_to_look_up_is_given_up_too() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    outgoing = Outgoing(allow_private=True, resolve=never, timeout_s=0.05)
    with pytest.raises(CallFailed, match="no answer within"):
        await outgoing.call("POST", "https://slow.example/", {})
    await outgoing.close()


async def test_when_one_address_does_not_answer_the_next_is_dialled(receiver: Receiver) -> None:
    async with client(["127.0.0.9", "127.0.0.1"]) as outgoing:
        assert (await outgoing.call("POST", receiver.url(host="two.example"), {})).status == 204


async def test_what_does_not_speak_http_or_is_not_there_has_failed(receiver: Receiver) -> None:
    async def gone(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    receiver.answer = b"SSH-2.0-OpenSSH\r\n\r\n"
    nobody = Outgoing(allow_private=True, resolve=gone)
    async with client() as outgoing:
        with pytest.raises(CallFailed, match="not HTTP"):
            await outgoing.call("POST", receiver.url(), {})
        with pytest.raises(CallFailed, match="refused"):
            await outgoing.call("POST", "http://127.0.0.1:1/", {})
    with pytest.raises(CallFailed, match="cannot be resolved"):
        await nobody.call("POST", "http://nobody.example/", {})
    await nobody.close()


async def test_tls_asks_for_the_names_certificate_though_an_address_is_dialled(tmp_path: Path) -> None:
    certificate = self_signed("hooks.example", tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with receiving(ssl=server) as receiver:
        outgoing = Outgoing(
            allow_private=True, resolve=saying(["127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"]), trusted=trusting
        )
        stranger = Outgoing(allow_private=True, resolve=saying(["127.0.0.1"]))
        good, bad = (f"https://{host}:{receiver.port}/" for host in ("hooks.example", "other.example"))
        try:
            assert (await outgoing.call("POST", good, {})).status == 204
            with pytest.raises(CallFailed, match="TLS failed"):
                await outgoing.call("POST", bad, {})
            with pytest.raises(CallFailed, match="TLS failed"):
                await stranger.call("POST", good, {})
        finally:
            await outgoing.close()
            await stranger.close()

    assert asked == ["hooks.example", "other.example", "hooks.example"]
    assert len(receiver.got) == 1


def self_signed(host: str, folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
