"""Every no has an answer."""

import importlib
import pkgutil

import pytest
from britive.exceptions import allowed_exceptions
from britive.exceptions.badrequest import bad_request_code_map
from britive.exceptions.unauthorized import unauthorized_code_map
from msgspec import json

import quorate.app
from quorate.app.actor import NotSignedIn
from quorate.domain import refusals as no
from quorate.domain.refusals import Refusal, every_refusal
from quorate.surfaces.britive.words import FACES, words
from quorate.surfaces.http.problems import PROBLEMS
from tests.surfaces.native.test_words import instance

for module in pkgutil.walk_packages(quorate.app.__path__, "quorate.app."):
    importlib.import_module(module.name)  # So that every refusal there is has been declared.


@pytest.mark.parametrize("kind", sorted(every_refusal(), key=str))
def test_every_refusal_has_an_answer(kind: type[Refusal]) -> None:
    assert kind in FACES

    answer = words(instance(kind))

    said = json.decode(bytes(answer.body))
    assert 400 <= answer.status_code < 500
    assert set(said) == {"status", "message", "errorCode", "details"}
    assert said["status"] == answer.status_code
    assert said["message"]
    assert said["errorCode"]


@pytest.mark.parametrize("kind", sorted(FACES, key=str))
def test_what_the_sdk_raises_is_of_the_kind_that_the_status_says(kind: type[Refusal]) -> None:
    """A code in one of the SDK's tables makes the exception; those tables hold only for some statuses."""
    answer = words(instance(kind)) if issubclass(kind, Refusal) else None
    if answer is None or answer.status_code not in allowed_exceptions:
        return
    code = json.decode(bytes(answer.body))["errorCode"]

    assert (code in unauthorized_code_map) == (answer.status_code == 401)
    assert code not in bad_request_code_map or answer.status_code == 400


def test_every_problem_of_the_plumbing_has_an_answer() -> None:
    assert set(PROBLEMS) <= set(FACES)


@pytest.mark.parametrize(("why", "code"), [("unknown", "AU-0018"), ("expired", "AU-0017"), ("revoked", "AU-0016")])
def test_whoever_holds_a_credential_learns_why_it_does_not_count(why: str, code: str) -> None:
    assert json.decode(bytes(words(NotSignedIn(why)).body))["errorCode"] == code


@pytest.mark.parametrize(
    ("field", "code"),
    [("justification", "AS-0001"), ("ticketType", "AS-0004"), ("ticketId", "AS-0005"), ("workflow", "E1003")],
)
def test_what_an_asking_lacks_has_a_code_of_its_own(field: str, code: str) -> None:
    assert json.decode(bytes(words(no.BadReference(field, "is missing")).body))["errorCode"] == code


def test_nothing_but_what_is_raised_stands_in_the_table() -> None:
    assert {kind for kind in FACES if issubclass(kind, Refusal)} <= every_refusal()
