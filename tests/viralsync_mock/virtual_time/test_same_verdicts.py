"""The suite of examples/downstream: its client's verdicts do not depend on how its sleeps pass on the clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.support.paths import ROOT

EXAMPLE = ROOT / "examples/downstream"
PLUGINS = ("-p", "tests.support.downstream_forms", "-p", "no:randomly", "-p", "no:cacheprovider")
INJECTED = "injected"
AS_WRITTEN = "as written"

VIRTUAL = ("-o", "viralsync_sleeps=virtual", "-o", "viralsync_exempt=conftest httpcore")
"""The tests themselves wait in real time, and so does the pool, which else closes connections that sleep for 5 s."""

DECIDED = ("passed", "failed")

Verdicts = dict[tuple[str, str], str]


@cache
def verdicts(form: str) -> Verdicts:
    """Run the suite, and return the outcome of each rule in each test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VIRALSYNC", "PYTEST"))}
    paths = os.pathsep.join(map(str, (EXAMPLE / "src", ROOT)))
    sleeps = () if form in (INJECTED, AS_WRITTEN) else VIRTUAL
    with TemporaryDirectory() as folder:
        found = Path(folder, "verdicts.json")
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "tests", *PLUGINS, *sleeps],
            cwd=EXAMPLE,
            env={**kept, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "FORM": form, "OUT": str(found)},
            capture_output=True,
            check=False,  # a test that counts on a frozen clock may fail on one that jumps
            timeout=120,
        )
        tests: dict[str, dict[str, str]] = json.loads(found.read_text())
    return {(test, rule): outcome for test, rules in tests.items() for rule, outcome in rules.items()}


@pytest.mark.parametrize("form", ["time.sleep", pytest.param("asyncio.sleep", marks=pytest.mark.slow)])
def test_law_injected_sleeps_and_the_clients_own_give_the_same_verdicts(form: str) -> None:
    """Rule by rule and test by test, on a clock that jumps."""
    injected, own = verdicts(INJECTED), verdicts(form)
    assert len({test for test, _ in injected}) > 60
    assert {"passed", "failed", "not_applicable"} <= set(injected.values())
    assert injected == own


@pytest.mark.slow
def test_law_a_verdict_that_decides_is_the_same_on_the_clocks_of_the_example() -> None:
    """On its frozen and automatic clocks more is inconclusive, and nothing is decided otherwise."""
    written, own = verdicts(AS_WRITTEN), verdicts("time.sleep")
    decided = {key for key in written if written[key] in DECIDED and own[key] in DECIDED}
    assert len(decided) > 200
    assert {key: written[key] for key in decided} == {key: own[key] for key in decided}
