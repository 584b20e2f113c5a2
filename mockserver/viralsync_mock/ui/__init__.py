"""The page under `/__mock/ui`: static files, which hold no secret. All that they show comes from the control API."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

PREFIX = "/__mock/ui"
FOLDER = Path(__file__).parent
MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-cache",
    }
)


@cache
def files() -> Mapping[str, bytes]:
    """Return the files of the page by name."""
    return {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in MEDIA_TYPES}


def page(name: str, *, is_head: bool = False) -> Response:
    """Return one of the files, with the headers that keep scripts and styles of others out."""
    content = files().get(name)
    if content is None:
        return Response("There is no such file.", 404, HEADERS, "text/plain")
    return Response(b"" if is_head else content, 200, HEADERS, MEDIA_TYPES[Path(name).suffix])


async def get_page(_request: Request) -> Response:
    """GET /__mock/ui."""
    return page("index.html")


async def get_file(request: Request) -> Response:
    """GET /__mock/ui/{name}: a script, the style sheet, or the rendered spec."""
    name = request.path_params["name"]
    return page(name) if name else RedirectResponse(PREFIX)


def routes() -> list[Route]:
    """Return the routes of the page."""
    return [Route(PREFIX, get_page), Route(f"{PREFIX}/{{name:path}}", get_file)]


class WelcomeRoute(BaseRoute):
    """`/` for browsers: it leads to the page and to the rendered spec. Other clients get what the API answers there."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a browser asks for `/`."""
        if scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            return Match.NONE, {}
        accepts = any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
        return (Match.FULL, {}) if accepts else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the page."""
        await page("welcome.html", is_head=scope["method"] == "HEAD")(scope, receive, send)
