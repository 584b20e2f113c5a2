"""Resident memory over many calls: it rises until the journals are full, and then stays where it is."""

import json
import socket
import sys
from collections.abc import Iterator

from benchmarks.options import Options
from benchmarks.payloads import SUBMISSION_BODY
from benchmarks.processes import mock
from benchmarks.report import Row, Section
from benchmarks.wire import Connection, request_bytes

KEYS = tuple(f"vs_prod_{number:032x}" for number in range(5))
FAULTS = [
    {"fault": {"status": 503}, "match": {"operation": "listJobs"}, "probability": 0.1},
    {"fault": {"malformed_json": True}, "match": {"operation": "getUsage"}, "probability": 0.1},
]
BAR, LIMIT = "≤ 5 %", 0.05
READINGS = 4
HOW = """\
Resident memory of a frozen mock over {count:,} calls of {keys} keys, with faults armed: each job is submitted,
read, streamed by a client that leaves, listed, cancelled and deleted. The journals, of 1,000 calls each, are full
long before the first reading."""


def measure(options: Options) -> Section:
    """Megabytes after each quarter of the calls."""
    count = 20_000 if options.quick else 200_000
    options.say(f"soak: {count:,} calls")
    with mock("--frozen") as server, Connection(server.port) as connection:
        for key in KEYS:
            connection.call("PUT", "/__mock/faults", {"faults": FAULTS}, key)
        calls, sizes = _calls(connection, server.port), list[int]()
        for _ in range(READINGS):
            for _ in range(count // READINGS):
                next(calls)
            sizes.append(server.resident_bytes())
            options.say(f"soak: {sizes[-1] / 2**20:.1f} MB")
    growth = sizes[-1] / sizes[0] - 1
    row = Row("Growth of resident memory after the first quarter", f"{growth:.1%}", BAR, growth <= LIMIT)
    detail = [(f"{count * (i + 1) // READINGS:,}", f"{size / 2**20:.1f}") for i, size in enumerate(sizes)]
    return Section("Soak", HOW.format(count=count, keys=len(KEYS)), [row], ("calls", "resident, MB"), detail)


def _calls(connection: Connection, port: int) -> Iterator[None]:
    """Make one call after the other, for ever."""
    number = 0
    while True:
        key = KEYS[number % len(KEYS)]
        number += 1
        submitted = connection.exchange(request_bytes("POST", "/v1/render/jobs", SUBMISSION_BODY, key))
        yield
        path = f"/v1/jobs/{json.loads(submitted[1])['jobId']}"
        _look_into(port, request_bytes("GET", f"{path}/progress", key=key))
        yield
        for method, target in (
            ("GET", path),
            ("GET", "/v1/jobs?limit=5"),
            ("GET", "/v1/usage"),
            ("POST", f"{path}/cancel"),
            ("GET", f"{path}?x=1"),
            ("DELETE", path),
            ("GET", path),
        ):
            connection.exchange(request_bytes(method, target, key=key))
            yield


def _look_into(port: int, request: bytes) -> None:
    """Open a stream, see its first piece and leave."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(request)
        line.recv(65_536)


if __name__ == "__main__":
    measure(Options(quick="--quick" in sys.argv))
