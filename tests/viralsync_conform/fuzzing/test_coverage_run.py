"""The calls that Schemathesis makes up: which are sent, and what is said of the answers."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from itertools import chain

import httpx2
import pytest
from tests.support.fake_target import Api, answer, found, refusal, run_of, trip_of
from tests.support.results import spec

from viralsync_conform.budget import Budget
from viralsync_conform.findings import Provenance
from viralsync_conform.fuzzing import coverage_run as generated
from viralsync_conform.fuzzing.coverage_cases import GeneratedCase, all_cases
from viralsync_mock.validation.schema import Schema

DONE = spec().document["components"]["examples"]["doneJob"]["value"]
JOB = "job_0123456789ab"


def case(operation: str, *, is_negative: bool, place: str = "") -> GeneratedCase:
    """Return the first case of an operation that is about a place of the spec."""
    return next(
        each
        for each in all_cases()
        if each.operation == operation and each.is_negative == is_negative and each.place.startswith(place)
    )


def test_cases_of_every_operation_that_may_be_tried_are_made_up() -> None:
    """Jobs are submitted, cancelled and deleted by hand only; what is invalid may be tried everywhere else."""
    assert {each.operation for each in all_cases()} >= {"submitRenderJob", "listJobs", "getJob"}
    assert {each.operation for each in all_cases() if not each.is_negative} & {
        "submitRenderJob", "cancelJob", "deleteJob",
    } == set()  # fmt: skip
    assert not any(each.operation in {"cancelJob", "deleteJob"} for each in all_cases())


def test_no_case_brings_a_key_or_another_method() -> None:
    """The run authenticates by itself, and methods that are not there have a journey of their own."""
    for each in all_cases():
        assert {"x-api-key", "authorization"}.isdisjoint(name.lower() for name in each.headers)
        assert each.method == spec().operations[each.operation].method


def test_the_seed_chooses_the_cases() -> None:
    """The same seed sends the same, another one others; on a mock each kind comes, before any comes twice."""
    run, again, other = run_of(Api()), run_of(Api()), run_of(Api())
    other.seed = "8"
    for each in (run, again, other):
        each.target.has_control = True
    assert generated.select_cases(run) == generated.select_cases(again) != generated.select_cases(other)
    first = [each.subject for each in generated.select_cases(run)]
    kinds = {each.subject for each in all_cases()}
    assert set(first[: len(kinds)]) == kinds
    assert len(first) == max(run.profile.generated_cases, len(kinds))


def test_a_real_target_gets_no_made_up_submission() -> None:
    """Their bodies have more than one flaw: `boundaries` tries one at a time."""
    assert "submitRenderJob" not in {each.operation for each in generated.select_cases(run_of(Api()))}


def test_a_run_that_reads_only_makes_up_no_submission() -> None:
    """Not even an invalid one: a target that took it for valid would render it."""
    chosen = generated.select_cases(run_of(Api(), profile="quick"))
    assert chosen
    assert "submitRenderJob" not in {each.operation for each in chosen}


def test_an_invalid_submission_has_one_flaw_for_a_strict_server_too() -> None:
    """A server that takes no empty text and no scene of nearly nothing refuses nothing but the flaw."""
    document = deepcopy(spec().document)
    schemas = document["components"]["schemas"]
    for name, part in chain.from_iterable(schemas[each]["properties"].items() for each in ("Movie", "Scene")):
        if "string" in part.get("type", ()) and "pattern" not in part:
            part["minLength"] = 1
        if name == "duration":
            part["minimum"] = 0.01
    schema = Schema(schemas["RenderJobSubmission"], document)
    cases = [each for each in all_cases() if each.operation == "submitRenderJob"]
    places = {c.title: {v.location for v in schema.violations(generated.body_of(c.content))} for c in cases}
    assert len(places) > 30
    assert {title: flawed for title, flawed in places.items() if len(flawed) > 1} == {}


def test_each_case_is_sent_once() -> None:
    """What filled the window needs no second time."""
    context = trip_of(Api(), budget=Budget(99, 60.0))
    first = generated.unsent_cases(context.run)[0]
    generated.send(context, first)
    assert first not in generated.unsent_cases(context.run)
    assert len(generated.unsent_cases(context.run)) == len(generated.select_cases(context.run)) - 1


@pytest.mark.parametrize("operation", ["listJobs", "submitRenderJob"])
def test_invalid_data_that_is_accepted_is_found(operation: str) -> None:
    """No case is in vain: of each that is sent, an answer of success is noticed, and a refusal is none."""
    tried = {
        each.subject: each
        for each in all_cases()
        if each.operation == operation and each.is_negative and "content_type" not in each.scenario
    }
    assert tried
    for each in tried.values():
        context = trip_of(lambda _: answer(200, {}), budget=Budget(99, 600.0))
        generated.send(context, each)
        assert "negative_data_rejection" in {check for _, check in found(context.run)}, each.title
        context = trip_of(lambda _: refusal(400, "VALIDATION_ERROR"), budget=Budget(99, 600.0))
        generated.send(context, each)
        assert found(context.run) == []
        assert context.run.asserted[generated.REFUSED] == 1


def test_the_category_is_that_of_the_constraint() -> None:
    """That `kind` is needed is documented; how a parameter is refused is assumed."""
    for operation, place, category in (
        ("listJobs", "limit", "difference"),
        ("submitRenderJob", "/properties/kind", "failure"),
    ):
        context = trip_of(lambda _: answer(202, {}), budget=Budget(99, 600.0))
        generated.send(context, case(operation, is_negative=True, place=place))
        assert (category, "negative_data_rejection") in found(context.run)


def test_valid_data_that_is_refused_is_found() -> None:
    """A refusal of what the spec allows is told with what was tried."""
    context = trip_of(Api({"GET /v1/jobs": [refusal(400, "VALIDATION_ERROR")]}))
    tried = case("listJobs", is_negative=False)
    generated.send(context, tried)
    (finding,) = [each for each in context.run.findings if each.check == "positive_data_acceptance"]
    assert tried.title in finding.message
    context = trip_of(Api())
    generated.send(context, tried)
    assert "positive_data_acceptance" not in {check for _, check in found(context.run)}


@pytest.mark.parametrize("odd", [refusal(401, "UNAUTHORIZED"), refusal(503, "SERVICE_UNAVAILABLE")])
def test_an_outage_proves_nothing(odd: httpx2.Response) -> None:
    """A 401 or a 5xx neither accepts nor refuses the data."""
    context = trip_of(Api({"GET /v1/jobs": [odd]}))
    generated.send(context, case("listJobs", is_negative=True))
    assert not {"negative_data_rejection", "positive_data_acceptance"} & {check for _, check in found(context.run)}
    assert context.run.asserted[generated.REFUSED] == 0


def test_an_invalid_submission_that_is_accepted_is_cancelled_at_once() -> None:
    """What it could cost was reserved before, and is given back when the cancel succeeds."""
    cancelled = spec().document["components"]["examples"]["cancelledJob"]["value"]
    api = Api({
        "POST /v1/render/jobs": [answer(202, {"jobId": JOB, "status": "queued"})],
        f"POST /v1/jobs/{JOB}/cancel": [answer(200, {**cancelled, "jobId": JOB})],
    })  # fmt: skip
    context = trip_of(api, budget=Budget(99, 60.0))
    generated.send(context, case("submitRenderJob", is_negative=True, place="/properties/kind"))
    assert api.routes == ["POST /v1/render/jobs", f"POST /v1/jobs/{JOB}/cancel", f"DELETE /v1/jobs/{JOB}"]
    assert ("failure", "negative_data_rejection") in found(context.run)
    assert context.run.budget.reserved == pytest.approx(0.0)


def test_what_could_cost_too_much_is_not_sent() -> None:
    """A made-up movie of an hour is not tried on an account that somebody pays for."""
    long = replace(
        case("submitRenderJob", is_negative=True), content=b'{"movie": {"scenes": [{"id": "a", "duration": 3600}]}}'
    )
    context = trip_of(Api())
    assert not generated.is_affordable(context, long)
    assert generated.is_affordable(context, replace(long, content=b"no JSON"))
    assert generated.is_affordable(context, case("getJob", is_negative=True))
    context.account = replace(context.account, is_main=False)
    assert generated.is_affordable(context, long)


@pytest.mark.parametrize(
    ("place", "mark"),
    [
        ("/properties/kind", Provenance.DOCUMENTED),
        ("/properties/movie/properties/fps", Provenance.DOCUMENTED),
        ("/properties/movie/allOf/0/properties/scenes/items/properties/duration", Provenance.SAMPLED),
        ("/nowhere/at/all", Provenance.DOCUMENTED),
        ("limit", Provenance.ASSUMED),
        ("", Provenance.ASSUMED),
    ],
)
def test_the_mark_is_that_of_the_constraint(place: str, mark: Provenance) -> None:
    """The nearest mark above the place that a case is about; of parameters only an assumption."""
    assert generated.mark_of(run_of(Api()), replace(case("submitRenderJob", is_negative=True), place=place)) is mark
