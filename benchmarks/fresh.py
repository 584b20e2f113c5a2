"""What a test pays: a fresh sandbox, and one job from submission to its last assertion."""

import itertools
import statistics
import time
from collections.abc import Callable

import httpx

from benchmarks.options import Options
from benchmarks.payloads import SUBMISSION, SUBMIT_PATH
from benchmarks.processes import mock
from benchmarks.report import BenchmarkError, Row, Section, at_most, median_and_spread, not_measured

MAX_POLLS = 200
HOW = """\
*Fresh sandbox*: one is built in this process, {builds} times. *Submit → done → assert*: {rounds} times
over a real socket, each with a new key and so a new sandbox, clock `auto`: an httpx client (kept, as a
fixture would) submits a movie of three scenes, polls until the job is done, and asserts on its result;
on average {polls:.1f} polls."""


def measure(options: Options) -> Section:
    """Milliseconds of both."""
    builds, rounds = (200, 20) if options.quick else (1000, 100)
    options.say("fresh sandboxes")
    sandbox_row = _sandbox_row(builds)
    with mock("--auto") as server, httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        try:
            runs = [_submit_to_done(client, number) for number in range(rounds + 5)][5:]
        except httpx.HTTPError as error:
            raise BenchmarkError(f"submit to done: {error}") from None
    times = [milliseconds for milliseconds, _ in runs]
    what = "Submit → done → assert, clock `auto`, real socket"
    row = Row(what, f"{median_and_spread(times, 1)} ms", "< 25 ms", at_most(times, 25))
    polls = statistics.mean(count for _, count in runs)
    how = HOW.format(builds=builds, rounds=rounds, polls=polls)
    return Section("What a test pays", how, [sandbox_row, row])


def _submit_to_done(client: httpx.Client, number: int) -> tuple[float, int]:
    """Milliseconds from submission to the last assertion, and the polls in between."""
    headers = {"x-api-key": f"vs_prod_{number:032d}"}
    began = time.perf_counter()
    job = client.post(SUBMIT_PATH, json=SUBMISSION, headers=headers).raise_for_status().json()
    for polls in itertools.count(1):
        job = client.get(f"/v1/jobs/{job['jobId']}", headers=headers).raise_for_status().json()
        if job["status"] in ("done", "failed", "cancelled") or polls == MAX_POLLS:
            break
    if job["status"] != "done" or job["progress"] != 1 or not job["outputUrl"]:
        raise BenchmarkError(f"the job is {job['status']} at {job['progress']} after {polls} polls")
    return (time.perf_counter() - began) * 1000, polls


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
