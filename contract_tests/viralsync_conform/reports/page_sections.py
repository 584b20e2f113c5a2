"""The rest of the page: nights, baseline, learned switches, fidelity, canary, journeys."""

from __future__ import annotations

from viralsync_conform.baseline import night_of
from viralsync_conform.contract.learned_behaviour import Observation, position_of
from viralsync_conform.findings import Category
from viralsync_conform.reports.json_report import SKIPPED
from viralsync_conform.reports.page_findings import known_of
from viralsync_conform.reports.wording import VERDICTS, calls_in_words, counted, day, news, position
from viralsync_conform.result import JourneyOutcome, Night, Result
from viralsync_mock.artefacts.markup import Markup, code, joined, listing, section, tag

MAX_DIFFERENCES = 60
MAX_NIGHTS, NIGHT_HEIGHT = 30, 60


def changes(result: Result) -> Markup | None:
    """Return what changed since the baseline; None without one."""
    baseline = result.baseline
    if baseline is None:
        return None
    new_count = sum(finding.category is not Category.INCONCLUSIVE for finding in baseline.new)
    new = f"{counted(new_count, 'finding')} {'is' if new_count == 1 else 'are'} new" if new_count else "nothing is new"
    lead = f"Against the baseline {new}, {len(baseline.gone)} gone, {len(baseline.known)} known."
    moved = [
        joined((code(switch), ": ", code(position(before)), " before, ", code(position(now)), " now"))
        for switch, (before, now) in baseline.switched.items()
    ]
    gone = [joined(("gone: ", code(key))) for key in baseline.gone]
    content = listing(*moved, *gone, class_="plain") if moved or gone else None
    return section("Since the baseline", "baseline", content, known_of(result), lead=lead)


def nights(result: Result) -> Markup | None:
    """Return what is new, and the last thirty nights as bars: how long each took, and its verdict."""
    if result.nights is None:
        return None
    shown = [*result.nights, night_of(result)][-MAX_NIGHTS:]
    width, longest = 100 / MAX_NIGHTS, max((night.seconds for night in shown), default=0.0) or 1.0
    bars = []
    for number, night in enumerate(shown):
        height = max(2.0, NIGHT_HEIGHT * night.seconds / longest)
        title = f"{day(night.at)}: {VERDICTS[night.verdict]}, {night.seconds:.1f} s, {counted(night.checks, 'check')}"
        place = {"x": f"{number * width:.2f}%", "width": f"{width * 0.8:.2f}%", "y": f"{NIGHT_HEIGHT - height:.1f}"}
        kind = f"night {night.verdict.name.lower()}"
        bars.append(tag("g", tag("rect", **place, height=f"{height:.1f}", class_=kind), tag("title", title)))
    chart = tag("svg", *bars, width="100%", height=NIGHT_HEIGHT, role="img", class_="nights")
    rows = [
        joined((f"{day(night.at)} ", tag("b", VERDICTS[night.verdict]), _quiet_night(night)))
        for night in reversed(shown)
    ]
    span = f"{day(shown[0].at)} to {day(shown[-1].at)}: the colour is the verdict, the height the duration."
    table = _folded(f"{len(shown)} nights", rows)
    return section("Nights", "nights", chart, tag("p", span, class_="quiet"), table, lead=news(result))


def _quiet_night(night: Night) -> Markup:
    found = counted(len(night.findings), "finding")
    text = f"{night.seconds:.1f} s, {counted(night.checks, 'check')}, {counted(night.requests, 'request')}, {found}"
    return tag("span", text, class_="quiet")


def learned(result: Result) -> Markup:
    """Return every switch: those that differ from the profile, those that agree, and those not observed."""
    seen, believed = result.learned.seen, result.believed
    differences = result.learned.differences(believed)
    other = [_switch(each, seen[each], position(differences[each][0])) for each in differences]
    contradictions = [_contradiction(switch, positions) for switch, positions in result.learned.contradictions.items()]
    foreign = [
        _switch(switch, odd, position(position_of(believed, switch)), "the switch has no such position")
        for switch, odd in result.learned.foreign.items()
    ]
    listed = {*differences, *result.learned.contradictions}
    same = [_switch(switch, each) for switch, each in seen.items() if switch not in listed]
    hidden = [
        joined((code(switch), f" not observable, because {why}")) for switch, why in result.learned.hidden.items()
    ]
    lead = "What the documentation leaves open, and how the target does it."
    return section(
        "Learned switches",
        "learned",
        listing(*contradictions, *foreign, *other, class_="switches") if contradictions or foreign or other else None,
        _folded(f"{len(same)} seen as believed", same, class_="switches"),
        _folded(f"{len(hidden)} not observable", hidden),
        lead=lead,
    )


