"""No empty green: what a run must have seen before it may say that a target conforms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from viralsync_conform.calls import TERMINAL, Exchange
from viralsync_conform.contract.schemas import CREATES, DELETES, ENDS, LISTS, READS, STREAMS
from viralsync_conform.findings import Provenance
from viralsync_conform.run.context import RunContext
from viralsync_conform.run.job_invariants import jobs_of

FAULTS_ONLY = frozenset({"500", "503"})
"""What only a failing server answers."""

WITH_CONTROL = frozenset({"402", "403", "429"})
"""What an account must be used up for, or be of another plan."""

QUERY = "$request.query."

WRITES = frozenset({CREATES, ENDS, DELETES})
NEED_A_JOB = frozenset({READS, STREAMS})


def unmet_requirements(run: RunContext) -> Iterator[tuple[str, str]]:
    """Yield what was not seen: a name, and a sentence."""
    operations = _operations(run)
    for operation in operations:
        if not any(call.operation == operation and call.is_success for call in run.calls):
            yield operation, f"{operation} got no accepted call"
    for link in _links(run, operations):
        yield link, f"the link {link} was never followed"
    for status in _statuses(run, operations):
        yield status, f"{status} was never answered"
    for status in _job_statuses(run):
        yield status, f"no job was ever seen {status}"
    if run.profile.renders and not _has_ended_stream(run):
        yield "stream", "no stream reached its terminal event"


def _operations(run: RunContext) -> list[str]:
    """Return the operations that this profile can call at all."""
    found = list(run.contract.operations)
    if run.profile.renders:
        return found
    has_job = any(jobs_of(run, call) for call in run.calls if call.effect == LISTS)
    left_out = WRITES if has_job else WRITES | NEED_A_JOB
    return [operation for operation in found if run.contract.effect(operation) not in left_out]


def _links(run: RunContext, operations: list[str]) -> Iterator[str]:
    for operation in operations:
        for status, answer in run.contract.responses(operation).items():
            for name, link in answer.get("links", {}).items():
                target = str(link["operationId"])
                if target not in operations or not any(_is(call, operation, status) for call in run.calls):
                    continue
                if not _is_followed(run, operation, status, link):
                    yield f"{operation} {status} {name}"


def _is(call: Exchange, operation: str, status: str) -> bool:
    return call.operation == operation and str(call.status) == status


def _is_followed(run: RunContext, operation: str, status: str, link: Any) -> bool:
    """Say whether a later call used what an answer gave."""
    for call in run.calls:
        if _is(call, operation, status):
            wanted = {name: _value(call, source) for name, source in _sources(call, link).items()}
            if None in wanted.values():
                continue
            later = (each for each in run.calls if each.number > call.number and each.operation == link["operationId"])
            if any(wanted.items() <= {**each.path_parameters, **each.query}.items() for each in later):
                return True
    return _is_at_its_end(run, operation, status, link)


def _sources(call: Exchange, link: Any) -> dict[str, str]:
    """Return where a link takes its parameters from; those of the query that the call did not send are left out."""
    sources = {name: str(source) for name, source in link.get("parameters", {}).items()}
    return {
        name: source
        for name, source in sources.items()
        if not source.startswith(QUERY) or source.removeprefix(QUERY) in call.query
    }


def _is_at_its_end(run: RunContext, operation: str, status: str, link: Any) -> bool:
    """Say whether a link never led anywhere: every page that was read was the last one."""
    calls = [call for call in run.calls if _is(call, operation, status)]
    taken = [source for source in map(str, link.get("parameters", {}).values()) if not source.startswith(QUERY)]
    return bool(taken) and all(_value(call, source) is None for call in calls for source in taken)


def _value(call: Exchange, source: str) -> Any:
    if source.startswith("$response.body#/"):
        return call.document.get(source.removeprefix("$response.body#/"))
    if source.startswith(QUERY):
        return call.query.get(source.removeprefix(QUERY))
    if source.startswith("$request.path."):
        name = source.removeprefix("$request.path.")
        return call.path_parameters.get(name) or unquote(urlsplit(call.url).path.split("/")[3])
    return None


def _statuses(run: RunContext, operations: list[str]) -> Iterator[str]:
    """Yield the declared answers that this run could have met and did not."""
    for operation in operations:
        for status in run.contract.responses(operation):
            if _is_reachable(run, operation, status) and not any(_is(call, operation, status) for call in run.calls):
                yield f"{operation} {status}"


def _is_reachable(run: RunContext, operation: str, status: str) -> bool:
    has_control = run.target.has_control and run.profile.renders
    if status in FAULTS_ONLY or (status == "405" or status.startswith("2")):
        return False  # 405 is answered to what no operation is; successes are looked for on their own
    if not has_control and run.contract.mark_of_status(operation, int(status)) is Provenance.ASSUMED:
        return False  # a real target may answer otherwise
    if status == "403" and run.contract.behaviour.free_plan_rest == "allowed":
        return False
    if status in WITH_CONTROL or (operation == run.contract.submit.id and status == "409"):
        return has_control
    if status == "413" and not run.profile.renders:
        return False
    if status in {"400", "413"}:
        return operation == run.contract.submit.id or (status == "400" and run.contract.effect(operation) == LISTS)
    return True


def _job_statuses(run: RunContext) -> list[str]:
    if not run.profile.renders:
        return []
    behaviour = run.contract.behaviour
    reachable = {
        "queued",
        "running",
        "done",
        "cancelled",
        behaviour.job_executing_status,
        behaviour.job_assembling_status,
    }
    if run.target.has_control:
        reachable.add("failed")
    return sorted(reachable - _seen(run))


def _seen(run: RunContext) -> set[str]:
    found: set[str] = set()
    for call in run.calls:
        documents = [call.document, *jobs_of(run, call)] if call.is_success else []
        documents += [event.document for event in call.events]
        found |= {str(document.get("status")) for document in documents}
    return found


def _has_ended_stream(run: RunContext) -> bool:
    return any(call.events and call.events[-1].document.get("status") in TERMINAL for call in run.calls)
