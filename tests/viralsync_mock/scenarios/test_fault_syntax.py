"""How faults are written: in scenarios, in the control API and in a header, and what is refused and how."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.scenario_documents import FAULTS, HEAD, ROOT, complaint, parsed, spec

from viralsync_mock.config.yaml_source import JsonSource, Node
from viralsync_mock.errors import ScenarioError
from viralsync_mock.faults import http as faults
from viralsync_mock.faults import stream as stream_faults
from viralsync_mock.faults import views as view_faults
from viralsync_mock.faults import webhook as webhook_faults
from viralsync_mock.faults.http import EmptyResponse, Latency, ResetPeer, ServerStatus, Timeout, When
from viralsync_mock.scenarios.fault_syntax import (
    KINDS,
    WEBHOOK_KINDS,
    parse_header,
    read_faults,
    sort_faults,
    to_document,
    to_header,
)
from viralsync_mock.scenarios.loader import load_scenario, parse_armed

if TYPE_CHECKING:
    from pathlib import Path

    from viralsync_mock.faults.http import Fault

PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")
LENGTHS = "expected seconds, or a time such as 800ms, 1s, 2m or 1h"
COUNTED = "expected a whole number"
ONLY_TRUE = "expected true, got false: leave the fault out when it is not wanted"


def read(document: object) -> tuple[Fault, ...]:
    """Return the faults of a document."""
    return read_faults(Node(JsonSource(document, ScenarioError), document), spec())


def test_every_kind_is_a_fault_of_its_own() -> None:
    """No class stands under two names, and every fault that there is has one."""
    modules = (faults, stream_faults, view_faults, webhook_faults)
    classes = {thing for module in modules for thing in vars(module).values() if is_fault(thing, module.__name__)}
    assert {kind.fault_class for kind in KINDS.values()} == classes
    assert len(KINDS) == len(classes)


def is_fault(thing: object, module: str) -> bool:
    """Say whether a thing of a module is a fault that can be made: no protocol, no common part of several."""
    shared = {"Fault", "StreamFault", "WebhookFault"}
    return (
        isinstance(thing, type)
        and hasattr(thing, "apply")
        and thing.__module__ == module
        and thing.__name__ not in shared
    )


READ: list[tuple[str, Any, Fault]] = [
    ("latency", "800ms", Latency(0.8)),
    ("latency", {"mean": 2, "jitter": "500ms"}, Latency(2.0, 0.5)),
    ("timeout", True, Timeout(When.AFTER)),
    ("timeout", "before", Timeout(When.BEFORE)),
    ("reset_peer", True, ResetPeer(When.AFTER)),
    ("reset_peer", "before", ResetPeer(When.BEFORE)),
    ("empty_response", True, EmptyResponse(When.AFTER)),
    ("empty_response", "before", EmptyResponse(When.BEFORE)),
    ("slow_body", "1h", faults.SlowBody(3600.0)),
    ("truncated_body", True, faults.TruncatedBody(0.5)),
    ("truncated_body", "25%", faults.TruncatedBody(0.25)),
    ("malformed_json", True, faults.MalformedJson()),
    ("wrong_content_type", True, faults.WrongContentType("text/html")),
    ("wrong_content_type", "text/plain; charset=utf-8", faults.WrongContentType("text/plain; charset=utf-8")),
    ("status", 500, ServerStatus("INTERNAL_ERROR")),
    ("status", 503, ServerStatus("SERVICE_UNAVAILABLE")),
    ("drop_after_events", 0, stream_faults.DropAfterEvents(0)),
    ("cut_inside_event", True, stream_faults.CutInsideEvent(1)),
    ("cut_inside_event", 7, stream_faults.CutInsideEvent(7)),
    ("silence", True, stream_faults.Silence(1)),
    ("silence", 0, stream_faults.Silence(0)),
    ("no_keep_alive", True, stream_faults.NoKeepAlive()),
    ("duplicate_events", True, stream_faults.DuplicateEvents(1)),
    ("duplicate_events", 100, stream_faults.DuplicateEvents(100)),
    ("reorder_events", True, stream_faults.ReorderEvents()),
    ("never_end", True, stream_faults.NeverEnd()),
    ("end_without_terminal", True, stream_faults.EndWithoutTerminal()),
    ("progress_goes_back", True, stream_faults.ProgressGoesBack()),
    ("stale_read", "5s", view_faults.StaleRead(5.0)),
    ("missing_from_list", "24h", view_faults.MissingFromList(86_400.0)),
    ("unknown_field", True, view_faults.UnknownField()),
    ("unknown_status", True, view_faults.UnknownStatus()),
    ("duplicate", True, webhook_faults.Duplicate(1)),
    ("duplicate", 3, webhook_faults.Duplicate(3)),
    ("reorder", True, webhook_faults.Reorder()),
    ("delay", "2m", webhook_faults.Delay(120.0)),
    ("bad_signature", True, webhook_faults.BadSignature()),
    ("drop", True, webhook_faults.Drop("all")),
    ("drop", "terminal", webhook_faults.Drop("terminal")),
    ("tampered_body", True, webhook_faults.TamperedBody()),
    ("lost_response", True, webhook_faults.LostResponse(1)),
    ("lost_response", 2, webhook_faults.LostResponse(2)),
    ("before_response", True, webhook_faults.BeforeResponse()),
]


@pytest.mark.parametrize(("name", "value", "expected"), READ, ids=str)
def test_a_kind_is_read_with_its_value(name: str, value: object, expected: Fault) -> None:
    """`true` stands for the usual value, or is the only one."""
    assert (expected,) == read({name: value})


def test_every_kind_is_tried_above() -> None:
    """No kind is left out of the table, neither with its value nor with a bad one."""
    assert list(dict.fromkeys(name for name, _, _ in READ)) == list(KINDS)
    assert {name for name, _, _ in BAD} == set(KINDS)


BAD: list[tuple[str, Any, str]] = [
    ("latency", True, f"{LENGTHS}, got true"),
    ("latency", "forever", f'{LENGTHS}, got "forever"'),
    ("latency", "2h", 'expected 0s to 1h, got "2h"'),
    ("latency", {"jitter": 1}, '"mean" is missing: add it.'),
    ("timeout", "befor", 'expected before or after the call is carried out, got "befor". Did you mean "before"?'),
    ("timeout", False, "expected a text, got false"),
    ("reset_peer", "aftr", 'expected before or after the call is carried out, got "aftr". Did you mean "after"?'),
    ("empty_response", 1, "expected a text, got 1"),
    ("slow_body", True, f"{LENGTHS}, got true"),
    ("slow_body", -1, "expected 0s to 1h, got -1"),
    ("truncated_body", "110%", 'expected a share from 0% to 100%, or 0 to 1, got "110%"'),
    ("malformed_json", False, ONLY_TRUE),
    ("malformed_json", 1, "expected true, got 1: leave the fault out when it is not wanted"),
    ("wrong_content_type", "html", 'expected a media type such as text/html, got "html"'),
    ("wrong_content_type", "text/html\r\nx-a: b", 'expected a media type such as text/html, got "text/html\r\nx-a: b"'),
    ("status", True, f"{COUNTED}, got true"),
    ("status", 404, "expected 500 to 599, got 404"),
    ("drop_after_events", True, f"{COUNTED}, got true"),
    ("drop_after_events", -1, "expected 0 to 1000, got -1"),
    ("cut_inside_event", 0, "expected 1 to 1000, got 0"),
    ("silence", 1001, "expected 0 to 1000, got 1001"),
    ("no_keep_alive", False, ONLY_TRUE),
    ("duplicate_events", 0, "expected 1 to 100, got 0"),
    ("reorder_events", False, ONLY_TRUE),
    ("never_end", False, ONLY_TRUE),
    ("end_without_terminal", False, ONLY_TRUE),
    ("progress_goes_back", False, ONLY_TRUE),
    ("stale_read", "25h", 'expected 0s to 24h, got "25h"'),
    ("missing_from_list", "soon", f'{LENGTHS}, got "soon"'),
    ("unknown_field", False, ONLY_TRUE),
    ("unknown_status", "paused", 'expected true, got "paused": leave the fault out when it is not wanted'),
    ("duplicate", 101, "expected 1 to 100, got 101"),
    ("reorder", False, ONLY_TRUE),
    ("delay", True, f"{LENGTHS}, got true"),
    ("bad_signature", False, ONLY_TRUE),
    ("drop", "terminl", 'expected all, progress or terminal, got "terminl". Did you mean "terminal"?'),
    ("tampered_body", False, ONLY_TRUE),
    ("lost_response", 2.5, f"{COUNTED}, got 2.5"),
    ("before_response", False, ONLY_TRUE),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD, ids=str)
def test_a_bad_value_is_refused_with_its_place(name: str, value: object, message: str) -> None:
    """The message says where, what was expected, what came, and the nearest word."""
    assert complaint(lambda: read({name: value})) == f"$.{name}: {message}"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, f"$: expected a fault, got nothing. Known: {', '.join(KINDS)}"),
        ({"x-note": 1}, f"$: expected a fault, got nothing. Known: {', '.join(KINDS)}"),
        ({"latenci": 1}, f'$.latenci: unknown key. Did you mean "latency"? Known: {", ".join(KINDS)}'),
        ([], "$: expected an object, got a list of 0"),
        (True, "$: expected an object, got true"),
    ],
)
def test_what_names_no_fault_is_refused(document: object, message: str) -> None:
    """All kinds are named."""
    assert message == complaint(lambda: read(document))


def test_faults_are_applied_in_the_order_of_their_kinds() -> None:
    """In whatever order they are written: a late answer is late, and then breaks off."""
    assert [*KINDS] == [*to_document(read(dict(reversed(FAULTS.items()))), spec())]


# Laws

SECONDS = st.floats(0, 3600).map(lambda length: round(length, 6))
COPIES = st.integers(1, 100)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(KINDS, st.just(True)),
    **dict.fromkeys(("timeout", "reset_peer", "empty_response"), st.sampled_from(["before", "after", True])),
    **dict.fromkeys(("slow_body", "stale_read", "missing_from_list", "delay"), SECONDS),
    **dict.fromkeys(("duplicate_events", "duplicate", "lost_response"), COPIES),
    **dict.fromkeys(("drop_after_events", "silence"), st.integers(0, 1000)),
    "latency": SECONDS | st.builds(lambda mean, part: {"mean": mean, "jitter": mean * part}, SECONDS, st.floats(0, 1)),
    "truncated_body": st.floats(0, 1),
    "wrong_content_type": st.sampled_from(["text/plain", "text/html; charset=utf-8", "image/svg+xml"]),
    "status": st.sampled_from([500, 503]),
    "cut_inside_event": st.integers(1, 1000),
    "drop": st.sampled_from(["all", "progress", "terminal"]),
}
SETS = st.fixed_dictionaries({}, optional=VALUES).filter(bool).map(read)


@given(found=SETS)
def test_what_is_written_reads_back_the_same(found: tuple[Fault, ...]) -> None:
    """`written` gives plain JSON values, which `read_faults` takes."""
    document = orjson.loads(orjson.dumps(to_document(found, spec())))
    assert found == read(document)


@given(found=SETS)
def test_a_header_reads_back_the_same(found: tuple[Fault, ...]) -> None:
    """Whatever was done to a call can be asked for again, in one line of ASCII."""
    line = to_header(found, spec())
    assert found == parse_header(line, spec())
    assert re.fullmatch(r"[ -~]+", line)


@given(found=SETS, data=st.data())
def test_the_order_of_writing_makes_no_difference(found: tuple[Fault, ...], data: st.DataObject) -> None:
    """Faults are applied in one order alone."""
    assert found == sort_faults(data.draw(st.permutations(found)))


@given(line=st.text() | st.text(alphabet='latency=1s,;{}": \t', max_size=20))
def test_any_header_is_read_or_refused(line: str) -> None:
    """Nothing but a ScenarioError comes out."""
    said = complaint(lambda: parse_header(line, spec()))
    assert said is None or said


# The header

LATE_AND_REFUSED = (Latency(0.8), ServerStatus("SERVICE_UNAVAILABLE"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("latency=800ms, status=503", LATE_AND_REFUSED),
        ("status=503;latency=0.8", LATE_AND_REFUSED),
        ("  latency = 800ms ;\tstatus = 503  ", LATE_AND_REFUSED),
        ("latency=800ms, status=503,", LATE_AND_REFUSED),
        ('{"latency": "800ms", "status": 503}', LATE_AND_REFUSED),
        (' {"latency": {"mean": 0.8}, "status": 503} ', LATE_AND_REFUSED),
        ("drop", (webhook_faults.Drop("all"),)),
        ("drop=true", (webhook_faults.Drop("all"),)),
        ("before_response, drop = progress", (webhook_faults.Drop("progress"), webhook_faults.BeforeResponse())),
        ("truncated_body=25%", (faults.TruncatedBody(0.25),)),
        ('{"wrong_content_type": "a/b; c=d"}', (faults.WrongContentType("a/b; c=d"),)),
    ],
)
def test_a_header_names_faults_with_or_without_values(line: str, expected: tuple[Fault, ...]) -> None:
    """Commas or semicolons between them, blanks wherever they fall, or JSON."""
    assert expected == parse_header(line, spec())


KNOWN = f"Known: {', '.join(KINDS)}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", f"$: expected a fault, got nothing. {KNOWN}"),
        ("   ", f"$: expected a fault, got nothing. {KNOWN}"),
        (",", 'expected faults such as latency=800ms, status=503, got ","'),
        ("latency=1s,,early", 'expected faults such as latency=800ms, status=503, got ",early"'),
        ("=1s", 'expected faults such as latency=800ms, status=503, got "=1s"'),
        ("early drop", 'expected faults such as latency=800ms, status=503, got "early drop"'),
        ("[1]", 'expected faults such as latency=800ms, status=503, got "[1]"'),
        ("reset-peer", f'$.reset-peer: unknown key. Did you mean "reset_peer"? {KNOWN}'),
        ("Status=503", f'$.Status: unknown key. Did you mean "status"? {KNOWN}'),
        ("latency=", f'$.latency: {LENGTHS}, got ""'),
        ("latency=1s=2s", f'$.latency: {LENGTHS}, got "1s=2s"'),
        ("status=404", "$.status: expected 500 to 599, got 404"),
        (
            "before_response=false",
            '$.before_response: expected true, got "false": leave the fault out when it is not wanted',
        ),
        ("latency=1s, latency=2s", "$.latency: this fault stands twice: keep one of them"),
        ("{}", f"$: expected a fault, got nothing. {KNOWN}"),
        ('{"latency": true}', f"$.latency: {LENGTHS}, got true"),
    ],
)
def test_a_header_that_says_something_else_is_refused(line: str, message: str) -> None:
    """The message names the place, or shows from where on it cannot be read."""
    assert message == complaint(lambda: parse_header(line, spec()))


def test_a_header_with_half_a_json_object_is_refused() -> None:
    """The parser's own words follow."""
    said = complaint(lambda: parse_header('{"latency": ', spec()))
    assert str(said).startswith('$: expected a JSON object such as {"latency": "800ms"}: ')


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ((Latency(0.8), ServerStatus("SERVICE_UNAVAILABLE")), "latency=0.8, status=503"),
        ((Timeout(When.BEFORE),), "timeout=before"),
        ((webhook_faults.BeforeResponse(),), "before_response=true"),
        ((Latency(1.0, 0.5),), '{"latency":{"mean":1.0,"jitter":0.5}}'),
        ((faults.WrongContentType("a/b; c=d"),), '{"wrong_content_type":"a/b; c=d"}'),
    ],
)
def test_a_header_is_written_for_people_where_it_can_be(found: tuple[Fault, ...], line: str) -> None:
    """JSON stands only where a value needs its quotes or braces."""
    assert line == to_header(found, spec())


