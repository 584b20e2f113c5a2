"""Progress streams as other people's clients see them: each follows whole jobs and picks up where it was cut off."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import httpx_sse
import pytest
from tests.conftest import LiveServer, movie

SECONDS = 60
"""How long a client may take before the test fails: the first start of a browser is slow."""

CLIENTS = Path(__file__).parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
has_chromium = pytest.mark.skipif(not CHROMIUM, reason="needs chromium: apt-get install chromium")
has_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js 20 or later")
has_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")

Seen = list[tuple[str, str, float]]
"""Of each event its id, the status and the progress."""


class Job:
    """A submitted job on an auto clock, its key, and what a client must see of it."""

    def __init__(self, server: LiveServer, scenario: str) -> None:
        self.base_url, self.key = server.base_url, server.new_key(scenario=scenario)
        with server.client(self.key) as client:
            self.id = client.post("/v1/render/jobs", json=movie()).raise_for_status().json()["jobId"]
            steps = client.get(f"/__mock/jobs/{self.id}").json()["steps"]
        self.steps: Seen = [(str(n), step["status"], step["progress"]) for n, step in enumerate(steps)]

    @property
    def url(self) -> str:
        """The address of its stream."""
        return f"{self.base_url}/v1/jobs/{self.id}/progress"

    @property
    def headers(self) -> dict[str, str]:
        """What shows its key."""
        return {"x-api-key": self.key}


@pytest.fixture(params=["happy", "scene-fails"])
def job(live_server: LiveServer, request: pytest.FixtureRequest) -> Job:
    """Give a job that ends well, then one that does not."""
    return Job(live_server, request.param)


def run(*command: str | Path) -> str:
    """Run a client; demand that it neither fails nor complains, and return what it printed."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def told(events: list[dict[str, Any]]) -> Seen:
    """Say what events told."""
    return [(event["id"], event["data"]["status"], event["data"]["progress"]) for event in events]


def told_by_httpx(events: Iterable[httpx_sse.ServerSentEvent]) -> Seen:
    """Say what events told, as httpx-sse has them."""
    return told([{"id": event.id, "data": event.json()} for event in events])


def told_in(text: str) -> Seen:
    """Read a plain event stream, as `curl` prints it."""
    found = re.findall(r"^id: (.*)\ndata: (.*)\n\n", text, re.MULTILINE)
    return told([{"id": event_id, "data": json.loads(data)} for event_id, data in found])


def test_httpx_sse_follows_a_whole_job(job: Job) -> None:
    """Every step, in order, each with its id, under the default event name."""
    with httpx.Client(headers=job.headers) as client, httpx_sse.connect_sse(client, "GET", job.url) as source:
        events = list(source.iter_sse())
    assert told_by_httpx(events) == job.steps
    assert {event.event for event in events} == {"message"}


async def test_httpx_sse_follows_a_whole_job_asynchronously(job: Job) -> None:
    """The same under asyncio."""
    async with (
        httpx.AsyncClient(headers=job.headers) as client,
        httpx_sse.aconnect_sse(client, "GET", job.url) as source,
    ):
        events = [event async for event in source.aiter_sse()]
    assert told_by_httpx(events) == job.steps


def test_httpx_sse_resumes_where_it_left(job: Job) -> None:
    """Reconnecting with the last id seen, after each third event, loses nothing and repeats nothing."""
    seen: Seen = []
    with httpx.Client(headers=job.headers) as client:
        while not seen or seen[-1][1] not in {"done", "failed"}:
            headers = {"last-event-id": seen[-1][0]} if seen else {}
            with httpx_sse.connect_sse(client, "GET", job.url, headers=headers) as source:
                seen += told_by_httpx(islice(source.iter_sse(), 3))
    assert seen == job.steps


def curl(job: Job, *options: str) -> str:
    """Let curl print the stream of a job."""
    always = ("--no-buffer", "--silent", "--show-error", "--fail", "-H", f"x-api-key: {job.key}")
    return run("curl", *always, *options, job.url)


