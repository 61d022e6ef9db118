"""What issuers publish about themselves, read over the one client for outgoing calls and remembered.

Source: OpenID Connect Discovery 1.0, §4.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from quorate.app.oidc.keys import Key, fitting, read_keys
from quorate.app.outgoing import BadTarget, CallFailed, Outgoing, demand_callable

log = logging.getLogger(__name__)

AT: Final = "/.well-known/openid-configuration"
FRESH_FOR: Final = timedelta(minutes=10)  # A key that an issuer withdraws counts no longer than this.
KEPT_FOR: Final = timedelta(hours=1)  # An issuer that does not answer is believed in this long.
REST: Final = timedelta(seconds=10)  # after an attempt, whatever came of it
LOOK_AGAIN: Final = timedelta(seconds=30)  # An unknown key has us ask no more often than this.
TIMEOUT_S: Final = 10.0
MOST_ISSUERS: Final = 1_000  # remembered
MOST_BYTES: Final = 256_000  # of an answer


class ProviderAway(Exception):
    """An identity provider does not answer, or answers what it should not. The caller may try again."""


class Endpoints(Struct, frozen=True):
    """Where an issuer is to be asked for what."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Published(Struct, frozen=True):
    endpoints: Endpoints
    keys: tuple[Key, ...]
    read_at: datetime


class _Set(Struct, frozen=True):
    keys: list[Any]


class _Issuer:
    """One issuer: what it published last, and when it was asked last."""

    def __init__(self) -> None:
        self.published: Published | None = None
        self.asked_at: datetime | None = None
        self.turn = asyncio.Lock()


class Issuers:
    """Asks each issuer once at a time, seldom, and never because a stranger wants it often.

    Args:
        allow_private: whether an issuer may be on a private network, and without TLS.
    """

    def __init__(self, outgoing: Outgoing, *, clock: Callable[[], datetime], allow_private: bool) -> None:
        self._outgoing, self._clock, self._allow_private = outgoing, clock, allow_private
        self._issuers: OrderedDict[str, _Issuer] = OrderedDict()

    async def endpoints(self, issuer: str) -> Endpoints:
        """Read where an issuer is to be asked for what. Raises: ProviderAway."""
        return (await self._fresh(issuer)).endpoints

    async def key(self, issuer: str, id: str | None, algorithm: str) -> Key | None:
        """Find a key of an issuer; None when it has none such, or not yet. Raises: ProviderAway."""
        published = await self._fresh(issuer)
        found = fitting(published.keys, id, algorithm)
        if found is None:
            published = await self._asked(issuer, LOOK_AGAIN)
            found = fitting(published.keys, id, algorithm)
        return found

    async def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> tuple[int, bytes]:
        """Call an issuer; give the status and the body of its answer. Raises: ProviderAway."""
        try:
            demand_secure(url, allow_private=self._allow_private)
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._outgoing.call(method, url, {"Accept": "application/json", **headers}, body)
        except (BadTarget, CallFailed, TimeoutError) as error:
            log.warning("an identity provider does not answer: %s", str(error) or "no answer in time")
            raise ProviderAway from error
        if answer.is_cut or len(answer.body) > MOST_BYTES:
            log.warning("an identity provider answers too much")
            raise ProviderAway
        return answer.status, answer.body

    async def _fresh(self, issuer: str) -> Published:
        known = self._issuers.get(issuer)
        published = None if known is None else known.published
        if published is not None and self._clock() - published.read_at < FRESH_FOR:
            return published
        return await self._asked(issuer, REST)

    async def _asked(self, issuer: str, rest: timedelta) -> Published:
        """Ask, unless that was done less than `rest` ago; then give what is known."""
        known = self._known(issuer)
        async with known.turn:
            at = self._clock()
            if known.asked_at is None or at - known.asked_at >= rest:
                known.asked_at = at
                with suppress(ProviderAway):  # What is known may still do.
                    known.published = await self._read(issuer, at)
            if known.published is None or at - known.published.read_at >= KEPT_FOR:
                raise ProviderAway
            return known.published

    def _known(self, issuer: str) -> _Issuer:
        known = self._issuers.setdefault(issuer, _Issuer())
        self._issuers.move_to_end(issuer)
        while len(self._issuers) > MOST_ISSUERS:
            self._issuers.popitem(last=False)
        return known

    async def _read(self, issuer: str, at: datetime) -> Published:
        endpoints = await self._document(issuer.rstrip("/") + AT, Endpoints)
        if endpoints.issuer != issuer:  # Discovery §4.3: else one could speak for another.
            log.warning("an identity provider says it is another one")
            raise ProviderAway
        try:
            demand_secure(endpoints.authorization_endpoint, allow_private=self._allow_private)
        except BadTarget as bad:
            raise ProviderAway from bad
        keys = await self._document(endpoints.jwks_uri, _Set)
        return Published(endpoints, read_keys(keys.keys), at)

    async def _document(self, url: str, kind: type[Any]) -> Any:
        status, body = await self.call("GET", url, {})
        try:
            if status == 200:
                return msgspec.json.decode(body, type=kind)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors.
            pass
        log.warning("an identity provider publishes nothing of use (%d)", status)
        raise ProviderAway


def demand_secure(url: str, *, allow_private: bool) -> None:
    """Let nobody's word be read over a line that anybody may write on. Raises: BadTarget."""
    target = demand_callable(url, allow_private=allow_private)
    if target.scheme != "https" and not allow_private:
        raise BadTarget("an identity provider is reached by https://")
