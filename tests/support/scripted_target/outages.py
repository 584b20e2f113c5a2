"""What goes wrong around the production of the tests: outages, proxies, broken connections, slow answers."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.responses import HTMLResponse, JSONResponse, Response

EVER = 1_000_000
PROXY_PAGE = "<html><body><h1>502 Bad Gateway</h1></body></html>"
AT_ONCE = struct.pack("ii", 1, 0)
GARBAGE = b"\x00\xff<<< no HTTP at all >>>\r\n\r\n"
ANSWERS: dict[str, Response] = {
    "unavailable": JSONResponse({"error": "The renderers are away.", "code": "SERVICE_UNAVAILABLE"}, 503),
    "gateway": HTMLResponse(PROXY_PAGE, 502),
    "locked out": JSONResponse({"error": "This key opens nothing", "code": "UNAUTHORIZED"}, 401),
    "failure": JSONResponse({"error": "Something went wrong.", "code": "INTERNAL_ERROR"}, 500),
}


@dataclass(frozen=True)
class Trouble:
    """Hits the requests from number `first` to `last`, or those of them to a path; `seconds` is how slow it is."""

    kind: str
    first: int = 1
    last: int = EVER
    path: str = ""
    seconds: float = 0.0

    def hits(self, number: int, scope: Any) -> bool:
        """Say whether a request meets it."""
        path: str = scope["path"]
        return self.first <= number <= self.last and path.startswith("/v1") and path.endswith(self.path)


async def make(trouble: Trouble, send: Any, told: Any) -> bool:
    """Make the trouble, and say whether the request is still to be answered."""
    if trouble.kind == "slow":
        await anyio.sleep(trouble.seconds)
        return True
    if trouble.kind in ANSWERS:
        await ANSWERS[trouble.kind]({"type": "http"}, _nothing, told)
        return False
    connection = send.__self__.transport  # uvicorn's own: ASGI has no words for what is broken below it
    if trouble.kind == "silence":
        await anyio.sleep(trouble.seconds)
    if trouble.kind == "garbage":
        connection.write(GARBAGE)
    if trouble.kind == "reset":
        connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    connection.close() if trouble.kind == "garbage" else connection.abort()
    return False


async def _nothing() -> Any:
    return {"type": "http.request"}
