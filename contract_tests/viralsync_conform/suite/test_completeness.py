"""No empty green: what must have been seen before it may be said that a target conforms, and nothing left behind."""

from __future__ import annotations

import pytest

from viralsync_conform import completeness
from viralsync_conform.findings import Category
from viralsync_conform.journeys import JOURNEYS
from viralsync_conform.journeys.whole_spec import explored
from viralsync_conform.suite.session import Suite, of


def test_nothing_is_left_behind(suite: Suite) -> None:
    """What the run made on the account it cancelled and deleted; what it could not clean it names."""
    known = {finding.key for finding in suite.run.findings}
    suite.clean()
    found = suite.since(known)
    failures = of(Category.FAILURE, found)
    if failures:
        pytest.fail(suite.text(failures), pytrace=False)
    if suite.run.unclean:
        suite.run.mark_inconclusive("clean_up", f"still on the account: {', '.join(suite.run.unclean)}", name="jobs")
        pytest.skip(f"inconclusive: still on the account: {', '.join(suite.run.unclean)}")


def test_everything_was_seen(suite: Suite) -> None:
    """Every operation was accepted, every link followed, every answer and status met that this run could meet."""
    absent = [each.name for each in JOURNEYS if each is not explored and each.name not in suite.settled]
    if absent:
        pytest.skip(f"only a part of the journeys was selected: {', '.join(absent[:5])} …")
    missing = list(completeness.unmet_requirements(suite.run))
    for name, sentence in missing:
        suite.run.mark_inconclusive("completeness", sentence, name=name)
    if missing:
        pytest.skip(f"inconclusive: {'; '.join(sentence for _, sentence in missing)}")
