"""What the tests share: a client whose waits take no time, and its endpoint for webhooks on a socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from random import Random

import pytest
import uvicorn
from starlette.applications import Starlette
from viralsync_mock import Sandbox

from viralsync_client import Inbox, Job, Retries, ViralSync, webhook_app

MOVIE = {"scenes": [{"id": "intro", "duration": 2}, {"id": "end", "duration": 4}]}
SECRET = "whsec_viralsync_mock"


@pytest.fixture
def api(viralsync: Sandbox) -> Iterator[ViralSync]:
    """Yield the client; it waits on the sandbox's clock, and at the end the mock says how well it behaved."""
    with ViralSync(
        viralsync.base_url,
        viralsync.api_key,
        sleep=viralsync.sleep,
        clock=lambda: viralsync.clock.now.timestamp(),
        retries=Retries(rng=Random(0)),
    ) as api:
        yield api
    viralsync.assert_well_behaved()


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Serve an application on a free port, and say at which URL."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()


class Endpoint:
    """The library's endpoint for webhooks at `url`; what was news is in `updates`."""

    def __init__(self, url: str, updates: Queue[Job]) -> None:
        self.url, self.updates = url, updates

    def told(self) -> list[Job]:
        """Return what was told of one job, once it is over."""
        updates = [self.updates.get(timeout=5)]
        while not updates[-1].is_over:
            updates.append(self.updates.get(timeout=5))
        return updates


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Yield the endpoint, on a socket; ask for it before `api`, so that it outlives what sends to it."""
    updates: Queue[Job] = Queue()
    with served(webhook_app(SECRET, Inbox(updates.put))) as url:
        yield Endpoint(url, updates)
