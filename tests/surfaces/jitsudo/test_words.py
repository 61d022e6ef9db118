"""Every no has an answer."""

import importlib
import pkgutil

import pytest
from msgspec import json

import quorate.app
from quorate.domain.refusals import Refusal, every_refusal
from quorate.surfaces.http.problems import PROBLEMS
from quorate.surfaces.jitsudo.words import FACES, words
from tests.surfaces.native.test_words import instance

for module in pkgutil.walk_packages(quorate.app.__path__, "quorate.app."):
    importlib.import_module(module.name)  # So that every refusal there is has been declared.

CODES = {
    400: {"invalid_input"},
    401: {"unauthenticated"},
    403: {"tenant_mismatch", "forbidden", "policy_denied"},
    404: {"not_found"},
    405: {"method_not_allowed"},
    409: {"conflict"},
    429: {"rate_limited"},
    500: {"internal"},
    503: {"unavailable"},
}


@pytest.mark.parametrize("kind", sorted(every_refusal(), key=str))
def test_every_refusal_has_an_answer(kind: type[Refusal]) -> None:
    assert kind in FACES

    answer = words(instance(kind))

    said = json.decode(bytes(answer.body))
    assert 400 <= answer.status_code < 500
    assert {"code", "message"} <= set(said) <= {"code", "message", "details", "notices"}
    assert said["code"] in CODES[answer.status_code]
    assert said["message"]


def test_every_problem_of_the_plumbing_has_an_answer() -> None:
    assert set(PROBLEMS) <= set(FACES)
    assert all(face.code in CODES[face.status] for face in FACES.values())


def test_nothing_but_what_is_raised_stands_in_the_table() -> None:
    assert {kind for kind in FACES if issubclass(kind, Refusal)} <= every_refusal()
