"""The lists that the parts of a snapshot refer to, counts of rules and armed faults, and refusals with their place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from viralsync_mock.config import behaviour as profiles
from viralsync_mock.config.behaviour import parse_behaviour
from viralsync_mock.config.yaml_source import JsonSource, Node, json_path, preview
from viralsync_mock.errors import BehaviourError, ScenarioError
from viralsync_mock.scenarios.armed_faults import ArmedFault, ArmedFaults
from viralsync_mock.scenarios.fault_syntax import KINDS, WEBHOOK_KINDS, read_faults, to_document
from viralsync_mock.scenarios.loader import parse_armed, parse_scenario
from viralsync_mock.scenarios.model import RuleState
from viralsync_mock.snapshots.schema import ArmedPart, FaultPart, HookPart, ScenarioPart, ScriptPart, masked_part
from viralsync_mock.validation.body import parse
from viralsync_mock.validation.schema import ValidationFailed, Violation, invalid
from viralsync_mock.webhooks.payload import WebhookSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from viralsync_mock.config.behaviour import BehaviourProfile
    from viralsync_mock.faults.http import Fault
    from viralsync_mock.faults.webhook import WebhookFault
    from viralsync_mock.openapi.spec import Spec
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.scenarios.model import Scenario
    from viralsync_mock.snapshots.schema import Document, WebhooksPart
    from viralsync_mock.state import LoadedFiles, MockServer

T = TypeVar("T")

_AT = re.compile(r" - at `(?:key in )?(\$[^`]*)`\Z")


MAX_KNOWN = 1_000


class InternTable:
    """A list in which each different part occurs once, and the index of each thing in it."""

    def __init__(self, parts: Iterable[Any] = ()) -> None:
        self.parts: list[Any] = list(parts)
        self._known: dict[int, tuple[object, int]] = {}
        self._texts: dict[bytes, int] = {msgspec.json.encode(part): at for at, part in enumerate(self.parts)}

    def place(self, thing: object, write: Callable[[], object]) -> int:
        """Return the index of a thing, which is written when it comes for the first time."""
        known = self._known.get(id(thing))
        if known is None:
            part = write()
            at = self._texts.setdefault(msgspec.json.encode(part), len(self.parts))
            if at == len(self.parts):
                self.parts.append(part)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[id(thing)] = (thing, at)  # kept, so that its id is not reused
        return known[1]


class ReferenceWriter:
    """The lists of a snapshot that is being written."""

    def __init__(self, files: LoadedFiles, key: str) -> None:
        self._files, self._key = files, key
        self.scenarios, self.behaviours, self.hooks = InternTable(), InternTable(), InternTable()

    def scenario(self, scenario: Scenario) -> int:
        """Return the index of a scenario, without `keys`: its account is the one of this key."""
        return self.scenarios.place(scenario, lambda: masked_part(self._scenario(scenario), self._key))

    def _scenario(self, scenario: Scenario) -> ScenarioPart:
        document = dict(scenario.document)
        keys = document.pop("keys", None)
        if keys and self._key in keys:
            document["account"] = keys[self._key]
        return ScenarioPart(is_shipped=keys is None and self.is_shipped(scenario), document=document)

    def is_shipped(self, scenario: Scenario) -> bool:
        """Say whether this scenario object is one of the library."""
        library = self._files.library
        return scenario.name in library.names() and library.get(scenario.name) is scenario

    def behaviour(self, behaviour: BehaviourProfile) -> int:
        """Return the index of a behaviour profile."""
        return self.behaviours.place(behaviour, lambda: profiles.to_document(behaviour))

    def hook(self, hook: WebhookSettings) -> int:
        """Return the index of the settings of webhooks."""
        return self.hooks.place(hook, lambda: self._hook(hook))

    def _hook(self, hook: WebhookSettings) -> HookPart:
        behaviour, faults = self.behaviour(hook.behaviour), self.faults(hook.faults)
        return HookPart(url=hook.url, secret=hook.secret, behaviour=behaviour, faults=faults, trace=list(hook.trace))

    def faults(self, faults: Iterable[Fault]) -> list[Document]:
        """Return each fault as an object of its own, since two may be of one kind."""
        return [to_document([fault], self._files.spec) for fault in faults]


class ReferenceReader:
    """The lists of a snapshot that is read; raises ValidationFailed for what does not fit this server."""

    def __init__(self, files: LoadedFiles, scenarios: Sequence[msgspec.Raw], behaviours: Sequence[Document]) -> None:
        self.files = files
        self.behaviours = [self._behaviour(each, f"$.behaviours[{i}]") for i, each in enumerate(behaviours)]
        self.scenarios = [self._scenario(each, f"$.scenarios[{i}]") for i, each in enumerate(scenarios)]
        self.hooks: list[WebhookSettings] = []

    def read_hooks(self, part: WebhooksPart) -> None:
        """Read the hooks too."""
        self.hooks = [self._hook(each, f"$.webhooks.hooks[{i}]") for i, each in enumerate(part.hooks)]

    def _behaviour(self, document: Document, place: str) -> BehaviourProfile:
        try:
            behaviour = parse_behaviour(document, self.files.spec.errors)
        except BehaviourError as error:
            raise _moved(error, place) from None
        for section, switches in profiles.to_document(behaviour).items():
            for name in switches:
                if name not in document.get(section, {}):
                    invalid(f"{place}.{section}.{name}", "required, but missing")
        return behaviour

    def _scenario(self, raw: msgspec.Raw, place: str) -> Scenario:
        part = decode(raw, ScenarioPart, place)
        if "keys" in part.document:
            invalid(f"{place}.document.keys", "expected none: a snapshot holds no API keys")
        return self._shipped(part, place) if part.is_shipped else self._own(part, place)

    def _own(self, part: ScenarioPart, place: str) -> Scenario:
        if part.document == self.files.scenario.document:  # the server's own: counts of its rules go on
            return self.files.scenario
        try:
            return parse_scenario(part.document, self.files.spec, "")
        except ScenarioError as error:
            raise _moved(error, f"{place}.document") from None

    def _shipped(self, part: ScenarioPart, place: str) -> Scenario:
        name = part.document.get("name")
        found = self.shipped(name, f"{place}.document.name")
        if found.document != part.document:
            invalid(f"{place}.document", f"expected {preview(name)} as this server ships it, got another scenario")
        return found

    def shipped(self, name: object, place: str) -> Scenario:
        """Return a shipped scenario by its name."""
        try:
            return self.files.library.get(str(name))
        except ScenarioError as error:
            invalid(place, str(error))

    def _hook(self, part: HookPart, place: str) -> WebhookSettings:
        behaviour = lookup(self.behaviours, part.behaviour, f"{place}.behaviour")
        faults = self.faults(part.faults, f"{place}.faults", WEBHOOK_KINDS)
        of_webhooks = cast("tuple[WebhookFault, ...]", faults)
        return WebhookSettings(part.url, part.secret, behaviour, of_webhooks, tuple(part.trace))

    def faults(self, documents: Sequence[Document], place: str, kinds: Collection[str] = KINDS) -> tuple[Fault, ...]:
        """Return the faults, in order."""
        found: list[Fault] = []
        for index, document in enumerate(documents):
            try:
                found += read_faults(Node(JsonSource(document, ScenarioError), document), self.files.spec, kinds)
            except ScenarioError as error:
                raise _moved(error, f"{place}[{index}]") from None
        return tuple(found)


def lookup(things: Sequence[T], at: int, place: str) -> T:
    """Return the thing at an index, or raise ValidationFailed."""
    if at >= len(things):
        invalid(place, f"expected less than {len(things)}, as many as there are, got {at}")
    return things[at]


def require(holds: object, place: str, expected: str, got: object) -> None:
    """Raise ValidationFailed unless `holds`."""
    if not holds:
        invalid(place, f"expected {expected}, got {got if isinstance(got, str) else preview(got)}")


def check_ascending(instants: Iterable[Any], place: str, last: Any) -> None:
    """Raise ValidationFailed for instants that go back, or beyond `last`."""
    before = None
    for index, instant in enumerate(instants):
        if before is not None and instant < before:
            invalid(f"{place}[{index}]", f"expected {before.isoformat()} or later, got {instant.isoformat()}")
        before = instant
    if before is not None and before > last:
        invalid(place, f"expected none after {last.isoformat()}, got {before.isoformat()}")


def _moved(error: Exception, place: str) -> ValidationFailed:
    """Return the error about a part with its place in the whole."""
    at, _, message = str(error).partition(": ")
    return ValidationFailed([Violation(place + at.removeprefix("$"), message)])


def decode(raw: bytes | msgspec.Raw, kind: type[T], place: str = "$") -> T:
    """Return JSON as this type, or raise ValidationFailed with the place, what was expected, and what came."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise _violation(str(error), bytes(raw), place) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        parse(bytes(raw))  # which knows line and column
        invalid(place, f"the body is not JSON: {error}")


