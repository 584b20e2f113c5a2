"""The self-check: every fault keeps its promise to every client, and a promise that is not kept is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from viralsync_mock.cli import main
from viralsync_mock.scenarios.fault_syntax import KINDS
from viralsync_mock.self_check.clients import (
    CLIENTS,
    CLOSED,
    OTHER,
    RESET,
    TIMED_OUT,
    Client,
    ClientObservation,
    Httpx2,
    problem_of,
)
from viralsync_mock.self_check.probes import Environment
from viralsync_mock.self_check.runner import (
    CHECKS,
    FAILED,
    OK,
    CheckResult,
    difference,
    new_session,
    open_environment,
    run_check,
)
from viralsync_mock.self_check.scripted import SCRIPTED

SECONDS = 120
"""How long the command may take before a test fails: other tests run beside it."""

LIAR = """#!/bin/sh
echo '{"http_code": 200, "content_type": "text/plain", "time_starttransfer": 0.1, "time_total": 0.2}' >&2
"""
"""A curl that makes no call, and says that all went well."""


def faults(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "viralsync_mock", "faults", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment)


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    """Yield a environment for the tests of this module."""
    with open_environment() as environment:
        yield environment


@pytest.mark.needs_node
@pytest.mark.skipif(not (shutil.which("node") and shutil.which("curl")), reason="needs Node.js and curl")
def test_every_fault_keeps_its_promise_to_every_client() -> None:
    """Each of the kinds has a row, each client a column, and every cell is fine: the command exits with 0."""
    done = faults("self-check", "--json")
    report = json.loads(done.stdout)
    assert [cell for cell in report["cells"] if cell["verdict"] != OK] == []
    assert [(cell["fault"], cell["client"]) for cell in report["cells"]] == [(k, c) for k in CHECKS for c in CLIENTS]
    assert (done.returncode, done.stderr, report["ok"]) == (0, "", True)


def test_every_kind_of_fault_has_a_promise() -> None:
    """The table of promises is complete, in the order of the kinds; each says in a sentence what it promises."""
    assert list(CHECKS) == [*KINDS, *SCRIPTED]
    assert [kind for kind, each in CHECKS.items() if not each.statement.endswith(".")] == []


@pytest.mark.parametrize("kind", CHECKS)
def test_no_promise_holds_where_the_fault_is_not_armed(kind: str, environment: Environment) -> None:
    """What is promised is seen because of the fault alone. A client whose clock stands sees nothing late by chance."""
    unarmed = new_session(environment, kind, Httpx2(lambda: 0.0), is_armed=False)
    assert difference(kind, unarmed).startswith(f"promised: {CHECKS[kind].statement} Seen: ")


@pytest.mark.parametrize("kind", ["status", "silence", "bad_signature", *SCRIPTED])
def test_a_promise_holds_where_the_fault_is_armed(kind: str, environment: Environment) -> None:
    """The same scene with the fault in it has nothing to tell."""
    assert difference(kind, new_session(environment, kind, Httpx2(lambda: 0.0))) == ""


def test_what_goes_wrong_in_a_client_is_told_in_its_cell(environment: Environment) -> None:
    """The other cells are played all the same."""

    class Broken(Client):
        name = "broken"

        def fetch(self, *_: object) -> ClientObservation:
            raise RuntimeError("out of order")

    client = Broken(lambda: 0.0)
    assert run_check(environment, "status", client) == CheckResult(
        "status", "broken", FAILED, "RuntimeError: out of order"
    )


def _chained(outer: Exception, inner: BaseException) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (TimeoutError(), TIMED_OUT),
        (ConnectionResetError(), RESET),
        (_chained(OSError("read"), ConnectionResetError()), RESET),
        (OSError("aborted", ConnectionResetError()), RESET),
        (RemoteDisconnected("closed"), CLOSED),
        (ValueError("expected a status"), OTHER),
    ],
)
def test_the_errors_of_clients_are_told_in_the_same_words(error: Exception, problem: str) -> None:
    """By their class, and by what they were caused by or hold: libraries wrap what they got from below."""
    assert problem_of(error) == problem


def test_a_client_that_is_not_installed_is_left_out() -> None:
    """It is told so, and is no failure."""
    done = faults("self-check", "--fault", "status", PATH="")
    assert done.returncode == 0
    assert {"status\tcurl\tnot installed\t", "status\tnode\tnot installed\t"} <= {*done.stdout.splitlines()}


def test_nothing_to_try_is_wrong_use() -> None:
    """Whoever names a client that is not there would take an empty report for a good one."""
    done = faults("self-check", "--fault", "status", "--client", "curl", PATH="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: --client: curl cannot be found here: install it, or choose another.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_promise_that_does_not_hold_exits_with_1_and_says_what_was_seen(tmp_path: Path) -> None:
    """What was promised, and what the client saw in its place."""
    (tmp_path / "curl").write_text(LIAR)
    (tmp_path / "curl").chmod(0o755)
    done = faults("self-check", "--fault", "status", "--client", "curl", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout.startswith(
        "status\tcurl\tfailed\tpromised: A 503 in the shape of the API's errors. Seen: "
        "Read(seen=200 text/plain, 0 bytes, after 0.20 s, usual=200 application/json, "
    )


@pytest.mark.parametrize(
    ("option", "name", "hint"), [("--fault", "laency", "latency"), ("--client", "requsets", "requests")]
)
def test_a_wrong_name_is_refused_with_the_nearest(option: str, name: str, hint: str) -> None:
    """Before anything is started."""
    done = CliRunner().invoke(main, ["faults", "self-check", option, name])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith(f'got "{name}". Did you mean "{hint}"?\n')


def test_the_list_into_a_pipe_has_a_line_for_every_kind() -> None:
    """Name, what it is done to, a value, and what happens: separated by tabs."""
    lines = [line.split("\t") for line in CliRunner().invoke(main, ["faults", "list"]).stdout.splitlines()]
    assert [line[0] for line in lines] == list(KINDS)
    assert {line[1] for line in lines} == {"calls", "bodies", "streams", "views", "webhooks"}
    assert lines[0][2:] == ["200ms", "The answer comes this much later, in real seconds, give or take the jitter."]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["list"], ["fault", "for example", "latency", "The connection is reset (TCP RST)"]),
        (["self-check", "--fault", "status"], ["fault", "httpx2", "curl", "not installed", "status", "ok"]),
    ],
)
def test_people_get_a_table(arguments: list[str], shown: list[str]) -> None:
    """With titles, and columns as wide as the terminal allows."""
    text = on_a_terminal(*arguments, PATH="", COLUMNS="160", TERM="dumb")
    assert [words for words in shown if words not in text] == []


def on_a_terminal(*arguments: str, **variables: str) -> str:
    """Run the command as if in front of somebody; return what it shows."""
    ours, theirs = os.openpty()
    command: list[Any] = [sys.executable, "-m", "viralsync_mock", "faults", *arguments]
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, **variables}) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    assert process.returncode == 0
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux: the other end is closed
        return b""
