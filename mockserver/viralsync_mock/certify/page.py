"""`report.html`: a run on one page that needs nothing else, and runs nothing; everything on it is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from viralsync_mock.artefacts.markup import Markup, code, document, section, tag
from viralsync_mock.artefacts.writing import one_line
from viralsync_mock.certify.result import SENTENCES, Outcome, Proof, Report, TrialResult

if TYPE_CHECKING:
    from collections.abc import Iterator

STYLE = Path(__file__).with_name("page.css")


def page_of(report: Report) -> str:
    main = tag("main", _head(report), _rules(report), _scenarios(report))
    foot = tag(
        "footer", tag("p", f"viralsync-mock {report.version} · keys are masked · all values in certificate.json")
    )
    title = f"{SENTENCES[report.verdict]} {one_line(report.command, 80)}"
    return document(title, STYLE.read_text("utf-8"), tag("body", main, foot))


def _head(report: Report) -> Markup:
    when = f"{report.started_at:%d %B %Y, %H:%M} UTC".lstrip("0")
    counts = [(str(len(found)), outcome.value) for outcome in reversed(Outcome) if (found := report.of(outcome))]
    figures = tag("dl", *(tag("div", tag("dd", number), tag("dt", what)) for number, what in counts), class_="figures")
    about = tag("p", code(one_line(report.command)), f" · suite {report.suite.name} · {when} · {report.seconds:.1f} s")
    old = [tag("li", code(key)) for key in report.outdated]
    outdated = tag("div", tag("p", "Expected to fail, and passes now:"), tag("ul", *old)) if old else None
    return tag(
        "header", about, tag("h1", SENTENCES[report.verdict]), figures, outdated, class_=report.verdict.name.lower()
    )


def _rules(report: Report) -> Markup:
    rows = [
        tag("tr", tag("th", code(each.rule), scope="row"), tag("td", each.sentence), class_=_state(each))
        for each in report.proofs()
    ]
    head = tag("tr", tag("th", "rule", scope="col"), tag("th", "what is known", scope="col"))
    lead = "A rule is proved by a client that met its situation and handled it right."
    return section("Rules", "rules", tag("table", tag("thead", head), tag("tbody", *rows)), lead=lead)


def _state(proof: Proof) -> str:
    return "failed" if proof.failed else "passed" if proof.passed else "unproven"


def _scenarios(report: Report) -> Markup:
    order = list(Outcome)
    results = sorted(report.results, key=lambda each: order.index(each.outcome))
    return section("Scenarios", "scenarios", *map(_scenario, results))


def _scenario(result: TrialResult) -> Markup:
    needs_a_look = result.outcome in (Outcome.ERROR, Outcome.FAILED, Outcome.UNPROVEN)
    outcome, name = result.outcome.value, result.trial.name
    title = tag("summary", tag("b", outcome), " ", code(name), f" {result.trial.title}")
    return tag("details", title, *_details(result), open=needs_a_look, class_=outcome, id=f"scenario-{name}")


def _details(result: TrialResult) -> Iterator[Markup]:
    ended = "stopped or never started" if result.exit_code is None else f"exit code {result.exit_code}"
    alone = " · run again by itself" if result.alone else ""
    yield tag(
        "p",
        f"task {result.trial.task} · {ended} · {result.seconds:.1f} s · {result.calls} calls{alone}",
        class_="about",
    )
    rows = []
    for check in result.checks:
        shown = tag("pre", "\n".join(check.shown)) if check.shown else None
        cells = tag("th", code(check.name), scope="row"), tag("td", check.outcome.value), tag("td", check.reason, shown)
        rows.append(tag("tr", *cells, class_=check.outcome.value))
    yield tag("table", tag("tbody", *rows))
    if result.output.strip():
        yield tag("details", tag("summary", "output of the program"), tag("pre", result.output))
