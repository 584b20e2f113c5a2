"""A well-behaved client of the ViralSync API, with nothing but the standard library: `python client.py`.

VIRALSYNC_BASE_URL and VIRALSYNC_API_KEY say where; VIRALSYNC_TASK what: render (as poll), poll, stream, webhook, list,
cancel. It ends with 0 when the video is there.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import itertools
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TERMINAL = ("done", "failed", "cancelled")
BROKEN = (OSError, http.client.HTTPException, ValueError)
Json = dict[str, Any]


class Refused(Exception):
    """The API refused a call: trying again changes nothing."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code = status, code


class Lost(Exception):
    """The response to a submission did not arrive: the job may exist."""


class Client:
    """Everything that a render needs; a bad client differs by one method."""

    poll_seconds, attempts, timeout = 1.0, 8, 10.0
    patience = float(os.environ.get("VIRALSYNC_PATIENCE_SECONDS", "600"))
    silence = float(os.environ.get("VIRALSYNC_SILENCE_SECONDS", "45"))  # a keep-alive comes every 15 s

    def __init__(self) -> None:
        self.base_url, self.key = os.environ["VIRALSYNC_BASE_URL"], os.environ["VIRALSYNC_API_KEY"]

    # ---- calls

    def send(self, method: str, path: str, body: Json | None, headers: dict[str, str], timeout: float) -> Any:
        """Make one request and return its response, whatever its status."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"x-api-key": self.key, "content-type": "application/json", **headers}
        request = urllib.request.Request(self.base_url + path, data, sent, method=method)
        try:
            return urllib.request.urlopen(request, timeout=timeout)
        except urllib.error.HTTPError as response:
            return response

    def open(
        self, method: str, path: str, body: Json | None = None, timeout: float | None = None, **headers: str
    ) -> Any:
        """Return a response with a status below 400: waits out 429, and tries again after failures of the server."""
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        for attempt in itertools.count(1):
            try:
                response = self.send(method, path, body, lines, timeout or self.timeout)
            except BROKEN:
                if body is not None:
                    raise Lost from None
                response = None
            if response is not None and response.status < 400:
                return response
            if response is not None and response.status < 500 and response.status != 429:
                raise Refused(response.status, self.code_of(response))
            if attempt == self.attempts:
                raise Refused(response.status if response else 0, "GIVEN_UP")
            self.wait_before_retry(attempt, response)
        raise AssertionError

    def code_of(self, response: Any) -> str:
        try:
            return str(json.load(response).get("code", ""))
        except BROKEN:
            return ""

    def wait_before_retry(self, attempt: int, response: Any) -> None:
        """Sleep as long as the server asks, or longer each time."""
        asked = response.headers.get("retry-after") if response is not None else None
        time.sleep(float(asked) if asked else 0.25 * 2**attempt)

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """Return the JSON of a response; one that is no JSON counts as a failure of the server."""
        for attempt in range(1, self.attempts):
            try:
                document: Json = json.load(self.open(method, path, body))
                return document
            except BROKEN:
                if body is not None:
                    raise Lost from None
                self.wait_before_retry(attempt, None)
        raise Refused(0, "NO_JSON")

    # ---- jobs

    def submit(self, callback_url: str | None = None) -> str:
        """Submit a movie and return the id of its job; a submission whose response is lost is looked for first."""
        title = f"trial {uuid.uuid4()}"
        movie = {"title": title, "scenes": [{"id": "only", "duration": 1}]}
        body: Json = {"kind": "movie", "projectId": "proj_trial", "movie": movie}
        if callback_url:
            body["callbackUrl"] = callback_url
        for attempt in range(1, self.attempts):
            try:
                return str(self.call("POST", "/v1/render/jobs", body)["jobId"])
            except Lost:
                if job := self.after_lost(title):
                    return job
            except Refused as refused:
                if refused.code != "CONCURRENCY_LIMIT_EXCEEDED":
                    self.after_refusal(refused)
                time.sleep(2 ** (attempt - 1))
        raise Refused(409, "NO_SLOT")

    def after_lost(self, title: str) -> str | None:
        """Return the id of the job that a lost submission has made."""
        for job in self.list():
            if (job.get("payload") or {}).get("movie", {}).get("title") == title:
                return str(job["jobId"])
        return None

    def after_refusal(self, refused: Refused) -> None:
        raise refused

    def list(self) -> Iterator[Json]:
        """Yield every job, page after page."""
        cursor = ""
        while True:
            page = self.call("GET", f"/v1/jobs?limit=50{cursor}")
            yield from page["jobs"]
            if not page["nextCursor"]:
                return
            cursor = f"&cursor={page['nextCursor']}"

    def read(self, job: str) -> Json:
        return self.call("GET", f"/v1/jobs/{job}")

    def cancel(self, job: str) -> None:
        self.call("POST", f"/v1/jobs/{job}/cancel")

    def poll(self, job: str) -> Json:
        """Look at a job until it has ended, and cancel it after the patience; an unknown status is no end."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            document = self.read(job)
            if document["status"] in TERMINAL:
                return document
            time.sleep(self.poll_seconds)
        self.cancel(job)
        return {"status": "cancelled"}

    def stream(self, job: str) -> Json:
        """Follow a job on its stream, and resume where it broke off."""
        last = ""
        for attempt in range(1, self.attempts):
            try:
                for seen, event in self.events(job, last):
                    last = seen
                    if event["status"] in TERMINAL:
                        return event
            except BROKEN:
                pass
            time.sleep(0.1 * 2**attempt)
        return self.poll(job)

    def events(self, job: str, last: str) -> Iterator[tuple[str, Json]]:
        """Yield the events of one stream with their ids, each when it is whole."""
        headers = {"last_event_id": last} if last else {}
        with self.open("GET", f"/v1/jobs/{job}/progress", timeout=self.silence, **headers) as response:
            data = ""
            for line in response:
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name == "id":
                    last = value
                elif name == "data":
                    data += value
                elif not name and data:
                    yield last, json.loads(data)
                    data = ""

    def webhook(self) -> Json:
        """Submit with a callbackUrl, and wait for the webhook of the end; look for oneself when none comes for long."""
        ended = threading.Event()
        receiver = Receiver(self, ended)
        job = self.submit(os.environ["VIRALSYNC_CALLBACK_URL"])
        document = receiver.ended if ended.wait(30) else self.poll(job)
        time.sleep(0.5)  # a duplicate may be under way
        receiver.shutdown()
        return document or {}

    def answer(self, body: bytes, signature: str) -> int:
        """Return the status for a webhook: only the API can sign its body."""
        secret = os.environ.get("VIRALSYNC_WEBHOOK_SECRET", "").encode()
        expected = hmac.new(secret, body, hashlib.sha256).hexdigest()
        return 200 if hmac.compare_digest(expected, signature) else 401

    def run(self, task: str) -> bool:
        """Do one task; return whether it went well."""
        if task == "list":
            return len(list(self.list())) > 0
        if task == "webhook":
            return self.webhook().get("status") == "done"
        job = self.submit()
        if task == "cancel":
            self.patience = 2.0
        document = self.stream(job) if task == "stream" else self.poll(job)
        return document["status"] == ("cancelled" if task == "cancel" else "done")


class Receiver(ThreadingHTTPServer):
    """Receives webhooks: answers at once, and in any order, however often one comes."""

    daemon_threads = True

    def __init__(self, client: Client, on_end: threading.Event) -> None:
        self.ended: Json | None = None

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805
                body = handler.rfile.read(int(handler.headers["content-length"]))
                status = client.answer(body, handler.headers.get("x-render-signature", ""))
                handler.send_response(status)
                handler.send_header("content-length", "0")
                handler.end_headers()
                document = json.loads(body)
                if status == 200 and document["status"] in TERMINAL:
                    self.ended = document
                    on_end.set()

            def log_message(handler, *_: object) -> None:  # noqa: N805
                pass

        super().__init__(("127.0.0.1", int(os.environ.get("VIRALSYNC_CALLBACK_PORT", "0"))), Handler)
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()


def main(client: Client) -> None:
    try:
        is_well = client.run(os.environ.get("VIRALSYNC_TASK", "render"))
    except Refused as refused:
        sys.exit(f"refused: {refused}")
    sys.exit(not is_well)


if __name__ == "__main__":
    main(Client())
