"""What the command line understands and says of itself."""

import json
import logging
import sys
from pathlib import Path

import pytest

from quorate.commands import line, logs, terminal
from quorate.settings import Settings
from tests.commands.program import ran

COMMANDS = ("serve", "demo", "init", "apply", "export", "migrate", "doctor", "version")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        line.run([name, "--help"], {})

    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"examples:\n  quorate {name}" in said.replace("export --data data | quorate apply", "apply")
    assert callable(line.command(name))


def test_every_option_of_serve_is_a_variable_too_and_no_secret_but_the_address_is_an_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        line.run(["serve", "--help"], {})

    said = " ".join(capsys.readouterr().out.split())
    for option in Settings.options():
        offered = f"--{option.name.replace('_', '-')}" in said
        assert offered is (option.name != "secret_key"), option.name
        assert not offered or option.variable in said


def test_a_wrong_command_line_is_told_from_a_failure_by_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["servee"], ["apply"], ["version", "--data", "x"]):
        with pytest.raises(SystemExit) as ended:
            line.run(words, {})
        assert ended.value.code == 2
    capsys.readouterr()


async def test_the_version_is_told_to_people_and_to_programs() -> None:
    people, program = await ran("version"), await ran("version", "--json")

    facts = json.loads(program.out)
    assert people.out.startswith(f"quorate {facts['quorate']} (")
    assert facts["embeddedPostgresql"] == 18


def test_there_is_colour_only_for_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.paint("x", terminal.RED) == "x"

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert terminal.paint("x", terminal.RED) == "\x1b[31mx\x1b[0m"

    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.paint("x", terminal.RED) == "x"


@pytest.fixture
def record() -> logging.LogRecord:
    made = logging.LogRecord("quorate.x", logging.WARNING, "x.py", 1, "%d of %s", (1, "many"), None)
    made.__dict__["tenant"] = Path("acme")
    return made


def test_a_log_line_carries_its_facts_as_text_or_json(record: logging.LogRecord) -> None:
    assert logs.TextLines().format(record).endswith("Z warning quorate.x: 1 of many tenant=acme")
    said = json.loads(logs.JsonLines().format(record))
    assert {**said, "at": ""} == {
        "at": "",
        "level": "warning",
        "logger": "quorate.x",
        "message": "1 of many",
        "tenant": "acme",
    }
