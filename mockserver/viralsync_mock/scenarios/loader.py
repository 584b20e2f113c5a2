"""Scenario files: YAML, or the same as JSON, read into the nouns of `scenario`.

Every complaint names the file, the line and the place. docs/scenarios.md is the reference of the format,
fixtures/scenario.schema.json the same for editors, and `notation` how single values are written.
"""

from __future__ import annotations

import math
import mimetypes
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.config.behaviour import read_behaviour
from viralsync_mock.config.yaml_source import JsonSource, Node, YamlSource, preview, read_yaml
from viralsync_mock.errors import ScenarioError
from viralsync_mock.jobs.models import Phase
from viralsync_mock.jobs.steps import HELD_BELOW_ONE
from viralsync_mock.jobs.timeline import Duration, Failure, JobTimings, SceneTimings, Stall
from viralsync_mock.scenarios import values as notation
from viralsync_mock.scenarios.body_match import read_body
from viralsync_mock.scenarios.model import Account, Limits, Match, Respond, Rule, Scenario, Webhooks
from viralsync_mock.scenarios.values import read_list, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from viralsync_mock.config.yaml_source import Trail
    from viralsync_mock.faults.http import Fault
    from viralsync_mock.openapi.spec import Spec
    from viralsync_mock.scenarios.values import Reader

MAX_MINUTES = 1_000_000
MAX_REPORTS = 100
MAX_FILE = 1_000_000
NO_FILE = "line"
"""In the place of a file's name: complaints begin with `line:3:`."""

MEDIA_TYPE = r"[a-z]+/[a-z0-9.+-]+(; ?[a-z]+=[a-z0-9-]+)?"

SET_BY_SERVER = ("connection", "content-length", "content-type", "date", "transfer-encoding")
"""Response headers that no rule may set."""

_STEPS = {
    "queued": None,
    "planning": Phase.PLANNING,
    "dispatching": Phase.DISPATCHING,
    "scene": Phase.RENDERING,
    "assembling": Phase.ASSEMBLING,
    "uploading": Phase.UPLOADING,
}
"""The steps of a job in their order, and the phase of each."""


def load_scenario(path: Path, spec: Spec) -> Scenario:
    """Read a scenario file; raises ScenarioError that says what came, what was expected, and where."""
    return _ScenarioReader(spec).scenario(read_yaml(path, ScenarioError))


def parse_scenario(document: object, spec: Spec, source: str = "the request body", path: Trail = ()) -> Scenario:
    """Read the same format as JSON values, in messages at `path` of `source`; raises ScenarioError."""
    try:
        plain = orjson.loads(orjson.dumps(document))
    except orjson.JSONEncodeError as problem:
        raise ScenarioError(f"{source}: $: expected JSON values: {problem}") from None
    return _ScenarioReader(spec).scenario(Node(JsonSource(plain, ScenarioError, source), plain, path))


def parse_scenario_text(text: str, spec: Spec) -> Scenario:
    """Read the YAML of a scenario that is in no file; raises ScenarioError that names the line."""
    source = YamlSource(text, NO_FILE, ScenarioError)
    return _ScenarioReader(spec).scenario(Node(source, source.data))


def parse_armed(document: object, spec: Spec, path: Trail = ()) -> tuple[Rule, ...]:
    """Read `[{fault, job, match, times, probability, for}, ...]`, the last three as in `match`; raises ScenarioError.

    `path` is where this list stands in what was sent: complaints name their places from there.
    """
    return tuple(map(_ScenarioReader(spec).armed, Node(JsonSource(document, ScenarioError), document, path)))


class ScenarioLibrary:
    """The scenarios of a folder, each read when it is first asked for; a file has the name of its scenario."""

    def __init__(self, folder: Path, spec: Spec) -> None:
        self._spec = spec
        self._files = {path.stem: path for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)}
        self._loaded: dict[str, Scenario] = {}

    def names(self) -> tuple[str, ...]:
        """Return the names in alphabetical order; no file is read for it."""
        return tuple(self._files)

    def get(self, name: str) -> Scenario:
        """Return a scenario, `_` standing for `-` too; raises ScenarioError with the nearest name."""
        asked, name = name, name.replace("_", "-")
        if name not in self._files:
            raise ScenarioError(f"there is no scenario {preview(asked)}.{notation.suggestion(asked, self._files)}")
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Scenario:
        place = read_yaml(self._files[name], ScenarioError)
        scenario = _ScenarioReader(self._spec).scenario(place)
        if scenario.name != name:
            place["name"].fail(f"expected {preview(name)}, as the file is named, got {preview(scenario.name)}")
        return scenario


