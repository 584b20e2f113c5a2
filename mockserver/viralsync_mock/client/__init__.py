"""The typed client of the control API, for tests and scripts."""

from viralsync_mock.client.connection import open_connections
from viralsync_mock.client.records import Call, Delivery, Effect, Event, Step, Timeline
from viralsync_mock.client.results import Coverage, RuleVerdict, Verdict
from viralsync_mock.client.sandbox import Sandbox, environment
from viralsync_mock.errors import ControlError

__all__ = [
    "Call",
    "ControlError",
    "Coverage",
    "Delivery",
    "Effect",
    "Event",
    "RuleVerdict",
    "Sandbox",
    "Step",
    "Timeline",
    "Verdict",
    "environment",
    "open_connections",
]
