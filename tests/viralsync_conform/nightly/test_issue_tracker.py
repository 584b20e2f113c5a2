"""The tracking issue of the nightly job: when it is opened, rewritten, commented and closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.paths import ROOT

from viralsync_conform.findings import Verdict
from viralsync_conform.nightly.issue_tracker import (
    LABEL,
    MARKER,
    MAX_SUMMARY,
    NIGHTS_KEPT,
    Action,
    Kind,
    NightlyRun,
    body_of,
    decide,
    main,
    read_history,
    write_history,
)

CONFORMS, BROKEN, INCONCLUSIVE, DIFFERS = Verdict.CONFORMS, Verdict.BROKEN, Verdict.INCONCLUSIVE, Verdict.DIFFERS
KEY = "vs_prod_0123456789abcdef0123456789abcdef"
PATIENCE = 30

FAKE_GH = f"""#!{sys.executable}
import json, os, pathlib, sys
folder = pathlib.Path(__file__).parent
words = sys.argv[1:]
text = sys.stdin.read() if "-" in words else ""
with (folder / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps([words, text]) + "\\n")
if words[:2] == json.loads((folder / "fails.json").read_text()):
    sys.exit("HTTP 502: no token {KEY}")
if words[:2] == ["issue", "list"]:
    sys.stdout.write((folder / "issues.json").read_text())
