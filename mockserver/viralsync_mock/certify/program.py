"""Runs a program: in a process group of its own, to its end or its deadline, with bounded output.

What it has started ends with it: the group, and on Linux also processes that have left the group, which are found by a
variable in their environment.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING

from viralsync_mock.clock import RealTime
from viralsync_mock.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

KEPT = 4096
"""Bytes kept of the beginning of the output, and as many of its end."""

GRACE_SECONDS = 1.0
"""Real seconds from SIGTERM to SIGKILL: time to cancel a job."""

MARK = "VIRALSYNC_RUN"
"""A variable with another value for each run, which the processes of the run inherit."""

MAX_SEARCHES = 20
"""A process that is found may have started another meanwhile, which the next search finds."""


@dataclass(frozen=True)
class Ending:
    """How a program ended; `exit_code` is None if it was stopped at its deadline."""

    exit_code: int | None
    seconds: float
    output: str


@dataclass
class Programs:
    """Starts a command again and again; `stop` ends all that run."""

    command: Sequence[str]
    _running: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, command: str) -> Programs:
        """Read a command line; raises SettingsError if there is no such program."""
        try:
            words = shlex.split(command)
        except ValueError as problem:
            raise SettingsError(f"--command {command!r}: not a command line: {problem}") from None
        if not words or not shutil.which(words[0]):
            name = words[0] if words else ""
            what = "is not executable" if Path(name).is_file() else "is no program"
            raise SettingsError(
                f"--command: {name!r} {what}: give the command that starts your client. No shell reads it: "
                "for `cd`, variables and pipes write sh -c '...'"
            )
        return cls(words)

    def run(self, variables: Mapping[str, str], within: float) -> Ending:
        """Run the program to its end, or for `within` real seconds; raises SettingsError if it cannot be started."""
        real, mark = RealTime(), os.urandom(8).hex()
        started = real.monotonic()
        try:
            process = subprocess.Popen(  # noqa: S603 - the command is the user's own, and no shell reads it
                self.command,
                env={**os.environ, **variables, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as problem:
            raise SettingsError(f"{self.command[0]}: cannot be started: {problem.strerror}") from None
        self._running.add(process.pid)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        output = _Output(process.stdout)
        try:
            code: int | None = process.wait(within)
        except subprocess.TimeoutExpired:
            code = None
            _signal(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
        finally:
            seconds = real.monotonic() - started
            _signal(process.pid, signal.SIGKILL)
            process.wait()
            _kill_marked(mark)
            self._running.discard(process.pid)
        return Ending(code, seconds, output.text())

    def stop(self) -> None:
        for group in tuple(self._running):
            _signal(group, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _kill_marked(mark: str) -> None:
    for _ in range(MAX_SEARCHES):
        if not (found := tuple(_marked(f"{MARK}={mark}".encode()))):
            return
        for process in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)


def _marked(variable: bytes) -> Iterator[int]:
    """Yield the processes with a variable in their environment; none where there is no /proc."""
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended, or is another user's
            if variable in environment.read_bytes().split(b"\0"):
                yield int(environment.parent.name)


class _Output:
    """Reads a pipe to its end, and keeps the beginning and the end of what came."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._head, self._tail, self._left_out, self._pipe = b"", b"", 0, pipe
        self._thread = Thread(target=self._read, name="output of the program", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while part := os.read(self._pipe.fileno(), 65536):
                room = KEPT - len(self._head)
                self._head += part[:room]
                self._tail += part[room:] if room < len(part) else b""
                self._left_out += max(0, len(self._tail) - KEPT)
                self._tail = self._tail[-KEPT:]

    def text(self) -> str:
        self._thread.join(GRACE_SECONDS)  # a process that left the group may hold the pipe open
        if not self._thread.is_alive():
            self._pipe.close()
        gap = f"\n... {self._left_out} bytes left out ...\n".encode() if self._left_out else b""
        return (self._head + gap + self._tail).decode("utf-8", "replace")
