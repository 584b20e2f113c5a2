"""The request log: what a line says, and what it never says."""

import asyncio
import io
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.types import Message

from viralsync_mock.api.call import Call
from viralsync_mock.app import App, create_app
from viralsync_mock.cli.request_log import LibraryRecords, RequestLog, is_for_colour, tag, wire_path
from viralsync_mock.clock import EPOCH, Mode
from viralsync_mock.config.behaviour import BehaviourProfile
from viralsync_mock.jobs.models import timestamp
from viralsync_mock.response import Response, json_response
from viralsync_mock.settings import Settings
from viralsync_mock.webhooks.delivery import Attempt, Delivery, DeliveryOutcome
from viralsync_mock.webhooks.payload import WebhookSettings

NOW = datetime(2026, 11, 28, 14, 2, 6, 123000, tzinfo=UTC)
CLOCK = "clock=2026-01-01T00:00:00.000Z"
SECRET = "0123456789abcdef0123456789abcdef"
KEY = f"vs_prod_{SECRET}"


@cache
def app() -> App:
    """Return one frozen mock for all tests of this module: none of them changes it."""
    return create_app(Settings(clock=Mode.FROZEN))


def call(path: str = "/v1/me", query: str | bytes = b"", *, key: str | None = KEY, scenario: str = "happy") -> Call:
    """Return a call as it stands when its answer is logged."""
    mock = app().mock
    raw = query.encode() if isinstance(query, str) else query
    scope = {"method": "GET", "path": path, "query_string": raw, "headers": []}
    made = Call(mock, scope, nothing, mock.sandboxes.anonymous if key is None else mock.sandbox(key), {})
    if path == "/v1/me":
        made.entry.operation = "getMe"
    if scenario != "happy":
        made.entry.scenario, made.entry.chosen_by = made.files.library.get(scenario), "header"
    return made


async def nothing() -> Message:
    """Receive nothing: the call has no body."""
    return {"type": "http.disconnect"}


def logged(*calls: Call, answer: Response | None = None, **options: bool) -> str:
    """Return what the log writes for calls with an answer."""
    stream = io.StringIO()

    async def log() -> None:
        log = RequestLog(stream, now=lambda: NOW, **options)
        for told in calls:
            log.on_call(told.entry, answer or json_response({}))
        log.flush()

    asyncio.run(log())
    return stream.getvalue()


def refused(code: object = "NOT_FOUND", status: int = 404) -> Response:
    """Return an error in the API's shape."""
    return json_response({"error": "No.", "code": code}, status)


def test_a_line_tells_when_what_and_whose_on_the_clock_of_the_sandbox() -> None:
    """A call is one line: real time, method, path with query, status, the sandbox and its time."""
    expected = f"2026-11-28T14:02:06.123Z GET    /v1/me?a=1 200 sandbox={tag(KEY)} {CLOCK}\n"
    assert logged(call(query="a=1")) == expected


def test_a_line_tells_the_code_of_an_error() -> None:
    """The stable code of a refusal stands behind its status; a call without a key has no sandbox."""
    expected = "2026-11-28T14:02:06.123Z GET    /v2 404 NOT_FOUND\n"
    assert logged(call("/v2", key=None), answer=refused()) == expected


def test_a_line_tells_a_scenario_other_than_the_servers() -> None:
    """Who plays by another scenario than the server's sees its name."""
    assert "200 scenario=slow sandbox=" in logged(call(scenario="slow"))


def test_json_lines_have_the_same_fields_each_time() -> None:
    """A line of JSON has the same fields, null where there is none: a call refused early has no scenario."""
    expected = {
        "time": "2026-11-28T14:02:06.123Z",
        "clock": "2026-01-01T00:00:00.000Z",
        "method": "GET",
        "path": "/v1/me",
        "query": None,
        "operation": "getMe",
        "status": 402,
        "code": "RENDER_QUOTA_EXCEEDED",
        "sandbox": tag(KEY),
        "scenario": None,
        "callId": f"call_{tag(KEY)}_1",
        "requestId": f"call_{tag(KEY)}_1",
        "traceId": None,
    }
    assert json.loads(logged(call(), answer=refused("RENDER_QUOTA_EXCEEDED", 402), as_json=True)) == expected
    assert json.loads(logged(call("/v2", "a=b", key=None), as_json=True)) == expected | {
        "clock": None,
        "path": "/v2",
        "query": "a=b",
        "operation": None,
        "status": 200,
        "code": None,
        "sandbox": None,
        "callId": "call_outside_1",
        "requestId": "call_outside_1",
    }


