"""What the text of our statements must and must not say."""

import ast
import re
from pathlib import Path

import pytest

import quorate
import quorate.store
from quorate.store import migrate

# The functions across tenants, and the tables that belong to the installation.
ACROSS = re.compile(
    r"\b(FROM|INTO|UPDATE)\s+(credential_by_hash|tenant_by|tenant_of_issuer|tenants_with_due|schema_migration|signing_key)\b"
)
# Compared with, or put into a row; of a tenant itself, its id is.
NAMED = re.compile(r"\btenant_id (=|IN)|\(tenant_id\b|\b(FROM|UPDATE|INTO) tenant\b")
TABLES = "|".join(table for one in migrate.available() for table in re.findall(r"CREATE TABLE (\w+)", one.sql))
OF_A_TABLE = re.compile(rf"\b(FROM|INTO|UPDATE|JOIN)\s+({TABLES})\b")

# What would outlive a transaction, and so meet whoever gets the connection next.
SESSION_STATE = re.compile(
    r"""^\s*SET\s+(?!LOCAL\b)(SESSION\s+)?[a-z_.]+\s*(=|TO\b) | ;\s*SET\s+(?!LOCAL\b)
        | set_config\s*\([^)]*false | \bpg_(try_)?advisory_lock(_shared)?\b | \bCREATE\s+TEMP | \bWITH\s+HOLD\b
        | ^\s*(LISTEN|PREPARE|DISCARD|RESET)\s """,
    re.VERBOSE | re.IGNORECASE,
)
# Makes a connection of its own and closes it.
OWN_CONNECTION = {"migrate.py"}


def texts(package: list[str], pattern: str) -> list[tuple[Path, str]]:
    """Every string in a package's modules, with … for what an f-string fills in."""
    [root] = package
    found = []
    for path in Path(root).glob(pattern):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        found += [(path, _text(node)) for node in nodes if id(node) not in parts]
    return found


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) or "…" for part in parts)
        case _:
            return ""


def statements() -> list[tuple[Path, str]]:
    return [
        (path, text)
        for path, text in texts(list(quorate.store.__path__), "*.py")
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|MERGE)\b", text) and OF_A_TABLE.search(text)
    ]


def test_there_are_statements_to_look_at() -> None:
    assert len(statements()) > 20


def test_every_statement_of_the_store_names_the_tenant() -> None:
    nameless = [f"{path.name}: {sql}" for path, sql in statements() if not ACROSS.search(sql) and not NAMED.search(sql)]
    assert nameless == []


def test_no_statement_leaves_anything_in_the_session() -> None:
    leaving = [
        f"{path.name}: {text}"
        for path, text in texts(list(quorate.__path__), "**/*.py")
        if path.name not in OWN_CONNECTION and SESSION_STATE.search(text)
    ]
    assert leaving == []


@pytest.mark.parametrize(
    "text",
    [
        "SET quorate.tenants = 'x'",
        "SET SESSION lock_timeout = 1",
        "BEGIN; SET search_path TO x",
        "SELECT set_config('a', 'b', false)",
        "SELECT pg_advisory_lock(1)",
        "CREATE TEMP TABLE x ()",
        "LISTEN x",
    ],
)
def test_the_search_for_session_state_would_find(text: str) -> None:
    assert SESSION_STATE.search(text)


def test_the_search_for_session_state_passes_what_ends_with_the_transaction() -> None:
    for text in ("BEGIN; SET LOCAL a.b = 'x'", "UPDATE x\n   SET a = 1", "SELECT pg_advisory_xact_lock(1)"):
        assert not SESSION_STATE.search(text)
