import pytest

from quorate.surfaces.http.routing import Paths, parameters, segments


def split(path: bytes) -> list[str]:
    return segments({"type": "http", "path": "/", "raw_path": path})


def routes(*templates: str) -> Paths[str]:
    paths: Paths[str] = Paths()
    for template in templates:
        paths.put(template, template)
    return paths


def test_a_path_is_taken_apart_before_it_is_decoded() -> None:
    assert split(b"/a/b%20c/%C3%BC") == ["a", "b c", "ü"]
    assert split(b"/a/") == ["a", ""]
    assert split("/ü".encode()) == ["ü"]


@pytest.mark.parametrize(
    "path",
    [
        b"/things/a%2Fb",
        b"/things/a%00",
        b"/things/%ff",
        b"/things/\xff",
        b"/things/..",
        b"/things/%2e%2e",
        b"/things/.",
        b"/things/",
        b"//x",
        b"things/x",
        b"",
    ],
)
def test_a_segment_two_readers_could_take_differently_matches_nothing(path: bytes) -> None:
    assert routes("/things/{id}", "/{a}/{b}").find(split(path)) is None


def test_literals_win_over_parameters_and_parameters_take_the_rest() -> None:
    paths = routes("/approvals/pending", "/approvals/{id}", "/approvals/{id}/decide", "/{any}/pending/decide")

    assert paths.find(split(b"/approvals/pending")) == ("/approvals/pending", [])
    assert paths.find(split(b"/approvals/7")) == ("/approvals/{id}", ["7"])
    assert paths.find(split(b"/approvals/pending/decide")) == ("/approvals/{id}/decide", ["pending"])
    assert paths.find(split(b"/others/pending/decide")) == ("/{any}/pending/decide", ["others"])


def test_a_parameter_may_stand_behind_a_literal_beginning() -> None:
    paths = routes("/approvals/{id}/{rest}", "/approvals/{id}/requestType={kind}")

    assert paths.find(split(b"/approvals/7/requestType=a")) == ("/approvals/{id}/requestType={kind}", ["7", "a"])
    assert paths.find(split(b"/approvals/7/requestType=")) == ("/approvals/{id}/{rest}", ["7", "requestType="])


def test_parameters_are_named_in_order() -> None:
    assert parameters("/a/{id}/b={kind}") == ("id", "kind")


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        (b"/api/v1/approvals", "britive"),
        (b"/api/v1/approvals/7", "britive"),
        (b"/api/v1/approvals/pending", "native"),
        (b"/api/v1/approvals/7/decide", "native"),
        (b"/api/v1/approvals/7/requestType=a", "britive"),
        (b"/api/v1/approvals/consumer/x/y", "britive"),
        (b"/api/v1/approvals/", "native"),
        (b"/api/v1/approvals/%2F", "native"),
        (b"/api/v1/workflows", "native"),
        (b"/api/v1", "native"),
        (b"/api/access/7", "britive"),
        (b"/api/v10", "britive"),
        (b"/", "pages"),
        (b"/anything/else", "pages"),
    ],
)
def test_the_owner_of_a_path_is_whoever_has_the_longest_prefix(path: bytes, owner: str) -> None:
    paths: Paths[str] = Paths()
    paths.put_below("", "pages")
    paths.put_below("/api", "britive")
    paths.put("/api/v1/approvals", "britive")
    paths.put("/api/v1/approvals/{id}", "britive")
    paths.put("/api/v1/approvals/{id}/requestType={kind}", "britive")
    paths.put_below("/api/v1/approvals/consumer", "britive")
    paths.put_below("/api/v1", "native")
    paths.put("/api/v1/approvals/pending", "native")

    assert paths.owner(split(path)) == owner


def test_a_path_nobody_owns_has_no_owner() -> None:
    assert routes("/a").owner(split(b"/b")) is None
