"""The baseline: what an earlier run found and learned, so that a later one tells only what changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from viralsync_conform.contract.learned_behaviour import LearnedBehaviour
from viralsync_conform.findings import Category, Finding
from viralsync_conform.result import BaselineComparison, Result
from viralsync_mock.errors import SettingsError
from viralsync_mock.redaction import masked

FORMAT, VERSION = "viralsync-mock baseline", 1

KEYED = ("check", "operation", "status", "place", "keyword", "name")
"""What makes a finding the same as another: the parts of `Finding.key`, so that a second missing field is new."""

MAX_FILE = 20_000_000

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Keys of the findings, and positions of the switches, of an earlier run."""

    findings: frozenset[Key] = frozenset()
    switches: Mapping[str, Any] = field(default_factory=dict)


def baseline_of(result: Result) -> dict[str, Any]:
    """Return the document that a later run compares itself with; what was inconclusive is not in it."""
    keys = sorted({_key(finding) for finding in result.findings if finding.category is not Category.INCONCLUSIVE})
    switches = {switch: seen.value for switch, seen in sorted(result.learned.seen.items())}
    return {
        "format": FORMAT,
        "version": VERSION,
        "target": result.target,
        "profile": result.profile,
        "taken_at": result.started_at.isoformat(timespec="seconds"),
        "findings": [dict(zip(KEYED, key, strict=True)) for key in keys],
        "switches": switches,
    }


def read_baseline(path: Path) -> Baseline:
    """Read a baseline; raises SettingsError that names the file, what was expected and what to do."""
    try:
        if path.stat().st_size > MAX_FILE:
            _fail(path, f"the file is larger than {MAX_FILE // 1_000_000} MB, which no baseline is")
        document = json.loads(path.read_bytes())
    except OSError as problem:
        _fail(path, f"cannot be read: {problem.strerror or problem}")
    except (ValueError, RecursionError) as problem:
        _fail(path, f"not JSON: {problem}")
    return _baseline(path, document)


def compare(baseline: Baseline, findings: Iterable[Finding], learned: LearnedBehaviour) -> BaselineComparison:
    """Return what changed: what is inconclusive is always new, and never makes something that was known gone."""
    findings = tuple(findings)
    known = {finding: _is_known(baseline, finding) for finding in findings}
    now = {_key(finding) for finding in findings}
    return BaselineComparison(
        new=tuple(finding for finding, is_known in known.items() if not is_known),
        known=tuple(finding for finding, is_known in known.items() if is_known),
        gone=tuple(in_words(key) for key in sorted(baseline.findings - now)),
        switched={
            switch: (baseline.switches[switch], seen.value)
            for switch, seen in learned.seen.items()
            if switch in baseline.switches and baseline.switches[switch] != seen.value
        },
    )


def in_words(key: Key) -> str:
    """Return the key of a finding as one line."""
    check, operation, status, place, keyword, name = key
    about = " ".join(part for part in (operation, status) if part)
    return " · ".join(part for part in (check, about, place, keyword, name) if part)


def _is_known(baseline: Baseline, finding: Finding) -> bool:
    return finding.category is not Category.INCONCLUSIVE and _key(finding) in baseline.findings


def _key(finding: Finding) -> Key:
    """Return the key as it is written: without what could be an API key."""
    return tuple(map(masked, finding.key))


def _baseline(path: Path, document: Any) -> Baseline:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        _fail(path, f'expected an object with "format": "{FORMAT}"')
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        _fail(path, f"$.version: expected {VERSION}, got {json.dumps(version)}")
    if version > VERSION:
        _fail(path, f"$.version: expected at most {VERSION}, got {version}: a newer viralsync-mock wrote it, so update")
    switches = document.get("switches")
    if not isinstance(switches, dict):
        _fail(path, "$.switches: expected an object")
    return Baseline(_keys(path, document.get("findings")), switches)


def _keys(path: Path, findings: Any) -> frozenset[Key]:
    if not isinstance(findings, list):
        _fail(path, "$.findings: expected a list")
    for number, finding in enumerate(findings):
        if not isinstance(finding, dict) or not all(isinstance(finding.get(part), str) for part in KEYED):
            _fail(path, f"$.findings[{number}]: expected an object of texts {', '.join(KEYED)}")
    return frozenset(tuple(finding[part] for part in KEYED) for finding in findings)


def _fail(path: Path, message: str) -> NoReturn:
    raise SettingsError(
        f"--baseline {path}: {message}. Give the baseline.json from the --report-dir of an earlier run, or none"
    ) from None
