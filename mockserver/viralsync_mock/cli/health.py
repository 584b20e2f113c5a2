"""The subcommand `health`: for containers without curl."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import TYPE_CHECKING

import click

from viralsync_mock.cli.options import VARIABLE_PREFIX, option
from viralsync_mock.net import is_loopback

if TYPE_CHECKING:
    from http.client import HTTPConnection
    from urllib.parse import SplitResult

PATH = "/__mock/health"
MAX_ANSWER = 4096
UNAVAILABLE = 503
WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


class _Unhealthy(click.ClickException):
    """Exit code 1, one line on standard error."""


@click.command()
@option("--url", metavar="URL", help="Where the mock is; by default the address that `serve` takes from its variables.")
@option("--timeout", type=click.FloatRange(0, 60, min_open=True), metavar="S", default=2.0, help="Seconds to wait.")
def health(url: str | None, timeout: float) -> None:
    """Ask whether a mock is up and can keep its state: exit code 0 if so, 1 if not."""
    from http.client import HTTPException  # only here

    url = (url or own_url()).rstrip("/")
    try:
        status, answer = _ask(url, timeout)
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _Unhealthy(f"no mock answers at {url} within {timeout:g} s: {reason}. Name another with --url.") from None
    if problem := _problem(status, answer):
        raise _Unhealthy(f"the mock at {url} is failing: {problem}")
    if not _is_mock(status, answer):
        raise _Unhealthy(f"{url}{PATH} answered {status}: expected a mock's 200. Name another with --url.")
    click.echo(f"ok {url}")


def own_url() -> str:
    """Return the URL of a server that was started with the variables of this environment."""
    host = os.environ.get(f"{VARIABLE_PREFIX}HOST", "")
    host, port = WILDCARDS.get(host, host), os.environ.get(f"{VARIABLE_PREFIX}PORT", "4747")
    scheme = "https" if os.environ.get(f"{VARIABLE_PREFIX}TLS_CERT") else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _ask(url: str, timeout: float) -> tuple[int, bytes]:
    from urllib.parse import urlsplit

    target = urlsplit(url)
    with closing(_connection(target, timeout)) as connection:
        connection.request("GET", f"{target.path}{PATH}", headers={"accept": "application/json"})
        with connection.getresponse() as response:
            return response.status, response.read(MAX_ANSWER)


def _connection(target: SplitResult, timeout: float) -> HTTPConnection:
    """Return a connection; a certificate on this machine may be for another name, and is not checked."""
    import ssl
    from http.client import HTTPConnection, HTTPSConnection

    if target.scheme not in ("http", "https") or not target.hostname:
        raise ValueError("expected http:// or https:// and a host")
    if target.scheme == "http":
        return HTTPConnection(target.hostname, target.port, timeout=timeout)
    context = ssl.create_default_context()
    if is_loopback(target.hostname):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return HTTPSConnection(target.hostname, target.port, timeout=timeout, context=context)


def _problem(status: int, answer: bytes) -> str | None:
    """Return why a mock is failing, as it says itself."""
    try:
        document = json.loads(answer)
    except ValueError:
        return None
    is_failing = status == UNAVAILABLE and isinstance(document, dict) and document.get("status") == "failing"
    return str(document.get("problem")) if is_failing else None


def _is_mock(status: int, answer: bytes) -> bool:
    """Say whether a mock gave this answer; one without a control API refuses the path as the API does."""
    try:
        document = json.loads(answer)
    except ValueError:
        return False
    expected = {200: ("status", "ok"), 404: ("code", "NOT_FOUND")}.get(status)
    return expected is not None and isinstance(document, dict) and expected in document.items()
