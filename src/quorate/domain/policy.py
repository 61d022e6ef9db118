"""What policies say, and what follows when some of their rules match.

A policy is a text of Cedar rules with settings of its own. Cedar, called in the app, says which rules match a question;
what follows from that is decided here, and nowhere else.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import force_setattr

from quorate.domain.refusals import Refusal

MAX_NAME: Final = 255
MAX_PRIORITY: Final = 2**31 - 1
MAX_DURATION_S: Final = 10 * 366 * 86_400
MAX_TIMEOUT_S: Final = 366 * 86_400
MAX_ERRORS: Final = 10  # More say nothing new, and they are kept with the request.


class Effect(StrEnum):
    PERMIT = "permit"
    FORBID = "forbid"


class Mode(StrEnum):
    """What a permit leads to: people are asked, or nobody is."""

    REQUIRE = "require"
    AUTO = "auto"


class Verdict(StrEnum):
    DENY = "deny"
    REQUIRE = "require"
    AUTO = "auto"


class Because(StrEnum):
    """Why it came out so. The native API lets the workflow decide on NO_RULE, JITSudo refuses."""

    PERMITTED = "permitted"
    FORBIDDEN = "forbidden"
    NO_RULE = "no_rule"
    ERROR = "error"


class Rule(Struct, frozen=True, kw_only=True):
    """One Cedar statement: its source, and what its annotations say.

    `id` is unique in its policy: the one `@id` gives, else `rule-N` by its place in the text. `annotations` are all of
    them, as written. `mode` and `approval_timeout_seconds`, where given, win over the policy's.
    """

    id: str
    effect: Effect
    text: str
    notice: str = ""
    mode: Mode | None = None
    approval_timeout_seconds: int | None = None
    annotations: Mapping[str, str] = {}


class Policy(Struct, frozen=True, kw_only=True):
    """A policy as it is kept. `version` counts its changes; None for a number: no limit, or none of its own."""

    id: UUID
    name: str
    description: str | None = None
    enabled: bool = True
    priority: int = 0
    max_duration_seconds: int | None = None
    default_duration_seconds: int | None = None
    mode: Mode = Mode.REQUIRE
    approval_timeout_seconds: int | None = None
    notification_channel: str | None = None
    cedar: str = ""
    version: int = 1
    created_at: datetime
    updated_at: datetime


class Match(Struct, frozen=True):
    """A rule whose scope and conditions hold for a question. `name` is made once: a decision sorts by it."""

    policy: Policy
    rule: Rule
    name: str = ""

    def __post_init__(self) -> None:
        force_setattr(self, "name", f"{self.policy.name}/{self.rule.id}")


class Outcome(Struct, frozen=True, kw_only=True):
    """What the policies say to a question.

    `policies`, `rules` (`policy name/rule id`) and `notices` are of the rules that decided, by name. The durations and
    the timeout, in seconds, are the smallest of those the deciding permits name; None where none does.
    """

    verdict: Verdict
    because: Because
    policies: tuple[UUID, ...] = ()
    rules: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    reason: str
    max_duration_seconds: int | None = None
    default_duration_seconds: int | None = None
    approval_timeout_seconds: int | None = None
    errors: tuple[str, ...] = ()

    @property
    def is_permitted(self) -> bool:
        return self.verdict is not Verdict.DENY

    @property
    def is_forbidden(self) -> bool:
        """A rule said no, or could not be asked. False where no rule said anything."""
        return self.because in (Because.FORBIDDEN, Because.ERROR)


class Problem(Struct, frozen=True):
    """What is wrong with a policy: the field, in words, and for its Cedar text the line and column, from 1."""

    path: str
    message: str
    line: int | None = None
    column: int | None = None


@dataclass(eq=False)
class NoSuchPolicy(Refusal):
    """No policy of this id in this tenant."""

    code = "no_such_policy"
    policy: UUID | str


@dataclass(eq=False)
class BadPolicy(Refusal):
    """The policy cannot be kept as it is written. Refused, never permitted. Source: JITSudo contract (d) 38."""

    code = "bad_policy"
    problems: tuple[Problem, ...]


def weigh(matches: Collection[Match], errors: Iterable[str] = ()) -> Outcome:
    """Decide from all rules that match, in any order.

    An error anywhere denies. Else the highest priority with a matching rule decides: a forbid there denies, else its
    permits do, of which one that requires approval is enough to require it. Nothing matches: deny.

    Source: JITSudo contract b.7 and (d) 16, 18.
    """
    failed = tuple(sorted(set(errors)))[:MAX_ERRORS]
    if failed:
        return Outcome(
            verdict=Verdict.DENY,
            because=Because.ERROR,
            reason="a policy could not be evaluated, so nothing is permitted",
            errors=failed,
        )
    if not matches:
        return Outcome(verdict=Verdict.DENY, because=Because.NO_RULE, reason="no policy permits this")
    highest = max(match.policy.priority for match in matches)
    deciding = sorted([one for one in matches if one.policy.priority == highest], key=attrgetter("name"))
    forbids = [one for one in deciding if one.rule.effect is Effect.FORBID]
    return _forbidden(forbids) if forbids else _permitted(deciding)


def _forbidden(by: list[Match]) -> Outcome:
    return Outcome(
        verdict=Verdict.DENY,
        because=Because.FORBIDDEN,
        policies=_policies(by),
        rules=tuple(one.name for one in by),
        notices=_notices(by),
        reason=f"forbidden by {_listed(by)}",
    )


def _permitted(by: list[Match]) -> Outcome:
    requires = any((one.rule.mode or one.policy.mode) is Mode.REQUIRE for one in by)
    most = _smallest(one.policy.max_duration_seconds for one in by)
    default = _smallest(one.policy.default_duration_seconds for one in by)
    return Outcome(
        verdict=Verdict.REQUIRE if requires else Verdict.AUTO,
        because=Because.PERMITTED,
        policies=_policies(by),
        rules=tuple(one.name for one in by),
        notices=_notices(by),
        reason=f"permitted by {_listed(by)}" + (", with approval" if requires else ""),
        max_duration_seconds=most,
        default_duration_seconds=_smallest([default, most]) if default is not None else None,
        approval_timeout_seconds=_smallest(
            one.rule.approval_timeout_seconds or one.policy.approval_timeout_seconds for one in by
        ),
    )


def _policies(by: list[Match]) -> tuple[UUID, ...]:
    return tuple(dict.fromkeys(one.policy.id for one in by))


def _notices(by: list[Match]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.rule.notice for one in by if one.rule.notice))


def _listed(by: list[Match]) -> str:
    names = [one.name for one in by]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _smallest(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def problems(policy: Policy) -> list[Problem]:
    """Check what a policy says beside its Cedar text. [] when it can be kept."""
    found = []
    if not policy.name.strip() or len(policy.name) > MAX_NAME:
        found.append(Problem("name", f"must be text of 1 to {MAX_NAME} characters"))
    if abs(policy.priority) > MAX_PRIORITY:
        found.append(Problem("priority", f"must be a whole number between -{MAX_PRIORITY} and {MAX_PRIORITY}"))
    for path, value, most in (
        ("maxDurationSeconds", policy.max_duration_seconds, MAX_DURATION_S),
        ("defaultDurationSeconds", policy.default_duration_seconds, MAX_DURATION_S),
        ("approvalTimeoutSeconds", policy.approval_timeout_seconds, MAX_TIMEOUT_S),
    ):
        if value is not None and not 1 <= value <= most:
            found.append(Problem(path, f"must be a whole number between 1 and {most}"))
    most_s, default_s = policy.max_duration_seconds, policy.default_duration_seconds
    if most_s is not None and default_s is not None and default_s > most_s:
        found.append(Problem("defaultDurationSeconds", "must not be more than maxDurationSeconds"))
    return found
