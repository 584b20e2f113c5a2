"""A sandbox's clock on a mock that runs elsewhere."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from contextvars import Context
from datetime import datetime
from typing import TYPE_CHECKING

import httpx2

from viralsync_mock.virtual_time.keeper import OWN_THREADS
from viralsync_mock.webhooks.transport import AsyncTransport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future


class HttpClock:
    """Sleeps by `POST /__mock/clock/sleep`; it learns the time from each answer."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, http: httpx2.AsyncClient, url: str, headers: Mapping[str, str]
    ) -> None:
        self._loop, self._http, self._url, self._headers = loop, http, url, headers
        self._now = asyncio.run_coroutine_threadsafe(self._read(), loop).result()

    async def _read(self) -> datetime:
        response = await self._http.get(f"{self._url}/clock", headers=self._headers)
        return datetime.fromisoformat(response.raise_for_status().json()["now"])

    async def _sleep(self, order: Mapping[str, object]) -> datetime:
        response = await self._http.post(f"{self._url}/clock/sleep", json=order, headers=self._headers)
        self._now = datetime.fromisoformat(response.raise_for_status().json()["now"])
        return self._now

    def sleep(self, seconds: float, sleeper: str, *, all_asleep: bool, since: int | None) -> Future[datetime]:  # noqa: ARG002
        """Begin a sleep; cancelling the future closes the connection, which gives the sleep up."""
        order = {"seconds": seconds, "sleeper": sleeper, "allAsleep": all_asleep}
        # in a context of its own: that of the caller may say that its event loop is trio's
        return Context().run(asyncio.run_coroutine_threadsafe, self._sleep(order), self._loop)

    def activities(self) -> None:
        """Return None: asking takes longer than the answer is true."""

    def now(self) -> datetime:
        """Return the instant of the last response."""
        return self._now


@contextmanager
def http_clock(base_url: str, headers: Mapping[str, str]) -> Iterator[HttpClock]:
    """Reach a sandbox's clock from a thread of its own; `headers` authenticate at the control API."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=f"{OWN_THREADS} clock", daemon=True)
    thread.start()
    limits = httpx2.Limits(max_connections=None)
    transport = AsyncTransport(verify=False, trust_env=False, limits=limits)
    http = httpx2.AsyncClient(transport=transport, trust_env=False, timeout=None)
    try:
        yield HttpClock(loop, http, f"{base_url}/__mock", headers)
    finally:
        asyncio.run_coroutine_threadsafe(http.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
