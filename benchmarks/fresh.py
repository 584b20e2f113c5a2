"""What a test pays: a fresh sandbox, a fixture, one job from submission to its last assertion, a client that sleeps."""

import os
import resource
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

from benchmarks.options import Options
from benchmarks.report import BenchmarkError, Row, Section, at_most, median_and_spread, not_measured

HOW = """\
*Fresh sandbox*: one is built in this process, {builds} times. *Fixture*: pytest runs {tests} tests that do nothing,
as many that ask for `viralsync` and do nothing, and as many that submit a movie with a client of their own
(`viralsync.client()`), poll until it is done (clock `auto`) and assert on the journal; CPU time of the process, mock
included, less that of the tests that do nothing. *1,000 tests*: those that submit, with pytest-xdist, from command to
end. *Sleeping clients*: each submits a movie of 52 s and sleeps 5 s between its 34 polls, unchanged, with
`sleeps="virtual"`; pytest's duration of the test."""

TESTS = """
import pytest

SUBMISSION = {"kind": "movie", "projectId": "proj_bench01", "movie": {"scenes": [{"id": "only", "duration": 2}]}}

@pytest.fixture(scope="module", autouse=True)
def server(make_viralsync):
    make_viralsync()

@pytest.mark.parametrize("number", range(%d))
def test_nothing(number):
    pass

@pytest.mark.parametrize("number", range(%d))
def test_untouched(number, viralsync):
    pass

@pytest.mark.parametrize("number", range(%d))
def test_done(number, viralsync):
    with viralsync.client(is_observer=False) as client:
        job = client.post("/v1/render/jobs", json=SUBMISSION).json()["jobId"]
        while client.get(f"/v1/jobs/{job}").json()["status"] != "done":
            pass
    viralsync.assert_called("submitRenderJob", times=1)
"""

CLIENTS = """
import asyncio, threading, time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import anyio, httpx, httpx2, pytest, requests, tenacity, trio

SUBMISSION = {"kind": "movie", "projectId": "proj_bench01", "movie": {"scenes": [{"id": "only", "duration": 52}]}}
pytestmark = [pytest.mark.viralsync(sleeps="virtual"), pytest.mark.parametrize("number", range(%d))]

@pytest.fixture(autouse=True)
def polls_as_in_real_time(viralsync):
    yield
    jobs = len(viralsync.jobs)
    assert jobs and abs(len(viralsync.journal.calls("getJob")) - 34 * jobs) <= jobs

def poll(client, base=""):
    job = client.post(f"{base}/v1/render/jobs", json=SUBMISSION).json()["jobId"]
    while client.get(f"{base}/v1/jobs/{job}").json()["status"] != "done":
        time.sleep(5)

async def poll_async(library, viralsync):
    async with library.AsyncClient(base_url=viralsync.base_url, headers=viralsync.headers) as client:
        job = (await client.post("/v1/render/jobs", json=SUBMISSION)).json()["jobId"]
        while (await client.get(f"/v1/jobs/{job}")).json()["status"] != "done":
            await anyio.sleep(5)

def test_requests(number, viralsync):
    with requests.Session() as session:
        session.headers.update(viralsync.headers)
        poll(session, viralsync.base_url)

def test_httpx(number, viralsync):
    with httpx.Client(base_url=viralsync.base_url, headers=viralsync.headers) as client:
        poll(client)

def test_httpx_on_asyncio(number, viralsync):
    asyncio.run(poll_async(httpx, viralsync))

def test_httpx2_on_asyncio(number, viralsync):
    asyncio.run(poll_async(httpx2, viralsync))

def test_anyio_on_trio(number, viralsync):
    anyio.run(poll_async, httpx, viralsync, backend="trio")

def test_tenacity(number, viralsync):
    with httpx.Client(base_url=viralsync.base_url, headers=viralsync.headers) as client:
        job = client.post("/v1/render/jobs", json=SUBMISSION).json()["jobId"]
        wait, again = tenacity.wait_fixed(5), tenacity.retry_if_result(lambda status: status != "done")
        tenacity.Retrying(wait=wait, retry=again)(lambda: client.get(f"/v1/jobs/{job}").json()["status"])

def test_thread_pool_of_three(number, viralsync):
    def one(_):
        with requests.Session() as session:
            session.headers.update(viralsync.headers)
            poll(session, viralsync.base_url)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, range(3)))
"""


