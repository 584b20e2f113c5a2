"""Schemathesis' engine on the target: all its phases with all its checks, every call by way of the run."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.specs.openapi.schemas import OpenApiSchema

from viralsync_conform.contract.schemas import CREATES, DELETES, ENDS, EVENT_STREAM, ExpectedSpec
from viralsync_conform.fuzzing.case_filter import CaseFilter
from viralsync_conform.fuzzing.results import PHASES, FailedCheck, FuzzingResult
from viralsync_conform.fuzzing.transport import KEY_HEADER, KEY_PLACEHOLDER, EngineTransport, Transport
from viralsync_conform.run.context import RunContext
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_mock.randomness import digest

if TYPE_CHECKING:
    from schemathesis import Case
    from schemathesis.core.failures import Failure
    from schemathesis.engine.recorder import ScenarioRecorder
    from schemathesis.generation.stateful.state_machine import APIStateMachine
    from schemathesis.hooks import HookContext
    from schemathesis.transport import BaseTransport

ACCEPTING = ("2xx", "3xx", 401, 402, 403, 404, 409, 429, "5xx")
"""What valid data may meet: 402 as well, since a valid movie can be larger or longer than the plan allows."""


@dataclass(frozen=True, slots=True)
class FuzzingBudget:
    """How many inputs are made up for an operation, how many walks go along the links of the spec, and how often walks
    begin anew as long as a link was not followed, which is left to chance.
    """

    inputs: int = 60
    walks: int = 80
    rounds: int = 8


CAREFUL = FuzzingBudget(rounds=3)
"""On an account with jobs of others."""


class _Schema(OpenApiSchema):
    """The spec, with the gateway as the only way out."""

    way: BaseTransport[Any]

    @property
    def transport(self) -> BaseTransport[Any]:
        """What sends a case."""
        return self.way

    def build_state_machine(self, **given: Any) -> type[APIStateMachine]:
        """Let walks begin with every operation that needs no id.

        The engine takes `projectId` for the id of something that nobody makes, and would submit nothing.
        """
        for label, node in self.analysis.dependency_graph.operations.items():
            if "{" not in label:
                node.inputs.clear()
        return super().build_state_machine(**given)


def explore(context: JourneyContext, effort: FuzzingBudget | None = None) -> FuzzingResult:
    """Run every phase on the account of the context; raises what stopped the run, and KeyboardInterrupt."""
    effort = effort or (CAREFUL if context.account.is_main else FuzzingBudget())
    gateway = EngineTransport(context)
    exploration = FuzzingResult(context.run, len(context.run.calls), links=_links(context.run))
    for number in range(effort.rounds):
        if exploration.links.keys() - exploration.followed:
            _execute(exploration, gateway, _schema(context, gateway, _config(exploration, context, number, effort)))
    return exploration


def _execute(exploration: FuzzingResult, gateway: EngineTransport, schema: OpenApiSchema) -> None:
    is_interrupted = False
    for event in from_schema(schema).execute():
        if isinstance(event, events.PhaseStarted):
            gateway.phase = event.phase.name.value
        is_interrupted |= isinstance(event, events.Interrupted)
        _take(exploration, gateway, event)
    if gateway.stopped is None and not is_interrupted:
        gateway.end_walks()
    exploration.last = len(exploration.run.calls)
    if gateway.stopped is not None:
        raise gateway.stopped
    if is_interrupted:
        raise KeyboardInterrupt


def _schema(context: JourneyContext, gateway: EngineTransport, config: dict[str, Any]) -> OpenApiSchema:
    document = deepcopy(context.run.contract.document)
    document["servers"] = [{"url": "/"}]  # no address, so that the engine's own probes go nowhere
    for methods in document["paths"].values():
        for operation in methods.values():
            _describe_events(operation)
    loaded = schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(config))
    schema = _Schema(raw_schema=loaded.raw_schema, config=loaded.config)
    schema.way = Transport(gateway)
    _censored(schema, CaseFilter(context, gateway.handed_out))
    return schema


def _describe_events(operation: object) -> None:
    """Give the engine the schema of one event: that is how it reads the schema of a stream."""
    responses = operation.get("responses", {}) if isinstance(operation, dict) else {}
    for response in responses.values():
        if (stream := response.get("content", {}).get(EVENT_STREAM)) and "x-event-schema" in stream:
            data = {"type": "string", "contentMediaType": "application/json", "contentSchema": stream["x-event-schema"]}
            text = {"type": "string"}
            stream["schema"] = {
                "type": "object",
                "required": ["data"],
                "properties": {"event": text, "data": data, "id": text, "retry": {"type": "integer", "minimum": 0}},
            }


def _censored(schema: OpenApiSchema, censor: CaseFilter) -> None:
    """Let the censor see each case; hooks have to be functions."""

    def map_case(context: HookContext, case: Case[Any]) -> Case[Any]:  # noqa: ARG001 - the engine names its arguments
        return censor.adapt(case)

    def filter_case(context: HookContext, case: Case[Any]) -> bool:  # noqa: ARG001 - as above
        return censor.is_allowed(case)

    schema.hook(map_case)
    schema.hook(filter_case)


def _config(exploration: FuzzingResult, context: JourneyContext, number: int, effort: FuzzingBudget) -> dict[str, Any]:
    """Return the engine's settings. Ids of answers are not fed into other operations: only links of the spec are.

    After the first round only the walks go on, where they lead to links that were not followed yet.
    """
    unit = {"enabled": number == 0, "extra-data-sources": {"responses": False}}
    walks = {"generation": {"max-examples": effort.walks}, "inference": {"algorithms": []}}
    return {
        "seed": int.from_bytes(digest(context.run.seed, "exploration", number)[:4], "big"),
        "cache": {"enabled": False},
        "suppress-health-check": ["all"],
        "headers": {KEY_HEADER: KEY_PLACEHOLDER},
        "workers": 1,
        "continue-on-failure": True,
        "generation": {"deterministic": True, "database": "none", "with-security-parameters": False},
        "checks": {"positive_data_acceptance": {"expected-statuses": list(ACCEPTING)}},
        "phases": {
            "examples": {"fill-missing": True, **unit},
            "coverage": unit,
            "fuzzing": {"generation": {"max-examples": effort.inputs}, **unit},
            "stateful": walks,
        },
        "operations": [
            *(_careful(context.run.contract) if context.account.is_main else ()),
            *(_off_the_way(exploration) if number else ()),
        ],
    }


def _careful(contract: ExpectedSpec) -> list[dict[str, Any]]:
    """Return what holds on an account with jobs of others: only links lead to a cancel or a deletion."""
    unit = {phase: {"enabled": False} for phase in ("examples", "coverage", "fuzzing")}
    negative = {"fuzzing": {"generation": {"mode": "negative"}}}
    return [
        {"include-operation-id": [each.id for each in contract.having(ENDS, DELETES)], "phases": unit},
        {"include-operation-id": [each.id for each in contract.having(CREATES)], "phases": negative},
    ]


def _off_the_way(exploration: FuzzingResult) -> list[dict[str, Any]]:
    """Leave out of the walks what leads to no link that is still to be followed."""
    missing = exploration.links.keys() - exploration.followed
    needed = {link.partition(" ")[0] for link in missing} | {exploration.links[link] for link in missing}
    while more := {link.partition(" ")[0] for link, target in exploration.links.items() if target in needed} - needed:
        needed |= more
    others = sorted(exploration.run.contract.operations.keys() - needed)
    return [{"include-operation-id": others, "phases": {"stateful": {"enabled": False}}}] if others else []


def _links(run: RunContext) -> dict[str, str]:
    """Return every link of the spec with the operation that it leads to."""
    return {
        f"{operation} {status} {name}": str(link["operationId"])
        for operation in run.contract.operations
        for status, answer in run.contract.responses(operation).items()
        for name, link in answer.get("links", {}).items()
    }


def _take(exploration: FuzzingResult, gateway: EngineTransport, event: events.EngineEvent) -> None:
    if isinstance(event, events.PhaseFinished):
        if event.phase.name.value in PHASES and event.phase.is_enabled:
            exploration.phases[event.phase.name.value] = event.status.value
    elif isinstance(event, events.NonFatalError):
        exploration.troubles.append(f"{gateway.phase}: {event.label}: {event.info.title}: {event.info.message}")
    elif isinstance(event, events.ScenarioFinished):
        _take_scenario(exploration, gateway, event.recorder)


def _take_scenario(exploration: FuzzingResult, gateway: EngineTransport, recorder: ScenarioRecorder) -> None:
    for case_id, nodes in recorder.checks.items():
        for node in nodes:
            exploration.asked[node.name] += 1
            if node.failure_info is not None:
                exploration.unkept.append(_unkept(gateway, recorder, case_id, node.name, node.failure_info.failure))
    for case_id, interaction in recorder.interactions.items():
        case, response = recorder.cases[case_id].value, interaction.response
        name = str(case.operation.definition.raw["operationId"])
        is_success = response is not None and 200 <= response.status_code < 300
        if case.meta is not None and not case.meta.generation.mode.is_negative:
            exploration.positive[name] += 1
            exploration.accepted[name] += is_success
        transition = recorder.cases[case_id].transition
        if transition is not None and is_success:
            exploration.followed.add(exploration.link_of(transition.id))


def _unkept(
    gateway: EngineTransport, recorder: ScenarioRecorder, case_id: str, check: str, failure: Failure
) -> FailedCheck:
    case = recorder.cases[case_id].value
    data: Any = case.meta.phase.data if case.meta is not None else None
    return FailedCheck(
        check,
        " ".join(f"{failure.title}: {failure.message}".split()),
        str(case.operation.definition.raw["operationId"]),
        gateway.phase,
        str(getattr(data, "location", "") or getattr(data, "parameter", "") or ""),
        str(getattr(data, "scenario", "") or ""),
        gateway.numbers.get(case_id, 0),
    )