# What cannot be shown

STREAMED = [name for name, kind in KINDS.items() if issubclass(kind.fault_class, stream_faults.StreamFault)]


@pytest.mark.parametrize("name", STREAMED)
def test_a_fault_of_streams_needs_an_operation_that_has_one(name: str) -> None:
    """`streamJobProgress` has a stream, `getJob` has none; without an operation nothing is said."""
    fault = {name: FAULTS[name]}
    refused = complaint(lambda: parsed(rules=[{"match": {"operation": "getJob"}, "fault": fault}]))
    assert str(refused).endswith(
        f"$.rules[0].fault.{name}: getJob has no event stream: match an operation that has one"
    )
    assert parsed(rules=[{"match": {"operation": "streamJobProgress"}, "fault": fault}, {"fault": fault}]).rules


@pytest.mark.parametrize("name", WEBHOOK_KINDS)
def test_a_fault_of_webhooks_needs_an_operation_that_causes_them(name: str) -> None:
    """`submitRenderJob` does, `getJob` does not; without an operation nothing is said."""
    fault = {name: FAULTS[name]}
    refused = complaint(lambda: parsed(rules=[{"match": {"operation": "getJob"}, "fault": fault}]))
    assert str(refused).endswith(f"$.rules[0].fault.{name}: getJob causes no webhooks: match an operation that does")
    assert parsed(rules=[{"match": {"operation": "submitRenderJob"}, "fault": fault}, {"fault": fault}]).rules


