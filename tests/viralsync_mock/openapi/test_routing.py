"""A method and a path lead to one operation, or to the reason why not."""

from __future__ import annotations

import pytest

from viralsync_mock.openapi.routing import MethodNotAllowed, RouteNotFound, Routes

ROUTES = Routes(
    {
        "/jobs": {"GET": "list", "POST": "make"},
        "/jobs/{id}": {"GET": "get", "DELETE": "delete"},
        "/jobs/best": {"GET": "best"},
        "/jobs/{id}/parts/{part}": {"GET": "part"},
        "/jobs/{id}/parts/main": {"PUT": "main"},
        "/{kind}/all/parts/{part}": {"GET": "of kind"},
        "/": {"GET": "root"},
    }
)


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/jobs", ("list", {})),
        ("POST", "/jobs", ("make", {})),
        ("HEAD", "/jobs", ("list", {})),
        ("HEAD", "/jobs/7", ("get", {"id": "7"})),
        ("DELETE", "/jobs/a b", ("delete", {"id": "a b"})),
        ("GET", "/jobs/best", ("best", {})),
        ("GET", "/jobs/7/parts/x", ("part", {"id": "7", "part": "x"})),
        ("PUT", "/jobs/7/parts/main", ("main", {"id": "7"})),
        ("GET", "/toys/all/parts/x", ("of kind", {"kind": "toys", "part": "x"})),
        ("GET", "/", ("root", {})),
    ],
)
def test_a_path_leads_to_its_operation(method: str, path: str, found: tuple[str, dict[str, str]]) -> None:
    """Literal segments win over parameters, and HEAD is answered by GET."""
    assert found == ROUTES.match(method, path)


@pytest.mark.parametrize("path", ["/jobs/", "/jobs//parts/x", "jobs", "", "/jobs/7/", "/jobs/7/parts", "//", "/Jobs"])
def test_another_path_leads_nowhere(path: str) -> None:
    """An empty segment fits no parameter, and a slash at the end makes another path."""
    with pytest.raises(RouteNotFound):
        ROUTES.match("GET", path)


def test_a_path_that_leads_nowhere_is_told_the_nearest_one() -> None:
    """A slip of the finger is recognised."""
    with pytest.raises(RouteNotFound) as caught:
        ROUTES.match("GET", "/job")
    assert str(caught.value) == 'no path of the spec fits /job. Did you mean "/jobs"?'


@pytest.mark.parametrize(
    ("path", "allow"), [("/jobs", ("GET", "POST")), ("/jobs/7", ("DELETE", "GET")), ("/jobs/best", ("GET",))]
)
def test_a_method_that_is_not_declared_is_told_which_are(path: str, allow: tuple[str, ...]) -> None:
    """`allow` lists exactly the declared methods, without HEAD."""
    with pytest.raises(MethodNotAllowed) as caught:
        ROUTES.match("PATCH", path)
    assert allow == caught.value.allow


def test_head_needs_a_get() -> None:
    """A path without GET does not answer HEAD."""
    with pytest.raises(MethodNotAllowed):
        ROUTES.match("HEAD", "/jobs/7/parts/main")
