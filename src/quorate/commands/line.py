"""The command line itself: which commands there are, what they take, and how they end.

Exit codes: 0 it is done; 1 it is not, and one line on standard error says why; 2 the command line is wrong; 130 Ctrl-C.
"""

import difflib
import re
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from quorate.app.seal import BadSecretKey
from quorate.commands.terminal import Trouble, complain, warn
from quorate.settings import PREFIX, BadSetting, Option, Settings
from quorate.store.embedded import EmbeddedError
from quorate.store.migrate import CannotMigrate

Command = Callable[[Settings, Namespace], int]

MODULES = {"export": "apply"}  # Every other command stands in a module of its own name.
DATABASE = ("data", "database_url")
KEPT_FROM_THE_LINE = ("secret_key",)  # A command line can be read by everybody on the machine.
KUBERNETES = re.compile(r"QUORATE_(SERVICE|PORT)_")  # It sets these for a service named quorate.


def run(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out one command line; answers the exit code."""
    args = parser().parse_args(words)
    try:
        known = {option.name for option in Settings.options()}
        given = {name: value for name, value in vars(args).items() if name in known}
        settings = Settings.read(environ, given)
        for name in Settings.unknown(environ):
            _warn_of(name)
        return command(args.name_of_command)(settings, args)
    except (Trouble, BadSetting, BadSecretKey, EmbeddedError, CannotMigrate) as error:
        complain(str(error))
        return 1


def command(name: str) -> Command:
    """Fetch what carries a command out. Only now, because most commands need little of what there is."""
    found: Command = getattr(import_module(f"quorate.commands.{MODULES.get(name, name)}"), name)
    return found


def parser() -> ArgumentParser:
    """Everything the command line understands."""
    top = ArgumentParser(
        prog="quorate",
        description="May this happen? Requests, approvals by quorum, grants that end, and a history of it all.",
        epilog="Every option may also be set as a variable (--drain-seconds is QUORATE_DRAIN_SECONDS): "
        "docs/configuration.md.",
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, about: str, examples: str, options: Iterable[str] = DATABASE) -> ArgumentParser:
        one = commands.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            epilog=f"examples:\n{examples}",
            formatter_class=RawDescriptionHelpFormatter,
        )
        one.set_defaults(name_of_command=name)
        wanted = set(options)
        for option in Settings.options():
            if option.name in wanted:
                _add_option(one, option)
        return one

    every = [option.name for option in Settings.options() if option.name not in KEPT_FROM_THE_LINE]
    add("serve", "start the server", _SERVE, every)
    add("demo", "start a server with people and workflows to try", _DEMO, set(every) - {"database_url", "migrate"})
    _init_options(add("init", "make the first tenant, with an administrator", _INIT))
    _apply_options(add("apply", "bring tenants to what a file says", _APPLY))
    _export_options(add("export", "write tenants as a file that `apply` reads, without secrets", _EXPORT))
    add("migrate", "bring the database to the schema of this version", _MIGRATE)
    add("doctor", "look for what is wrong, or soon will be", _DOCTOR).add_argument(
        "--json", action="store_true", help="print the findings as JSON"
    )
    add("version", "print which version this is", _VERSION, ()).add_argument(
        "--json", action="store_true", help="print it as JSON"
    )
    return top


def _add_option(to: ArgumentParser, option: Option) -> None:
    unit = f", {option.unit}" if option.unit else ""
    text = f"{option.about} (default {option.default}{unit}; {option.variable})".replace("%", "%%")
    name = f"--{option.name.replace('_', '-')}"
    if option.is_flag:
        to.add_argument(name, action="store_const", const="true", help=text)
    else:
        to.add_argument(name, metavar=_METAVARS.get(option.name, "VALUE"), help=text)


def _init_options(to: ArgumentParser) -> None:
    to.add_argument("--tenant", metavar="SLUG", help="short name: lower case letters, digits, dashes (default main)")
    to.add_argument("--tenant-name", metavar="NAME", help="its name in full (default: the short name)")
    to.add_argument("--login", help="the administrator's login (default admin)")
    to.add_argument("--name", help="the administrator's name (default: the login)")
    to.add_argument(
        "--password-file", metavar="FILE", type=Path, help="whose first line is the password (default: one is minted)"
    )
    to.add_argument("--json", action="store_true", help="print what was made as JSON")


def _apply_options(to: ArgumentParser) -> None:
    to.add_argument("file", metavar="FILE", help="YAML or JSON; - reads standard input")
    to.add_argument("--dry-run", action="store_true", help="print what would change, and change nothing")
    to.add_argument("--prune", action="store_true", help="deactivate what the file does not name")
    to.add_argument("--yes", action="store_true", help="let --prune deactivate more than a fifth")
    to.add_argument("--json", action="store_true", help="print the changes as JSON")


def _export_options(to: ArgumentParser) -> None:
    to.add_argument("--tenant", metavar="SLUG", nargs="+", default=[], help="only these (default: all)")


def _warn_of(name: str) -> None:
    if KUBERNETES.match(name):
        return
    near = difflib.get_close_matches(name, [option.variable for option in Settings.options()], n=1)
    hint = f": did you mean {near[0]}?" if near else f" ({PREFIX}… variables are listed in docs/configuration.md)"
    warn(f"{name} is no option{hint}")


_METAVARS: Mapping[str, Any] = {"data": "DIR", "database_url": "URL", "port": "PORT", "host": "HOST"}

_SERVE = """\
  quorate serve                                       on the database in ./data, which is made if missing
  quorate serve --host 0.0.0.0 --port 80 --data /var/lib/quorate
  QUORATE_DATABASE_URL=postgresql://quorate@db/quorate quorate serve"""
_DEMO = """\
  quorate demo                                        keeps its data in ./data/demo
  quorate demo --data /tmp/try --port 9000"""
_INIT = """\
  quorate init --data data
  quorate init --tenant acme --tenant-name "Acme Ltd" --login ada@acme.example --password-file secret.txt"""
_APPLY = """\
  quorate apply acme.yaml --dry-run --data data       says what would change
  quorate apply acme.yaml --data data
  quorate export --data data | quorate apply - --prune --database-url postgresql://quorate@db/quorate"""
_EXPORT = """\
  quorate export --data data > all.yaml
  quorate export --tenant acme --database-url postgresql://quorate@db/quorate"""
_MIGRATE = """\
  quorate migrate --database-url postgresql://quorate_owner@db/quorate"""
_DOCTOR = """\
  quorate doctor --data data
  quorate doctor --json --database-url postgresql://quorate@db/quorate"""
_VERSION = """\
  quorate version --json"""
