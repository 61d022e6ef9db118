"""Every no has an answer, as plain text."""

import pytest

from quorate.domain.refusals import Refusal, every_refusal
from quorate.surfaces.fortanix.words import FACES, words
from quorate.surfaces.http.problems import PROBLEMS, BadInput, Detail, InternalError, Problem, TooLarge, TryAgain
from tests.surfaces.native.test_words import instance


@pytest.mark.parametrize("kind", sorted(every_refusal(), key=str))
def test_every_refusal_has_an_answer(kind: type[Refusal]) -> None:
    assert kind in FACES

    answer = words(instance(kind))

    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "text/plain"
    assert bytes(answer.body).decode().strip()


@pytest.mark.parametrize(
    ("problem", "status", "message"),
    [
        (BadInput((Detail("must be text", "password"), Detail("odd"))), 400, "password must be text; odd"),
        (TooLarge((Detail("is too long"),), 1), 400, "is too long"),
        (InternalError("r-1"), 500, "Something went wrong on our side; the log knows it as r-1"),
        (TryAgain(), 503, "The service is not available just now; please try again"),
    ],
)
def test_problems_are_told_as_text(problem: Problem, status: int, message: str) -> None:
    answer = words(problem)

    assert (answer.status_code, bytes(answer.body).decode()) == (status, message)


def test_every_problem_of_the_plumbing_has_an_answer() -> None:
    assert set(PROBLEMS) <= set(FACES)


def test_nothing_but_what_is_raised_stands_in_the_table() -> None:
    assert {kind for kind in FACES if issubclass(kind, Refusal)} <= every_refusal()
