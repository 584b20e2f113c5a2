"""The workflows: what they may do, who sees the key, and what becomes of each exit code; and the same for cron."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.paths import ROOT

from viralsync_conform.profiles import PROFILES
from viralsync_mock.config.yaml_source import read_yaml
from viralsync_mock.errors import SettingsError

FOLDER = ROOT / ".github/workflows"
PATHS = {path.name: path for path in [*sorted(FOLDER.glob("*.yml")), ROOT / "fixtures/starter/workflow.yml"]}
WORKFLOWS = {name: read_yaml(path, SettingsError).value for name, path in PATHS.items()}
NIGHTLY = WORKFLOWS["nightly-conformance.yml"]
DOCUMENTS = {name: (ROOT / "docs" / name).read_text() for name in ("nightly.md", "conformance.md")}
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+\n")
KEY = "vs_prod_0123456789abcdef0123456789abcdef"
PATIENCE = 30

FAKE_CONFORM = """#!/usr/bin/env bash
echo "$@" > "$FAKE_FOLDER/arguments"
echo "${VIRALSYNC_API_KEY-none} ${VIRALSYNC_WEBHOOK_SECRET-none}" > "$FAKE_FOLDER/secrets"
while [ "$1" != --report-dir ]; do shift; done
if [ -z "${FAKE_CRASH-}" ]; then mkdir -p "$2"; echo "the summary" > "$2/summary.md"; fi
echo "the log"
exit "$FAKE_CODE"
"""


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def step(name: str) -> dict[str, Any]:
    return next(each for each in steps(NIGHTLY) if each.get("name") == name)


# --- what the workflows may do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_action_is_pinned_to_a_commit_and_says_its_version(name: str) -> None:
    """A tag can be moved by whoever owns the action."""
    lines = [line for line in PATHS[name].read_text().splitlines(keepends=True) if "uses:" in line]
    lines = [line for line in lines if "uses: ./ " not in line]  # this repository's own
    assert lines
    assert [line for line in lines if not PINNED.search(line)] == []


def test_the_same_action_is_the_same_commit_everywhere() -> None:
    """A pin that is renewed is renewed in all workflows."""
    used = {each["uses"] for workflow in WORKFLOWS.values() for each in steps(workflow) if "uses" in each}
    names = [name.partition("@")[0].removesuffix("/save").removesuffix("/restore") for name in used]
    commits = {name.partition("@")[2] for name in used}
    assert len(set(names)) == len(commits)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_checkout_leaves_a_token_behind(name: str) -> None:
    """What is installed later could read it."""
    checkouts = [each for each in steps(WORKFLOWS[name]) if each.get("uses", "").startswith("actions/checkout@")]
    assert [each for each in checkouts if each.get("with", {}).get("persist-credentials") is not False] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_script_is_put_together_from_expressions(name: str) -> None:
    """An input that is pasted into a shell is a command: it goes through the environment."""
    assert [each["run"] for each in steps(WORKFLOWS[name]) if "${{" in each.get("run", "")] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_job_ends_in_finite_time(name: str) -> None:
    """GitHub itself waits for six hours."""
    assert [job for job in WORKFLOWS[name]["jobs"].values() if not 0 < job["timeout-minutes"] <= 30] == []


def test_it_runs_every_night_off_the_hour() -> None:
    """On the hour the queue is longest, and jobs are dropped."""
    (schedule,) = NIGHTLY["on"]["schedule"]
    minute, hour, *rest = schedule["cron"].split()
    assert (int(minute) % 15 != 0, 0 <= int(hour) < 24, rest) == (True, True, ["*", "*", "*"])


def test_two_nights_never_overlap() -> None:
    """The later one waits; the earlier one is not cut off before it has cleaned up."""
    assert NIGHTLY["concurrency"] == {"group": "nightly-conformance", "cancel-in-progress": False}


def test_each_job_may_do_what_it_needs_and_no_more() -> None:
    """The job with the key may write nothing, and the job that may write issues has no key."""
    permissions = {name: job["permissions"] for name, job in NIGHTLY["jobs"].items()}
    assert NIGHTLY["permissions"] == {}
    assert permissions == {"conform": {"contents": "read"}, "track": {"contents": "read", "issues": "write"}}


def test_each_secret_is_seen_by_one_step_only() -> None:
    """As an environment variable of that step, never of a job, and never in an argument."""
    text = (FOLDER / "nightly-conformance.yml").read_text()
    seen = {
        (each["name"], name, value)
        for each in steps(NIGHTLY)
        for name, value in each.get("env", {}).items()
        if "secrets." in value
    }
    assert seen == {
        ("Conform", "VIRALSYNC_API_KEY", "${{ secrets.VIRALSYNC_API_KEY }}"),
        ("Conform", "VIRALSYNC_WEBHOOK_SECRET", "${{ secrets.VIRALSYNC_WEBHOOK_SECRET }}"),
        ("Heartbeat", "HEARTBEAT_URL", "${{ secrets.VIRALSYNC_HEARTBEAT_URL }}"),
    }
    assert text.count("secrets.") == len(seen)


def test_the_report_is_kept_whatever_happens() -> None:
    """A red night is the one that is looked at."""
    report = step("Report")
    assert (report["if"], report["with"]["path"]) == ("always()", "conformance-report/")
    assert 0 < report["with"]["retention-days"] <= 90


def test_by_hand_target_and_profile_are_chosen_from_lists() -> None:
    """The profiles are those that there are, and the key can be sent nowhere else."""
    inputs = NIGHTLY["on"]["workflow_dispatch"]["inputs"]
    assert inputs["profile"]["options"] == list(PROFILES)
    assert inputs["target"]["options"] == ["https://api.viralsync.io", "mock"]
    assert {name: (value["type"], value["default"]) for name, value in inputs.items()} == {
        "target": ("choice", "https://api.viralsync.io"),
        "profile": ("choice", "nightly"),
    }


# --- what the steps do -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a `viralsync-mock` that does as it is told."""
    command = tmp_path / "bin" / "viralsync-mock"
    command.parent.mkdir()
    command.write_text(FAKE_CONFORM)
    command.chmod(0o755)
    return tmp_path


