"""What a conformance run says: checks, findings in categories, and the verdict that follows from them.

Provenance decides the category. A documented fact that does not hold is a *failure*; one that was only seen in a sample
is a *warning*, or a failure when the run is strict; an assumption is never judged: where the target acts otherwise
that is a *difference*, and the mock is wrong. What nobody documented is *additive* drift. Where nothing can be said,
because of an outage, a spent quota or a time-out, it is *inconclusive*.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum

from viralsync_mock.redaction import sanitised


class Provenance(StrEnum):
    """How well a fact is known: `x-provenance` of the spec."""

    DOCUMENTED = "D"
    SAMPLED = "S"
    ASSUMED = "A"


class Category(StrEnum):
    """Where a finding belongs."""

    FAILURE = "failure"
    WARNING = "warning"
    DIFFERENCE = "difference"
    ADDITIVE = "additive"
    INCONCLUSIVE = "inconclusive"


class Verdict(IntEnum):
    """What a run ends with: the exit code of `conform`."""

    CONFORMS = 0
    BROKEN = 1
    WRONG_USE = 2
    INCONCLUSIVE = 3
    DIFFERS = 4


CATEGORY_OF_MARK = {
    Provenance.DOCUMENTED: Category.FAILURE,
    Provenance.SAMPLED: Category.WARNING,
    Provenance.ASSUMED: Category.DIFFERENCE,
}

SENTENCES = {
    Verdict.CONFORMS: "The target conforms, and does what the mock does.",
    Verdict.BROKEN: "The contract is broken: a documented fact does not hold.",
    Verdict.INCONCLUSIVE: "Nothing can be said: see what is inconclusive.",
    Verdict.DIFFERS: "The target conforms, but differs from the mock or the baseline: the mock is wrong.",
}


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must hold: a noun for its name, a sentence for what it says, and where the fact stands."""

    name: str
    statement: str
    mark: Provenance
    source: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that did not hold, or something inconclusive.

    `place` is a JSON pointer into the answer, or a header's name; `keyword` what was broken there and `name` the
    property or value it is about. `calls` are the numbers of the calls that show it.
    """

    category: Category
    check: str
    message: str
    operation: str | None = None
    status: int | None = None
    place: str = ""
    keyword: str = ""
    name: str = ""
    expected: str = ""
    got: str = ""
    calls: tuple[int, ...] = ()
    journey: str = ""
    mark: Provenance | None = None
    source: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two findings the same, in this run and in a baseline."""
        status = str(self.status or "")
        return (self.check, self.operation or "", status, self.place, self.keyword, self.name)


@dataclass(slots=True)
class Findings:
    """All findings of a run, each once: one that comes again adds its calls to the first."""

    is_strict: bool = False
    _found: dict[tuple[str, ...], Finding] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Put a finding into its category."""
        if self.is_strict and finding.category is Category.WARNING:
            finding = replace(finding, category=Category.FAILURE)
        finding = replace(
            finding,
            message=sanitised(finding.message),
            place=sanitised(finding.place),
            name=sanitised(finding.name),
            expected=sanitised(finding.expected),
            got=sanitised(finding.got),
        )
        known = self._found.get(finding.key)
        if known is not None:
            finding = replace(known, calls=tuple(dict.fromkeys((*known.calls, *finding.calls))))
        self._found[finding.key] = finding

    def extend(self, check: str, call: int) -> None:
        """Add a call to the findings of a check from which it follows."""
        for key, finding in self._found.items():
            if finding.check == check and call not in finding.calls:
                self._found[key] = replace(finding, calls=(*finding.calls, call))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    def of(self, category: Category) -> list[Finding]:
        """Return what lies in one category, in the order in which it was found."""
        return [finding for finding in self._found.values() if finding.category is category]


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """Return what the findings come to: broken before inconclusive before differing."""
    categories = {finding.category for finding in findings}
    if Category.FAILURE in categories:
        return Verdict.BROKEN
    if Category.INCONCLUSIVE in categories:
        return Verdict.INCONCLUSIVE
    return Verdict.DIFFERS if categories else Verdict.CONFORMS
