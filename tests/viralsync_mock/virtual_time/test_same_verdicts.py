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
def verdicts(form: str, _attempt: int) -> Verdicts:
    """Run the suite (once for each attempt), and return the outcome of each rule in each test."""
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


def differing(first: str, second: str, *, among: tuple[str, ...] = ()) -> set[tuple[str, str]]:
    """Return the rules that two forms judge differently, three times over, `among` these outcomes.

    On a busy machine the clock may jump while a client is still at work, so that it seems to wait longer.
    """
    found: set[tuple[str, str]] | None = None
    for attempt in range(3):
        one, other = verdicts(first, attempt), verdicts(second, attempt)
        assert len({test for test, _ in one}) > 60
        assert set(one.values()) >= {"passed", "failed", "not_applicable"}
        assert one.keys() == other.keys()
        pairs = {key: (one[key], other[key]) for key in one}
        pairs = {key: pair for key, pair in pairs.items() if not among or set(pair) <= set(among)}
        assert len(pairs) > 200
        differ = {key for key, (first_outcome, outcome) in pairs.items() if first_outcome != outcome}
        found = differ if found is None else found & differ
        if not found:
            break
    return found or set()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["time.sleep", "asyncio.sleep"])
def test_law_injected_sleeps_and_the_clients_own_give_the_same_verdicts(form: str) -> None:
    """Rule by rule and test by test, on a clock that jumps."""
    assert differing(INJECTED, form) == set()


@pytest.mark.slow
def test_law_a_verdict_that_decides_is_the_same_on_the_clocks_of_the_example() -> None:
    """On its frozen and automatic clocks more is inconclusive, and nothing is decided otherwise."""
    assert differing(AS_WRITTEN, "time.sleep", among=DECIDED) == set()
