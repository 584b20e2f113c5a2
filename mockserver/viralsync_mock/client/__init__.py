"""The typed client of the control API, for tests and scripts."""

from viralsync_mock.client.connection import open_connections
from viralsync_mock.client.literals import (
    Clock,
    DeliveryOutcome,
    ErrorCode,
    FaultName,
    Faults,
    JobStatus,
    Limit,
    Operation,
    Outcome,
    Plan,
    Rule,
    Waivers,
    WebhookKind,
)
from viralsync_mock.client.records import Call, Delivery, Effect, Event, Step, Timeline
from viralsync_mock.client.results import Coverage, RuleVerdict, Verdict
from viralsync_mock.client.sandbox import Sandbox, SandboxFactory, environment
from viralsync_mock.errors import ControlError

__all__ = [
    "Call",
    "Clock",
    "ControlError",
    "Coverage",
    "Delivery",
    "DeliveryOutcome",
    "Effect",
    "ErrorCode",
    "Event",
    "FaultName",
    "Faults",
    "JobStatus",
    "Limit",
    "Operation",
    "Outcome",
    "Plan",
    "Rule",
    "RuleVerdict",
    "Sandbox",
    "SandboxFactory",
    "Step",
    "Timeline",
    "Verdict",
    "Waivers",
    "WebhookKind",
    "environment",
    "open_connections",
]
