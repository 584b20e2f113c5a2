"""Seconds from the command to the first answer, against the least that uvicorn and Starlette can do."""

import time
from collections.abc import Callable, Sequence

from benchmarks.options import Options
from benchmarks.processes import child, free_port, last_words, mock_command, uvicorn_command
from benchmarks.report import BenchmarkError, Row, Section, at_most, median_and_spread
from benchmarks.wire import answers

BAR, FACTOR = "≤ 1.8 x", 1.8
PATIENCE = 30
HOW = """\
From starting the command until `GET /v1/me` has any HTTP answer, asked every few milliseconds; {runs}
pairs in turn after one pair that does not count. *Bare* is `python -m uvicorn benchmarks.bare_app:app`
with the same settings."""


def measure(options: Options) -> Section:
    """The median of the paired ratios."""
    runs = 4 if options.quick else 10
    options.say(f"start-up: {runs} pairs")
    pairs = [(_seconds(_mock), _seconds(_bare)) for _ in range(runs + 1)][1:]
    ratios = [mock / bare for mock, bare in pairs]
    row = Row(
        "Start-up: `serve` / bare uvicorn + Starlette",
        f"{median_and_spread(ratios)} x",
        BAR,
        at_most(ratios, FACTOR),
    )
    detail = [
        ("`viralsync-mock serve`", median_and_spread(mock for mock, _ in pairs)),
        ("bare uvicorn + Starlette", median_and_spread(bare for _, bare in pairs)),
    ]
    return Section("Start-up", HOW.format(runs=runs), [row], ("command", "seconds"), detail)


def _mock(port: int) -> list[str]:
    return mock_command("--port", str(port))


def _bare(port: int) -> list[str]:
    return uvicorn_command("benchmarks.bare_app:app", port)


def _seconds(command: Callable[[int], Sequence[str]]) -> float:
    """Seconds until the server that `command` starts has answered."""
    port = free_port()
    began = time.monotonic()
    with child(command(port), "server") as (process, output):
        while not answers(port):
            if process.poll() is not None or time.monotonic() - began > PATIENCE:
                raise BenchmarkError(f"a server did not answer: {last_words(output)}")
            time.sleep(0.002)
        return time.monotonic() - began
