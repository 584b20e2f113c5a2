"""Starlette routes from the paths of an OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Match, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from viralsync_mock.openapi.spec import Operation


@dataclass(frozen=True, slots=True)
class PathOperations:
    """The operations of one path by method; HEAD goes where GET goes.

    `allow` is the path's `Allow` header. `names` maps Starlette's names of the path's parameters to the document's,
    which need not be Python identifiers.
    """

    by_method: Mapping[str, Operation]
    allow: str
    names: Mapping[str, str]


class PathRoute(Route):
    """The route of one path, for every method."""

    def __init__(self, path: str, endpoint: ASGIApp, operations: PathOperations, name: str) -> None:
        super().__init__(path, endpoint, name=name)
        self.methods, self.app, self.operations = None, endpoint, operations


class PathRoutes(BaseRoute):
    """The routes of a whole document, tried by the number of segments; a path without parameters is looked up."""

    def __init__(
        self, paths: Mapping[str, Mapping[str, Operation]], endpoint: Callable[[PathOperations], ASGIApp]
    ) -> None:
        routes = {path: _route(path, paths[path], endpoint) for path in in_order(paths)}
        self._literal = {path: route for path, route in routes.items() if not route.operations.names}
        self._by_depth: dict[int, tuple[PathRoute, ...]] = {}
        for path, route in routes.items():
            if route.operations.names:
                self._by_depth[path.count("/")] = (*self._by_depth.get(path.count("/"), ()), route)

    def route_of(self, path: str) -> tuple[PathRoute, dict[str, str]] | None:
        """Return the route of a path, and the values of its parameters by Starlette's names."""
        if (literal := self._literal.get(path)) is not None:
            return literal, {}
        for route in self._by_depth.get(path.count("/"), ()):
            if (match := route.path_regex.match(path)) is not None:
                return route, match.groupdict()
        return None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return the child scope of the route that takes the path."""
        if (found := self.route_of(scope["path"])) is None:
            return Match.NONE, {}
        route, values = found
        return Match.FULL, {"endpoint": route.endpoint, "path_params": values, "route": route}

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve a request that was matched."""
        served: Coroutine[Any, Any, None] = scope["endpoint"](scope, receive, send)
        return served

    def find(self, path: str) -> tuple[PathOperations, dict[str, str]] | None:
        """Return the operations of a path, and the values of its parameters."""
        if (found := self.route_of(path)) is None:
            return None
        operations = found[0].operations
        return operations, {operations.names[name]: value for name, value in found[1].items()}


def in_order(paths: Iterable[str]) -> list[str]:
    """Return paths as a router has to try them: those with fewer and later parameters first."""

    def key(path: str) -> tuple[int, list[int]]:
        positions = [at for at, part in enumerate(path.split("/")) if part.startswith("{")]
        return len(positions), [-at for at in positions]

    return sorted(paths, key=key)


def _route(path: str, by_method: Mapping[str, Operation], endpoint: Callable[[PathOperations], ASGIApp]) -> PathRoute:
    parts, names = path.split("/"), dict[str, str]()
    for at, part in enumerate(parts):
        if part.startswith("{"):
            name = part[1:-1]
            known = name if name.isidentifier() and name.isascii() else f"parameter_{at}"
            names[known], parts[at] = name, f"{{{known}}}"
    if "GET" in by_method:
        by_method = {"HEAD": by_method["GET"], **by_method}
    operations = PathOperations(by_method, ", ".join(sorted({*by_method, "OPTIONS"})), names)
    return PathRoute("/".join(parts), endpoint(operations), operations, path)
