"""One issue that follows the nights: the command that opens, rewrites or closes it through the `gh` CLI.

    python -m viralsync_conform.nightly.issue_tracker --report-dir DIR --history FILE --run-url URL [--exit-code N]

Needs the standard library only, so that the job that may write issues installs nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from typing import Any

from viralsync_conform.findings import SENTENCES, Verdict
from viralsync_mock.redaction import masked

LABEL = "conformance"
MARKER = "<!-- conformance-tracking -->"
"""Tells the tracking issue from others that carry the label."""

QUIET_NIGHTS = 2
"""Inconclusive nights in a row that pass without a word."""

MAX_SUMMARY = 50_000
"""Characters of the summary that an issue takes over: a body holds 65,536."""

NIGHTS_KEPT = 30
GH_SECONDS = 60
ISSUES_LOOKED_AT = "100"

TITLES = {
    Verdict.BROKEN: "Conformance: the contract is broken",
    Verdict.DIFFERS: "Conformance: the mock differs from the target",
    Verdict.INCONCLUSIVE: "Conformance: inconclusive, night after night",
}
ENDING = "Each night that finds something writes this issue anew; the first that finds nothing closes it."
_ALERTING = re.compile(r"([@#])(?=\w)")


class Kind(StrEnum):
    """What becomes of the issue."""

    NOTHING = "nothing"
    OPEN = "open"
    REWRITE = "rewrite"
    COMMENT = "comment"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Action:
    """What to do with the issue; `sentence` begins its body, `comment` is added if there is one."""

    kind: Kind
    title: str = ""
    sentence: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class NightlyRun:
    """A night that ended with a verdict; `run` is the address of its job."""

    run: str
    verdict: Verdict


class TrackingError(Exception):
    """The issue could not be brought up to date."""


def decide(verdict: Verdict, history: Sequence[Verdict], has_open_issue: bool) -> Action:
    """Return what to do with the issue after a night; `history` are the verdicts of the nights before, oldest first.

    GitHub notifies nobody of a rewritten body, so a verdict that differs from the last conclusive one is commented.
    Inconclusive nights are commented once, after `QUIET_NIGHTS` of them.
    """
    if verdict is Verdict.CONFORMS:
        return Action(Kind.CLOSE, comment=SENTENCES[verdict]) if has_open_issue else Action(Kind.NOTHING)
    if verdict is Verdict.INCONCLUSIVE:
        return _without_verdict(history, has_open_issue)
    title, sentence = TITLES[verdict], SENTENCES[verdict]
    if not has_open_issue:
        return Action(Kind.OPEN, title, sentence)
    last = next((earlier for earlier in reversed(history) if earlier is not Verdict.INCONCLUSIVE), None)
    return Action(Kind.REWRITE, title, sentence, comment="" if verdict is last else sentence)


def _without_verdict(history: Sequence[Verdict], has_open_issue: bool) -> Action:
    before = sum(1 for _ in takewhile(lambda verdict: verdict is Verdict.INCONCLUSIVE, reversed(history)))
    sentence = f"{before + 1} inconclusive nights in a row: the target was away, or the run could not look."
    if before < QUIET_NIGHTS:
        return Action(Kind.NOTHING)
    if not has_open_issue:
        return Action(Kind.OPEN, TITLES[Verdict.INCONCLUSIVE], sentence)
    return Action(Kind.COMMENT, comment=sentence) if before == QUIET_NIGHTS else Action(Kind.NOTHING)


def body_of(action: Action, nights: Sequence[NightlyRun], summary: str) -> str:
    """Return the text of the issue: what holds, since when, and the report's summary, without keys and mentions."""
    tonight = nights[-1]
    alike = list(takewhile(lambda night: night.verdict is tonight.verdict, reversed(nights)))
    since = f"Tonight: {tonight.run}"
    if len(alike) > 1:
        since += f"\nNight {len(alike)} of this kind; the first was {alike[-1].run}"
    return "\n\n".join((MARKER, f"**{action.sentence}**", since, _quoted(summary), ENDING)) + "\n"


def _quoted(summary: str) -> str:
    """Return a summary for an issue, without mentions: it quotes what a server answered."""
    text = masked(summary).strip()
    if len(text) > MAX_SUMMARY:
        text = f"{text[:MAX_SUMMARY].rstrip()}\n\n(cut here: the rest is in the job's artefact)"
    return _ALERTING.sub("\\1\u200b", text)


def read_report(folder: Path, exit_code: int | None) -> tuple[Verdict, str]:
    """Return the verdict and the summary of a report; `exit_code`, where it is known, has to say the same.

    Python ends with 1 as well when it falls over: a code without its report is a crash, and no verdict.
    """
    try:
        summary = (folder / "summary.md").read_text("utf-8")
        verdict = Verdict(json.loads((folder / "report.json").read_bytes())["verdict"]["exit_code"])
    except OSError as error:
        raise TrackingError(f"{error.filename}: {error.strerror}: conform wrote no report: see its log") from None
    except (ValueError, KeyError, TypeError):
        raise TrackingError(f"{folder / 'report.json'}: expected a report with $.verdict.exit_code") from None
    if exit_code not in (None, verdict):
        raise TrackingError(
            f"{folder / 'report.json'}: it says {int(verdict)}, but conform ended with {exit_code}: the report is "
            "another run's, or the run fell over: see its log"
        )
    return verdict, summary


