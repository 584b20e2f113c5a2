"""The command `conform`: progress, result, reports, history and exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from viralsync_conform.baseline import night_of, nights_like, read_history, write_history
from viralsync_conform.calls import Exchange
from viralsync_conform.conformance import Options, conform
from viralsync_conform.findings import Verdict
from viralsync_conform.journeys import JOURNEYS
from viralsync_conform.nightly.canary import canary
from viralsync_conform.profiles import PROFILES
from viralsync_conform.reports import write_reports
from viralsync_conform.reports.text import format_result
from viralsync_conform.result import Night
from viralsync_conform.target.wire import TargetAwayError
from viralsync_mock.artefacts.writing import NO_VERDICT, check_writable, no_verdict, safe
from viralsync_mock.errors import UsageError

__all__ = ["Options", "run_and_report"]


def run_and_report(
    options: Options, report_dir: Path | None, *, history: Path | None = None, has_canary: bool = True
) -> int:
    """Run the kit, print the result, write the reports and return the exit code.

    Raises UsageError for options, files and folders that cannot be used, before the first call. Any other error is a
    bug of ours: it is exit code 70, and no verdict.
    """
    if has_canary and PROFILES[options.profile].has_canary:
        options = replace(options, canary=canary)
    if report_dir is not None:
        check_writable("--report-dir", report_dir)
    if history is not None:
        check_writable("--history", history.parent)
    nights = None if history is None else read_history(history)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts it with `&` has it ignored
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job that is cancelled cleans up as after Ctrl-C
    try:
        return _run(options, report_dir, history, nights)
    except TargetAwayError as away:
        click.echo(safe(str(away)))
        return int(Verdict.INCONCLUSIVE)
    except (UsageError, click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:  # whatever it is, it must not look like a verdict: Python itself would end with 1
        click.echo(no_verdict(error, report_dir), err=True)
        return NO_VERDICT


def _run(options: Options, report_dir: Path | None, history: Path | None, nights: tuple[Night, ...] | None) -> int:
    with _progress() as (on_journey, on_call):
        result = conform(replace(options, on_journey=on_journey, on_call=on_call))
    if nights is not None:
        result = replace(result, nights=nights_like(nights, result.target, result.profile))
    for line in format_result(result):
        click.echo(line)
    if report_dir is not None:
        written = write_reports(result, report_dir)
        click.echo(f"\nreports: {report_dir / 'report.html'} and {len(written) - 1} more")
    if history is not None:
        write_history(history, (*(nights or ()), night_of(result)))
    return int(result.verdict)


@contextmanager
def _progress() -> Iterator[tuple[Callable[[str], None], Callable[[Exchange], None]]]:
    """Yield callbacks that show progress on standard error: a bar on a terminal, else a line a journey."""
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
