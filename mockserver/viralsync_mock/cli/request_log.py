"""The request log: one line for each call and each webhook that ends, as text or JSON. It never holds an API key.

Lines begin with the real time; the time of the sandbox's clock follows as `clock=`.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from contextlib import suppress
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import orjson

from viralsync_mock.clock import RealTime
from viralsync_mock.jobs.models import timestamp
from viralsync_mock.journal.entry import REQUEST_ID_HEADER, well_formed_request_id
from viralsync_mock.redaction import masked
from viralsync_mock.sandbox import user_id
from viralsync_mock.webhooks.delivery import DeliveryOutcome
from viralsync_mock.webhooks.payload import trace_headers, trace_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import TextIO

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.response import Response
    from viralsync_mock.webhooks.delivery import Delivery

FLUSH_SECONDS = 0.05
"""Real seconds after which collected lines are written, at the latest."""

_SAFE = "!$&'()*+,;=:@~/"
_CODED = str.maketrans({code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))})
_COLOURS = MappingProxyType({2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"})
_FAINT, _RESET = "\x1b[2m", "\x1b[0m"
_FIRST_ERROR = 400
_TAG_LENGTH, _MAX_TAGS = 6, 10_000
_MAX_REQUESTS, _LONG = 1_000, 500


class LoggedCall(NamedTuple):
    """What is kept of a call until its line is written: small values only, so that no body stays in memory for it."""

    time: datetime
    clock: datetime
    method: str
    path: str
    query: bytes
    operation: str
    status: int
    code: str | None
    key: str
    scenario: str | None
    is_default_scenario: bool
    number: int
    request_id: str | None
    trace_id: str | None


def wire_path(path: str) -> str:
    """Return a decoded path as it came: without blanks, control characters or anything else that forges a line."""
    return quote(path, _SAFE, errors="replace")


def shown_request(method: str, path: str, query: bytes, key: str) -> tuple[str, str, str | None]:
    """Return method, path and query of a call as the log shows them."""
    shown_query = masked(quote(query, safe=f"{_SAFE}%?"), key) if query else None
    return masked(method, key), masked(wire_path(path), key), shown_query


def tag(key: str) -> str:
    """Return the beginning of the `userId` of the key's account: enough to tell sandboxes apart."""
    return user_id(key).removeprefix("user_")[:_TAG_LENGTH]


