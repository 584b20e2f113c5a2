"""The JSON Schema for editors, the shipped scenarios and the reference: all know the same format as the loader."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.scenario_documents import (
    FILES,
    FOLDER,
    HEAD,
    JSON,
    ROOT,
    Node,
    at,
    complaint,
    full,
    parsed,
    places,
    plain,
    schema,
    spec,
    validator,
)

from viralsync_mock.config.behaviour import BehaviourProfile, to_document
from viralsync_mock.errors import ScenarioError
from viralsync_mock.jobs.timeline import JobTimings
from viralsync_mock.scenarios.fault_syntax import KINDS
from viralsync_mock.scenarios.loader import load_scenario, parse_scenario
from viralsync_mock.scenarios.model import Account, Scenario

REFERENCE = ROOT / "docs" / "scenarios.md"


BOUNDS: list[Node] = [
    {"name": "odd-09"},
    {"clock": {"start": "1970-01-01T00:00:00Z"}},
    {"account": {"minutes_used": 1_000_000, "minutes_used_today": 1_000_000}},
    {"job": {"queued": "720h", "scene": {"per_output_second": "1h", "at_least": 0, "reports": 100}}},
    {"job": {"queued": {"mean": 0, "jitter": 0}, "scene": {"reports": 1}}},
    {"rules": [{"match": {"after": 0, "header": {"x-09": ""}}, "fault": {"latency": "1h"}}]},
    {"rules": [{"match": {"nth": 1_000_000, "after": 1_000_000}, "respond": {"status": 200}}]},
    {"rules": [{"respond": {"status": 599}}, {"respond": {"status": 204}}]},
    {"limits": {"rate": "999999/24h"}},
    {"limits": {"rate": "1/1ms"}},
    {"rules": [{"match": {"for": "720h", "probability": 0}, "fault": {"latency": "1h", "slow_body": "1h"}}]},
    {"rules": [{"match": {"for": 0, "probability": "100%"}, "fault": {"stale_read": "24h", "truncated_body": "100%"}}]},
    {"rules": [{"fault": {"silence": 0, "drop_after_events": 0, "cut_inside_event": 1000, "duplicate_events": 100}}]},
    {"webhooks": {"deliver": {"duplicate": 100, "delay": "24h", "drop": "progress", "lost_response": 1}}},
]


@pytest.mark.parametrize("parts", BOUNDS, ids=json.dumps)
def test_the_bounds_themselves_are_allowed(parts: Node) -> None:
    """`0 to 720h` means both ends, for the loader and for editors."""
    document = {"name": "odd", "description": "Something odd.", **parts}
    assert isinstance(parse_scenario(document, spec()), Scenario)
    assert validator().is_valid(document)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_any_structure_loads_or_is_refused_and_the_schema_refuses_no_more(data: st.DataObject) -> None:
    """A document with any part replaced is read or refused with a place; what is read, the schema allows too."""
    document = full()
    trail = data.draw(st.sampled_from([trail for trail in places(document) if trail]))
    part: Any = document
    for key in trail[:-1]:
        part = part[key]
    part[trail[-1]] = data.draw(JSON)
    said = complaint(lambda: parse_scenario(document, spec()))
    assert re.match(r"the request body: \$", said) if said else validator().is_valid(json.loads(json.dumps(document)))


# The JSON Schema for editors


def test_the_document_with_every_key_is_read_and_allowed() -> None:
    """It is the ground that the property tests stand on."""
    document = full()
    assert validator().is_valid(document)
    assert isinstance(parse_scenario(document, spec()), Scenario)


def test_the_schema_is_a_schema_with_a_description_for_every_key() -> None:
    """An editor shows the description where the cursor is."""
    jsonschema_rs.meta.validate(schema())
    bare = [
        trail
        for trail in places(schema())
        if len(trail) > 1 and trail[-2] == "properties" and isinstance(node := at(schema(), trail), dict)
        if not {"description", "$ref", "properties"} & node.keys()
    ]
    assert bare == []


REFUSED: list[Node] = [
    {"name": "Odd"},
    {"description": ""},
    {"jobs": {}},
    {"account": {"plan": "gold"}},
    {"account": {"minutes_used": -1}},
    {"account": {"revoked": "yes"}},
    {"account": {"email": "ada"}},
    {"keys": {"mine": {}}},
    {"clock": {"start": "2026-01-31"}},
    {"clock": {"starts": "2026-01-31T00:00:00Z"}},
    {"job": {"queued": "soon"}},
    {"job": {"queued": -1}},
    {"job": {"queued": {"jitter": 1}}},
    {"job": {"queued": {"mean": "forever"}}},
    {"job": {"scene": {"reports": 0}}},
    {"job": {"scene": {"at_least": {"mean": 1}}}},
    {"job": {"fail": {"error": "UPLOAD_FAILED"}}},
    {"job": {"stall": {"for": "5m"}}},
    {"job": {"stall": {"at": 1}}},
    {"rules": [{"job": {}}]},
    {"rules": [{"job": {"queued": "1s"}, "respond": {"status": 200}}]},
    {"rules": [{"match": {"operation": "getJob"}, "job": {"queued": "1s"}}]},
    {"rules": [{"respond": {"error": "FORBIDDEN", "content_type": "text/html"}}]},
    {"rules": [{"fault": {"status": 600}}]},
    {"job": {"fail": {"scene": 1, "phase": "planning", "error": "UPLOAD_FAILED"}}},
    {"job": {"fail": {"phase": "waiting", "error": "UPLOAD_FAILED"}}},
    {"job": {"fail": {"scene": 1, "error": "BOOM: x"}}},
    {"job": {"fail": {"scene": 1, "at": 1.5, "error": "UPLOAD_FAILED"}}},
    {"rules": {}},
    {"rules": [{"match": {}}]},
    {"rules": [{"match": {"operation": "getJobs"}, "fault": {"status": 500}}]},
    {"rules": [{"match": {"nth": 1, "every": 1}, "fault": {"status": 500}}]},
    {"rules": [{"match": {"after": "1 s"}, "fault": {"status": 500}}]},
    {"rules": [{"match": {"header": {"a": 1}}, "fault": {"status": 500}}]},
    {"rules": [{"match": {"header": {"a b": ""}}, "fault": {"status": 500}}]},
    {"rules": [{"respond": {}}]},
    {"rules": [{"respond": {"error": "OOPS"}}]},
    {"rules": [{"respond": {"error": "FORBIDDEN", "status": 403}}]},
    {"rules": [{"respond": {"status": 404, "text": "No."}}]},
    {"rules": [{"respond": {"status": 199}}]},
    {"rules": [{"fault": {}}]},
    {"rules": [{"fault": {"status": 404}}]},
    {"rules": [{"fault": {"latency": "forever"}}]},
    {"webhooks": {"secret": ""}},
    {"webhooks": {"deliver": []}},
    {"webhooks": {"deliver": {}}},
    {"webhooks": {"deliver": {"latency": 1}}},
    {"webhooks": {"deliver": {"drop": "some"}}},
    {"webhooks": {"deliver": {"duplicate": 101}}},
    {"rules": [{"match": {"probability": 1.01}, "fault": {"status": 500}}]},
    {"rules": [{"match": {"for": "forever"}, "fault": {"status": 500}}]},
    *[{"rules": [{"fault": {name: False}}]} for name in KINDS],
    *[{"rules": [{"fault": {name: "odd"}}]} for name in KINDS],
    *[{"rules": [{"fault": {name: -1}}]} for name in KINDS],
    *[{"rules": [{"fault": {name: True}}]} for name in ("latency", "slow_body", "status", "drop_after_events")],
    {"limits": {"rate": "120/60"}},
    {"limits": {"rate": 120}},
    {"limits": {"quota": 1}},
    {"behaviour": {"sse": {"resume": "never"}}},
    {"behaviour": {"sse.resume": "replay"}},
    {"behaviour": {"errors": {"oops": "X"}}},
]


@pytest.mark.parametrize("parts", REFUSED, ids=json.dumps)
def test_schema_and_loader_refuse_the_same(parts: Node) -> None:
    """An editor marks what the loader would refuse."""
    assert not validator().is_valid({"name": "odd", "description": "x", **parts})
    with pytest.raises(ScenarioError):
        parsed(**parts)


KEYED = [
    trail
    for trail in places(full())
    if isinstance(at(full(), trail), dict)
    and not {"keys", "header", "headers", "body", "behaviour"} & {trail[-1] if trail else ""}
    and not {"behaviour", "body"} & set(trail)
]


def keys_of_loader(trail: tuple[str | int, ...]) -> set[str]:
    """Return the keys that the loader says it knows, when it meets one that it does not."""
    document = full()
    at(document, trail)["zzz"] = 1
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(document, spec())
    return set(str(caught.value).partition("Known: ")[2].split(", "))


def keys_of_schema(trail: tuple[str | int, ...]) -> set[str]:
    """Return the keys of the schema's object at the same place."""
    node = schema()
    for key in trail:
        node = node["items"] if isinstance(key, int) else node["properties"].get(key) or node["additionalProperties"]
        while "properties" not in node and "items" not in node and "additionalProperties" not in node:
            node = at(schema(), ("$defs", node["$ref"].split("/")[-1])) if "$ref" in node else node["anyOf"][-1]
    return set(node["properties"])


