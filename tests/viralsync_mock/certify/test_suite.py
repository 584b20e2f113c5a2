"""The shipped suites, and what is said about files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from viralsync_mock.certify.suite import load_expected, load_suite
from viralsync_mock.errors import SettingsError, UsageError
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.settings import shipped
from viralsync_mock.verdict.rules import RULES

SPEC = load_spec(shipped("openapi.yaml"))
TRIAL = """version: 1
name: mine
scenarios:
  - {name: one, title: One, task: render, within: 5s, rules: [stops-at-terminal], scenario: happy}
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_core_brings_almost_every_rule_into_play() -> None:
    """What no program can be made to show from outside is left out."""
    core = load_suite("core", SPEC)
    rules = {rule for trial in core.trials for rule in trial.rules}
    assert set(RULES) - rules == {"sleeps-between-calls", "sends-no-key-in-url"}
    assert rules == core.occasions.keys()
    assert 24 <= len(core.trials) <= 30


def test_full_begins_with_core() -> None:
    """A client that passes `full` has passed `core`."""
    core, full = load_suite("core", SPEC), load_suite("full", SPEC)
    assert full.trials[: len(core.trials)] == core.trials
    assert len(full.trials) > len(core.trials)


def test_a_suite_of_ones_own_is_a_file(tmp_path: Path) -> None:
    """It is written like the shipped ones."""
    suite = load_suite(written(tmp_path, TRIAL), SPEC)
    assert [(each.name, each.within, each.speed, each.ends) for each in suite.trials] == [("one", 5, 20, "well")]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("version: 1", "version: 2", "expected 1, got 2"),
        ("task: render", "task: rendr", 'Did you mean "render"?'),
        ("within: 5s", "within: soon", "expected seconds such as 15s"),
        ("stops-at-terminal", "stop-at-terminal", 'Did you mean "stops-at-terminal"?'),
        ("scenario: happy", "scenario: {job: {queud: 1s}}", "queued"),
        ("scenario: happy", "scenario: hapy", 'Did you mean "happy"?'),
        ("title: One", "titel: One", 'Did you mean "title"?'),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    """File, line and the nearest valid word are in the sentence."""
    with pytest.raises(UsageError) as caught:
        load_suite(written(tmp_path, TRIAL.replace(old, new)), SPEC)
    assert complaint in str(caught.value)


def test_an_unknown_suite_or_scenario_has_a_suggestion() -> None:
    """A word that is almost right is completed."""
    with pytest.raises(SettingsError, match='Did you mean "core"'):
        load_suite("cor", SPEC)
    with pytest.raises(SettingsError, match='Did you mean "outage"'):
        load_suite("core", SPEC).only(("outtage",))
    assert [each.name for each in load_suite("core", SPEC).only(("outage", "quota")).trials] == ["outage", "quota"]


def test_two_scenarios_of_one_name_are_refused(tmp_path: Path) -> None:
    """Reports and expected failures go by name."""
    twice = TRIAL + "  - {name: one, title: Two, task: poll, within: 5s, rules: [], scenario: happy}\n"
    with pytest.raises(SettingsError, match="stands twice"):
        load_suite(written(tmp_path, twice), SPEC)


def test_expected_failures_name_scenarios_and_rules_of_the_suite(tmp_path: Path) -> None:
    """An entry that can match nothing would hide a mistake."""
    suite = load_suite("core", SPEC)
    path = Path(written(tmp_path, "pages: we do not list\nhappy-poll/polls-no-faster-than: a demo\n"))
    assert load_expected(path, suite) == {"pages": "we do not list", "happy-poll/polls-no-faster-than": "a demo"}
    assert load_expected(None, suite) == {}
    wrong = {"pagse: x": "pages", "pages/reads-evry-page: x": "reads-every-page", "pages: 3": "text"}
    for text, complaint in wrong.items():
        with pytest.raises(SettingsError, match=complaint):
            load_expected(Path(written(tmp_path, text)), suite)
