"""Programs on trial: how they end, and what is kept of what they say."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from viralsync_mock.certify.program import KEPT, Programs
from viralsync_mock.errors import SettingsError


def programs(code: str) -> Programs:
    return Programs.of(f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}")


def test_a_program_gets_its_variables_and_its_exit_code_is_told() -> None:
    """Standard output and standard error are kept together."""
    ending = programs("import os, sys; print(os.environ['ONE']); sys.exit(7)").run({"ONE": "two"}, 20)
    assert (ending.exit_code, ending.output) == (7, "two\n")


def test_a_program_is_stopped_at_its_deadline_with_all_that_it_has_started(tmp_path: Path) -> None:
    """SIGTERM comes first, so that a job can be cancelled; children that ignore it are killed."""
    code = f"""
import os, signal, subprocess, sys, time
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", deaf])
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
signal.signal(signal.SIGTERM, lambda *_: (print("cancelled", flush=True), os._exit(0)))
print("waits", flush=True)
time.sleep(60)
"""
    ending = programs(code).run({}, 1.5)
    assert ending.exit_code is None
    assert ending.output == "waits\ncancelled\n"
    child = int((tmp_path / "pid").read_text())
    assert any(not is_running(child) for _ in range(20_000)), "it was killed, and takes a moment to go"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="found by /proc, on Linux")
def test_a_child_in_a_session_of_its_own_is_killed_too(tmp_path: Path) -> None:
    """Also when the program has ended well, and the child has left it for init and holds its output open."""
    pid = tmp_path / "pid"
    child = f"setsid --fork sh -c {shlex.quote(f'echo $$ > {pid}; exec sleep 600')}"
    ending = Programs(["sh", "-c", f"{child}; until [ -s {pid} ]; do :; done; exit 3"]).run({}, 20)
    assert ending.exit_code == 3
    assert any(not is_running(int(pid.read_text())) for _ in range(20_000)), "it was killed, and takes a moment to go"


def is_running(process: int) -> bool:
    """Return whether a process runs; one that has ended and was not waited for does not."""
    status = Path(f"/proc/{process}/stat")
    if not status.exists():
        return False
    return status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_of_a_long_output_the_beginning_and_the_end_are_kept() -> None:
    """A program that talks without end fills no memory."""
    ending = programs("print('first'); print('x' * 5_000_000); print('last')").run({}, 20)
    assert ending.output.startswith("first\nxxx")
    assert ending.output.endswith("xxx\nlast\n")
    assert "bytes left out" in ending.output
    assert len(ending.output) < 2 * KEPT + 100


def test_a_program_that_is_not_there_is_wrong_use() -> None:
    """The first scenario need not fail for it."""
    for command in ("no-such-program-anywhere --flag", "", "node 'half"):
        with pytest.raises(SettingsError, match="--command"):
            Programs.of(command)


def test_a_file_that_is_not_executable_is_named_as_such(tmp_path: Path) -> None:
    """It is there, so the sentence says what is missing."""
    (tmp_path / "render.sh").write_text("exit 0")
    with pytest.raises(SettingsError, match="is not executable"):
        Programs.of(str(tmp_path / "render.sh"))


def test_stop_ends_what_runs() -> None:
    """After Ctrl-C nothing is left behind."""
    running = programs("import time; time.sleep(60)")
    running._running.add(os.getpid() + 10_000_000)  # one that has ended already
    running.stop()
