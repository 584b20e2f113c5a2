"""Which rule of the script speaks to a call, and which faults strike it; loaded when there is a script at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from viralsync_mock.api.asgi import parse_body
from viralsync_mock.errors import ApiError, ScenarioError
from viralsync_mock.faults.http import Latency
from viralsync_mock.jobs.limits import next_day, next_month
from viralsync_mock.jobs.models import timestamp
from viralsync_mock.scenarios.armed_faults import MatchedFaults
from viralsync_mock.scenarios.fault_syntax import incompatibility, parse_header, sort_faults, to_header
from viralsync_mock.scenarios.model import NO_MATCH, RequestFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from viralsync_mock.api.call import Call
    from viralsync_mock.faults.http import Fault
    from viralsync_mock.scenarios.model import Respond


def match_rules_and_faults(call: Call) -> tuple[Respond | None, tuple[Fault, ...]]:
    """Return what takes the handler's place, if anything, and the faults that strike, the outermost first."""
    armed, asked_for = call.sandbox.armed, call.headers.get(b"x-mock-fault")
    sandbox, entry = call.sandbox, call.entry
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.headers.items()}
    entry.age = (call.now - sandbox.opened).total_seconds()
    asked = RequestFacts(call.operation.id, headers, parse_body(call), entry.age)
    struck = list(_asked_for(call, asked_for)) if asked_for is not None else []
    if armed is not None:
        struck += armed.match_request(replace(asked, age=armed.age(call.now)), sandbox.draw)
    choice = sandbox.script(call.scenario).first_match(asked, sandbox.draw) if call.scenario.rules else NO_MATCH
    if choice.rule is not None and choice.rule.faults:
        struck.append(MatchedFaults(f"rule {choice.number}", choice.rule.faults))
    entry.rule_match, entry.matched_faults = choice, tuple(_applicable(call, struck))
    return choice.rule.respond if choice.rule else None, effective_faults(entry.matched_faults)


def _applicable(call: Call, struck: Sequence[MatchedFaults]) -> Iterator[MatchedFaults]:
    """Yield what can show at all: a header may go with every call of a client, also with those that have no stream."""
    for each in struck:
        if faults := tuple(fault for fault in each.faults if incompatibility(fault, call.operation) is None):
            yield MatchedFaults(each.id, faults)


def effective_faults(struck: Sequence[MatchedFaults]) -> tuple[Fault, ...]:
    """Return the faults that are applied, the outermost first: of each kind one, the header's before any other."""
    first = {type(fault): fault for each in reversed(struck) for fault in each.faults}
    return sort_faults(first.values())


def _asked_for(call: Call, sent: bytes) -> list[MatchedFaults]:
    """Read `X-Mock-Fault`; raises VALIDATION_ERROR."""
    try:
        return [MatchedFaults("header", parse_header(sent.decode("latin-1"), call.spec))]
    except ScenarioError as error:
        raise ApiError("VALIDATION_ERROR", violations=f"header.x-mock-fault: {error}") from None


def scripted_error(call: Call, response: Respond) -> ApiError:
    """Return the error that a rule responds with, its text filled in as if the API itself had refused."""
    headers = dict(response.headers)
    if response.error == "RATE_LIMITED":
        headers.setdefault("retry-after", "1")
    code, wait = response.error or "", {"retryAfter": headers.get("retry-after")}
    values = {**_of_any_error(call), **_of_limits(call).get(code, {}), **wait}
    return ApiError(code, text=response.text, headers=headers, **values)


def _of_any_error(call: Call) -> dict[str, object]:
    method, said = call.operation.method, "the scenario says so"
    return {
        "reason": said,
        "violations": said,
        "method": call.method,
        "path": call.path,
        "allow": method,
        "plan": call.account.plan,
        "jobId": call.job_id,
        "action": method.lower(),
        "status": "as it is",
    }


def _of_limits(call: Call) -> dict[str, dict[str, object]]:
    plan, now = call.spec.plans[call.account.plan], call.now
    month, day, jobs = plan.minutes_per_month, plan.minutes_per_day, plan.jobs_at_once
    return {
        "RENDER_QUOTA_EXCEEDED": {"used": month, "limit": month, "resetsAt": timestamp(next_month(now))},
        "RENDER_QUOTA_DAILY_EXCEEDED": {"used": day, "limit": day, "resetsAt": timestamp(next_day(now))},
        "CONCURRENCY_LIMIT_EXCEEDED": {"running": jobs, "limit": jobs},
        "PAYLOAD_TOO_LARGE": {"limit": call.spec.body_limit},
    }


def replay_header(call: Call) -> str:
    """Return the `X-Mock-Fault` that brings the faults of this call about again, with what was drawn for it."""
    return to_header((_drawn(call, fault) for fault in effective_faults(call.entry.matched_faults)), call.spec)


def _drawn(call: Call, fault: Fault) -> Fault:
    return Latency(round(fault.seconds(call), 3)) if isinstance(fault, Latency) else fault
