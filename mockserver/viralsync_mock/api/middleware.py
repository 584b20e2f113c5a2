"""What a request passes before it is routed: its path, its host, the origin of a page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse

from viralsync_mock.api.asgi import by_name, error_response, state_response
from viralsync_mock.api.auth import KEY_HEADER, read_api_key
from viralsync_mock.api.call import RESPOND_EXTENSION
from viralsync_mock.errors import ApiError, StateError
from viralsync_mock.net import host_of, is_loopback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection

    from starlette.datastructures import Headers
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from viralsync_mock.response import Response as ApiResponse
    from viralsync_mock.sandbox import SandboxKeeper
    from viralsync_mock.state import MockServer

EXPOSED_HEADERS = (
    "retry-after",
    "date",
    "x-mock-call-id",
    "x-mock-seed",
    "x-mock-fault",
    "x-mock-warning",
    "x-request-id",
)
REFUSED_PREFLIGHT = 400


class EscapedPaths:
    """Keep `%2F` and `%0A` in the path as they came: decoded, a slash would begin a segment, and `$` ends at a newline.

    ASGI servers decode `path` before it is split into segments; `raw_path` is what the client sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection."""
        if b"%" in scope.get("raw_path", b""):
            segments = map(unquote, scope["raw_path"].decode("latin-1").partition("?")[0].split("/"))
            scope["path"] = "/".join(part.replace("/", "%2F").replace("\n", "%0A") for part in segments)
        return self.app(scope, receive, send)


class TrustedHosts:
    """On a loopback address, refuse a `Host` that is neither loopback nor allowed by the settings.

    A web page can make its own name lead to 127.0.0.1, and would then be of the same origin as the mock.
    """

    def __init__(self, app: ASGIApp, mock: MockServer) -> None:
        self.app, self._mock = app, mock
        self._allowed = frozenset(host.lower() for host in mock.settings.allowed_hosts)
        self._last_trusted = (b"host", b"localhost")  # most clients always send the same

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection."""
        listener = self._mock.listener
        if listener is not None and listener.is_loopback and scope["type"] == "http":
            headers = scope["headers"]
            if self._last_trusted not in headers:
                for name, value in headers:
                    if name == b"host" and not self._is_trusted(value):
                        return self._refuse(value.decode("latin-1"), send)
        return self.app(scope, receive, send)

    def _is_trusted(self, value: bytes) -> bool:
        host = host_of(value.decode("latin-1"))
        if is_loopback(host) or host in self._allowed:
            self._last_trusted = (b"host", value)
            return True
        return False

    async def _refuse(self, host: str, send: Send) -> None:
        shown = json.dumps(host[:100])
        text = f"header.host: expected localhost or a loopback address, got {shown}: allow it with --allow-host"
        files = self._mock.files
        response = error_response(files.spec, files.behaviour, ApiError("FORBIDDEN", text=text))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(response.body))]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})


class Cors:
    """Let in pages on loopback origins and on those that the settings name; a request of no page passes untouched."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self.app, self._for_pages = app, _PageCors(app, origins)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection."""
        if b"origin" not in dict(scope.get("headers", ())):
            return self.app(scope, receive, send)
        extensions = scope.get("extensions", {})  # a response sent whole would not get the headers of CORS
        scope["extensions"] = {each: value for each, value in extensions.items() if each != RESPOND_EXTENSION}
        return self._for_pages(scope, receive, send)


class StateGate:
    """Bring the sandbox of a key into memory before its call, where the server keeps its state."""

    def __init__(self, app: ASGIApp, mock: MockServer, keeper: SandboxKeeper) -> None:
        self.app, self._mock, self._keeper = app, mock, keeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and not self._is_open(scope):
            try:
                for key in self._keys(by_name(scope["headers"])):
                    await self._keeper.prepare(key)
            except StateError as error:
                await _send(state_response(error), send)
                return
        await self.app(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        """Say whether the sandbox of the call is in memory: the quick way, which most calls take."""
        name = self._mock.files.spec.key_header
        sent = [value for header, value in scope["headers"] if header == name]
        return len(sent) == 1 and self._mock.sandboxes.get(sent[0].decode("latin-1")) is not None

    def _keys(self, headers: dict[bytes, bytes]) -> set[str]:
        """Return the well-formed keys: the API and the control API may look for them in different headers."""
        spec, found = self._mock.files.spec, set[str]()
        for header in {spec.key_header, KEY_HEADER}:
            try:
                key = read_api_key(headers, header)
            except ApiError:
                continue
            if key is not None and spec.key_pattern.fullmatch(key):
                found.add(key)
        return found


async def _send(response: ApiResponse, send: Send) -> None:
    headers = [*response.headers, (b"content-type", response.content_type or b"")]
    headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


class _PageCors(CORSMiddleware):
    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
            allow_private_network=True,
        )

    def is_allowed_origin(self, origin: str) -> bool:
        """Return whether pages of this origin may call."""
        return is_loopback(host_of(origin)) or super().is_allowed_origin(origin)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight; a refusal says how to let the origin in."""
        origin = request_headers["origin"]
        if self.is_allowed_origin(origin):
            return super().preflight_response(request_headers)
        shown = json.dumps(origin[:200])
        text = f"CORS: expected a page on localhost, got one of {shown}: allow it with --cors-origin"
        return PlainTextResponse(text, status_code=REFUSED_PREFLIGHT, headers={"vary": "Origin"})
