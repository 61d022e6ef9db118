"""Reads what the operator set, once, into one frozen value.

Every option is a field of `Settings`: its name in capitals behind `QUORATE_` is the variable, and its
`option(…)` says what it means. The page docs/configuration.md and `--help` are made from these.
"""

import ipaddress
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "QUORATE_"
SURFACES = ("native", "jitsudo", "britive", "sailpoint", "fortanix")  # Every face there is; `wiring` builds them.


class BadSetting(Exception):
    """An option has a value we cannot use. The text is one line that names the variable, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Option:
    """What there is to say about one option, for `--help` and the documentation."""

    name: str  # of the field; `--name-with-dashes` on the command line
    variable: str
    about: str
    unit: str
    default: str
    is_secret: bool
    is_flag: bool  # Given on the command line it needs no value, and means true.


def option(
    about: str,
    *,
    default: Any,
    unit: str = "",
    secret: bool = False,
    read: Callable[[str], Any] | None = None,
    least: int | None = None,
    most: int | None = None,
    shown: str | None = None,
) -> Any:
    """Declare an option. `least` and `most` bound a number; `shown` stands for the default in the documentation."""
    said = {"about": about, "unit": unit, "secret": secret, "read": read, "least": least, "most": most, "shown": shown}
    return field(default=default, metadata=said, repr=not secret)


def _networks(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    for word in words:
        if word != "unix":
            ipaddress.ip_network(word)
    return words


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("want http(s)://host, perhaps with port and path")
    return text.rstrip("/")


def _slug(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text):
        raise ValueError("want lower-case letters, digits and dashes, at most 63")
    return text


def _word_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError("want one of " + ", ".join(words))
        return text

    return read


def _surfaces(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not words or not set(words) <= set(SURFACES):
        raise ValueError("want some of " + ", ".join(SURFACES))
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator may set. Unset means the default."""

    host: str = option("the address to listen on", default="127.0.0.1")
    port: int = option("the port to listen on", default=8080, least=0, most=65535)
    data: Path = option(  # noqa: RUF009  # `option` makes a field, as `field` does.
        "the directory for the embedded database, keys and backups", default=Path("data")
    )
    database_url: str | None = option(
        "PostgreSQL 15 to 18 to use instead of the embedded one", default=None, secret=True, shown="embedded"
    )
    migrate: bool = option(
        "apply pending migrations when `serve` starts on a database URL; on the embedded database it always does",
        default=False,
    )
    public_url: str | None = option(
        "what callers reach us at; absolute links begin with it", default=None, read=_public_url, shown="from the call"
    )
    trusted_proxies: tuple[str, ...] = option(
        "addresses and networks whose X-Forwarded-* headers count; `unix` for unix sockets",
        default=("127.0.0.0/8", "::1/128"),
        read=_networks,
        unit="comma-separated",
    )
    surfaces: tuple[str, ...] = option(
        "which APIs to answer; the paths of one that is left out are unknown",
        default=SURFACES,
        read=_surfaces,
        unit="comma-separated",
    )
    lanes: int = option("batches that may be in flight at once in this process", default=2, least=1, most=64)
    pool_size: int = option("database connections of this process", default=8, least=2, most=200)
    signin_per_login: int = option(
        "attempts to sign in, to get a token or a challenge, per login; 0 for no limit",
        default=10,
        unit="per minute",
        least=0,
        most=1_000_000,
    )
    signin_per_address: int = option(
        "the same, per caller's address; 0 for no limit", default=60, unit="per minute", least=0, most=1_000_000
    )
    token_seconds: int = option("life of an access token", default=3600, unit="seconds", least=60, most=86_400)
    refresh_seconds: int = option(
        "life of a refresh token; each use starts it anew", default=604_800, unit="seconds", least=300, most=31_536_000
    )
    region: str = option("the `region` claim of tokens", default="local")
    operator_tenant: str | None = option(
        "the slug of the tenant whose administrators may make other tenants over the API",
        default=None,
        read=_slug,
        shown="nobody may",
    )
    allow_private_targets: bool = option(
        "let webhooks and other outgoing calls reach private, loopback and link-local addresses", default=False
    )
    secret_key: str | None = option(
        "what secrets in the database are sealed with: 32 bytes as base64 or hex; several, comma-separated, "
        "to rotate (the first seals, all open)",
        default=None,
        secret=True,
        shown="secret.key in the data directory",
    )
    log_format: str = option("how log lines look: text or json", default="text", read=_word_of("text", "json"))
    log_level: str = option(
        "the least grave log line to write: debug, info, warning or error",
        default="info",
        read=_word_of("debug", "info", "warning", "error"),
    )
    drain_seconds: int = option(
        "how long a stopping server waits for calls in flight", default=10, unit="seconds", least=0, most=600
    )

    @classmethod
    def read(cls, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> "Settings":
        """Read `QUORATE_…` variables; overrides (from the command line, by field name, None for unset) win.

        A variable left blank counts as unset.

        Raises:
            BadSetting: with one line that names the variable.
        """
        values: dict[str, Any] = {}
        for one in fields(cls):
            variable = PREFIX + one.name.upper()
            given = (overrides or {}).get(one.name)
            if given is None:
                given = environ.get(variable, "").strip() or None
            if given is not None:
                values[one.name] = _value(variable, one, given)
        unknown = set(overrides or {}) - {one.name for one in fields(cls)}
        assert not unknown, f"no such options: {unknown}"
        return cls(**values)

    @classmethod
    def unknown(cls, environ: Mapping[str, str]) -> list[str]:
        """Name the `QUORATE_…` variables that are no option: worth a warning, since one may be misspelt.

        They are not refused: Kubernetes sets such variables of its own for a service named quorate.
        """
        known = {PREFIX + one.name.upper() for one in fields(cls)}
        return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)

    @classmethod
    def options(cls) -> Iterator[Option]:
        """Go through all options in order of declaration."""
        for one in fields(cls):
            said = one.metadata
            assert one.default is not MISSING
            shown = said["shown"] or _shown(one.default)
            variable, is_flag = PREFIX + one.name.upper(), isinstance(one.default, bool)
            yield Option(one.name, variable, said["about"], said["unit"], shown, said["secret"], is_flag)


def _value(variable: str, one: Any, given: Any) -> Any:
    said = one.metadata
    try:
        value = _typed(one, given) if isinstance(given, str) else given
        if isinstance(value, int) and not isinstance(value, bool):
            low, high = said["least"], said["most"]
            if (low is not None and value < low) or (high is not None and value > high):
                raise ValueError(f"want {low} to {high}")
    except ValueError as wrong:
        shown = "" if said["secret"] else f" {str(given)[:80]!r}"
        raise BadSetting(f"{variable}{shown} is not usable: {wrong}") from None
    return value


def _typed(one: Any, text: str) -> Any:
    if one.metadata["read"] is not None:
        return one.metadata["read"](text)
    match _plain(one.type):
        case kind if kind is int:
            if not (text.isascii() and text.isdigit()):
                raise ValueError("want a whole number")
            return int(text[:20])
        case kind if kind is bool:
            if text.lower() not in _BOOLEANS:
                raise ValueError("want true or false")
            return _BOOLEANS[text.lower()]
        case kind if kind is Path:
            return Path(text)
        case _:
            return text


def _plain(kind: Any) -> Any:
    if typing.get_origin(kind) is types.UnionType:
        return next(member for member in typing.get_args(kind) if member is not type(None))
    return kind


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(default) if isinstance(default, tuple) else str(default)


_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
