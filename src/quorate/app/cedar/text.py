"""Cedar text, looked at before the engine sees it.

The engine recurses over what it is given and ends the whole process when the stack runs out: some thousand nested
brackets suffice. It also names no lines. So the text is cut into tokens here, by the engine's own lexical rules: what
is too big or too deep never reaches it, and what it refuses is shown where it stands.
"""

import re
from typing import Final, NamedTuple

import cedarpy
import msgspec
from msgspec import Struct

from quorate.app.cedar.scope import Head, Scope, scope
from quorate.domain.policy import MAX_TIMEOUT_S, Effect, Mode, Problem, Rule

MAX_TEXT: Final = 64 * 1024
MAX_RULES: Final = 200
MAX_DEPTH: Final = 24  # The engine was seen to end the process at about 1,000.
MAX_OPERATORS: Final = 250  # In one rule; a chain of 2,000 was seen to end the process.
MAX_ID: Final = 128
MAX_NOTICE: Final = 1000
MAX_PROBLEMS: Final = 20

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n\r]*)
      | (?P<string>"(?:\\.|[^"\\])*")
      | (?P<word>[_a-zA-Z][_a-zA-Z0-9]*)
      | (?P<number>[0-9]+)
      | (?P<sign>::|&&|\|\||==|!=|<=|>=|[@(){}\[\];:,.<>!+\-*/%?=])""",
    re.VERBOSE,
)
_OPERATORS: Final = frozenset(
    {"&&", "||", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "!", "."}
    | {"if", "then", "else", "in", "has", "like", "is"}
)
_SPAN: Final = re.compile(r"([1-9][0-9]{0,8})([smhd]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class Token(NamedTuple):
    kind: str
    text: str
    at: int

    @property
    def end(self) -> int:
        return self.at + len(self.text)


class Statement(Struct, frozen=True):
    """One rule's tokens, the closing semicolon included."""

    tokens: tuple[Token, ...]

    def source(self, text: str) -> str:
        return text[self.tokens[0].at : self.tokens[-1].end]

    @property
    def effect(self) -> Token | None:
        """The word that says permit or forbid: the first one behind the annotations."""
        place = 0
        while place < len(self.tokens) and self.tokens[place].text == "@":
            place += 2
            if place < len(self.tokens) and self.tokens[place].text == "(":
                place += 3
        return self.tokens[place] if place < len(self.tokens) else None


class Parsed(Struct, frozen=True):
    """A text whose every rule the engine could read, or the problems it has.

    `named`: the entities the rules name, as (type, id). `permits` is the same rules, each a permit and without
    annotations: asked with it, the engine says which of them match.
    """

    rules: tuple[Rule, ...] = ()
    problems: tuple[Problem, ...] = ()
    named: frozenset[tuple[str, str]] = frozenset()
    permits: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    statements: tuple[Statement, ...] = ()


def parse(text: str) -> Parsed:
    """Read a policy's Cedar text. It never raises: what cannot be read is a problem with its line and column."""
    if len(text) > MAX_TEXT:
        return Parsed(problems=(Problem("cedar", f"must be at most {MAX_TEXT} characters"),))
    statements, found = _statements(text)
    if len(statements) > MAX_RULES:
        found.append(Problem("cedar", f"must have at most {MAX_RULES} rules"))
    if found:
        return Parsed(problems=tuple(found[:MAX_PROBLEMS]))
    rules: list[Rule] = []
    named: set[tuple[str, str]] = set()
    permits: list[str] = []
    scopes: list[Scope] = []
    for number, statement in enumerate(statements, 1):
        if len(found) >= MAX_PROBLEMS:
            break
        source = statement.source(text)
        try:
            read = _read(source)
            rule = _rule(read, source, f"rule-{number}")
        except ValueError as error:
            found.append(_located(text, statement, str(error)))
            continue
        rules.append(rule)
        named |= _entities(read)
        permits.append(_as_permit(text, statement))
        scopes.append(scope(*(_head.decode(part) for part in (read.principal, read.action, read.resource))))
    found += _repeated(text, statements, rules) if not found else []
    if found:
        return Parsed(problems=tuple(found[:MAX_PROBLEMS]))
    return Parsed(tuple(rules), (), frozenset(named), tuple(permits), tuple(scopes), tuple(statements))


def problem(text: str, at: int, message: str) -> Problem:
    """Say what is wrong at an offset."""
    return Problem("cedar", message, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))


def place_of(statement: Statement, message: str) -> int:
    """Where a message of the engine most likely points: at the first of its quoted names that stands in the rule."""
    for name in re.findall(r"`([^`]+)`", message) + message.split()[-1:]:
        wanted = re.findall(r'"[^"]*"|\w+', name)
        for token in statement.tokens:
            if wanted and token.text == wanted[-1]:
                return token.at
    return statement.tokens[0].at


