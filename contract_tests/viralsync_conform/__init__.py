"""Contract tests for the ViralSync API: one run against a mock or a real server, and its report.

The public names are those of `__all__`; all others may change without notice.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from viralsync_conform.conformance import Options, conform
    from viralsync_conform.findings import Verdict
    from viralsync_conform.result import Result

__all__ = ["Options", "Result", "Verdict", "conform"]


def __getattr__(name: str) -> object:
    homes = {"Options": "conformance", "Result": "result", "Verdict": "findings", "conform": "conformance"}
    if name in homes:
        return getattr(import_module(f"viralsync_conform.{homes[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
