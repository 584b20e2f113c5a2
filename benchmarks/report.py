"""What a measurement hands back, and how it is written down."""

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("starlette", "uvicorn", "uvloop", "httptools", "jsonschema-rs", "orjson", "httpx", "httpx2")


class BenchmarkError(Exception):
    """A measurement could not be made; the text says why and what to do."""


@dataclass(frozen=True)
class Row:
    """One comparison with a bar. `met` is None when the worst round misses it, and without a bar or a measurement."""

    what: str
    measured: str
    bar: str = "-"
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """`met`, `missed`, `median only` where a round missed the bar, or a dash."""
        unclear = "-" if self.bar == "-" or self.measured.startswith("not measured") else "median only"
        return {True: "met", False: "**missed**", None: unclear}[self.met]


def at_least(values: Sequence[float], bar: float) -> bool | None:
    """Hold rounds against a lower bar: the median decides, and None says that the worst round misses it."""
    return _meets([-value for value in values], -bar)


def at_most(values: Sequence[float], bar: float) -> bool | None:
    """Hold rounds against an upper bar: the median decides, and None says that the worst round misses it."""
    return _meets(values, bar)


def _meets(values: Sequence[float], bar: float) -> bool | None:
    if statistics.median(values) > bar:
        return False
    return True if max(values) <= bar else None


@dataclass(frozen=True)
class Section:
    """The outcome of one measurement: its bars, the numbers behind them, and how they were taken."""

    title: str
    how: str
    rows: list[Row]
    detail_header: Sequence[str] = ()
    detail: Sequence[Sequence[str]] = ()


def not_measured(what: str, bar: str, reason: str) -> Row:
    """A row for a comparison that could not be made."""
    return Row(what, f"not measured: {reason}", bar)


def median_and_spread(values: Iterable[float], digits: int = 2) -> str:
    """`2.31 (2.20-2.40)`: the median, and the lowest and highest of the rounds."""
    numbers = sorted(values)
    middle, low, high = statistics.median(numbers), numbers[0], numbers[-1]
    return f"{middle:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    cells = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    lines = [" | ".join(row) for row in (header, ["---"] * len(header), *cells)]
    return [f"| {line} |" for line in lines]


def machine(notes: Iterable[str]) -> list[str]:
    """What the numbers were taken on: cores, memory, processor, and the versions that took part."""
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"{platform.python_implementation()} {platform.python_version()}"
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"- machine: {os.cpu_count()} cores, {ram:.0f} GB, {_processor()}, {platform.system()}",
        f"- {python}, {packages}",
        *(f"- {note}" for note in notes),
    ]


def busy() -> str:
    """How much else was going on: to be asked before a run, since a run makes the machine busy itself."""
    return f"load average before the run: {os.getloadavg()[0]:.1f}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.M) if cpuinfo.exists() else None
    return found[1] if found else platform.machine()


def tool_version(*command: str) -> str:
    """The first line that a tool prints about its version, or why there is none."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "not at hand"
    lines = (answer.stdout or answer.stderr).strip().splitlines()
    return lines[0] if lines else "unknown version"


def document(sections: list[Section], notes: list[str], command: str, seconds: float) -> str:
    """The whole of RESULTS.md."""
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    bars = [(row.what, row.measured, row.bar, row.verdict) for section in sections for row in section.rows]
    lines = [
        "# Benchmark results",
        "",
        f"Written by `{command}` on {date}, in {seconds:.0f} s.",
        "Every ratio compares turns within this one run on one machine. Numbers are medians, with the lowest",
        "and the highest round in brackets.",
        "",
        *machine(notes),
        "",
        *markdown_table(("what", "measured", "bar", ""), bars),
    ]
    for section in sections:
        lines += ["", f"## {section.title}", "", section.how]
        if section.detail:
            lines += ["", *markdown_table(section.detail_header, section.detail)]
    return "\n".join(lines) + "\n"
