import pytest

from quorate.domain.workflows import Problem as Fault
from quorate.surfaces.http.problems import PROBLEMS, BadInput, Detail, NoSuchPath, Problem, TooLarge, entry


def test_what_a_use_case_found_becomes_details() -> None:
    found = BadInput.of([Fault("steps[0].name", "must not be blank"), Fault("", "is odd")])

    assert found.details == (Detail("must not be blank", "steps[0].name"), Detail("is odd"))


def test_a_table_is_asked_for_the_class_and_then_for_the_ones_above_it() -> None:
    table = {BadInput: 400, Problem: 500}

    assert entry(table, TooLarge((), 1)) == 400
    assert entry(table | {TooLarge: 413}, TooLarge((), 1)) == 413
    assert entry(table, NoSuchPath()) == 500
    with pytest.raises(KeyError):
        entry(table, ValueError())


def test_every_problem_is_named_for_the_tests_of_the_surfaces() -> None:
    def below(kind: type[Problem]) -> set[type[Problem]]:
        return {kind, *(one for sub in kind.__subclasses__() for one in below(sub))}

    ours = {kind for kind in below(Problem) - {Problem} if kind.__module__ == Problem.__module__}

    assert ours == set(PROBLEMS)
