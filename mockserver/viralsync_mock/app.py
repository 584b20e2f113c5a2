"""The Starlette application: the control API under `/__mock`, and a route for each path of the spec."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Match, Mount, Router

from viralsync_mock.api.handlers import check_operations
from viralsync_mock.api.middleware import Cors, EscapedPaths, StateGate, TrustedHosts
from viralsync_mock.api.pipeline import ApiPath
from viralsync_mock.api.routes import PathRoutes
from viralsync_mock.errors import SettingsError
from viralsync_mock.state import MockServer
from viralsync_mock.ui import WelcomeRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from viralsync_mock.settings import Settings

CONTROL_PREFIX = "/__mock"


def create_app(settings: Settings) -> App:
    """Read the files that the settings name and return the application; raises UsageError for a broken one."""
    if settings.mutant is not None:
        return _create_mutant(settings)
    mock = MockServer.start(settings, check_operations)
    if settings.state is not None:
        from viralsync_mock.persistence import keep_state  # only here

        keep_state(mock, settings.state)
    return App(mock)


def _create_mutant(settings: Settings) -> App:
    """Return a deliberately wrong server, which an installed package provides."""
    from importlib.metadata import entry_points  # nobody else needs it

    found = entry_points(group="viralsync_mock.mutants")
    if not found:
        raise SettingsError("VIRALSYNC_MOCK_MUTANT: no package provides mutants: install viralsync-mock again")
    app: App = next(iter(found)).load()(settings)
    return app


@asynccontextmanager
async def _lifespan(app: App) -> AsyncIterator[None]:
    if app.mock.sandboxes.keeper is not None:
        await app.mock.sandboxes.keeper.start()
    yield
    await app.mock.close()


class App(Starlette):
    """The application of one mock; `mock` is its state."""

    def __init__(self, mock: MockServer) -> None:
        settings = mock.settings
        super().__init__(
            middleware=[
                Middleware(EscapedPaths),
                Middleware(TrustedHosts, mock),
                *([Middleware(Cors, settings.cors_origins)] if settings.cors else []),
                *([Middleware(StateGate, mock, keeper)] if (keeper := mock.sandboxes.keeper) is not None else []),
            ]
        )
        self.mock = self.state.mock = mock
        self._fixed = [ControlMount(CONTROL_PREFIX, LazyControl(mock))] if settings.control else []
        self._last = [WelcomeRoute()] if settings.control else []
        self.router = Router(redirect_slashes=False, default=ApiPath(mock, None), lifespan=_lifespan)
        self._follow_spec()
        mock.on_reload = self._follow_spec

    def build_middleware_stack(self) -> ASGIApp:
        """Leave Starlette's two error layers out: pipeline and control API answer every error themselves."""
        app: ASGIApp = self._route
        for factory, args, kwargs in reversed(self.user_middleware):
            app = factory(app, *args, **kwargs)
        return app

    def _route(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the endpoint of a path of the API; Starlette's router, a tenth of such a call, gets everything else."""
        path = scope.get("path", "")  # lifespan has none
        if not path.startswith(CONTROL_PREFIX) and (found := self.api_routes.route_of(path)) is not None:
            route, scope["path_params"] = found
            return route.app(scope, receive, send)
        return self.router.app(scope, receive, send)

    def _follow_spec(self) -> None:
        """Make the routes of the API, at the start and after a reload."""
        self.api_routes = PathRoutes(self.mock.files.spec.paths, partial(ApiPath, self.mock))
        self.router.routes = [*self._fixed, self.api_routes, *self._last]


class ControlMount(Mount):
    """A mount that also takes its own path without a slash; the paths of what it mounts are whole."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the path is below this one, or this one."""
        path = scope["path"]
        is_below = path.startswith(self.path) and path[len(self.path) :][:1] in ("", "/")
        return (Match.FULL, {"endpoint": self.app}) if is_below else (Match.NONE, {})


class LazyControl:
    """The control API, imported and built with its first call: most servers start faster than they need it."""

    def __init__(self, mock: MockServer) -> None:
        self._mock = mock

    @cached_property
    def _app(self) -> ASGIApp:
        from viralsync_mock.control.app import create_control

        return create_control(self._mock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        await self._app(scope, receive, send)
