"""Thousands of open progress streams on one process: what they weigh, and how fast a step reaches all."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contract import ROOT
from benchmarks.options import Options
from benchmarks.processes import LOAD_CORE, Server, mock, pinned, raise_file_limit, stop
from benchmarks.report import BenchmarkError, Row, Section
from benchmarks.wire import Connection, submit

JOBS = 250
STEPS = (1.5, 1.0, 1.0)  # the scenario's first three steps last a second each: every advance crosses one
SETTLE = 1.0
HOW = """\
{count:,} streams over {jobs} jobs of one sandbox, clock frozen, opened by raw sockets from another
process on the other core. Memory is the growth of the server's resident memory from before the first
stream until all have had their snapshot. A step is timed from just before `POST /__mock/clock/advance`
is sent until the client process has read the step's event on the last stream; {steps} steps, the
slowest counts."""


def measure(options: Options) -> Section:
    """Kilobytes per stream, and seconds until a step has reached everyone."""
    count = 1_000 if options.quick else 5_000
    if raise_file_limit() < count + 500:
        raise BenchmarkError(f"{count:,} streams need as many open files: raise the hard limit (`ulimit -Hn`)")
    options.say(f"streams: {count:,}")
    with mock("--frozen") as server:
        jobs = submit(server.port, JOBS)
        before = server.resident_bytes()
        with _clients(server, count) as clients:
            began = time.monotonic()
            _expect(_ask(clients, json.dumps(jobs)), "open")
            opened = time.monotonic() - began
            time.sleep(SETTLE)
            each = (server.resident_bytes() - before) / count
            steps = [_step(server, clients, seconds) for seconds in STEPS]
    rows = [
        Row(f"Memory per open stream, {count:,} open", f"{each / 1024:.1f} KB", "≤ 30 KB", each <= 30 * 1024),
        Row(f"A step reaches all {count:,} streams", f"{max(steps):.2f} s", "< 1 s", max(steps) < 1),
    ]
    detail = [(f"{opened:.1f}", f"{statistics.median(steps):.2f}", f"{max(steps):.2f}")]
    how = HOW.format(count=count, jobs=JOBS, steps=len(STEPS))
    return Section("Open streams", how, rows, ("opening all, s", "a step, median s", "slowest s"), detail)


def _step(server: Server, clients: "subprocess.Popen[str]", seconds: float) -> float:
    """Advance across one step; how long until every stream has heard of it."""
    _expect(_ask(clients, "arm"), "armed")
    with Connection(server.port) as connection:
        began = time.monotonic()
        connection.advance(seconds)
    words = _read(clients).split()
    if words[:1] != ["all"]:
        raise BenchmarkError(f"a step did not reach {words[-1]} streams within a minute")
    return float(words[1]) - began


@contextmanager
def _clients(server: Server, count: int) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.stream_clients", str(server.port), str(count)]
    process = subprocess.Popen(
        pinned(command, LOAD_CORE),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        stop(process)


def _ask(clients: "subprocess.Popen[str]", line: str) -> str:
    assert clients.stdin is not None
    clients.stdin.write(line + "\n")
    clients.stdin.flush()
    return _read(clients)


def _read(clients: "subprocess.Popen[str]") -> str:
    """The next line of the clients, which end their waits themselves after a minute."""
    assert clients.stdout is not None
    return clients.stdout.readline().strip() or "nothing"


def _expect(said: str, expected: str) -> None:
    if said != expected:
        raise BenchmarkError(f"the stream clients said `{said}` where `{expected}` was due")
