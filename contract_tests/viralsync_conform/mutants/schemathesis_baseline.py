"""What Schemathesis notices by itself: `st run` with its defaults and a valid key, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from viralsync_conform.clocks import measured
from viralsync_conform.mutants.engine.server import serving
from viralsync_conform.mutants.measuring import all_mutants
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.settings import shipped

TIMEOUT_SECONDS = 300.0
"""Real seconds that one run may take."""


@dataclass(frozen=True)
class PlainRun:
    """What one run came to: the failures by their kind, and its price."""

    mutant: str
    failures: frozenset[str] = frozenset()
    cases: int = 0
    seconds: float = 0.0
    problem: str = ""


def run_schemathesis_alone(name: str | None, seed: str) -> PlainRun:
    """Run Schemathesis against a mutant by its name, or against the mock, without a rate limit to drown in."""
    label = name or "mock"
    mutant = all_mutants()[name] if name else None
    with TemporaryDirectory() as folder, measured() as taken, serving(mutant, seed=seed, is_rate_limited=False) as url:
        report = Path(folder) / "report.json"
        try:
            subprocess.run(  # noqa: S603 - our own words
                _command(url, report, seed), cwd=folder, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
            )
            document = json.loads(report.read_text())
        except (subprocess.TimeoutExpired, OSError, ValueError) as problem:
            return PlainRun(label, problem=f"{type(problem).__name__}: {problem}")
    kinds = frozenset(str(failure["type"]) for failure in document["failures"])
    return PlainRun(label, kinds, int(document["test_cases"]["generated"]), taken[0] if taken else 0.0)


def _command(url: str, report: Path, seed: str) -> list[str]:
    key = f"vs_prod_{hexadecimal(seed, 'plain', length=32)}"
    number = str(int(hexadecimal(seed, "plain seed", length=6), 16))
    return [
        str(Path(sys.executable).with_name("st")),
        "run",
        str(shipped("openapi.yaml").absolute()),
        "--url",
        url,
        "--header",
        f"x-api-key: {key}",
        "--seed",
        number,
        "--report-json-path",
        str(report),
    ]
