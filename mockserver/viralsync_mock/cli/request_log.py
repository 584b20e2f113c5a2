"""The request log: one line for each call on standard error, for people or as JSON. It never holds an API key."""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from contextlib import suppress
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

import orjson

from viralsync_mock.redaction import masked
from viralsync_mock.sandbox import user_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from typing import TextIO

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.response import Response

FLUSH_SECONDS = 0.05
"""Lines are written together, at the latest so long after the first of them."""

_SAFE = "!$&'()*+,;=:@~/"
_PLAIN_PATH = re.compile(r"[\w!$&'()*+,;=:@~./-]*", re.ASCII)
_PLAIN_PATHS = re.compile(r"[\w!$&'()*+,;=:@~./\n-]*", re.ASCII)
_PLAIN = re.compile(r"[!-~]*")
_CODED = str.maketrans({code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))})
_COLOURS = MappingProxyType({2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"})
_METHODS = MappingProxyType({name: f"{name:<6}" for name in ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE")})
_FAINT, _PLAINLY = "\x1b[2m", "\x1b[0m"
_FIRST_ERROR = 400
_WITH_FRACTION = len("2026-01-01T00:00:00+00:00") + 1
_TAG_LENGTH, _MAX_TAGS = 6, 10_000


Told = tuple["datetime", str, str, bytes, str, int, str | None, str, str | None, bool]
"""What is kept of a call until its line is written: small things only, so that no body lives longer for it.

Instant, method, path, query, operation, status, code of an error, key of the sandbox, scenario, and whether that
is the server's.
"""


def wire_path(path: str) -> str:
    """Return a decoded path as it came: without blanks, control characters or anything else that forges a line."""
    return path if _PLAIN_PATH.fullmatch(path) else quote(path, _SAFE, errors="replace")


def wire_query(query: bytes) -> str:
    """Return a query as it came, its oddities percent-encoded."""
    text = query.decode("latin-1")
    return text if _PLAIN.fullmatch(text) else quote(query, safe=f"{_SAFE}%?")


def tag(key: str) -> str:
    """Return the beginning of the id in the `userId` of the key's account: enough to tell sandboxes apart."""
    return user_id(key).removeprefix("user_")[:_TAG_LENGTH]


def is_for_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Say whether a stream is a terminal whose user has not asked for plain text (https://no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def error_code(answer: Response) -> str | None:
    """Return the `code` of an error's body, where it has one."""
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    code = document.get("code") if isinstance(document, dict) else None
    return masked(quote(code, errors="replace")) if isinstance(code, str) else None


class RequestLog:
    """Writes what happens to a stream; calls are collected and written together, all else at once."""

    def __init__(self, stream: TextIO, *, as_json: bool = False, in_colour: bool = False) -> None:
        self._stream = stream
        self._as_json, self._in_colour = as_json, in_colour
        self._told: list[Told] = []
        self._tag = lru_cache(_MAX_TAGS)(tag)
        self._timer: asyncio.TimerHandle | None = None

    def on_call(self, entry: JournalEntry, answer: Response) -> None:
        """Tell of a call and its answer."""
        scenario, status = entry.scenario, answer.status
        self._told.append(
            (
                entry.answered_at or entry.at,
                entry.method,
                entry.unmasked_path,
                entry.unmasked_query,
                entry.operation,
                status,
                error_code(answer) if status >= _FIRST_ERROR else None,
                entry.key,
                scenario.name if scenario else None,
                scenario is None or entry.chosen_by == "server",
            )
        )
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def on_bug(self, where: str, error: BaseException) -> None:
        """Tell of an error that nobody foresaw, with its traceback."""
        place, trace = (_fit(text) for text in (where, "".join(traceback.format_exception(error))))
        report = f"this is a bug in the mock, please report it: {place}"
        self._say(_as_json({"bug": report, "traceback": trace}) if self._as_json else f"{report}\n{trace}")

    def message(self, text: str) -> None:
        """Tell of something that is not a call."""
        self._say(_as_json({"note": _fit(text)}) if self._as_json else f"viralsync-mock: {_fit(text)}\n")

    def flush(self) -> None:
        """Write what has been collected."""
        told, self._told, self._timer = self._told, [], None
        self._write("".join(self._lines(told)))

    def _say(self, line: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        told, self._told, self._timer = self._told, [], None
        self._write("".join((*self._lines(told), line)))

    def _write(self, text: str) -> None:
        with suppress(OSError):  # nobody reads any more: that is no reason to stop serving
            self._stream.write(text)
            self._stream.flush()

    def _lines(self, told: list[Told]) -> Iterator[str]:
        line = self._as_record if self._as_json else self._as_text
        return map(line, told, _timestamps([each[0] for each in told]), _paths([each[2] for each in told]))

    def _as_record(self, told: Told, at: str, path: str) -> str:
        _, method, _, query, operation, status, code, key, scenario, _ = told
        return _as_json(
            {
                "at": at,
                "method": masked(method, key),
                "path": masked(path, key),
                "query": masked(wire_query(query), key) if query else None,
                "operation": operation or None,
                "status": status,
                "code": code,
                "sandbox": self._tag(key) if key else None,
                "scenario": scenario,
            }
        )

    def _as_text(self, told: Told, at: str, path: str) -> str:
        _, method, _, query, _, status, code, key, scenario, is_home = told
        method = _METHODS.get(method) or f"{masked(method, key):<6}"
        target = masked(path, key) if key in path or "%" in path else path
        if query:
            target = f"{target}?{masked(wire_query(query), key)}"
        result = f"{status} {code}" if code else status
        rest = "" if is_home else f" scenario={scenario}"
        if key:
            rest = f"{rest} sandbox={self._tag(key)}"
        if not self._in_colour:
            return f"{at} {method} {target} {result}{rest}\n"
        colour = _COLOURS.get(status // 100, "")
        return f"{_FAINT}{at}{_PLAINLY} {method} {target} {colour}{result}{_PLAINLY}{_FAINT}{rest}{_PLAINLY}\n"


class LibraryRecords(logging.Handler):
    """What uvicorn and asyncio log, as lines of the request log; a call that a stop cuts off is no news."""

    def __init__(self, log: RequestLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one record."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, asyncio.CancelledError):
            return
        if error is None:
            self._log.message(record.getMessage())
        else:
            self._log.on_bug(record.getMessage().strip(), error)


def _paths(paths: list[str]) -> list[str]:
    """Return paths as they came and without keys; the usual ones are looked at all together."""
    text = "\n".join(paths)
    is_plain = _PLAIN_PATHS.fullmatch(text) and text.count("\n") == len(paths) - 1
    return paths if is_plain and masked(text) == text else [masked(wire_path(path)) for path in paths]


def _timestamps(instants: list[datetime]) -> list[str]:
    """Write instants as `timestamp` does, all together at half its cost."""
    texts = orjson.dumps(instants).decode()[2:-2].split('","')
    return [f"{text[:23]}Z" if len(text) >= _WITH_FRACTION else f"{text[:19]}.000Z" for text in texts]


def _as_json(document: dict[str, object]) -> str:
    return orjson.dumps(document).decode() + "\n"


def _fit(text: str) -> str:
    """Take keys and control characters out of a text that may go over several lines."""
    return masked(text).translate(_CODED).encode(errors="replace").decode()
