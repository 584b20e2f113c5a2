"""Records of the control API, each with a `repr` for the output of a failed test. Instants are aware, UTC."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viralsync_mock.client.literals import DeliveryOutcome, ErrorCode, JobStatus, Operation, WebhookKind


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def format_timestamp(instant: datetime | None) -> str:
    """Return an instant as the API writes it."""
    return "-" if instant is None else f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03}Z"


def format_last(things: Sequence[object], most: int) -> str:
    """Return the last `most`, one a line, after the number of those left out; texts stay as they are."""
    before = f"\n  ... {len(things) - most} before" if len(things) > most else ""
    return before + "".join(f"\n  {each if isinstance(each, str) else repr(each)}" for each in things[-most:])


@dataclass(frozen=True)
class Effect:
    """One thing that happened while the clock was advanced: a `step`, `charge`, `event` or `delivery`."""

    at: datetime
    kind: str
    details: Mapping[str, Any]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Effect:
        """Read the control API's document."""
        rest = {name: value for name, value in document.items() if name not in ("at", "kind")}
        return cls(datetime.fromisoformat(document["at"]), document["kind"], rest)

    def __repr__(self) -> str:
        details = " ".join(f"{name}={value}" for name, value in self.details.items() if value is not None)
        return f"<{self.kind} at {format_timestamp(self.at)} {details}>"


@dataclass(frozen=True)
class Event:
    """Something that happened in a sandbox: its kind, such as `call` or `job`, and what the control API says of it."""

    id: str
    kind: str
    at: datetime
    data: Mapping[str, Any]

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Iterator[Event]:
        """Read a stream of events."""
        fields: dict[str, str] = {}
        for line in lines:
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                data = json.loads(fields["data"])
                yield cls(fields["id"], fields["event"], datetime.fromisoformat(data["at"]), data)
                fields = {}

    def __repr__(self) -> str:
        return f"<{self.kind} at {format_timestamp(self.at)}>"


@dataclass(frozen=True)
class Call:
    """One call of the journal with its answer.

    `summary`, `violations`, `request` and `response` are filled by `journal.explain(call)`.
    """

    id: str
    at: datetime
    method: str
    path: str
    query: str
    operation: Operation | None
    job_id: str | None
    status: int | None
    code: ErrorCode | None
    ending: str
    summary: str = ""
    violations: tuple[str, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Call:
        """Read the control API's document."""
        return cls(
            id=document["callId"],
            at=datetime.fromisoformat(document["at"]),
            method=document["method"],
            path=document["path"],
            query=document["query"] or "",
            operation=document["operation"],
            job_id=document["jobId"],
            status=document["status"],
            code=document["code"],
            ending=document["ending"],
            summary=document.get("summary", ""),
            violations=tuple(f"{each['place']}: {each['message']}" for each in document.get("violations", ())),
            request=document.get("request", {}),
            response=document.get("response"),
        )

    @property
    def body(self) -> Any:
        """The request's body: JSON values, or text where it is no JSON; None when there is none."""
        return _values(self.request)

    @property
    def answer(self) -> Any:
        """The response's body: JSON values, or text where it is no JSON; None when there is none."""
        return _values(self.response or {})

    @property
    def is_answered(self) -> bool:
        """Whether the response has begun or never will; a stream's begins when it is opened."""
        return self.status is not None or self.ending != "pending"

    def __repr__(self) -> str:
        target = f"{self.path}?{self.query}" if self.query else self.path
        result = " ".join(str(part) for part in (self.status or self.ending, self.code) if part)
        return f"<{self.id} {format_timestamp(self.at)} {self.method} {target} -> {result}>"


def _values(message: Mapping[str, Any]) -> Any:
    text = message.get("body") or ""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


@dataclass(frozen=True)
class Delivery:
    """One webhook with its attempts; `outcome` is `pending`, `delivered`, `failed`, `refused` or `dropped`."""

    id: str
    job_id: str
    kind: WebhookKind
    outcome: DeliveryOutcome
    url: str
    at: datetime
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    attempts: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Delivery:
        """Read the control API's document."""
        return cls(
            id=document["deliveryId"],
            job_id=document["jobId"],
            kind=document["kind"],
            outcome=document["outcome"],
            url=document["url"],
            at=datetime.fromisoformat(document["madeAt"]),
            body=document["request"]["body"],
            headers=dict(document["request"]["headers"]),
            attempts=tuple(document["attempts"]),
        )

    def __repr__(self) -> str:
        seen = ", ".join(_seen(attempt) for attempt in self.attempts) or "no attempt"
        return f"<{self.id} {self.kind} of {self.job_id} to {self.url}: {self.outcome} ({seen})>"


def _seen(attempt: Mapping[str, Any]) -> str:
    response = attempt.get("response")
    return str(response["status"]) if response else str(attempt.get("problem"))


@dataclass(frozen=True)
class Step:
    """The state of a job from `at` until its next step."""

    at: datetime
    status: JobStatus
    phase: str | None
    progress: float

    def __repr__(self) -> str:
        return (
            f"<{format_timestamp(self.at)} {self.status}{f'/{self.phase}' if self.phase else ''} {self.progress:.0%}>"
        )


@dataclass(frozen=True)
class Timeline:
    """All steps of a job, past and future; `status` and `progress` are the present ones."""

    job_id: str
    status: JobStatus
    phase: str | None
    progress: float
    outcome: str
    starts_at: datetime | None
    ends_at: datetime | None
    error: str | None
    steps: tuple[Step, ...]
    children: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Timeline:
        """Read the control API's document."""
        steps = (
            Step(datetime.fromisoformat(each["at"]), each["status"], each["phase"], each["progress"])
            for each in document["steps"]
        )
        return cls(
            job_id=document["jobId"],
            status=document["status"],
            phase=document["phase"],
            progress=document["progress"],
            outcome=document["outcome"],
            starts_at=_instant(document["startsAt"]),
            ends_at=_instant(document["endsAt"]),
            error=document["error"],
            steps=tuple(steps),
            children=tuple(document["children"]),
        )

    def __repr__(self) -> str:
        end = "never ends" if self.ends_at is None else f"ends {self.outcome} at {format_timestamp(self.ends_at)}"
        error = f" with {self.error}" if self.error else ""
        return f"<{self.job_id} is {self._state}, {end}{error}: {', '.join(self._life())}>"

    @property
    def _state(self) -> str:
        return f"{self.status}{f'/{self.phase}' if self.phase else ''} {self.progress:.0%}"

    def _life(self) -> Iterator[str]:
        """Yield each change of status or phase, with the seconds since the first."""
        last = None
        for step in self.steps:
            if (step.status, step.phase) != last:
                last = step.status, step.phase
                seconds = (step.at - self.steps[0].at).total_seconds()
                yield f"{step.status}{f'/{step.phase}' if step.phase else ''} +{seconds:g} s"