def _violation(text: str, raw: bytes, place: str) -> ValidationFailed:
    found = _AT.search(text)
    path = found[1] if found else "$"
    message = text[: found.start()] if found else text
    message = (message[:1].lower() + message[1:]).replace("`", "")
    if "got" not in message and message.startswith("expected"):
        message += _got(raw, path)
    return ValidationFailed([Violation(place + path.removeprefix("$"), message)])


def _got(raw: bytes, path: str) -> str:
    """Return the value at a place, if the place can be parsed."""
    value = parse(raw)
    steps = [int(index) if index else name for name, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path)]
    if json_path(steps) != path:
        return ""
    for step in steps:
        value = value[step]
    return f", got {preview(value)}"


def write_scripts(mock: MockServer, sandbox: Sandbox, references: ReferenceWriter) -> list[ScriptPart]:
    """Return the counts of the rules of the scenarios that can still be asked for."""
    library, home = mock.files.library, mock.scenario_of(sandbox)
    parts = []
    for name, script in sandbox.scripts.items():
        known = [home, *([library.get(name)] if name in library.names() else [])]
        scenario = next((each for each in known if each.rules is script.rules), None)
        if scenario is not None:
            places = range(len(script.rules))
            matched, applied = [script.matched_counts[i] for i in places], [script.applied_counts[i] for i in places]
            first = [script.first_ages.get(i) for i in places]
            own = references.scenario(scenario)
            parts.append(ScriptPart(own, matched, applied, first))
    return parts


