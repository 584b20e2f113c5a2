"""`viralsync-mock health`: what a container's probe asks."""

import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from click.testing import CliRunner, Result
from tests.conftest import LiveServer

from viralsync_mock.cli import main
from viralsync_mock.clock import Mode
from viralsync_mock.settings import Settings


def ask(*arguments: str, **variables: str) -> Result:
    names = {f"VIRALSYNC_MOCK_{name}": value for name, value in variables.items()}
    return CliRunner().invoke(main, ["health", *arguments], env=names)


@pytest.fixture
def other() -> Iterator[str]:
    """Yield the URL of a server that is no mock."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "fine"}')

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_mock_that_is_up_is_healthy(live_server: LiveServer) -> None:
    """Exit code 0, also by the variables that `serve` reads; a wildcard address means this machine."""
    port = live_server.base_url.rpartition(":")[2]
    results = [ask("--url", live_server.base_url), ask(URL=live_server.base_url), ask(PORT=port, HOST="0.0.0.0")]  # noqa: S104 - read
    assert [(each.exit_code, each.output) for each in results] == [(0, f"ok {live_server.base_url}\n")] * 3


@pytest.mark.parametrize("settings", [{"control": False}, {"control_token": "sesame"}])
def test_neither_a_token_nor_a_missing_control_api_makes_it_ill(
    start_mock: Callable[[Settings], LiveServer], settings: dict[str, object]
) -> None:
    """The probe knows no token, and the API itself is up."""
    server = start_mock(Settings(clock=Mode.FROZEN, **settings))  # type: ignore[arg-type] # one field each
    assert ask("--url", server.base_url).exit_code == 0


def test_nothing_that_listens_is_not_healthy() -> None:
    """Exit code 1, with the address and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = ask("--url", f"http://127.0.0.1:{port}")
    assert (result.exit_code, f":{port}" in result.output, "--url" in result.output) == (1, True, True)


def test_a_server_that_hangs_is_given_up() -> None:
    """The time-out ends the wait for one that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = ask("--url", f"http://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.05")
    assert (result.exit_code, "within 0.05 s" in result.output) == (1, True)


def test_another_server_is_no_mock(other: str) -> None:
    """A 200 alone proves nothing: another program may have the port."""
    result = ask("--url", other)
    assert (result.exit_code, "answered 200" in result.output) == (1, True)


@pytest.mark.parametrize("url", ["localhost:4747", "ftp://localhost", "http://", "http://localhost:port"])
def test_what_is_no_url_is_not_healthy(url: str) -> None:
    """One line, no traceback."""
    result = ask("--url", url)
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