@has_curl
def test_curl_follows_a_whole_job(job: Job) -> None:
    """`curl -N` prints every event and comes back by itself."""
    assert told_in(curl(job)) == job.steps


@has_curl
def test_curl_resumes_after_an_id(job: Job) -> None:
    """What came after the third step is all that it prints."""
    curl(job)
    assert told_in(curl(job, "-H", "Last-Event-ID: 2")) == job.steps[3:]


@pytest.mark.needs_node
@has_node
def test_nodes_fetch_follows_a_whole_job(job: Job) -> None:
    """A small reader of WHATWG's rules understands the stream, whatever way it is cut into chunks."""
    events = json.loads(run("node", CLIENTS / "stream.mjs", job.base_url, job.key, job.id))
    assert told(events) == job.steps
    assert {event["event"] for event in events} == {"message"}


@pytest.mark.needs_node
@has_node
def test_nodes_fetch_resumes_where_it_left(job: Job) -> None:
    """A program that left after four events finds the rest when it comes back with the id of the last."""
    first = json.loads(run("node", CLIENTS / "stream.mjs", job.base_url, job.key, job.id, "", "4"))
    rest = json.loads(run("node", CLIENTS / "stream.mjs", job.base_url, job.key, job.id, first[-1]["id"]))
    assert told(first) + told(rest) == job.steps


class Pages(SimpleHTTPRequestHandler):
    """Serves the page, and holds back its `/held` until it asks for `/release`: it is not loaded before it is through.

    So the browser shows the outcome however slow the machine is, and nobody waits longer than that.
    """

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012 - the base's

    def __init__(self, *arguments: Any, released: defaultdict[str, threading.Event], **options: Any) -> None:
        self._released = released
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        """Answer one request."""
        order, _, page = self.path.partition("?")
        if order not in {"/held", "/release"}:
            super().do_GET()
            return
        event = self._released[page]
        event.set() if order == "/release" else event.wait(SECONDS)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def other_origin() -> Iterator[str]:
    """Yield the address of a server of its own for the page: to a browser, another origin than the mock."""
    pages = partial(Pages, directory=CLIENTS, released=defaultdict(threading.Event))
    with ThreadingHTTPServer(("127.0.0.1", 0), pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def browse(other_origin: str, tmp_path: Path) -> Callable[..., Any]:
    """Give a function that lets a headless Chromium follow a job in the page, and returns what it then shows."""

    def open_page(job: Job, **more: str) -> Any:
        asked = urlencode({"baseUrl": job.base_url, "key": job.key, "jobId": job.id, **more})
        done = subprocess.run(
            [
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                f"--user-data-dir={tmp_path / 'profile'}",
                "--dump-dom",
                f"{other_origin}/page.html#{asked}",
            ],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        outcome = re.search(r'<pre id="outcome">(.*?)</pre>', done.stdout, re.DOTALL)
        assert outcome is not None, done.stdout + done.stderr
        return json.loads(html.unescape(outcome[1]))

    return open_page


@pytest.mark.needs_chromium
@has_chromium
def test_a_page_of_another_origin_follows_a_whole_job(live_server: LiveServer, browse: Callable[..., Any]) -> None:
    """The browser asks first whether it may send the key, and then reads every event."""
    job = Job(live_server, "happy")
    assert told(browse(job)) == job.steps


@pytest.mark.needs_chromium
@has_chromium
def test_a_page_of_another_origin_resumes_after_an_id(live_server: LiveServer, browse: Callable[..., Any]) -> None:
    """`Last-Event-ID` is a header that the preflight lets through too."""
    job = Job(live_server, "scene-fails")
    with live_server.client(job.key) as client:
        client.get(job.url).raise_for_status()
    assert told(browse(job, lastEventId="2")) == job.steps[3:]
