"""The subcommand `conform`: the contract tests, against a mock or the real API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from viralsync_mock.cli.options import FILE, option
from viralsync_mock.errors import UsageError

EXAMPLES = """\b
Examples:
  viralsync-mock conform                                      a mock of its own: no key, no network, nothing spent
  viralsync-mock conform --target https://api.viralsync.io --profile quick
  viralsync-mock conform --target https://api.viralsync.io --report-dir report --baseline baseline.json

The API key is read from the variable VIRALSYNC_API_KEY, and from nowhere else; the secret that webhooks are signed
with from VIRALSYNC_WEBHOOK_SECRET.

Exit codes: 0 conforms · 1 contract broken · 2 wrong use · 3 inconclusive · 4 conforms, but the mock is wrong.
"""

KEY, SECRET, TOKEN = "VIRALSYNC_API_KEY", "VIRALSYNC_WEBHOOK_SECRET", "VIRALSYNC_MOCK_CONTROL_TOKEN"
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(epilog=EXAMPLES)
@option("--target", metavar="mock|URL", default="mock", help="What is tested.")
@option("--profile", type=click.Choice(["quick", "nightly", "deep"]), default="nightly", help="How much is done.")
@option(
    "--max-render-minutes", type=click.FloatRange(min=0), metavar="M", help="A wall, in the place of the profile's."
)
@option("--max-requests", type=click.IntRange(min=1), metavar="N", help="A wall, not the profile's.")
@option("--strict", is_flag=True, help="Let what was only seen in samples count as documented.")
@option("--behaviour", type=FILE, help="A behaviour profile: what the mock is believed to know of the target.")
@option("--baseline", type=FILE, help="baseline.json of an earlier run: only what changed counts.")
@option("--webhook-url", metavar="URL", help="Where the target reaches this machine's --webhook-port.")
@option("--webhook-port", type=click.IntRange(0, 65535), metavar="PORT", default=0, help="0 picks a free one.")
@option("--report-dir", type=FOLDER, metavar="DIR", help="Write report.html and its like there.")
@option("--canary/--no-canary", default=True, help="Prove that the kit still notices a server that is wrong.")
@option("--seed", type=int, metavar="N", default=0, help="The same seed, the same calls.")
def conform(report_dir: Path | None, canary: bool, **given: Any) -> None:
    """Find out whether a server keeps the contract, and whether the mock does what it does.

    What a run makes it cancels and deletes, and it touches nothing else. Each call's worst case is paid for before it
    is made.
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
    raise SystemExit(run_and_report(options, report_dir, has_canary=canary))