def test_the_tag_of_a_sandbox_begins_the_id_of_its_user() -> None:
    """Who reads the log finds the account of `GET /v1/me`, and nothing of the key."""
    assert app().mock.sandbox(KEY).user_id.startswith(f"user_{tag(KEY)}")
    assert tag(KEY) not in KEY


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"code": 7}', b'{"error": "No."}'],
    ids=["empty", "broken", "a list", "a number", "no code"],
)
def test_an_error_without_a_code_is_logged_without_one(body: bytes) -> None:
    """A scenario may answer with any body at all."""
    assert " 500 sandbox=" in logged(call(), answer=Response(500, body))


def test_the_code_of_a_scripted_body_forges_no_line() -> None:
    """A code comes from a scenario, and may hold anything."""
    line = logged(call(), answer=refused(f"A\nB {KEY}"))
    assert line.endswith(f" 404 A%0AB%20vs_prod_*** sandbox={tag(KEY)} {CLOCK}\n")


LEAKS = {
    "path": (f"/v1/jobs/{KEY}", ""),
    "upper case": (f"/v1/jobs/{KEY.upper()}", ""),
    "query": ("/v1/jobs", f"limit=1&cursor={KEY}&type=x"),
    "query, encoded": ("/v1/jobs", f"cursor={KEY.replace('_', '%5f')}"),
    "query, every letter encoded": ("/v1/jobs", "cursor=" + "".join(f"%{ord(c):02X}" for c in KEY)),
    "query, encoded twice": ("/v1/jobs", f"cursor={KEY.replace('_', '%255F')}"),
    "path, encoded twice": (f"/v1/jobs/{KEY.replace('_', '%5F')}", ""),
    "beside a letter beyond ASCII": (f"/v1/jobs/ü{KEY}", ""),
}


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize(("path", "query"), LEAKS.values(), ids=LEAKS)
def test_no_key_is_ever_logged(path: str, query: str, as_json: bool) -> None:
    """Whatever looks like an API key is masked wherever it stands, also one that is not the caller's."""
    line = logged(call(path, query, key=None), as_json=as_json)
    assert SECRET not in line.lower()
    assert "".join(f"%{ord(c):02X}" for c in SECRET) not in line
    assert "vs_prod_***" in line


def test_a_key_of_another_form_is_masked_where_its_caller_repeats_it() -> None:
    """A spec of one's own may have keys of another form: then the sandbox knows what to hide."""
    line = logged(call("/v1/jobs/sesame", "cursor=sesame%3D", key="sesame"))
    assert "GET    /v1/jobs/vs_prod_***?cursor=vs_prod_***%3D 200" in line


def test_what_surrounds_a_key_stays_readable() -> None:
    """Only the key goes: the other parameters are told as they came."""
    line = logged(call("/v1/jobs", f"a=%20&cursor={KEY}&b=2"))
    assert "/v1/jobs?a=%20&cursor=vs_prod_***&b=2 200" in line


texts = st.text(st.characters(codec=None), max_size=20)


@given(texts, st.binary(max_size=20), st.booleans(), st.booleans())
@example("\n2026-01-01T00:00:00.000Z GET /forged 200", b"\r\n", False, False)
@example("\x1b]0;title\x07\u2028\u202e\ud800", b"\x1b[2J", True, True)
def test_any_call_is_one_line_of_printable_ascii(path: str, query: bytes, as_json: bool, in_colour: bool) -> None:
    """No path or query forges a line, or moves the cursor of the terminal that shows it."""
    line = logged(call(f"/{path}", query), as_json=as_json, in_colour=False if as_json else in_colour)
    for colour in ("\x1b[2m", "\x1b[32m", "\x1b[0m"):
        line = line.replace(colour, "")
    assert line.endswith("\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()


@given(texts)
@example("100% ü\n#?")
def test_a_path_is_told_as_it_came_over_the_wire(path: str) -> None:
    """Decoding what the log tells gives the path back, blanks and control characters and all."""
    shown = wire_path(f"/{path}")
    assert " " not in shown
    assert unquote(shown, errors="surrogatepass") == f"/{path}".encode(errors="replace").decode()


@given(st.datetimes(datetime(1970, 1, 1), datetime(8999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - given a zone
@example(datetime(2026, 1, 1, tzinfo=UTC))
@example(datetime(2026, 1, 1, microsecond=999, tzinfo=UTC))
def test_instants_are_written_as_the_api_writes_them(instant: datetime) -> None:
    """The fast way gives what the standard library's own gives."""
    assert timestamp(instant) == instant.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def test_a_method_that_nobody_knows_is_told_without_keys() -> None:
    """HTTP lets any word be a method, a key too."""
    odd = call("/v1/jobs")
    odd.entry.method = KEY.upper()
    assert logged(odd) == f"2026-11-28T14:02:06.123Z vs_prod_*** /v1/jobs 200 sandbox={tag(KEY)} {CLOCK}\n"


ODD = ["/v1/jobs", "/v1/a b", "/v1/a\nb", "/v1/\n", "/v1/ü", f"/v1/{KEY}", "/v1/%73esame", "/v1/sesame"]


@given(st.lists(st.sampled_from(ODD), min_size=1, max_size=4), st.booleans())
def test_calls_that_are_written_together_are_told_as_if_alone(paths: list[str], as_json: bool) -> None:
    """One odd path among plain ones changes no line but its own."""
    calls = [call(path, key="sesame") for path in paths]
    assert logged(*calls, as_json=as_json) == "".join(logged(each, as_json=as_json) for each in calls)
    assert "esame" not in logged(*calls, as_json=as_json)


@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(8999, 1, 1), timezones=st.just(UTC)), min_size=1))  # noqa: DTZ001 - given a zone
@example([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, microsecond=999, tzinfo=UTC)])
def test_lines_tell_instants_as_the_api_does(instants: list[datetime]) -> None:
    """Instants that are written together look like each written alone."""
    calls = [call() for _ in instants]
    for each, instant in zip(calls, instants, strict=True):
        each.entry.answered_at = instant
    assert [line.rpartition("=")[2] for line in logged(*calls).splitlines()] == list(map(timestamp, instants))


