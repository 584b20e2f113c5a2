"""The parts of a sandbox: its clock, faults, jobs and journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from viralsync_mock.client.records import Call, Effect, Timeline, format_last, format_timestamp
from viralsync_mock.errors import UsageError

if TYPE_CHECKING:
    from typing import Unpack

    from viralsync_mock.client.connection import ControlConnection
    from viralsync_mock.client.literals import Clock, ErrorCode, FaultName, Faults, JobStatus, Operation

PAGE_SIZE = 1000
"""Most calls or deliveries that the control API returns at a time."""

MAX_SHOWN = 10
"""Newest entries that the `repr` of a journal or of the jobs shows."""

FAULT_OPTIONS = ("times", "probability", "for")


class ClockControl:
    """The sandbox's clock. It only moves forward, at most 31 days with one call."""

    def __init__(self, connection: ControlConnection) -> None:
        self._connection = connection

    @property
    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        return datetime.fromisoformat(self._connection.request("GET", "/clock")["now"])

    @property
    def mode(self) -> Clock:
        """`real`, `scaled`, `frozen`, `auto` or `jump`."""
        mode: Clock = self._connection.request("GET", "/clock")["mode"]
        return mode

    @property
    def rate(self) -> float:
        """Virtual seconds per real second; 0 for a clock that stands until it is moved."""
        return float(self._connection.request("GET", "/clock")["rate"])

    def advance(self, time: float | timedelta) -> list[Effect]:
        """Move the clock by seconds; return what happened, in order, once its events and webhooks have been sent."""
        seconds = time.total_seconds() if isinstance(time, timedelta) else time
        return self._advance({"seconds": seconds})

    def advance_to_next(self) -> list[Effect]:
        """Move to whatever is due next: a step of a job, an event, an attempt of a webhook."""
        return self._advance({"to": "next"})

    def run_until(self, job_id: str, status: JobStatus = "done") -> list[Effect]:
        """Move to the instant at which a job reaches a status."""
        return self._advance({"until": {"jobId": job_id, "status": status}})

    def set(self, instant: datetime) -> None:
        """Move forward to an instant; one without a time zone is UTC."""
        in_utc = instant.astimezone(UTC) if instant.tzinfo else instant
        self._connection.request("PATCH", "/clock", {"now": format_timestamp(in_utc)})

    def freeze(self) -> None:
        """Stop the clock until it is moved."""
        self._connection.request("PATCH", "/clock", {"mode": "frozen"})

    def auto(self) -> None:
        """Let the clock jump to whatever a client waits for."""
        self._connection.request("PATCH", "/clock", {"mode": "auto"})

    def jump(self) -> None:
        """Let the clock jump to the next wake-up whenever everybody waits."""
        self._connection.request("PATCH", "/clock", {"mode": "jump"})

    def real(self, rate: float = 1) -> None:
        """Run the clock in real time, or `rate` times as fast."""
        change = {"mode": "real"} if rate == 1 else {"mode": "scaled", "rate": rate}
        self._connection.request("PATCH", "/clock", change)

    def _advance(self, how_far: Mapping[str, Any]) -> list[Effect]:
        return list(map(Effect.of, self._connection.request("POST", "/clock/advance", how_far)["effects"]))

    def __repr__(self) -> str:
        clock = self._connection.request("GET", "/clock")
        return f"<clock {clock['now']} {clock['mode']}>"


class FaultControl:
    """The armed faults."""

    def __init__(self, connection: ControlConnection) -> None:
        self._connection = connection

    def arm(
        self,
        fault: Mapping[FaultName, Any] | FaultName | None = None,
        /,
        *,
        match: Operation | Mapping[str, Any] | None = None,
        times: int | None = None,
        probability: float | None = None,
        lasts: float | str | None = None,
        **kinds: Unpack[Faults],
    ) -> None:
        """Arm one more fault: `arm("reset_peer", match="getJob", times=1)`, `arm(status=503)`.

        `match` is an operation or a whole match of the scenario language, `lasts` the time until the fault ends.
        Faults armed before go on counting.
        """
        document: dict[str, Any] = {"fault": {**({fault: True} if isinstance(fault, str) else fault or {}), **kinds}}
        if match is not None:
            document["match"] = {"operation": match} if isinstance(match, str) else dict(match)
        given = zip(FAULT_OPTIONS, (times, probability, lasts), strict=True)
        document.update({name: value for name, value in given if value is not None})
        self._connection.request("POST", "/faults", document)

    def clear(self) -> None:
        """Disarm all faults."""
        self._connection.request("DELETE", "/faults")

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._armed())

    def __len__(self) -> int:
        return len(self._armed())

    def _armed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._connection.request("GET", "/faults")["faults"]
        return found

    def __repr__(self) -> str:
        armed = [f"{_left(each)}, matched {each['matched']}" for each in self._armed()]
        return f"<{len(armed)} faults armed{format_last(armed, MAX_SHOWN)}>"


