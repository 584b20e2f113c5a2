"""What Schemathesis' engine did on a target: which checks it asked, which did not hold, and what it could not do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check, Provenance
from viralsync_conform.fuzzing.coverage_run import mark_of_place
from viralsync_conform.run.context import RunContext

PHASES = ("examples", "coverage", "fuzzing", "stateful")
TO_THE_END = frozenset({"success", "failure"})


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check of Schemathesis that did not hold. `place` is what the case was about, in the spec."""

    check: str
    message: str
    operation: str
    phase: str
    place: str
    scenario: str
    call: int


@dataclass
class FuzzingResult:
    """One exploration. `positive` counts calls with valid data by operation, `accepted` those that were accepted;
    `links` are those of the spec, with the operation that each leads to.
    """

    run: RunContext
    first: int
    last: int = 0
    unkept: list[FailedCheck] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)
    phases: dict[str, str] = field(default_factory=dict)
    positive: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    followed: set[str] = field(default_factory=set)
    links: Mapping[str, str] = field(default_factory=dict)

    def link_of(self, transition: str) -> str:
        """Return a link as the spec names it; the engine writes `GET /v1/me -> [200] getUsage -> GET /v1/usage`."""
        source, _, rest = transition.partition(" -> ")
        status, _, name = rest.partition(" -> ")[0].strip("[").partition("] ")
        names = {f"{each.method} {each.path}": each.id for each in self.run.contract.operations.values()}
        return f"{names.get(source, source)} {status} {name}"

    @cached_property
    def calls(self) -> list[Exchange]:
        """Every call that it made."""
        return self.run.calls[self.first : self.last]

    def of(self, phase: str) -> list[Exchange]:
        """Return the calls of a phase."""
        return [call for call in self.calls if call.step.startswith(f"{phase}:")]

    def empty(self) -> Iterator[str]:
        """Yield what keeps the exploration from saying anything: no phase may pass because nothing came through."""
        yield from self.troubles
        for phase in PHASES:
            if self.phases.get(phase) not in TO_THE_END:
                yield f"phase {phase} was not made to its end: {self.phases.get(phase, 'it never began')}"
        for operation, asked in self.positive.items():
            if not self.accepted[operation]:
                yield f"{operation}: none of {asked} calls with valid data was accepted"
        for link in sorted(self.links.keys() - self.followed):
            yield f"the link {link} was never followed"
        limited = [call for call in self.calls if call.status == 429]
        if limited:
            yield f"the rate limit was met {len(limited)} times, first by call {limited[0].number}"


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

FACTS: Mapping[str, Check] = {
    "use_after_free": facts.DELETES,
    "ensure_resource_availability": facts.JOB_ID,
    "ignored_auth": facts.KEY_NEEDED,
    "object_level_authorization": facts.FOREIGN,
}
"""What a page says word by word. The other checks are about a part of the spec, and as well known as that."""


def add_findings(run: RunContext, exploration: FuzzingResult) -> None:
    """Turn failed checks and what was inconclusive into findings; count what was checked."""
    reported = {number for finding in run.findings for number in finding.calls}
    for unkept in exploration.unkept:
        if unkept.check not in JUDGED or unkept.call not in reported:
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
