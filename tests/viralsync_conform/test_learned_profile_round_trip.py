"""The mirror: a mock in another reading of the documentation is learned as exactly that."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from viralsync_conform.conformance import Options, conform
from viralsync_conform.contract.learned_behaviour import all_switches
from viralsync_conform.contract.schemas import ExpectedSpec
from viralsync_conform.findings import Category, Provenance, Verdict
from viralsync_conform.target import own_mock
from viralsync_mock.config.behaviour import load_behaviour
from viralsync_mock.settings import shipped

pytestmark = pytest.mark.slow

CONTRACT = ExpectedSpec.load()
OTHER = yaml.safe_load(shipped("fixtures/behaviours/other-readings.yaml").read_text())
ONE_BY_ONE = {
    f"{section}.{name}": {section: {name: value}} for section in OTHER for name, value in OTHER[section].items()
}
HIDDEN = {"webhook.timeout_seconds", "errors.internal_error", "errors.service_unavailable"}
"""What no run can see, for the reasons that its report gives."""

MORE = {
    "sse.keep_alive_seconds": {"sse": {"keep_alive_seconds": 7}},
    "concurrency.counts": {"concurrency": {"counts": "running+waiting"}},
    "webhook.signature": {"webhook": {"signature": "sha256=hex"}},
    "webhook.attempts": {"webhook": {"attempts": 5}},
}
CASES = [*ONE_BY_ONE.items(), *MORE.items()]


def written(folder: Path, document: object) -> Path:
    path = folder / "behaviour.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_other_readings_turn_every_switch() -> None:
    """No switch is left out of the mirror, and no code whose name is assumed."""
    codes = CONTRACT.spec.errors
    assumed = {f"errors.{code.lower()}" for code in codes if CONTRACT.mark_of_code(code) is Provenance.ASSUMED}
    assert {*all_switches(), *assumed} == set(ONE_BY_ONE)


@pytest.mark.parametrize(("switch", "document"), CASES, ids=[f"{name} {doc}" for name, doc in CASES])
def test_a_turned_switch_is_learned_and_nothing_else(switch: str, document: object, tmp_path: Path) -> None:
    """Believing the default, a run learns the one switch that the target has turned, and says so with exit code 4."""
    path = written(tmp_path, document)
    with own_mock(path, "0") as url:
        result = conform(Options(target=url))
    if switch in HIDDEN:
        assert (result.verdict, switch in result.learned.hidden) == (Verdict.CONFORMS, True)
        return
    assert load_behaviour(path, CONTRACT.spec.errors) == result.learned_profile
    assert [each for each in result.findings if each.category in {Category.FAILURE, Category.INCONCLUSIVE}] == []
    assert result.verdict == Verdict.DIFFERS


def test_all_other_readings_at_once_are_learned(tmp_path: Path) -> None:
    """A mock with every switch turned is learned whole, but for what cannot be seen."""
    document = {
        section: {name: value for name, value in switches.items() if f"{section}.{name}" not in HIDDEN}
        for section, switches in OTHER.items()
    }
    document["webhook"]["attempts"] = 2  # with one alone there would be no wait between two
    path = written(tmp_path, document)
    with own_mock(path, "0") as url:
        result = conform(Options(target=url))
    assert load_behaviour(path, CONTRACT.spec.errors) == result.learned_profile
    assert result.learned.contradictions == {}
    assert set(result.learned.hidden) == HIDDEN


def test_a_mock_in_the_profile_that_is_believed_conforms() -> None:
    """Told of every reading, a run finds nothing: the profile describes the target."""
    result = conform(Options(behaviour=shipped("fixtures/behaviours/other-readings.yaml")))
    assert [f"{each.check}: {each.message}" for each in result.findings] == []
    assert result.verdict == Verdict.CONFORMS


def test_what_cannot_be_seen_is_said_with_its_reason() -> None:
    """Every switch is either learned or hidden, and each hidden one has its reason."""
    result = conform(Options())
    assert set(result.learned.hidden) == HIDDEN
    assert all(result.learned.hidden.values())
