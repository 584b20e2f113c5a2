"""Copies of the spec that differ in legal ways are served, or refused at the start with the reason and its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.conftest import LiveServer, movie, shipped

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode
from viralsync_mock.errors import SpecError
from viralsync_mock.settings import Settings

TEXT = shipped("openapi.yaml").read_text()
SUBMIT = "/v1/render/jobs"
TOYS = """
  /v1/toys:
    get:
      operationId: listToys
      responses:
        '200':
          description: Toys
          content:
            application/json:
              schema: {type: object, required: [name], properties: {name: {type: string, pattern: '%s'}}}

webhooks:
"""
Start = Callable[..., LiveServer]


@pytest.fixture
def start(start_mock: Callable[[Settings], LiveServer], tmp_path: Path) -> Start:
    """Return a function that serves a text as a spec; it may not break its own spec."""

    def started(text: str) -> LiveServer:
        path = tmp_path / "openapi.yaml"
        path.write_text(text)
        return start_mock(Settings(spec=path, clock=Mode.AUTO, check_answers=True))

    return started


def changed(old: str, new: str, count: int = -1) -> str:
    """Return the spec with one text in place of another."""
    assert old in TEXT
    return TEXT.replace(old, new, count)


def refusal(text: str, folder: Path) -> str:
    """Return why a copy is refused, without the folder."""
    path = folder / "openapi.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        create_app(Settings(spec=path))
    return str(caught.value).removeprefix(f"{folder}/")


def whole_life(client: httpx.Client) -> list[int]:
    """Call every operation of the API, and return the statuses."""
    job = f"/v1/jobs/{client.post(SUBMIT, json=movie()).json()['jobId']}"
    other = f"/v1/jobs/{client.post(SUBMIT, json=movie()).json()['jobId']}"
    calls = [
        *(("POST", f"{other}/cancel"), ("GET", job), ("GET", f"{job}/progress"), ("GET", "/v1/jobs?limit=1")),
        *(("DELETE", job), ("GET", "/v1/me"), ("GET", "/v1/usage")),
    ]
    return [client.request(method, path).status_code for method, path in calls]


def test_another_name_of_a_path_parameter_is_served(start: Start) -> None:
    """A parameter is known by its place: `x-effect` says which one names the job."""
    text = (
        TEXT.replace("/{jobId}", "/{job_id}", 3)
        .replace("name: jobId", "name: job_id")
        .replace("path.jobId", "path.job_id")
    )
    with start(text).client() as client:
        assert whole_life(client) == [200] * 7
        assert client.get("/v1/jobs/job_none").json()["error"] == "Job job_none was not found."


def test_another_name_is_served_without_x_effect(start: Start) -> None:
    """The only parameter of a path names the job where nothing else says so."""
    text = TEXT.replace("/{jobId}", "/{job_id}", 3).replace("name: jobId", "name: job_id")
    with start(re.sub(r" +x-effect: .*\n", "", text)).client() as client:
        assert whole_life(client) == [200] * 7


def test_a_renamed_parameter_that_x_effect_does_not_follow_is_refused(tmp_path: Path) -> None:
    """The complaint names the place that was forgotten."""
    told = refusal(TEXT.replace("/{jobId}", "/{job_id}", 3).replace("name: jobId", "name: job_id"), tmp_path)
    assert re.match(r"openapi.yaml:\d+: \$.paths\[.*x-effect.jobId: expected \$request.path.job_id, got ", told)


@pytest.mark.parametrize("pattern", [r"^\p{L}{3}$", r"^(?=.*\d)[a-z\d]{6}$"])
def test_a_pattern_in_the_dialect_of_json_schema_is_generated(start: Start, pattern: str) -> None:
    """An operation that no example describes answers with a text that matches."""
    with start(changed("\nwebhooks:\n", TOYS % pattern)).client() as client:
        assert client.get("/v1/toys").status_code == 200


def test_a_pattern_that_cannot_be_generated_is_refused_with_its_place(tmp_path: Path) -> None:
    """At the start, not at the first call, and with the way out."""
    text = changed("\nwebhooks:\n", TOYS % r"^(a)\1$")
    line = text[: text.index(r"^(a)\1$")].count("\n") + 1
    told = refusal(text, tmp_path)
    assert told.startswith(f'openapi.yaml:{line}: $.paths["/v1/toys"].get.responses["200"]')
    assert r"\1 is not supported" in told
    assert "add an `example`" in told


def test_an_address_of_outputs_without_the_job_is_refused(tmp_path: Path) -> None:
    """It would be filled in when the first job is done."""
    assert "$.x-output-url.template: expected" in refusal(changed("outputs/{jobId}/", "outputs/{job_id}/"), tmp_path)
