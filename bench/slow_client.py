"""What client.c does, for machines without a compiler. It takes several times as much CPU: see there for the words."""

import json
import mmap
import resource
import select
import socket
import struct
import sys
import time
from typing import Any

HOLE = b"#" * 36
PATIENCE_S = 30


class Conn:
    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.chain: list[bytes] = []
        self.at, self.since, self.got = 0, 0.0, b""


def chains_of(path: str) -> list[list[bytes]]:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        place = 4
        chains = []
        for _ in range(struct.unpack_from("=I", text)[0]):
            (calls,) = struct.unpack_from("=I", text, place)
            place += 4
            chain = []
            for _ in range(calls):
                (length,) = struct.unpack_from("=I", text, place)
                chain.append(text[place + 4 : place + 4 + length])
                place += 4 + length
            chains.append(chain)
        return chains


class Run:
    """One run of the client."""

    def __init__(self, address: tuple[str, int], chains: list[list[bytes]], many: int, *, loop: bool) -> None:
        self.chains, self.next, self.loop = chains, 0, loop
        self.poll = select.epoll()
        self.address = address
        self.conns: dict[int, Conn] = {}
        self.idle = [self.connected() for _ in range(many)]
        self.done = self.answered = self.refused = self.lost = self.in_flight = 0
        self.statuses: dict[str, int] = {}
        self.sample = ""
        self.times: list[tuple[float, float]] = []

    def connected(self) -> Conn:
        conn = Conn(self.address)
        self.conns[conn.socket.fileno()] = conn
        self.poll.register(conn.socket, select.EPOLLIN)
        return conn

    def start(self, conn: Conn, since: float) -> bool:
        if self.next == len(self.chains) and self.loop:
            self.next = 0
        if self.next == len(self.chains):
            return False
        conn.chain, conn.at, conn.since = self.chains[self.next], 0, since
        self.next += 1
        self.in_flight += 1
        self.send(conn, b"")
        return True

    def send(self, conn: Conn, id: bytes) -> None:
        conn.got = b""
        conn.socket.sendall(conn.chain[conn.at].replace(HOLE, id or HOLE))

    def take(self, conn: Conn, at: float) -> None:
        """Read what came; when a whole answer did, go on with the chain or end it."""
        try:
            got = conn.socket.recv(1 << 20)
        except ConnectionError:
            got = b""
        conn.got += got
        head, end, body = conn.got.partition(b"\r\n\r\n")
        if not got:
            self.lost += bool(conn.chain)
            self.poll.unregister(conn.socket)
            del self.conns[conn.socket.fileno()]
            conn.socket.close()
            if conn.chain:
                self.in_flight -= 1
            else:
                self.idle.remove(conn)
            self.idle.append(self.connected())
            return
        size = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        if end and len(body) >= int(size or 0):
            self.answer(conn, head[9:12].decode(), body, at)

    def answer(self, conn: Conn, status: str, body: bytes, at: float) -> None:
        self.answered += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1
        id = body.partition(b'"id":"')[2][:36]
        conn.at += 1
        is_last = conn.at == len(conn.chain)
        if not status.startswith("2") or (not is_last and HOLE in conn.chain[conn.at] and len(id) < len(HOLE)):
            self.refused += 1
            self.sample = self.sample or body[:400].decode(errors="replace")
        elif is_last:
            self.done += 1
            self.times.append((at, at - conn.since))
        else:
            self.send(conn, id)
            return
        conn.chain = []
        self.in_flight -= 1
        self.idle.append(conn)

    def go(self, seconds: float, warm: float, rate: float) -> tuple[float, float]:
        """Run it; answers when it was warm and until when it ran."""
        due = time.monotonic()
        warm_until = due + warm
        until, over = warm_until + seconds, False
        while True:
            at = time.monotonic()
            over = over or at >= until
            while not over and self.idle and (not rate or due <= at):
                conn = self.idle.pop()
                if not self.start(conn, due if rate else at):
                    self.idle.append(conn)
                    over = True
                due += 1 / rate if rate else 0
            if over and (not self.in_flight or at > until + PATIENCE_S):
                break
            wait = max(0.0, min(due - at, until - at)) if rate and self.idle and not over else 0.1
            for number, _ in self.poll.poll(wait):
                self.take(self.conns[number], time.monotonic())
        self.lost += self.in_flight
        return warm_until, min(until, max((at for at, _ in self.times), default=until))


def main(words: list[str]) -> None:
    host, port, path, many, seconds, warm, rate, loop = words
    run = Run((host, int(port)), chains_of(path), int(many), loop=loop == "1")
    warm_until, until = run.go(float(seconds), float(warm), float(rate))
    times = sorted(took for at, took in run.times if warm_until <= at <= until)
    used = resource.getrusage(resource.RUSAGE_SELF)

    def percentile_ms(part: float) -> float:
        return times[int(part * (len(times) - 1))] * 1000 if times else 0.0

    found: dict[str, Any] = {
        "done": run.done,
        "measured": len(times),
        "answered": run.answered,
        "refused": run.refused,
        "lost": run.lost,
        "seconds": max(0.0, until - warm_until),
        "mean_ms": sum(times) / len(times) * 1000 if times else 0.0,
        "p50_ms": percentile_ms(0.5),
        "p99_ms": percentile_ms(0.99),
        "max_ms": percentile_ms(1.0),
        "client_cpu_s": used.ru_utime + used.ru_stime,
        "statuses": run.statuses,
        "sample": run.sample,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
