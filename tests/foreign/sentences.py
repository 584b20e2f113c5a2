"""Which checks notice when a documented sentence does not hold: `sentences.yaml`, and the page made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from viralsync_conform.findings import Finding

_FILE: Final = Path(__file__).with_name("sentences.yaml")
_TABLE: Final[dict[str, Any]] = yaml.safe_load(_FILE.read_text())

CHECKS: Final = {number: tuple(row) if isinstance(row, list) else () for number, row in _TABLE.items()}
REASONS: Final = {number: row["reason"] for number, row in _TABLE.items() if isinstance(row, dict)}


def is_named(sentence: str, finding: Finding) -> bool:
    """Say whether a finding is one of a check that stands for the sentence."""
    names = {finding.check, f"{finding.check}:{finding.operation}"}
    return not names.isdisjoint(CHECKS[sentence])
