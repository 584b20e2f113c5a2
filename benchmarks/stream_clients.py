"""Thousands of SSE clients in one process: `python -m benchmarks.stream_clients PORT STREAMS`.

Reads the ids of the jobs as JSON from the first line of input. Says `open` when every stream has had its
first event. For each further line it says `armed`, then `all <monotonic seconds>` when every stream has had
another event, or `short N` when N have not in time.
"""

import asyncio
import json
import sys
import time

from benchmarks.processes import raise_file_limit
from benchmarks.wire import request_bytes

PATIENCE = 60
AT_ONCE = 100
MARK = b"data:"


class Crowd:
    """Counts the streams that have had an event since `arm`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.everyone = asyncio.Event()
        self.last = 0.0
        self.waiting: set[Stream] = set()

    def arm(self, streams: "list[Stream]") -> None:
        """Expect one event on each of `streams`."""
        self.everyone.clear()
        self.waiting = set(streams)

    def heard(self, stream: "Stream") -> None:
        """One stream has had an event; later ones do not count."""
        self.waiting.discard(stream)
        if not self.waiting:
            self.last = time.monotonic()
            self.everyone.set()

    async def outcome(self) -> str:
        """Wait for the last stream, or for patience to end."""
        try:
            await asyncio.wait_for(self.everyone.wait(), PATIENCE)
        except TimeoutError:
            return f"short {len(self.waiting)}"
        return f"all {self.last:.6f}"


class Stream(asyncio.Protocol):
    """One open progress stream."""

    def __init__(self, crowd: Crowd, job: str) -> None:
        self._crowd, self._job = crowd, job
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(request_bytes("GET", f"/v1/jobs/{self._job}/progress"))

    def data_received(self, data: bytes) -> None:
        """Notice the first event since the crowd was armed, also when it comes in two pieces."""
        seen = self._tail + data
        self._tail = seen[1 - len(MARK) :]
        if MARK in seen and self in self._crowd.waiting:
            self._tail = b""
            self._crowd.heard(self)


async def main(port: int, count: int) -> None:
    """Open the streams, then report on each step."""
    loop = asyncio.get_running_loop()
    jobs = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    crowd = Crowd(count)
    streams = [Stream(crowd, jobs[number % len(jobs)]) for number in range(count)]
    crowd.arm(streams)
    gate = asyncio.Semaphore(AT_ONCE)

    async def connect(stream: Stream) -> None:
        async with gate:
            await loop.create_connection(lambda: stream, "127.0.0.1", port)

    await asyncio.gather(*map(connect, streams))
    opened = await crowd.outcome()
    print("open" if opened.startswith("all") else opened, flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        crowd.arm(streams)
        print("armed", flush=True)
        print(await crowd.outcome(), flush=True)


if __name__ == "__main__":
    raise_file_limit()
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