def _switch(switch: str, seen: Observation, believed: str = "", remark: str = "") -> Markup:
    was = joined((" — believed ", code(believed))) if believed else None
    note = f"{calls_in_words(seen.calls)}{f'; {remark}' if remark else ''}"
    return joined((code(switch), " ", tag("b", code(position(seen.value))), was, tag("span", note, class_="quiet")))


def _contradiction(switch: str, positions: tuple[Observation, ...]) -> Markup:
    each = [joined((tag("b", code(position(seen.value))), f" in {calls_in_words(seen.calls)}")) for seen in positions]
    return joined((code(switch), " in several positions: ", joined(each, " and ")))


def _folded(title: str, items: list[Markup], class_: str = "plain") -> Markup | None:
    return tag("details", tag("summary", title), listing(*items, class_=class_)) if items else None


def fidelity(result: Result) -> Markup | None:
    """Return how alike mock and target are; None if that was not measured."""
    measured = result.fidelity
    if measured is None:
        return None
    lead = f"{measured.percent:.1f} % of {counted(measured.steps, 'step')} went alike on the mock and on the target."
    rows = [
        tag(
            "li",
            tag("div", code(f"{each.journey}: {each.step}")),
            tag("dl", _side("target", each.target), _side("mock", each.mock), class_="comparison"),
        )
        for each in measured.differences[:MAX_DIFFERENCES]
    ]
    rest = len(measured.differences) - MAX_DIFFERENCES
    more = tag("p", f"{rest} more are in report.json.", class_="quiet") if rest > 0 else None
    return section(
        "Fidelity of the mock", "fidelity", tag("ul", *rows, class_="plain") if rows else None, more, lead=lead
    )


def _side(name: str, value: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", code(value or "nothing")))


def canary(result: Result) -> Markup | None:
    """Return whether the kit noticed the canary; None without one."""
    outcome = result.canary
    if outcome is None:
        return None
    caught = (
        f"was caught by {', '.join(outcome.by)}" if outcome.is_caught else "was not caught: a green run says nothing"
    )
    lead = "The same kit against a server with one deliberate deviation, which must go red."
    content = tag("p", code(outcome.mutant), f" {caught}.", tag("span", outcome.statement, class_="quiet"))
    return section("Canary", "canary", content, lead=lead)


def journeys(result: Result) -> Markup:
    """Return what the run did, and what it skipped."""
    made = [each for each in result.journeys if each.outcome != SKIPPED]
    left = [joined((code(each.name), f" {each.reason}")) for each in result.journeys if each.outcome == SKIPPED]
    return section(
        "Journeys",
        "journeys",
        tag("ul", *map(_journey, made), class_="journeys"),
        _folded(f"{len(left)} skipped", left),
        lead=f"{counted(len(made), 'journey')}.",
    )


def _journey(outcome: JourneyOutcome) -> Markup:
    kind = outcome.outcome if outcome.outcome in {"passed", "found", "stopped"} else "other"
    return tag(
        "li",
        tag("span", outcome.outcome, class_=f"outcome {kind}"),
        tag("div", code(outcome.name), " ", outcome.statement, _because(outcome)),
        tag("span", f"{counted(outcome.requests, 'request')}, {outcome.seconds:.1f} s", class_="quiet"),
    )


def _because(outcome: JourneyOutcome) -> Markup | None:
    return tag("span", outcome.reason, class_="quiet") if outcome.reason else None


def unclean(result: Result) -> Markup | None:
    """Return the jobs that have to be deleted by hand; None if there are none."""
    if not result.unclean:
        return None
    lead = "Jobs that the run made and could not clean: delete them by hand."
    return section("Not cleaned up", "unclean", listing(*map(code, result.unclean), class_="plain"), lead=lead)


def notes(result: Result) -> Markup | None:
    return section("Notes", "notes", listing(*result.notes, class_="plain")) if result.notes else None