@pytest.mark.parametrize(("status", "colour"), [(200, 32), (304, 36), (404, 33), (503, 31)])
def test_the_status_has_a_colour_on_a_terminal(status: int, colour: int) -> None:
    """Fine is green, a refusal yellow, a fault red; in a file there are no colours."""
    assert f"\x1b[{colour}m{status}" in logged(call(), answer=Response(status), in_colour=True)
    assert "\x1b" not in logged(call(), answer=Response(status))


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "", "TERM": "xterm"}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colours_are_for_terminals_whose_user_has_not_asked_for_none(
    stream: io.StringIO, environment: dict[str, str], expected: bool
) -> None:
    """NO_COLOR is respected when it is not empty, as no-color.org has it."""
    assert is_for_colour(stream, environment) is expected


class Heard(io.StringIO):
    """A stream that tells when it is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        """Take note."""
        self.writes.append(text)
        self.written.set()
        return len(text)


async def test_lines_are_written_together_a_little_later() -> None:
    """Calls under load share one write, which comes by itself."""
    stream = Heard()
    log = RequestLog(stream)
    log.on_call(call().entry, json_response({}))
    log.on_call(call().entry, json_response({}))
    assert stream.writes == []
    await asyncio.wait_for(stream.written.wait(), 5)
    assert [text.count("\n") for text in stream.writes] == [2]


async def test_a_call_after_a_flush_is_written_too() -> None:
    """The log goes on after each time it has written."""
    stream = Heard()
    log = RequestLog(stream)
    for _ in range(2):
        stream.written.clear()
        log.on_call(call().entry, json_response({}))
        await asyncio.wait_for(stream.written.wait(), 5)
    assert [text.count("\n") for text in stream.writes] == [1, 1]


async def test_a_note_comes_at_once_and_after_the_calls_before_it() -> None:
    """What is not a call does not wait, and the order stays."""
    stream = Heard()
    log = RequestLog(stream)
    log.on_call(call().entry, json_response({}))
    log.message(f"reloaded \x1b[2J{KEY}")
    (text,) = stream.writes
    assert text.endswith(f" 200 sandbox={tag(KEY)} {CLOCK}\nviralsync-mock: reloaded \\x1b[2Jvs_prod_***\n")


def test_a_log_that_nobody_reads_any_more_stops_no_server() -> None:
    """A closed pipe on standard error is not the client's problem."""

    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    RequestLog(Closed()).message("unheard")


def webhook(
    kind: str, outcome: DeliveryOutcome, attempt: Attempt | None, url: str = "http://localhost/hook"
) -> Delivery:
    """Return a webhook that came to its end."""
    hook = WebhookSettings(url, "secret", BehaviourProfile())
    made = [attempt] if attempt else []
    return Delivery(1, "job_1", kind, hook, (), b"{}", EPOCH, EPOCH, outcome=outcome, attempts=made)


TAKEN = webhook("done", DeliveryOutcome.DELIVERED, Attempt(EPOCH, EPOCH, 204))
REFUSED = webhook(
    "progress",
    DeliveryOutcome.REFUSED,
    Attempt(EPOCH, EPOCH, problem="refused_target", reason=f"webhooks go to this machine only\x1b {KEY}"),
    f"http://10.0.0.7/{KEY} x",
)


def delivered(*deliveries: Delivery, as_json: bool = False) -> str:
    """Return what the log writes for webhooks."""
    stream = io.StringIO()
    log = RequestLog(stream, now=lambda: NOW, as_json=as_json)
    for each in deliveries:
        log.on_delivery(KEY, each)
    return stream.getvalue()


