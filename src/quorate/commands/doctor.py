"""`quorate doctor`: looks for what is wrong, or soon will be."""

import asyncio
import sys
from argparse import Namespace

import msgspec

from quorate.commands.checks import Finding, Level, examine
from quorate.commands.terminal import GREEN, RED, YELLOW, out, paint, progress
from quorate.settings import Settings

SIGNS = {Level.WELL: ("✓", GREEN), Level.WARNING: ("!", YELLOW), Level.WRONG: ("✗", RED)}


def doctor(settings: Settings, args: Namespace) -> int:
    """Print the findings; the exit code is 1 if anything is wrong, and 0 if there are warnings only."""
    findings = asyncio.run(_examine(settings))
    if args.json:
        out(msgspec.json.encode({"findings": findings}).decode())
    else:
        for line in table(findings):
            out(line)
    return int(any(one.level is Level.WRONG for one in findings))


async def _examine(settings: Settings) -> list[Finding]:
    async with progress("looking"):
        return [one async for one in examine(settings)]


def table(findings: list[Finding]) -> list[str]:
    """The findings for people to read."""
    width = max(len(one.about) for one in findings)
    return [
        f"{paint(sign, colour, sys.stdout)} {one.about:{width}}  {one.text}"
        for one in findings
        for sign, colour in [SIGNS[one.level]]
    ]
