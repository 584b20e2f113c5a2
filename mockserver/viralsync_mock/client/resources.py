"""The parts of a sandbox as the client shows them: its clock, faults, jobs and journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from viralsync_mock.client.records import Call, Effect, Timeline, format_last, format_timestamp
from viralsync_mock.errors import UsageError

if TYPE_CHECKING:
    from viralsync_mock.client.connection import ControlConnection

MAX_LISTED = 1000
"""The control API tells at most so many calls or deliveries at a time."""

MAX_SHOWN = 10
"""The `repr` of a journal or of the jobs shows so many of them, the newest."""

COUNTS = ("times", "probability", "for")
"""What an armed fault may have beside `fault` and `match`."""


class ClockControl:
    """The sandbox's clock. Time moves forward only, at most 31 days with one call."""

    def __init__(self, door: ControlConnection) -> None:
        self._door = door

    @property
    def now(self) -> datetime:
        """The instant, aware, UTC."""
        return datetime.fromisoformat(self._door.request("GET", "/clock")["now"])

    @property
    def mode(self) -> str:
        """`real`, `scaled`, `frozen` or `auto`."""
        return str(self._door.request("GET", "/clock")["mode"])

    @property
    def rate(self) -> float:
        """How many times as fast as outside the clock goes; 0 where it stands until it is moved."""
        return float(self._door.request("GET", "/clock")["rate"])

    def advance(self, time: float | timedelta) -> list[Effect]:
        """Go on by so many seconds; return what happened, in order, once streams and webhooks have told of it."""
        seconds = time.total_seconds() if isinstance(time, timedelta) else time
        return self._advance({"seconds": seconds})

    def advance_to_next(self) -> list[Effect]:
        """Go to whatever happens next: a step of a job, an event, an attempt of a webhook."""
        return self._advance({"to": "next"})

    def run_until(self, job_id: str, status: str = "done") -> list[Effect]:
        """Go to where a job has a status."""
        return self._advance({"until": {"jobId": job_id, "status": status}})

    def set(self, instant: datetime) -> None:
        """Go forward to an instant."""
        self._door.request("PATCH", "/clock", {"now": format_timestamp(instant)})

    def freeze(self) -> None:
        """Let time stand still until it is told to move."""
        self._door.request("PATCH", "/clock", {"mode": "frozen"})

    def auto(self) -> None:
        """Let time jump to whatever is waited for."""
        self._door.request("PATCH", "/clock", {"mode": "auto"})

    def real(self, rate: float = 1) -> None:
        """Let time pass as it does outside, or so many times as fast."""
        change = {"mode": "real"} if rate == 1 else {"mode": "scaled", "rate": rate}
        self._door.request("PATCH", "/clock", change)

    def _advance(self, how_far: Mapping[str, Any]) -> list[Effect]:
        return list(map(Effect.of, self._door.request("POST", "/clock/advance", how_far)["effects"]))

    def __repr__(self) -> str:
        clock = self._door.request("GET", "/clock")
        return f"<clock {clock['now']} {clock['mode']}>"


class FaultControl:
    """The armed faults."""

    def __init__(self, door: ControlConnection) -> None:
        self._door = door

    def arm(
        self,
        fault: Mapping[str, Any] | str | None = None,
        /,
        *,
        match: Mapping[str, Any] | str | None = None,
        times: int | None = None,
        probability: float | None = None,
        lasts: float | str | None = None,
        **kinds: Any,
    ) -> None:
        """Arm a fault beside those that are armed: `arm("reset_peer", match="getJob", times=1)`, `arm(status=503)`.

        `match` is an operation or a whole match of the scenario language, `lasts` the time until it heals. What is
        armed already strikes as often as it has left; all other counts and times begin anew.
        """
        document: dict[str, Any] = {"fault": {**({fault: True} if isinstance(fault, str) else fault or {}), **kinds}}
        if match is not None:
            document["match"] = {"operation": match} if isinstance(match, str) else dict(match)
        given = zip(COUNTS, (times, probability, lasts), strict=True)
        document.update({name: value for name, value in given if value is not None})
        armed = [_left(each) for each in self._armed() if each["isRunning"]]
        self._door.request("PUT", "/faults", {"faults": [*armed, document]})

    def clear(self) -> None:
        """Disarm all."""
        self._door.request("DELETE", "/faults")

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._armed())

    def __len__(self) -> int:
        return len(self._armed())

    def _armed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._door.request("GET", "/faults")["faults"]
        return found

    def __repr__(self) -> str:
        armed = [f"{_left(each)}, matched {each['matched']}" for each in self._armed()]
        return f"<{len(armed)} faults armed{format_last(armed, MAX_SHOWN)}>"


