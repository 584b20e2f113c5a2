"""Earlier runs: the baseline of findings that are known and accepted, and the history of the nights before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

from viralsync_conform.contract.learned_behaviour import LearnedBehaviour
from viralsync_conform.findings import Category, Finding, Verdict
from viralsync_conform.result import BaselineComparison, Night, Result
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
    keys = sorted({key_of(finding) for finding in result.findings if finding.category is not Category.INCONCLUSIVE})
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
    now = {key_of(finding) for finding in findings}
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
    return finding.category is not Category.INCONCLUSIVE and key_of(finding) in baseline.findings


def key_of(finding: Finding) -> Key:
    """Return the key of a finding as files hold it, without API keys."""
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


# --- the nights before: one JSON object a line in the file of `--history` ---

MAX_NIGHTS = 400
"""Older lines are dropped."""

GRAVE = frozenset({Category.FAILURE, Category.INCONCLUSIVE})
"""Always shown, however well they are known."""

MAX_HISTORY = 50_000_000


def read_history(path: Path) -> tuple[Night, ...]:
    """Return the nights of a file, oldest first, none if there is no file; raises SettingsError with file and line."""
    if not path.exists():
        return ()
    try:
        if path.stat().st_size > MAX_HISTORY:
            _fail_history(path, f"the file is larger than {MAX_HISTORY // 1_000_000} MB")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        _fail_history(path, f"cannot be read: {getattr(problem, 'strerror', None) or 'not UTF-8'}")
    return tuple(_night(path, number, line) for number, line in enumerate(lines, 1) if line.strip())


def nights_like(nights: Sequence[Night], target: str, profile: str) -> tuple[Night, ...]:
    """Return the nights of the same target and profile: others found other things."""
    return tuple(night for night in nights if (night.target, night.profile) == (target, profile))


def night_of(result: Result) -> Night:
    """Return what is remembered of a run."""
    firm = {key_of(finding) for finding in result.findings if finding.category is not Category.INCONCLUSIVE}
    return Night(
        at=result.started_at,
        target=result.target,
        profile=result.profile,
        seed=result.seed,
        verdict=result.verdict,
        seconds=round(result.seconds, 3),
        checks=len(result.asserted),
        requests=result.budget.requests,
        findings=frozenset(firm),
    )


def write_history(path: Path, nights: Sequence[Night]) -> None:
    """Replace the file by the last nights; a reader finds the old file or the new one whole."""
    half = path.with_name(f".{path.name}.part")
    half.write_text("".join(f"{_line(night)}\n" for night in nights[-MAX_NIGHTS:]), "utf-8")
    half.replace(path)


def last_night(result: Result) -> Night | None:
    """Return the last night before that came to a conclusion."""
    return next((night for night in reversed(result.nights or ()) if night.verdict is not Verdict.INCONCLUSIVE), None)


def is_new(result: Result, finding: Finding) -> bool | None:
    """Return whether the last night did not have the finding; None without such a night."""
    last = last_night(result)
    return None if last is None else key_of(finding) not in last.findings


def since(result: Result, finding: Finding) -> datetime | None:
    """Return when a finding was first seen of the nights in a row that had it; None if it is new or there are none.

    Inconclusive nights neither continue nor end the row.
    """
    firm = [night for night in result.nights or () if night.verdict is not Verdict.INCONCLUSIVE]
    row = list(takewhile(lambda night: key_of(finding) in night.findings, reversed(firm)))
    return row[-1].at if row else None


def is_folded(result: Result, finding: Finding) -> bool:
    """Return whether a finding is only counted: neither broken nor inconclusive, and the last night had it too."""
    return finding.category not in GRAVE and is_new(result, finding) is False


def _line(night: Night) -> str:
    document = {
        "at": night.at.isoformat(timespec="seconds"),
        "target": night.target,
        "profile": night.profile,
        "seed": night.seed,
        "verdict": night.verdict.name.lower(),
        "seconds": night.seconds,
        "checks": night.checks,
        "requests": night.requests,
        "findings": sorted(night.findings),
    }
    return json.dumps(document, ensure_ascii=True)


def _night(path: Path, number: int, line: str) -> Night:
    try:
        kept: dict[str, Any] = json.loads(line)
        return Night(
            at=datetime.fromisoformat(kept["at"]),
            target=str(kept["target"]),
            profile=str(kept["profile"]),
            seed=str(kept["seed"]),
            verdict=Verdict[kept["verdict"].upper()],
            seconds=float(kept["seconds"]),
            checks=int(kept["checks"]),
            requests=int(kept["requests"]),
            findings=frozenset(tuple(map(str, key)) for key in kept["findings"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        _fail_history(path, f"line {number}: expected a night as an earlier run wrote it ({problem})")


def _fail_history(path: Path, message: str) -> NoReturn:
    raise SettingsError(f"--history {path}: {message}. Give a file that only conform writes, or a new name") from None