class _ScenarioReader:
    """Reads each part of a scenario, in the words of one spec."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._files: dict[int, dict[str, Any]] = {}
        """Of each rule whose body is a file, `respond` with the text of it."""
        self._paths: list[Path] = []
        self._account: Mapping[str, Reader] = {
            "plan": notation.one_of(spec.plans, "a plan of the spec"),
            "minutes_used": notation.number(MAX_MINUTES),
            "minutes_used_today": notation.number(MAX_MINUTES),
            "revoked": notation.switch,
            "email": notation.matching_text(r"[^@\s]+@[^@\s]+", "an address such as ada@example.com"),
        }
        self._match: Mapping[str, Reader] = {
            "operation": notation.one_of(spec.operations, "an operation of the spec"),
            "header": notation.headers(),
            "body": read_body,
            "nth": notation.count,
            "every": notation.count,
            "after": _after,
            "for": notation.seconds(),
            "times": notation.count,
            "probability": notation.percentage,
        }
        self._respond: Mapping[str, Reader] = {
            "error": notation.one_of(spec.errors, "an error code of the spec"),
            "text": notation.text,
            "status": notation.integer(200, 599),
            "body": notation.json_value,
            "content_type": notation.matching_text(MEDIA_TYPE, "a media type such as text/html"),
            "file": notation.text,
            "headers": notation.headers(*SET_BY_SERVER),
        }

    def scenario(self, place: Node) -> Scenario:
        readers: dict[str, Reader] = {
            "name": notation.matching_text(r"[a-z0-9]+(-[a-z0-9]+)*", "lower-case words joined by -"),
            "description": notation.text,
            "account": self.account,
            "keys": self.keys,
            "clock": lambda part: read_object(part, {"start": notation.instant}),
            "job": self.job,
            "rules": lambda part: read_list(part, self.rule),
            "webhooks": self.webhooks,
            "limits": _limits,
            "behaviour": self.behaviour,
        }
        found = read_object(place, readers)
        clock = found.pop("clock", {})
        scenario = Scenario(
            **{"name": self._name(place), **found}, clock_start=clock.get("start"), document=place.value
        )
        for index, rule in enumerate(scenario.rules):
            if rule.job:
                _check_job(place["rules"].item(index)["job"], replace(scenario.job, **rule.job))
        if not self._files:
            return scenario
        return replace(scenario, document=self._with_files(place.value), files=tuple(self._paths))

    @staticmethod
    def _name(place: Node) -> str:
        """Return the name of a scenario that names itself not: that of its file, or `inline`."""
        words = re.sub(r"[^a-z0-9]+", "-", Path(place.source.name).stem.lower()).strip("-")
        return "inline" if isinstance(place.source, JsonSource) or not words else words

    def _with_files(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document with what it took from files written into it, so that it stands alone."""
        rules = [
            {**rule, "respond": self._files[index]} if index in self._files else rule
            for index, rule in enumerate(document["rules"])
        ]
        return {**document, "rules": rules}

    def webhooks(self, place: Node) -> Webhooks:
        # imported here and below: most servers start faster than they need a fault
        from viralsync_mock.scenarios.fault_syntax import WEBHOOK_KINDS, read_faults

        deliver = partial(read_faults, spec=self._spec, kinds=WEBHOOK_KINDS)
        return Webhooks(**read_object(place, {"secret": notation.text, "deliver": deliver}))

    def account(self, place: Node) -> Account:
        account = Account(**read_object(place, self._account))
        month, today = account.minutes_used, account.minutes_used_today
        if today > month:
            place["minutes_used_today"].fail(
                f"expected at most minutes_used ({month:g}), got {today:g}: what is used today counts for the month too"
            )
        return account

    def keys(self, place: Node) -> dict[str, Account]:
        form = self._spec.key_pattern
        for key, part in place.items():
            if not form.fullmatch(key):
                part.fail(f"expected an API key ({form.pattern}), got {preview(key)}")
        return {key: self.account(part) for key, part in place.items()}

    def behaviour(self, place: Node) -> dict[str, Any]:
        read_behaviour(place, self._spec.errors)
        return dict(place.value)

    def job(self, place: Node) -> JobTimings:
        pace = JobTimings(**self.job_parts(place))
        _check_job(place, pace)
        return pace

    def job_parts(self, place: Node) -> dict[str, Any]:
        steps: dict[str, Reader] = dict.fromkeys(_STEPS, notation.duration())
        return read_object(place, {**steps, "scene": _scene, "fail": self.failure, "stall": _stall})

    def failure(self, place: Node) -> Failure:
        phase = notation.one_of([phase for phase in _STEPS.values() if phase], "a phase of rendering")
        readers: dict[str, Reader] = {
            "scene": notation.count,
            "phase": lambda part: Phase(phase(part)),
            "at": notation.percentage,
            "error": self.job_error,
        }
        found = read_object(place, readers)
        if ("scene" in found) == ("phase" in found):
            place.fail('expected either "scene" or "phase": say what fails')
        return Failure(**{"error": self._error_of(found.get("phase", Phase.RENDERING)), **found})

    def _error_of(self, phase: Phase) -> str:
        """Return the error of a job that fails in a phase, where none is named."""
        code = self._spec.phase_errors.get(phase) or next(iter(self._spec.job_errors))
        return f"{code}: {self._spec.job_errors[code]}"

    def job_error(self, place: Node) -> str:
        error, known = notation.text(place), self._spec.job_errors
        code, colon, detail = error.partition(": ")
        if code not in known:
            place.fail(f"expected a job error of the spec, got {preview(code)}.{notation.suggestion(code, known)}")
        if colon and not detail.strip():
            place.fail(f"expected what went wrong after {preview(code + ':')}, got nothing")
        return error if colon else f"{code}: {known[code]}"

    def rule(self, place: Node) -> Rule:
        readers = {"match": self.match, "respond": self.respond, "fault": self.faults, "job": self.job_parts}
        found = read_object(place, readers)
        match, respond, faults = found.get("match", Match()), found.get("respond"), found.get("fault", ())
        if respond is None and not faults and not found.get("job"):
            place.fail('expected "respond", "fault" or "job": say what the rule does')
        if "job" in found:
            return Rule(self._submission(place, match, respond), None, faults, found["job"], place["job"].value)
        if respond and faults and "status" in place["fault"].value:
            place["fault"]["status"].fail('this status is the answer: remove it, or "respond"')
        self.check_fit(place, faults, match.operation)
        return Rule(match, respond, faults)

    def _submission(self, place: Node, match: Match, respond: Respond | None) -> Match:
        """Return the match of a rule that says how a job runs: of the operation that submits it, and of no other."""
        if respond is not None:
            place["respond"].fail('there is no job after a "respond": remove it, or "job"')
        creating = [
            name for name, each in self._spec.operations.items() if each.effect and each.effect.kind == "creates"
        ]
        creating = creating or ["submitRenderJob"]
        if match.operation is not None and match.operation not in creating:
            place["job"].fail(f"{match.operation} submits no job: match {' or '.join(creating)}")
        return match if match.operation else replace(match, operation=creating[0])

    def faults(self, place: Node) -> tuple[Fault, ...]:
        from viralsync_mock.scenarios.fault_syntax import read_faults

        return read_faults(place, self._spec)

    def check_fit(self, place: Node, faults: tuple[Fault, ...], operation: str | None) -> None:
        if faults and operation is not None:
            from viralsync_mock.scenarios.fault_syntax import check_compatible

            check_compatible(place["fault"], faults, self._spec.operations[operation])

    def armed(self, place: Node) -> Rule:
        own: dict[str, Reader] = {key: self._match[key] for key in ("times", "probability", "for")}
        found = read_object(place, {"fault": self.faults, "job": self.job_parts, "match": self.match, **own})
        if not (found.get("fault") or found.get("job")):
            place.fail('expected "fault", or "job" for how the submitted job runs')
        for key in own.keys() & found.keys():
            if key in place.value.get("match", {}):
                place[key].fail(f'"match" has its own "{key}": keep one of the two')
        match, faults = found.get("match", Match()), found.get("fault", ())
        if "job" in found:
            match = self._submission(place, match, None)
        if match.nth is not None and "times" in found:
            place["times"].fail('"nth" is one call alone: remove it, or "times"')
        self.check_fit(place, faults, match.operation)
        given = {"duration" if key == "for" else key: found[key] for key in own.keys() & found.keys()}
        if "duration" in given:
            given["is_from_first"] = False  # it heals so long after it was armed
        written = place["job"].value if "job" in found else {}
        return Rule(replace(match, **given), None, faults, found.get("job"), written)

    def match(self, place: Node) -> Match:
        found = read_object(place, self._match)
        for key in ("every", "times"):
            if "nth" in found and key in found:
                place[key].fail(f'"nth" is one call alone: remove it, or "{key}"')
        after, duration = found.pop("after", {}), found.pop("for", None)
        from_first = duration is not None and "after_seconds" not in after
        return Match(**after, duration=duration, is_from_first=from_first, **found)

    def _from_file(self, place: Node, name: str, found: dict[str, Any]) -> dict[str, Any]:
        """Return what to respond with the text of a file for its body."""
        if "body" in found:
            place["body"].fail('"file" brings the body: remove one of the two')
        if isinstance(place.source, JsonSource) or place.source.name == NO_FILE:
            place["file"].fail('only a scenario file can name another file: write the text as "body"')
        folder = Path(place.source.name).resolve().parent
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            place["file"].fail("expected a file in the folder of the scenario, or below it")
        self._paths.append(path)
        kind = found.get("content_type") or mimetypes.guess_type(path)[0] or "text/plain"
        found = {"status": 200, **found, "body": _read_text(place["file"], path), "content_type": kind}
        if len(place.path) > 1 and isinstance(place.path[-2], int):
            self._files[place.path[-2]] = found
        return found

    def respond(self, place: Node) -> Respond:
        found = read_object(place, self._respond)
        if (name := found.pop("file", None)) is not None:
            found = self._from_file(place, name, found)
        respond = Respond(**found)
        _check_respond(place, respond)
        return respond


