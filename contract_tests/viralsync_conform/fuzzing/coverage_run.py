"""The made-up calls of a run: which are sent, and what is said of the answers.

Schemathesis generates and judges; the run sends, so that guard, budget and pace hold for these calls as for all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_conform.budget import worst_case
from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.contract.schemas import CREATES, FORM_KEYWORDS, STREAMS
from viralsync_conform.findings import Check, Provenance
from viralsync_conform.fuzzing.coverage_cases import BASE, GeneratedCase, all_cases
from viralsync_conform.run.submissions import cancel, register_job, reserve
from viralsync_mock.randomness import digest

if TYPE_CHECKING:
    from viralsync_conform.run.context import RunContext
    from viralsync_conform.run.journey_context import JourneyContext

EXAMPLE_PROJECT, EXAMPLE_CALLBACK = b"proj_demo01", b"https://studio.example/hooks/viralsync"
"""What the spec's examples name: a job that is made all the same must be found again, and report to nobody else."""

SENT = "generated cases that were sent"


def select_cases(run: RunContext) -> list[GeneratedCase]:
    """Return the cases that this run sends: one of each kind first, in an order that the seed draws."""
    cases = sorted(all_cases(), key=lambda each: digest(run.seed, each.operation, each.title, each.place, each.content))
    kinds: dict[tuple[str, str, str], list[GeneratedCase]] = {}
    for case in cases:
        kinds.setdefault(case.subject, []).append(case)
    number_of_kinds, rounds = len(kinds), list[GeneratedCase]()
    while any(kinds.values()):
        rounds += [group.pop() for group in kinds.values() if group]
    submits = run.profile.renders and run.target.has_control  # elsewhere `boundaries` tries one flaw at a time
    allowed = [case for case in rounds if submits or run.contract.effect(case.operation) != CREATES]
    most = run.profile.generated_cases if run.target.has_control else run.profile.generated_cases // 2
    return allowed[: max(most, number_of_kinds) if submits else most]


def rate_limited_cases(run: RunContext) -> Iterator[GeneratedCase]:
    """Yield the cases that use the rate limit, each once in a run."""
    for case in select_cases(run):
        if run.contract.effect(case.operation) != STREAMS:
            yield case


def unsent_cases(run: RunContext) -> list[GeneratedCase]:
    """Return the chosen cases that were not sent yet."""
    sent = run.shared.setdefault(SENT, set())
    return [case for case in select_cases(run) if id(case) not in sent]


def is_affordable(context: JourneyContext, case: GeneratedCase) -> bool:
    """Say whether a case may be sent: if the target took it for valid, it could cost so much."""
    creates = context.run.contract.effect(case.operation) == CREATES
    return not (creates and context.account.is_main) or context.run.budget.can_afford(worst_case(body_of(case.content)))


def send(context: JourneyContext, case: GeneratedCase) -> Exchange:
    """Send a case and judge what came of it: what is invalid must be refused, what is valid must not."""
    context.run.shared.setdefault(SENT, set()).add(id(case))
    body = body_of(case.content)
    minutes = worst_case(body)
    creates = context.run.contract.effect(case.operation) == CREATES
    if creates:
        reserve(context, minutes)
    call = send_generated(context, replace(case, content=_marked_as_ours(context.run, case.content)))
    if creates:
        job = register_job(context, call, body if isinstance(body, dict) else {}, minutes)
        if job is not None:
            cancel(context, job)
    _judge(context, case, call)
    return call


def _marked_as_ours(run: RunContext, content: bytes | None) -> bytes | None:
    """Return a body with the run's own project and receiver in the place of those of the spec's examples."""
    if content is None:
        return None
    content = content.replace(EXAMPLE_PROJECT, run.project_id.encode())
    callback = run.callback().get("callbackUrl", "http://localhost/")
    return content.replace(EXAMPLE_CALLBACK, str(callback).encode())


def body_of(content: bytes | None) -> object:
    """Return a body as JSON values; None where it is something else."""
    try:
        return orjson.loads(content) if content else None
    except ValueError:
        return None


