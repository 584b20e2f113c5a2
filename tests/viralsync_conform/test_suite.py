"""`pytest contract_tests`: what turns red and why, what is left out, and what never gets out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from pytest_httpserver import HTTPServer
from tests.support.paths import ROOT
from werkzeug import Request, Response

from viralsync_conform.journeys import JOURNEYS
from viralsync_conform.mutants import BEHAVIOUR_MUTANTS, serving
from viralsync_conform.suite.session import INCONCLUSIVE
from viralsync_mock.app import create_app
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings

pytestmark = pytest.mark.slow

KEY = f"vs_prod_{hexadecimal('contract suite', length=32)}"
QUICK = ("--conform-profile", "quick")


def suite(*arguments: str, key: str | None = None, extra_path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the suite in a process of its own; no key gets there but the one that is given."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VIRALSYNC_", "PYTEST_"))}
    if key is not None:
        environment["VIRALSYNC_API_KEY"] = key
    if extra_path is not None:
        environment["PYTHONPATH"] = str(extra_path)
    command = (sys.executable, "-m", "pytest", "contract_tests", "-p", "no:cacheprovider", "-rA", *arguments)
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@contextmanager
def mutant(name: str) -> Iterator[str]:
    found = next(each for each in BEHAVIOUR_MUTANTS if each.name == name)
    with serving(found) as url:
        yield url


def red(result: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the tests that failed, by their names."""
    lines = (line for line in result.stdout.splitlines() if line.startswith("FAILED "))
    return [line.split(" ")[1].rpartition("::")[2] for line in lines]


def test_a_deviation_turns_its_journey_red_and_says_why() -> None:
    """The text has what was expected, what came, the page of the fact, the call, and how to make it again."""
    with mutant("usage-other-limit") as url:
        result = suite("--target", url, *QUICK, key=KEY)
    assert (result.returncode, red(result)) == (1, ["test_journey[account]"]), result.stdout
    for part in (
        "contract broken: plan_limits: getUsage 200",
        "expected  200",
        "documented, page /billing/rate-limits",
    ):
        assert part in result.stdout
    assert "> GET /v1/usage" in result.stdout
    assert f"again: curl -sS {url}/v1/usage \\\n" in result.stdout.replace("    -H", "-H")
    assert '-H "x-api-key: $VIRALSYNC_API_KEY"' in result.stdout


def test_what_is_sampled_only_is_a_warning_and_red_when_strict() -> None:
    """A broken S fact is shown at the end and fails no test; `--conform-strict` makes it one."""
    chosen = ("-k", "life_by_polling", "--conform-profile", "nightly")
    with mutant("payload-of-another-project") as url:
        lenient, strict = (
            suite("--target", url, *chosen, key=KEY),
            suite("--target", url, *chosen, "--conform-strict", key=KEY),
        )
    assert "warnings: seen in a sample" in lenient.stdout, lenient.stdout
    assert (lenient.returncode, red(lenient)) == (0, [])
    assert (strict.returncode, red(strict)) == (1, ["test_journey[life_by_polling]"]), strict.stdout


def test_what_the_profile_leaves_out_is_skipped_with_the_reason() -> None:
    """Reading only leaves green what is read, and says of the rest why it was not made."""
    result = suite(*QUICK)
    assert "profile quick only reads" in result.stdout
    assert "profile quick does not go so deep" in result.stdout
    assert (result.returncode, red(result)) == (0, []), result.stdout
    assert "test_journey[account]" in result.stdout


def test_what_cannot_be_told_is_neither_red_nor_green() -> None:
    """Where nothing listens the session ends with one line, no test failed, and a status that is not success."""
    result = suite("--target", "http://127.0.0.1:1", *QUICK, key=KEY)
    assert "cannot be reached, nothing was tested" in result.stdout, result.stdout
    assert (result.returncode, red(result)) == (INCONCLUSIVE, [])