def _check_respond(place: Node, respond: Respond) -> None:
    given = place.value.keys()
    if respond.error is not None:
        for key in given & {"status", "body", "content_type", "file"}:
            place[key].fail(f'"error" brings its own {key}: remove one of the two')
        return
    if "text" in given:
        place["text"].fail('"text" is that of an "error": add its code')
    if not given & {"status", "body", "file"}:
        place.fail('expected "error", or "status" and "body": say what to respond')
    if respond.content_type and not isinstance(respond.body, str):
        place["content_type"].fail('expected a "body" that is a text beside it, or a "file"')
    if respond.status in (204, 205, 304) and respond.body is not None:
        place["file" if "file" in given else "body"].fail(f"an answer {respond.status} has no body: remove it")


def _stall(place: Node) -> Stall:
    readers: dict[str, Reader] = {"at": notation.percentage, "for": notation.seconds_or_forever()}
    found = read_object(place, readers, required=("at",))
    if found["at"] > HELD_BELOW_ONE:
        place["at"].fail(f"expected at most {HELD_BELOW_ONE:.0%}, got {found['at']:.1%}: a job is done at 100%")
    return Stall(found["at"], found.get("for", math.inf))


def _check_job(place: Node, pace: JobTimings) -> None:
    if pace.fail is not None:
        _check_reached(place.get("fail") or place, pace, pace.fail)


