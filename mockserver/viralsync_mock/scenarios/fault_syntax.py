"""How faults are written: as `{kind: value}` in scenarios and the control API, as `kind=value` in a header."""

from __future__ import annotations

import re
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import orjson

from viralsync_mock.config.yaml_source import JsonSource, Node, preview
from viralsync_mock.errors import ScenarioError
from viralsync_mock.faults import http as faults
from viralsync_mock.faults import stream as stream_faults
from viralsync_mock.faults import views as view_faults
from viralsync_mock.faults import webhook as webhook_faults
from viralsync_mock.faults.http import When
from viralsync_mock.response import EVENT_STREAM
from viralsync_mock.scenarios import values as notation
from viralsync_mock.scenarios.values import read_object

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from viralsync_mock.faults.http import Fault
    from viralsync_mock.openapi.spec import Operation, Spec
    from viralsync_mock.scenarios.values import Reader

MAX_EVENTS = 1_000
MAX_COPIES = 100
SERVER_ERROR, MAX_STATUS = 500, 599

_ITEM = re.compile(r"\s*([\w-]+)\s*(?:=([^,;]*))?(?:[,;]\s*|\Z)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class FaultKind(NamedTuple):
    """One kind of fault: its class, what it is done to, what happens, and how its value is read.

    `true` stands for `given_true`, the value that is meant when only the kind is named; None where there is none.
    """

    fault_class: type
    group: str
    title: str
    read: Callable[[Spec], Reader]
    given_true: object = None


def _plain(reader: Reader) -> Callable[[Spec], Reader]:
    return lambda _: reader


def _seconds(longest: float) -> Callable[[Spec], Reader]:
    return _plain(notation.seconds(longest))


def _latency(place: Node) -> dict[str, float]:
    if not isinstance(place.value, dict):
        return {"mean": notation.seconds(notation.HOUR)(place)}
    latency = notation.duration(notation.HOUR)(place)
    return {"mean": latency.mean, "jitter": latency.jitter}


def _when(place: Node) -> When:
    return When(notation.one_of(tuple(When), "before or after the call is carried out")(place))


def _status(spec: Spec) -> Reader:
    codes = {entry.status: code for code, entry in spec.errors.items() if entry.status >= SERVER_ERROR}

    def read(place: Node) -> str | dict[str, object]:
        status = place.expect(int)
        if not SERVER_ERROR <= status <= MAX_STATUS:
            place.fail(f"expected 500 to 599, got {preview(status)}")
        return codes.get(status) or {"code": "", "status": status}

    return read


def _only_true(place: Node) -> NoReturn:
    place.fail(f"expected true, got {preview(place.value)}: leave the fault out when it is not wanted")


_FLAG = _plain(_only_true)
_MEDIA_TYPE = _plain(
    notation.matching_text(r"[a-z]+/[a-z0-9.+-]+(; ?[a-z]+=[a-z0-9-]+)?", "a media type such as text/html")
)
_COPIES = _plain(notation.integer(1, MAX_COPIES))
_EVENTS = _plain(notation.integer(0, MAX_EVENTS))
_WHICH = _plain(notation.one_of(("all", "progress", "terminal"), "all, progress or terminal"))

KINDS: Mapping[str, FaultKind] = MappingProxyType(
    {
        "latency": FaultKind(
            faults.Latency,
            "calls",
            "The answer comes this much later, in real seconds, give or take the jitter.",
            _plain(_latency),
        ),
        "timeout": FaultKind(
            faults.Timeout,
            "calls",
            "No answer ever comes; the connection stays open until the client closes it.",
            _plain(_when),
            When.AFTER,
        ),
        "reset_peer": FaultKind(
            faults.ResetPeer,
            "calls",
            "The connection is reset (TCP RST) in the place of an answer.",
            _plain(_when),
            When.AFTER,
        ),
        "empty_response": FaultKind(
            faults.EmptyResponse,
            "calls",
            "The connection is closed without a byte of an answer.",
            _plain(_when),
            When.AFTER,
        ),
        "slow_body": FaultKind(
            faults.SlowBody, "bodies", "The body trickles in over this time, in real seconds.", _seconds(notation.HOUR)
        ),
        "truncated_body": FaultKind(
            faults.TruncatedBody,
            "bodies",
            "The body breaks off after a share of what `Content-Length` announces; then the connection is closed.",
            _plain(notation.percentage),
            0.5,
        ),
        "malformed_json": FaultKind(
            faults.MalformedJson,
            "bodies",
            "The body arrives whole, but half of its JSON is missing: it ends in an object that was just opened.",
            _FLAG,
        ),
        "wrong_content_type": FaultKind(
            faults.WrongContentType,
            "bodies",
            "The body is as ever, but its media type says something else.",
            _MEDIA_TYPE,
            "text/html",
        ),
        "status": FaultKind(
            faults.ServerStatus,
            "calls",
            "A 5xx instead of the call: in the API's shape if the spec has the status, else in a gateway's HTML.",
            _status,
        ),
        "drop_after_events": FaultKind(
            stream_faults.DropAfterEvents,
            "streams",
            "The connection is lost after this many events: closed without the end that HTTP has for a whole answer.",
            _EVENTS,
        ),
        "cut_inside_event": FaultKind(
            stream_faults.CutInsideEvent,
            "streams",
            "The connection is lost in the middle of the event of this number, from 1, inside a UTF-8 character.",
            _plain(notation.integer(1, MAX_EVENTS)),
            1,
        ),
        "silence": FaultKind(
            stream_faults.Silence,
            "streams",
            "After this number of events nothing more comes, no keep-alive either; the connection stays open.",
            _EVENTS,
            1,
        ),
        "no_keep_alive": FaultKind(
            stream_faults.NoKeepAlive, "streams", "No comment keeps the connection alive while nothing happens.", _FLAG
        ),
        "duplicate_events": FaultKind(
            stream_faults.DuplicateEvents, "streams", "Every event comes again, this number of times.", _COPIES, 1
        ),
        "reorder_events": FaultKind(
            stream_faults.ReorderEvents,
            "streams",
            "Each two events that follow each other change places; one that is left over at the end comes as it is.",
            _FLAG,
        ),
        "never_end": FaultKind(
            stream_faults.NeverEnd,
            "streams",
            "After the terminal event the stream stays open, with keep-alives.",
            _FLAG,
        ),
        "end_without_terminal": FaultKind(
            stream_faults.EndWithoutTerminal,
            "streams",
            "The stream ends as if all were well, but the terminal event is missing.",
            _FLAG,
        ),
        "progress_goes_back": FaultKind(
            stream_faults.ProgressGoesBack,
            "streams",
            "Every second event shows half the progress that was made; the terminal event is correct.",
            _FLAG,
        ),
        "stale_read": FaultKind(
            view_faults.StaleRead,
            "views",
            "GET and list show jobs as they were this long ago on the sandbox's clock: streams are ahead of them.",
            _seconds(notation.DAY),
        ),
        "missing_from_list": FaultKind(
            view_faults.MissingFromList,
            "views",
            "The list leaves out jobs that were submitted less than this long ago on the sandbox's clock.",
            _seconds(notation.DAY),
        ),
        "unknown_field": FaultKind(
            view_faults.UnknownField,
            "views",
            "GET, list, streams and the 202 of a submission show a field that no page describes.",
            _FLAG,
        ),
        "unknown_status": FaultKind(
            view_faults.UnknownStatus,
            "views",
            "GET, list and streams show every unfinished job with a status that no page describes.",
            _FLAG,
        ),
        "duplicate": FaultKind(
            webhook_faults.Duplicate,
            "webhooks",
            "Every webhook is sent again at once, this number of times.",
            _COPIES,
            1,
        ),
        "reorder": FaultKind(
            webhook_faults.Reorder,
            "webhooks",
            "Each two webhooks of a job that follow each other change places.",
            _FLAG,
        ),
        "delay": FaultKind(
            webhook_faults.Delay,
            "webhooks",
            "Every webhook leaves this much later on the sandbox's clock; those of one job stay in order.",
            _seconds(notation.DAY),
        ),
        "bad_signature": FaultKind(
            webhook_faults.BadSignature, "webhooks", "The signature is made with another secret.", _FLAG
        ),
        "drop": FaultKind(
            webhook_faults.Drop,
            "webhooks",
            "Webhooks get lost and are never sent: `all` of them, those of `progress`, or the `terminal` one.",
            _WHICH,
            "all",
        ),
        "tampered_body": FaultKind(
            webhook_faults.TamperedBody,
            "webhooks",
            "The body is changed after it was signed: its progress and output are not the job's.",
            _FLAG,
        ),
        "lost_response": FaultKind(
            webhook_faults.LostResponse,
            "webhooks",
            "The receiver's answer gets lost this number of times: a webhook that is tried again arrives again.",
            _COPIES,
            1,
        ),
        "before_response": FaultKind(
            webhook_faults.BeforeResponse,
            "webhooks",
            "A webhook of the queued job arrives before the 202 of its submission.",
            _FLAG,
        ),
    }
)
"""By name. Those of one call are applied in this order, the first around all others."""

WEBHOOK_KINDS = tuple(name for name, kind in KINDS.items() if issubclass(kind.fault_class, webhook_faults.WebhookFault))

_NAMES: Mapping[type, str] = MappingProxyType({kind.fault_class: name for name, kind in KINDS.items()})
_ORDER: Mapping[type, int] = MappingProxyType({kind.fault_class: at for at, kind in enumerate(KINDS.values())})


def read_faults(place: Node, spec: Spec, kinds: Collection[str] = KINDS) -> tuple[Fault, ...]:
    """Read `{kind: value, ...}`; raises the error class of the place's source."""
    found = read_object(place, {name: _reader(KINDS[name], spec) for name in kinds})
    if not found:
        place.fail(f"expected a fault, got nothing. Known: {', '.join(kinds)}")
    return sort_faults(found.values())


def check_compatible(place: Node, found: Iterable[Fault], operation: Operation) -> None:
    """Complain of a fault that this operation can never show: of streams, where it has none, and of webhooks."""
    for fault in found:
        if reason := incompatibility(fault, operation):
            place[name_of(fault)].fail(reason)


def incompatibility(fault: Fault, operation: Operation) -> str | None:
    """Return why an operation can never show a fault."""
    streams = any(response.media_type == EVENT_STREAM for response in operation.all_responses)
    if isinstance(fault, stream_faults.StreamFault) and not streams:
        return f"{operation.id} has no event stream: match an operation that has one"
    if isinstance(fault, webhook_faults.WebhookFault) and "callbacks" not in operation.document:
        return f"{operation.id} causes no webhooks: match an operation that does"
    return None


def sort_faults(found: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the faults of one call in the order in which they are applied."""
    return tuple(sorted(found, key=lambda fault: _ORDER[type(fault)]))


def _reader(kind: FaultKind, spec: Spec) -> Reader:
    read = kind.read(spec)

    def made(place: Node) -> Any:
        if place.value is True:
            return _of_true(kind, place, read)
        value = read(place)
        return kind.fault_class(**value) if isinstance(value, dict) else kind.fault_class(value)

    return made


def _of_true(kind: FaultKind, place: Node, read: Reader) -> Any:
    if kind.given_true is not None:
        return kind.fault_class(kind.given_true)
    return kind.fault_class(read(place)) if fields(kind.fault_class) else kind.fault_class()


def name_of(fault: Fault) -> str:
    """Return the name of a fault's kind."""
    return _NAMES[type(fault)]


def to_document(found: Iterable[Fault], spec: Spec) -> dict[str, Any]:
    """Return faults as `{kind: value, ...}`: what `read_faults` reads back."""
    return {name_of(fault): _value(fault, spec) for fault in found}


def _value(fault: Fault, spec: Spec) -> Any:
    if isinstance(fault, faults.ServerStatus):
        return spec.errors[fault.code].status if fault.code else fault.status
    if isinstance(fault, faults.Latency):
        return {"mean": fault.mean, "jitter": fault.jitter} if fault.jitter else fault.mean
    values = [getattr(fault, each.name) for each in fields(fault)]  # type: ignore[arg-type]  # every kind is a dataclass
    return values[0] if values else True


def parse_header(text: str, spec: Spec) -> tuple[Fault, ...]:
    """Read `latency=800ms, status=503`, or the same as a JSON object; raises ScenarioError that names the place."""
    try:
        given = orjson.loads(text) if text.lstrip().startswith("{") else _items(text.strip())
    except orjson.JSONDecodeError as problem:
        raise ScenarioError(f'$: expected a JSON object such as {{"latency": "800ms"}}: {problem}') from None
    return read_faults(Node(JsonSource(given, ScenarioError), given), spec)


def _items(text: str) -> dict[str, object]:
    given: dict[str, object] = {}
    at = 0
    while at < len(text):
        found = _ITEM.match(text, at)
        if found is None:
            raise ScenarioError(f"expected faults such as latency=800ms, status=503, got {preview(text[at:])}")
        if found[1] in given:
            raise ScenarioError(f"$.{found[1]}: this fault stands twice: keep one of them")
        given[found[1]] = True if found[2] is None else _scalar(found[2].strip())
        at = found.end()
    return given


def _scalar(text: str) -> object:
    """Return a value as YAML would read it: a number, `true`, or a text."""
    if text == "true":
        return True
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def to_header(found: Iterable[Fault], spec: Spec) -> str:
    """Return faults as `parse_header` reads them back: as JSON, where a value cannot stand without quotes."""
    values = to_document(found, spec)
    if all(map(_is_plain, values.values())):
        return ", ".join(f"{name}={_text(value)}" for name, value in values.items())
    return orjson.dumps(values).decode()


def _is_plain(value: object) -> bool:
    """Say whether a value reads back as it is when it stands in a header without quotes."""
    text = _text(value)
    return not {",", ";"} & set(text) and _scalar(text) == value


def _text(value: object) -> str:
    return "true" if value is True else f"{value}"
