"""How faults are written: as `{kind: value}` in scenarios and the control API, as `kind=value` in a header."""

from __future__ import annotations

import re
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import orjson

from mockserver import body_faults, faults, notation, stream_faults, view_faults, webhook_faults
from mockserver.document import Given, Place, shown
from mockserver.errors import ScenarioError
from mockserver.faults import When
from mockserver.notation import parts
from mockserver.validation import EVENT_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from mockserver.faults import Fault
    from mockserver.notation import Reader
    from mockserver.spec import Operation, Spec

MOST_EVENTS = 1_000
MOST_COPIES = 100

_ITEM = re.compile(r"\s*([\w-]+)\s*(?:=([^,;]*))?(?:[,;]\s*|\Z)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class Kind(NamedTuple):
    """One kind of fault: its class, and how its value is read.

    `true` stands for `given_true`, the value that is meant when only the kind is named; None where there is none.
    """

    make: type
    read: Callable[[Spec], Reader]
    given_true: object = None


def _plain(reader: Reader) -> Callable[[Spec], Reader]:
    return lambda _: reader


def _seconds(longest: float) -> Callable[[Spec], Reader]:
    return _plain(notation.seconds(longest))


def _latency(place: Place) -> dict[str, float]:
    if not isinstance(place.value, dict):
        return {"mean": notation.seconds(notation.HOUR)(place)}
    latency = notation.duration(notation.HOUR)(place)
    return {"mean": latency.mean, "jitter": latency.jitter}


def _when(place: Place) -> When:
    return When(notation.one_of(tuple(When), "before or after the call is carried out")(place))


def _status(spec: Spec) -> Reader:
    codes = {entry.status: code for code, entry in spec.errors.items() if entry.status >= 500}

    def read(place: Place) -> str:
        status = place.a(int)
        if status not in codes:
            place.fail(f"expected {' or '.join(map(str, sorted(codes)))}, got {shown(status)}")
        return codes[status]

    return read


def _only_true(place: Place) -> NoReturn:
    place.fail(f"expected true, got {shown(place.value)}: leave the fault out when it is not wanted")


_FLAG = _plain(_only_true)
_MEDIA_TYPE = _plain(notation.formed(r"[a-z]+/[a-z0-9.+-]+(; ?[a-z]+=[a-z0-9-]+)?", "a media type such as text/html"))
_COPIES = _plain(notation.whole(1, MOST_COPIES))
_EVENTS = _plain(notation.whole(0, MOST_EVENTS))
_WHICH = _plain(notation.one_of(("all", "progress", "terminal"), "all, progress or terminal"))

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "latency": Kind(faults.Latency, _plain(_latency)),
        "timeout": Kind(faults.Timeout, _plain(_when), When.AFTER),
        "reset_peer": Kind(faults.ResetPeer, _plain(_when), When.AFTER),
        "empty_response": Kind(faults.EmptyResponse, _plain(_when), When.AFTER),
        "slow_body": Kind(body_faults.SlowBody, _seconds(notation.HOUR)),
        "truncated_body": Kind(body_faults.TruncatedBody, _plain(notation.share), 0.5),
        "malformed_json": Kind(body_faults.MalformedJson, _FLAG),
        "wrong_content_type": Kind(body_faults.WrongContentType, _MEDIA_TYPE, "text/html"),
        "status": Kind(faults.ServerStatus, _status),
        "drop_after_events": Kind(stream_faults.DropAfterEvents, _EVENTS),
        "cut_inside_event": Kind(stream_faults.CutInsideEvent, _plain(notation.whole(1, MOST_EVENTS)), 1),
        "silence": Kind(stream_faults.Silence, _EVENTS, 1),
        "no_keep_alive": Kind(stream_faults.NoKeepAlive, _FLAG),
        "duplicate_events": Kind(stream_faults.DuplicateEvents, _COPIES, 1),
        "reorder_events": Kind(stream_faults.ReorderEvents, _FLAG),
        "never_end": Kind(stream_faults.NeverEnd, _FLAG),
        "end_without_terminal": Kind(stream_faults.EndWithoutTerminal, _FLAG),
        "progress_goes_back": Kind(stream_faults.ProgressGoesBack, _FLAG),
        "stale_read": Kind(view_faults.StaleRead, _seconds(notation.DAY)),
        "missing_from_list": Kind(view_faults.MissingFromList, _seconds(notation.DAY)),
        "unknown_field": Kind(view_faults.UnknownField, _FLAG),
        "unknown_status": Kind(view_faults.UnknownStatus, _FLAG),
        "duplicate": Kind(webhook_faults.Duplicate, _COPIES, 1),
        "reorder": Kind(webhook_faults.Reorder, _FLAG),
        "delay": Kind(webhook_faults.Delay, _seconds(notation.DAY)),
        "bad_signature": Kind(webhook_faults.BadSignature, _FLAG),
        "drop": Kind(webhook_faults.Drop, _WHICH, "all"),
        "tampered_body": Kind(webhook_faults.TamperedBody, _FLAG),
        "lost_answer": Kind(webhook_faults.LostAnswer, _COPIES, 1),
        "early": Kind(webhook_faults.Early, _FLAG),
    }
)
"""By name. Those of one call are applied in this order, the first around all others."""

