"""What the control API tells of the API's states: which the client of a sandbox has met, and which not."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from viralsync_mock.journal.coverage import coverage, covered_states, reachable_states
from viralsync_mock.response import Response, json_response
from viralsync_mock.state import behaviour_under

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from viralsync_mock.api.call import Call


async def get_coverage(call: Call) -> Response:
    """GET /__mock/coverage: what this key's calls and webhooks have met; with `anonymous` also calls without a key."""
    sandboxes = [call.sandbox, *([call.mock.sandboxes.anonymous] if call.parameters["anonymous"] else [])]
    behaviour = behaviour_under(call.files, call.scenario, call.sandbox.behaviour_override)
    found = coverage(reachable_states(call.spec, behaviour), covered_states(each.sightings for each in sandboxes))
    return json_response({"met": found.covered, "unmet": found.uncovered, "percent": found.percent})


COVERAGE_ACTIONS: Mapping[str, Callable[[Call], Awaitable[Response]]] = MappingProxyType({"getCoverage": get_coverage})
"""By operationId."""
