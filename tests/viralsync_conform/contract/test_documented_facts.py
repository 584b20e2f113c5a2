"""No documented sentence is without a check or a reason, and the page that says so is fresh."""

from __future__ import annotations

import pytest
import yaml
from tests.foreign.sentences import _ROWS, PAGE, documented_places, journeys_of_checks, kit, page, row_of_place
from tests.support.foreign_api import FACTS
from tests.support.paths import ROOT

from viralsync_conform.findings import Provenance

SPEC = yaml.safe_load((ROOT / "openapi.yaml").read_text())
NAMED = [
    name.partition(":")[0]
    for row in (*_ROWS.values(), *map(row_of_place, documented_places(SPEC)))
    if isinstance(row, list)
    for name in row
]


def test_every_sentence_has_a_check_or_a_reason() -> None:
    """A new sentence of the documentation does not go unnoticed."""
    assert list(_ROWS) == list(FACTS)
    assert all(row.get("reason") if isinstance(row, dict) else row for row in _ROWS.values())


def test_every_documented_part_of_the_spec_has_a_check_or_a_reason() -> None:
    """A part that is newly marked as documented needs one as well."""
    assert [place for place in documented_places(SPEC) if not row_of_place(place)] == []


def test_every_check_of_the_table_is_a_documented_one() -> None:
    """What is assumed or seen in a sample only fails nobody."""
    assert {name for name in NAMED if kit()[name].mark is not Provenance.DOCUMENTED} == set()


def test_every_documented_check_stands_for_a_sentence() -> None:
    """A check marked D needs a page that states what it asserts."""
    documented = {name for name, check in kit().items() if check.mark is Provenance.DOCUMENTED}
    assert documented - set(NAMED) == set()


@pytest.mark.parametrize(
    ("check", "journey"),
    [("limit_enforced", "boundaries"), ("progress", "life_by_polling"), ("window", "real_window"),
     ("negative_data_rejection", "generated_calls"), ("schema", "every journey")],
)  # fmt: skip
def test_the_journeys_of_a_check_are_read_from_the_kit(check: str, journey: str) -> None:
    """What a journey uses, at any depth, belongs to it."""
    assert journey in journeys_of_checks()[check]


def test_the_page_is_fresh() -> None:
    """`python -m tests.foreign.sentences` writes it."""
    assert page(SPEC) == PAGE.read_text()
