"""What a client in this folder has: the API, a clock in mode `jump` to sleep on, faults, and a receiver of webhooks."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import httpx
from tests.conftest import LiveServer, movie
from tests.support.webhook_receiver import Received, Receiver, Reply

from viralsync_mock.scenarios.model import Webhooks
from viralsync_mock.webhooks.payload import sign

TERMINAL = ("done", "failed", "cancelled")


class World:
    """One sandbox. `http` is the client's own connection; `order` and `arm` are the test's."""

    def __init__(self, server: LiveServer, stack: ExitStack) -> None:
        self.key = server.new_key(clock="jump", plan="enterprise")
        self._server, self._stack = server, stack
        self._control = stack.enter_context(server.client(self.key))
        self.http = self.connect()

    def connect(self) -> httpx.Client:
        """Return one more client, with connections of its own."""
        client = self._server.client(self.key)
        self._stack.callback(client.close)
        return client

    def order(self, method: str, path: str, body: object = None, **query: Any) -> Any:
        """Call the control API."""
        return self._control.request(method, f"/__mock{path}", json=body, params=query).raise_for_status().json()

    def scenario(self, name: str) -> None:
        self.order("PUT", "/scenario", {"name": name})

    def arm(self, operation: str, times: int = 1, **fault: object) -> None:
        armed = {"fault": fault, "match": {"operation": operation}, "times": times}
        self.order("PUT", "/faults", {"faults": [armed]})

    def sleep(self, seconds: float) -> None:
        """Sleep on the sandbox's clock, as a patched `time.sleep` does."""
        self.order("POST", "/clock/sleep", {"seconds": seconds, "allAsleep": True})

    # ---- what clients do

    def submit(self, **changes: Any) -> str:
        job: str = self.http.post("/v1/render/jobs", json=movie(**changes)).raise_for_status().json()["jobId"]
        return job

    def status(self, job: str, http: httpx.Client | None = None) -> str:
        """Return the status of a job; "" where the answer does not show it."""
        status: str = (http or self.http).get(f"/v1/jobs/{job}").json().get("status", "")
        return status

    def wait(self, job: str, seconds: float = 2) -> str:
        """Poll in even steps until the end."""
        while (status := self.status(job)) not in TERMINAL:
            self.sleep(seconds)
        return status

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(path, params=query or None)

    def follow(self, job: str, last: str | None = None, most: int = 1000) -> list[str]:
        """Read a stream to its end, or the first events of it; return their ids."""
        headers = {} if last is None else {"last-event-id": last}
        text = ""
        with (
            suppress(httpx.RemoteProtocolError),
            self.http.stream("GET", f"/v1/jobs/{job}/progress", headers=headers) as stream,
        ):
            for part in stream.iter_text():
                text += part
                if text.count("\n\n") >= most:
                    break
        return re.findall(r"^id: (.+)$", text, re.MULTILINE)

    def receiver(self, reply: Callable[[Received], int]) -> str:
        """Start a receiver of webhooks; return its URL."""
        return self._stack.enter_context(_Answering(reply)).url

    def verdict(self) -> dict[str, dict[str, Any]]:
        """Return the verdict by rule."""
        return {each["rule"]: each for each in self.order("GET", "/verdict")["rules"]}


class _Answering(Receiver):
    def __init__(self, answer: Callable[[Received], int]) -> None:
        super().__init__()
        self.answer = answer

    def reply(self, received: Received) -> Reply:
        self.got.append(received)
        return Reply(self.answer(received))


def is_signed(received: Received) -> bool:
    """Say whether a webhook's signature is that of its body."""
    return received.signature == sign(received.body, Webhooks().secret)
