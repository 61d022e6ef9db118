"""Every no has an answer in the vendor's shapes."""

import logging
from typing import Any

import httpx
import pytest

from quorate.app.actor import NotSignedIn
from quorate.app.limits import TooOften
from quorate.domain import refusals as no
from quorate.domain.refusals import Refusal, every_refusal
from quorate.surfaces.http.problems import PROBLEMS, BadInput, Detail, InternalError, NoSuchPath, TryAgain, WrongMethod
from quorate.surfaces.sailpoint.words import words
from tests.surfaces.native.test_words import instance
from tests.surfaces.sailpoint.calls import DETAIL_CODES, error


def said(refused: Any) -> tuple[int, str]:
    answer = words(refused)
    return error(httpx.Response(answer.status_code, headers=dict(answer.headers), content=bytes(answer.body)))


@pytest.mark.parametrize("kind", sorted(every_refusal(), key=str))
def test_every_refusal_has_an_answer(kind: type[Refusal]) -> None:
    status, text = said(instance(kind))

    assert status in {400, 401, 403, 404, 429}
    assert text


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (BadInput((Detail("must be text", "comment"),)), 400),
        (NoSuchPath(), 404),
        (WrongMethod(("GET",)), 405),
        (InternalError("r-1"), 500),
        (NotSignedIn(), 401),
        (TooOften(3), 429),
        (no.NoSuchRequest("x"), 404),
        (no.AlreadyClosed("x", "approved"), 400),
        (no.AlreadyDecided("x"), 400),
        (no.EvidenceMissing(password=True, second_factor=False), 403),
        (no.CommentRequired(), 400),
    ],
)
def test_problems_look_as_the_contract_says(problem: Any, status: int) -> None:
    assert said(problem)[0] == status


def test_every_problem_of_the_plumbing_has_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DETAIL_CODES, 503, "503 Service Unavailable")

    assert {said(problem)[0] for problem in (NoSuchPath(), TryAgain())} == {404, 503}
    assert {BadInput, NoSuchPath, WrongMethod, InternalError, TryAgain} <= set(PROBLEMS)


def test_the_log_knows_an_error_by_its_tracking_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    tracking = httpx.Response(400, content=bytes(words(no.CommentRequired()).body)).json()["trackingId"]

    assert [record.__dict__["tracking_id"] for record in caplog.records] == [tracking]


def test_a_mistake_of_ours_is_known_by_the_id_it_was_logged_with() -> None:
    id = "3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a"

    answer = httpx.Response(500, content=bytes(words(InternalError(id)).body)).json()

    assert answer["trackingId"] == id.replace("-", "")
    assert answer["messages"][0]["text"] == "An internal fault occurred."
