"""Memory that one finished job costs as long as it is kept."""

from benchmarks.options import Options
from benchmarks.payloads import PAYLOAD_BYTES
from benchmarks.processes import mock
from benchmarks.report import Row, Section
from benchmarks.wire import Connection, submit_and_finish

BAR, LIMIT = "≤ 4 KB", 4096
JOURNAL = 1000
HOW = """\
Growth of the resident memory of a frozen mock over {count:,} jobs of three scenes, each finished before
the next thousand, divided by their number, less the job's own payload as compact JSON ({payload}
bytes). Jobs before the first reading have filled the journal of 1,000 calls. *Looked at* is the same
after every job was listed once."""


def measure(options: Options) -> Section:
    """Kilobytes for each finished job, before and after someone has looked at it."""
    count = 5_000 if options.quick else 30_000
    options.say(f"memory: {count:,} jobs")
    with mock("--frozen") as server:
        submit_and_finish(server.port, 2 * JOURNAL)
        before = server.resident_bytes()
        submit_and_finish(server.port, count)
        kept = server.resident_bytes() - before
        _look_at_all(server.port)
        looked_at = server.resident_bytes() - before
    rows = [
        _row("Memory per finished job kept", kept / count),
        _row("Memory per finished job kept and looked at", looked_at / count),
    ]
    detail = [("kept", f"{kept / 2**20:.1f}"), ("looked at", f"{looked_at / 2**20:.1f}")]
    how = HOW.format(count=count, payload=PAYLOAD_BYTES)
    return Section("Memory of finished jobs", how, rows, ("", "growth, MB"), detail)


def _row(what: str, each: float) -> Row:
    beyond = each - PAYLOAD_BYTES
    return Row(what, f"{beyond / 1024:.2f} KB beyond its payload", BAR, beyond <= LIMIT)


def _look_at_all(port: int) -> None:
    with Connection(port) as connection:
        cursor = ""
        while cursor is not None:
            page = connection.call("GET", "/v1/jobs?limit=100" + (f"&cursor={cursor}" if cursor else ""))
            cursor = page["nextCursor"]
