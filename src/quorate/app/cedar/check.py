"""Is a policy's Cedar text fit to be kept? Asked whenever one is written, by whatever way."""

from msgspec import Struct

from quorate.app.cedar import schema
from quorate.app.cedar.schema import Vocabulary
from quorate.app.cedar.text import MAX_PROBLEMS, Parsed, parse, place_of, problem
from quorate.domain.policy import Problem, Rule


class Checked(Struct, frozen=True):
    """The rules of a text, or what is wrong with it. `remarks` are no mistakes, but most likely meant otherwise."""

    rules: tuple[Rule, ...] = ()
    problems: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()


def check(text: str, vocabulary: Vocabulary) -> Checked:
    """Read a text and hold it against the schema. Never raises; an empty text is a policy without rules.

    It may take some tens of milliseconds for a long text: not for the event loop.
    """
    parsed = parse(text)
    if parsed.problems:
        return Checked(problems=parsed.problems)
    by_rule, whole = schema.validate(text, vocabulary, parsed.named)
    found = [_at(text, parsed, number, message) for number, message in by_rule] + whole
    if found:
        return Checked(problems=tuple(found[:MAX_PROBLEMS]))
    new = schema.unknown_actions(parsed.named, vocabulary)
    remarks = tuple(f"the action {action!r} is none we know; it is taken as it is written" for action in new)
    return Checked(parsed.rules, (), remarks)


def _at(text: str, parsed: Parsed, number: int, message: str) -> Problem:
    statement = parsed.statements[number]
    return problem(text, place_of(statement, message), message)
