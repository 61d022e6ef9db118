"""Checks what people show: passwords, passkeys, U2F signatures. Each module is pure but for its threads."""

from quorate.app.verify.passwords import QUEUE, THREADS, Passwords, Verdict

__all__ = ["QUEUE", "THREADS", "Passwords", "Verdict"]
