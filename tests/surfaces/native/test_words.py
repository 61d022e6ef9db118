"""Every no has an answer."""

import importlib
import pkgutil
from dataclasses import fields
from typing import Any

import pytest
from msgspec import json

import quorate.app
from quorate.domain.refusals import Refusal, every_refusal
from quorate.surfaces.http.problems import (
    PROBLEMS,
    BadInput,
    Detail,
    InternalError,
    Problem,
    TooLarge,
    TryAgain,
    WrongMethod,
)
from quorate.surfaces.native.words import FACES, words

for module in pkgutil.walk_packages(quorate.app.__path__, "quorate.app."):
    importlib.import_module(module.name)  # So that every refusal there is has been declared.


def instance(kind: type[Refusal]) -> Refusal:
    """Make one with facts of the declared types, or text where several are possible."""
    values: dict[str, Any] = {"bool": True, "int": 1, "tuple": ()}
    return kind(*(values.get(str(getattr(one.type, "__name__", one.type)), "x") for one in fields(kind)))  # type: ignore[arg-type]  # Every refusal is a dataclass.


@pytest.mark.parametrize("kind", sorted(every_refusal(), key=str))
def test_every_refusal_has_an_answer(kind: type[Refusal]) -> None:
    assert kind in FACES

    answer = words(instance(kind))

    said = json.decode(bytes(answer.body))
    assert 400 <= answer.status_code < 500
    assert said["success"] is False
    assert said["error"]["code"] == FACES[kind].code
    assert said["error"]["message"]


@pytest.mark.parametrize(
    ("problem", "status", "code"),
    [
        (BadInput((Detail("must be text", "name"),)), 400, "VALIDATION_ERROR"),
        (TooLarge((Detail("is too long"),), 1), 400, "VALIDATION_ERROR"),
        (WrongMethod(("GET",)), 405, "METHOD_NOT_ALLOWED"),
        (InternalError("r-1"), 500, "INTERNAL_ERROR"),
        (TryAgain(), 503, "UNAVAILABLE"),
    ],
)
def test_problems_look_as_the_contract_says(problem: Problem, status: int, code: str) -> None:
    answer = words(problem)

    assert (answer.status_code, json.decode(bytes(answer.body))["error"]["code"]) == (status, code)


def test_every_problem_of_the_plumbing_has_an_answer() -> None:
    assert set(PROBLEMS) <= set(FACES)


def test_nothing_but_what_is_raised_stands_in_the_table() -> None:
    assert {kind for kind in FACES if issubclass(kind, Refusal)} <= every_refusal()
