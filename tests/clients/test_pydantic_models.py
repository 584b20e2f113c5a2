"""Models of datamodel-code-generator: strictly typed, they take the spec's examples and the answers of the mock."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.clients.test_generated_clients import SPEC_FILE, LiveServer, run

COMMAND = (
    *("datamodel-codegen", "--input", SPEC_FILE, "--output", "viralsync_models.py"),
    *("--input-file-type", "openapi"),  # else it tells what it takes the file for
    *("--formatters", "builtin"),  # the default today, named: the tool warns that it will change
)
ANNOTATED = ("--output-model-type", "pydantic_v2.BaseModel", "--use-annotated")
"""Mypy takes constraints as annotations only, whatever the spec."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Generate the models, check their types, and import them."""
    folder = tmp_path_factory.mktemp("models")
    run([*COMMAND, *ANNOTATED], folder)
    run(["mypy", "--strict", "--cache-dir", folder / "cache", "viralsync_models.py"], folder)
    made = importlib.util.spec_from_file_location("viralsync_models", folder / "viralsync_models.py")
    assert made is not None
    assert made.loader is not None
    module = sys.modules["viralsync_models"] = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    yield module
    del sys.modules["viralsync_models"]


def test_the_defaults_generate_without_a_warning(tmp_path: Path) -> None:
    """A module comes out that Python takes."""
    run(COMMAND, tmp_path)
    compile((tmp_path / "viralsync_models.py").read_text(), "viralsync_models.py", "exec")


def test_the_examples_of_the_spec_fit_the_models(models: Any) -> None:
    """Submissions and jobs keep every field that was given."""
    for name, example in yaml.safe_load(SPEC_FILE.read_text())["components"]["examples"].items():
        model = models.RenderJobSubmission if name.endswith("Submission") else models.Job
        given = json.loads(json.dumps(example["value"]))
        kept = model.model_validate(given).model_dump(mode="json", exclude_unset=True)
        assert kept.keys() == given.keys()


def test_a_job_is_followed_to_its_end(models: Any, live_server: LiveServer) -> None:
    """Submitted from a model; every event of the stream is of the kind that its status says."""
    movie = models.Movie(scenes=[models.Scene(id="only", duration=5)])
    body = models.RenderJobSubmission(kind="movie", projectId="proj_demo01", movie=movie)
    with httpx.Client(base_url=live_server.base_url, headers={"x-api-key": live_server.new_key()}) as client:
        document = body.model_dump(mode="json", exclude_none=True)
        job_id = models.SubmittedJob.model_validate(client.post("/v1/render/jobs", json=document).json()).jobId
        stream = client.get(f"/v1/jobs/{job_id}/progress").text
        job = models.Job.model_validate(client.get(f"/v1/jobs/{job_id}").json())
    read: Callable[[str], Any] = models.ProgressEvent.model_validate_json
    events = [read(line.removeprefix("data:")).root for line in stream.splitlines() if line.startswith("data:")]
    assert (type(events[0]), type(events[-1])) == (models.JobProgressEvent, models.JobDoneEvent)
    assert (job.status, job.mediaData.duration) == (models.JobStatus.done, 5)


def test_a_code_that_is_new_is_taken(models: Any) -> None:
    """The union of codes is open."""
    codes = [models.ErrorBody(error="x", code=code).code for code in ("RATE_LIMITED", "BRAND_NEW")]
    assert codes == ["RATE_LIMITED", "BRAND_NEW"]
