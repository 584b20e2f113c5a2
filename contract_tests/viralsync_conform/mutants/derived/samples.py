"""What the mock really sends: at least one answer of each operation in each status that can be brought about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from viralsync_conform.mutants.engine.server import serving
from viralsync_conform.mutants.engine.stream_layers import STREAM, Event
from viralsync_mock.client import Sandbox
from viralsync_mock.openapi.spec import Operation, Spec

MOVIE = {
    "kind": "movie",
    "projectId": "proj_survey",
    "movie": {"scenes": [{"id": "one", "duration": 1}, {"id": "two", "duration": 1}]},
}
KEY = "vs_prod_" + "5a" * 16
FAILING = {"x-mock-scenario": "scene-fails"}


@dataclass(frozen=True)
class Sample:
    """One response. `kind` of a stream's event: `progress` or the terminal status; else empty."""

    operation: str
    status: int
    headers: frozenset[str]
    document: Any
    kind: str = ""


class _Surveyor:
    """Calls operations by their ids, and keeps what comes back."""

    def __init__(self, spec: Spec, http: httpx2.Client, sandbox: Sandbox) -> None:
        self.spec, self.http, self.sandbox = spec, http, sandbox
        self.samples: list[Sample] = []

    def call(self, operation: str, job_id: str = "none", **options: Any) -> Any:
        """Call an operation, and return the document that it answers with."""
        known = self.spec.operations[operation]
        path = known.path.replace("{jobId}", job_id)
        if operation == "submitRenderJob" and "content" not in options:
            options.setdefault("json", MOVIE)
        with self.http.stream(options.pop("method", known.method), path, **options) as answer:
            text = answer.read().decode()
        names = frozenset(answer.headers)
        if answer.status_code == httpx2.codes.OK and operation == STREAM:
            for chunk in text.split("\n\n"):
                event = Event.read(f"{chunk}\n\n".encode())
                if event.document is not None:
                    kind = event.document["status"] if event.is_terminal else "progress"
                    self.samples.append(Sample(operation, answer.status_code, names, event.document, kind))
            return None
        document = json.loads(text)
        self.samples.append(Sample(operation, answer.status_code, names, document))
        return document

    def submit(self, **options: Any) -> str:
        return str(self.call("submitRenderJob", **options)["jobId"])

    def every(self, **options: Any) -> None:
        """Call every operation in the same way."""
        for operation in self.spec.operations:
            self.call(operation, **options)


def collect_samples(spec: Spec) -> tuple[Sample, ...]:
    """Bring about every answer that the mock can give without a fault."""
    with _surveyor(spec) as surveyor:
        _successes(surveyor)
        _refusals(surveyor)
        return tuple(surveyor.samples)


@contextmanager
def _surveyor(spec: Spec) -> Iterator[_Surveyor]:
    with (
        serving(None) as url,
        httpx2.Client(base_url=url, headers={"x-api-key": KEY}, trust_env=False, verify=False) as http,
        Sandbox(url, KEY) as sandbox,
    ):
        yield _Surveyor(spec, http, sandbox)


def _successes(surveyor: _Surveyor) -> None:
    """Jobs that are done, fail and are cancelled; lists of one page and of more; the account."""
    clock = surveyor.sandbox.open(clock="frozen", seed=1).clock
    done, failed, cancelled = surveyor.submit(), surveyor.submit(headers=FAILING), surveyor.submit()
    for seconds in (0, 1.2, 0.4, 2, 20):
        clock.advance(seconds)
        for job in (done, failed):
            for child in (job, f"scene_{job}_001"):
                surveyor.call("getJob", child)
        if seconds == 2:
            surveyor.call("deleteJob", cancelled)
            surveyor.call("cancelJob", cancelled)
    surveyor.call("cancelJob", done)
    for params in ({}, {"limit": 1}):
        surveyor.call("listJobs", params=params)
    for operation in ("getMe", "getUsage"):
        surveyor.call(operation)
    for job in (done, failed, cancelled):
        surveyor.call(STREAM, job)
        surveyor.call("deleteJob", job)
    clock.auto()
    surveyor.call(STREAM, surveyor.submit())


def _refusals(surveyor: _Surveyor) -> None:
    """Every refusal of every operation that has it."""
    sandbox, spec = surveyor.sandbox, surveyor.spec
    sandbox.open(clock="frozen")
    surveyor.call("submitRenderJob", json={})
    surveyor.call("listJobs", params={"limit": 0})
    for operation in ("getJob", "cancelJob", "deleteJob", STREAM):
        surveyor.call(operation)
    surveyor.every(content=b" " * (spec.body_limit + 1), headers={"content-type": "application/json"})
    for each in _by_path(spec):
        surveyor.call(each.id, method="PUT")
    surveyor.every(headers={"x-api-key": "none"})
    for limit in ("quota", "concurrency"):
        sandbox.open(clock="frozen").exhaust(limit)
        surveyor.call("submitRenderJob")
    sandbox.open(clock="frozen", plan="free")
    surveyor.every()
    sandbox.open(clock="frozen").exhaust("rate")
    surveyor.every()


def _by_path(spec: Spec) -> list[Operation]:
    """Return one operation of each path: 405 is the path's answer, whichever of its operations was meant."""
    first: dict[str, Operation] = {}
    for operation in spec.operations.values():
        first.setdefault(operation.path, operation)
    return list(first.values())
