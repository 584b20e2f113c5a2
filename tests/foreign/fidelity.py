"""How alike the mock, in the profile that a run learns, is to the independent server.

`python -m tests.foreign.fidelity` prints it, and what is left to say.

Each variant is run twice: once to learn, and once more with what was learned, when nothing should be left to say but
what no switch covers.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.foreign.measure import Trial, options_of, settings_of
from tests.support.foreign_api import VARIANTS, ForeignServer

from viralsync_conform.conformance import conform
from viralsync_conform.findings import Category
from viralsync_conform.reports import write_reports
from viralsync_conform.result import Result


def learned_twice(variant: str) -> tuple[str, Result, Result]:
    """Return the variant, the run that learns, and the run that knows."""
    trial = Trial(variant)
    with TemporaryDirectory() as folder, ForeignServer(settings_of(trial)) as server:
        options = replace(options_of(trial, server), has_fidelity=True)
        first = conform(options)
        write_reports(first, Path(folder))
        return variant, first, conform(replace(options, behaviour=Path(folder) / "learned-behaviour.yaml", seed="2"))


def main() -> int:
    """Print what each run said; 1 where the second is less alike than 95 %."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", action="append", choices=sorted(VARIANTS))
    variants = parser.parse_args().variant or sorted(VARIANTS)
    least = 100.0
    with ThreadPoolExecutor(len(variants)) as pool:
        for variant, first, second in pool.map(learned_twice, variants):
            for name, result in (("learns", first), ("knows", second)):
                _print(f"{variant} {name}", result)
            least = min(least, second.fidelity.percent if second.fidelity else 0.0)
    return int(least < 95)


def _print(name: str, result: Result) -> None:
    fidelity = result.fidelity
    shown = f"{fidelity.percent:.1f} % of {fidelity.steps} steps" if fidelity else "not compared"
    sys.stdout.write(f"{name}: {result.verdict.name.lower()}, fidelity {shown}\n")
    for each in result.findings:
        if each.category is not Category.ADDITIVE:
            where = " ".join(str(part) for part in (each.operation, each.status, each.place, each.name) if part)
            sys.stdout.write(
                f"    {each.category} {each.check} {where}: {each.message[:120]} "
                f"expected {each.expected[:120]} got {each.got[:120]}\n"
            )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