def test_the_end_of_a_webhook_is_a_line() -> None:
    """With its kind, its job, where it went and what became of it."""
    head = "2026-11-28T14:02:06.123Z WEBHOOK done of job_1 to http://localhost/hook delivered 204"
    assert delivered(TAKEN) == f"{head} attempts=1 sandbox={tag(KEY)} {CLOCK}\n"
    assert " dropped attempts=0 " in delivered(webhook("done", DeliveryOutcome.DROPPED, None))


def test_a_refused_target_is_logged_with_its_reason() -> None:
    """Of a webhook of progress too: the job's last one may be far off. No key is shown."""
    line = delivered(REFUSED)
    assert " to http://10.0.0.7/vs_prod_***%20x refused: webhooks go to this machine only\\x1b vs_prod_*** att" in line
    assert json.loads(delivered(REFUSED, as_json=True))["outcome"] == "refused"


def test_secrets_in_urls_are_not_logged() -> None:
    """Neither those of a call's query nor those of a webhook's target."""
    target = webhook(
        "done", DeliveryOutcome.DELIVERED, Attempt(EPOCH, EPOCH, 204), "http://me:hush@localhost/?sig=hush"
    )
    assert " to http://***@localhost/?sig=*** delivered 204" in delivered(target)
    assert "/v1/jobs?token=***&a=1 200" in logged(call("/v1/jobs", "token=hush&a=1"))


@pytest.mark.parametrize("outcome", [DeliveryOutcome.DELIVERED, DeliveryOutcome.DROPPED])
def test_progress_that_arrives_is_not_logged(outcome: DeliveryOutcome) -> None:
    """There is one every few seconds; what a fault drops is dropped on purpose."""
    assert delivered(webhook("progress", outcome, Attempt(EPOCH, EPOCH, 200))) == ""


def test_a_webhook_in_json_has_the_same_fields() -> None:
    """A program reads what people read."""
    assert json.loads(delivered(TAKEN, as_json=True)) == {
        "time": "2026-11-28T14:02:06.123Z",
        "clock": "2026-01-01T00:00:00.000Z",
        "webhook": "done",
        "jobId": "job_1",
        "url": "http://localhost/hook",
        "outcome": "delivered",
        "status": 204,
        "reason": None,
        "attempts": 1,
        "sandbox": tag(KEY),
        "traceId": None,
    }


def raised(error: BaseException) -> BaseException:
    """Return an error with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


def told(act: Callable[[RequestLog], Any], **options: bool) -> str:
    """Return what the log writes during an act."""
    stream = io.StringIO()
    act(RequestLog(stream, **options))
    return stream.getvalue()


def test_a_bug_is_told_with_its_traceback_and_without_keys() -> None:
    """Who meets a bug of the mock can report it by copying what stands there."""
    error = raised(ValueError(f"no {KEY}\x1b[2J"))
    text = told(lambda log: log.on_bug(f"GET /v1/jobs/{KEY}", error))
    first, *_, last = text.splitlines()
    assert first == "this is a bug in the mock, please report it: GET /v1/jobs/vs_prod_***"
    assert last == "ValueError: no vs_prod_***\\x1b[2J"
    assert "Traceback" in text


def test_bugs_and_notes_are_lines_of_json_too() -> None:
    """With `--log-format json` every line can be read by a program."""
    bug = json.loads(told(lambda log: log.on_bug("GET /", raised(ValueError("no"))), as_json=True))
    assert bug["bug"] == "this is a bug in the mock, please report it: GET /"
    assert bug["traceback"].endswith("ValueError: no\n")
    assert json.loads(told(lambda log: log.message("hello\n"), as_json=True)) == {"note": "hello\n"}


def record(message: str, error: BaseException | None = None) -> logging.LogRecord:
    """Return what a library logs."""
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("uvicorn.error", logging.ERROR, "f.py", 1, message, (), info)


def test_what_libraries_log_becomes_a_note_or_a_bug() -> None:
    """A warning of uvicorn is a note, an exception that it caught is a bug."""
    assert told(lambda log: LibraryRecords(log).handle(record("odd"))) == "viralsync-mock: odd\n"
    bug = told(lambda log: LibraryRecords(log).handle(record("Exception\n", raised(ValueError("no")))))
    assert bug.startswith("this is a bug in the mock, please report it: Exception\nTraceback")


def test_a_call_that_a_stop_cuts_off_is_no_news() -> None:
    """Ctrl-C with a call under way prints nothing like a traceback."""
    cut_off = record("Exception in ASGI application\n", raised(asyncio.CancelledError()))
    assert told(lambda log: LibraryRecords(log).handle(cut_off)) == ""