"""


@dataclass
class Repository:
    """What a fake `gh` in a folder of its own knows and was asked."""

    folder: Path
    issues: list[dict[str, Any]] = field(default_factory=list)
    fails: list[str] = field(default_factory=list)

    def night(self, verdict: int, run: str = "https://ci.example/runs/9", *, summary: str = "# All in all") -> int:
        """Track one night, and return the exit code."""
        self.report(verdict, summary)
        return main(arguments(self, verdict, run))

    def report(self, verdict: object, summary: str = "") -> None:
        """Write what the fake knows, and the report of a night."""
        (self.folder / "issues.json").write_text(json.dumps(self.issues))
        (self.folder / "fails.json").write_text(json.dumps(self.fails))
        report = self.folder / "report"
        report.mkdir(exist_ok=True)
        (report / "report.json").write_text(json.dumps({"verdict": {"exit_code": verdict}}))
        (report / "summary.md").write_text(summary)

    @property
    def history(self) -> Path:
        """Where the nights are kept."""
        return self.folder / "kept" / "nights.json"

    def asked(self) -> list[tuple[list[str], str]]:
        """Return every call since the last look but those that only read, with the text that was handed over."""
        calls = self.folder / "calls.jsonl"
        found = [tuple(json.loads(line)) for line in calls.read_text().splitlines()] if calls.exists() else []
        calls.unlink(missing_ok=True)
        return [call for call in found if call[0][:2] != ["issue", "list"]]

    def verbs(self) -> list[str]:
        """Return what was asked for, without the particulars."""
        return [" ".join(words[:2]) for words, _ in self.asked()]


def arguments(repository: Repository, verdict: int, run: str) -> list[str]:
    given = {
        "--report-dir": repository.folder / "report",
        "--exit-code": verdict,
        "--history": repository.history,
        "--run-url": run,
        "--gh": repository.folder / "gh",
    }
    return [str(word) for pair in given.items() for word in pair]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    gh = tmp_path / "gh"
    gh.write_text(FAKE_GH)
    gh.chmod(0o755)
    return Repository(tmp_path)


def tracked(number: int = 7) -> dict[str, Any]:
    return {"number": number, "body": f"{MARKER}\n\nsomething"}


# --- the decision ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "history", "has_issue", "kind", "is_told"),
    [
        (CONFORMS, [], False, Kind.NOTHING, False),
        (CONFORMS, [BROKEN], True, Kind.CLOSE, True),
        (BROKEN, [CONFORMS], False, Kind.OPEN, False),
        (DIFFERS, [], False, Kind.OPEN, False),
        (BROKEN, [BROKEN], True, Kind.REWRITE, False),
        (BROKEN, [DIFFERS], True, Kind.REWRITE, True),
        (DIFFERS, [BROKEN, INCONCLUSIVE], True, Kind.REWRITE, True),
        (BROKEN, [BROKEN, INCONCLUSIVE], True, Kind.REWRITE, False),
        (BROKEN, [INCONCLUSIVE] * 3, True, Kind.REWRITE, True),
        (INCONCLUSIVE, [], False, Kind.NOTHING, False),
        (INCONCLUSIVE, [INCONCLUSIVE], True, Kind.NOTHING, False),
        (INCONCLUSIVE, [INCONCLUSIVE, CONFORMS, INCONCLUSIVE], False, Kind.NOTHING, False),
        (INCONCLUSIVE, [CONFORMS, INCONCLUSIVE, INCONCLUSIVE], False, Kind.OPEN, False),
        (INCONCLUSIVE, [BROKEN, INCONCLUSIVE, INCONCLUSIVE], True, Kind.COMMENT, True),
        (INCONCLUSIVE, [INCONCLUSIVE] * 3, True, Kind.NOTHING, False),
        (INCONCLUSIVE, [INCONCLUSIVE] * 3, False, Kind.OPEN, False),
    ],
)
def test_the_verdict_and_the_nights_before_decide(
    verdict: Verdict, history: list[Verdict], has_issue: bool, kind: Kind, is_told: bool
) -> None:
    """Findings open or rewrite, a green night closes, and only the third night without a verdict is told of."""
    action = decide(verdict, history, has_issue)
    assert (action.kind, bool(action.comment)) == (kind, is_told)
    assert bool(action.title) == (kind in {Kind.OPEN, Kind.REWRITE})


def test_the_titles_tell_the_verdicts_apart() -> None:
    """Who reads only the list of issues knows what it is about."""
    quiet = [INCONCLUSIVE, INCONCLUSIVE]
    assert len({decide(verdict, quiet, False).title for verdict in (BROKEN, DIFFERS, INCONCLUSIVE)}) == 3
    assert "3 inconclusive nights in a row" in decide(INCONCLUSIVE, quiet, False).sentence


# --- the text --------------------------------------------------------------------------------------------------------


def body(summary: str, *verdicts: Verdict) -> str:
    nights = [NightlyRun(f"run/{number}", verdict) for number, verdict in enumerate(verdicts or (BROKEN,))]
    return body_of(Action(Kind.OPEN, "title", "It is broken."), nights, summary)


def test_the_body_has_the_verdict_the_run_and_the_summary() -> None:
    """And the marker, by which it is found again."""
    text = body("# 3 failures\n\n| a | b |")
    assert text.startswith(f"{MARKER}\n\n**It is broken.**\n\nTonight: run/0\n\n# 3 failures\n\n| a | b |\n\n")


def test_the_body_says_since_when() -> None:
    """The first night of the same verdict in a row."""
    text = body("", BROKEN, CONFORMS, BROKEN, BROKEN)
    assert "Tonight: run/3\nNight 2 of this kind; the first was run/2\n" in text


def test_the_body_carries_no_key_and_calls_nobody() -> None:
    """A server may answer with anything, a key, a name or the number of an issue among it."""
    text = body(f"key={KEY} thanks to @octocat, see #12 and `@team/all`")
    assert KEY not in text
    assert "@octocat" not in text
    assert "#12" not in text
    assert "@team" not in text


def test_a_long_summary_is_cut() -> None:
    """GitHub refuses a body of more than 65,536 characters."""
    text = body("x" * 70_000)
    assert MAX_SUMMARY < len(text) < MAX_SUMMARY + 1000
    assert "the rest is in the job's artefact" in text


# --- the command -----------------------------------------------------------------------------------------------------


def test_a_broken_night_opens_one_issue_with_the_label(repository: Repository) -> None:
    """The label is made first, since nobody can be asked to have done so."""
    assert repository.night(1) == 0
    label, issue = repository.asked()
    assert label[0][:3] == ["label", "create", LABEL]
    assert issue[0] == ["issue", "create", "--title", "Conformance: the contract is broken",
                        "--label", LABEL, "--body-file", "-"]  # fmt: skip
    assert "# All in all" in issue[1]


def test_the_next_night_rewrites_it_in_silence(repository: Repository) -> None:
    """The same verdict again is no news."""
    repository.night(1, "first")
    repository.issues = [tracked()]
    repository.asked()
    repository.night(1, "second", summary="# Otherwise")
    ((words, text),) = repository.asked()
    assert words[:3] == ["issue", "edit", "7"]
    assert "# Otherwise" in text
    assert "the first was first" in text


def test_another_verdict_is_commented(repository: Repository) -> None:
    """A rewritten body alone reaches nobody's inbox."""
    repository.night(4, "first")
    repository.issues = [tracked()]
    repository.asked()
    repository.night(1, "second")
    edited, commented = repository.asked()
    assert "the contract is broken" in edited[0][4]
    assert commented[0] == ["issue", "comment", "7", "--body-file", "-"]
    assert commented[1].endswith("\n\nsecond\n")


def test_the_first_green_night_closes_it_with_a_comment(repository: Repository) -> None:
    """And a green night without an issue does nothing."""
    repository.issues = [tracked()]
    assert repository.night(0) == 0
    assert repository.verbs() == ["issue comment", "issue close"]
    repository.issues = []
    assert repository.night(0) == 0
    assert repository.verbs() == []


