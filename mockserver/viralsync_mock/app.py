"""The ASGI application: `/__mock` to the control API, everything else down the pipeline."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from viralsync_mock.api.asgi import RESPOND_EXTENSION
from viralsync_mock.api.handlers import check_operations
from viralsync_mock.api.pipeline import serve
from viralsync_mock.state import MockServer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from viralsync_mock.settings import Settings

CONTROL_PREFIX = "/__mock"


def create_app(settings: Settings) -> App:
    """Read the files that the settings name and return the application; raises UsageError for a broken one."""
    return App(MockServer.start(settings, check_operations))


class App:
    """The application of one mock; `mock` is its state.

    The control API and CORS are built when they are first asked for: most servers start faster than they need them.
    """

    def __init__(self, mock: MockServer) -> None:
        self.mock = mock
        self._api: ASGIApp = partial(serve, mock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI."""
        if scope["type"] == "http":
            await self._route(scope)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def _route(self, scope: Scope) -> ASGIApp:
        settings, path = self.mock.settings, scope["path"]
        if settings.control and (path == CONTROL_PREFIX or path.startswith(f"{CONTROL_PREFIX}/")):
            return self._control
        if settings.cors and b"origin" in [name for name, _ in scope["headers"]]:
            scope["extensions"] = {
                k: v for k, v in scope.get("extensions", {}).items() if k != RESPOND_EXTENSION
            }  # CORS adds headers
            return self._cors
        return self._api

    @cached_property
    def _control(self) -> ASGIApp:
        from viralsync_mock.control.app import create_control

        return create_control(self.mock)

    @cached_property
    def _cors(self) -> ASGIApp:
        """Let pages of any origin call the API: its keys are made up, and nothing of worth is behind it."""
        from starlette.middleware.cors import CORSMiddleware

        return CORSMiddleware(
            self._api,
            allow_origins=["*"],
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["retry-after", "date", "x-mock-call-id", "x-mock-seed", "x-mock-fault"],
        )

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.mock.close()
        await send({"type": "lifespan.shutdown.complete"})
