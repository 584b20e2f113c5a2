"""What the script has to say to a call: which scenario holds, which of its rules speaks, and which faults strike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viralsync_mock.api.asgi import parse_body
from viralsync_mock.errors import ApiError, ScenarioError
from viralsync_mock.jobs.views import parse_child_id

if TYPE_CHECKING:
    from viralsync_mock.api.call import Call
    from viralsync_mock.faults.http import Fault
    from viralsync_mock.scenarios.model import Respond, Scenario

PROJECT_PREFIX = "proj_mock_"
"""A `projectId` that begins so names a scenario: for clients whose headers cannot be changed."""

PROJECT_MARK = PROJECT_PREFIX.encode()


def resolve_scenario(call: Call) -> Scenario:
    """Return the first that applies: header, projectId, the job's own or its parent's, the sandbox's, the server's."""
    header = call.headers.get(b"x-mock-scenario")
    if header is not None:
        return _named(call, header.decode("latin-1"), "header", "header.x-mock-scenario")
    if call.body and PROJECT_MARK in call.body:
        project = parse_body(call, "projectId")
        if isinstance(project, str) and project.startswith(PROJECT_PREFIX):
            return _named(call, project.removeprefix(PROJECT_PREFIX), "projectId", "$.projectId")
    if job_id := call.job_id:
        job = call.sandbox.store.read((parse_child_id(job_id) or (job_id,))[0])
        if job is not None and job.scenario is not None:
            return _named(call, job.scenario, "job", "the job's scenario")
    if call.sandbox.scenario_override is not None:
        call.entry.chosen_by = "sandbox"
    return call.mock.scenario_of(call.sandbox)


def _named(call: Call, name: str, chosen_by: str, place: str) -> Scenario:
    """Return a shipped scenario; raises VALIDATION_ERROR with the nearest name."""
    call.entry.chosen_by = chosen_by
    try:
        return call.files.library.get(name)
    except ScenarioError as error:
        raise ApiError("VALIDATION_ERROR", violations=f"{place}: {error}") from None


def match_rules(call: Call) -> tuple[Respond | None, tuple[Fault, ...]]:
    """Return what takes the handler's place, if anything, and the faults that strike, the outermost first."""
    if not call.scenario.rules and call.sandbox.armed is None and b"x-mock-fault" not in call.headers:
        return None, ()
    from viralsync_mock.api.matching import (
        match_rules_and_faults,  # imported here: most servers start faster than they need a fault
    )

    return match_rules_and_faults(call)
