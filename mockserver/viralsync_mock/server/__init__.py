"""The process around the application: a socket, uvicorn, a clean stop; in the foreground or in a thread."""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import socket
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self, cast

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from viralsync_mock.clock import EPOCH
from viralsync_mock.errors import SettingsError
from viralsync_mock.net import is_loopback
from viralsync_mock.server.protocol import MockHttpProtocol, Timeouts
from viralsync_mock.state import Listener

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from datetime import datetime
    from pathlib import Path

    from viralsync_mock.app import App

STOP_SECONDS = 1
"""How long a stop waits for responses under way: open streams end at once, but a fault may hold a call."""

START_SECONDS = 5
"""How long a start in a thread may take."""

HANG_UP = tuple(filter(None, [getattr(signal, "SIGHUP", None)]))  # Windows has none


@dataclass(frozen=True, slots=True)
class Binding:
    """Where the server listens; port 0 picks a free one. With a certificate and its key it speaks TLS."""

    host: str = "127.0.0.1"
    port: int = 4747
    certificate: Path | None = None
    certificate_key: Path | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)


def bind(binding: Binding) -> socket.socket:
    """Take the port; raises SettingsError that says why it cannot be had."""
    family = socket.AF_INET6 if ":" in binding.host else socket.AF_INET
    try:
        return socket.create_server((binding.host, binding.port), family=family, backlog=4096)
    except OSError as error:
        plain = str(error.strerror).partition(" (while")[0]  # `socket` adds the address
        reason, way_out = _REFUSALS.get(error.errno or 0, (plain, "Choose another address with --host."))
        raise SettingsError(f"cannot listen on {binding.host} port {binding.port}: {reason}. {way_out}") from error


_REFUSALS = {
    errno.EADDRINUSE: (
        "it is in use already",
        "Stop what uses it, or choose another with --port (0 picks a free one).",
    ),
    errno.EACCES: ("it is reserved", "Choose one above 1023 with --port (0 picks a free one)."),
}


def base_url(binding: Binding, listener: socket.socket) -> str:
    """Return the URL under which the socket is reached."""
    scheme = "https" if binding.certificate else "http"
    host = f"[{binding.host}]" if ":" in binding.host else binding.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _config(app: App, binding: Binding) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=cast("type[MockHttpProtocol]", partial(MockHttpProtocol, binding.timeouts)),
        ws="none",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=binding.certificate,
        ssl_keyfile=binding.certificate_key,
    )
    try:
        config.load()
    except OSError as error:  # ssl's errors are of this kind
        raise SettingsError(
            f"cannot use {binding.certificate} with the key {binding.certificate_key}: {error}. "
            "Both are expected in PEM form, the key without a password."
        ) from error
    return config


class Server(uvicorn.Server):
    """uvicorn, which says when the socket accepts, and ends open streams before it waits for connections to close."""

    def __init__(self, app: App, binding: Binding, on_ready: Callable[[], None]) -> None:
        super().__init__(_config(app, binding))
        self._app, self._binding, self._on_ready = app, binding, on_ready
        self.loop: asyncio.AbstractEventLoop | None = None

    def run_in_foreground(self, listener: socket.socket) -> None:
        """Serve until SIGINT, SIGTERM or SIGHUP, and return: uvicorn would raise the signal again once it has stopped.

        The process is the server's alone: in a thread of another process, signals and the collector stay as they are.
        """
        for number in (*HANDLED_SIGNALS, *HANG_UP):
            signal.signal(number, self.handle_exit)
        gc.freeze()  # what was loaded and read from files stays: the collector need not look at it again and again
        gc.set_threshold(50_000, 20, 20)  # jobs hold no cycles
        gc.enable()
        self.run([listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept, then say so."""
        self.loop = asyncio.get_running_loop()
        if sockets:
            host, port = self._binding.host, sockets[0].getsockname()[1]
            self._app.mock.listener = Listener(host, port, is_loopback(host))
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what the mock holds open, streams first, then stop."""
        await self._app.mock.close()
        await super().shutdown(sockets)


class BackgroundServer:
    """The mock in a thread of this process, on a real socket: for tests. A context manager."""

    def __init__(self, app: App, binding: Binding | None = None) -> None:
        binding = binding or Binding(port=0)
        self._listener = bind(binding)
        self._ready = threading.Event()
        self.mock, self._server = app.mock, Server(app, binding, self._ready.set)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), name="viralsync-mock server", daemon=True
        )
        self.base_url = base_url(binding, self._listener)

    def start(self) -> Self:
        """Return when the socket accepts."""
        self._thread.start()
        self._ready.wait(timeout=START_SECONDS)
        return self

    def sleep(
        self, key: str, seconds: float, sleeper: str = "", *, all_asleep: bool = False, since: int | None = None
    ) -> Future[datetime]:
        """Sleep on the clock of a key's sandbox, without HTTP: see `Sandbox.sleep`.

        To be called from any thread but the server's; the future has the clock's instant. Cancelling it ends the sleep.
        `all_asleep` counts only if nothing has happened after `clock(key).activities()` was `since`.
        """
        assert self._server.loop is not None  # noqa: S101 - set before `start` returns

        async def sleeping() -> datetime:
            if (keeper := self.mock.sandboxes.keeper) is not None:
                await keeper.prepare(key)
            sandbox = self.mock.sandbox(key)
            is_quiet = all_asleep and since in (None, sandbox.clock.activities)
            return await sandbox.sleep(seconds, sleeper, all_asleep=is_quiet)

        return asyncio.run_coroutine_threadsafe(sleeping(), self._server.loop)

    def clock(self, key: str) -> SandboxClock:
        """Return the clock of a key's sandbox, to be used from any thread but the server's."""
        return SandboxClock(self, key)

    def stop(self) -> None:
        """Return when every connection is closed and the thread has ended."""
        self._server.should_exit = True
        self._thread.join(timeout=STOP_SECONDS + START_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass(frozen=True, slots=True)
class SandboxClock:
    """The clock of one sandbox, as `viralsync_mock.virtual_time` uses it."""

    server: BackgroundServer
    key: str

    def sleep(self, seconds: float, sleeper: str, *, all_asleep: bool, since: int | None) -> Future[datetime]:
        """Begin a sleep, see `BackgroundServer.sleep`."""
        return self.server.sleep(self.key, seconds, sleeper, all_asleep=all_asleep, since=since)

    def now(self) -> datetime:
        """Return the present instant."""
        sandbox = self.server.mock.sandboxes.get(self.key)
        return sandbox.clock.now() if sandbox else EPOCH

    def activities(self) -> int:
        """Return how many calls, sleeps and deliveries have begun or ended."""
        sandbox = self.server.mock.sandboxes.get(self.key)
        return sandbox.clock.activities if sandbox else 0