def test_no_key_gets_out(httpserver: HTTPServer) -> None:
    """A target that repeats the key in its answers, and tracebacks with all values, show none."""

    def repeat(request: Request) -> Response:
        key = request.headers.get("x-api-key", "") or request.headers.get("authorization", "")
        return Response(f'{{"userId": 1, "plan": "{key}", "email": "{key}"}}', content_type="application/json")

    httpserver.expect_request("/v1/me").respond_with_handler(repeat)
    httpserver.expect_request("/v1/usage").respond_with_handler(repeat)
    key = f"a-key-of-another-form-{hexadecimal('another', length=20)}"
    result = suite("--target", httpserver.url_for(""), *QUICK, "--showlocals", "--tb=long", key=key)
    assert "test_journey[account]" in red(result), result.stdout
    assert key not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("-n", "2"), "call pytest without -n"),
        (("--target", "ftp://example.com"), "expected `mock` or a base URL"),
        (("--target", "https://viralsync.invalid"), "put it into the variable VIRALSYNC_API_KEY"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(arguments: tuple[str, ...], text: str) -> None:
    """What cannot be used ends the session as wrong use."""
    result = suite(*arguments)
    assert (result.returncode, text in result.stdout + result.stderr) == (4, True), result.stdout + result.stderr


def test_the_order_is_that_of_the_journeys_whoever_shuffles() -> None:
    """Journeys use what others made before; they are marked by what they cost."""
    result = suite("--collect-only", "-q", "-m", "renders", "-k", "test_journey")
    names = [line.rpartition("[")[2].rstrip("]") for line in result.stdout.splitlines() if "test_journey[" in line]
    assert names == [journey.name for journey in JOURNEYS if journey.renders and not journey.is_deep]


def test_an_interrupted_session_cleans_up_and_touches_nothing_else(tmp_path: Path) -> None:
    """After Ctrl-C no job of the run is left, and every job that was there before still is."""
    (tmp_path / "interrupting.py").write_text(
        "def pytest_runtest_setup(item):\n    if 'ended_jobs' in item.name:\n        raise KeyboardInterrupt\n"
    )
    movie = {"kind": "movie", "projectId": "proj_of_others", "movie": {"scenes": [{"id": "a", "duration": 1}]}}
    with BackgroundServer(create_app(Settings())) as server, _client(server.base_url) as client:
        own = [client.post("/v1/render/jobs", json=movie).json()["jobId"] for _ in range(2)]
        result = suite(
            "--target",
            server.base_url,
            "-p",
            "interrupting",
            "--conform-profile",
            "nightly",
            key=KEY,
            extra_path=tmp_path,
        )
        left = [job["jobId"] for job in client.get("/v1/jobs").json()["jobs"]]
    assert result.returncode == pytest.ExitCode.INTERRUPTED, result.stdout
    assert "test_journey[paging]" in result.stdout
    assert sorted(left) == sorted(own)


def _client(base_url: str) -> httpx2.Client:
    return httpx2.Client(base_url=base_url, headers={"x-api-key": KEY}, verify=False)


@pytest.mark.parametrize("arguments", [("contract_tests",), ("--pyargs", "viralsync_conform")])
def test_the_suite_needs_no_more_than_its_own_extra(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """In a checkout and from an install, without the plugins of the project's own tests."""
    cwd = ROOT if arguments == ("contract_tests",) else tmp_path
    plugins = [part for name in ("asyncio", "randomly", "xdist", "cacheprovider") for part in ("-p", f"no:{name}")]
    command = (sys.executable, "-m", "pytest", *arguments, *plugins, "-q", "--target", "mock", *QUICK)
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks asserted" in done.stdout


def test_the_options_are_there_for_the_suite_only(tmp_path: Path) -> None:
    """A project whose tests use another plugin with the same options is left alone."""
    command = (sys.executable, "-m", "pytest", "--help")
    assert "--conform-profile" not in subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
