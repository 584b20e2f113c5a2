"""`report.html`: one page that needs nothing, and in which a target's text stays text."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.support.results import JOB, call, finding, job, life_steps, polls, result, rich, stream, written

from viralsync_conform.calls import Exchange
from viralsync_conform.findings import Category
from viralsync_conform.reports.job_chart import lives_drawn
from viralsync_conform.reports.page_findings import pretty
from viralsync_conform.result import CanaryOutcome, Result
from viralsync_conform.run.job_history import job_histories
from viralsync_mock.artefacts.markup import Markup, tag

EVIL = "</pre></code></title></style><script>alert('x')</script><img src=x onerror=alert(1)>\"' onload=\"alert(2)"
VOID = {"meta", "rect", "circle", "path"}


class Page(HTMLParser):
    """What a browser makes of a page: its elements, attributes and text; elements that are left open are a fault."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element without content."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep text."""
        self.text += data

    def named(self, name: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a name."""
        return [attributes for tag, attributes in self.elements if tag == name]


def page(folder: Path, finished: Result) -> Page:
    read = Page(written(folder, finished)["report.html"])
    assert read.open == []
    return read


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    """No script, nothing to load, and a policy that forbids both."""
    text = written(tmp_path, rich())["report.html"]
    read = Page(text)
    assert {"script", "link", "img", "iframe", "object"} & {name for name, _ in read.elements} == set()
    assert [attributes for _, attributes in read.elements if {"src", "srcset"} & attributes.keys()] == []
    assert {(attributes["href"] or "")[:1] for attributes in read.named("a")} == {"#"}
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'; style-src 'unsafe-inline'" in {each.get("content") for each in read.named("meta")}


def test_links_lead_to_places_of_the_page(tmp_path: Path) -> None:
    """No place has two names alike, and no link leads nowhere."""
    read = page(tmp_path, rich())
    places = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(places) == len(set(places))
    assert {(attributes["href"] or "")[1:] for attributes in read.named("a")} <= set(places)


def test_the_page_fits_a_phone_and_the_dark(tmp_path: Path) -> None:
    """It takes the width of the screen, and the colours that the reader has chosen."""
    read = page(tmp_path, rich())
    metas = {attributes.get("name"): attributes.get("content") for attributes in read.named("meta")}
    assert (metas["viewport"], metas["color-scheme"]) == ("width=device-width, initial-scale=1", "light dark")
    assert "prefers-color-scheme: dark" in read.text
    assert {"table"} & {name for name, _ in read.elements} == set()


def everywhere(text: str) -> Result:
    """Return a run in which a text stands wherever one can."""
    evil = call(
        1,
        text,
        url=f"/{text}",
        body=text.encode(),
        request_body=text.encode(),
        headers=(("content-type", text), (text, text)),
        request_headers=((text, text),),
        journey=text,
        step=text,
        account=text,
        problem=text,
        expected=text,
    )
    told = life_steps()
    odd_life = [job(step) | {"jobId": text, "status": text, "phase": text, "parentJobId": text} for step in told]
    lives = [call(number, "getJob", each) for number, each in enumerate(odd_life, 2)]
    rest = {"operation": text, "place": text, "name": text, "expected": text, "got": text, "source": text}
    base = rich()
    return result(
        *(finding(category, text, text, journey=text, **{**rest, "keyword": category}) for category in Category),
        calls=(evil, *lives),
        target=f"https://x/{text}",
        profile=text,
        seed=text,
        version=text,
        learned=base.learned,
        journeys=tuple(type(each)(text, text, text, text) for each in base.journeys),
        canary=CanaryOutcome(text, text, True, (text,)),
        unclean=(text,),
        notes=(text,),
        baseline=None,
        fidelity=base.fidelity,
    )


def test_nothing_from_a_target_becomes_markup(tmp_path: Path) -> None:
    """Tags, quotes and attributes in any text stay text."""
    read = page(tmp_path, everywhere(EVIL))
    assert {"script", "img"} & {name for name, _ in read.elements} == set()
    assert [attributes for _, attributes in read.elements if any(name.startswith("on") for name in attributes)] == []
    assert read.text.count("<script>alert('x')</script>") > 20


def test_the_verdict_comes_first(tmp_path: Path) -> None:
    """With one sentence and the price of the run."""
    text = " ".join(page(tmp_path, rich()).text.partition("profile nightly")[2].split())
    assert text.startswith("· 1 January 2026, 00:00 UTC Contract brokenThe contract is broken: a documented fact")
    assert text.index("217requests of 399 allowed") < text.index("Failures")


