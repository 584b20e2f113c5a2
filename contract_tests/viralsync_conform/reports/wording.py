"""The words of all reports, and values of a target as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from viralsync_conform.baseline import is_new, key_of, last_night, since
from viralsync_conform.findings import SENTENCES, Category, Finding, Provenance, Verdict
from viralsync_conform.result import Result
from viralsync_mock.artefacts.writing import one_line
from viralsync_mock.redaction import sanitised

TITLES: Mapping[Category, str] = {
    Category.FAILURE: "Failures",
    Category.INCONCLUSIVE: "Inconclusive",
    Category.DIFFERENCE: "Differences",
    Category.WARNING: "Warnings",
    Category.ADDITIVE: "Additive drift",
}
"""Every category in the order in which it is read, with its heading."""

MEANINGS: Mapping[Category, str] = {
    Category.FAILURE: "A documented fact does not hold.",
    Category.INCONCLUSIVE: "Neither for nor against the target: nothing could be determined.",
    Category.DIFFERENCE: "The target differs from what the mock assumes: the mock is wrong.",
    Category.WARNING: "Seen only in a sample of the documentation, and it does not hold.",
    Category.ADDITIVE: "New and undocumented: clients must ignore it.",
}

WRONG: Mapping[Category, str] = {
    Category.FAILURE: "target",
    Category.WARNING: "documentation",
    Category.DIFFERENCE: "mock",
    Category.ADDITIVE: "documentation",
}
"""Who has to change something; not known for what is inconclusive."""

MARKS: Mapping[Provenance, str] = {
    Provenance.DOCUMENTED: "documented",
    Provenance.SAMPLED: "seen in a sample",
    Provenance.ASSUMED: "assumed",
}

VERDICTS: Mapping[Verdict, str] = {
    Verdict.CONFORMS: "Conforms",
    Verdict.BROKEN: "Contract broken",
    Verdict.WRONG_USE: "Wrong use",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.DIFFERS: "Conforms, but differs",
}

MAX_NAMED = 3

DEFAULT_BASE = "http://127.0.0.1:4747"
"""Default address of a mock, for commands that repeat a call."""

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.+=-]*")
_WORDS_OF_YAML = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def sentence(result: Result) -> str:
    return SENTENCES.get(result.verdict, "The command was used wrongly.")


def base_url(result: Result) -> str:
    """Return where the calls of a run can be made again."""
    return result.target if "://" in result.target else DEFAULT_BASE


def known_keys(result: Result) -> frozenset[tuple[str, ...]]:
    """Return the keys of the findings that the baseline knows, which do not count."""
    return frozenset(finding.key for finding in result.baseline.known) if result.baseline else frozenset()


def counting(result: Result, category: Category) -> list[Finding]:
    """Return the findings of a category that count: those that the baseline does not know."""
    known = known_keys(result)
    return [finding for finding in result.findings if finding.category is category and finding.key not in known]


def wrong(finding: Finding) -> str | None:
    """Return who is wrong: the `target`, the `documentation` or the `mock`; None if that is not known."""
    return WRONG.get(finding.category)


def day(instant: datetime) -> str:
    return f"{instant:%d %B %Y}".lstrip("0")


def known_for(result: Result, finding: Finding) -> str:
    """Return `new`, or since when the finding has been seen; empty without a history."""
    if is_new(result, finding) is None or is_inconclusive(finding):
        return ""
    first = since(result, finding)
    return f"since {day(first)}" if first else "new"


def news(result: Result) -> str:
    """Return in one sentence what is new since the last night; empty without a history."""
    if result.nights is None:
        return ""
    last = last_night(result)
    if last is None:
        return "No conclusive night before: nothing to compare with."
    counted_here = [finding for category in TITLES for finding in counting(result, category)]
    new = [finding for finding in counted_here if is_new(result, finding) and not is_inconclusive(finding)]
    gone = len(last.findings - {key_of(finding) for finding in result.findings})
    fixed = f"; {counted(gone, 'finding')} gone" if gone else ""
    if not new:
        return f"Nothing new since {day(last.at)}{fixed}."
    names = list(dict.fromkeys(f"{each.check} ({where(each)})" for each in new))
    named = ", ".join(names[:MAX_NAMED])
    rest = f" and {len(names) - MAX_NAMED} more kinds" if len(names) > MAX_NAMED else ""
    return f"New since {day(last.at)}: {counted(len(new), 'finding')}: {named}{rest}{fixed}."


def is_inconclusive(finding: Finding) -> bool:
    """Return whether a finding says nothing about the target."""
    return finding.category is Category.INCONCLUSIVE


def where(finding: Finding) -> str:
    """Return what a finding is about: an operation, else the journey that met it, else the run."""
    return finding.operation or finding.journey or "the run"


def calls_in_words(numbers: Iterable[int], most: int = 5) -> str:
    """Return `call 3`, `calls 3, 8` and the like; of many, the first."""
    calls = list(numbers)
    if not calls:
        return "no call"
    rest = f" and {len(calls) - most} more" if len(calls) > most else ""
    return f"call{'s' if len(calls) > 1 else ''} {', '.join(map(str, calls[:most]))}{rest}"


def counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def amount(number: float) -> str:
    """Return a number with at most three decimals, and none that says nothing."""
    return f"{number:.3f}".rstrip("0").rstrip(".") or "0"


def position(value: Any) -> str:
    """Return the position of a switch as it is written in a profile."""
    return scalar(value) if isinstance(value, str | int | float | bool | None) else one_line(json.dumps(value))


def scalar(value: Any) -> str:
    """Return a value as YAML 1.2 in one line; text that could be read as something else is quoted."""
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML:
            return value
        return json.dumps(sanitised(value), ensure_ascii=False)
    return json.dumps(value)


def plain(value: Any) -> Any:
    """Return a value that is JSON: what came from the target may hold numbers that are not."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)
