"""Time of one page of `GET /v1/jobs` as the number of jobs in the sandbox grows."""

import statistics
import time
from contextlib import ExitStack

from benchmarks.options import Options
from benchmarks.processes import mock
from benchmarks.report import BenchmarkError, Row, Section
from benchmarks.wire import Connection, request_bytes, submit, submit_and_finish

BAR, FACTOR = "< 2 x", 2.0
CANCELLED = 25
HOW = """\
One frozen mock for each size, all at once; each page is fetched {rounds} times over one kept
connection, the sizes taking turns, and the median counts. The jobs have three scenes and are done, but
for the oldest {cancelled}, which are cancelled: to fill the page `?status=cancelled` a scan from the
newest job would have to walk over all others. `?status=running` is an empty page. The deep cursor
points at the oldest 25 to 125 jobs. Pages hold 25 jobs."""


def measure(options: Options) -> Section:
    """The ratio of the largest to the smallest sandbox for each kind of page."""
    sizes = (100, 1_000, 10_000) if options.quick else (100, 1_000, 100_000)
    rounds = 50 if options.quick else 200
    with ExitStack() as stack:
        sandboxes: dict[int, tuple[Connection, dict[str, bytes]]] = {}
        for size in sizes:
            options.say(f"pages: {size:,} jobs")
            connection = stack.enter_context(_sandbox(stack, size))
            sandboxes[size] = (connection, _pages(connection, size))
        times = {page: _times(page, sandboxes, rounds) for page in next(iter(sandboxes.values()))[1]}
    how = HOW.format(rounds=rounds, cancelled=CANCELLED)
    header = ("page", *(f"{size:,} jobs, ms" for size in sizes))
    detail = [(f"`{page}`", *(f"{by_size[size]:.2f}" for size in sizes)) for page, by_size in times.items()]
    rows = [_row(page, by_size, sizes[0], sizes[-1]) for page, by_size in times.items()]
    return Section("Pages of a growing list", how, rows, header, detail)


def _row(page: str, times: dict[int, float], small: int, large: int) -> Row:
    ratio = times[large] / times[small]
    return Row(f"`{page}`: time with {large:,} / {small:,} jobs", f"{ratio:.2f} x", BAR, ratio < FACTOR)


def _sandbox(stack: ExitStack, size: int) -> Connection:
    """A mock that holds `size` jobs: the oldest cancelled, the rest done."""
    port = stack.enter_context(mock("--frozen", "--memory", "1GiB")).port
    connection = Connection(port)
    for job in submit(port, CANCELLED):
        connection.call("POST", f"/v1/jobs/{job}/cancel")
    submit_and_finish(port, size - CANCELLED)
    return connection


def _pages(connection: Connection, size: int) -> dict[str, bytes]:
    """The requests to time, by the name they are reported under."""
    cursor = _deep_cursor(connection, size)
    return {
        "GET /v1/jobs": request_bytes("GET", "/v1/jobs"),
        "?status=done": request_bytes("GET", "/v1/jobs?status=done"),
        "?status=running": request_bytes("GET", "/v1/jobs?status=running"),
        "?status=cancelled": request_bytes("GET", "/v1/jobs?status=cancelled"),
        "?cursor=(near the end)": request_bytes("GET", f"/v1/jobs?cursor={cursor}"),
    }


def _deep_cursor(connection: Connection, size: int) -> str:
    """Walk the list until between 25 and 125 jobs are left; the cursor there."""
    step = min(100, size // 4)
    cursor, seen = "", 0
    while seen < size - 125 or seen == 0:
        page = connection.call("GET", f"/v1/jobs?limit={step}" + (f"&cursor={cursor}" if cursor else ""))
        seen += len(page["jobs"])
        cursor = page["nextCursor"]
        if not cursor:
            raise BenchmarkError(f"the list ended after {seen} of {size} jobs")
    return str(cursor)


def _times(page: str, sandboxes: dict[int, tuple[Connection, dict[str, bytes]]], rounds: int) -> dict[int, float]:
    """The median milliseconds of `page` in each sandbox."""
    taken: dict[int, list[float]] = {size: [] for size in sandboxes}
    for _ in range(rounds):
        for size, (connection, pages) in sandboxes.items():
            began = time.perf_counter()
            status, _body = connection.exchange(pages[page])
            taken[size].append((time.perf_counter() - began) * 1000)
            if status != 200:
                raise BenchmarkError(f"{page} answered {status}")
    return {size: statistics.median(values) for size, values in taken.items()}
