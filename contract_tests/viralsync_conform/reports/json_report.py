"""`report.json`: the whole result for programs. Its format is fixtures/report.schema.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from viralsync_conform.baseline import is_new, since
from viralsync_conform.contract.learned_behaviour import LearnedBehaviour, Observation, position_of
from viralsync_conform.findings import Finding
from viralsync_conform.reports.wording import TITLES, known_keys, plain, sentence, wrong
from viralsync_conform.result import BaselineComparison, Fidelity, JourneyOutcome, Night, Result
from viralsync_mock.config.behaviour import BehaviourProfile

FORMAT, VERSION = "viralsync-mock conformance report", 2
"""The version goes up when a program that reads the old format could misread the new one."""

SKIPPED = "skipped"

Document = dict[str, Any]


def report_of(result: Result) -> Document:
    """Return the document; `counts.asserted` are behaviours that were looked at, not requests."""
    return {
        "format": FORMAT,
        "version": VERSION,
        **_run(result),
        "counts": _counts(result),
        "price": _price(result),
        "findings": _findings(result),
        "checks": [{**asdict(check), "times": times} for check, times in result.asserted.items()],
        "journeys": [_journey(outcome) for outcome in result.journeys if outcome.outcome != SKIPPED],
        "skipped": [{"name": each.name, "reason": each.reason} for each in result.journeys if each.outcome == SKIPPED],
        "learned": _learned(result.learned, result.believed),
        "fidelity": result.fidelity and _fidelity(result.fidelity),
        "canary": result.canary and asdict(result.canary),
        "baseline": result.baseline and _baseline(result.baseline),
        "unclean": list(result.unclean),
        "notes": list(result.notes),
        "nights": None if result.nights is None else [_night(night) for night in result.nights],
    }


def _run(result: Result) -> Document:
    return {
        "kit_version": result.version,
        "target": result.target,
        "is_mock": result.is_mock,
        "profile": result.profile,
        "seed": result.seed,
        "started_at": _instant(result.started_at),
        "seconds": round(result.seconds, 3),
        "verdict": {
            "name": result.verdict.name.lower(),
            "exit_code": int(result.verdict),
            "sentence": sentence(result),
        },
    }


def _counts(result: Result) -> Document:
    categories = Counter(finding.category for finding in result.findings)
    return {
        "checks": len(result.asserted),
        "asserted": sum(result.asserted.values()),
        "calls": len(result.calls),
        "findings": {category.value: categories[category] for category in TITLES},
        "known": len(known_keys(result)),
    }


def _price(result: Result) -> Document:
    budget = result.budget
    return {
        "requests": budget.requests,
        "max_requests": budget.max_requests,
        "renders": budget.renders,
        "render_minutes": round(budget.charged, 6),
        "reserved_minutes": round(budget.reserved, 6),
        "max_render_minutes": budget.max_render_minutes,
    }


def _findings(result: Result) -> Document:
    known = known_keys(result)
    return {
        category.value: [
            _finding(result, finding, finding.key in known)
            for finding in result.findings
            if finding.category is category
        ]
        for category in TITLES
    }


def _finding(result: Result, finding: Finding, is_known: bool) -> Document:
    first, document = since(result, finding), asdict(finding)
    del document["category"]
    return {
        **document,
        "wrong": wrong(finding),
        "is_known": is_known,
        "is_new": is_new(result, finding),
        "since": first and _instant(first),
    }


def _night(night: Night) -> Document:
    return {
        "at": _instant(night.at),
        "seed": night.seed,
        "verdict": night.verdict.name.lower(),
        "seconds": night.seconds,
        "checks": night.checks,
        "requests": night.requests,
        "findings": len(night.findings),
    }


def _journey(outcome: JourneyOutcome) -> Document:
    return {**asdict(outcome), "seconds": round(outcome.seconds, 3)}


def _learned(learned: LearnedBehaviour, believed: BehaviourProfile) -> Document:
    return {
        "switches": [
            {
                "switch": switch,
                "believed": plain(position_of(believed, switch)),
                "learned": plain(seen.value),
                "is_different": position_of(believed, switch) != seen.value,
                "calls": list(seen.calls),
            }
            for switch, seen in learned.seen.items()
        ],
        "contradictions": [
            {"switch": switch, "positions": [_observation(seen) for seen in positions]}
            for switch, positions in learned.contradictions.items()
        ],
        "hidden": [{"switch": switch, "reason": reason} for switch, reason in learned.hidden.items()],
        "foreign": [{"switch": switch, **_observation(seen)} for switch, seen in learned.foreign.items()],
    }


def _observation(seen: Observation) -> Document:
    return {"value": plain(seen.value), "calls": list(seen.calls)}


def _fidelity(fidelity: Fidelity) -> Document:
    return {
        "steps": fidelity.steps,
        "same": fidelity.same,
        "percent": round(fidelity.percent, 2),
        "differences": [asdict(each) for each in fidelity.differences],
    }


def _baseline(comparison: BaselineComparison) -> Document:
    """Return what `findings` does not show: counts, findings that are gone, switches that moved."""
    switched: Mapping[str, tuple[object, object]] = comparison.switched
    return {
        "new": len(comparison.new),
        "known": len(comparison.known),
        "gone": list(comparison.gone),
        "switched": [
            {"switch": switch, "before": plain(before), "now": plain(now)} for switch, (before, now) in switched.items()
        ],
    }


def _instant(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