WEBHOOK_KINDS = tuple(name for name, kind in KINDS.items() if issubclass(kind.make, webhook_faults.WebhookFault))

_NAMES: Mapping[type, str] = MappingProxyType({kind.make: name for name, kind in KINDS.items()})
_ORDER: Mapping[type, int] = MappingProxyType({kind.make: at for at, kind in enumerate(KINDS.values())})


def read_faults(place: Place, spec: Spec, kinds: Collection[str] = KINDS) -> tuple[Fault, ...]:
    """Read `{kind: value, ...}`; raises the error class of the place's source."""
    found = parts(place, {name: _reader(KINDS[name], spec) for name in kinds})
    if not found:
        place.fail(f"expected a fault, got nothing. Known: {', '.join(kinds)}")
    return in_order(found.values())


def check_fit(place: Place, found: Iterable[Fault], operation: Operation) -> None:
    """Complain of a fault that this operation can never show: of streams, where it has none, and of webhooks."""
    for fault in found:
        if reason := misfit(fault, operation):
            place[name_of(fault)].fail(reason)


def misfit(fault: Fault, operation: Operation) -> str | None:
    """Return why an operation can never show a fault."""
    streams = any(response.media_type == EVENT_STREAM for response in operation.responses.values())
    if isinstance(fault, stream_faults.StreamFault) and not streams:
        return f"{operation.id} has no event stream: match an operation that has one"
    if isinstance(fault, webhook_faults.WebhookFault) and "callbacks" not in operation.document:
        return f"{operation.id} causes no webhooks: match an operation that does"
    return None


def in_order(found: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the faults of one call in the order in which they are applied."""
    return tuple(sorted(found, key=lambda fault: _ORDER[type(fault)]))


def _reader(kind: Kind, spec: Spec) -> Reader:
    read = kind.read(spec)

    def made(place: Place) -> Any:
        if place.value is True:
            return _of_true(kind, place, read)
        value = read(place)
        return kind.make(**value) if isinstance(value, dict) else kind.make(value)

    return made


def _of_true(kind: Kind, place: Place, read: Reader) -> Any:
    if kind.given_true is not None:
        return kind.make(kind.given_true)
    return kind.make(read(place)) if fields(kind.make) else kind.make()


def name_of(fault: Fault) -> str:
    """Return the name of a fault's kind."""
    return _NAMES[type(fault)]


def written(found: Iterable[Fault], spec: Spec) -> dict[str, Any]:
    """Return faults as `{kind: value, ...}`: what `read_faults` reads back."""
    return {name_of(fault): _value(fault, spec) for fault in found}


def _value(fault: Fault, spec: Spec) -> Any:
    if isinstance(fault, faults.ServerStatus):
        return spec.errors[fault.code].status
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
    return read_faults(Place(Given(given, ScenarioError), given), spec)


def _items(text: str) -> dict[str, object]:
    given: dict[str, object] = {}
    at = 0
    while at < len(text):
        found = _ITEM.match(text, at)
        if found is None:
            raise ScenarioError(f"expected faults such as latency=800ms, status=503, got {shown(text[at:])}")
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


def header(found: Iterable[Fault], spec: Spec) -> str:
    """Return faults as `parse_header` reads them back: as JSON, where a value cannot stand without quotes."""
    values = written(found, spec)
    if all(map(_is_plain, values.values())):
        return ", ".join(f"{name}={_text(value)}" for name, value in values.items())
    return orjson.dumps(values).decode()


def _is_plain(value: object) -> bool:
    """Say whether a value reads back as it is when it stands in a header without quotes."""
    text = _text(value)
    return not {",", ";"} & set(text) and _scalar(text) == value


def _text(value: object) -> str:
    return "true" if value is True else f"{value}"