def measure(options: Options) -> Section:
    """Milliseconds of each."""
    builds, tests, rounds = (200, 100, 1) if options.quick else (1000, 500, 3)
    options.say("fresh sandboxes")
    sandbox_row = _sandbox_row(builds)
    with tempfile.TemporaryDirectory() as folder:
        project = _Project(Path(folder))
        options.say("fixtures")
        fixture_rows = _fixture_rows(project, tests, rounds)
        options.say("1,000 tests")
        thousand = _thousand_row(project, 200 if options.quick else 1000)
        options.say("clients that sleep")
        sleeping = _sleeping_rows(project, 2 if options.quick else 5)
    how = HOW.format(builds=builds, tests=tests)
    return Section("What a test pays", how, [sandbox_row, *fixture_rows, thousand, *sleeping])


class _Project:
    """A folder with tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pytest.ini").write_text("[pytest]\njunit_duration_report = call\n")

    def run(self, source: str, *arguments: str) -> tuple[float, float]:
        """Run tests; return real and CPU seconds, children included."""
        (self.folder / "test_cost.py").write_text(source)
        plugins = ("no:cacheprovider", "no:randomly", "no:schemathesis", "no:hypothesispytest", "no:cov", "no:asyncio")
        switches = [word for plugin in plugins for word in ("-p", plugin)]
        command = [sys.executable, "-m", "pytest", "-q", *switches, "--junitxml=junit.xml", *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VIRALSYNC_")}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(command, check=False, cwd=self.folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise BenchmarkError(f"the tests of the benchmark fail: {done.stdout[-2000:]}{done.stderr[-500:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.perf_counter() - began, cpu

    def durations(self) -> dict[str, list[float]]:
        """Seconds of the tests of the last run, by function."""
        found: dict[str, list[float]] = {}
        for case in ET.parse(self.folder / "junit.xml").getroot().iter("testcase"):  # noqa: S314 - pytest wrote it
            found.setdefault(case.attrib["name"].partition("[")[0], []).append(float(case.attrib["time"]))
        return found


def _fixture_rows(project: _Project, tests: int, rounds: int) -> list[Row]:
    costs: dict[str, list[float]] = {"untouched": [], "done": []}
    for _ in range(rounds):
        source = TESTS % (tests, tests, tests)
        _, nothing = project.run(source, "-k", "nothing")
        for kind, measured in costs.items():
            _, cpu = project.run(source, "-k", kind)
            measured.append((cpu - nothing) / tests * 1000)
    return [
        Row(what, f"{median_and_spread(costs[kind], 2)} ms CPU", f"<= {bar} ms", at_most(costs[kind], bar))
        for kind, what, bar in (
            ("untouched", "A fixture that the test does not touch", 1),
            ("done", "Submit → done → assert, with a client of its own", 15),
        )
    ]


def _thousand_row(project: _Project, tests: int) -> Row:
    seconds, _ = project.run(TESTS % (0, 0, tests), "-k", "done", "-n", "2")
    return Row(f"{tests:,} such tests with `-n 2`", f"{seconds:.1f} s", "<= 15 s", seconds <= 15)


def _sleeping_rows(project: _Project, repeats: int) -> list[Row]:
    project.run(CLIENTS % repeats)
    found = project.durations().items()
    return [
        Row(
            f"52 s movie, sleeping 5 s between polls: {name.removeprefix('test_').replace('_', ' ')}",
            f"{median_and_spread(seconds, 2)} s",
            "<= 0.5 s",
            at_most(seconds, 0.5),
        )
        for name, seconds in found
    ]


def _sandbox_row(builds: int) -> Row:
    what, bar = "A fresh sandbox", "< 1 ms"
    build = sandbox_builder()
    if build is None:
        return not_measured(what, bar, "`viralsync_mock.state` cannot be imported")
    times = []
    for number in range(builds):
        began = time.perf_counter()
        build(f"vs_prod_{number:032d}")
        times.append((time.perf_counter() - began) * 1000)
    return Row(what, f"{median_and_spread(times, 3)} ms", bar, at_most(times, 1))


def sandbox_builder() -> Callable[[str], object] | None:
    """A function from an API key to its new sandbox, as a call opens it; None when the mock is not there.

    The only place where the benchmarks know the mock from inside.
    """
    try:
        from viralsync_mock.settings import Settings
        from viralsync_mock.state import MockServer
    except ImportError:
        return None
    return MockServer.start(Settings()).sandbox
