"""Suites of scenarios, and lists of failures that a team expects: YAML, read with the places of its mistakes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viralsync_mock.config.yaml_source import preview, read_yaml
from viralsync_mock.errors import SettingsError, did_you_mean
from viralsync_mock.scenarios.loader import ScenarioLibrary, parse_scenario
from viralsync_mock.settings import shipped
from viralsync_mock.verdict.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from viralsync_mock.config.yaml_source import Node
    from viralsync_mock.openapi.spec import Spec

VERSION = 1
TASKS = ("render", "poll", "stream", "webhook", "list", "cancel")
WELL, BADLY, ANY = "well", "badly", "any"

ENDS_IN_TIME, EXIT_CODE = "ends-in-time", "exit-code"
"""Checks of the program itself, beside the rules of the verdict."""

_SECONDS = re.compile(r"(\d+)s")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FOLDER = "fixtures/certify"


@dataclass(frozen=True)
class Trial:
    """One scenario of a suite: what the server does, what the client is to do, and what that must show of it.

    `ends` says how the program has to end: `well` with exit code 0, `badly` with another. `within` are real seconds,
    `speed` is how many times as fast the clock runs, `jobs` are made before the program starts.
    """

    name: str
    title: str
    task: str
    within: float
    rules: tuple[str, ...]
    scenario: str | dict[str, Any]
    ends: str = WELL
    speed: float = 20.0
    jobs: int = 0
    faults: tuple[dict[str, Any], ...] = ()

    @property
    def needs_receiver(self) -> bool:
        """Whether only a client that receives webhooks can show anything here."""
        return self.task == "webhook"


@dataclass(frozen=True)
class Suite:
    """Trials under a name; `occasions` say for each rule what a client has to meet before the rule says anything."""

    name: str
    description: str
    trials: tuple[Trial, ...]
    occasions: Mapping[str, str]

    def only(self, names: tuple[str, ...]) -> Suite:
        """Return the suite with some of its trials; raises SettingsError for an unknown one."""
        known = {each.name: each for each in self.trials}
        for name in names:
            if name not in known:
                raise SettingsError(
                    f"--only {name}: the suite {self.name} has no such scenario.{did_you_mean(name, known)}"
                )
        return replace(self, trials=tuple(known[name] for name in names)) if names else self


def load_suite(name: str, spec: Spec) -> Suite:
    """Return a shipped suite, or one from a file; raises SettingsError that names the place."""
    is_file = Path(name).suffix in {".yaml", ".yml"}
    path = Path(name) if is_file else shipped(_FOLDER) / f"{name}.yaml"
    if not is_file and not path.exists():
        known = sorted(each.stem for each in path.parent.glob("*.yaml"))
        raise SettingsError(
            f"--suite: expected {', '.join(known)} or a file, got {preview(name)}.{did_you_mean(name, known)}"
        )
    place = read_yaml(path, SettingsError)
    place.allow_keys("version", "name", "description", "includes", "speed", "occasions", "scenarios")
    if place["version"].value != VERSION:
        place["version"].fail(
            f"expected {VERSION}, got {preview(place['version'].value)}: another version of the mock reads it"
        )
    base = place.get("includes")
    before = load_suite(base.expect(str), spec) if base else Suite("", "", (), {})
    speed = place.get("speed")
    reader = _Reader(spec, float(speed.expect(float)) if speed else Trial.speed)
    trials = (*before.trials, *map(reader.trial, place["scenarios"]))
    names = [each.name for each in trials]
    if twice := next((name for name in names if names.count(name) > 1), None):
        place["scenarios"].fail(f"{preview(twice)} stands twice: give each scenario a name of its own")
    found = place.get("occasions")
    occasions = {rule: str(each.expect(str)) for rule, each in found.items()} if found else {}
    about = place.get("description")
    return Suite(
        str(place["name"].expect(str)), str(about.value) if about else "", trials, {**before.occasions, **occasions}
    )


class _Reader:
    def __init__(self, spec: Spec, speed: float) -> None:
        self._spec, self._speed = spec, speed
        self._library = ScenarioLibrary(shipped("fixtures/scenarios"), spec)

    def trial(self, place: Node) -> Trial:
        place.allow_keys("name", "title", "task", "within", "ends", "speed", "jobs", "rules", "scenario", "faults")
        speed, ends, jobs, faults = map(place.get, ("speed", "ends", "jobs", "faults"))
        return Trial(
            name=_matching(place["name"], _NAME, "lower-case words joined by -"),
            title=str(place["title"].expect(str)),
            task=_one_of(place["task"], TASKS),
            within=float(_matching(place["within"], _SECONDS, "seconds such as 15s").removesuffix("s")),
            rules=tuple(_one_of(each, tuple(RULES)) for each in place["rules"]),
            scenario=self._scenario(place["scenario"]),
            ends=_one_of(ends, (WELL, BADLY, ANY)) if ends else WELL,
            speed=float(speed.expect(float)) if speed else self._speed,
            jobs=int(jobs.expect(int)) if jobs else 0,
            faults=tuple(faults.expect(list)) if faults else (),
        )

    def _scenario(self, place: Node) -> str | dict[str, Any]:
        """Return a scenario that the mock will take: a shipped name, or a whole document."""
        if isinstance(place.value, str):
            return self._library.get(place.value).name
        document: dict[str, Any] = place.expect(dict)
        parse_scenario(document, self._spec, place.source.name, place.path)
        return document


def load_expected(path: Path | None, suite: Suite) -> dict[str, str]:
    """Return the expected failures, `scenario` or `scenario/check`, with their reasons; raises SettingsError."""
    if path is None:
        return {}
    trials = {each.name for each in suite.trials}
    checks = {*RULES, ENDS_IN_TIME, EXIT_CODE}
    found: dict[str, str] = {}
    for key, place in read_yaml(path, SettingsError).items():
        trial, _, check = key.partition("/")
        if trial not in trials:
            place.fail(f"the suite {suite.name} has no scenario {preview(trial)}.{did_you_mean(trial, trials)}")
        if check and check not in checks:
            place.fail(f"there is no rule {preview(check)}.{did_you_mean(check, checks)}")
        found[key] = str(place.expect(str))
    return found


def _one_of(place: Node, words: tuple[str, ...]) -> str:
    word: str = place.expect(str)
    if word not in words:
        place.fail(f"expected one of {', '.join(words)}, got {preview(word)}.{did_you_mean(word, words)}")
    return word


def _matching(place: Node, pattern: re.Pattern[str], what: str) -> str:
    text: str = place.expect(str)
    if not pattern.fullmatch(text):
        place.fail(f"expected {what}, got {preview(text)}")
    return text