def bash(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as GitHub does, in a folder of its own."""
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    files = {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "page")}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": path, "FAKE_FOLDER": str(folder), **files, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def conform(folder: Path, code: int, **variables: str) -> subprocess.CompletedProcess[str]:
    usual = {"TARGET": "https://api.viralsync.io", "PROFILE": "nightly", "VIRALSYNC_WEBHOOK_SECRET": ""}
    return bash(step("Conform")["run"], folder, FAKE_CODE=str(code), **{**usual, **variables})


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 130])
def test_whatever_conform_ends_with_is_handed_on(folder: Path, code: int) -> None:
    """The step itself goes through, so that the report is kept first; a secret that is not set is not there."""
    done = conform(folder, code, VIRALSYNC_API_KEY=KEY)
    assert (done.returncode, (folder / "output").read_text()) == (0, f"verdict={code}\n")
    arguments = re.sub(r"--seed \d{8} ", "--seed TODAY ", (folder / "arguments").read_text())
    assert arguments == (
        "conform --target https://api.viralsync.io --profile nightly --seed TODAY --report-dir conformance-report "
        "--history conformance-report/nights.jsonl\n"
    )
    assert (folder / "secrets").read_text() == f"{KEY} none\n"


def test_a_missing_key_fails_loudly_and_nothing_runs(folder: Path) -> None:
    """A night that tested nothing must not look like a good one; the mock alone needs no key."""
    done = conform(folder, 0, VIRALSYNC_API_KEY="")
    assert (done.returncode, done.stdout.startswith("::error title=No API key::")) == (2, True)
    assert not (folder / "arguments").exists()
    assert conform(folder, 0, VIRALSYNC_API_KEY="", TARGET="mock").returncode == 0


def test_a_committed_baseline_is_used(folder: Path) -> None:
    """Without one, everything is reported."""
    (folder / "conformance").mkdir()
    (folder / "conformance/baseline.json").write_text("{}")
    conform(folder, 0, VIRALSYNC_API_KEY=KEY)
    assert (folder / "arguments").read_text().endswith(" --baseline conformance/baseline.json\n")


def test_the_summary_goes_to_the_page_of_the_job(folder: Path) -> None:
    """If there is one: a crash leaves none, and that step does not hide it."""
    assert bash(step("Summary")["run"], folder).returncode == 0
    assert not (folder / "page").exists()
    conform(folder, 0, VIRALSYNC_API_KEY=KEY)
    bash(step("Summary")["run"], folder)
    assert (folder / "page").read_text() == "the summary\n"


@pytest.mark.parametrize(("verdict", "code"), [("0", 0), ("1", 1), ("2", 1), ("3", 0), ("4", 0), ("130", 1), ("", 1)])
def test_the_job_is_red_for_a_broken_contract_and_where_there_is_no_verdict(
    folder: Path, verdict: str, code: int
) -> None:
    """An outage of the target, and a mock that is wrong, are no red night."""
    assert bash(step("Outcome")["run"], folder, VERDICT=verdict).returncode == code


def test_without_an_address_there_is_no_heartbeat(folder: Path) -> None:
    """Nobody has to have one."""
    assert bash(step("Heartbeat")["run"], folder, HEARTBEAT_URL="").returncode == 0


# --- the same for cron -----------------------------------------------------------------------------------------------

SCRIPTS = dict(re.findall(r"<!-- file: ([\w.]+) -->\n```sh\n(.*?)```", DOCUMENTS["nightly.md"], re.DOTALL))
needs_linux = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not installed")


@pytest.fixture
def home(folder: Path) -> Path:
    """Return the folder of the script, with the file that holds the key."""
    (folder / "environment").write_text(f"VIRALSYNC_API_KEY={KEY}\n")
    (folder / "environment").chmod(0o600)
    return folder


def night(home: Path, code: int, **variables: str) -> tuple[int, str]:
    """Run the script of the document; return its exit code and what cron would mail."""
    done = bash(SCRIPTS["night.sh"], home, CONFORMANCE_HOME=str(home), FAKE_CODE=str(code), **variables)
    return done.returncode, done.stdout + done.stderr


@needs_linux
@pytest.mark.parametrize(
    ("code", "ending", "mail"), [(0, 0, ""), (1, 1, "the summary\n"), (3, 0, ""), (4, 0, "the summary\n")]
)
def test_cron_mails_what_somebody_has_to_know(home: Path, code: int, ending: int, mail: str) -> None:
    """A broken contract and a mock that differs; nothing in a good night, and nothing in the first without verdict."""
    assert night(home, code) == (ending, mail)
    assert (home / "secrets").read_text() == f"{KEY} none\n"


@needs_linux
def test_cron_is_told_of_the_third_night_without_a_verdict(home: Path) -> None:
    """Only of the third; and a night with a verdict begins the count anew."""
    mails = [night(home, code)[1] for code in (3, 3, 0, 3, 3, 3, 3)]
    assert [bool(mail) for mail in mails] == [False, False, False, False, False, True, False]
    assert mails[5] == "Three inconclusive nights in a row.\nthe summary\n"


@needs_linux
@pytest.mark.parametrize(("code", "crash"), [(2, ""), (130, ""), (1, "yes")])
def test_cron_mails_the_log_of_a_night_without_a_verdict(home: Path, code: int, crash: str) -> None:
    """Also when the code looks like a verdict, but no report was written."""
    ending, mail = night(home, code, FAKE_CRASH=crash)
    assert (ending, "no verdict (exit code" in mail, mail.endswith("the log\n")) == (2, True, True)


@needs_linux
def test_cron_refuses_a_second_night_at_once(home: Path) -> None:
    """The lock is that of the script, taken by another."""
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ending, mail = night(home, 0)
    assert (ending, "still at work" in mail) == (1, True)
    assert not (home / "arguments").exists()


@needs_linux
@pytest.mark.parametrize(("text", "mode"), [(f"VIRALSYNC_API_KEY={KEY}\n", 0o644), ("", 0o600)])
def test_cron_needs_a_key_that_nobody_else_can_read(home: Path, text: str, mode: int) -> None:
    """Nothing runs before that is so."""
    (home / "environment").write_text(text)
    (home / "environment").chmod(mode)
    ending, mail = night(home, 0)
    assert (ending != 0, str(home / "environment") in mail, KEY in mail) == (True, True, False)
    assert not (home / "arguments").exists()


# --- the documents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_that_a_document_names_is_there(name: str) -> None:
    """No link leads nowhere, not even within a page."""
    for file, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", DOCUMENTS[name]):
        path = ROOT / "docs" / (file or name)
        assert path.exists()
        headings = [line.lstrip("# ").lower() for line in path.read_text().splitlines() if line.startswith("#")]
        assert not anchor or anchor in [re.sub(r"[^\w -]", "", text).replace(" ", "-") for text in headings]


@pytest.mark.parametrize("secret", ["VIRALSYNC_API_KEY", "VIRALSYNC_WEBHOOK_SECRET", "VIRALSYNC_HEARTBEAT_URL"])
def test_every_secret_is_documented(secret: str) -> None:
    """In the table that says what each is for."""
    assert f"| `{secret}` |" in DOCUMENTS["nightly.md"]
