"""Beside the client of MockServer, which installs a package `mockserver`, and in a project with our folder names.

Both are installed in one environment, in either order; a test of each passes, and ours still passes without theirs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.project.test_wheel import wheel

__all__ = ["wheel"]  # a fixture: the wheel of the kit, whose source is gone

pytestmark = pytest.mark.slow  # takes the client from the package index

THEIRS = "mockserver-client==9.2.0"
THEIR_TEST = """
from mockserver import HttpRequest, HttpResponse

def test_of_theirs(mockserver):
    mockserver.when(HttpRequest(path="/hello")).respond(HttpResponse(body="world"))
"""
OUR_TEST = """
import json

import httpx

import viralsync_mock

def test_of_ours(viralsync):
    assert isinstance(viralsync, viralsync_mock.Sandbox)
    movie = {"scenes": [{"id": "only", "duration": 1}]}
    body = {"kind": "movie", "projectId": "proj_demo01", "movie": movie}
    answer = httpx.post(f"{viralsync.base_url}/v1/render/jobs", json=body, headers=viralsync.headers)
    assert (answer.status_code, len(viralsync.jobs)) == (202, 1)
"""


class MockServer(BaseHTTPRequestHandler):
    """As much of a MockServer as its client needs to set up an expectation."""

    def do_PUT(self) -> None:
        """Accept whatever is asked for."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(201 if self.path.endswith("/expectation") else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve in place of a MockServer, and yield the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), MockServer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class Environment:
    """A fresh Python environment, which finds our dependencies where this one has them, and a project that uses it."""

    def __init__(self, home: Path, project: Path, port: int) -> None:
        venv.create(home, symlinks=True)
        scheme = {"base": str(home), "platbase": str(home)}
        self.site = Path(sysconfig.get_path("purelib", "venv", scheme))
        self._python = Path(sysconfig.get_path("scripts", "venv", {"base": str(home)})) / "python"
        self._project, self._port = project, port
        for folder in ("mockserver", "contract_tests", "fixtures"):
            (project / folder).mkdir(parents=True)
            (project / folder / "__init__.py").write_text(f"WHOSE = 'the project, {folder}'\n")
        (project / "tests").mkdir()

    def install(self, *what: str) -> None:
        """Install with pip, as a user does; dependencies come afterwards, from the environment of this run."""
        self._pip("install", "--no-deps", *what)
        (self.site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def uninstall(self, name: str) -> None:
        """Take a package away again."""
        self._pip("uninstall", "--yes", name)

    def _pip(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "pip", "--python", str(self._python), "--quiet", *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def test(self, source: str, *options: str) -> None:
        """Run a test of the project, which is not on the path itself unless pytest puts it there."""
        (self._project / "tests" / "test_it.py").write_text(source)
        command = [str(self._python), "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "tests"]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        theirs = {"MOCKSERVER_HOST": "127.0.0.1", "MOCKSERVER_PORT": str(self._port)}
        done = subprocess.run(
            command, cwd=self._project, env={**kept, **theirs}, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.fixture
def environment(tmp_path: Path, port: int) -> Environment:
    """Return an environment in which nothing is installed."""
    return Environment(tmp_path / "environment", tmp_path / "project", port)


@pytest.mark.parametrize("is_ours_first", [True, False])
def test_it_lives_beside_the_client_of_mockserver(environment: Environment, wheel: Path, is_ours_first: bool) -> None:
    """In either order of installing a test of each passes; when theirs is uninstalled, ours is whole."""
    environment.install("websockets>=15.0.1")
    for package in (str(wheel), THEIRS) if is_ours_first else (THEIRS, str(wheel)):
        environment.install(package)
    environment.test(THEIR_TEST)
    environment.test(OUR_TEST)
    environment.uninstall("mockserver-client")
    environment.test(OUR_TEST)


@pytest.mark.parametrize("mode", ["prepend", "append", "importlib"])
def test_it_lives_in_a_project_with_folders_of_the_same_names(environment: Environment, wheel: Path, mode: str) -> None:
    """`mockserver`, `contract_tests`, `fixtures` and `tests` of the project are the project's own."""
    environment.install(str(wheel))
    own = "import mockserver, contract_tests, fixtures\nassert 'project' in mockserver.WHOSE + contract_tests.WHOSE\n"
    environment.test(own + OUR_TEST, "--import-mode", mode, "-o", "pythonpath=.")
