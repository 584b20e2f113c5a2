"""Starlette's routes of an OpenAPI document: which operations a path leads to."""

from __future__ import annotations

import pytest

from viralsync_mock.api.routes import PathRoutes
from viralsync_mock.openapi.spec import Operation


def operation(name: str) -> Operation:
    return Operation(name, "", "", (), None, False, {}, False, {})


async def no_endpoint(*_: object) -> None:
    """Serve nothing: these routes are only looked up."""


ROUTES = PathRoutes(
    {
        path: {method: operation(name) for method, name in by_method.items()}
        for path, by_method in {
            "/jobs/{id}": {"GET": "get", "DELETE": "delete"},
            "/jobs": {"GET": "list", "POST": "make"},
            "/jobs/{id}/parts/{part-name}": {"GET": "part"},
            "/jobs/{id}/parts/main": {"PUT": "main"},
            "/jobs/best": {"GET": "best"},
            "/{kind}/all/parts/{part-name}": {"GET": "of kind"},
            "/": {"GET": "root"},
            "/a.c": {"GET": "dotted"},
        }.items()
    },
    lambda _: no_endpoint,
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
        ("GET", "/jobs/7/parts/x", ("part", {"id": "7", "part-name": "x"})),
        ("PUT", "/jobs/7/parts/main", ("main", {"id": "7"})),
        ("GET", "/toys/all/parts/x", ("of kind", {"kind": "toys", "part-name": "x"})),
        ("GET", "/", ("root", {})),
        ("GET", "/a.c", ("dotted", {})),
    ],
)
def test_a_path_leads_to_its_operation(method: str, path: str, found: tuple[str, dict[str, str]]) -> None:
    """Literal segments win over parameters, HEAD goes where GET goes, and a parameter may have any name."""
    operations, values = ROUTES.find(path) or pytest.fail("no route")
    assert found == (operations.by_method[method].id, values)


@pytest.mark.parametrize(
    "path", ["/jobs/", "/jobs//parts/x", "jobs", "", "/jobs/7/", "/jobs/7/parts", "//", "/Jobs", "/abc"]
)
def test_another_path_leads_nowhere(path: str) -> None:
    """An empty segment fits no parameter, and a slash at the end makes another path."""
    assert ROUTES.find(path) is None


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/jobs", "GET, HEAD, OPTIONS, POST"),
        ("/jobs/7", "DELETE, GET, HEAD, OPTIONS"),
        ("/jobs/7/parts/main", "OPTIONS, PUT"),
    ],
)
def test_allow_names_what_works(path: str, allow: str) -> None:
    """The declared methods, HEAD where there is GET, and OPTIONS."""
    operations, _ = ROUTES.find(path) or pytest.fail("no route")
    assert operations.allow == allow
