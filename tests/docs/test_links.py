"""What the documents name exists: links, files, make targets, commands, options, dependencies."""

import re
from pathlib import Path

import pytest

from quorate.commands.line import parser
from quorate.settings import Settings
from tests.docs.pages import PAGES, ROOT, anchors, code, links, name

every_page = pytest.mark.parametrize("page", PAGES, ids=name)
FILE = re.compile(r"[\w.\-]+(/[\w.\-]+)+/?|[\w\-]+\.(md|py|sql|toml|yaml|txt|in)")
FOLDERS = (ROOT, ROOT / "docs", ROOT / "src/quorate", ROOT / "src/quorate/domain")
TOPS = {"app", "bench", "commands", "docs", "domain", "requirements", "src", "store", "surfaces", "tests", "workers"}


def test_there_are_pages_to_look_at() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/tutorial.md", "docs/README.md"} <= {name(page) for page in PAGES}


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in links(page.read_text("utf-8")):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link


@every_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {found[1] for line in code(page.read_text("utf-8")) for found in re.finditer(r"\bmake ([a-z]+)\b", line)}
    assert named <= targets


@every_page
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    [commands] = [one for one in parser()._actions if one.choices]
    assert isinstance(commands.choices, dict)
    for line in code(page.read_text("utf-8")):
        for found in re.finditer(r"(?:^|[\s/])quorate ([a-z]+)((?: [^\s`|;&]+)*)", line):
            assert found[1] in commands.choices, line
            understood = commands.choices[found[1]].format_help()
            for option in re.findall(r"--[a-z-]+", found[2]):
                assert option in understood, line


@every_page
def test_every_variable_that_is_named_is_an_option(page: Path) -> None:
    known = {option.variable for option in Settings.options()} | {"QUORATE_REQUIRE_ALL"}
    named = re.findall(r"\bQUORATE_[A-Z_]*[A-Z]\b", page.read_text("utf-8"))
    assert set(named) <= known


@every_page
def test_every_file_of_ours_that_is_named_exists(page: Path) -> None:
    for word in code(page.read_text("utf-8")):
        if FILE.fullmatch(word) and word.split("/")[0] in TOPS:
            assert any((folder / word).exists() for folder in FOLDERS), word


@every_page
def test_no_page_names_places_of_one_machine_or_registries(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.findall(r"(?<![\w}.])/(?:root|home|work|mnt|Users)/", text)
    assert not re.findall(r"(?:pypi|npmjs|docker|ghcr|quay|pythonhosted)\.(?:org|com|io)", text)


def test_the_map_leads_to_every_page() -> None:
    start = ROOT / "docs/README.md"
    led_to = {(start.parent / link.partition("#")[0]).resolve() for link in links(start.read_text("utf-8"))}
    assert {page for page in PAGES if page != start} <= led_to | {start}


def test_every_direct_dependency_has_a_line_with_its_pinned_version() -> None:
    page = (ROOT / "docs/dependencies.md").read_text("utf-8")
    told = dict(re.findall(r"^\| ([\w.-]+) \| (\d[\w.]*) \|", page, re.MULTILINE))
    wanted = {}
    for part in ("runtime", "dev"):
        pins = (ROOT / f"requirements/{part}.txt").read_text()
        for line in (ROOT / f"requirements/{part}.in").read_text().split("\n"):
            if dependency := re.match(r"[\w.-]+", line.strip() if not line.startswith("-") else ""):
                [version] = re.findall(rf"^{re.escape(dependency[0])}==([\w.]+)", pins, re.MULTILINE)
                wanted[dependency[0]] = version
    assert told == wanted
