"""Transports for our own traffic. What a test patches of httpx2, as vcrpy does, does not reach them."""

from __future__ import annotations

from typing import Any

import httpcore2
import httpx2
from httpx2._transports.default import AsyncResponseStream, ResponseStream, map_httpcore_exceptions


def _below(request: httpx2.Request) -> Any:
    url = request.url
    target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return httpcore2.Request(
        request.method, target, headers=request.headers.raw, content=request.stream, extensions=request.extensions
    )


def _above(response: Any, stream: Any) -> httpx2.Response:
    return httpx2.Response(
        response.status, headers=response.headers, stream=stream(response.stream), extensions=response.extensions
    )


class Transport(httpx2.HTTPTransport):
    """Sends as its parent does, by functions of its own."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; raises HTTPError."""
        with map_httpcore_exceptions():
            response = self._pool.handle_request(_below(request))
        return _above(response, ResponseStream)


class AsyncTransport(httpx2.AsyncHTTPTransport):
    """Sends as its parent does, by functions of its own."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; raises HTTPError."""
        with map_httpcore_exceptions():
            response = await self._pool.handle_async_request(_below(request))
        return _above(response, AsyncResponseStream)
