"""The secrets a file gives: in plain, as a hash, in a file beside it, or in the environment. Read before all else."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from msgspec import Struct

from quorate.app.declare.schema import PASSWORD_WAYS, PROVIDER_WAYS, SECRET_WAYS, File
from quorate.app.keys import BadSecret, demand_usable, secret_hash
from quorate.app.verify import THREADS, Passwords
from quorate.domain.workflows import Problem


class Secrets(Struct, frozen=True):
    """By the path of whose they are: passwords as text or as a hash, the SHA-256 of keys and client secrets; and of
    identity providers, what the tenant's client proves itself with there."""

    passwords: Mapping[str, str] = {}
    password_hashes: Mapping[str, str] = {}
    hashes: Mapping[str, bytes] = {}
    providers: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return "Secrets()"  # They stay out of logs.


class Settled(Struct, frozen=True):
    """What became of a user's password: the stored hash it was looked at beside, and the new one if it differs."""

    stored: str | None
    new: str | None

    def __repr__(self) -> str:
        return "Settled()"


def gather(file: File, environ: Mapping[str, str]) -> Secrets:
    """Read the secrets a file gives or points at. A path is taken from the file's directory.

    Raises:
        Problems: one cannot be had, is too short, is not a hash of the right kind, or is given to two.
    """
    gatherer = _Gatherer(Path(file.name).parent, environ)
    for tenant in file.tenants:
        if isinstance(tenant.provider, Mapping):
            gatherer.provider(tenant.provider, f"{tenant.path}.identityProvider")
        for entry in tenant.sections.get("users", ()) + tenant.sections.get("services", ()):
            gatherer.password(entry.said, entry.path)
            for which in ("keys", "clients"):
                for index, one in enumerate(entry.said.get(which) or ()):
                    gatherer.secret(one, f"{entry.path}.{which}[{index}]", which)
    file.refuse(gatherer.problems)
    return Secrets(gatherer.passwords, gatherer.password_hashes, gatherer.hashes, gatherer.providers)


async def settle(
    passwords: Passwords, wanted: Iterable[tuple[str, UUID]], secrets: Secrets, stored: Mapping[UUID, str]
) -> dict[str, Settled]:
    """Find out which passwords differ from what is stored, and hash those. `wanted`: paths of users, and their ids."""
    turns = asyncio.Semaphore(THREADS)  # The queue behind the threads is short, and refuses whoever comes too many.

    async def one(path: str, old: str | None) -> Settled:
        if path in secrets.password_hashes:
            new = secrets.password_hashes[path]
            return Settled(old, None if new == old else new)
        async with turns:
            if old is not None and (await passwords.verify(old, secrets.passwords[path])).right:
                return Settled(old, None)
            return Settled(old, await passwords.hash(secrets.passwords[path]))

    given = [(path, user) for path, user in wanted if path in secrets.passwords or path in secrets.password_hashes]
    found = await asyncio.gather(*(one(path, stored.get(user)) for path, user in given))
    return {path: settled for (path, _), settled in zip(given, found, strict=True)}


class _Gatherer:
    def __init__(self, base: Path, environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self.passwords: dict[str, str] = {}
        self.password_hashes: dict[str, str] = {}
        self.hashes: dict[str, bytes] = {}
        self.providers: dict[str, str] = {}
        self._used: dict[tuple[bytes, object], str] = {}
        self._base = base
        self._environ = environ

    def password(self, said: Mapping[str, Any], path: str) -> None:
        way, given = self._given(said, path, PASSWORD_WAYS)
        if given is None:
            return
        if way != "passwordHash":
            if len(given) > 1024:
                self.problems.append(Problem(f"{path}.{way}", "must have at most 1024 characters"))
            self.passwords[path] = given
            return
        try:
            extract_parameters(given)
        except InvalidHashError:
            self.problems.append(Problem(f"{path}.{way}", "is no argon2 hash, like $argon2id$v=19$m=…"))
        self.password_hashes[path] = given

    def provider(self, said: Mapping[str, Any], path: str) -> None:
        _, given = self._given(said, path, PROVIDER_WAYS)
        if given is not None:
            self.providers[path] = given

    def secret(self, said: Mapping[str, Any], path: str, which: str) -> None:
        way, given = self._given(said, path, SECRET_WAYS)
        if given is None:
            return
        try:
            digest = given if isinstance(given, bytes) else secret_hash(demand_usable(given))
        except BadSecret as bad:
            self.problems.append(Problem(f"{path}.{way}", str(bad)))
            return
        first = self._used.setdefault((digest, said.get("id") if which == "clients" else None), path)
        if first != path:
            self.problems.append(Problem(f"{path}.{way}", f"is also that of {first}"))
        self.hashes[path] = digest

    def _given(self, said: Mapping[str, Any], path: str, ways: tuple[str, ...]) -> tuple[str, Any]:
        way = next((way for way in ways if said.get(way) is not None), "")
        if way.endswith("Env"):
            found = self._environ.get(said[way])
            if not found:
                self.problems.append(Problem(f"{path}.{way}", f"the variable {said[way]} is not set"))
            return way, found or None
        if way.endswith("File"):
            try:
                found = (self._base / said[way]).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
                self.problems.append(Problem(f"{path}.{way}", f"{said[way]} cannot be read: {reason}"))
                return way, None
            if not found:
                self.problems.append(Problem(f"{path}.{way}", f"{said[way]} is empty"))
            return way, found or None
        return way, said.get(way) if way else None


async def in_thread(file: File, environ: Mapping[str, str]) -> Secrets:
    """Like `gather`, off the event loop: files are read and hashes tried."""
    return await asyncio.to_thread(gather, file, environ)
