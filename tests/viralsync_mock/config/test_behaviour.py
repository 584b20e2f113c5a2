"""Behaviour profiles: what a file says, what is refused and how, and what ships."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.paths import ROOT

from viralsync_mock.config.behaviour import SWITCHES, BehaviourProfile, load_behaviour, parse_behaviour, to_document
from viralsync_mock.config.yaml_source import read_yaml
from viralsync_mock.errors import BehaviourError
from viralsync_mock.openapi.spec import Spec, load_spec

FOLDER = ROOT / "fixtures" / "behaviours"
CODES = ("JOB_NOT_FOUND", "FORBIDDEN")


@cache
def spec() -> Spec:
    """Return the shipped spec, read once."""
    return load_spec(ROOT / "openapi.yaml")


def refusal(document: object) -> str:
    """Return the message that refuses a document."""
    with pytest.raises(BehaviourError) as caught:
        parse_behaviour(document, CODES)
    return str(caught.value)


def nested(key: str, value: object) -> dict[str, dict[str, object]]:
    """Return the document that turns one switch."""
    section, name = key.split(".")
    return {section: {name: value}}


def test_the_default_profile_writes_out_every_default() -> None:
    """Nothing is left to be guessed, and nothing differs."""
    path = FOLDER / "default.yaml"
    assert load_behaviour(path, spec().errors) == BehaviourProfile()
    assert read_yaml(path, BehaviourError).value == {**to_document(BehaviourProfile()), "errors": {}}


def test_the_default_profile_names_the_other_positions() -> None:
    """Whoever reads it sees what each switch could be instead."""
    text = (FOLDER / "default.yaml").read_text("utf-8")
    comments = {line.strip().split(":")[0]: line.partition("#")[2] for line in text.splitlines() if ": " in line}
    silent = [
        key
        for key, switch in SWITCHES.items()
        for other in switch.metadata["one_of"]
        if other != switch.default and str(other).lower() not in comments[key.partition(".")[2]]
    ]
    assert silent == []


def test_the_other_readings_turn_every_switch() -> None:
    """A client that works under both profiles takes nothing for granted."""
    other = load_behaviour(FOLDER / "other-readings.yaml", spec().errors)
    same = [key for key, switch in SWITCHES.items() if getattr(other, switch.name) == switch.default]
    assert same == []


def test_the_other_readings_rename_every_code_that_is_assumed() -> None:
    """Codes that a page of the documentation states keep their names."""
    other = load_behaviour(FOLDER / "other-readings.yaml", spec().errors)
    catalogue = spec().document["x-error-catalogue"]
    assumed = [code.lower() for code, entry in catalogue.items() if code_mark(entry) == "A"]
    assert sorted(other.errors) == sorted(assumed)


def code_mark(entry: dict[str, Any]) -> str:
    """Return how well the name of an error is known."""
    mark: str = entry["x-provenance"]["mark"]
    return mark


@pytest.mark.parametrize("key", SWITCHES)
def test_a_switch_refuses_a_wrong_value(key: str) -> None:
    """The message names the place, what was expected and what came."""
    message = refusal(nested(key, ["odd"]))
    assert re.fullmatch(rf"\$\.{re.escape(key)}: expected .+, got a list of 1\.?", message)


@pytest.mark.parametrize("key", [key for key, switch in SWITCHES.items() if switch.metadata["one_of"]])
def test_a_switch_takes_each_of_its_positions(key: str) -> None:
    """Every position that the messages offer is one."""
    switch = SWITCHES[key]
    for position in switch.metadata["one_of"]:
        assert getattr(parse_behaviour(nested(key, position), CODES), switch.name) == position


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sse.keep_alive_seconds", 0.25),
        ("sse.keep_alive_seconds", 86_400),
        ("sse.keep_alive_seconds", None),
        ("webhook.attempts", 1),
        ("webhook.attempts", 100),
    ],
)
def test_a_number_may_be_at_its_bounds(key: str, value: object) -> None:
    """What the messages say is allowed is allowed."""
    assert getattr(parse_behaviour(nested(key, value), CODES), SWITCHES[key].name) == value


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "$: expected an object of switches, got a list of 0"),
        (None, "$: expected an object of switches, got null"),
        ({"ss": {}}, '$.ss: no such section. Did you mean "sse"?'),
        (
            {"zzzzzz": {}},
            "$.zzzzzz: no such section. Known: cancel, concurrency, content_type, delete, errors, free_plan, job, "
            "list, plan_limit, quota, sse, webhook",
        ),
        ({"sse.resume": "replay"}, '$["sse.resume"]: write it nested: {sse: {resume: …}}'),
        ({"sse": "replay"}, '$.sse: expected an object of switches, got "replay"'),
        ({"sse": {"resum": "replay"}}, '$.sse.resum: no such switch. Did you mean "resume"?'),
        (
            {"sse": {"zzzzzz": 1}},
            "$.sse.zzzzzz: no such switch. Known: after_end, event_names, keep_alive_seconds, payload, resume, "
            "retry_milliseconds",
        ),
        (
            {"sse": {"resume": "snapshott"}},
            '$.sse.resume: expected "replay" or "snapshot", got "snapshott". Did you mean "snapshot"?',
        ),
        ({"content_type": {"required": "on"}}, '$.content_type.required: expected true or false, got "on".'),
        ({"content_type": {"required": 1}}, "$.content_type.required: expected true or false, got 1."),
        ({"plan_limit": {"status": "402"}}, '$.plan_limit.status: expected 402 or 403, got "402".'),
        (
            {"sse": {"keep_alive_seconds": 0}},
            "$.sse.keep_alive_seconds: expected a number of seconds above 0, at most 86400, or null, got 0",
        ),
        (
            {"webhook": {"progress_interval_seconds": None}},
            "$.webhook.progress_interval_seconds: expected a number of seconds above 0, at most 86400, got null",
        ),
        ({"webhook": {"attempts": 0}}, "$.webhook.attempts: expected a whole number from 1 to 100, got 0"),
        ({"webhook": {"attempts": 1.5}}, "$.webhook.attempts: expected a whole number from 1 to 100, got 1.5"),
        ({"list": {"key": "my jobs"}}, '$.list.key: expected a word, got "my jobs"'),
        (
            {"errors": {"job_not_fond": "X"}},
            '$.errors.job_not_fond: no such error code in the spec. Did you mean "job_not_found"?',
        ),
        ({"errors": {"forbidden": "NO WAY"}}, '$.errors.forbidden: expected a code name, got "NO WAY"'),
    ],
)
def test_a_bad_profile_is_refused_with_its_place(document: object, message: str) -> None:
    """Every message says where, what was expected, what came, and the nearest valid word."""
    assert refusal(document) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sse:\n  resume: never", ':2: $.sse.resume: expected "replay" or "snapshot", got "never".'),
        ("sse: {resume: replay}\nsse: {}", ":2: $.sse: this key stands twice: keep one of them"),
        ("sse: [", ":2: not YAML: did not find expected node content"),
        ("# all defaults", ":1: the file is empty"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """A file has lines, and the message names them."""
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(BehaviourError) as caught:
        load_behaviour(path, CODES)
    assert str(caught.value) == f"{path}{message}"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(BehaviourError, match=r"none\.yaml: cannot be read: No such file or directory"):
        load_behaviour(tmp_path / "none.yaml", CODES)


def test_a_profile_is_laid_over_another() -> None:
    """What it does not name stays as it was, the renamed codes too."""
    base = parse_behaviour({"sse": {"resume": "snapshot"}, "errors": {"forbidden": "NO"}}, CODES)
    laid = parse_behaviour({"job": {"type": "render.movie"}, "errors": {"job_not_found": "GONE"}}, CODES, base)
    assert (laid.sse_resume, laid.job_type) == ("snapshot", "render.movie")
    assert laid.errors == {"forbidden": "NO", "job_not_found": "GONE"}


def test_a_renamed_code_is_used_in_place_of_the_specs() -> None:
    """The spec's name finds the API's."""
    behaviour = parse_behaviour({"errors": {"job_not_found": "GONE"}}, CODES)
    assert [behaviour.code(code) for code in CODES] == ["GONE", "FORBIDDEN"]


SWITCHED = st.fixed_dictionaries(
    {},
    optional={
        key: st.sampled_from(switch.metadata["one_of"]) for key, switch in SWITCHES.items() if switch.metadata["one_of"]
    },
)


@given(switched=SWITCHED)
def test_a_profile_written_out_reads_back_the_same(switched: dict[str, object]) -> None:
    """`as_document` and `parse_behaviour` are each other's way back."""
    document: dict[str, dict[str, object]] = {}
    for key, position in switched.items():
        document.setdefault(key.split(".")[0], {})[key.split(".")[1]] = position
    behaviour = parse_behaviour({**document, "errors": {"forbidden": "NO"}}, CODES)
    assert parse_behaviour(to_document(behaviour), CODES) == behaviour


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([*SWITCHES, "sse"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from([*to_document(BehaviourProfile()), "resume", "errors", "type", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(document=JSON)
def test_any_structure_is_read_or_refused(document: object) -> None:
    """Nothing but a BehaviourError comes out."""
    try:
        read = parse_behaviour(document, CODES)
    except BehaviourError:
        return
    assert isinstance(read, BehaviourProfile)
