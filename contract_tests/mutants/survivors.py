"""Mutants that no black-box run can notice within its budget, and why: they are shown, and count for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

UNOBSERVABLE: Mapping[str, str] = MappingProxyType(
    {
        "cursor-forgets-type": "Every job that can be submitted is of one type, so no page tells the filter from none.",
    }
)
"""By name, the reason in one sentence."""