def _left(armed: Mapping[str, Any]) -> dict[str, Any]:
    """Return an armed fault as it is written, `times` being how often it may strike yet."""
    document = {name: armed[name] for name in ("fault", "match", *COUNTS) if name in armed}
    if "times" in document:
        return {**document, "times": document["times"] - armed["matched"]}
    match = document.get("match", {})
    if "times" in match:
        return {**document, "match": {**match, "times": match["times"] - armed["matched"]}}
    return document


class JobControl:
    """One job, as a test sees and orders it."""

    def __init__(self, door: ControlConnection, job_id: str) -> None:
        self._door, self.id = door, job_id

    @property
    def timeline(self) -> Timeline:
        """Its whole life, past and to come."""
        return Timeline.of(self._door.request("GET", f"/jobs/{self.id}"))

    @property
    def status(self) -> str:
        """Where it stands."""
        return self.timeline.status

    def fail(self, error: str | None = None) -> Timeline:
        """Let it fail now; `error` is `CODE: detail`."""
        return self._change({"status": "failed"} if error is None else {"status": "failed", "error": error})

    def finish(self) -> Timeline:
        """Let it be done now."""
        return self._change({"status": "done"})

    def set_progress(self, progress: float) -> Timeline:
        """Let it have made at least so much progress, 0.0 to 1.0, which never shrinks."""
        return self._change({"progress": progress})

    def _change(self, patch: Mapping[str, Any]) -> Timeline:
        return Timeline.of(self._door.request("PATCH", f"/jobs/{self.id}", patch))

    def __repr__(self) -> str:
        return repr(self.timeline)


class JobList:
    """The jobs of the sandbox: `jobs[job_id]`, and the newest 100 of them in turn, oldest first."""

    def __init__(self, door: ControlConnection) -> None:
        self._door = door

    def __getitem__(self, job_id: str) -> JobControl:
        return JobControl(self._door, job_id)

    def __iter__(self) -> Iterator[JobControl]:
        newest = self._door.request("GET", "/jobs")["jobs"]
        return (JobControl(self._door, each["jobId"]) for each in reversed(newest))

    @property
    def newest(self) -> JobControl:
        """The job that was submitted last; raises UsageError when there is none."""
        newest = self._door.request("GET", "/jobs")["jobs"]
        if not newest:
            raise UsageError("this sandbox has no job: submit one first")
        return self[newest[0]["jobId"]]

    def __len__(self) -> int:
        return int(self._door.request("GET", "/jobs")["total"])

    def __repr__(self) -> str:
        found = self._door.request("GET", "/jobs")
        newest = [f"<{each['jobId']} {each['status']} {each['progress']:.0%}>" for each in found["jobs"]]
        return f"<{found['total']} jobs{format_last(newest[::-1], MAX_SHOWN)}>"


class JournalView:
    """The calls of the sandbox."""

    def __init__(self, door: ControlConnection) -> None:
        self._door = door

    def calls(
        self,
        operation: str | None = None,
        *,
        status: int | None = None,
        code: str | None = None,
        job_id: str | None = None,
        limit: int = MAX_LISTED,
    ) -> list[Call]:
        """Return the last calls that are sought, oldest first."""
        found = self._door.request(
            "GET", "/journal", operation=operation, status=status, code=code, jobId=job_id, limit=limit
        )
        return [Call.of(each) for each in reversed(found["calls"])]

    def explain(self, call: Call | str) -> Call:
        """Return a call with its headers and bodies, and the sentence that says why it was answered so."""
        return Call.of(self.explanation(call))

    def explanation(self, call: Call | str) -> dict[str, Any]:
        """Return all that the mock knows of a call, as JSON values; a call is named by its `x-mock-call-id`."""
        found: dict[str, Any] = self._door.request("GET", f"/journal/{call if isinstance(call, str) else call.id}")
        return found

    def har(self) -> dict[str, Any]:
        """Return all calls as a HAR 1.2 document."""
        found: dict[str, Any] = self._door.request("GET", "/journal.har")
        return found

    def clear(self) -> None:
        """Forget all calls."""
        self._door.request("DELETE", "/journal")

    def __len__(self) -> int:
        return int(self._door.request("GET", "/journal", limit=1)["total"])

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls())

    def __repr__(self) -> str:
        calls = self.calls()
        return f"<{len(calls)} calls{format_last(calls, MAX_SHOWN)}>"
