"""The subcommand `conform`: the contract tests, against a mock or the real API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from viralsync_mock.cli.options import FILE, Port, option
from viralsync_mock.errors import UsageError

EXAMPLES = """\b
Examples:
  viralsync-mock conform                                      its own mock: no key, no network, no cost
  viralsync-mock conform --target https://api.viralsync.io --profile quick
  viralsync-mock conform --target https://api.viralsync.io --report-dir report --baseline baseline.json

The API key is read from the variable VIRALSYNC_API_KEY only, and the secret that signs webhooks from
VIRALSYNC_WEBHOOK_SECRET.

Exit codes: 0 conforms · 1 contract broken · 2 wrong use · 3 inconclusive · 4 conforms, but the mock is wrong ·
70 an error in viralsync-mock itself: no verdict.
"""

KEY, SECRET, TOKEN = "VIRALSYNC_API_KEY", "VIRALSYNC_WEBHOOK_SECRET", "VIRALSYNC_MOCK_CONTROL_TOKEN"
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(epilog=EXAMPLES, short_help="Test whether a server keeps the documented contract.")
@option("--target", metavar="mock|URL", default="mock", help="The server to test; `mock` starts one.")
@option(
    "--profile",
    type=click.Choice(["quick", "nightly", "deep"]),
    default="nightly",
    help="How much is tested: `quick` only reads, `deep` is for a mock.",
)
@option("--max-render-minutes", type=click.FloatRange(min=0), metavar="M", help="Budget, instead of the profile's.")
@option("--max-requests", type=click.IntRange(min=1), metavar="N", help="Budget, instead of the profile's.")
@option("--deadline", type=click.FloatRange(min=0), metavar="MINUTES", help="Give up after this many, and clean up.")
@option("--strict", is_flag=True, help="Treat facts that were only seen in samples as documented.")
@option("--behaviour", type=FILE, help="Behaviour profile that the target is compared with.")
@option("--baseline", type=FILE, help="baseline.json of an earlier run: only changes count.")
@option(
    "--history",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Compare with the nights before in this file, and add tonight's (JSON lines).",
)
@option("--project-id", metavar="ID", help="A project of the target; by default one named after the seed.")
@option("--webhook-url", metavar="URL", help="Public address that leads to --webhook-port on this machine.")
@option("--webhook-port", type=Port(), metavar="PORT", default=0, help="0 picks a free port.")
@option("--report-dir", type=FOLDER, metavar="DIR", help="Write report.html and the other reports there.")
@option("--canary/--no-canary", default=True, help="Also prove that the run notices a deliberately wrong server.")
@option("--seed", type=int, metavar="N", default=0, help="The same seed makes the same calls.")
def conform(report_dir: Path | None, history: Path | None, canary: bool, **given: Any) -> None:
    """Test whether a server keeps the documented contract, and whether the mock behaves like it.

    A run touches only its own jobs, and cancels and deletes them. It reserves the worst-case cost of each call before
    making it. Against a real server it takes minutes, against the mock seconds.
    """
    try:
        import schemathesis  # noqa: F401 - only to see that it is there: the kit imports it when it needs it

        from viralsync_conform.cli import Options, run_and_report
    except ImportError as missing:
        raise UsageError(
            f"conform needs {missing.name}, which is not installed: pip install 'viralsync-mock[conform]'"
        ) from None
    given["is_strict"] = given.pop("strict")
    given["seed"] = str(given["seed"])
    for name, variable in {"key": KEY, "webhook_secret": SECRET, "control_token": TOKEN}.items():
        given[name] = os.environ.get(variable) or None
    options = Options(**given)
    raise SystemExit(run_and_report(options, report_dir, history=history, has_canary=canary))
