"""The request log: one line for each call on standard error, for people or as JSON. It never holds an API key."""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

import orjson

from mockserver.models import timestamp
from mockserver.sandbox import user_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from mockserver.answers import Answer
    from mockserver.state import Call

FLUSH_SECONDS = 0.05
"""Lines are written together, at the latest so long after the first of them."""

MASK = "vs_prod_***"
_KEY = re.compile(r"vs_prod_[\w*-]*", re.IGNORECASE)  # with the mask, so that what follows one is part of the key
_SAFE = "!$&'()*+,;=:@~/"
_PLAIN_PATH = re.compile(r"[\w!$&'()*+,;=:@~./-]*", re.ASCII)
_PLAIN = re.compile(r"[!-~]*")
_DEEPEST_ENCODING = 3
_CODED = str.maketrans({code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))})
_COLOURS = {2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}
_FAINT, _PLAINLY = "\x1b[2m", "\x1b[0m"
_FIRST_ERROR = 400
_TAG_LENGTH, _MOST_TAGS = 6, 10_000


class Entry(NamedTuple):
    """What is told of a call: fit for a line, without keys, percent-encoded as it came over the wire.

    `at` is on the sandbox's clock; `sandbox` is the beginning of the account's `userId`, None for a call without a key.
    """

    at: str
    method: str
    path: str
    query: str | None
    operation: str | None
    status: int
    code: str | None
    sandbox: str | None
    scenario: str


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


def masked(text: str, key: str = "") -> str:
    """Return the text without `key` and without anything that looks like an API key, percent-encoded or not."""
    hidden = plain = _hide(text, key)
    if "%" not in hidden:
        return hidden
    for _ in range(_DEEPEST_ENCODING):
        plain = unquote(plain)
    found = _hide(plain, key)
    return hidden if found == plain else quote(found, _SAFE, errors="replace")


def _hide(text: str, key: str) -> str:
    if key and key in text:
        text = text.replace(key, MASK)
    return _KEY.sub(MASK, text) if "_prod_" in text.lower() else text


def error_code(answer: Answer) -> str | None:
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
        self._lines: list[str] = []
        self._tag = lru_cache(_MOST_TAGS)(tag)
        self._timer: asyncio.TimerHandle | None = None

    def on_call(self, call: Call, answer: Answer) -> None:
        """Tell of a call and its answer."""
        told = self._entry(call, answer)
        if self._as_json:
            line = orjson.dumps(told._asdict(), option=orjson.OPT_APPEND_NEWLINE).decode()
        else:
            line = self._as_text(told, is_home=call.scenario is call.files.scenario)
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def on_bug(self, where: str, error: BaseException) -> None:
        """Tell of an error that nobody foresaw, with its traceback."""
        place, trace = (_fit(text) for text in (where, "".join(traceback.format_exception(error))))
        report = f"this is a bug in the mock, please report it: {place}"
        self._say(_as_json({"bug": report, "traceback": trace}) if self._as_json else f"{report}\n{trace}")

    def note(self, text: str) -> None:
        """Tell of something that is not a call."""
        self._say(_as_json({"note": _fit(text)}) if self._as_json else f"viralsync-mock: {_fit(text)}\n")

    def flush(self) -> None:
        """Write what has been collected."""
        lines, self._lines, self._timer = self._lines, [], None
        with suppress(OSError):  # nobody reads any more: that is no reason to stop serving
            self._stream.write("".join(lines))
            self._stream.flush()

    def _say(self, line: str) -> None:
        self._lines.append(line)
        if self._timer is not None:
            self._timer.cancel()
        self.flush()

    def _entry(self, call: Call, answer: Answer) -> Entry:
        key = call.sandbox.key
        return Entry(
            timestamp(call.now),
            call.method,
            masked(wire_path(call.path), key),
            masked(wire_query(call.query), key) if call.query else None,
            call.operation.id or None,
            answer.status,
            error_code(answer) if answer.status >= _FIRST_ERROR else None,
            self._tag(key) if key else None,
            call.scenario.name,
        )

    def _as_text(self, told: Entry, *, is_home: bool) -> str:
        target = f"{told.path}?{told.query}" if told.query else told.path
        result = f"{told.status} {told.code}" if told.code else str(told.status)
        scenario = "" if is_home else f" scenario={told.scenario}"
        sandbox = f" sandbox={told.sandbox}" if told.sandbox else ""
        if not self._in_colour:
            return f"{told.at} {told.method:<6} {target} {result}{scenario}{sandbox}\n"
        colour = _COLOURS.get(told.status // 100, "")
        return (
            f"{_FAINT}{told.at}{_PLAINLY} {told.method:<6} {target} {colour}{result}{_PLAINLY}"
            f"{_FAINT}{scenario}{sandbox}{_PLAINLY}\n"
        )


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
            self._log.note(record.getMessage())
        else:
            self._log.on_bug(record.getMessage().strip(), error)


def _as_json(document: dict[str, object]) -> str:
    return orjson.dumps(document).decode() + "\n"


def _fit(text: str) -> str:
    """Take keys and control characters out of a text that may go over several lines."""
    return masked(text).translate(_CODED).encode(errors="replace").decode()
