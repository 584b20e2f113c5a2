"""The mutation score: which mutants were noticed, by which checks, and whether the bars are reached."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from viralsync_conform.mutants.measuring import Run
from viralsync_conform.mutants.mutant import BEHAVIOUR, INDEPENDENT, MECHANICAL, Mutant
from viralsync_conform.mutants.schemathesis_baseline import PlainRun

BARS: Mapping[str, float] = {MECHANICAL: 98.0, BEHAVIOUR: 95.0}
"""Percent of the mutants of each source that have to be noticed."""

UNDETECTABLE: Mapping[str, str] = {}
"""The mutants that no black box can notice within the budget, with the reason."""

CONFORMS = "CONFORMS"
HONEST = frozenset({CONFORMS, "DIFFERS", "INCONCLUSIVE"})
"""What a counter-mutant may be called."""

MAX_REQUESTS, MAX_RENDERS = 400, 3


@dataclass(frozen=True)
class Score:
    """All runs: of the mutants, of the mock itself with several seeds (`clean`), and of Schemathesis alone (`plain`).

    `excused` mutants cannot be noticed, for the reason given there; they count only if they were noticed.
    """

    mutants: Sequence[Mutant]
    runs: Mapping[str, Run]
    clean: Sequence[Run]
    plain: Mapping[str, PlainRun]
    plain_clean: PlainRun | None
    excused: Mapping[str, str]

    @cached_property
    def noise(self) -> frozenset[str]:
        """The checks that fail on the mock itself: they do not count."""
        return frozenset[str]().union(*(run.checks for run in self.clean))

    def noticed_by(self, mutant: Mutant) -> tuple[str, ...]:
        return tuple(sorted(self.runs[mutant.name].checks - self.noise))

    def noticed_plainly(self, mutant: Mutant) -> bool | None:
        """Return whether Schemathesis alone noticed a mutant; None if it was not run."""
        if mutant.name not in self.plain or self.plain_clean is None:
            return None
        return bool(self.plain[mutant.name].failures - self.plain_clean.failures)

    @property
    def survivors(self) -> list[Mutant]:
        """The mutants that no check noticed, except excused ones."""
        return [each for each in self.mutants if not self.noticed_by(each) and each.name not in self.excused]

    @property
    def false_alarms(self) -> list[Run]:
        """The runs against the mock itself that did not conform."""
        return [run for run in self.clean if run.verdict != CONFORMS]

    def counted(self, source: str) -> list[Mutant]:
        """Return the mutants of a source without excused survivors."""
        return [m for m in self.mutants if m.source == source and (self.noticed_by(m) or m.name not in self.excused)]

    def percent(self, source: str) -> float | None:
        """Return the percentage of a source's mutants that were noticed; None if it has none."""
        counted = self.counted(source)
        return _percent(sum(bool(self.noticed_by(each)) for each in counted), len(counted))

    def plain_percent(self, source: str) -> float | None:
        """Return the percentage of a source's mutants that Schemathesis alone noticed; None if it was not run."""
        outcomes = [self.noticed_plainly(each) for each in self.counted(source)]
        asked = [each for each in outcomes if each is not None]
        return _percent(sum(asked), len(asked))

    @property
    def is_enough(self) -> bool:
        """Whether every bar is reached without a false alarm."""
        scores = ((self.percent(source), bar) for source, bar in BARS.items())
        return not self.false_alarms and all(score is None or score >= bar for score, bar in scores)

    @property
    def over_budget(self) -> list[Run]:
        return [
            run
            for run in (*self.clean, *self.runs.values())
            if run.requests > MAX_REQUESTS or run.renders > MAX_RENDERS
        ]


def _percent(part: int, whole: int) -> float | None:
    return 100.0 * part / whole if whole else None


