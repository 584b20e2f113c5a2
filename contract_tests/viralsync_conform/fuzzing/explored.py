"""What Schemathesis' engine found, in the categories of a run: provenance decides there as everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check, Provenance
from viralsync_conform.fuzzing.coverage_run import mark_of_place
from viralsync_conform.run.context import RunContext

if TYPE_CHECKING:
    from viralsync_conform.fuzzing.results import FailedCheck, FuzzingResult

JUDGED = frozenset(
    {
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    }
)
"""What the run judges of every answer itself, part by part; Schemathesis adds what that passed over."""

FACTS: Mapping[str, Check] = MappingProxyType(
    {
        "use_after_free": facts.DELETES,
        "ensure_resource_availability": facts.JOB_ID,
        "ignored_auth": facts.KEY_NEEDED,
        "object_level_authorization": facts.FOREIGN,
    }
)
"""What a page says word by word. The other checks are about a part of the spec, and as well known as that."""


def add_findings(run: RunContext, exploration: FuzzingResult) -> None:
    """Put what did not hold, and what could not be told, into categories, and count what was asked."""
    told = {number for finding in run.findings for number in finding.calls}
    for unkept in exploration.unkept:
        if unkept.check not in JUDGED or unkept.call not in told:
            check = _check(run, unkept)
            calls = [run.calls[unkept.call - 1]] if unkept.call else []
            run.check(
                check, False, *calls, place=unkept.place, name=unkept.scenario or unkept.phase, message=unkept.message
            )
    for name, times in exploration.asked.items():
        fact = FACTS.get(name)
        run.asserted[Check(name, f"Schemathesis: {name}", fact.mark if fact else Provenance.ASSUMED)] += times
    for reason in exploration.empty():
        run.mark_inconclusive("exploration", reason, name=reason[:80])


def _check(run: RunContext, unkept: FailedCheck) -> Check:
    fact = FACTS.get(unkept.check)
    if fact is not None:
        return Check(unkept.check, fact.statement, fact.mark, fact.source)
    return Check(unkept.check, unkept.message, mark_of_place(run, unkept.operation, unkept.place), facts.OVERVIEW)