def _scene(place: Node) -> SceneTimings:
    readers: dict[str, Reader] = {
        "per_output_second": notation.duration(notation.HOUR),
        "at_least": notation.seconds_or_forever(),
        "reports": notation.integer(1, MAX_REPORTS),
    }
    return SceneTimings(**read_object(place, readers))


def _check_reached(place: Node, pace: JobTimings, failure: Failure) -> None:
    """Refuse a failure of a phase that a step before it, or its own, never lets end."""
    if pace.stall is not None and math.isinf(pace.stall.seconds):
        place.fail('never comes: "stall" lasts forever')
    scene = Duration(max(pace.scene.per_output_second.mean, pace.scene.at_least))
    for step, phase in _STEPS.items():
        length = scene if step == "scene" else getattr(pace, step)
        if math.isinf(length.mean):
            place.fail(f'never comes: "{step}" lasts forever')
        if phase is (Phase.RENDERING if failure.scene else failure.phase):
            return


def _after(place: Node) -> dict[str, float]:
    if isinstance(place.value, str):
        return {"after_seconds": notation.seconds()(place)}
    if isinstance(place.value, int) and not isinstance(place.value, bool):
        return {"after": notation.integer(0, 1_000_000)(place)}
    return place.fail(f"expected a whole number of calls, or a time such as 30s, got {preview(place.value)}")


def _read_text(place: Node, path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as problem:
        place.fail(f"{path.name} cannot be read: {problem}")
    return text if len(raw) <= MAX_FILE else place.fail(f"{path.name} is larger than {MAX_FILE // 1_000_000} MB")


def _limits(place: Node) -> Limits:
    readers: dict[str, Reader] = {
        "rate": notation.rate,
        "quota": notation.switch,
        "concurrency": notation.switch,
    }
    found = read_object(place, readers)
    return replace(Limits(**found.pop("rate", {})), **found)
