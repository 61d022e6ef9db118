"""Which rule a call falls under, and what its path says."""

from typing import NamedTuple

import pytest

from quorate.domain.operations import closest, filled, match

ID = "3e7a9f12-4b2c-4d8e-a1f0-9c2b3d4e5f6a"


class Rule(NamedTuple):
    method: str
    path: str


@pytest.mark.parametrize(
    ("template", "path", "found"),
    [
        ("/keys/{id}/rotate", "keys/7/rotate", {"id": "7"}),
        ("keys/{id}/rotate", "/keys/7/rotate?force=1#x", {"id": "7"}),
        ("/keys/{id}", f"/keys/{ID.upper()}", {"id": ID}),
        (f"/keys/{ID.upper()}", f"/keys/{ID}", {}),
        ("/keys/{id}/rotate", "/keys/7/delete", None),
        ("/keys/{id}", "/keys/", None),
        ("/keys/{id}", "/keys/..", None),
        ("/keys/{id}", "/keys/7/", None),
        ("/keys/{id}", "//keys/7", None),
        ("/Keys", "/keys", None),
    ],
)
def test_a_path_fits_a_template_segment_by_segment(template: str, path: str, found: dict[str, str] | None) -> None:
    assert match(template, path) == found


def test_the_rule_with_the_longest_literals_wins() -> None:
    rules = [Rule("POST", "/{a}/{b}"), Rule("POST", "/keys/{id}"), Rule("POST", "/keys/7"), Rule("GET", "/keys/7")]

    assert closest(rules, "POST", "keys/7") == (rules[2], {})
    assert closest(rules, "post", "keys/8") == (rules[1], {"id": "8"})
    assert closest(rules, "POST", "doors/8") == (rules[0], {"a": "doors", "b": "8"})
    assert closest(rules, "PUT", "keys/7") is None


def test_what_a_parameter_stands_for_stays_one_segment_of_the_url() -> None:
    assert filled("https://x/{id}?q={id}", {"id": "a/../b&c"}) == "https://x/a%2F..%2Fb%26c?q=a%2F..%2Fb%26c"
