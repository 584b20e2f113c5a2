"""`python -m benchmarks`: measure, print, and after a whole run write RESULTS.md."""

import argparse
import importlib
import os
import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.contract import SPEC_VARIABLE
from benchmarks.options import Options
from benchmarks.peers import versions
from benchmarks.processes import mock, raise_file_limit
from benchmarks.report import BenchmarkError, Section, busy, document, not_measured

MEASUREMENTS = ("throughput", "state", "replicas", "pages", "memory", "streams", "startup", "fresh")
RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> int:
    """0 when everything could be measured, 1 when something could not. A missed bar is not an error."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if arguments.spec:
        os.environ[SPEC_VARIABLE] = str(arguments.spec.resolve())
    raise_file_limit()
    began, before = time.monotonic(), busy()
    try:
        with mock():
            pass
    except BenchmarkError as error:
        print(f"nothing was measured, the mock does not start: {error}", file=sys.stderr)
        return 1
    sections, failures = _measure_all(arguments.only, Options(quick=arguments.quick))
    _print(sections)
    command = _command(arguments.only, quick=arguments.quick)
    is_whole = arguments.only == list(MEASUREMENTS) and not arguments.quick
    if output := arguments.output or (RESULTS if is_whole else None):
        output.write_text(document(sections, [before, *versions()], command, time.monotonic() - began), "utf-8")
        print(f"written to {output}")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _measure_all(names: list[str], options: Options) -> tuple[list[Section], list[str]]:
    """Each measurement by itself: one that fails is reported and does not stop the others."""
    sections, failures = [], []
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            sections.append(importlib.import_module(f"benchmarks.{name}").measure(options))
        except Exception as error:  # whatever it is, the results of the others must not be lost
            reason = str(error) if isinstance(error, BenchmarkError) else f"{type(error).__name__}: {error}"
            failures.append(f"{name}: {reason}")
            sections.append(Section(name.capitalize(), "", [not_measured(name, "-", reason)]))
    return sections, failures


def _command(names: list[str], *, quick: bool) -> str:
    """The command to repeat this run with; it names no path of the machine."""
    only = f" --only {','.join(names)}" if names != list(MEASUREMENTS) else ""
    return f"python -m benchmarks{only}{' --quick' if quick else ''}"


def _print(sections: list[Section]) -> None:
    table = Table("what", "measured", "bar", "")
    for row in (row for section in sections for row in section.rows):
        table.add_row(row.what.replace("`", ""), row.measured, row.bar, row.verdict.strip("*"))
    Console().print(table)


def _names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in MEASUREMENTS:
            raise argparse.ArgumentTypeError(f"unknown {name!r}; there are {', '.join(MEASUREMENTS)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_names, default=list(MEASUREMENTS), help=", ".join(MEASUREMENTS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, to see that all works")
    parser.add_argument("--spec", type=Path, help="another OpenAPI document for the mock and its peers")
    parser.add_argument("--output", type=Path, help="where the tables go; benchmarks/RESULTS.md after a whole run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
