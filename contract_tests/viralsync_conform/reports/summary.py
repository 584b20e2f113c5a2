"""`summary.md`: the result on one screen, for the page of a CI job and for the issue that a nightly job keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from viralsync_conform.baseline import is_folded
from viralsync_conform.contract.learned_behaviour import position_of
from viralsync_conform.findings import Category, Finding
from viralsync_conform.reports.wording import (
    MEANINGS,
    TITLES,
    VERDICTS,
    amount,
    calls_in_words,
    counted,
    counting,
    known_for,
    known_keys,
    news,
    position,
    sentence,
    where,
    wrong,
)
from viralsync_conform.result import Result
from viralsync_mock.artefacts.writing import cell

MAX_FINDINGS = 20
"""Of each category: the text must fit into an issue. `report.html` has all."""


def summary_of(result: Result) -> str:
    parts: list[Iterable[str]] = [_head(result), _counts(result)]
    parts += [_category(result, category) for category in TITLES]
    parts += [_learned(result), _changes(result), _trust(result), _unclean(result)]
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def _head(result: Result) -> Iterator[str]:
    yield f"## {VERDICTS[result.verdict]}: {cell(result.target)}"
    yield ""
    if result.nights is not None:
        yield cell(news(result), 600)
        yield ""
    yield sentence(result)


def _counts(result: Result) -> Iterator[str]:
    budget = result.budget
    yield "| what | how many |"
    yield "|---|---:|"
    yield f"| checks made | {len(result.asserted):,} |"
    yield f"| behaviours asserted | {sum(result.asserted.values()):,} |"
    for category, title in TITLES.items():
        yield f"| {title.lower()} | {len(counting(result, category))} |"
    if result.baseline:
        yield f"| known from the baseline | {len(known_keys(result))} |"
    yield f"| price | {counted(budget.requests, 'request')}, {amount(budget.charged)} render minutes |"
    yield f"| time | {result.seconds:.1f} s, profile {cell(result.profile)}, seed {cell(result.seed)} |"


def _category(result: Result, category: Category) -> Iterator[str]:
    counted_here = counting(result, category)
    findings = [finding for finding in counted_here if not is_folded(result, finding)]
    if not counted_here:
        return
    yield f"### {TITLES[category]}"
    yield ""
    yield MEANINGS[category]
    yield ""
    for finding in findings[:MAX_FINDINGS]:
        yield _line(result, finding)
    if len(findings) > MAX_FINDINGS:
        yield f"- and {len(findings) - MAX_FINDINGS} more, all in `report.html`"
    if known := len(counted_here) - len(findings):
        yield f"- {known} known from the last night, in `report.html`"


def _line(result: Result, finding: Finding) -> str:
    status = f" {finding.status}" if finding.status else ""
    place = f" at {cell(finding.place)}" if finding.place else ""
    notes = [f"expected {cell(finding.expected, 80)}"] if finding.expected else []
    notes += [f"got {cell(finding.got, 80)}"] if finding.got else []
    notes += [f"wrong: the {wrong(finding)}"] if wrong(finding) else []
    notes += [known] if (known := known_for(result, finding)) else []
    details = f" ({', '.join(notes)})" if notes else ""
    return f"- **{cell(where(finding))}{status}**{place}: {cell(finding.message)}{details}"


def _learned(result: Result) -> Iterator[str]:
    differences = result.learned.differences(result.believed)
    odd = {**result.learned.contradictions, **result.learned.foreign}
    if not differences and not odd:
        return
    yield "### Learned differently than assumed"
    yield ""
    yield "| switch | assumed | learned | seen in |"
    yield "|---|---|---|---|"
    for switch, (believed, seen) in differences.items():
        calls = calls_in_words(result.learned.seen[switch].calls)
        yield f"| {cell(switch)} | {cell(position(believed))} | {cell(position(seen))} | {calls} |"
    for switch, positions in result.learned.contradictions.items():
        seen = " and ".join(cell(position(each.value)) for each in positions)
        calls = calls_in_words(number for each in positions for number in each.calls)
        yield f"| {cell(switch)} | {cell(position(position_of(result.believed, switch)))} | several: {seen} | {calls} |"
    for switch, odd_one in result.learned.foreign.items():
        believed = cell(position(position_of(result.believed, switch)))
        seen, calls = cell(position(odd_one.value)), calls_in_words(odd_one.calls)
        yield f"| {cell(switch)} | {believed} | {seen}, which is no position of it | {calls} |"


def _changes(result: Result) -> Iterator[str]:
    if not result.baseline or not (result.baseline.gone or result.baseline.switched):
        return
    yield "### Changed since the baseline"
    yield ""
    for switch, (before, now) in result.baseline.switched.items():
        yield f"- {cell(switch)}: {cell(position(before))} before, {cell(position(now))} now"
    for key in result.baseline.gone[:MAX_FINDINGS]:
        yield f"- gone: {cell(key)}"


def _trust(result: Result) -> Iterator[str]:
    """Say how far the run is to be trusted, and how far the mock."""
    if result.canary:
        caught = "was caught" if result.canary.is_caught else "**was not caught**"
        yield f"Canary: {cell(result.canary.mutant)} {caught}."
    if result.fidelity:
        fidelity = result.fidelity
        yield f"Fidelity of the mock: {fidelity.percent:.1f} % ({fidelity.same} of {fidelity.steps} steps alike)."


def _unclean(result: Result) -> Iterator[str]:
    if result.unclean:
        yield "### Not cleaned up"
        yield ""
        for what in result.unclean:
            yield f"- {cell(what)}"