def _left(armed: Mapping[str, Any]) -> dict[str, Any]:
    """Return an armed fault as it is written, `times` reduced by its matches so far."""
    document = {name: armed[name] for name in ("fault", "job", "match", *FAULT_OPTIONS) if name in armed}
    if "times" in document:
        return {**document, "times": document["times"] - armed["matched"]}
    match = document.get("match", {})
    if "times" in match:
        return {**document, "match": {**match, "times": match["times"] - armed["matched"]}}
    return document


class JobControl:
    """One job: its timeline, and orders to change it."""

    def __init__(self, connection: ControlConnection, job_id: str) -> None:
        self._connection, self.id = connection, job_id

    @property
    def timeline(self) -> Timeline:
        """All its steps, past and future."""
        return Timeline.of(self._connection.request("GET", f"/jobs/{self.id}"))

    @property
    def status(self) -> JobStatus:
        """Its present status."""
        return self.timeline.status

    def fail(self, error: str | None = None) -> Timeline:
        """Make it fail now; `error` is `CODE: detail`."""
        return self._change({"status": "failed"} if error is None else {"status": "failed", "error": error})

    def finish(self) -> Timeline:
        """Finish it now."""
        return self._change({"status": "done"})

    def hold(self, seconds: float | None = None) -> Timeline:
        """Let it stand still for so long, or for ever; what would have come later comes later by as much."""
        return self._change({"hold": True if seconds is None else seconds})

    def set_progress(self, progress: float) -> Timeline:
        """Raise its progress to at least this, 0.0 to 1.0."""
        return self._change({"progress": progress})

    def _change(self, patch: Mapping[str, Any]) -> Timeline:
        return Timeline.of(self._connection.request("PATCH", f"/jobs/{self.id}", patch))

    def __repr__(self) -> str:
        return repr(self.timeline)


class JobList:
    """The jobs of the sandbox: `jobs[job_id]`; iterates over the newest 100, oldest first."""

    def __init__(self, connection: ControlConnection) -> None:
        self._connection = connection

    def __getitem__(self, job_id: str) -> JobControl:
        return JobControl(self._connection, job_id)

    def __iter__(self) -> Iterator[JobControl]:
        newest = self._connection.request("GET", "/jobs")["jobs"]
        return (JobControl(self._connection, each["jobId"]) for each in reversed(newest))

    @property
    def newest(self) -> JobControl:
        """The last job submitted; raises UsageError when there is none."""
        newest = self._connection.request("GET", "/jobs")["jobs"]
        if not newest:
            raise UsageError("this sandbox has no job: submit one first")
        return self[newest[0]["jobId"]]

    def __len__(self) -> int:
        return int(self._connection.request("GET", "/jobs")["total"])

    def __repr__(self) -> str:
        found = self._connection.request("GET", "/jobs")
        newest = [f"<{each['jobId']} {each['status']} {each['progress']:.0%}>" for each in found["jobs"]]
        return f"<{found['total']} jobs{format_last(newest[::-1], MAX_SHOWN)}>"


class JournalView:
    """The journal of the sandbox's calls."""

    def __init__(self, connection: ControlConnection) -> None:
        self._connection = connection

    def calls(
        self,
        operation: Operation | None = None,
        *,
        status: int | None = None,
        code: ErrorCode | None = None,
        job_id: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> list[Call]:
        """Return the last matching calls, oldest first."""
        found = self._connection.request(
            "GET", "/journal", operation=operation, status=status, code=code, jobId=job_id, limit=limit
        )
        return [Call.of(each) for each in reversed(found["calls"])]

    def explain(self, call: Call | str) -> Call:
        """Return a call with its headers and bodies, and a sentence that gives the reason for its response."""
        return Call.of(self.explanation(call))

    def explanation(self, call: Call | str) -> dict[str, Any]:
        """Return everything the mock knows of a call, as JSON values; a text is the call's `x-mock-call-id`."""
        name = call if isinstance(call, str) else call.id
        found: dict[str, Any] = self._connection.request("GET", f"/journal/{name}")
        return found

    def har(self) -> dict[str, Any]:
        """Return all calls as a HAR 1.2 document."""
        found: dict[str, Any] = self._connection.request("GET", "/journal.har")
        return found

    def clear(self) -> None:
        """Drop all calls."""
        self._connection.request("DELETE", "/journal")

    def __len__(self) -> int:
        return int(self._connection.request("GET", "/journal", limit=1)["total"])

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls())

    def __repr__(self) -> str:
        calls = self.calls()
        return f"<{len(calls)} calls{format_last(calls, MAX_SHOWN)}>"
