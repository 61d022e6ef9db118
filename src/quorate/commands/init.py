"""`quorate init`: the first tenant, and somebody who may do the rest."""

import asyncio
import secrets
from argparse import Namespace
from pathlib import Path
from uuid import uuid4

import msgspec

from quorate.app.keys import mint
from quorate.commands.filling import fill
from quorate.commands.places import lent, ready, where
from quorate.commands.terminal import BOLD, Trouble, note, out, paint
from quorate.settings import Settings
from quorate.store.tenants import every_tenant

ROLE = "admins"


class Made(msgspec.Struct, frozen=True, rename="camel"):
    """What is shown once."""

    tenant: str
    tenant_id: str
    login: str
    password: str | None
    api_key: str

    def __repr__(self) -> str:
        return f"Made(tenant={self.tenant!r}, login={self.login!r})"


def init(settings: Settings, args: Namespace) -> int:
    """Make a tenant with one administrator, and print what they sign in with. It is not kept in the clear anywhere."""
    given = None if args.password_file is None else _first_line(args.password_file)
    made = asyncio.run(_init(settings, args, given))
    if args.json:
        out(msgspec.json.encode(made).decode())
        return 0
    out(f"tenant    {made.tenant} ({made.tenant_id})")
    out(f"login     {made.login}")
    out(f"password  {paint(made.password, BOLD) if made.password else 'as given'}")
    out(f"API key   {paint(made.api_key, BOLD)}")
    note("Keep these: they are shown this once.")
    return 0


async def _init(settings: Settings, args: Namespace, given: str | None) -> Made:
    login, slug, tenant, key = args.login or "admin", args.tenant or "main", uuid4(), uuid4()
    made = Made(slug, str(tenant), login, None if given else secrets.token_urlsafe(15), mint(key))
    async with lent(settings) as dsn, ready(settings, dsn) as owner:
        if slug in await every_tenant(owner):
            raise Trouble(f"there is a tenant {slug} already: `quorate apply FILE {where(settings)}` changes it")
        file = {
            "tenants": [
                {
                    "id": made.tenant_id,
                    "slug": slug,
                    "name": args.tenant_name or slug,
                    "settings": {"fallbackApprovers": [{"role": ROLE}]},
                    "roles": [{"name": ROLE, "permissions": ["admin"]}],
                    "users": [
                        {
                            "login": login,
                            "name": args.name or login,
                            "password": given or made.password,
                            "roles": [ROLE],
                            "keys": [{"id": str(key), "name": "init", "secret": made.api_key}],
                        }
                    ],
                }
            ]
        }
        await fill(owner, dsn, msgspec.json.encode(file), "the command line", settings)
    return made


def _first_line(path: Path) -> str:
    try:
        line = path.read_text("utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(f"{path} cannot be read: {error}") from error
    if not line:
        raise Trouble(f"the first line of {path} is empty, and should be the password")
    return line
