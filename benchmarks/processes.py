"""Servers as child processes: each on its own core, each ended with the block that started it."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contract import ROOT, SPEC_VARIABLE
from benchmarks.payloads import write_scenario
from benchmarks.report import BenchmarkError
from benchmarks.wire import answers

READY = re.compile(r"viralsync-mock ready on http://127\.0\.0\.1:(\d+)")
UVICORN = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
SERVER_CORE, LOAD_CORE = 1, 0


@dataclass(frozen=True)
class Server:
    """A running child that listens on 127.0.0.1:`port`."""

    process: subprocess.Popen[Any]
    port: int

    def cpu_seconds(self) -> float:
        """Processor time that the process and every child of it have used so far, in user and system mode."""
        return sum(_cpu(pid) for pid in _family(self.process.pid))

    def resident_bytes(self) -> int:
        """Resident memory of the process and of every child it has."""
        return sum(_resident(pid) for pid in _family(self.process.pid))


def pinned(command: Sequence[str], core: int | None) -> list[str]:
    """`command` held to one core, so that load and server do not compete; unchanged for None, or where impossible."""
    if core is not None and shutil.which("taskset") and (os.cpu_count() or 1) > 1:
        return ["taskset", "--cpu-list", str(core), *command]
    return list(command)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def raise_file_limit() -> int:
    """Allow this process and its children as many open files as the system grants."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def uvicorn_command(app: str, port: int) -> list[str]:
    """One uvicorn process with the settings that the mock also has."""
    return [sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", str(port), *UVICORN]


def mock_command(*flags: str) -> list[str]:
    """`viralsync-mock serve` of this environment."""
    script = Path(sys.executable).parent / "viralsync-mock"
    command = [str(script)] if script.exists() else [sys.executable, "-m", "viralsync_mock"]
    spec = os.environ.get(SPEC_VARIABLE)
    return [*command, "serve", *flags, *(("--spec", spec) if spec else ())]


def usual() -> dict[str, str]:
    """The environment, with Python's cache of compiled modules as it is on an ordinary machine: on."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def child(
    command: Sequence[str], name: str, core: int | None = SERVER_CORE
) -> Iterator[tuple[subprocess.Popen[Any], Path]]:
    """A child with its output in a file, ended with all its children when the block is left."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        output = Path(folder) / f"{name}.log"
        with output.open("wb") as sink:
            try:
                process = subprocess.Popen(
                    pinned(command, core), cwd=ROOT, env=usual(), stdout=sink, stderr=sink, start_new_session=True
                )
            except OSError as error:
                raise BenchmarkError(f"{name} cannot be started: {error}") from None
        try:
            yield process, output
        finally:
            stop(process)


def stop(process: subprocess.Popen[Any]) -> None:
    """End the process group that `process` leads: politely, then not."""
    for sign, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


@contextmanager
def server(command: Sequence[str], name: str, port: int, patience: float = 60) -> Iterator[Server]:
    """A child that listens on a port known beforehand; entered at its first answer."""
    with child(command, name) as (process, output):
        wait_until(lambda: answers(port), process, output, name, patience)
        yield Server(process, port)


@contextmanager
def mock(*flags: str) -> Iterator[Server]:
    """The mock with the benchmark scenario and `flags`, on a port of its own choosing."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        scenario = write_scenario(Path(folder))
        command = mock_command("--port", "0", "--scenario", str(scenario), *flags)
        with child(command, "viralsync-mock") as (process, output):
            wait_until(lambda: ready_port(output) is not None, process, output, "viralsync-mock", 20)
            yield Server(process, ready_port(output) or 0)


def ready_port(output: Path) -> int | None:
    """The port that the mock's first line names, once it is there."""
    found = READY.search(output.read_text(errors="replace"))
    return int(found[1]) if found else None


def wait_until(
    holds: Callable[[], bool], process: subprocess.Popen[Any], output: Path, name: str, patience: float
) -> None:
    """Wait until `holds`; a child that ends or stays silent raises BenchmarkError with its last lines."""
    deadline = time.monotonic() + patience
    while not holds():
        if process.poll() is not None or time.monotonic() > deadline:
            why = "did not answer" if process.poll() is None else f"ended with {process.returncode}"
            raise BenchmarkError(f"{name} {why}: {last_words(output)}")
        time.sleep(0.02)


def last_words(output: Path) -> str:
    """The last line that a child printed, without the paths of this machine."""
    lines = output.read_text(errors="replace").strip().splitlines()
    return lines[-1].replace(str(ROOT), ".") if lines else "it printed nothing"


def _family(pid: int) -> list[int]:
    """`pid` and its descendants."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        children += [int(word) for word in task.read_text().split()]
    return [pid, *(each for one in children for each in _family(one))]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    for name, key in (("smaps_rollup", "Rss"), ("status", "VmRSS")):
        with suppress(OSError):
            found = re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{pid}/{name}").read_text(), re.M)
            if found:
                return int(found[1]) * 1024
    raise BenchmarkError("resident memory can only be read where there is /proc")