def write_armed(armed: ArmedFaults) -> ArmedPart:
    """Return the armed faults."""
    counts: dict[str, tuple[int, int, float | None]] = {}
    for script, own in ((armed.calls, armed.request_faults), (armed.webhooks, armed.webhook_faults)):
        for i, each in enumerate(own):
            counts[each.id] = script.matched_counts[i], script.applied_counts[i], script.first_ages.get(i)
    faults = [FaultPart(each.id, dict(each.document), *counts[each.id], each.armed_after) for each in armed.faults]
    return ArmedPart(armed.since, faults)


def read_scripts(parts: Sequence[ScriptPart], known: ReferenceReader) -> dict[str, RuleState]:
    """Return the scripts by the names of their scenarios; raises ValidationFailed."""
    found: dict[str, RuleState] = {}
    for index, part in enumerate(parts):
        place = f"$.scripts[{index}]"
        scenario = lookup(known.scenarios, part.scenario, f"{place}.scenario")
        require(scenario.name not in found, f"{place}.scenario", "each once", scenario.name)
        found[scenario.name] = _counted(RuleState(scenario.name, scenario.rules), part.matched, part.applied, place)
        _set_first(found[scenario.name], part.first)
    return found


def _set_first(script: RuleState, ages: Iterable[float | None]) -> None:
    script.first_ages.update({index: age for index, age in enumerate(ages) if age is not None})


def _counted(script: RuleState, matched: Sequence[int], applied: Sequence[int], place: str) -> RuleState:
    rules = len(script.rules)
    for name, counts in (("matched", matched), ("applied", applied)):
        require(len(counts) == rules, f"{place}.{name}", f"{rules} counts, one for each rule", len(counts))
    for index in range(rules):
        if applied[index] > matched[index]:
            invalid(
                f"{place}.applied[{index}]",
                f"expected at most {matched[index]}, as often as it fitted, got {applied[index]}",
            )
    script.matched_counts.update(dict(enumerate(matched)))
    script.applied_counts.update(dict(enumerate(applied)))
    return script


def read_armed(part: ArmedPart, spec: Spec, now: datetime) -> ArmedFaults:
    """Return the armed faults; raises ValidationFailed."""
    check_ascending([part.since], "$.armed.since", now)
    try:
        rules = parse_armed([each.document for each in part.faults], spec, ("armed", "faults"))
    except ScenarioError as error:
        place, _, message = str(error).partition(": ")
        invalid(place, message)
    ids = {each.id for each in part.faults}
    require(len(ids) == len(rules) > 0, "$.armed.faults", "one fault at least, each with an id of its own", len(ids))
    each_fault = [
        ArmedFault(each.id, rule, each.document, each.armed_after)
        for each, rule in zip(part.faults, rules, strict=True)
    ]
    armed = ArmedFaults(part.since, tuple(each_fault))
    counts = {each.id: each for each in part.faults}
    for script, faults in ((armed.calls, armed.request_faults), (armed.webhooks, armed.webhook_faults)):
        own = [counts[each.id] for each in faults]
        _counted(script, [each.matched for each in own], [each.applied for each in own], "$.armed.faults")
        _set_first(script, [each.first for each in own])
    return armed
