"""A proxy for the SDK, which cannot be pointed anywhere but at https, port 443: it ends TLS and passes calls on.

It takes CONNECT for any host, shows a certificate made for the test, and forwards one plain call per connection.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TIMEOUT_S = 10


@asynccontextmanager
async def proxy(hosts: list[str], port: int, home: Path) -> AsyncIterator[tuple[str, Path]]:
    """Forward to a port of this machine. Gives the proxy's address, and the file of the certificate to trust."""
    chain = certificate(hosts, home)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                await _one(reader, writer, tls, port)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", chain


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext, port: int) -> None:
    asked = await reader.readuntil(b"\r\n\r\n")
    assert asked.startswith(b"CONNECT "), asked
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await writer.drain()
    await writer.start_tls(tls)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    body = await reader.readexactly(int(length[1])) if length else b""
    head = re.sub(rb"\r\nconnection:[^\r]*", b"", head, flags=re.IGNORECASE)
    behind_reader, behind = await asyncio.open_connection("127.0.0.1", port)
    behind.write(head[:-2] + b"Connection: close\r\nX-Forwarded-Proto: https\r\n\r\n" + body)
    while part := await behind_reader.read(65_536):
        writer.write(part)
        await writer.drain()
    behind.close()


def certificate(hosts: list[str], home: Path) -> Path:
    """Make a certificate for these hosts that vouches for itself; gives the file with it and its key."""
    key, at = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Quorate's tests")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = home / "certificate.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file
