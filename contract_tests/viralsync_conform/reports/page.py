"""`report.html`: the whole result on one page that needs nothing else, for people, on a phone too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from viralsync_conform.reports.job_chart import lives_drawn
from viralsync_conform.reports.page_findings import findings_of, is_empty
from viralsync_conform.reports.page_sections import canary, changes, fidelity, journeys, learned, nights, notes, unclean
from viralsync_conform.reports.wording import TITLES, VERDICTS, amount, counted, counting, sentence
from viralsync_conform.result import Result
from viralsync_conform.run.job_history import job_histories
from viralsync_mock.artefacts.markup import Markup, code, document, joined, section, tag
from viralsync_mock.artefacts.writing import one_line

STYLE = Path(__file__).with_name("page.css")


def page_of(result: Result) -> str:
    body = tag("body", tag("main", _head(result), _navigation(result), *_sections(result)), _foot(result))
    title = f"{VERDICTS[result.verdict]}: {one_line(result.target, 80)}"
    return document(title, STYLE.read_text("utf-8"), body)


def _head(result: Result) -> Markup:
    when = f"{result.started_at:%d %B %Y, %H:%M} UTC".lstrip("0")
    about = tag("p", code(result.target), f" · profile {result.profile} · {when}", class_="about")
    title = tag("h1", tag("span", class_="light"), VERDICTS[result.verdict])
    return tag(
        "header", about, title, tag("p", sentence(result), class_="sentence"), _price(result),
        class_=f"verdict {result.verdict.name.lower()}",
    )  # fmt: skip


def _price(result: Result) -> Markup:
    """Return what was checked, and the cost."""
    budget = result.budget
    minutes = amount(budget.charged)
    figures = [
        (f"{sum(result.asserted.values()):,}", f"behaviours asserted by {counted(len(result.asserted), 'check')}"),
        (f"{budget.requests:,}", f"requests of {budget.max_requests:,} allowed"),
        (minutes, f"render minutes, {counted(budget.renders, 'render')}"),
        (f"{result.seconds:.1f} s", "in real time"),
    ]
    return tag("dl", *(tag("div", tag("dd", figure), tag("dt", what)) for figure, what in figures), class_="figures")


def _navigation(result: Result) -> Markup:
    categories = [(category.value, title, len(counting(result, category))) for category, title in TITLES.items()]
    links = [
        tag("a", tag("b", str(number)), f" {title.lower()}", href=f"#{anchor}", class_=anchor)
        for anchor, title, number in categories
        if number
    ]
    links += [
        tag("a", "learned", href="#learned"),
        tag("a", "jobs", href="#jobs"),
        tag("a", "journeys", href="#journeys"),
    ]
    return tag("nav", *links)


def _sections(result: Result) -> Iterator[Markup | None]:
    yield unclean(result)
    yield nights(result)
    yield changes(result)
    if is_empty(result):
        yield tag("section", tag("p", "Nothing was found.", class_="lead"))
    yield from findings_of(result)
    yield learned(result)
    yield _jobs(result)
    yield fidelity(result)
    yield canary(result)
    yield journeys(result)
    yield notes(result)


def _jobs(result: Result) -> Markup:
    lives = job_histories(result.calls)
    lead = "Progress, statuses and phases by the target's own clock; below, the polls and events that showed them."
    if not lives:
        return section("Jobs seen", "jobs", lead="No job was seen.")
    return section("Jobs seen", "jobs", lives_drawn(lives), lead=lead)


def _foot(result: Result) -> Markup:
    origin = joined((f"viralsync-mock {result.version} · seed ", code(result.seed), " · keys are masked"))
    rest = "All calls are in traffic.har, all values in report.json."
    return tag("footer", tag("p", origin), tag("p", rest))
