"""Mutants that no black-box run can notice within its budget, and why: they are shown, and count for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

UNDETECTABLE: Mapping[str, str] = MappingProxyType({})
"""By name, the reason in one sentence."""