def read_history(path: Path) -> list[NightlyRun]:
    """Return the nights that a file keeps, oldest first; none when there is no file yet, or one that is broken."""
    if not path.exists():
        return []
    try:
        return [NightlyRun(str(kept["run"]), Verdict(kept["verdict"])) for kept in json.loads(path.read_text())]
    except (ValueError, KeyError, TypeError) as error:  # a count that starts anew is better than no tracking
        sys.stderr.write(f"tracking: {path}: expected a list of runs with their verdicts ({error}): it starts anew\n")
        return []


def write_history(path: Path, nights: Sequence[NightlyRun]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [{"run": night.run, "verdict": int(night.verdict)} for night in nights[-NIGHTS_KEPT:]]
    path.write_text(json.dumps(kept, indent=1) + "\n")


@dataclass(frozen=True)
class Tracker:
    """The issues of one repository, through `gh`, which takes repository and token from its environment."""

    gh: str = "gh"
    label: str = LABEL

    def open_issue(self) -> int | None:
        """Return the number of the tracking issue that is open, the oldest one should there be several."""
        found = self._call("issue", "list", "--label", self.label, "--state", "open", "--limit", ISSUES_LOOKED_AT,
                           "--json", "number,body")  # fmt: skip
        try:
            issues: list[dict[str, Any]] = json.loads(found)
            return min((int(issue["number"]) for issue in issues if MARKER in (issue["body"] or "")), default=None)
        except (ValueError, KeyError, TypeError):
            raise TrackingError(f"{self.gh} issue list: expected a list of issues, got {found[:200]!r}") from None

    def do(self, action: Action, issue: int | None, body: str, run: str) -> None:
        number, comment = str(issue), f"{action.comment}\n\n{run}\n"
        if action.kind is Kind.OPEN:
            self._call("label", "create", self.label, "--force", "--color", "b60205", "--description",
                       "The nightly conformance run")  # fmt: skip
            self._call("issue", "create", "--title", action.title, "--label", self.label, "--body-file", "-", text=body)
        if action.kind is Kind.REWRITE:
            self._call("issue", "edit", number, "--title", action.title, "--body-file", "-", text=body)
        if action.comment:
            self._call("issue", "comment", number, "--body-file", "-", text=comment)
        if action.kind is Kind.CLOSE:
            self._call("issue", "close", number, "--reason", "completed")

    def _call(self, *arguments: str, text: str = "") -> str:
        command = f"{self.gh} {' '.join(arguments[:2])}"
        try:
            done = subprocess.run(  # noqa: S603 - the command is the user's own, and no shell reads the texts
                [self.gh, *arguments], input=text, capture_output=True, text=True, timeout=GH_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TrackingError(f"{command}: {error}") from None
        if done.returncode:
            raise TrackingError(f"{command} ended with {done.returncode}: {masked(done.stderr.strip())}")
        return done.stdout


def track(tracker: Tracker, summary: str, history: Path, tonight: NightlyRun) -> Kind:
    """Bring the issue up to date after a night, and remember the night; one that is run again counts once."""
    before = [night for night in read_history(history) if night.run != tonight.run]
    issue = tracker.open_issue()
    action = decide(tonight.verdict, [night.verdict for night in before], issue is not None)
    nights = [*before, tonight]
    tracker.do(action, issue, body_of(action, nights, summary), tonight.run)
    write_history(history, nights)
    return action.kind


def main(arguments: Sequence[str] | None = None) -> int:
    """Track one night; returns 0, or 1 when the issue could not be brought up to date. Wrong use exits with 2."""
    given = _parser().parse_args(arguments)
    try:
        verdict, summary = read_report(given.report_dir, given.exit_code)
        kind = track(Tracker(given.gh, given.label), summary, given.history, NightlyRun(given.run_url, verdict))
    except TrackingError as error:
        sys.stderr.write(f"tracking: {error}\n")
        return 1
    sys.stdout.write(f"{verdict.name.lower()}: {kind} for the issue labelled {given.label}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m viralsync_conform.nightly.issue_tracker",
        description="One issue that follows the nights: it is opened, rewritten or closed through the `gh` CLI.",
    )
    verdicts = [int(verdict) for verdict in Verdict if verdict is not Verdict.WRONG_USE]
    parser.add_argument("--report-dir", type=Path, required=True, help="what `conform` wrote")
    parser.add_argument(
        "--exit-code", type=int, choices=verdicts, help="what `conform` ended with: must be the report's"
    )
    parser.add_argument("--history", type=Path, required=True, help="a file that is kept from night to night")
    parser.add_argument("--run-url", required=True, help="the address of tonight's job")
    parser.add_argument("--gh", default="gh", help="the GitHub CLI")
    parser.add_argument("--label", default=LABEL, help="of the tracking issue")
    return parser


if __name__ == "__main__":
    sys.exit(main())
