"""The clients of examples/clients on trial: the good ones are certified, each bad one fails by the rule it names."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples" / "clients"
TSC = ROOT / "node_modules" / ".bin" / "tsc"
LANGUAGES = {
    "python": pytest.param("python", id="python"),
    "typescript": pytest.param(
        "typescript",
        id="typescript",
        marks=[
            pytest.mark.needs_node,
            pytest.mark.skipif(not TSC.exists(), reason="no TypeScript compiler: make node_modules"),
        ],
    ),
    "java": pytest.param(
        "java", id="java", marks=pytest.mark.skipif(shutil.which("javac") is None, reason="no JDK on this machine")
    ),
}
BAD = {
    ("python", "ignores_retry_after"): ("retry-after", "waits-out-retry-after"),
    ("python", "hammers"): ("server-errors", "backs-off-after-5xx"),
    ("python", "polls_fast"): ("happy-poll", "polls-no-faster-than"),
    ("python", "submits_twice"): ("reset-after", "does-not-submit-twice"),
    ("python", "reads_one_page"): ("pages", "reads-every-page"),
    ("typescript", "resumes_from_the_start"): ("stream-drops", "resumes-dropped-streams"),
    ("typescript", "polls_beside_its_stream"): ("happy-stream", "does-not-poll-while-streaming"),
    ("typescript", "believes_every_webhook"): ("webhook-forged", "refuses-bad-signatures"),
    ("typescript", "leaves_jobs_behind"): ("cancel", "cancels-what-it-abandons"),
    ("typescript", "gives_up_at_news"): ("unknown-status", "ignores-unknown-statuses"),
    ("java", "RepeatsRefusals"): ("quota", "does-not-repeat-refused"),
    ("java", "RendersUntilItWorks"): ("job-fails", "does-not-resubmit-failed"),
    ("java", "PollsForEver"): ("happy-poll", "stops-at-terminal"),
    ("java", "RefusesDuplicates"): ("webhook-duplicates", "survives-duplicates"),
    ("java", "RefusesDisorder"): ("webhook-disorder", "survives-disorder"),
}
pytestmark = pytest.mark.slow


@cache
def built(language: str) -> Path:
    """Compile what has to be, once."""
    folder = Path(mkdtemp(prefix=f"viralsync-{language}-"))
    if language == "java":
        sources = sorted(map(str, (EXAMPLES / "java").rglob("*.java")))
        subprocess.run(["javac", "-Xlint:all", "-Werror", "-d", folder, *sources], check=True)
    elif language == "typescript":
        shutil.copytree(EXAMPLES / "typescript", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("build"))
        (folder / "node_modules").symlink_to(ROOT / "node_modules")
        subprocess.run([TSC, "--project", folder], check=True)
    return folder


def command(language: str, name: str = "") -> list[str]:
    """Return the command that starts a client; without a name the good one."""
    if language == "java":
        return ["java", "-XX:TieredStopAtLevel=1", "-cp", str(built("java")), name or "Client"]
    if language == "typescript":
        return ["node", str(built("typescript") / "build" / (f"bad/{name}.js" if name else "client.js"))]
    return [sys.executable, str(EXAMPLES / "python" / (f"bad/{name}.py" if name else "client.py"))]


def certify(words: list[str], report: Path, *options: str) -> subprocess.CompletedProcess[str]:
    callback = ("--callback-to", "http://127.0.0.1:{port}/webhooks")
    tool = [sys.executable, "-m", "viralsync_mock", "certify", "--command", shlex.join(words), *callback]
    environment = {**os.environ, "VIRALSYNC_SILENCE_SECONDS": "3"}
    return subprocess.run(
        [*tool, "--report-dir", str(report), *options], env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("language", LANGUAGES.values())
def test_the_good_client_is_certified(language: str, tmp_path: Path) -> None:
    """It keeps every rule, and has met the situation of each."""
    done = certify(command(language), tmp_path, "--suite", "full")
    assert done.returncode == 0, done.stdout
    document = json.loads((tmp_path / "certificate.json").read_text())
    assert all(rule["passed"] and not rule["failed"] for rule in document["rules"])


@pytest.mark.parametrize(
    ("language", "name", "scenario", "rule"),
    [
        pytest.param(language, *rest, id=f"{language}-{rest[0]}", marks=LANGUAGES[language].marks)
        for language, *rest in ((*client, *caught) for client, caught in BAD.items())
    ],
)
def test_a_bad_client_fails_by_the_right_rule(
    language: str, name: str, scenario: str, rule: str, tmp_path: Path
) -> None:
    """Its first line names the rule, and the scenario brings it into play."""
    done = certify(command(language, name), tmp_path, "--only", scenario, "--jobs", "1")
    assert done.returncode == 1, done.stdout
    checks = json.loads((tmp_path / "certificate.json").read_text())["scenarios"][0]["checks"]
    assert rule in {check["name"] for check in checks if check["outcome"] == "failed"}
    ending = {"python": f"{name}.py", "typescript": f"{name}.ts", "java": f"{name}.java"}[language]
    assert f"Fails {rule}." in (EXAMPLES / language / "bad" / ending).read_text()


def test_every_bad_client_is_on_trial() -> None:
    """Five for each language."""
    found = {
        (path.parents[1].name, path.stem)
        for path in EXAMPLES.glob("*/bad/*.*")
        if path.suffix in {".py", ".ts", ".java"}
    }
    assert found == BAD.keys()
    assert len(found) == 15
