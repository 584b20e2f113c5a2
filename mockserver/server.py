"""The process around the application: a socket, uvicorn, a clean stop; in the foreground or in a thread."""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import HANDLED_SIGNALS

from mockserver.answers import JSON
from mockserver.errors import ApiError, SettingsError
from mockserver.wire import error_answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mockserver.app import App

IDLE_SECONDS = 75
"""How long a kept connection may be idle: longer than the pools of common clients keep one."""

STOP_SECONDS = 1
"""How long a stop waits for answers under way: open streams end at once, but a call may be held up by a fault."""

START_SECONDS = 5
"""How long a start in a thread may take."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Where the server listens; port 0 picks a free one. With a certificate and its key it speaks TLS."""

    host: str = "127.0.0.1"
    port: int = 4747
    certificate: Path | None = None
    certificate_key: Path | None = None


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
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=IDLE_SECONDS,
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


class Corked:
    """A transport from which all that is written in one turn of the loop leaves as one packet: head and body."""

    __slots__ = ("_loop", "_pending", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._loop = transport, asyncio.get_running_loop()
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Write at the end of this turn of the loop."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(data)

    def close(self) -> None:
        """Close once everything is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._pending:
            data, self._pending = b"".join(self._pending), []
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP, on a corked transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own type
        """Cork the transport."""
        super().connection_made(cast("asyncio.Transport", Corked(transport)))

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP as the API refuses a request that is not valid."""
        files = cast("App", self.app).mock.files
        reason = f"the request: expected HTTP/1.1, {msg.strip().rstrip('.')}"
        answer = error_answer(files.spec, files.behaviour, ApiError("VALIDATION_ERROR", violations=reason))
        head = b"content-type: %b\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(STATUS_LINE[answer.status] + head % (JSON, len(answer.body)) + answer.body)
        self.transport.close()


class Server(uvicorn.Server):
    """uvicorn, which says when the socket accepts, and ends open streams before it waits for connections to close."""

    def __init__(self, app: App, binding: Binding, on_ready: Callable[[], None]) -> None:
        super().__init__(_config(app, binding))
        self._app, self._on_ready = app, on_ready

    def run_in_foreground(self, listener: socket.socket) -> None:
        """Serve until SIGINT or SIGTERM, and return: uvicorn would raise the signal again once it has stopped.

        The process is the server's alone: a thread in somebody else's must leave signals and the collector as they are.
        """
        for number in HANDLED_SIGNALS:
            signal.signal(number, self.handle_exit)
        gc.freeze()  # what was loaded and read from files stays: the collector need not look at it again and again
        gc.set_threshold(50_000, 20, 20)  # jobs hold no cycles
        gc.enable()
        self.run([listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept, then say so."""
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then stop."""
        self._app.mock.sandboxes.drop_all()
        await super().shutdown(sockets)


class BackgroundServer:
    """The mock in a thread of this process, on a real socket: for tests. A context manager."""

    def __init__(self, app: App, binding: Binding | None = None) -> None:
        binding = binding or Binding(port=0)
        self._listener = bind(binding)
        self._ready = threading.Event()
        self._server = Server(app, binding, self._ready.set)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)
        self.base_url = base_url(binding, self._listener)

    def start(self) -> Self:
        """Return when the socket accepts."""
        self._thread.start()
        self._ready.wait(timeout=START_SECONDS)
        return self

    def stop(self) -> None:
        """Return when every connection is closed and the thread has ended."""
        self._server.should_exit = True
        self._thread.join(timeout=STOP_SECONDS + START_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