@pytest.mark.parametrize("trail", [trail for trail in KEYED if trail[:1] != ("keys",)], ids=str)
def test_schema_and_loader_know_the_same_keys(trail: tuple[str | int, ...]) -> None:
    """What one has and the other has not would be hidden, or a false promise."""
    assert keys_of_schema(trail) == keys_of_loader(trail)


def test_the_schema_names_the_words_of_the_shipped_spec() -> None:
    """Editors complete operations, codes and plans; they are the spec's, in its order."""
    defs = schema()["$defs"]
    assert list(spec().plans) == defs["account"]["properties"]["plan"]["enum"]
    assert (list(spec().operations), list(spec().errors)) == (
        defs["match"]["properties"]["operation"]["enum"],
        defs["respond"]["properties"]["error"]["enum"],
    )
    assert f"^({'|'.join(spec().job_errors)})($|: )" == defs["fail"]["properties"]["error"]["pattern"]


def test_the_schema_names_every_switch_with_its_default() -> None:
    """The switches are those of the behaviour profile."""
    sections = deepcopy(schema()["$defs"]["behaviour"]["properties"])
    del sections["errors"]
    defaults = {
        section: {name: switch["default"] for name, switch in part["properties"].items()}
        for section, part in sections.items()
    }
    assert to_document(BehaviourProfile()) == defaults


