"""The reasons for a response: an entry of the journal as JSON values, and as one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.api.handlers import find_job
from viralsync_mock.api.matching import replay_header
from viralsync_mock.clock import Mode
from viralsync_mock.errors import ApiError, ScenarioError
from viralsync_mock.inspection.curl import to_curl
from viralsync_mock.inspection.exchange import answer_body, call_id, declared_length, exchange_of, wire_query
from viralsync_mock.inspection.nearest_valid import nearest_body, nearest_query
from viralsync_mock.jobs.limits import COUNTED_STATUSES
from viralsync_mock.jobs.models import TERMINAL, timestamp
from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED, PENDING
from viralsync_mock.redaction import masked, masked_headers
from viralsync_mock.scenarios.fault_syntax import to_document
from viralsync_mock.state import behaviour_under
from viralsync_mock.verdict.polling import MANY_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from viralsync_mock.jobs.models import Step
    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.openapi.spec import Spec
    from viralsync_mock.response import Headers
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.state import LoadedFiles, MockServer

REPLAYED = ("X-Mock-Scenario", "X-Mock-Fault")
DEFAULT_HOST = "127.0.0.1:4747"


@dataclass(frozen=True)
class RecordedCall:
    """An entry of the journal with its sandbox; `host` is where the server is reached."""

    mock: MockServer
    sandbox: Sandbox
    entry: JournalEntry
    host: str

    @property
    def files(self) -> LoadedFiles:
        return self.mock.files

    @property
    def spec(self) -> Spec:
        return self.mock.files.spec

    def draw(self, purpose: str) -> float:
        return self.sandbox.draw(purpose, self.entry.number)


def summarize(sandbox: Sandbox, entry: JournalEntry) -> dict[str, Any]:
    document: dict[str, Any] = {
        "callId": call_id(sandbox, entry),
        "at": timestamp(entry.at),
        "answeredAt": entry.answered_at and timestamp(entry.answered_at),
        "method": entry.method,
        "path": entry.path,
        "query": wire_query(entry),
        "operation": entry.operation or None,
        "jobId": entry.job_id,
        "status": entry.status,
        "code": entry.code,
        "ending": entry.ending,
    }
    document = {**document, "events": entry.events} if entry.is_stream else document
    return {name: redact_json(value, sandbox.key) for name, value in document.items()}


def explain(mock: MockServer, sandbox: Sandbox, entry: JournalEntry, host: str) -> dict[str, Any]:
    """Return the explanation of a call; `host` is where the server is reached."""
    call = RecordedCall(mock, sandbox, entry, host)
    document = {
        **summarize(sandbox, entry),
        "summary": "",
        "endedAt": entry.ended_at and timestamp(entry.ended_at),
        "request": _request(entry),
        "response": None if entry.status is None else _response(entry),
        "scenario": entry.scenario and {"name": entry.scenario.name, "chosenBy": entry.chosen_by},
        "rule": _rule(entry),
        "nearMiss": _near_miss(entry),
        "faults": [{"from": each.id, "fault": to_document(each.faults, call.spec)} for each in entry.matched_faults],
        **_step(call),
        "clock": {"now": timestamp(entry.at), "mode": entry.mode, "rate": entry.rate},
        "rateLimit": _rate_limit(entry),
        "quota": _quota(call),
        "violations": [{"place": each.location, "message": each.message} for each in entry.violations],
        "nearestValid": _nearest_valid(call),
        "replay": _replay(call),
    }
    document["summary"] = summary_sentence(document) + _standstill(sandbox, entry)
    return {name: redact_json(value, sandbox.key) for name, value in document.items()}


def redact_json(value: Any, key: str) -> Any:
    """Return JSON values without API keys in any of their texts."""
    if isinstance(value, str):
        return masked(value, key)
    if isinstance(value, dict):
        return {masked(name, key): redact_json(part, key) for name, part in value.items()}
    return [redact_json(part, key) for part in value] if isinstance(value, list) else value


def _standstill(sandbox: Sandbox, entry: JournalEntry) -> str:
    """Return a sentence for a client that calls on and on without sleeping on a clock in mode `jump`."""
    if entry.mode is not Mode.JUMP:
        return ""
    earlier = [each for each in sandbox.journal.oldest_first() if each.at == entry.at and each.number <= entry.number]
    if len(earlier) < MANY_AT_ONCE:
        return ""
    return f" It is call {len(earlier)} at this instant: the clock moves when the client sleeps on it."


def _request(entry: JournalEntry) -> dict[str, Any]:
    size = entry.body_size or declared_length(entry)
    return {
        "headers": _by_name(entry.headers),
        "body": entry.body.decode(errors="replace"),
        "size": size,
        "isTruncated": entry.is_cut or size != entry.body_size,
    }


def _response(entry: JournalEntry) -> dict[str, Any]:
    """Return the whole answer, also where a fault let only a part of it leave."""
    body, size = answer_body(entry)
    return {
        "headers": _by_name(masked_headers(list(entry.answer_headers))),
        "body": body.decode(errors="replace"),
        "size": size,
        "isTruncated": entry.is_stream or entry.answer_is_cut,
    }


def _by_name(headers: Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers):
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _rule(entry: JournalEntry) -> dict[str, Any] | None:
    if entry.scenario is None or entry.rule_match.rule is None:
        return None
    document = entry.scenario.document["rules"][entry.rule_match.number - 1]
    does = {name: part for name, part in document.items() if name != "match"}
    return {"number": entry.rule_match.number, "match": document.get("match", {}), "does": does}


def _near_miss(entry: JournalEntry) -> dict[str, Any] | None:
    miss = entry.rule_match.near_miss
    if entry.scenario is None or miss is None:
        return None
    match = entry.scenario.document["rules"][miss.number - 1].get("match", {})
    return {"number": miss.number, "match": match, "reasons": list(miss.reasons)}


def _step(call: RecordedCall) -> dict[str, Any]:
    """Return the step of the job that the answer shows, when the next one came or comes, or why there is none."""
    nothing = {"step": None, "nextStepAt": None}
    entry = call.entry
    if entry.job_id is None:
        return {**nothing, "whyNoStep": "the call is not about one job"}
    if entry.code == "JOB_NOT_FOUND":
        return {**nothing, "whyNoStep": f"there was no job {entry.job_id} in this sandbox"}
    try:
        subject = find_job(call.sandbox, entry.job_id)
    except ApiError:
        return {**nothing, "whyNoStep": f"{entry.job_id} was deleted: its timeline is gone"}
    steps = subject.steps()
    step = _visible(entry, [each for each in steps if each.at <= (entry.answered_at or entry.at)] or steps[:1])
    coming = steps[step.number + 1].at if step.number + 1 < len(steps) else None
    shown = {"number": step.number, "at": timestamp(step.at), "status": step.status}
    return {
        "step": {**shown, "phase": step.phase, "progress": step.progress},
        "nextStepAt": coming and timestamp(coming),
        "whyNoStep": None,
    }


def _visible(entry: JournalEntry, steps: Iterable[Step]) -> Step:
    """Return the last step that the answer agrees with: orders make several of one instant, and views may lag."""
    past, document = list(steps), parsed(entry.answer_body)

    def agrees(step: Step) -> bool:
        values = {"status": step.status, "phase": step.phase, "updatedAt": timestamp(step.at)}
        return all(document.get(name, value) == value for name, value in values.items())

    return next(filter(agrees, reversed(past)), past[-1])


def parsed(body: bytes) -> dict[str, Any]:
    """Return a body that is a JSON object; an empty one for any other."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _rate_limit(entry: JournalEntry) -> dict[str, Any] | None:
    slot, limit = entry.slot, entry.limit
    if slot is None or limit is None:
        return None
    free = slot.free_at or (slot.oldest and slot.oldest + timedelta(seconds=limit.window))
    return {
        "used": slot.used,
        "requests": limit.requests,
        "windowSeconds": limit.window,
        "nextFreeAt": free and timestamp(free),
    }


