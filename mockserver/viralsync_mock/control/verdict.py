"""What the client under test did: the verdict on it, and the states of the API that it has met."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from viralsync_mock.config.yaml_source import preview
from viralsync_mock.control.request import JsonResponse
from viralsync_mock.errors import did_you_mean
from viralsync_mock.journal.coverage import coverage, covered_states, reachable_states
from viralsync_mock.journal.entry import OBSERVER_HEADER
from viralsync_mock.redaction import masked
from viralsync_mock.state import behaviour_under
from viralsync_mock.validation.schema import invalid
from viralsync_mock.verdict.evidence import Evidence, Unfinished
from viralsync_mock.verdict.rules import RULES, evaluate_rules, is_well_behaved

if TYPE_CHECKING:
    from starlette.responses import Response

    from viralsync_mock.control.request import ControlRequest
    from viralsync_mock.sandbox import Sandbox

GOOD, BAD = "well behaved", "not well behaved"


async def get_verdict(request: ControlRequest) -> Response:
    """GET /__mock/verdict: each rule with its outcome, and the calls that show it."""
    waived = [name.strip() for name in request.parameters.get("waived", "").split(",") if name.strip()]
    for name in waived:
        if name not in RULES:
            known = ", ".join(RULES)
            invalid("query.waived", f"expected rules, got {preview(name)}.{did_you_mean(name, RULES)} Known: {known}")
    evidence = collect_evidence(request.sandbox, request.mock.sandboxes.anonymous, request.parameters["pollSeconds"])
    evidence = replace(evidence, has_ended=request.parameters["clientEnded"])
    if request.parameters["sleeps"] == "real":
        evidence = evidence.in_real_time(request.sandbox.opened)
    judgements, key = evaluate_rules(evidence, waived), request.sandbox.key
    rules = [
        {
            "rule": each.rule,
            "outcome": each.outcome,
            "reason": masked(each.reason, key),
            "evidence": list(each.calls),
        }
        for each in judgements
    ]
    return JsonResponse({"verdict": GOOD if is_well_behaved(judgements) else BAD, "rules": rules})


def collect_evidence(sandbox: Sandbox, outside: Sandbox, poll_seconds: float) -> Evidence:
    """Return what a sandbox knows of its client, and what calls without a key in a header show of it."""
    now, kept, made = sandbox.clock.now(), tuple(sandbox.journal.oldest_first()), sandbox.deliveries.made
    deliveries = tuple(sandbox.deliveries.newest_first())[::-1]
    return Evidence(
        calls=[each for each in kept if not any(name == OBSERVER_HEADER for name, _ in each.headers)],
        deliveries=deliveries,
        unfinished=[Unfinished(job.id, job.callback_url is not None) for job in sandbox.store.unfinished(now)],
        anonymous_calls=[each for each in outside.journal.oldest_first() if each.names_key(sandbox.key)],
        now=now,
        is_whole=len(kept) == sandbox.calls and len(deliveries) == made,
        poll_seconds=poll_seconds,
        prefix=sandbox.call_prefix.decode(),
        anonymous_prefix=outside.call_prefix.decode(),
    )


async def get_coverage(request: ControlRequest) -> Response:
    """GET /__mock/coverage: the states that this key's calls, and with `anonymous` those without a key, have met."""
    sandboxes = [request.sandbox, *([request.mock.sandboxes.anonymous] if request.parameters["anonymous"] else [])]
    behaviour = behaviour_under(request.mock.files, request.scenario, request.sandbox.behaviour_override)
    found = coverage(reachable_states(request.spec, behaviour), covered_states(each.sightings for each in sandboxes))
    return JsonResponse({"met": found.covered, "unmet": found.uncovered, "percent": found.percent})
