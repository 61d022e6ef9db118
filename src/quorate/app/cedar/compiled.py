"""A tenant's enabled policies, ready to be asked.

Cedar itself tells only of the rules that settled its answer, which leaves out the permits below a forbid. So it is
given every rule as a permit and names all that match; what a forbid, a priority or a mode makes of that is decided by
`domain/policy.py`. One call, whatever the number of priorities, and no error stays unseen.
"""

import re
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

import cedarpy

from quorate.app.cedar.question import Question, sets_of, told
from quorate.app.cedar.scope import Scope, Uid
from quorate.app.cedar.text import parse
from quorate.domain.policy import Match, Outcome, Policy, weigh

_FAILED: Final = re.compile(r"policy `policy(\d+)`: (.*)", re.DOTALL)
_MAX_ERROR: Final = 300  # Characters; an error repeats values of the question.

SLICE_FROM: Final = 20
MAX_SLICES: Final = 64

_Key = tuple[str, Uid | None, frozenset[Uid], Uid | None, str]


class Compiled:
    """Policies that were read once and are asked many times, by one thread at a time.

    Who asks again is answered from a slice: the rules whose heads fit them. `slice_from`: fewer rules need none.
    """

    def __init__(self, policies: Sequence[Policy], *, slice_from: int = SLICE_FROM) -> None:
        """Read the enabled policies. One that cannot be read is an error in every answer: it may hold a forbid."""
        rules: list[Match] = []
        self._permits: list[str] = []
        self._scopes: list[Scope] = []
        self._broken: list[str] = []
        self._slice_from = slice_from
        self._slices: OrderedDict[_Key, _Slice | None] = OrderedDict()
        named: set[Uid] = set()
        for policy in sorted((one for one in policies if one.enabled), key=lambda one: (one.name, one.id)):
            parsed = parse(policy.cedar)
            if parsed.problems:
                self._broken.append(f"{policy.name}: {parsed.problems[0].message}"[:_MAX_ERROR])
                continue
            rules += [Match(policy, rule) for rule in parsed.rules]
            named |= parsed.named
            self._permits += parsed.permits
            self._scopes += parsed.scopes
        self._actions = {
            one.name: frozenset(id for _, id in scope.actions)
            for one, scope in zip(rules, self._scopes, strict=True)
            if scope.actions is not None
        }
        self._whole = _Slice(rules, self._permits)
        self.named: Final = frozenset(named)

    @property
    def is_empty(self) -> bool:
        """Nothing could match, and nothing is broken: no question need be put."""
        return len(self) == 0 and not self._broken

    def __len__(self) -> int:
        """The number of rules."""
        return len(self._permits)

    @property
    def group_names(self) -> frozenset[str]:
        """What the rules call groups that is no id, and so must be a name."""
        return frozenset(id for type, id in self.named if type == "Group" and not _is_uuid(id))

    def speaks_of(self, action: str, rules: Collection[str]) -> bool:
        """Say whether one of these rules, by name, is about this action, and not just about any."""
        return any(action in self._actions.get(name, ()) for name in rules)

    def ask(self, question: Question, aliases: Mapping[str, Collection[str]] | None = None) -> Outcome:
        """Answer a question. It never raises: what goes wrong is an error of the outcome, which denies.

        `aliases`: the names among `group_names` of the groups with these ids.
        """
        if self._broken:
            return weigh((), self._broken)
        try:
            sets = sets_of(question, self.named, aliases or {})
            part = self._part(question, sets)
            if not part.rules:
                return weigh(())
            request, entities = told(question, sets)
            answer = cedarpy.is_authorized(request, part.permits, entities)
            found, failed = answer.diagnostics.reasons, answer.diagnostics.errors
            if failed or answer.decision is cedarpy.Decision.NoDecision:
                return weigh((), [part.error(one) for one in failed] or ["there was no decision"])
            return weigh([part.by_id[id] for id in found])
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # A panic of the engine is no `Exception`; it too must deny.
            return weigh((), [f"{type(error).__name__}: {error}"[:_MAX_ERROR]])

    def _part(self, question: Question, sets: Collection[Uid]) -> "_Slice":
        """Give the rules to ask. A slice is made when its question comes for the second time, and kept for a while."""
        if len(self) < self._slice_from:
            return self._whole
        principal, action = (question.who.type, question.who.id), ("Action", question.action)
        key = (
            question.who.type,
            principal if principal in self.named else None,
            frozenset(one for one in sets if one in self.named),
            action if action in self.named else None,
            question.what.type,
        )
        if key not in self._slices:
            self._slices[key] = None
            self._shorten()
            return self._whole
        self._slices.move_to_end(key)
        part = self._slices[key]
        if part is None:
            fit = [
                number
                for number, scope in enumerate(self._scopes)
                if scope.fits(principal, key[2], action, question.what.type)
            ]
            part = _Slice([self._whole.rules[one] for one in fit], [self._permits[one] for one in fit])
            self._slices[key] = part
            self._shorten()
        return part

    def _shorten(self) -> None:
        """Let the oldest slices go, so that all together have no more than twice the rules there are."""
        kept = sum(len(one.rules) for one in self._slices.values() if one is not None)
        while len(self._slices) > 1 and (len(self._slices) > MAX_SLICES or kept > 2 * len(self)):
            _, gone = self._slices.popitem(last=False)
            kept -= len(gone.rules) if gone is not None else 0


class _Slice:
    """Rules, and the same as the engine has read them, numbered by their place."""

    __slots__ = ("by_id", "permits", "rules")

    def __init__(self, rules: Sequence[Match], permits: Sequence[str]) -> None:
        self.rules = rules
        self.by_id = {f"policy{place}": rule for place, rule in enumerate(rules)}
        self.permits = cedarpy.PolicySet.from_str("\n".join(permits), release_gil=True)
        assert len(self.permits) == len(rules), "a rule is numbered by its place"

    def error(self, message: str) -> str:
        found = _FAILED.search(message)
        said = f"{self.rules[int(found[1])].name}: {found[2]}" if found else message
        return said[:_MAX_ERROR]


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