# The reference

ROW = re.compile(r"(?m)^\| `([a-z_]+)` \| (.+?) \| .+ \|$")


@pytest.mark.parametrize("group", ["calls", "bodies", "streams", "views", "webhooks"])
def test_the_reference_has_a_row_for_each_kind_of_a_group(group: str) -> None:
    """In the order in which they are applied, and for nothing else."""
    section = PAGE.partition(f"## Of {group}\n")[2].partition("\n## ")[0]
    kinds = [name for name, kind in KINDS.items() if kind.group == group]
    assert kinds == [name for name, _ in ROW.findall(section)]


@pytest.mark.parametrize("name", KINDS)
def test_the_values_that_the_reference_names_are_taken(name: str) -> None:
    """Each stands in a header as it is written; the one in brackets is what `true` means."""
    written_values = dict(ROW.findall(PAGE))[name]
    usual = re.search(r"\(`(.+?)`\)", written_values)
    plain = [value for value in re.findall(r"`([^`]+)`", written_values) if not value.startswith("{")]
    assert [value for value in plain if complaint(lambda v=value: parse_header(f"{name}={v}", spec()))] == []  # type: ignore[misc]  # bound now
    assert (usual is not None) is (KINDS[name].given_true is not None)
    assert usual is None or parse_header(f"{name}={usual[1]}", spec()) == parse_header(name, spec())


@pytest.mark.parametrize("example", re.findall(r"(?ms)^```yaml\n(.*?)^```$", PAGE))
def test_every_rule_of_the_reference_loads(tmp_path: Path, example: str) -> None:
    """What people copy works."""
    (tmp_path / "odd.yaml").write_text(HEAD + example, "utf-8")
    assert load_scenario(tmp_path / "odd.yaml", spec()).rules


@pytest.mark.parametrize("example", re.findall(r"(?ms)^```http\nPUT /__mock/faults\n(.*?)^```$", PAGE))
def test_every_armed_fault_of_the_reference_is_read(example: str) -> None:
    """The body is what the control API takes."""
    document = orjson.loads(example)
    assert len(document["faults"]) == len(parse_armed(document["faults"], spec()))


@pytest.mark.parametrize("line", re.findall(r"(?m)^X-Mock-Fault: (.+)$", PAGE))
def test_every_header_of_the_reference_is_read(line: str) -> None:
    """As it stands there."""
    assert parse_header(line, spec())
