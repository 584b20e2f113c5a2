"""What an editor or a page needs: the spec, the shipped files, and checks without consequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

from viralsync_mock.control.request import JsonResponse
from viralsync_mock.errors import ApiError, ScenarioError, did_you_mean
from viralsync_mock.inspection.nearest_valid import nearest_body
from viralsync_mock.scenarios.loader import parse_armed, parse_scenario, parse_scenario_text
from viralsync_mock.settings import shipped
from viralsync_mock.validation.validator import JSON, ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from viralsync_mock.control.request import ControlRequest

SUBMISSION = "submitRenderJob"


async def get_spec(request: ControlRequest) -> Response:
    """GET /__mock/spec: the spec of the API as JSON, or the document of the control API."""
    is_control = request.parameters["of"] == "control"
    return JsonResponse((request.validator.spec if is_control else request.spec).document)


async def get_scenario_schema(_request: ControlRequest) -> Response:
    """GET /__mock/scenario.schema.json: the format of scenarios."""
    return Response(shipped("fixtures/scenario.schema.json").read_bytes(), media_type=JSON)


async def list_movies(_request: ControlRequest) -> Response:
    """GET /__mock/movies: the shipped submissions."""
    files = sorted(shipped("fixtures/movies").glob("*.json"))
    return JsonResponse({"movies": [{"name": each.stem, "body": orjson.loads(each.read_bytes())} for each in files]})


async def read_scenario(request: ControlRequest) -> Response:
    """GET /__mock/scenarios/{name}: a shipped scenario as YAML."""
    names, name = request.mock.files.library.names(), request.path_params["name"]
    if name not in names:
        raise ApiError("SCENARIO_NOT_FOUND", name=name, hint=did_you_mean(name, names))
    return Response(shipped(f"fixtures/scenarios/{name}.yaml").read_bytes(), media_type="application/yaml")


async def check(request: ControlRequest) -> Response:
    """POST /__mock/check: what is wrong with a scenario, faults or a submission. Nothing changes."""
    [(what, given)] = request.document.items()
    return JsonResponse({"problems": [], **CHECKS[what](request, given)})


def _check_scenario(request: ControlRequest, given: Any) -> dict[str, Any]:
    try:
        if isinstance(given, str):
            scenario = parse_scenario_text(given, request.spec)
        else:
            scenario = parse_scenario(given, request.spec, "", ())
    except ScenarioError as error:
        return {"problems": str(error).splitlines()}
    return {"document": scenario.document}


def _check_faults(request: ControlRequest, given: Any) -> dict[str, Any]:
    try:
        parse_armed(given, request.spec, ("faults",))
    except ScenarioError as error:
        return {"problems": str(error).splitlines()}
    return {}


def _check_submission(request: ControlRequest, given: Any) -> dict[str, Any]:
    validator, operation, raw = request.mock.files.validator, request.spec.operations[SUBMISSION], orjson.dumps(given)
    try:
        validator.body(operation, raw, JSON, require_content_type=False)
    except ValidationFailed as error:
        return {
            "problems": [str(each) for each in error.violations],
            "nearest": nearest_body(validator, operation, raw),
        }
    return {}


CHECKS: dict[str, Callable[[ControlRequest, Any], dict[str, Any]]] = {
    "scenario": _check_scenario,
    "faults": _check_faults,
    "submission": _check_submission,
}
