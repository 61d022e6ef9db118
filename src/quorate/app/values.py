"""Reads values that somebody wrote, one by one, and collects everything that is wrong instead of stopping at once."""

import difflib
import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from quorate.domain.workflows import Problem

MAX_NAME: Final = 255  # characters
MAX_TEXT: Final = 4000

Word = TypeVar("Word", bound=enum.StrEnum)


class Reader:
    """Each method gives the value, or a harmless stand-in beside a problem, so that reading can go on.

    None counts as absent. `strict`: a key we do not know is a problem.
    """

    def __init__(self, *, strict: bool) -> None:
        self.problems: list[Problem] = []
        self._strict = strict

    def fields(
        self, item: object, path: str, known: Sequence[str], *, strict: bool = False
    ) -> Mapping[str, object] | None:
        """Read an object. None beside a problem. `strict`: here a key we do not know is a problem in any case."""
        if not isinstance(item, Mapping):
            self.wrong(path, "is needed: an object" if item is None else "must be an object")
            return None
        for key in item if self._strict or strict else ():
            if key not in known:
                at = f"{path}.{str(key)[:60]}" if path else str(key)[:60]
                self.wrong(at, f"is unknown here{suggestion(key, known)}")
        return item

    def text(self, value: object, path: str, most: int = MAX_NAME) -> str:
        """Read text that must be there, without the blanks around it. "" beside a problem."""
        if not isinstance(value, str):
            self.wrong(path, "is needed: text" if value is None else "must be text")
            return ""
        text = value.strip()
        if not text:
            self.wrong(path, "must not be blank")
        elif len(text) > most:
            self.wrong(path, f"must have at most {most} characters")
        elif not is_storable(text):
            self.wrong(path, "has characters that are no text")
        else:
            return text
        return ""

    def whole(self, value: object, path: str, least: int, most: int) -> int:
        """Read a whole number that must be there. A truth value is none."""
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.wrong(path, f"{'is needed' if value is None else 'must be'}: a whole number from {least} to {most}")
        return least

    def flag(self, value: object, path: str) -> bool | None:
        if value is None or isinstance(value, bool):
            return value
        self.wrong(path, "must be true or false")
        return None

    def word(self, value: object, words: type[Word], path: str) -> Word | None:
        """Read one of a closed set of words."""
        if value is None:
            return None
        found = next((word for word in words if word.value == value), None)
        if found is None:
            known = [word.value for word in words]
            self.wrong(path, f"must be one of {', '.join(known)}{suggestion(value, known)}")
        return found

    def wrong(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))


def suggestion(word: object, known: Iterable[str]) -> str:
    """Give "; did you mean …?" where something close is known, else nothing."""
    close = difflib.get_close_matches(str(word)[:60], list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def is_storable(text: str) -> bool:
    """Say whether PostgreSQL can keep this text: no NUL, and nothing that UTF-8 cannot say."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text))
