"""`quorate apply` and `quorate export`: tenants as a file says, and back."""

import asyncio
import sys
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from quorate.app import declare
from quorate.commands.filling import fill
from quorate.commands.places import lent, ready
from quorate.commands.terminal import Trouble, out
from quorate.settings import Settings
from quorate.store.tenants import every_tenant

STANDARD_INPUT = "-"


def apply(settings: Settings, args: Namespace) -> int:
    """Bring tenants to what the file says, and print what changed."""
    try:
        source = sys.stdin.buffer.read() if args.file == STANDARD_INPUT else Path(args.file).read_bytes()
    except OSError as error:
        raise Trouble(f"{args.file} cannot be read: {error.strerror}") from error
    return asyncio.run(_apply(settings, args, source))


async def _apply(settings: Settings, args: Namespace, source: bytes) -> int:
    async with lent(settings) as dsn, ready(settings, dsn) as owner:
        report = await fill(
            owner, dsn, source, args.file, settings, prune=args.prune, dry_run=args.dry_run, yes=args.yes
        )
    if args.json:
        out(msgspec.json.encode(report.as_json()).decode())
    else:
        for line in report.lines():
            out(line)
    return 0 if report.is_clean else 1


def export(settings: Settings, args: Namespace) -> int:
    """Write tenants as a file."""
    return asyncio.run(_export(settings, args.tenant))


async def _export(settings: Settings, slugs: list[str]) -> int:
    async with lent(settings, must_exist=True) as dsn, ready(settings, dsn) as owner:
        known = await every_tenant(owner)
        if missing := sorted(set(slugs) - known.keys()):
            raise Trouble(f"there is no tenant {', '.join(missing)}; there is {', '.join(known) or 'none at all'}")
        text = await declare.export(owner, slugs or None, at=datetime.now(UTC))
    sys.stdout.write(text)
    sys.stdout.flush()
    return 0