def test_a_finding_has_all_that_one_needs(tmp_path: Path) -> None:
    """Check, mark, page, expected and got, request and response, and a command to make the call again."""
    text = page(tmp_path, rich()).text
    for told in ("at least 0.625", "/api-reference/jobs", "documented", '"status": "queued"', "202", "Make it again"):
        assert told in text
    assert "curl -sS -X POST https://api.viralsync.io/v1/render/jobs" in text


def test_a_call_is_shown_once(tmp_path: Path) -> None:
    """Where it is evidence again, a link leads to it; of many the rest are named."""
    findings = [finding(name=str(number), calls=tuple(range(1, 30))) for number in range(3)]
    calls = tuple(call(number, answer={"jobId": JOB}) for number in range(1, 30))
    read = page(tmp_path, result(*findings, calls=calls))
    assert [each["id"] for each in read.named("details") if each.get("id")] == ["call-1", "call-2", "call-3"]
    assert read.text.count("Also in calls 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 … of traffic.har.") == 3


def test_evidence_that_is_missing_is_passed_over(tmp_path: Path) -> None:
    """A finding may name a call that was not kept."""
    assert "Odd" in page(tmp_path, result(finding(calls=(77,)), calls=())).text


@pytest.mark.parametrize("message", ["`etag` is new", "a `b", "", "``"])
def test_a_message_with_backticks_is_whole(tmp_path: Path, message: str) -> None:
    """Pairs of them mark code; a single one is a character like any other."""
    read = page(tmp_path, result(finding(message=message)))
    told = message.replace("`", "") if message.count("`") % 2 == 0 else message
    assert told[1:] in read.text


def test_a_quiet_run_is_a_whole_page(tmp_path: Path) -> None:
    """Without findings, lives, baseline, fidelity and canary."""
    text = page(tmp_path, result(calls=())).text
    assert "Nothing was found." in text
    assert "No job was seen." in text


def test_bodies_are_pretty_and_short() -> None:
    """JSON has a line for each value; long lines and long bodies are cut."""
    assert pretty(b'{"a":[1]}') == '{\n  "a": [\n    1\n  ]\n}'
    assert pretty(b"x\r\n\xff") == "x\n\ufffd"
    assert pretty(b"x" * 9000) == "x" * 400 + "…"
    assert pretty(b"[" + b"1," * 99 + b"1]").endswith("… 42 more lines")


def drawn(calls: list[Exchange]) -> Page:
    return Page(lives_drawn(job_histories(calls)))


def test_a_life_is_drawn_to_scale() -> None:
    """Each status and phase takes its share of the width."""
    read = drawn([stream(life_steps())])
    widths = [float((each["width"] or "").rstrip("%")) for each in read.named("rect")]
    assert sum(widths) == pytest.approx(100, abs=0.01)
    assert widths[-1] == pytest.approx(100 * 2.0 / 10.8, abs=0.01)


def test_a_drawing_is_told_in_words_too() -> None:
    """For those who cannot see it, and for exact numbers."""
    text = drawn([stream(life_steps()), *polls(life_steps(), 2)]).text
    assert f"{JOB}: done after 10.8 s" in text
    assert "rendering (waiting) 3 s" in text
    assert "1 scene · 10 polls ○ · 10 events ●" in text


def test_jobs_without_a_life_are_counted() -> None:
    """One that was seen once has nothing to draw."""
    calls = [call(number, "getJob", job(life_steps()[-1], f"job_{number}")) for number in range(3)]
    assert drawn(calls).text.strip() == "3 jobs more were seen once, or did not fit in here."


def test_a_life_in_one_instant_can_be_drawn() -> None:
    """There is nothing to divide by."""
    told = [step._replace(at=life_steps()[0].at) for step in life_steps()]
    assert drawn([stream(told)]).open == []


def test_markup_is_safe_by_itself() -> None:
    """Text is escaped wherever it is put, and markup is not escaped again."""
    inner = tag("b", "<x>", title='"&')
    assert inner == '<b title="&quot;&amp;">&lt;x&gt;</b>'
    assert tag("i", inner, None, hidden=True, lang=None) == f"<i hidden>{inner}</i>"
    assert isinstance(inner, Markup)
