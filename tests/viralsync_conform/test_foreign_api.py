"""The kit beside the independent server, in real time: what an honest one is told, and what a broken one."""

from __future__ import annotations

import pytest
from tests.foreign.measure import Trial, measured
from tests.support.foreign_api import CATALOGUE, VARIANTS

pytestmark = pytest.mark.slow

QUICK = ("account", "keys_of_reads", "reading_the_list", "boundaries")


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_no_honest_server_is_called_broken(variant: str) -> None:
    """Whatever the documentation leaves open may be read in four ways at least: none is a failure."""
    found = measured(Trial(variant, journeys=QUICK))
    assert (found.verdict == "broken", found.failures) == (False, ())


@pytest.mark.parametrize(
    ("breach", "check"),
    [
        ("width-below-minimum-accepted", "limit_enforced"),
        ("me-without-plan", "schema"),
        ("list-oldest-first", "order"),
    ],
)
def test_a_broken_fact_is_noticed_by_the_check_of_that_fact(breach: str, check: str) -> None:
    """A sample, a minute each; `make foreign` tries them all, and CI six others."""
    found = measured(Trial("A", breach, journeys=QUICK))
    assert check in found.checks


def test_every_breach_names_its_sentence() -> None:
    """The table that `make foreign` prints has the sentence of each breach."""
    assert all(breach.sentence for breach in CATALOGUE.values())