def _quota(call: RecordedCall) -> dict[str, Any] | None:
    entry = call.entry
    plan = call.spec.plans.get(entry.plan or "")
    if plan is None or entry.standing is None or entry.scenario is None:
        return None
    counts = behaviour_under(call.files, entry.scenario, call.sandbox.behaviour_override).concurrency_counts
    return {
        "plan": plan.name,
        "minutesUsed": round(entry.standing.minutes, 6),
        "minutesPerMonth": plan.minutes_per_month,
        "minutesUsedToday": round(entry.standing.minutes_today, 6),
        "minutesPerDay": plan.minutes_per_day,
        "jobs": entry.standing.count(*COUNTED_STATUSES[counts]),
        "jobsAtOnce": plan.jobs_at_once,
    }


def _nearest_valid(call: RecordedCall) -> dict[str, Any] | None:
    """Return what the client could have sent instead, of body and query those that were at fault."""
    entry, validator = call.entry, call.files.validator
    operation = call.spec.operations.get(entry.operation)
    if entry.code != "VALIDATION_ERROR" or operation is None:
        return None
    places = [each.location for each in entry.violations]
    found: dict[str, Any] = {}
    if any(place.startswith("$") for place in places) and not entry.is_cut:
        body = nearest_body(validator, operation, entry.body)
        if body is not None and body != parsed(entry.body):
            found["body"] = body
    if refused := [place.removeprefix("query.") for place in places if place.startswith("query.")]:
        query = nearest_query(validator, operation, entry.query)
        found["query"] = nearest_query(validator, operation, entry.query, refused=refused) if query is None else query
    return found or None


