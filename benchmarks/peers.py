"""The contenders of the throughput comparison, each started the way its own users would start it."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contract import ROOT, spec_path, submit_schema
from benchmarks.payloads import ACCEPTED, JOB, SUBMIT_PATH
from benchmarks.processes import Server, free_port, mock, server, uvicorn_command
from benchmarks.report import BenchmarkError, tool_version

PEERS = ROOT / "benchmarks" / ".peers"
PACKAGES = {"@stoplight/prism-cli": "5.14.2", "wiremock": "3.13.2"}  # Prism 5.15 wants Node 24
KEY_PATTERN = "vs_prod_[a-z0-9]{32}"


@dataclass(frozen=True)
class Contender:
    """A server to measure: how it is started, and how many times its rate the mock has to reach."""

    name: str
    start: Callable[[], AbstractContextManager[Server]]
    factor: float | None = None


def contenders() -> list[Contender]:
    """The mock first, then those it is measured against, each with the factor that the mock has to reach."""
    return [
        Contender("mock", mock),
        Contender("plain Starlette", plain, factor=0.7),
        Contender("Prism", prism, factor=4),
        Contender("WireMock", wiremock, factor=3),
        Contender("raw ASGI", raw),
    ]


@contextmanager
def plain() -> Iterator[Server]:
    """The plain Starlette app on uvicorn."""
    port = free_port()
    with server(uvicorn_command("benchmarks.plain_app:app", port), "plain", port) as running:
        yield running


@contextmanager
def raw() -> Iterator[Server]:
    """A raw ASGI constant on the same uvicorn."""
    port = free_port()
    with server(uvicorn_command("benchmarks.raw_app:app", port), "raw", port) as running:
        yield running


@contextmanager
def prism() -> Iterator[Server]:
    """Prism mocking the same spec, silent, answering from its examples."""
    program = installed("@stoplight/prism-cli") / "dist" / "index.js"
    port = free_port()
    command = [
        "node",
        str(program),
        "mock",
        "--verboseLevel",
        "silent",
        "--port",
        str(port),
        str(spec_path()),
    ]
    with server(command, "prism", port) as running:
        yield running


@contextmanager
def wiremock() -> Iterator[Server]:
    """WireMock that matches the key by its pattern and the body by its JSON Schema."""
    jar = next((installed("wiremock") / "build").glob("*.jar"), None)
    if jar is None or not shutil.which("java"):
        raise BenchmarkError("no Java 11+ on the path")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _write_stubs(Path(folder) / "mappings")
        command = ["java", "-jar", str(jar), "--port", str(port), "--bind-address", "127.0.0.1"]
        command += ["--root-dir", folder, "--disable-banner", "--max-request-journal-entries", "1000"]
        with server(command, "wiremock", port) as running:
            yield running


def _write_stubs(folder: Path) -> None:
    """The two routes; a key that is not well-formed matches nothing."""
    headers = {"x-api-key": {"matches": KEY_PATTERN}}
    body = {"matchesJsonSchema": submit_schema(), "schemaVersion": "V202012"}
    submit = {"method": "POST", "urlPath": SUBMIT_PATH, "headers": headers, "bodyPatterns": [body]}
    read = {"method": "GET", "urlPathPattern": "/v1/jobs/[^/]+", "headers": headers}
    folder.mkdir()
    for name, request, status, answer in (("submit", submit, 202, ACCEPTED), ("read", read, 200, JOB)):
        response = {"status": status, "jsonBody": answer, "headers": {"Content-Type": "application/json"}}
        (folder / f"{name}.json").write_text(json.dumps({"request": request, "response": response}))


def installed(package: str) -> Path:
    """The folder of an npm package at its pinned version, installed into benchmarks/.peers when missing."""
    folder = PEERS / "node_modules" / package
    if _installed_version(folder) != PACKAGES[package]:
        _install()
    if _installed_version(folder) != PACKAGES[package]:
        raise BenchmarkError(f"{package} {PACKAGES[package]} could not be installed")
    return folder


def _installed_version(folder: Path) -> str | None:
    manifest = folder / "package.json"
    return str(json.loads(manifest.read_text())["version"]) if manifest.exists() else None


def _install() -> None:
    if not shutil.which("npm"):
        raise BenchmarkError("npm is not at hand")
    PEERS.mkdir(exist_ok=True)
    (PEERS / "package.json").write_text(json.dumps({"private": True, "dependencies": PACKAGES}))
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, timeout=240, check=False)
    except subprocess.TimeoutExpired:
        raise BenchmarkError("npm install did not end within 240 s") from None
    if done.returncode:
        raise BenchmarkError(f"npm install failed: {done.stderr.strip()[-200:]}")


def versions() -> list[str]:
    """One line for each foreign tool that took part."""
    prism_cli, jar = (_installed_version(PEERS / "node_modules" / name) for name in PACKAGES)
    node, java = tool_version("node", "--version"), tool_version("java", "-version")
    return [
        f"Prism {prism_cli or 'not at hand'} on Node {node}",
        f"WireMock {jar or 'not at hand'} on Java: {java}",
        f"load: {tool_version('wrk', '-v') if shutil.which('wrk') else tool_version('oha', '--version')}",
    ]
