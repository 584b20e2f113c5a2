"""The life of a job as a drawing: its progress, its statuses and phases, and when it was seen."""

from __future__ import annotations

from collections.abc import Iterator

from viralsync_conform.calls import TERMINAL
from viralsync_conform.reports.wording import amount, counted
from viralsync_conform.run.job_history import CREATED, STREAM, Interval, JobHistory, StatusSample
from viralsync_mock.artefacts.markup import Markup, code, joined, tag
from viralsync_mock.artefacts.writing import one_line

STEPS = frozenset({"queued", "planning", "dispatching", "rendering", "assembling", "uploading"})
ENDS = frozenset(TERMINAL)

PROGRESS_HEIGHT, BAR_HEIGHT = 44, 14
POLLS_BELOW, EVENTS_BELOW, HEIGHT = 25, 34, 40
"""From the top of the bar."""

WHOLE = 1000
"""Width of the progress curve before it is stretched to the page."""

MAX_LIVES, MAX_STEPS = 24, 40


def lives_drawn(lives: tuple[JobHistory, ...]) -> Markup:
    """Return a drawing of each life that was seen more than once, parents first; the rest are counted."""
    seen = sorted((life for life in lives if len(life.sightings) > 1), key=lambda life: life.parent is not None)
    drawings = joined(map(life_drawn, seen[:MAX_LIVES]))
    rest = len(lives) - len(seen[:MAX_LIVES])
    note = f"{counted(rest, 'job')} more {'was' if rest == 1 else 'were'} seen once, or did not fit in here."
    return joined((drawings, tag("p", note, class_="quiet") if rest else None))


def life_drawn(life: JobHistory) -> Markup:
    """Return one life: a heading, the drawing, and a legend that says the same in words."""
    seconds = f"{amount(life.seconds)} s"
    head = tag("h3", code(one_line(life.job_id, 60)), " ", tag("span", _ending(life), class_=f"end {_end(life)}"))
    axis = tag("div", tag("span", "0 s"), tag("span", seconds), class_="axis")
    picture = joined((_picture(life, seconds), axis)) if life.seconds else None
    steps = tag("ol", *(_legend(stretch) for stretch in life.stretches[:MAX_STEPS]), class_="steps")
    return tag("figure", head, tag("p", _seen(life), class_="quiet"), picture, steps, class_="life")


def _picture(life: JobHistory, seconds: str) -> Markup:
    """Return the drawing; a job that never made progress has no curve of it."""
    has_curve = any(each.progress for each in life.sightings)
    top = PROGRESS_HEIGHT + 6 if has_curve else 0
    return tag(
        "svg",
        tag("title", f"{life.job_id}: {_ending(life)} after {seconds}"),
        _progress(life) if has_curve else None,
        *_bar(life, top),
        *_marks(life, top),
        width="100%",
        height=top + HEIGHT,
        role="img",
    )


def _ending(life: JobHistory) -> str:
    return life.outcome or "not seen to end"


def _end(life: JobHistory) -> str:
    return life.outcome if life.outcome in ENDS else "open"


def _seen(life: JobHistory) -> str:
    events = sum(each.source == STREAM for each in life.sightings)
    polls = sum(each.source not in {STREAM, CREATED} for each in life.sightings)
    parts = [counted(len(life.scenes), "scene")] if life.scenes else []
    parts += [f"child of {one_line(life.parent, 60)}"] if life.parent else []
    parts += [f"{counted(polls, 'poll')} ○" if polls else "", f"{counted(events, 'event')} ●" if events else ""]
    return " · ".join(part for part in parts if part)


def _share(life: JobHistory, sighting: StatusSample | Interval) -> float:
    at = sighting.at if isinstance(sighting, StatusSample) else sighting.start
    return (at - life.sightings[0].at).total_seconds() / life.seconds


def _progress(life: JobHistory) -> Markup:
    """Return the curve of the progress: level between samples, as wide as the page."""
    points, height = [f"M0 {PROGRESS_HEIGHT}"], float(PROGRESS_HEIGHT)
    for sighting in life.sightings:
        x = f"{_share(life, sighting) * WHOLE:.1f}"
        points.append(f"L{x} {height:.1f}")
        if sighting.progress is not None:
            height = PROGRESS_HEIGHT * (1 - min(max(sighting.progress, 0.0), 1.0))
            points.append(f"L{x} {height:.1f}")
    area = tag("path", d=" ".join((*points, f"L{WHOLE} {height:.1f} L{WHOLE} {PROGRESS_HEIGHT} Z")), class_="area")
    line = tag("path", d=" ".join((*points, f"L{WHOLE} {height:.1f}")), class_="curve")
    box = f"0 0 {WHOLE} {PROGRESS_HEIGHT}"
    return tag("svg", area, line, viewBox=box, preserveAspectRatio="none", width="100%", height=PROGRESS_HEIGHT, y=2)


def _bar(life: JobHistory, top: int) -> Iterator[Markup]:
    for stretch in life.stretches:
        start = _share(life, stretch)
        width = (stretch.seconds or 0.0) / life.seconds
        if width > 0:
            title = tag("title", f"{_named(stretch)}: {_lasted(stretch)}")
            place = {"x": f"{start * 100:.3f}%", "width": f"{width * 100:.3f}%", "y": top, "height": BAR_HEIGHT}
            yield tag("g", tag("rect", **place, class_=f"step {_kind(stretch)}"), title)


def _marks(life: JobHistory, top: int) -> Iterator[Markup]:
    for sighting in life.sightings:
        if sighting.source != CREATED:
            x = f"{_share(life, sighting) * 100:.3f}%"
            kind, below = ("event", EVENTS_BELOW) if sighting.source == STREAM else ("poll", POLLS_BELOW)
            yield tag("circle", cx=x, cy=top + below, r=3, class_=kind)


def _legend(stretch: Interval) -> Markup:
    swatch = tag("span", class_=f"swatch {_kind(stretch)}")
    return tag("li", swatch, tag("span", _named(stretch)), " ", tag("span", _lasted(stretch), class_="lasted"))


def _named(stretch: Interval) -> str:
    return one_line(f"{stretch.phase} ({stretch.status})" if stretch.phase else stretch.status, 60)


def _lasted(stretch: Interval) -> str:
    return "" if stretch.seconds is None else f"{amount(stretch.seconds)} s"


def _kind(stretch: Interval) -> str:
    return stretch.step if stretch.step in STEPS | ENDS else "other"