def _statements(text: str) -> tuple[list[Statement], list[Problem]]:
    statements: list[Statement] = []
    tokens: list[Token] = []
    depth = operators = 0
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            what = "this string has no end" if text[place] == '"' else "this character has no meaning here"
            return [], [problem(text, place, what)]
        token = Token(str(found.lastgroup), found[0], place)
        place = found.end()
        if token.kind == "space":
            continue
        tokens.append(token)
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        operators += token.text in _OPERATORS
        if depth > MAX_DEPTH:
            return [], [problem(text, token.at, f"brackets stand deeper than {MAX_DEPTH} here")]
        if operators > MAX_OPERATORS:
            return [], [problem(text, token.at, f"a rule has at most {MAX_OPERATORS} operators")]
        if token.text == "?":
            return [], [problem(text, token.at, "templates are not taken: write the principal or resource itself")]
        if token.text == ";":
            statements.append(Statement(tuple(tokens)))
            tokens, depth, operators = [], 0, 0
    if tokens:
        return [], [problem(text, tokens[-1].at, "the text ends inside a rule; a rule ends with a semicolon")]
    return statements, []


class _Read(Struct, frozen=True):
    """A rule as the engine's JSON says it."""

    effect: Effect
    annotations: dict[str, str | None] = {}
    principal: msgspec.Raw = msgspec.Raw()
    action: msgspec.Raw = msgspec.Raw()
    resource: msgspec.Raw = msgspec.Raw()
    conditions: msgspec.Raw = msgspec.Raw()


class _ReadSet(Struct, frozen=True):
    static: dict[str, _Read] = msgspec.field(default_factory=dict, name="staticPolicies")


_decode: Final = msgspec.json.Decoder(_ReadSet)
_head: Final = msgspec.json.Decoder(Head)


def _read(source: str) -> _Read:
    """Let the engine read one rule. Raises: ValueError: it cannot."""
    said = cedarpy.policies_to_json_str(source)
    try:
        one = list(_decode.decode(said).static.values())
    except RecursionError:
        raise ValueError("this rule is nested too deeply") from None
    if len(one) != 1:
        raise ValueError("this is not one rule")
    return one[0]


def _rule(read: _Read, source: str, fallback: str) -> Rule:
    """Raises: ValueError: an annotation says what it may not; the first name in backquotes is where."""
    said = {name: value or "" for name, value in read.annotations.items()}
    id = said.get("id", fallback)
    if not id.strip() or len(id) > MAX_ID:
        raise ValueError(f"`id` must be text of 1 to {MAX_ID} characters")
    if len(said.get("notice", "")) > MAX_NOTICE:
        raise ValueError(f"`notice` must be at most {MAX_NOTICE} characters")
    mode = said.get("approval_mode")
    if mode is not None and mode not in tuple(Mode):
        raise ValueError('`approval_mode` must be "require" or "auto"')
    return Rule(
        id=id,
        effect=read.effect,
        text=source,
        notice=said.get("notice", ""),
        mode=Mode(mode) if mode is not None else None,
        approval_timeout_seconds=_seconds(said["approval_timeout"]) if "approval_timeout" in said else None,
        annotations=said,
    )


def _seconds(text: str) -> int:
    found = _SPAN.fullmatch(text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 1 <= seconds <= MAX_TIMEOUT_S:
        raise ValueError('`approval_timeout` must be seconds, or a number with s, m, h or d like "90m"; at most a year')
    return seconds


def _entities(read: _Read) -> set[tuple[str, str]]:
    """Every entity a rule names, by walking over all that could be one. More than there are does no harm."""
    found = set()
    waiting: list[object] = [
        msgspec.json.decode(part) for part in (read.principal, read.action, read.resource, read.conditions) if part
    ]
    while waiting:
        match waiting.pop():
            case {"type": str(type), "id": str(id)}:
                found.add((type, id))
            case dict(table):
                waiting += table.values()
            case list(members):
                waiting += members
            case _:
                pass
    return found


def _as_permit(text: str, statement: Statement) -> str:
    """The rule as a permit, without its annotations, which the engine would repeat in every answer."""
    effect = statement.effect
    assert effect is not None, "the engine has read it"
    return Effect.PERMIT.value + text[effect.end : statement.tokens[-1].end]


def _repeated(text: str, statements: list[Statement], rules: list[Rule]) -> list[Problem]:
    """Two rules of one policy that would go by the same id."""
    seen: set[str] = set()
    found = []
    for statement, rule in zip(statements, rules, strict=True):
        if rule.id in seen:
            found.append(problem(text, statement.tokens[0].at, f"another rule of this policy has the id {rule.id!r}"))
        seen.add(rule.id)
    return found


def _located(text: str, statement: Statement, message: str) -> Problem:
    """Find where the engine stopped reading: at the first token behind which it does not ask for more.

    What it says of a whole rule is shown at the name it is about.
    """
    tokens = statement.tokens
    low, high = 1, len(tokens)
    while low < high:
        middle = (low + high) // 2
        if _wants_more(text[tokens[0].at : tokens[middle - 1].end]):
            low = middle + 1
        else:
            high = middle
    if low < len(tokens):
        return problem(text, tokens[low - 1].at, message)
    return problem(text, place_of(statement, message), message)


def _wants_more(start: str) -> bool:
    try:
        cedarpy.policies_to_json_str(start)
    except ValueError as error:
        return "unexpected end of input" in str(error)
    return False
