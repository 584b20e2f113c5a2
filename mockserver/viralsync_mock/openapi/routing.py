"""Which operation answers a method and a path: two dict look-ups, whatever the number of paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from viralsync_mock.errors import MockError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


class RouteNotFound(MockError):
    """No path of the spec fits; as text it names the path and the nearest one of the spec."""

    def __init__(self, path: str, known: tuple[str, ...]) -> None:
        super().__init__(path, known)
        self.path = path
        self.known = known

    def __str__(self) -> str:
        return f"no path of the spec fits {self.path}.{did_you_mean(self.path, self.known)}"


class MethodNotAllowed(MockError):
    """The path exists, the method does not; `allow` lists the declared methods in upper case, sorted."""

    def __init__(self, allow: tuple[str, ...]) -> None:
        super().__init__(", ".join(allow))
        self.allow = allow


@dataclass(frozen=True, slots=True)
class _Route(Generic[T]):
    """One path of the spec: what its methods lead to, and where its parameters stand."""

    by_method: Mapping[str, T]
    allow: tuple[str, ...]
    names: tuple[tuple[int, str], ...]


class Routes(Generic[T]):
    """All paths of a spec, compiled; a literal segment wins over a parameter in the same position."""

    def __init__(self, paths: Mapping[str, Mapping[str, T]]) -> None:
        self._known = tuple(paths)
        self._literal: dict[str, _Route[T]] = {}
        # by number of segments: the positions of the parameters, and the routes by what is left without them
        self._templated: dict[int, dict[tuple[int, ...], dict[tuple[str, ...], _Route[T]]]] = {}
        for path, by_method in paths.items():
            self._add(path, by_method)
        for count, masks in self._templated.items():
            self._templated[count] = dict(sorted(masks.items(), key=lambda mask: (len(mask[0]), [-p for p in mask[0]])))

    def _add(self, path: str, by_method: Mapping[str, T]) -> None:
        parts = path.split("/")
        names = tuple((at, part[1:-1]) for at, part in enumerate(parts) if part.startswith("{"))
        methods = {"HEAD": by_method["GET"], **by_method} if "GET" in by_method else by_method
        route = _Route(methods, tuple(sorted(by_method)), names)
        if not names:
            self._literal[path] = route
            return
        positions = tuple(at for at, _ in names)
        masks = self._templated.setdefault(len(parts), {})
        masks.setdefault(positions, {})[_blanked(parts, positions)] = route

    def match(self, method: str, path: str) -> tuple[T, dict[str, str]]:
        """Return what answers, with the path's parameters; raise `RouteNotFound` or `MethodNotAllowed`."""
        route = self._literal.get(path)
        values: dict[str, str] = {}
        if route is None:
            route, values = self._match_templated(path)
        found = route.by_method.get(method)
        if found is None:
            raise MethodNotAllowed(route.allow)
        return found, values

    def _match_templated(self, path: str) -> tuple[_Route[T], dict[str, str]]:
        parts = path.split("/")
        for positions, routes in self._templated.get(len(parts), {}).items():
            route = routes.get(_blanked(parts, positions))
            if route is not None:
                values = {name: parts[at] for at, name in route.names}
                if "" not in values.values():
                    return route, values
        raise RouteNotFound(path, self._known)


def _blanked(parts: list[str], positions: tuple[int, ...]) -> tuple[str, ...]:
    left = parts.copy()
    for at in positions:
        left[at] = ""
    return tuple(left)
