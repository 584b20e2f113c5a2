"""The code of the README and of the first page of the docs runs as written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.conftest import LiveServer
from tests.support.paths import ROOT

from viralsync_mock.control.app import read_control_spec
from viralsync_mock.scenarios.fault_syntax import KINDS

BLOCK = re.compile(r"<!-- test: (\w+) -->\n```(\w+)\n(.*?)```", re.DOTALL)
PAGES = ("README.md", "docs/getting-started.md", "docs/operations.md")
TEXT = "".join((ROOT / page).read_text() for page in PAGES)
BLOCKS = {name: (language, code) for name, language, code in BLOCK.findall(TEXT)}


def run(name: str, server: LiveServer, folder: Path = ROOT) -> str:
    """Run one block against a mock with a key of its own and return what it prints."""
    language, code = BLOCKS[name]
    key = server.new_key()
    code = code.replace("http://127.0.0.1:4747", server.base_url)
    code = re.sub(r"KEY=vs_prod_\w+", f"KEY={key}", code)
    command = {
        "sh": ["bash", "-euo", "pipefail", "-c", code],
        "python": [sys.executable, "-W", "ignore", "-c", code],
        "js": ["node", "--input-type=module", "-e", code],
    }[language]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where `viralsync-mock` is
    environment = {**os.environ, "PATH": path, "BASE": server.base_url, "KEY": key}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_job_in_curl_is_charged(live_server: LiveServer) -> None:
    """The stream ends with `done` and the usage shows the 52 seconds of the summer promo."""
    printed = run("curl", live_server)
    assert '"status":"done"' in printed
    assert '"used":0.866667' in printed


def test_the_first_job_in_python_prints_every_event(live_server: LiveServer) -> None:
    """From the snapshot to the terminal event."""
    events = run("python", live_server).splitlines()
    assert '"status":"queued"' in events[0]
    assert '"status":"done"' in events[-1]


@pytest.mark.needs_node
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_first_job_in_javascript_prints_the_stream(live_server: LiveServer) -> None:
    """Node's fetch reads the stream to its end."""
    assert '"status":"done"' in run("javascript", live_server)


def test_the_mock_conforms_and_the_report_is_written(live_server: LiveServer, tmp_path: Path) -> None:
    """The conformance run of the README ends well, and its page is there."""
    assert "conforms (0)" in run("conform", live_server, tmp_path)
    assert (tmp_path / "report" / "report.html").is_file()


def test_scenarios_can_be_asked_for_in_each_way(live_server: LiveServer) -> None:
    """By header 402, by project id 202, by the control API for all that follows."""
    printed = run("scenarios", live_server)
    assert "RENDER_QUOTA_EXCEEDED" in printed
    assert '"status":"queued"' in printed
    assert '"flaky"' in printed


def test_faults_strike_by_header_and_when_armed(live_server: LiveServer) -> None:
    """The request gets its 503, and the armed fault is listed."""
    printed = run("faults", live_server)
    assert "SERVICE_UNAVAILABLE" in printed
    assert '"reset_peer":true' in printed.replace(" ", "")


def test_webhooks_arrive_signed_and_end_with_done(live_server: LiveServer) -> None:
    """The receiver of the README checks each signature."""
    assert run("webhooks", live_server).split()[-2:] == ["running", "done"]


def test_the_journal_explains_a_refused_call(live_server: LiveServer, tmp_path: Path) -> None:
    """The explanation names the violation and the nearest valid query."""
    printed = run("journal", live_server, tmp_path)
    assert "query.limit" in printed
    assert "limit=100" in printed


def test_the_clock_is_stopped_and_moved(live_server: LiveServer) -> None:
    """The clock answers where it is, and an advance what happened."""
    printed = run("clock", live_server)
    assert '"mode":"frozen"' in printed
    assert '"effects":[' in printed


def test_the_mock_is_asked_whether_it_is_up(live_server: LiveServer) -> None:
    """As a container's probe does."""
    assert run("health", live_server) == f"ok {live_server.base_url}\n"


def test_the_metrics_can_be_read(live_server: LiveServer) -> None:
    """A call that was made is counted."""
    with live_server.client() as client:
        client.get("/v1/me")
    assert 'viralsync_mock_calls_total{operation="getMe",status="200"}' in run("metrics", live_server)


def test_prometheus_is_told_where_the_metrics_are() -> None:
    """Its configuration names the path that there is."""
    (job,) = yaml.safe_load(BLOCKS["prometheus"][1])["scrape_configs"]
    assert job["metrics_path"] in read_control_spec().paths


def complete(*words: str) -> list[str]:
    """Return what bash offers after the page's line, with the cursor behind the last word."""
    script = f"""{BLOCKS["completion"][1]}
COMP_WORDS=(viralsync-mock {" ".join(words)}) COMP_CWORD={len(words)}
_viralsync_mock_completion viralsync-mock
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "--norc", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_subcommands_options_and_scenarios() -> None:
    """As a person gets it with the Tab key."""
    assert complete("sce") == ["scenarios"]
    assert complete("serve", "--cont") == ["--control-token"]
    assert complete("serve", "--scenario", "quota") == ["quota-exceeded", "quota-nearly-used"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_have_a_script_too(shell: str) -> None:
    """Click's own, under the name of the command."""
    command = [str(Path(sys.executable).parent / "viralsync-mock")]
    environment = {**os.environ, "_VIRALSYNC_MOCK_COMPLETE": f"{shell}_source"}
    assert "viralsync-mock" in subprocess.run(command, env=environment, capture_output=True, text=True).stdout


def test_every_code_block_is_tested() -> None:
    """No block in a language stands there that no test runs.

    What is taken from the example is run there: see test_downstream.
    """
    fences = re.findall(r"^```(\w*)", TEXT, re.MULTILINE)
    assert len([fence for fence in fences if fence]) == len(BLOCKS) + TEXT.count("<!-- from: examples/")


def test_the_readme_counts_right() -> None:
    """As many scenarios and faults as there are."""
    shipped = len(list((ROOT / "fixtures/scenarios").glob("*.yaml")))
    for page in ("README.md", "docs/index.md"):
        text = (ROOT / page).read_text()
        assert (f"{shipped} scenarios" in text, f"{len(KINDS)} kinds of faults" in text) == (True, True)


def test_every_document_that_the_readme_names_is_there() -> None:
    """No link leads nowhere."""
    links = re.findall(r"\]\(([\w./-]+)\)", (ROOT / "README.md").read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []
