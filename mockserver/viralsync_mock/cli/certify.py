"""The subcommand `certify`: a client in any language on trial."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from viralsync_mock.cli.options import FILE, option
from viralsync_mock.errors import UsageError

if TYPE_CHECKING:
    from viralsync_mock.certify.result import TrialResult

EXAMPLES = """\b
Examples:
  viralsync-mock certify --command "node render.mjs"
  viralsync-mock certify --command "java Render.java" --callback-to "http://127.0.0.1:{port}/webhooks" --suite full
  viralsync-mock certify --command "python render.py" --only retry-after --only outage --report-dir report

The program finds the mock in VIRALSYNC_BASE_URL and its key in VIRALSYNC_API_KEY. VIRALSYNC_TASK says what to do
(render, poll, stream, webhook, list, cancel), VIRALSYNC_SCENARIO what it meets; VIRALSYNC_CALLBACK_URL is for the
submission.

Exit codes: 0 well behaved, and proved · 1 a rule failed · 2 wrong use · 3 inconclusive: something was not proved,
or the mock failed · 4 an expected failure has passed · 70 an error in viralsync-mock itself: no verdict.
"""

own_option = partial(option, command="certify")


@click.command(epilog=EXAMPLES, short_help="Put a client in any language on trial.")
@own_option("--command", metavar="COMMAND", required=True, help="Starts your client; no shell reads it.")
@own_option("--suite", metavar="core|full|FILE", default="core", help="The scenarios.")
@own_option("--only", metavar="NAME", multiple=True, help="Only this scenario of the suite. Repeatable.")
@own_option(
    "--expected-failures", type=FILE, help="Scenarios, or scenario/rule, that may fail, each with a reason (YAML)."
)
@own_option(
    "--report-dir", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write the reports there."
)
@own_option("--jobs", type=click.IntRange(1, 64), metavar="N", default=6, help="Scenarios at the same time.")
@own_option(
    "--clock",
    type=click.Choice(["scaled", "jump"]),
    default="scaled",
    help="`scaled` for a program that sleeps in real time, `jump` for one that sleeps on POST /__mock/clock/sleep.",
)
@own_option(
    "--callback-to",
    metavar="URL",
    help="Where the client receives webhooks; {port} is a free port, which it finds in VIRALSYNC_CALLBACK_PORT.",
)
def certify(
    command: str,
    suite: str,
    only: tuple[str, ...],
    expected_failures: Path | None,
    report_dir: Path | None,
    jobs: int,
    clock: str,
    callback_to: str | None,
) -> None:
    """Put a client in any language on trial: run it through scenarios, and judge its calls.

    Each scenario has a mock of its own behind a fresh key. A run of the suite core takes about half a minute.
    """
    # imported here: only this subcommand needs them
    from viralsync_mock.artefacts.writing import NO_VERDICT, check_writable, no_verdict
    from viralsync_mock.certify.receiver import check_callback
    from viralsync_mock.certify.reports import text_of, write_reports
    from viralsync_mock.certify.run import Options
    from viralsync_mock.certify.run import certify as run
    from viralsync_mock.certify.suite import load_expected, load_suite
    from viralsync_mock.openapi.spec import load_spec
    from viralsync_mock.settings import shipped

    chosen = load_suite(suite, load_spec(shipped("openapi.yaml"))).only(only)
    expected = load_expected(expected_failures, chosen)
    if report_dir is not None:
        check_writable("--report-dir", report_dir)
    options = Options(command, chosen, expected, clock, jobs, check_callback(callback_to))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job that is cancelled ends its programs
    try:
        report = run(options, _progress)
    except (UsageError, click.ClickException):
        raise
    except Exception as error:  # whatever it is, it must not look like a verdict: Python itself would end with 1
        click.echo(no_verdict(error, report_dir), err=True)
        raise SystemExit(NO_VERDICT) from None
    for line in text_of(report):
        click.echo(line)
    if report_dir is not None:
        write_reports(report, report_dir)
        click.echo(f"reports: {report_dir / 'report.html'} and others")
    raise SystemExit(int(report.verdict))


def _progress(result: TrialResult) -> None:
    alone = " (alone)" if result.alone else ""
    click.echo(f"{result.outcome:<9} {result.seconds:5.1f} s  {result.trial.name}{alone}", err=True)
