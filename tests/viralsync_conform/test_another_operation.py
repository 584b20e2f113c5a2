"""An operation that is added to the spec is tried by what its `x-effect` says: no module of the kit knows its name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.paths import ROOT

from viralsync_conform import conformance
from viralsync_conform.conformance import Options, conform
from viralsync_conform.findings import Verdict
from viralsync_mock.api import handlers, pipeline
from viralsync_mock.api.call import Call
from viralsync_mock.app import create_app
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.response import Response
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings, shipped

RETRY = """  /v1/jobs/{jobId}/retry:
    parameters:
      - $ref: '#/components/parameters/JobId'
    post:
      operationId: retryJob
      tags: [Jobs]
      summary: Render a job again
      x-effect: {kind: creates, jobId: '$response.body#/jobId'}
      description: Submits the movie of a job once more.
      x-provenance: {mark: D, source: /api-reference/jobs}
      responses:
        '202':
          description: The new job.
          x-provenance: {mark: D, source: /api-reference/jobs}
          content:
            application/json:
              schema: {$ref: '#/components/schemas/SubmittedJob'}
        '401': {$ref: '#/components/responses/Unauthorized'}
        '403': {$ref: '#/components/responses/Forbidden'}
        '404': {$ref: '#/components/responses/JobNotFound'}
        '405': {$ref: '#/components/x-responses/MethodNotAllowed'}
        '413': {$ref: '#/components/responses/PayloadTooLarge'}
        '429': {$ref: '#/components/responses/RateLimited'}
        '500': {$ref: '#/components/responses/InternalError'}
        '503': {$ref: '#/components/responses/ServiceUnavailable'}
"""


async def retry_job(call: Call) -> Response:
    """Submit what an older job was submitted with."""
    again = handlers.find_job(call.sandbox, call.path_parameters["jobId"]).job
    call.document = {"kind": "movie", **json.loads(again.payload)}
    return await handlers.submit_render_job(call)


@pytest.fixture
def spec_with_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the spec with one operation more, which the mock of this test carries out."""
    text = shipped("openapi.yaml").read_text()
    copy = tmp_path / "openapi.yaml"
    copy.write_text(text.replace("  /v1/me:\n", f"{RETRY}  /v1/me:\n", 1))
    monkeypatch.setattr(pipeline, "HANDLERS", {**handlers.HANDLERS, "retryJob": retry_job})
    monkeypatch.setattr(conformance, "_spec", lambda: load_spec(copy))
    conformance._contract.cache_clear()
    return copy


def test_a_new_operation_that_creates_jobs_conforms(spec_with_retry: Path) -> None:
    """Guard, budget, clean-up and completeness ask for its effect: the run is green, and leaves nothing behind."""
    with BackgroundServer(create_app(Settings(spec=spec_with_retry))) as server:
        result = conform(Options(target=server.base_url, has_fidelity=False, max_requests=499))
    conformance._contract.cache_clear()
    calls = [call for call in result.calls if call.operation == "retryJob" and call.is_success]
    assert [f"{each.check}: {each.message} {each.place} {each.name} {each.got}" for each in result.findings] == []
    assert (result.verdict, result.unclean, len(calls)) == (Verdict.CONFORMS, (), 1)


HANDLER = '''async def retry_job(call: Call) -> Response:
    """Submit what an older job was submitted with."""
    import json

    call.document = {"kind": "movie", **json.loads(find_job(call.sandbox, call.path_parameters["jobId"]).job.payload)}
    return await submit_render_job(call)


HANDLERS: Mapping'''


@pytest.mark.slow  # a whole run of the command, and one of its canary
def test_a_copy_with_another_operation_conforms_and_its_canary_is_noticed(tmp_path: Path) -> None:
    """Two files are changed, the spec and the handlers; `conform` ends with 0, and still notices a wrong server."""
    for name in ("mockserver", "contract_tests", "fixtures"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "openapi.yaml").read_text()
    (tmp_path / "openapi.yaml").write_text(text.replace("  /v1/me:\n", f"{RETRY}  /v1/me:\n", 1))
    module = tmp_path / "mockserver" / "viralsync_mock" / "api" / "handlers.py"
    source = module.read_text().replace("HANDLERS: Mapping", HANDLER, 1)
    module.write_text(source.replace('"getMe": get_me,', '"retryJob": retry_job, "getMe": get_me,', 1))
    folders = os.pathsep.join(str(tmp_path / name) for name in ("mockserver", "contract_tests"))
    ended = subprocess.run(
        [sys.executable, "-m", "viralsync_mock", "conform", "--report-dir", str(tmp_path / "report")],
        env={**os.environ, "PYTHONPATH": folders}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (ended.returncode, report["canary"]["is_caught"]) == (0, True), ended.stdout
    assert "/retry" in (tmp_path / "report" / "traffic.har").read_text()
