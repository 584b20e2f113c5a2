"""What `conform` prints: how far it is, what it found, and where the reports are."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from viralsync_conform.calls import Exchange
from viralsync_conform.conformance import Options, conform
from viralsync_conform.findings import SENTENCES, Finding
from viralsync_conform.journeys import JOURNEYS
from viralsync_conform.nightly.canary import canary
from viralsync_conform.profiles import PROFILES
from viralsync_conform.reports import write_reports
from viralsync_conform.reports.text import TITLES
from viralsync_conform.result import Result
from viralsync_mock.redaction import masked

__all__ = ["Options", "run_and_report"]

MAX_LINE = 300


def run_and_report(options: Options, report_dir: Path | None, *, has_canary: bool = True) -> int:
    """Run the kit, print what came of it, write the reports, and return the exit code."""
    if has_canary and PROFILES[options.profile].has_canary:
        options = replace(options, canary=canary)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job that is cancelled cleans up as after Ctrl-C
    with _progress() as (on_journey, on_call):
        result = conform(replace(options, on_journey=on_journey, on_call=on_call))
    for line in _lines(result):
        click.echo(masked(line))
    if report_dir is not None:
        written = write_reports(result, report_dir)
        click.echo(f"\nreports: {report_dir / 'report.html'} and {len(written) - 1} more")
    return int(result.verdict)


@contextmanager
def _progress() -> Iterator[tuple[Callable[[str], None], Callable[[Exchange], None]]]:
    """Yield what is told of journeys and calls, on standard error: a bar on a terminal, else a line a journey."""
    if not sys.stderr.isatty():
        yield lambda name: click.echo(name, err=True), lambda _: None
        return
    # imported here: a bar is only for people
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[calls]} calls"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(JOURNEYS), calls=0)
        yield (
            lambda name: bar.update(task, description=name, advance=1),
            lambda call: bar.update(task, calls=call.number),
        )


def _lines(result: Result) -> Iterator[str]:
    """Yield what a person wants to know: what was found, what was not done, how it can be trusted, what it means."""
    counted = result.baseline.new if result.baseline else result.findings
    for category, title in TITLES.items():
        yield from (_line(title, finding) for finding in counted if finding.category is category)
    yield from _skipped(result)
    if result.baseline and result.baseline.known:
        yield f"known from the baseline: {len(result.baseline.known)}"
    budget = result.budget
    yield (
        f"{len(result.asserted)} checks asserted {sum(result.asserted.values())} times with {budget.requests} requests "
        f"and {budget.charged:.3f} render minutes in {result.seconds:.1f} s"
    )
    yield from _trust(result)
    yield f"{result.verdict.name.lower()} ({int(result.verdict)}): {SENTENCES[result.verdict]}"


def _skipped(result: Result) -> Iterator[str]:
    """Yield each reason with the journeys that were not made for it."""
    reasons: dict[str, list[str]] = {}
    for journey in result.journeys:
        if journey.outcome == "skipped":
            reasons.setdefault(journey.reason, []).append(journey.name)
    for reason, names in reasons.items():
        yield f"skipped: {', '.join(names)}: {reason}"


def _trust(result: Result) -> Iterator[str]:
    if result.fidelity is not None:
        yield f"fidelity: the mock does {result.fidelity.percent:.1f} % of {result.fidelity.steps} steps alike"
    if result.canary is not None:
        outcome = "noticed" if result.canary.is_caught else "NOT NOTICED"
        yield f"canary: {result.canary.mutant}: {outcome}"


def _line(title: str, finding: Finding) -> str:
    where = " ".join(str(part) for part in (finding.operation, finding.status, finding.place) if part)
    values = f" expected {finding.expected}, got {finding.got}" if finding.expected or finding.got else ""
    calls = f" (calls {', '.join(map(str, finding.calls[:3]))})" if finding.calls else ""
    text = f"{title}: {finding.check}: {where}: {finding.message}{values}{calls}"
    return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}…"
