"""The options of a test's sandbox, from marker, variable or ini file (nearest first), each with its origin."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from viralsync_mock.clock import Mode
from viralsync_mock.config.behaviour import load_behaviour
from viralsync_mock.config.yaml_source import preview, read_yaml
from viralsync_mock.errors import BehaviourError, ScenarioError, SettingsError, did_you_mean
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.scenarios.loader import load_scenario
from viralsync_mock.scenarios.model import Webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from viralsync_mock.errors import UsageError
    from viralsync_mock.settings import Settings

MARKER = "viralsync"
VARIABLE_PREFIX = "VIRALSYNC_MOCK_"
INI_PREFIX = "viralsync_"

_FILES = frozenset({".yaml", ".yml", ".json"})
_ON, _OFF = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_PLACE = re.compile(r"\$\.(\w+)")


@dataclass(frozen=True)
class OptionValue:
    """The value of one option, where it was given, and the folder that its files are relative to."""

    value: Any
    origin: str
    folder: Path

    def fail(self, expected: str, near: str = "") -> NoReturn:
        """Raise SettingsError: what came, what was expected, and where."""
        came = preview(self.value) if isinstance(self.value, (str, int, float, list, dict)) else repr(self.value)
        raise SettingsError(f"{self.origin}: expected {expected}, got {came}.{near}")

    @property
    def file(self) -> Path | None:
        """The file that the value names, or None."""
        if not isinstance(self.value, (str, Path)) or Path(self.value).suffix not in _FILES:
            return None
        return self.folder / self.value


def _document(given: OptionValue, error: type[UsageError]) -> dict[str, Any] | None:
    """Return the mapping that was given, or that of a file; None if it is neither."""
    if given.file is not None:
        document: dict[str, Any] = read_yaml(given.file, error).expect(dict)
        return document
    return dict(given.value) if isinstance(given.value, Mapping) else None


def _scenario(given: OptionValue) -> str | dict[str, Any]:
    document = _document(given, ScenarioError)
    if document is None:
        return _text(given, "the name of a scenario, a file (.yaml, .yml, .json) or a mapping")
    return document


def _behaviour(given: OptionValue) -> dict[str, Any]:
    document = _document(given, BehaviourError)
    return given.fail("nested switches or a file (.yaml, .yml, .json)") if document is None else document


def _state(given: OptionValue) -> dict[str, Any]:
    from viralsync_mock.persistence.saved import find_state, read_state  # most tests have none

    try:
        name = given.file or _text(given, "the name of a saved state, or its file")
        return read_state(name if isinstance(name, Path) else find_state(name, given.folder))
    except SettingsError as problem:
        raise SettingsError(f"{given.origin}: {problem}") from None


def _plan(given: OptionValue) -> str:
    return _text(given, "the name of a plan")


def _text(given: OptionValue, expected: str) -> str:
    if isinstance(given.value, str) and given.value:
        return given.value
    return given.fail(expected)


def _clock(given: OptionValue) -> str:
    if given.value in tuple(Mode):
        return str(given.value)
    return given.fail(f"one of {', '.join(Mode)}", did_you_mean(given.value, Mode))


def _seed(given: OptionValue) -> str:
    if isinstance(given.value, (str, int)) and not isinstance(given.value, bool):
        return str(given.value)
    return given.fail("a text or a whole number")


def _strict(given: OptionValue) -> bool:
    word = str(given.value).lower()
    if word in _ON or word in _OFF:
        return word in _ON
    return given.fail("true or false")


def _well_behaved(given: OptionValue) -> dict[str, Any] | None:
    """Return the arguments of `assert_well_behaved`; None where it is not asked for."""
    if isinstance(given.value, Mapping):
        return {str(rule).replace("-", "_"): str(reason) for rule, reason in given.value.items()}
    word = str(given.value).lower()
    if word == "decided":
        return {"inconclusive": "fail"}
    if word in _ON or word in _OFF:
        return {} if word in _ON else None
    return given.fail('true, false, "decided", or rules that may fail, each with its reason')


def _sleeps(given: OptionValue) -> str:
    if given.value in (words := ("real", "virtual")):
        return str(given.value)
    return given.fail("real or virtual", did_you_mean(given.value, words))


def _exempt(given: OptionValue) -> tuple[str, ...]:
    names = given.value.replace(",", " ").split() if isinstance(given.value, str) else given.value
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        return tuple(names)
    return given.fail("names of modules: a list, or a text with commas between them")


OPTIONS: Mapping[str, Callable[[OptionValue], Any]] = MappingProxyType(
    {
        "scenario": _scenario,
        "plan": _plan,
        "clock": _clock,
        "seed": _seed,
        "behaviour": _behaviour,
        "strict": _strict,
        "well_behaved": _well_behaved,
        "sleeps": _sleeps,
        "exempt": _exempt,
        "state": _state,
    }
)
"""The reader of each option: returns a JSON value or raises UsageError."""


OF_PROCESS = frozenset({"sleeps", "exempt"})
"""Options about the sleeps of the test's process."""

OF_TEST = frozenset({"strict", "well_behaved", "sleeps", "exempt", "state"})
"""Options that are checked at the end of a test, by the plugin."""