def _judge(context: JourneyContext, case: GeneratedCase, call: Exchange) -> None:
    """Ask Schemathesis, and put what it finds into the category of the part of the spec that the case is about."""
    if call.status is None or call.status in {401, 429} or call.status >= 500:
        return
    for check_name, message in _failures(case, call):
        mark = mark_of(context.run, case)
        check = Check(check_name, _STATEMENTS[check_name], mark, facts.OVERVIEW)
        context.check(
            check, False, call, expected=case.title, got=call.status, place=case.place, name=case.scenario,
            message=f"{message}: {case.title}",
        )  # fmt: skip
    context.run.asserted[REFUSED if case.is_negative else ACCEPTED] += 1


_STATEMENTS = {
    "negative_data_rejection": "Invalid data was accepted",
    "positive_data_acceptance": "Valid data was refused",
}
REFUSED = Check("negative_data_rejection", "Invalid data is refused.", Provenance.DOCUMENTED, facts.OVERVIEW)
ACCEPTED = Check("positive_data_acceptance", "Valid data is accepted.", Provenance.DOCUMENTED, facts.OVERVIEW)


def _failures(case: GeneratedCase, call: Exchange) -> Iterator[tuple[str, str]]:
    import requests
    from schemathesis.core.failures import Failure, FailureGroup
    from schemathesis.specs.openapi import checks

    from viralsync_conform.fuzzing.transport import as_requests

    sent = requests.Request(case.method, f"{BASE}{call.url}", headers=dict(case.headers), data=case.content).prepare()
    response = as_requests(call, sent)
    for name in _STATEMENTS:
        try:
            case.case.validate_response(response, checks=[getattr(checks, name)])
        except FailureGroup as group:
            yield from ((name, _STATEMENTS[name]) for _ in group.exceptions)
        except Failure:
            yield name, _STATEMENTS[name]


def mark_of(run: RunContext, case: GeneratedCase) -> Provenance:
    """Return how well the constraint is known that a case is about; that a property is required, by its own mark."""
    where, _, keyword = case.place.rpartition("/")
    missing = f"{where}/properties/{case.title.rpartition('Missing required property: ')[2]}"
    return mark_of_place(run, case.operation, missing if keyword == "required" else case.place)


def mark_of_place(run: RunContext, operation: str, place: str) -> Provenance:
    """Return how well a constraint is known; `place` leads to it in the schema of the body."""
    schema = run.contract.operations[operation].body_schema
    if place.rpartition("/")[2] in FORM_KEYWORDS:
        return Provenance.ASSUMED  # how strictly a form is read is written nowhere
    if place.startswith("/") and schema is not None:
        return _mark_along(run, schema, place.split("/")[1:])
    return Provenance.ASSUMED


def _mark_along(run: RunContext, schema: Any, steps: Sequence[str]) -> Provenance:
    """Walk down a schema; the generator writes a `$ref` with neighbours as an `allOf`."""
    mark, here = Provenance.DOCUMENTED, schema
    skipped = False
    for step in steps:
        while isinstance(here, dict) and "$ref" in here and step not in here:
            mark = _marked(here, mark)
            here = run.contract.follow({"$ref": here["$ref"]})
        mark = _marked(here, mark)
        if skipped:
            skipped = False
            continue
        if isinstance(here, dict) and step == "allOf" and "allOf" not in here:
            skipped = True
            continue
        if isinstance(here, list):
            here = here[int(step)] if step.isdecimal() and int(step) < len(here) else {}
        else:
            here = here.get(step, {}) if isinstance(here, dict) else {}
    return _marked(here, mark)


def _marked(part: Any, mark: Provenance) -> Provenance:
    found = part.get("x-provenance") if isinstance(part, dict) else None
    return Provenance(found["mark"]) if isinstance(found, dict) else mark


def send_generated(context: JourneyContext, case: GeneratedCase) -> Exchange:
    """Send a generated call; only what holds of every answer is judged."""
    request = context.build_request(
        case.method,
        case.path,
        "",
        operation=case.operation,
        query=dict(case.query),
        headers=case.headers,
        content=case.content,
        step=f"{case.operation}: {case.title}",
        is_repeatable=case.is_negative or case.method == "GET",
        is_generated=True,
    )
    return context.client.send(request)