def test_the_schema_tells_what_every_fault_does() -> None:
    """The kinds and their order are those of the notation, the words those of the fault itself."""
    told = {name: part["description"] for name, part in schema()["$defs"]["fault"]["properties"].items()}
    assert [(name, kind.title) for name, kind in KINDS.items()] == list(told.items())


@pytest.mark.parametrize("name", KINDS)
def test_the_schema_names_the_value_that_true_stands_for(name: str) -> None:
    """A kind whose usual value is written out does the same as one with `true`."""
    part = schema()["$defs"]["fault"]["properties"][name]
    values = (part["default"], True) if "default" in part else ()
    usual = [parsed(rules=[{"fault": {name: value}}]).rules[0].faults for value in values]
    assert (KINDS[name].given_true is not None) is bool(usual)
    assert usual[:1] == usual[1:]


def test_the_schema_names_the_defaults_of_a_job() -> None:
    """What an editor shows as default is what an empty file gets."""
    job = schema()["$defs"]["job"]["properties"]
    defaults = {step: part["default"] for step, part in job.items() if "default" in part}
    scene = {key: part["default"] for key, part in job["scene"]["properties"].items()}
    assert JobTimings() == parsed(job={**defaults, "scene": scene}).job


# What ships


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_scenario_loads_and_fits_the_schema(path: Path) -> None:
    """Shipped data is code."""
    assert path.stem == load_scenario(path, spec()).name
    assert [str(error) for error in validator().iter_errors(plain(path))] == []
    assert path.read_text("utf-8").startswith("# yaml-language-server: $schema=../scenario.schema.json\n")


def test_happy_is_what_a_scenario_is_without_a_word() -> None:
    """Its durations are written out, and are the defaults."""
    happy = load_scenario(FOLDER / "happy.yaml", spec())
    assert (JobTimings(), Account(), ()) == (happy.job, happy.account, happy.rules)


def test_every_shipped_scenario_differs_from_happy() -> None:
    """Each one shows something that the others do not."""
    said = [
        json.dumps({key: part for key, part in plain(path).items() if key not in {"name", "description"}})
        for path in FILES
    ]
    assert len(FILES) == len(set(said))


def test_a_description_is_one_sentence() -> None:
    """It stands in a list of one line each."""
    descriptions = [plain(path)["description"] for path in FILES]
    assert [text for text in descriptions if not re.fullmatch(r"[A-Z][^\n]{20,118}\.", text) or ". " in text] == []


# The reference


def test_the_reference_lists_every_shipped_scenario_with_its_description() -> None:
    """The table is the files' own words."""
    rows = re.findall(
        r"(?m)^\| \[`([a-z-]+)`\]\(\.\./fixtures/scenarios/\1\.yaml\) \| (.+) \|$", REFERENCE.read_text("utf-8")
    )
    assert sorted((path.stem, plain(path)["description"]) for path in FILES) == sorted(rows)


def test_the_reference_names_every_key() -> None:
    """A key that is not in the reference is not in the format; faults have a page of their own."""
    text = REFERENCE.read_text("utf-8") + (ROOT / "docs" / "faults.md").read_text("utf-8")
    keys = {key for trail in KEYED if "keys" not in trail for key in keys_of_schema(trail)}
    assert sorted(key for key in keys if f"`{key}`" not in text) == []


def examples() -> list[str]:
    """Return the YAML examples of the reference."""
    return re.findall(r"(?ms)^```yaml\n(.*?)^```$", REFERENCE.read_text("utf-8"))


@pytest.mark.parametrize("example", examples())
def test_every_example_of_the_reference_loads(tmp_path: Path, example: str) -> None:
    """What people copy works."""
    path = tmp_path / "odd.yaml"
    path.write_text(example if example.startswith("name:") else HEAD + example, "utf-8")
    assert isinstance(load_scenario(path, spec()), Scenario)
