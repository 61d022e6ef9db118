"""The configuration reference, made from the settings."""

from pathlib import Path

from quorate.commands.line import DATABASE, KEPT_FROM_THE_LINE
from quorate.settings import Option, Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

_HEAD = """\
# Configuration

Made from `src/quorate/settings.py` by `make docs`; a test says if it is.

Every option is a variable of the environment and, but for the secret key, an option of `quorate serve` and `quorate
demo` too. The command line wins over the environment. A variable left blank counts as unset. A value that cannot be
used keeps the program from starting, with one line that names the variable; a `QUORATE_…` variable that is no option is
a warning. The other commands take the options that lead to the database, {database}. What holds for one tenant stands
in the [declarative file](apply.md).

| Option | Variable | Default | What it is |
|---|---|---|---|
"""


def page() -> str:
    rows = "".join(_row(option) for option in Settings.options())
    database = " and ".join(f"`--{name.replace('_', '-')}`" for name in DATABASE)
    return _HEAD.format(database=database) + rows


def _row(option: Option) -> str:
    flag = "" if option.is_flag else " …"
    shown = "" if option.name in KEPT_FROM_THE_LINE else f"`--{option.name.replace('_', '-')}{flag}`"
    unit = f" ({option.unit})" if option.unit else ""
    about = option.about.replace("|", "\\|")
    return f"| {shown} | `{option.variable}` | {option.default}{unit} | {about[0].upper()}{about[1:]}. |\n"
