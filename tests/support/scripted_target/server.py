"""The production of the tests on a socket of this machine, with a clock that can be faster than ours."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import uvicorn
from tests.support.scripted_target.app import Account, Production
from tests.support.scripted_target.jobs import Habits
from tests.support.scripted_target.outages import Trouble

from viralsync_conform.clocks import RealClock

KEY = "vs_prod_" + "k3y0" * 8
HANDSHAKE = 0.15
"""Real seconds that a slow TLS handshake takes longer."""


class HurriedClock(RealClock):
    """Passes `rate` times as fast as time does: for the target, and for whoever waits for it."""

    def __init__(self, rate: float = 50.0) -> None:
        super().__init__()
        self._rate, self._start = rate, super().now()

    def now(self) -> datetime:
        """Return the instant."""
        real = super().now()
        return self._start + (real - self._start) * self._rate

    def wait(self, seconds: float) -> None:
        """Sleep, but shorter."""
        super().wait(seconds / self._rate)


@dataclass
class Served:
    """A production that is running; `account` is that of KEY."""

    production: Production
    base_url: str
    clock: HurriedClock
    server: uvicorn.Server
    thread: Thread

    @property
    def account(self) -> Account:
        """Return the account under test."""
        return self.production.accounts[KEY]

    def stop(self) -> None:
        """Take it away: from now on connections are refused."""
        self.server.should_exit = self.server.force_exit = True
        self.thread.join()


@contextmanager
def produced(
    habits: Habits | None = None,
    *,
    account: Account | None = None,
    troubles: Sequence[Trouble] = (),
    rate: float = 50.0,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[Served]:
    """Run a production; with a certificate and its key it speaks TLS, slowly."""
    clock = HurriedClock(rate)
    accounts = (account or Account(KEY), Account("vs_prod_" + "0ther" * 6))
    app = Production(clock, accounts, habits or Habits(), troubles)
    with served(app, certificate) as (url, server, thread):
        yield Served(app, url, clock, server, thread)


@contextmanager
def served(app: Any, certificate: tuple[Path, Path] | None = None) -> Iterator[tuple[str, uvicorn.Server, Thread]]:
    """Serve an ASGI application in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    tls = {} if certificate is None else {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]}
    plain: Any = {"log_config": None, "lifespan": "off", "ws": "none", "date_header": False, "log_level": "critical"}
    config = uvicorn.Config(app, timeout_graceful_shutdown=0, **plain, **tls)
    config.load()
    if certificate is not None:
        config.ssl = _slow_context(*certificate)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    try:
        yield f"https://localhost:{port}" if certificate else f"http://127.0.0.1:{port}", server, thread
    finally:
        server.should_exit = server.force_exit = True
        thread.join()


def _slow_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def think(*_: object) -> None:
        Event().wait(HANDSHAKE)

    context.sni_callback = think
    return context


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate that nobody vouches for; raises FileNotFoundError where openssl is not installed."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2"
    subprocess.run([*command.split(), "-out", certificate, "-keyout", key], check=True, capture_output=True)
    return certificate, key
