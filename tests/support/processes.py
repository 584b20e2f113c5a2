"""The mock as a process of its own, which a test may kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any

import httpx
from tests.conftest import MOVIE

KEY = "vs_prod_" + "d5" * 16
PATIENCE = 60
"""Seconds until a test gives up: a machine may be busy."""


FREE = {"name": "free", "limits": {"rate": False, "quota": False, "concurrency": False}}
WORKERS = 8


@dataclass
class MockProcess:
    """A running `viralsync-mock serve`."""

    process: subprocess.Popen[str]
    url: str

    def client(self, key: str = KEY) -> httpx.Client:
        """Return a client with a key."""
        return httpx.Client(base_url=self.url, headers={"x-api-key": key}, timeout=PATIENCE, trust_env=False)

    def kill(self) -> None:
        """End the process as `kill -9` does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End the process as a supervisor does."""
        self.process.terminate()
        self.process.wait()


@contextmanager
def mock_process(*flags: object) -> Iterator[MockProcess]:
    """Start a mock on a free port; it is killed at the end, unless it has ended."""
    command = [sys.executable, "-m", "viralsync_mock", "serve", "--port", "0", *map(str, flags)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VIRALSYNC")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().rpartition(" on ")[2].strip()
        assert url, "the mock has not started"
        yield MockProcess(process, url)
    finally:
        process.kill()
        process.communicate()


def submit(client: httpx.Client, **more: Any) -> str:
    answer = client.post("/v1/render/jobs", json={**MOVIE, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def listed(client: httpx.Client) -> set[str]:
    """Return the ids of all jobs."""
    found, cursor = set[str](), None
    while True:
        page = client.get("/v1/jobs", params={"limit": 100, **({"cursor": cursor} if cursor else {})}).json()
        found |= {job["jobId"] for job in page["jobs"]}
        if (cursor := page["nextCursor"]) is None:
            return found


def killed_while_submitting(mock: MockProcess, after: int) -> set[str]:
    """Submit from several threads, kill the mock after this many answers, and return the ids that were answered.

    With `--state DIR` they were 1,300 to 1,900 a second in eight rounds (two busy cores, 28 November 2026).
    """
    answered, enough = set[str](), Event()

    def submit_on() -> None:
        with mock.client() as client:
            try:
                while True:
                    answered.add(submit(client))
                    if len(answered) >= after:
                        enough.set()
            except httpx.TransportError:
                enough.set()

    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in range(WORKERS):
            pool.submit(submit_on)
        enough.wait()
        mock.kill()
    return answered
