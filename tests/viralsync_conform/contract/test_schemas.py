"""The spec as the kit judges by it: readings, marks, violations and what is new."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.results import spec

from viralsync_conform.contract.schemas import EVENT_STREAM, JSON, MAX_JUDGED, ExpectedSpec
from viralsync_conform.findings import Provenance
from viralsync_mock.config.behaviour import BehaviourProfile

CONTRACT = ExpectedSpec(spec())
EXAMPLES = spec().document["components"]["examples"]
DONE, FAILED = EXAMPLES["doneJob"]["value"], EXAMPLES["failedJob"]["value"]
EVENT = {"jobId": "job_1", "status": "running", "phase": "planning", "progress": 0.1, "outputUrl": None,
         "timestamp": "2026-01-01T00:00:00.000Z"}  # fmt: skip


def broken(
    value: Any, component: str = "Job", contract: ExpectedSpec = CONTRACT
) -> list[tuple[str, str, str, Provenance]]:
    return [(v.place, v.keyword, v.name, v.mark) for v in contract.component(component).violations(value)]


def without(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key != name}


@pytest.mark.parametrize("name", ["queuedJob", "renderingJob", "doneJob", "failedJob", "cancelledJob", "sceneChildJob"])
def test_the_examples_of_the_spec_break_nothing(name: str) -> None:
    """A clean control: the schema finds neither a violation nor anything new in what the spec shows."""
    assert broken(EXAMPLES[name]["value"]) == []
    assert list(CONTRACT.component("Job").additions(EXAMPLES[name]["value"])) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (without(DONE, "progress"), ("", "required", "progress", Provenance.DOCUMENTED)),
        (without(DONE, "mediaData"), ("", "required", "mediaData", Provenance.SAMPLED)),
        ({**DONE, "progress": 1.5}, ("/progress", "maximum", "", Provenance.DOCUMENTED)),
        ({**DONE, "status": "finished"}, ("/status", "enum", "", Provenance.DOCUMENTED)),
        (
            {**DONE, "mediaData": {**DONE["mediaData"], "width": "wide"}},
            ("/mediaData/width", "type", "", Provenance.SAMPLED),
        ),
        ({**DONE, "mediaData": 3}, ("/mediaData", "anyOf", "", Provenance.SAMPLED)),
        ({**DONE, "phase": "resting"}, ("/phase", "enum", "", Provenance.DOCUMENTED)),
        ({**DONE, "createdAt": "yesterday"}, ("/createdAt", "format", "", Provenance.SAMPLED)),
    ],
)
def test_a_violation_names_its_place_and_its_mark(value: object, expected: tuple[str, str, str, Provenance]) -> None:
    """The mark is that of the part of the spec which is broken, not of the whole."""
    assert expected in broken(value)


def test_places_do_not_tell_items_apart() -> None:
    """What is wrong with one job of a page is wrong with all: it is one finding, not a hundred."""
    page = {"jobs": [without(DONE, "status"), without(FAILED, "status")], "nextCursor": None}
    schema = CONTRACT.schema("listJobs", 200, JSON)
    assert schema is not None
    assert {violation.place for violation in schema.violations(page)} == {"/jobs/*"}


def test_what_nobody_documented_is_an_addition_and_no_violation() -> None:
    """A new field is additive drift at any depth: clients must ignore it."""
    new = {**DONE, "etag": "x", "mediaData": {**DONE["mediaData"], "codec": "h264"}}
    assert broken(new) == []
    assert sorted(CONTRACT.component("Job").additions(new)) == [("", "etag"), ("/mediaData", "codec")]


def test_an_event_is_judged_by_the_kind_that_its_status_says() -> None:
    """Of four kinds the one is chosen that was meant, so that what is wrong has a name."""
    schema = CONTRACT.schema("streamJobProgress", 200, EVENT_STREAM)
    assert schema is not None
    assert list(schema.violations(EVENT)) == []
    assert [v.name for v in schema.violations(without(EVENT, "phase"))] == ["phase"]
    done = {**without(EVENT, "phase"), "status": "done", "progress": 1, "outputUrl": "https://r2.example/a.mp4"}
    assert [v.name for v in schema.violations(done)] == ["mediaData"]
    assert list(schema.additions({**EVENT, "eta": 3})) == [("", "eta")]


def test_an_event_of_no_kind_is_a_violation() -> None:
    """A status that no kind has cannot slip through between them."""
    schema = CONTRACT.schema("streamJobProgress", 200, EVENT_STREAM)
    assert schema is not None
    assert list(schema.violations({**EVENT, "status": "paused"})) != []


def test_nothing_is_promised_of_an_answer_that_is_not_declared() -> None:
    """An unknown status has no schema, and is only assumed."""
    assert CONTRACT.schema("getJob", 418, JSON) is None
    assert CONTRACT.mark_of_status("getJob", 418) is Provenance.ASSUMED
    assert CONTRACT.mark_of_status("getJob", 404) is Provenance.DOCUMENTED


def test_the_reading_renames_the_key_of_the_list() -> None:
    """With `list.key: items` a page without `items` is broken, and `jobs` is new."""
    contract = CONTRACT.under_behaviour(BehaviourProfile(list_key="items"))
    schema = contract.schema("listJobs", 200, JSON)
    assert schema is not None
    assert list(schema.violations({"items": [DONE], "nextCursor": None})) == []
    old = {"jobs": [], "nextCursor": None}
    assert [v.name for v in schema.violations(old)] == ["items"]
    assert list(schema.additions({**old, "items": []})) == [("", "jobs")]


@pytest.mark.parametrize(
    ("operation", "behaviour"),
    [
        ("cancelJob", BehaviourProfile(cancel_response="empty")),
        ("deleteJob", BehaviourProfile(delete_response="empty")),
    ],
)
def test_the_reading_empties_an_answer(operation: str, behaviour: BehaviourProfile) -> None:
    """Where an operation answers without a body that is a 204, and no 200 is declared; the other one stays."""
    contract = CONTRACT.under_behaviour(behaviour)
    assert "content" not in contract.responses(operation)["204"]
    assert "200" not in contract.responses(operation)
    other = {"cancelJob": "deleteJob", "deleteJob": "cancelJob"}[operation]
    assert "204" not in contract.responses(other)


def test_the_reading_makes_jobs_of_events() -> None:
    """With `sse.payload: job` an event holds the whole job."""
    schema = CONTRACT.under_behaviour(BehaviourProfile(sse_payload="job")).schema(
        "streamJobProgress", 200, EVENT_STREAM
    )
    assert schema is not None
    assert list(schema.violations(DONE)) == []
    assert list(schema.violations(EVENT)) != []


def test_the_reading_moves_the_plan_limit() -> None:
    """The status of the code is that of the switch, and codes are known by the names of the profile."""
    contract = CONTRACT.under_behaviour(
        BehaviourProfile(plan_limit_status=403, errors={"job_not_found": "NO_SUCH_JOB"})
    )
    assert contract.status_of_code("PLAN_LIMIT_EXCEEDED") == 403
    assert contract.codes["NO_SUCH_JOB"] == "JOB_NOT_FOUND"
    assert CONTRACT.status_of_code("PLAN_LIMIT_EXCEEDED") == 402


def test_a_reading_leaves_the_spec_as_it_is() -> None:
    """Readings are copies: the same spec serves them all, and the same reading is the same contract."""
    CONTRACT.under_behaviour(BehaviourProfile(list_key="items", sse_payload="job", cancel_response="empty"))
    assert "jobs" in spec().document["components"]["schemas"]["JobPage"]["properties"]
    assert CONTRACT.under_behaviour(BehaviourProfile()) is CONTRACT


def test_of_a_long_value_only_the_beginning_is_judged() -> None:
    """Each error costs far more memory than its place in the body: there are as many as one can read."""
    page = CONTRACT.schema("listJobs", 200, JSON)
    assert page is not None
    found = list(page.violations({"jobs": [{}] * 100_000, "nextCursor": None}))
    assert len({violation.name for violation in found}) > 5
    assert 1000 <= len(found) < 2 * MAX_JUDGED
    assert list(page.violations({"jobs": [DONE] * 2000, "nextCursor": None})) == []