def is_for_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Say whether a stream is a terminal whose user has not asked for plain text (https://no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def error_code(response: Response) -> str | None:
    """Return the `code` of an error's body, where it has one."""
    try:
        document = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return None
    code = document.get("code") if isinstance(document, dict) else None
    return masked(quote(code, errors="replace")) if isinstance(code, str) else None


class RequestLog:
    """Writes what happens to a stream; calls are collected and written together, everything else at once."""

    def __init__(
        self,
        stream: TextIO,
        *,
        as_json: bool = False,
        in_colour: bool = False,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._stream, self._now = stream, now or RealTime().wall
        self._as_json, self._in_colour = as_json, in_colour
        self._calls: list[LoggedCall] = []
        self._tag = lru_cache(_MAX_TAGS)(tag)
        self._request = lru_cache(_MAX_REQUESTS)(shown_request)  # most clients poll
        self._timer: asyncio.TimerHandle | None = None

    def on_call(self, entry: JournalEntry, response: Response) -> None:
        """Log a call."""
        scenario, status = entry.scenario, response.status
        request_id, trace = _ids(entry) if self._as_json else (None, None)
        self._calls.append(
            LoggedCall(
                self._now(),
                entry.answered_at or entry.at,
                entry.method,
                entry.unmasked_path,
                entry.unmasked_query,
                entry.operation,
                status,
                error_code(response) if status >= _FIRST_ERROR else None,
                entry.key,
                scenario.name if scenario else None,
                scenario is None or entry.chosen_by == "server",
                entry.number,
                request_id,
                trace,
            )
        )
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def on_delivery(self, key: str, delivery: Delivery) -> None:
        """Log a webhook that will not be tried again; one of progress only when it did not arrive."""
        if delivery.kind == "progress" and delivery.outcome in (DeliveryOutcome.DELIVERED, DeliveryOutcome.DROPPED):
            return
        last = delivery.attempts[-1] if delivery.attempts else None
        reason = last.reason if last and delivery.outcome is not DeliveryOutcome.DELIVERED else None
        clock = timestamp(last.ended_at if last else delivery.due)
        document: dict[str, object] = {
            "time": timestamp(self._now()),
            "clock": clock,
            "webhook": delivery.kind,
            "jobId": delivery.job_id,
            "url": masked(quote(delivery.hook.url, safe=f"{_SAFE}%?#[]", errors="replace"), key),
            "outcome": delivery.outcome,
            "status": last.status if last else None,
            "reason": reason and masked(reason, key),
            "attempts": len(delivery.attempts),
            "sandbox": self._tag(key),
        }
        if self._as_json:
            self._say(_as_json({**document, "traceId": trace_id(delivery.headers)}))
            return
        status = f" {document['status']}" if document["status"] else ""
        because = f": {_fit(str(document['reason']))}" if reason else ""
        self._say(
            f"{document['time']} WEBHOOK {delivery.kind} of {delivery.job_id} to {document['url']} {delivery.outcome}"
            f"{status}{because} attempts={document['attempts']} sandbox={self._tag(key)} clock={clock}\n"
        )

    def on_bug(self, where: str, error: BaseException) -> None:
        """Log an unexpected error with its traceback."""
        place, trace = (_fit(text) for text in (where, "".join(traceback.format_exception(error))))
        report = f"this is a bug in the mock, please report it: {place}"
        self._say(_as_json({"bug": report, "traceback": trace}) if self._as_json else f"{report}\n{trace}")

    def message(self, text: str) -> None:
        """Log anything else."""
        self._say(_as_json({"note": _fit(text)}) if self._as_json else f"viralsync-mock: {_fit(text)}\n")

    def flush(self) -> None:
        """Write the collected calls."""
        calls, self._calls, self._timer = self._calls, [], None
        self._write("".join(map(self._line, calls)))

    def _say(self, line: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        calls, self._calls, self._timer = self._calls, [], None
        self._write("".join((*map(self._line, calls), line)))

    def _write(self, text: str) -> None:
        with suppress(OSError):  # a closed standard error is no reason to stop serving
            self._stream.write(text)
            self._stream.flush()

    def _line(self, call: LoggedCall) -> str:
        key = call.key
        show = self._request if len(call.path) + len(call.query) < _LONG else shown_request
        method, path, query = show(call.method, call.path, call.query, key)
        if self._as_json:
            return self._record(call, method, path, query)
        result = f"{call.status} {call.code}" if call.code else str(call.status)
        rest = "" if call.is_default_scenario else f" scenario={call.scenario}"
        if key:
            rest += f" sandbox={self._tag(key)} clock={timestamp(call.clock)}"
        time, target = timestamp(call.time), f"{path}?{query}" if query else path
        if not self._in_colour:
            return f"{time} {method:<6} {target} {result}{rest}\n"
        colour = _COLOURS.get(call.status // 100, "")
        return f"{_FAINT}{time}{_RESET} {method:<6} {target} {colour}{result}{_RESET}{_FAINT}{rest}{_RESET}\n"

    def _record(self, call: LoggedCall, method: str, path: str, query: str | None) -> str:
        call_id = f"call_{self._tag(call.key) if call.key else 'outside'}_{call.number}"
        return _as_json(
            {
                "time": timestamp(call.time),
                "clock": timestamp(call.clock) if call.key else None,
                "method": method,
                "path": path,
                "query": query,
                "operation": call.operation or None,
                "status": call.status,
                "code": call.code,
                "sandbox": self._tag(call.key) if call.key else None,
                "scenario": call.scenario,
                "callId": call_id,
                "requestId": masked(call.request_id, call.key) if call.request_id else call_id,
                "traceId": call.trace_id,
            }
        )


def _ids(entry: JournalEntry) -> tuple[str | None, str | None]:
    """Return the request's id and the id of its trace, if it came with them."""
    context = trace_headers({b"traceparent": entry.sent(b"traceparent") or b""})
    return well_formed_request_id(entry.sent(REQUEST_ID_HEADER)), trace_id(context)


class LibraryRecords(logging.Handler):
    """Log records of uvicorn and asyncio as lines of the request log, except for calls that a stop cuts off."""

    def __init__(self, log: RequestLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, asyncio.CancelledError):
            return
        if error is None:
            self._log.message(record.getMessage())
        else:
            self._log.on_bug(record.getMessage().strip(), error)


def _as_json(document: dict[str, object]) -> str:
    return orjson.dumps(document).decode() + "\n"


def _fit(text: str) -> str:
    """Take keys and control characters out of a text that may go over several lines."""
    return masked(text).translate(_CODED).encode(errors="replace").decode()
