"""The doctor finds what is wrong, and says that all is well only when it is."""

import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from quorate.commands.checks import Level, disk, examine, secret_key
from quorate.commands.filling import fill
from quorate.commands.places import as_owner
from quorate.settings import Settings
from quorate.store.migrate import migrate
from tests.commands.program import a_free_port, ran
from tests.store.servers import Server

WELL = """
tenants:
  - slug: acme
    roles: [{name: admins, permissions: [admin]}, {name: auditors}]
    groups: [{name: Security}]
    users:
      - {login: ada, name: Ada, roles: [admins]}
      - {login: ana, name: Ana, groups: [Security]}
      - {login: ben, name: Ben, groups: [Security]}
      - {login: rhea, name: Rhea, manager: ada}
    workflows:
      - {name: One, status: active, steps: [{order: 1, name: First, approverType: group, approverValue: Security}]}
      - name: Two
        status: active
        steps:
          - {order: 1, name: Manager, quorum: {n: 1, members: [{manager: requester}]}}
          - {order: 2, name: Both, quorum: {n: 2, members: [{user: ana}, {holder: admin}]}}
      - {name: Idle, status: draft, steps: [{order: 1, name: First, approverType: role, approverValue: auditors}]}
"""


class Patient:
    """A database of its own for the doctor to look at, through its plain owner."""

    def __init__(self, dsn: str, data: Path) -> None:
        self.dsn = dsn
        self.settings = Settings.read({}, {"data": data, "database_url": dsn, "secret_key": 64 * "0"})

    async def holds(self, file: str) -> "Patient":
        async with as_owner(self.dsn) as owner:
            await fill(owner, self.dsn, file, "file", self.settings)
        return self

    async def runs(self, sql: str) -> "Patient":
        connection = await asyncpg.connect(self.dsn)
        await connection.execute(sql)
        await connection.close()
        return self

    async def findings(self, level: Level) -> list[tuple[str, str]]:
        return [(one.about, one.text) async for one in examine(self.settings) if one.level is level]


@pytest.fixture
async def patient(postgres: Server, tmp_path: Path) -> Patient:
    await postgres.migrated()
    dsn = postgres.owner(await postgres.fresh())
    await migrate(dsn)
    return Patient(dsn, tmp_path)


async def test_nothing_is_found_where_all_is_well(patient: Patient) -> None:
    await patient.holds(WELL)

    assert await patient.findings(Level.WRONG) == []
    assert await patient.findings(Level.WARNING) == []
    about = [name for name, _ in await patient.findings(Level.WELL)]
    assert about == ["secret key", "database", "clock", "migrations", "row security", "tenants", "approvals"]


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        ("slug: acme\n", "slug: acme\n    settings: {selfApproval: true}\n", "selfApproval is on"),
        ("slug: acme\n", "slug: acme\n    defaults: [{waived: true}]\n", "nobody need approve everything"),
        (
            "slug: acme\n",
            "slug: acme\n    defaults: [{type: x, waived: true}]\n",
            "nobody need approve what is of the type x",
        ),
        (
            "slug: acme\n",
            "slug: acme\n    defaults: [{target: {group: Security}, waived: true}]\n",
            "nobody need approve Security",
        ),
        ("permissions: [admin]", "permissions: []", "nobody is an administrator"),
        ("{n: 2, members: [{user: ana}", "{n: 2, overlap: true, members: [{user: ana}", "Both: overlap is true"),
        ("name: Ana,", "name: Ana, status: suspended,", "workflow Two, step Both: nobody can decide it now"),
        ("approverValue: Security", "approverValue: Empty", "workflow One, step First: nobody can decide it now"),
        ("status: draft", "status: active", "workflow Idle, step First: nobody can decide it now"),
    ],
)
async def test_what_deserves_a_second_look_is_a_warning(patient: Patient, change: str, to: str, says: str) -> None:
    file = WELL.replace(change, to).replace("[{name: Security}]", "[{name: Security}, {name: Empty}]")
    assert change in WELL
    await patient.holds(file)

    assert await patient.findings(Level.WRONG) == []
    found = await patient.findings(Level.WARNING)
    assert [name for name, text in found if says in text] == ["tenant acme"], found


@pytest.mark.parametrize(
    ("sql", "about", "says"),
    [
        ("ALTER TABLE task NO FORCE ROW LEVEL SECURITY", "row security", "row security is off on task"),
        ("ALTER TABLE tenant DISABLE ROW LEVEL SECURITY", "row security", "row security is off on tenant"),
        ("DELETE FROM schema_migration WHERE version = 8", "migrations", "1 pending (0008_tidying)"),
        ("INSERT INTO schema_migration VALUES (9999, '9999_new', '')", "migrations", "newer than this program"),
    ],
)
async def test_what_is_wrong_is_found(patient: Patient, sql: str, about: str, says: str) -> None:
    await patient.runs(sql)

    found = await patient.findings(Level.WRONG)

    assert [name for name, text in found if says in text] == [about], found


async def test_an_empty_database_is_a_warning_with_the_way_out(patient: Patient) -> None:
    [(about, text)] = await patient.findings(Level.WARNING)

    assert (about, "quorate init --database-url URL" in text) == ("tenants", True)


def test_a_secret_key_that_others_may_read_is_wrong(tmp_path: Path) -> None:
    settings = Settings.read({}, {"data": tmp_path})
    [missing] = secret_key(settings)
    (tmp_path / "secret.key").write_text(64 * "0")
    (tmp_path / "secret.key").chmod(0o644)
    [open_] = secret_key(settings)
    (tmp_path / "secret.key").chmod(0o600)
    [well] = secret_key(settings)
    (tmp_path / "secret.key").write_text("short")
    [unusable] = secret_key(settings)

    assert [one.level for one in (missing, open_, well, unusable)] == [Level.WELL, Level.WRONG, Level.WELL, Level.WRONG]


def test_room_on_the_disk_is_looked_at_only_where_the_database_is_ours(tmp_path: Path) -> None:
    assert [one.about for one in disk(tmp_path, embedded=True)] == ["disk"]
    assert list(disk(tmp_path, embedded=False)) == []


async def test_the_exit_code_says_whether_anything_is_wrong(patient: Patient, tmp_path: Path) -> None:
    env = {"QUORATE_SECRET_KEY": 64 * "0", "QUORATE_DATA": str(tmp_path)}
    gone = f"postgresql://127.0.0.1:{a_free_port()}/none"

    warned = await ran("doctor", "--database-url", patient.dsn, env=env)
    wrong = await ran("doctor", "--database-url", gone, "--json", env=env)
    nowhere = await ran("doctor", "--data", tmp_path / "none")

    assert (warned.code, warned.out.splitlines()[-1][:10]) == (0, "! tenants ")
    findings: list[dict[str, Any]] = json.loads(wrong.out)["findings"]
    assert (wrong.code, findings[-1]["about"], findings[-1]["level"]) == (1, "database", "wrong")
    assert (nowhere.code, "there is no database in" in nowhere.out) == (1, True)
