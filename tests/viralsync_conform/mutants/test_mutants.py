"""Mutants: each deviates from the mock, each in its own way, the same way in every run; the control API stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpserver import HTTPServer
from tests.support.mutant_sequences import MOVIE, STORIES, Story, told

from viralsync_conform.mutants import BEHAVIOUR, BEHAVIOUR_MUTANTS, INDEPENDENT, KIT, MECHANICAL, Mutant, serving
from viralsync_conform.mutants.catalogue.declared import permitted_names
from viralsync_conform.mutants.derived.mutations import mechanical_mutants, sample
from viralsync_conform.mutants.engine.spec_edits import put
from viralsync_conform.mutants.measuring import all_mutants
from viralsync_conform.mutants.mutant import READING
from viralsync_conform.mutants.score import UNDETECTABLE
from viralsync_mock.client import Sandbox
from viralsync_mock.config.behaviour import SWITCHES
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.settings import shipped

KEY = "vs_prod_" + "3c" * 16
NO_DEVIATION = Mutant("clean", "Nothing.", BEHAVIOUR, "nothing")
THEMES = list(dict.fromkeys(STORIES.values()))


@pytest.fixture(scope="module")
def mechanical() -> tuple[Mutant, ...]:
    """Return the mutants that follow from the shipped spec."""
    return mechanical_mutants(load_spec(shipped("openapi.yaml")))


@pytest.fixture(scope="module")
def clean() -> dict[Story, list[Any]]:
    """Return what the mock tells in each story, filled in as it is asked for."""
    return {}


@pytest.fixture
def named(mechanical: tuple[Mutant, ...]) -> dict[str, Mutant]:
    """Return all mutants by name."""
    return {mutant.name: mutant for mutant in (*BEHAVIOUR_MUTANTS, *mechanical)}


@pytest.fixture
def served(request: pytest.FixtureRequest, named: dict[str, Mutant]) -> Iterator[Sandbox]:
    """Yield the sandbox of a key, on a frozen clock, at the mutant that the test names."""
    with serving(named[request.param]) as url, Sandbox(url, KEY) as sandbox:
        yield sandbox.open(clock="frozen")


def call(sandbox: Sandbox, method: str, path: str, **options: Any) -> httpx.Response:
    headers = {**sandbox.headers, **options.pop("headers", {})}
    return httpx.request(method, f"{sandbox.base_url}{path}", headers=headers, trust_env=False, **options)


def test_each_assumption_has_a_counter_mutant() -> None:
    """Every switch, every assumed code and every assumed property is met in another reading."""
    names = {name for name, mutant in all_mutants().items() if mutant.is_permitted}
    sections = {each.metadata["key"].split(".")[0] for each in SWITCHES.values()}
    behaviour = [mutant.behaviour for mutant in all_mutants().values() if mutant.behaviour is not None]
    assert sections | {"errors"} == {section for each in behaviour for section in each}
    assert {
        "code-of-not-found",
        "optional-scene-duration",
        "no-null-in-movie-title",
        "get-usage-200-drop-plan",
    } <= names


@pytest.mark.parametrize(
    "name", ["get-me-200-drop-email", "list-jobs-200-drop-jobs", "get-job-404-retype-code", "webhook-unsigned"]
)
def test_what_breaks_a_documented_fact_is_no_counter_mutant(name: str) -> None:
    """A property that a page states, or that holds one, may not be missing."""
    assert not all_mutants()[name].is_permitted


def test_what_is_listed_as_permitted_exists() -> None:
    """No name is left over from a mutant that is gone, and those that are only readings keep their own source."""
    assert permitted_names() == {each.name for each in BEHAVIOUR_MUTANTS if each.is_permitted}
    readings = [each for each in all_mutants().values() if each.source == READING]
    assert len(readings) > 100
    assert all(each.is_permitted and re.fullmatch(r"\S.*\.", each.statement) for each in readings)


def test_names_are_unique_words_and_statements_are_sentences(
    named: dict[str, Mutant], mechanical: tuple[Mutant, ...]
) -> None:
    """A table of mutants can be read: no name comes twice, and each statement is a sentence."""
    assert len(named) == len(BEHAVIOUR_MUTANTS) + len(mechanical)
    assert [name for name in named if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)] == []
    assert [each.statement for each in named.values() if not re.fullmatch(r"\S.*\.", each.statement)] == []


def test_there_are_hundreds_from_both_sources(mechanical: tuple[Mutant, ...]) -> None:
    """Both sources are rich, and each mutant says where it comes from and what it is about."""
    assert len(BEHAVIOUR_MUTANTS) >= 600
    assert len([each for each in BEHAVIOUR_MUTANTS if each.origin == INDEPENDENT]) >= 200
    assert len(mechanical) >= 800
    assert {(m.source, bool(m.subject)) for m in (*BEHAVIOUR_MUTANTS, *mechanical)} == {
        (BEHAVIOUR, True),
        (MECHANICAL, True),
    }


def test_what_is_called_unobservable_exists(named: dict[str, Mutant]) -> None:
    """No excuse is left over from a mutant that is gone."""
    assert set(UNDETECTABLE) <= set(named)


@pytest.mark.parametrize("story", THEMES, ids=lambda story: story.__name__)
async def test_without_a_deviation_a_mutant_is_the_mock(story: Story, tmp_path: Path) -> None:
    """What stands between the client and the mock changes nothing by itself, not one byte."""
    assert await told(story, NO_DEVIATION, tmp_path) == await told(story, None, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [m for m in BEHAVIOUR_MUTANTS if m.origin == KIT], ids=lambda mutant: mutant.name)
async def test_a_mutant_deviates(mutant: Mutant, clean: dict[Story, list[Any]], tmp_path: Path) -> None:
    """The story of its theme goes otherwise than on the mock."""
    story = STORIES[mutant.subject]
    if story not in clean:
        clean[story] = await told(story, None, tmp_path)
    assert await told(story, mutant, tmp_path) != clean[story]


async def test_a_mutant_does_the_same_in_every_run(tmp_path: Path) -> None:
    """A mutant with a memory remembers nothing from one server to the next."""
    mutant = next(each for each in BEHAVIOUR_MUTANTS if each.name == "cursor-repeats")
    story = STORIES[mutant.subject]
    assert await told(story, mutant, tmp_path) == await told(story, mutant, tmp_path)


def test_the_same_spec_gives_the_same_mutants(mechanical: tuple[Mutant, ...]) -> None:
    """Mechanical mutants come in the same order each time, so that a seed draws the same ones."""
    again = mechanical_mutants(load_spec(shipped("openapi.yaml")))
    assert again == mechanical
    assert sample(again, "7", 30) == sample(mechanical, "7", 30)


def test_a_sample_is_drawn_by_its_seed(mechanical: tuple[Mutant, ...]) -> None:
    """As many as were asked for, others for another seed, all for more than there are."""
    assert len(sample(mechanical, "1", 30)) == 30
    assert sample(mechanical, "1", 30) != sample(mechanical, "2", 30)
    assert sample(mechanical, "1", 10_000) == mechanical


SERVED = ("job-never-ends", "accepts-fps-61", "webhook-twice", "window-fixed", "get-me-200-drop-email")


@pytest.mark.parametrize("served", SERVED, indirect=True)
def test_the_control_api_passes_through(served: Sandbox) -> None:
    """Whatever a mutant does, it says that it is up, and its clock can be driven."""
    assert call(served, "GET", "/__mock/health").json()["status"] == "ok"
    before = served.clock.now
    served.clock.advance(30)
    assert (served.clock.now - before).total_seconds() == 30


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        ("get-me-200-drop-email", {"plan": "pro"}),
        ("get-me-200-retype-email", {"plan": "pro", "email": 17}),
        ("get-me-200-null-email", {"plan": "pro", "email": None}),
        ("get-me-200-add-to", {"plan": "pro", "email": "user_f1@example.com", "surprise": "new"}),
    ],
    indirect=["served"],
)
def test_a_mechanical_mutant_changes_one_property(served: Sandbox, expected: dict[str, Any]) -> None:
    """One property is missing, of another type, null, or there is one more; all else is as it was."""
    served.account(email="user_f1@example.com")
    document = call(served, "GET", "/v1/me").json()
    assert document.pop("userId").startswith("user_")
    assert document == expected


@pytest.mark.parametrize("served", ["get-me-200-as-201"], indirect=True)
def test_a_mechanical_mutant_changes_a_status(served: Sandbox) -> None:
    """One status of one operation is another; the others stay."""
    assert call(served, "GET", "/v1/me").status_code == 201
    assert call(served, "GET", "/v1/usage").status_code == 200


@pytest.mark.parametrize("served", ["get-me-401-as-text-html"], indirect=True)
def test_a_mechanical_mutant_changes_a_content_type(served: Sandbox) -> None:
    """One answer is called a page."""
    answer = call(served, "GET", "/v1/me", headers={"x-api-key": "none"})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "text/html")


@pytest.mark.parametrize("served", ["get-me-405-without-allow"], indirect=True)
def test_a_mechanical_mutant_drops_a_header(served: Sandbox) -> None:
    """What a 405 has to say is missing on this path only."""
    assert "allow" not in call(served, "PUT", "/v1/me").headers
    assert "allow" in call(served, "PUT", "/v1/usage").headers


@pytest.mark.parametrize("served", ["stream-job-progress-200-done-drop-media-data"], indirect=True)
def test_a_mechanical_mutant_changes_events_of_one_kind(served: Sandbox) -> None:
    """The terminal event is changed over a real stream, and the stream still ends."""
    job = call(served, "POST", "/v1/render/jobs", json=MOVIE).json()["jobId"]
    served.clock.auto()
    text = call(served, "GET", f"/v1/jobs/{job}/progress").text
    assert '"status":"done"' in text
    assert "mediaData" not in text


@pytest.mark.parametrize("served", ["stream-never-closes"], indirect=True)
def test_a_stream_that_never_closes_lets_the_client_go(served: Sandbox) -> None:
    """The client leaves when it has waited long enough, and the server goes on."""
    job = call(served, "POST", "/v1/render/jobs", json=MOVIE).json()["jobId"]
    call(served, "POST", f"/v1/jobs/{job}/cancel")
    with pytest.raises(httpx.ReadTimeout):
        call(served, "GET", f"/v1/jobs/{job}/progress", timeout=0.2)
    assert call(served, "GET", "/v1/me").status_code == 200


@pytest.mark.parametrize("served", ["webhook-put"], indirect=True)
def test_webhooks_go_out_with_another_method(served: Sandbox, httpserver: HTTPServer) -> None:
    """What a mutant sends reaches a real receiver."""
    httpserver.expect_request("/hook", method="PUT").respond_with_data("")
    call(served, "POST", "/v1/render/jobs", json={**MOVIE, "callbackUrl": httpserver.url_for("/hook")})
    served.clock.advance(30)
    assert {request.method for request, _ in httpserver.log} == {"PUT"}


@pytest.mark.parametrize("served", ["job-never-ends"], indirect=True)
def test_a_mutant_forgets_a_sandbox_that_begins_anew(served: Sandbox) -> None:
    """A sandbox that is opened again is empty."""
    call(served, "POST", "/v1/render/jobs", json=MOVIE)
    served.open(clock="frozen")
    assert call(served, "GET", "/v1/jobs").json() == {"jobs": [], "nextCursor": None}


def test_an_edit_of_the_spec_must_change_something() -> None:
    """A place that the spec does not have is an error, not a mutant that does nothing."""
    with pytest.raises(KeyError, match="no such place"):
        put("x-plans.pro.jobsAtonce", 4)({"x-plans": {"pro": {"jobsAtOnce": 3}}})


def test_every_edit_of_the_spec_changes_the_shipped_one() -> None:
    """When a place of the spec moves, the mutants that change it move with it."""
    document = load_spec(shipped("openapi.yaml")).document
    for mutant in all_mutants().values():
        if mutant.edit_spec is not None:
            edited = deepcopy(document)
            mutant.edit_spec(edited)
            assert edited != document, mutant.name
