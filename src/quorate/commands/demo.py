"""`quorate demo`: a server with people and workflows to try, and the calls to try them with."""

import os
import shlex
import time
from argparse import Namespace
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import yaml

from quorate.commands import logs, running
from quorate.commands.filling import fill
from quorate.commands.serve import make_place
from quorate.commands.terminal import BOLD, DIM, note, out, paint
from quorate.settings import Settings
from quorate.store.database import Database
from quorate.store.tenants import every_tenant

DATA = Path("data/demo")
FILE = "demo.yaml"
REQUESTER, APPROVER, ADMINISTRATOR, ROLE = "rhea@acme.example", "ana@acme.example", "ada@acme.example", "auditors"


class Person(msgspec.Struct, frozen=True):
    """Somebody of the demo, with what they sign in with. None of it is a secret: it stands in the file."""

    login: str
    password: str
    key: str


class Cast(msgspec.Struct, frozen=True):
    """Who plays which part, and what is asked for."""

    tenant: str
    tenant_id: str
    requester: Person
    approver: Person
    administrator: Person
    role_id: str
    role_name: str


def demo(settings: Settings, args: Namespace) -> int:
    """Serve the demo until stopped. The people and workflows are made once; after that the data is yours to change."""
    started_at = time.monotonic()
    data = settings.data if args.data is not None or os.environ.get("QUORATE_DATA", "").strip() else DATA
    settings = replace(settings, data=data, database_url=None, allow_private_targets=True)
    make_place(settings)
    logs.set_up(form=settings.log_format, level=settings.log_level)
    text = (resources.files("quorate.commands") / FILE).read_text("utf-8")
    cast = read(text)

    async def prepare(owner: Database, dsn: str) -> None:
        if cast.tenant not in await every_tenant(owner):
            note(f"making the demo's people and workflows in {data}")
            await fill(owner, dsn, text, FILE, settings)

    def announce(url: str) -> None:
        for line in lines(cast, url):
            out(line)
        out(f"Quorate answers after {time.monotonic() - started_at:.1f} s. Ctrl-C stops it; its data stays in {data}.")

    return running.run(settings, prepare, announce)


def read(text: str) -> Cast:
    """Find in the demo's file what the people of our calls sign in with."""
    said = yaml.safe_load(text)["tenants"][0]
    users = {user["login"]: user for user in said["users"]}
    roles = {role["name"]: role for role in said["roles"]}
    return Cast(
        said["slug"],
        said["id"],
        _person(users[REQUESTER]),
        _person(users[APPROVER]),
        _person(users[ADMINISTRATOR]),
        str(roles[ROLE]["id"]),
        ROLE,
    )


def _person(said: dict[str, Any]) -> Person:
    return Person(said["login"], said["password"], said["keys"][0]["secret"])


def lines(cast: Cast, url: str) -> list[str]:
    """What to tell whoever started the demo."""
    people = {"requester": cast.requester, "approver": cast.approver, "administrator": cast.administrator}
    width = max(len(one.login) for one in people.values())
    return [
        f"Quorate's demo is at {paint(url, BOLD)}, tenant {cast.tenant} ({cast.tenant_id})",
        "",
        *(f"  {part:13}  {one.login:{width}}  password {one.password}  key {one.key}" for part, one in people.items()),
        "",
        *(line for about, command in calls(cast, url) for line in (paint(f"# {about}", DIM), command)),
        "",
    ]


def calls(cast: Cast, url: str) -> list[tuple[str, str]]:
    """Calls to copy into a shell, in this order: each with what it does."""
    asked = {
        "resourceType": "role",
        "resourceId": cast.role_id,
        "justification": "quarter end",
        "duration": {"value": 5, "unit": "days"},
    }
    body = shlex.quote(msgspec.json.encode(asked).decode())
    approve = shlex.quote('{"decision":"approve"}')
    file = _curl(url, "access-requests", cast.requester) + f" {_JSON} -d {body}"
    pending = _curl(url, "approvals/pending", cast.approver)
    first = 'grep -o \'"id":"[^"]*"\' | head -n 1 | cut -d \'"\' -f 4'
    decide = _curl(url, "approvals/$TASK/decide", cast.approver) + f" {_JSON} -d {approve}"
    return [
        (f"{cast.requester.login} asks for the role {cast.role_name}", f"{file}; echo"),
        (f"what waits for {cast.approver.login}", f"{pending}; echo"),
        (f"{cast.approver.login} approves the first of it", f"TASK=$({pending} | {first})\n{decide}; echo"),
        (
            f"what became of it, as {cast.requester.login} sees it",
            f"{_curl(url, 'access-requests/my-requests', cast.requester)}; echo",
        ),
    ]


_JSON = "-H 'Content-Type: application/json'"


def _curl(url: str, path: str, person: Person) -> str:
    return f"curl -sS {url}/api/v1/{path} -H 'Authorization: Bearer {person.key}'"