class Options:
    """The options of one sandbox."""

    def __init__(self, given: Mapping[str, OptionValue]) -> None:
        self._given = given
        self._values = {name: OPTIONS[name](each) for name, each in given.items()}

    @property
    def document(self) -> dict[str, Any]:
        """The body of the control call that opens the sandbox."""
        clock = {"clock": Mode.JUMP.value} if self.has_virtual_sleeps else {}
        return clock | {name: value for name, value in self._values.items() if name not in OF_TEST}

    @property
    def state(self) -> dict[str, Any] | None:
        """The snapshot that the sandbox begins with; of the options of `document` only the clock goes with it."""
        return self._values.get("state")

    @property
    def has_virtual_sleeps(self) -> bool:
        """Whether the test's process sleeps on the sandbox's clock."""
        return self._values.get("sleeps") == "virtual"

    @property
    def exempt(self) -> tuple[str, ...]:
        """The modules and packages that keep real time all the same."""
        names: tuple[str, ...] = self._values.get("exempt", ())
        return names

    @property
    def is_strict(self) -> bool:
        """Whether a test fails for a call that the API does not accept."""
        return bool(self._values.get("strict"))

    @property
    def well_behaved(self) -> dict[str, Any] | None:
        """The arguments of `assert_well_behaved`; None where a test does not fail for its client's behaviour."""
        return self._values.get("well_behaved")

    def secret(self, settings: Settings) -> str:
        """Return the secret that signs webhooks: the one of a scenario given whole, else the default."""
        scenario = self._values.get("scenario")
        if scenario is None and settings.scenario_file is not None:
            scenario = read_yaml(settings.scenario_file, ScenarioError).expect(dict)
        webhooks = scenario.get("webhooks") if isinstance(scenario, dict) else None
        secret = webhooks.get("secret") if isinstance(webhooks, Mapping) else None
        return secret if isinstance(secret, str) else Webhooks().secret

    def explained(self, refusal: UsageError, spec: Path) -> str:
        """Return why the mock refuses an option and where the option was given, for a file with its line."""
        text = str(refusal)
        place = _PLACE.search(text)
        given = self._given.get(place[1]) if place else None
        if place is None or given is None:
            return text
        complaint = _complaint(place[1], given, spec) or text[place.start() :]
        return f"{given.origin}: {complaint}"


def _complaint(option: str, given: OptionValue, spec_file: Path) -> str:
    """Return what is wrong with a file, in the words of its loader; empty when nothing is."""
    if given.file is None:
        return ""
    try:
        spec = load_spec(spec_file)
        if option == "scenario":
            load_scenario(given.file, spec)
        else:
            load_behaviour(given.file, spec.errors)
    except (ScenarioError, BehaviourError) as problem:
        return str(problem)
    return ""


def options_of_test(item: pytest.Item) -> Options:
    """Return the options of a test; raises UsageError for an unknown option or a wrong value."""
    return Options({**_general(item.config), **_marked(item)})


def options_of_call(config: pytest.Config, arguments: Mapping[str, Any]) -> Options:
    """Return the options of a sandbox from `make_viralsync`; raises UsageError.

    The process sleeps on the clock of the test's own sandbox, so `sleeps` and `exempt` are no options here.
    """
    origin = "make_viralsync"
    _check_names(arguments, origin)
    for name in OF_PROCESS & arguments.keys():
        raise SettingsError(
            f"{origin}: {name!r} is an option of tests with the fixture `viralsync`. For this sandbox: "
            "`with sandbox.virtual_time(): ...`"
        )
    folder = config.invocation_params.dir
    given = {name: OptionValue(value, f"{origin}({name}=...)", folder) for name, value in arguments.items()}
    general = {name: value for name, value in _general(config).items() if name not in OF_PROCESS}
    return Options({**general, **_without_nothing(given)})


def _general(config: pytest.Config) -> dict[str, OptionValue]:
    return {**dict(_configured(config)), **dict(_of_environment(config))}


def _configured(config: pytest.Config) -> Iterator[tuple[str, OptionValue]]:
    file = config.inipath
    for name in OPTIONS:
        if value := config.getini(key := INI_PREFIX + name):
            yield (
                name,
                OptionValue(value, f"{file.name}: {key}" if file else key, file.parent if file else config.rootpath),
            )


def _of_environment(config: pytest.Config) -> Iterator[tuple[str, OptionValue]]:
    for name in OPTIONS:
        if name == "state":  # its variable is that of `serve`, which names a folder
            continue
        if value := os.environ.get(variable := VARIABLE_PREFIX + name.upper()):
            yield name, OptionValue(value, f"the variable {variable}", config.invocation_params.dir)


def _marked(item: pytest.Item) -> dict[str, OptionValue]:
    """Return the markers' options: the test's win over its class's, and those over its module's."""
    file, line, _ = item.reportinfo()
    origin = f"{os.path.relpath(file, item.config.rootpath)}:{(line or 0) + 1}: @pytest.mark.{MARKER}"
    found: dict[str, OptionValue] = {}
    for mark in item.iter_markers(MARKER):
        if mark.args:
            came = ", ".join(map(repr, mark.args))
            raise SettingsError(f"{origin}: options are given by name, as in scenario=..., got {came}.")
        _check_names(mark.kwargs, origin)
        given = {
            name: OptionValue(value, f"{origin}({name}=...)", item.path.parent) for name, value in mark.kwargs.items()
        }
        found = {**_without_nothing(given), **found}
    return found


def _check_names(names: Mapping[str, Any], origin: str) -> None:
    for name in names:
        if name not in OPTIONS:
            raise SettingsError(
                f'{origin}: there is no option "{name}".{did_you_mean(name, OPTIONS)} Options: {", ".join(OPTIONS)}'
            )


def _without_nothing(given: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """Leave out None, which says nothing."""
    return {name: each for name, each in given.items() if each.value is not None}