def test_three_nights_without_a_verdict_are_told_of_once(repository: Repository) -> None:
    """The first two are quiet, and so are those after the third."""
    assert [repository.night(3, f"run/{number}") for number in (1, 2)] == [0, 0]
    assert repository.verbs() == []
    repository.night(3, "run/3")
    assert repository.verbs() == ["label create", "issue create"]
    repository.issues = [tracked()]
    repository.night(3, "run/4")
    assert repository.verbs() == []


def test_a_night_that_is_run_again_counts_once(repository: Repository) -> None:
    """What counts is its last verdict."""
    for _ in range(3):
        repository.night(3, "run/1")
    assert repository.verbs() == []
    repository.night(0, "run/1")
    assert read_history(repository.history) == [NightlyRun("run/1", CONFORMS)]


def test_an_issue_without_the_marker_is_left_alone(repository: Repository) -> None:
    """People may put the label on issues of their own; of several tracking issues the oldest is the one."""
    repository.issues = [{"number": 3, "body": "mine"}, {"number": 4, "body": None}]
    repository.night(1)
    assert repository.verbs() == ["label create", "issue create"]
    repository.issues += [tracked(9), tracked(8)]
    repository.night(1, "the next one")
    assert [words[2] for words, _ in repository.asked()] == ["8"]


@pytest.mark.parametrize(
    ("written", "missing", "told"),
    [
        (0, "", "it says 0, but conform ended with 1"),
        (1, "summary.md", "conform wrote no report"),
        (1, "report.json", "conform wrote no report"),
        ("green", "", "expected a report with $.verdict.exit_code"),
        (None, "", "expected a report with $.verdict.exit_code"),
    ],
)
def test_a_crash_is_not_taken_for_a_broken_contract(
    repository: Repository, written: object, missing: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python ends with 1 as well when it falls over; but then there is no report, or an older one."""
    repository.report(written)
    if missing:
        (repository.folder / "report" / missing).unlink()
    assert main(arguments(repository, 1, "run/1")) == 1
    assert told in capsys.readouterr().err
    assert (repository.verbs(), repository.history.exists()) == ([], False)


def test_the_report_alone_says_what_the_verdict_is(repository: Repository) -> None:
    """The exit code is a second opinion, and may be left out."""
    repository.report(1)
    given = arguments(repository, 1, "run/1")
    at = given.index("--exit-code")
    assert main(given[:at] + given[at + 2 :]) == 0
    assert read_history(repository.history) == [NightlyRun("run/1", BROKEN)]


@pytest.mark.parametrize("fails", [["issue", "list"], ["issue", "create"]])
def test_a_refusal_of_gh_is_told_without_keys_and_not_counted(
    repository: Repository, fails: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The job turns red, and the next night tries again."""
    repository.fails = fails
    assert repository.night(1) == 1
    told = capsys.readouterr().err
    assert f"{' '.join(fails)} ended with 1: HTTP 502" in told
    assert KEY not in told
    assert not repository.history.exists()


def test_a_gh_that_is_not_there_or_speaks_otherwise_is_told(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not as a traceback."""
    repository.issues = [{"title": "neither number nor body"}]
    assert repository.night(1) == 1
    assert "expected a list of issues" in capsys.readouterr().err
    (repository.folder / "gh").unlink()
    assert repository.night(1) == 1
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize("code", ["2", "130", "green"])
def test_what_is_no_verdict_is_wrong_use(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 of `conform` says that the job is set up wrongly: no issue tells of that."""
    with pytest.raises(SystemExit) as ending:
        main(["--report-dir", "r", "--exit-code", code, "--history", "h", "--run-url", "u"])
    assert ending.value.code == 2
    assert "--exit-code" in capsys.readouterr().err


def test_the_history_comes_back_as_it_was_kept_and_stays_short(tmp_path: Path) -> None:
    """Only the last nights can matter."""
    nights = [NightlyRun(f"run/{number}", BROKEN if number % 2 else DIFFERS) for number in range(NIGHTS_KEPT + 5)]
    write_history(tmp_path / "new" / "nights.json", nights)
    assert read_history(tmp_path / "new" / "nights.json") == nights[5:]
    assert read_history(tmp_path / "none.json") == []


@pytest.mark.parametrize("text", ["", "{", "7", "[1]", '[{"run": "r"}]', '[{"run": "r", "verdict": 9}]'])
def test_a_broken_history_starts_anew_and_says_so(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cache that was cut off keeps no night from being tracked."""
    path = tmp_path / "nights.json"
    path.write_text(text)
    assert read_history(path) == []
    assert "it starts anew" in capsys.readouterr().err


def test_it_runs_with_the_standard_library_alone(repository: Repository) -> None:
    """The job that may write issues installs nothing: `-S` hides every installed package."""
    repository.report(1)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "viralsync_conform.nightly.issue_tracker", *arguments(repository, 1, "u")],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "mockserver:contract_tests"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "broken: open for the issue labelled conformance\n", "")