def _replay(call: RecordedCall) -> dict[str, Any]:
    entry, scenario = call.entry, call.entry.scenario
    sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in entry.headers}
    headers = {name: sent[name.lower()] for name in REPLAYED if name.lower() in sent}
    if scenario is not None and _is_shipped(call):
        headers["X-Mock-Scenario"] = scenario.name
    if entry.matched_faults:
        headers["X-Mock-Fault"] = replay_header(call)
    return {
        "seed": call.sandbox.named_seed or call.mock.settings.seed,
        "scenario": scenario and scenario.name,
        "headers": headers,
        "curl": to_curl(exchange_of(call.sandbox, entry, call.host, headers)),
    }


def _is_shipped(call: RecordedCall) -> bool:
    """Say whether the header can name the scenario of the call."""
    scenario = call.entry.scenario
    try:
        return scenario is not None and call.files.library.get(scenario.name).document == scenario.document
    except ScenarioError:
        return False


def summary_sentence(of: Mapping[str, Any]) -> str:
    """Return the sentence for people; `of` is the explanation of the call as JSON values."""
    clause, named = _describe(of)
    rest = [text for kind, text in _faults(of) if kind not in named]
    return f"{clause}; also done to it: {', '.join(rest)}." if rest else f"{clause}."


def _describe(of: Mapping[str, Any]) -> tuple[str, frozenset[str]]:
    """Return the main clause, and the kinds of the faults that it names."""
    if of["status"] is None:
        return _unanswered(of), frozenset({of["ending"]})
    head = f"{of['status']} {of['code']}" if of["code"] else f"{of['status']}"
    if text := dict(_faults(of)).get("status"):
        return f"{head} by {text}", frozenset({"status"})
    if of["rule"] and "respond" in of["rule"]["does"]:
        return f"{head}: rule {of['rule']['number']} of scenario {of['scenario']['name']} responds so", frozenset()
    if of["code"]:
        return f"{head}: {_refusal(of)}", frozenset()
    if "events" in of:
        return f"{head}: {_stream(of)}", frozenset({of["ending"]})
    return f"{head}: {_success(of)}", frozenset()


def _unanswered(of: Mapping[str, Any]) -> str:
    if of["ending"] != PENDING:
        return f"No answer was sent: that is the work of {_breaking(of)}"
    held = [text for kind, text in _faults(of) if kind in ("timeout", "latency")]
    return f"No answer yet: {f'it is held back by {held[0]}' if held else 'the call is still being carried out'}"


def _breaking(of: Mapping[str, Any]) -> str:
    ending = str(of["ending"])
    return dict(_faults(of)).get(ending, ending)


def _faults(of: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each fault's kind, and `fault status=503 of rule 2 of scenario flaky`."""
    for each in of["faults"]:
        source = each["from"]
        if source == "header":
            source = "the header X-Mock-Fault"
        elif source.startswith("rule "):
            source = f"{source} of scenario {of['scenario']['name']}"
        for kind, value in each["fault"].items():
            yield kind, f"fault {kind}={value if isinstance(value, str) else orjson.dumps(value).decode()} of {source}"


def _refusal(of: Mapping[str, Any]) -> str:
    limit = of["rateLimit"]
    if of["code"] == "RATE_LIMITED" and limit:
        return (
            f"{limit['used']} of {limit['requests']} calls of the last {limit['windowSeconds']:g} s were used; "
            f"the next slot frees at {limit['nextFreeAt']}"
        )
    if of["violations"]:
        first, more = of["violations"][0], len(of["violations"]) - 1
        return f"{first['place']}: {first['message'].rstrip('.')}" + (f", and {more} more" if more else "")
    try:
        return str(orjson.loads(of["response"]["body"])["error"]).rstrip(".")
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "the answer's body does not say why"


def _stream(of: Mapping[str, Any]) -> str:
    count = f"{of['events']} event{'' if of['events'] == 1 else 's'}"
    endings = {
        PENDING: "and is still open",
        ANSWERED: "and came to its end",
        CLIENT_DISCONNECTED: "and its reader left",
    }
    ending = endings.get(of["ending"], f"until it was broken off by {_breaking(of)}")
    return f"the stream of {of['jobId']} sent {count}, {ending}"


def _success(of: Mapping[str, Any]) -> str:
    step = of["step"]
    if step is None:
        return f"{of['operation']} was answered as usual" if of["operation"] else "answered as usual"
    what = f"{of['jobId']} is {step['status']}" + (f" in phase {step['phase']}" if step["phase"] else "")
    if of["nextStepAt"]:
        return f"{what}; its next step comes at {of['nextStepAt']}"
    is_over = step["status"] in TERMINAL
    return f"{what}, and {'stays so' if is_over else 'no further step comes'}"
