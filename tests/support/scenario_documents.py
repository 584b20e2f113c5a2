"""What the tests of the scenario format share: the shipped spec and files, and a document with every key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from hypothesis import strategies as st
from tests.support.paths import ROOT

from viralsync_mock.config.behaviour import BehaviourProfile, to_document
from viralsync_mock.config.yaml_source import read_yaml
from viralsync_mock.errors import ScenarioError
from viralsync_mock.openapi.spec import Spec, load_spec
from viralsync_mock.scenarios.fault_syntax import KINDS, WEBHOOK_KINDS
from viralsync_mock.scenarios.loader import parse_scenario
from viralsync_mock.scenarios.model import Scenario

FOLDER = ROOT / "fixtures" / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"), key=lambda path: path.stem)
KEY = "vs_prod_" + "a1" * 16
HEAD = "name: odd\ndescription: Something odd.\n"

Node = dict[str, Any]

FAULTS: Node = {
    **dict.fromkeys(KINDS, True),
    "latency": {"mean": 1},
    "slow_body": "2s",
    "status": 503,
    "drop_after_events": 3,
    "stale_read": 5,
    "missing_from_list": "1m",
    "delay": "30s",
}
"""Every kind of fault, those with `true` that have a usual value."""

WORDS = ["on", "forever", "1s", "60%", "120/60s", "getJob", "FORBIDDEN", "UPLOAD_FAILED: x", "pro", "before"]
NUMBERS = st.integers() | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@cache
def spec() -> Spec:
    """Return the shipped spec, read once."""
    return load_spec(ROOT / "openapi.yaml")


@cache
def schema() -> Node:
    """Return the JSON Schema for editors."""
    document: Node = json.loads((ROOT / "fixtures" / "scenario.schema.json").read_text("utf-8"))
    return document


@cache
def validator() -> jsonschema_rs.Draft202012Validator:
    """Return its validator."""
    return jsonschema_rs.Draft202012Validator(schema())


def plain(path: Path) -> Node:
    """Return a shipped scenario as JSON values."""
    document: Node = read_yaml(path, ScenarioError).value
    return document


def parsed(**parts: object) -> Scenario:
    """Return the scenario with these parts."""
    return parse_scenario({"name": "odd", "description": "Something odd.", **parts}, spec())


def places(value: object, trail: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the trail of every part of a document."""
    yield trail
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*trail, key))


def full() -> Node:
    """Return a document that uses every key of the format that can stand beside the others."""
    return {
        "name": "odd",
        "description": "Something odd.",
        "account": {"plan": "pro", "minutes_used": 9, "minutes_used_today": 1, "revoked": False, "email": "a@b.c"},
        "keys": {KEY: {"plan": "free"}},
        "clock": {"start": "2026-01-31T23:58:00Z"},
        "job": {
            **dict.fromkeys(("queued", "planning", "dispatching", "assembling", "uploading"), "1s"),
            "scene": {"per_output_second": {"mean": 3, "jitter": "1s"}, "at_least": "2s", "reports": 4},
            "fail": {"scene": 2, "at": "60%", "error": "RENDER_TIMEOUT"},
            "stall": {"at": "80%", "for": "5m"},
        },
        "rules": [
            {
                "match": {
                    "operation": "getJob",
                    "header": {"a": "b"},
                    "every": 2,
                    "after": 1,
                    "for": "9s",
                    "times": 3,
                    "probability": 0.5,
                },
                "fault": {"status": 500},
            },
            {
                "match": {"body": {"c": 1}, "nth": 3},
                "respond": {"error": "FORBIDDEN", "text": "No.", "headers": {"a": "b"}},
            },
            {"respond": {"status": 200, "body": {"a": 1}}, "fault": {"latency": "1s"}},
            {"fault": deepcopy(FAULTS)},
            {"respond": {"status": 502, "content_type": "text/html", "body": "<h1>502</h1>"}},
            {
                "match": {"operation": "submitRenderJob", "body": {"movie": {"scenes": {"count": {"gt": 3}}}}},
                "job": {"fail": {"scene": 2, "at": "40%"}},
            },
        ],
        "webhooks": {"secret": "s", "deliver": {name: FAULTS[name] for name in WEBHOOK_KINDS}},
        "limits": {"rate": "120/60s", "quota": "on", "concurrency": "off"},
        "behaviour": {**to_document(BehaviourProfile()), "errors": {"forbidden": "NO"}},
    }


def at(value: Any, trail: tuple[str | int, ...]) -> Any:
    """Return the part of a document at a trail."""
    for key in trail:
        value = value[key]
    return value


def complaint(read: Callable[[], object]) -> str | None:
    """Return the message of the ScenarioError that a reading raises, or None when it succeeds."""
    try:
        read()
    except ScenarioError as error:
        return str(error)
    return None
