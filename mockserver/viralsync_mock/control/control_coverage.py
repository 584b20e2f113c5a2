"""What the control API tells of the API's states: which the client of a sandbox has met, and which not."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from viralsync_mock.journal.api_coverage import coverage, facts_met, reachable_facts
from viralsync_mock.response import Answer, json_answer
from viralsync_mock.state import behaviour_under

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from viralsync_mock.api.call import Call


async def tell_coverage(call: Call) -> Answer:
    """GET /__mock/coverage: what this key's calls and webhooks have met; with `strangers` also calls without a key."""
    sandboxes = [call.sandbox, *([call.mock.sandboxes.outside] if call.parameters["strangers"] else [])]
    behaviour = behaviour_under(call.files, call.scenario, call.sandbox.profile)
    found = coverage(reachable_facts(call.spec, behaviour), facts_met(each.sightings for each in sandboxes))
    return json_answer({"met": found.met, "unmet": found.unmet, "percent": found.percent})


COVERAGE_ACTIONS: Mapping[str, Callable[[Call], Awaitable[Answer]]] = MappingProxyType({"tellCoverage": tell_coverage})
"""By operationId."""
