"""One measurement: the `nightly` profile against one mutant, or against the mock itself."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from types import FrameType

from viralsync_conform.clocks import measured
from viralsync_conform.conformance import Options, conform
from viralsync_conform.findings import Category, Finding
from viralsync_conform.mock_comparison import Trace, trace_of
from viralsync_conform.mutants.catalogue import BEHAVIOUR_MUTANTS, HAND_WRITTEN_READINGS
from viralsync_conform.mutants.derived.mutations import mechanical_mutants
from viralsync_conform.mutants.derived.readings import derived_readings
from viralsync_conform.mutants.engine.server import serving
from viralsync_conform.mutants.mutant import Mutant
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.settings import shipped

LIMITED = 429
PROJECT, KEY = "proj_demo01", "vs_prod_" + "6d" * 16
TIMEOUT_SECONDS, REAL_SECONDS = 180, 1200
"""Real seconds for one run: the kit gives up long before."""


class TooLongError(Exception):
    """A run exceeded TIMEOUT_SECONDS."""


@dataclass(frozen=True)
class Run:
    """Result of one run. `checks` failed, `unclear` ones are inconclusive; `failures` say which documented facts broke.

    `requests` and `renders` count for the account under test, `limited` its 429 responses.
    """

    mutant: str
    verdict: str
    checks: frozenset[str] = frozenset()
    unclear: frozenset[str] = frozenset()
    failures: tuple[str, ...] = ()
    requests: int = 0
    renders: int = 0
    limited: int = 0
    seconds: float = 0.0


@cache
def all_mutants() -> Mapping[str, Mutant]:
    """Return every mutant and counter-mutant by name, those from the spec first."""
    spec = load_spec(shipped("openapi.yaml"))
    readings = (*derived_readings(spec), *HAND_WRITTEN_READINGS)
    return {mutant.name: mutant for mutant in (*mechanical_mutants(spec), *BEHAVIOUR_MUTANTS, *readings)}


@cache
def _reference(seed: str) -> Trace:
    """Return how the journeys go on the mock: measured once, it is the same for every mutant."""
    return trace_of(conform(Options(seed=seed, project_id=PROJECT)).calls, with_lists=True)


def measure(name: str | None, seed: str) -> Run:
    """Run the kit against a mutant by its name, or against the mock; the verdict of a run that fails is its error."""
    label = name or "mock"
    try:
        with (
            _timeout(REAL_SECONDS if name and all_mutants()[name].in_real_time else TIMEOUT_SECONDS),
            measured() as taken,
        ):
            run = _run(name, label, seed)
    except Exception as problem:  # one run that breaks down must not end the others
        return Run(label, f"{type(problem).__name__}: {problem}")
    return Run(**{**vars(run), "seconds": taken[0]})


def _run(name: str | None, label: str, seed: str) -> Run:
    mutant = all_mutants()[name] if name else None
    options = Options(seed=seed, project_id=PROJECT)
    if mutant is not None and mutant.in_real_time:
        options = replace(options, uses_control=False, key=KEY, has_fidelity=False)
    else:
        options = replace(options, reference=_reference(seed))
    with serving(mutant, seed=seed) as url:
        result = conform(replace(options, target=url))
    firm = [finding for finding in result.findings if finding.category is not Category.INCONCLUSIVE]
    return Run(
        mutant=label,
        verdict=result.verdict.name,
        checks=frozenset(finding.check for finding in firm),
        unclear=frozenset(each.check for each in result.findings) - {each.check for each in firm},
        failures=tuple(_line(finding) for finding in firm if finding.category is Category.FAILURE),
        requests=result.budget.requests,
        renders=result.budget.renders,
        limited=sum(call.status == LIMITED and call.account == "main" for call in result.calls),
    )


def _line(finding: Finding) -> str:
    where = " ".join(str(part) for part in (finding.operation, finding.status, finding.place, finding.name) if part)
    return f"{finding.check}: {where}: {finding.message}, expected {finding.expected}, got {finding.got}"[:300]


@contextmanager
def _timeout(seconds: int) -> Iterator[None]:
    """Raise TooLongError if the block takes longer; works in the main thread only."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TooLongError(f"gave up after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
