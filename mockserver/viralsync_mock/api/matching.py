"""Which rule of the scenario and which faults match a call; imported only where there are any."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from viralsync_mock.api.asgi import parse_body
from viralsync_mock.api.handlers import find_job
from viralsync_mock.errors import ApiError, ScenarioError
from viralsync_mock.faults.http import Latency
from viralsync_mock.jobs.limits import COUNTED_STATUSES, minutes_text, next_day, next_month
from viralsync_mock.jobs.models import timestamp
from viralsync_mock.sandbox import usage_under
from viralsync_mock.scenarios.armed_faults import MatchedFaults
from viralsync_mock.scenarios.fault_syntax import incompatibility, parse_header, sort_faults, to_header
from viralsync_mock.scenarios.model import NO_MATCH, RequestFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from viralsync_mock.api.call import Call
    from viralsync_mock.faults.http import Fault
    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.openapi.spec import Spec
    from viralsync_mock.scenarios.model import Respond


_ACTIONS = {"ends": "cancel", "deletes": "delete"}


def match_rules_and_faults(call: Call) -> tuple[Respond | None, tuple[Fault, ...]]:
    """Return the response of the matched rule, if any, and the matched faults, the outermost first."""
    armed, asked_for = call.sandbox.armed, call.headers.get(b"x-mock-fault")
    sandbox, entry = call.sandbox, call.entry
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.headers.items()}
    entry.age = (call.now - sandbox.opened).total_seconds()
    asked = RequestFacts(call.operation.id, headers, parse_body(call), entry.age)
    matched = list(_asked_for(call, asked_for)) if asked_for is not None else []
    if armed is not None:
        matched += armed.match_request(replace(asked, age=armed.age(call.now)), sandbox.draw)
        sandbox.note("faults")
    choice = sandbox.script(call.scenario).first_match(asked, sandbox.draw) if call.scenario.rules else NO_MATCH
    if choice.rule is not None and choice.rule.faults:
        matched.append(MatchedFaults(f"rule {choice.number}", choice.rule.faults))
    call.rule = (armed and armed.job_rule(matched)) or choice.rule
    entry.rule_match, entry.matched_faults = choice, tuple(_applicable(call, matched))
    return choice.rule.respond if choice.rule else None, effective_faults(entry.matched_faults)


def _applicable(call: Call, matched: Sequence[MatchedFaults]) -> Iterator[MatchedFaults]:
    """Leave out faults that the operation cannot show: a client may send the same header with every call."""
    for each in matched:
        if faults := tuple(fault for fault in each.faults if incompatibility(fault, call.operation) is None):
            yield MatchedFaults(each.id, faults)


def effective_faults(matched: Sequence[MatchedFaults]) -> tuple[Fault, ...]:
    """Return one fault of each kind, the outermost first; the header's win."""
    first = {type(fault): fault for each in reversed(matched) for fault in each.faults}
    return sort_faults(first.values())


def _asked_for(call: Call, sent: bytes) -> list[MatchedFaults]:
    """Read `X-Mock-Fault`; raises VALIDATION_ERROR."""
    try:
        return [MatchedFaults("header", parse_header(sent.decode("latin-1"), call.spec))]
    except ScenarioError as error:
        raise ApiError("VALIDATION_ERROR", violations=f"header.x-mock-fault: {error}") from None


def scripted_error(call: Call, response: Respond) -> ApiError:
    """Return the error of a rule, with the values that the API itself would put into its text."""
    headers = dict(response.headers)
    if response.error == "RATE_LIMITED":
        headers.setdefault("retry-after", "1")
    code, wait = response.error or "", {"retryAfter": headers.get("retry-after")}
    values = {**_of_any_error(call), **_of_limits(call).get(code, {}), **wait}
    return ApiError(code, text=response.text, headers=headers, **values)


def _of_any_error(call: Call) -> dict[str, object]:
    method, reason = call.operation.method, "the scenario says so"
    return {
        "reason": reason,
        "violations": reason,
        "method": call.method,
        "path": call.path,
        "allow": method,
        "plan": call.account.plan,
        "jobId": call.job_id,
        **_of_job(call),
    }


def _of_job(call: Call) -> dict[str, object]:
    """Return what is done to the job that the path names, and where it stands."""
    effect = call.operation.effect
    action = _ACTIONS.get(effect.kind if effect else "", call.operation.method.lower())
    try:
        status = str(find_job(call.sandbox, call.job_id).look(call.now).status)
    except ApiError:
        status = "unknown"
    return {"action": action, "status": status}


def _of_limits(call: Call) -> dict[str, dict[str, object]]:
    """Return the numbers of the account, as getUsage shows them."""
    plan, now = call.spec.plans[call.account.plan], call.now
    usage = usage_under(call.sandbox, call.scenario, call.mock.scenario_of(call.sandbox), now)
    month = {"used": minutes_text(usage.minutes), "limit": _limit(plan.minutes_per_month)}
    day = {"used": minutes_text(usage.minutes_today), "limit": _limit(plan.minutes_per_day)}
    running = usage.count(*COUNTED_STATUSES[call.behaviour.concurrency_counts])
    return {
        "RENDER_QUOTA_EXCEEDED": {**month, "resetsAt": timestamp(next_month(now))},
        "RENDER_QUOTA_DAILY_EXCEEDED": {**day, "resetsAt": timestamp(next_day(now))},
        "CONCURRENCY_LIMIT_EXCEEDED": {"running": running, "limit": _limit(plan.jobs_at_once)},
        "PAYLOAD_TOO_LARGE": {"limit": call.spec.body_limit},
    }


def _limit(limit: float | None) -> object:
    return "unlimited" if limit is None else limit


class FaultedCall(Protocol):
    """A call, under way or recorded, with its faults."""

    @property
    def entry(self) -> JournalEntry:
        """Its entry in the journal."""

    @property
    def spec(self) -> Spec:
        """The spec."""

    def draw(self, purpose: str) -> float:
        """Draw a number in [0, 1) from the sandbox's seed, for this call."""


def replay_header(call: FaultedCall) -> str:
    """Return the `X-Mock-Fault` that reproduces the faults of this call, with the values drawn for it."""
    return to_header((_drawn(call, fault) for fault in effective_faults(call.entry.matched_faults)), call.spec)


def _drawn(call: FaultedCall, fault: Fault) -> Fault:
    return Latency(round(fault.seconds(call), 3)) if isinstance(fault, Latency) else fault