def lines(score: Score) -> Iterable[str]:
    """Yield the table, the scores, the survivors, the false alarms and the cost, as plain text."""
    yield from _table(score)
    yield ""
    for source, bar in BARS.items():
        if (percent := score.percent(source)) is not None:
            plain = score.plain_percent(source)
            beside = "" if plain is None else f"; Schemathesis alone: {plain:.1f} %"
            yield f"{source}: {percent:.1f} % of {len(score.counted(source))} (bar: {bar:g} %){beside}"
    blind = [each for each in score.counted(BEHAVIOUR) if each.origin == INDEPENDENT]
    if (percent := _percent(sum(bool(score.noticed_by(each)) for each in blind), len(blind))) is not None:
        yield f"  of these, written without looking at the checks: {percent:.1f} % of {len(blind)}"
    yield from _listed("survivors", (f"{each.name}: {each.statement}" for each in score.survivors))
    excused = {m.name for m in score.mutants if m.name in score.excused and not score.noticed_by(m)}
    yield from _listed("not observable", (f"{name}: {score.excused[name]}" for name in sorted(excused)))
    alarms = (
        f"run {n}: {run.verdict}, by {_words(run.checks)}"
        for n, run in enumerate(score.clean)
        if run in score.false_alarms
    )
    yield from _listed(f"false alarms in {len(score.clean)} runs against the mock", alarms)
    yield from _listed(
        "over budget", (f"{run.mutant}: {run.requests} requests, {run.renders} renders" for run in score.over_budget)
    )
    yield from _cost(score)


def is_alarm(run: Run) -> bool:
    """Return whether a run of a counter-mutant claims that a documented fact is broken, or came to nothing."""
    return bool(run.failures) or run.verdict not in HONEST


def alarm_lines(runs: Sequence[Run]) -> Iterable[str]:
    """Yield what was said of each counter-mutant, then the false alarms with their findings."""
    width = max([len(run.mutant) for run in runs], default=6)
    yield from (
        f"{run.mutant:{width}}  {run.verdict.lower()}: {_words(run.checks | run.unclear) or '-'}" for run in runs
    )
    alarms = [run for run in runs if is_alarm(run)]
    told = (f"{run.mutant}: {each}" for run in alarms for each in run.failures or [run.verdict])
    yield f"false alarms on {len(runs)} counter-mutants: {len(alarms) or 'none'}"
    yield from (f"  {line}" for line in told)


def _table(score: Score) -> Iterable[str]:
    width = max([len(each.name) for each in score.mutants], default=6)
    yield f"{'mutant':{width}}  alone  kit  by"
    for mutant in score.mutants:
        alone, by = score.noticed_plainly(mutant), score.noticed_by(mutant)
        mark = {None: "-", True: "yes", False: "no"}[alone]
        run = score.runs[mutant.name]
        reason = _words(by) if by else f"({run.verdict}{': ' if run.unclear else ''}{_words(run.unclear)})"
        yield f"{mutant.name:{width}}  {mark:5}  {'yes' if by else 'no':3}  {reason}"


def _words(checks: Collection[str]) -> str:
    return ", ".join(sorted(checks))


def _listed(title: str, what: Iterable[str]) -> Iterable[str]:
    items = list(what)
    yield f"{title}: {len(items) or 'none'}"
    for item in items:
        yield f"  {item}"


def _cost(score: Score) -> Iterable[str]:
    runs = [*score.clean, *score.runs.values()]
    if runs:
        requests, seconds = [run.requests for run in runs], [run.seconds for run in runs]
        yield (
            f"cost of a run: {median(requests):g} requests (at most {max(requests)}), "
            f"at most {max(run.renders for run in runs)} renders, {sum(run.limited for run in score.clean)} times 429 "
            f"on the mock, {median(seconds):.1f} s (at most {max(seconds):.1f} s)"
        )
    if score.plain:
        plain = list(score.plain.values())
        yield (
            f"cost of Schemathesis alone: {median(r.cases for r in plain):g} cases, "
            f"{median(r.seconds for r in plain):.1f} s"
        )
