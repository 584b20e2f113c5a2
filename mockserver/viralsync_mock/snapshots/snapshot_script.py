"""The script in a snapshot: how often rules and armed faults have spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viralsync_mock.errors import ScenarioError
from viralsync_mock.scenarios.armed_faults import ArmedFault, ArmedFaults
from viralsync_mock.scenarios.loader import parse_armed
from viralsync_mock.scenarios.model import RuleState
from viralsync_mock.snapshots.references import check_ascending, lookup, require
from viralsync_mock.snapshots.schema import ArmedPart, FaultPart, ScriptPart
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from viralsync_mock.openapi.spec import Spec
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.snapshots.references import ReferenceReader, ReferenceWriter
    from viralsync_mock.state import MockServer


def write_scripts(mock: MockServer, sandbox: Sandbox, tables: ReferenceWriter) -> list[ScriptPart]:
    """Return how often rules spoke, of the scenarios that can still be asked for."""
    library, home = mock.files.library, mock.scenario_of(sandbox)
    parts = []
    for name, script in sandbox.scripts.items():
        known = [home, *([library.get(name)] if name in library.names() else [])]
        scenario = next((each for each in known if each.rules is script.rules), None)
        if scenario is not None:
            places = range(len(script.rules))
            met, spoken = [script.matched_counts[i] for i in places], [script.applied_counts[i] for i in places]
            parts.append(ScriptPart(scenario=tables.scenario(scenario), met=met, spoken=spoken))
    return parts


def write_armed(armed: ArmedFaults) -> ArmedPart:
    """Return the armed faults."""
    counts: dict[str, tuple[int, int]] = {}
    for script, own in ((armed.calls, armed.request_faults), (armed.webhooks, armed.webhook_faults)):
        counts |= {each.id: (script.matched_counts[i], script.applied_counts[i]) for i, each in enumerate(own)}
    faults = [
        FaultPart(id=each.id, document=dict(each.document), met=counts[each.id][0], spoken=counts[each.id][1])
        for each in armed.faults
    ]
    return ArmedPart(since=armed.since, faults=faults)


def read_scripts(parts: Sequence[ScriptPart], known: ReferenceReader) -> dict[str, RuleState]:
    """Return the scripts by the names of their scenarios; raises `Invalid`."""
    found: dict[str, RuleState] = {}
    for index, part in enumerate(parts):
        place = f"$.scripts[{index}]"
        scenario = lookup(known.scenarios, part.scenario, f"{place}.scenario")
        require(scenario.name not in found, f"{place}.scenario", "each once", scenario.name)
        found[scenario.name] = _counted(RuleState(scenario.name, scenario.rules), part.met, part.spoken, place)
    return found


def _counted(script: RuleState, met: Sequence[int], spoken: Sequence[int], place: str) -> RuleState:
    rules = len(script.rules)
    for name, counts in (("met", met), ("spoken", spoken)):
        require(len(counts) == rules, f"{place}.{name}", f"{rules} counts, one for each rule", len(counts))
    for index in range(rules):
        if spoken[index] > met[index]:
            invalid(
                f"{place}.spoken[{index}]", f"expected at most {met[index]}, as often as it fitted, got {spoken[index]}"
            )
    script.matched_counts.update(dict(enumerate(met)))
    script.applied_counts.update(dict(enumerate(spoken)))
    return script


def read_armed(part: ArmedPart, spec: Spec, now: datetime) -> ArmedFaults:
    """Return the armed faults; raises `Invalid`."""
    check_ascending([part.since], "$.armed.since", now)
    try:
        rules = parse_armed([each.document for each in part.faults], spec, ("armed", "faults"))
    except ScenarioError as error:
        place, _, message = str(error).partition(": ")
        invalid(place, message)
    ids = {each.id for each in part.faults}
    require(len(ids) == len(rules) > 0, "$.armed.faults", "one fault at least, each with an id of its own", len(ids))
    each_fault = [ArmedFault(each.id, rule, each.document) for each, rule in zip(part.faults, rules, strict=True)]
    armed = ArmedFaults(part.since, tuple(each_fault))
    counts = {each.id: each for each in part.faults}
    for script, faults in ((armed.calls, armed.request_faults), (armed.webhooks, armed.webhook_faults)):
        own = [counts[each.id] for each in faults]
        _counted(script, [each.met for each in own], [each.spoken for each in own], "$.armed.faults")
    return armed
