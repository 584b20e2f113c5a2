"""The subcommand `challenge`: which wrong servers a team's own tests notice."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import click

from viralsync_mock.cli.options import option

EXAMPLES = """\b
Examples:
  viralsync-mock challenge -- pytest tests/
  viralsync-mock challenge --budget 2m --fail-under 80 -- make test

The tests must start their server with the fixture `viralsync`, or with `viralsync-mock serve`: both read
VIRALSYNC_MOCK_MUTANT. Other commands than pytest are judged by their exit code alone.

Exit codes: 0 · 1 fewer noticed than --fail-under · 2 wrong use, or the tests fail without any deviation.
"""

_BUDGET = re.compile(r"(\d+)(s|m|h)\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600}

own_option = partial(option, command="challenge")


def _seconds(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    found = _BUDGET.match(text)
    if not found:
        raise click.BadParameter(f"expected a whole number with s, m or h, such as 5m, got {text!r}.")
    return float(int(found[1]) * _SECONDS[found[2]])


@click.command(
    epilog=EXAMPLES,
    short_help="List the bugs of the API that your tests would not notice.",
    context_settings={"ignore_unknown_options": True},
)
@own_option("--budget", metavar="TIME", default="5m", callback=_seconds, help="Time for all runs together.")
@own_option("--only", metavar="NAME", multiple=True, help="Only this wrong server. Repeatable.")
@own_option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the result as JSON."
)
@own_option("--fail-under", type=click.FloatRange(0, 100), metavar="P", default=0.0, help="Least percentage to notice.")
@own_option("--workers", type=click.IntRange(min=1), metavar="N", default=2, help="Runs at the same time.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def challenge(
    budget: float,
    only: tuple[str, ...],
    report: Path | None,
    fail_under: float,
    workers: int,
    command: tuple[str, ...],
) -> None:
    """Run your tests against deliberately wrong servers, and list the bugs of the API that they would not notice.

    COMMAND first runs three times against the mock itself: tests that fail there are left out. Then it runs once for
    each wrong server, until its first failing test, as long as the budget lasts.
    """
    from viralsync_conform.mutants.challenge import run_challenge

    raise SystemExit(run_challenge(command, budget, only, report, fail_under, workers))
