"""`timings.yaml`: how long jobs took on the target, as a scenario that lets the mock take as long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from viralsync_conform.calls import Exchange
from viralsync_conform.reports.wording import scalar
from viralsync_conform.result import Result
from viralsync_conform.run.job_history import STREAM, JobHistory, job_histories
from viralsync_conform.target import MAIN
from viralsync_mock.artefacts.writing import one_line
from viralsync_mock.openapi.spec import Spec, load_spec
from viralsync_mock.settings import shipped

STEPS = ("queued", "planning", "dispatching", "rendering", "assembling", "uploading")
PART_OF = {"waiting": "dispatching"}
"""A phase that the scenario format has no step of its own for, and the step that it is counted to."""

MAX_STEP, MAX_PER_SECOND, MAX_REPORTS = 30 * 86_400.0, 3600.0, 100
"""What the scenario format allows."""

ALIKE = 1.05
"""Lengths within this factor count as equal."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """How long the scenes of one life took in a round of them, and how long the output of the longest is, on average.

    Scenes render in rounds of as many as there are workers (docs page /concepts/render-pipeline).
    """

    seconds: float
    output_seconds: float


def scenario_of(result: Result) -> str:
    """Return the text of the file; without a life that was seen there is no `job:` in it."""
    own = (call for call in result.calls if call.account == MAIN)  # throwaway accounts live by made-up scenarios
    lives = [life for life in job_histories(own) if life.parent is None and len(life.stretches) > 1]
    job = job_of(lives, load_spec(shipped("openapi.yaml")))
    target = one_line(result.target)
    lines = [
        f"# How long jobs took on {target}, measured on {result.started_at:%Y-%m-%d}, in {len(lives)} lives.",
        "# Serve it: viralsync-mock serve --scenario timings.yaml",
        "name: measured",
        "description: Jobs take as long as they took on the target of a conformance run.",
    ]
    if not job:
        lines.append(
            "# No job was seen from step to step, so there is no `job:` here: run the profile nightly or deep."
        )
        return "\n".join((*lines, ""))
    return "\n".join((*lines, "job:", *_job_lines(job), *_measured_lines(lives, result.calls), ""))


def job_of(lives: Sequence[JobHistory], spec: Spec) -> dict[str, Any]:
    """Return the `job:` part of a scenario: medians over the lives that were seen whole, else over all."""
    whole = [life for life in lives if set(STEPS) <= set(_seconds(life))] or lives
    found: dict[str, Any] = {}
    for step in STEPS:
        if step == "rendering":
            if scene := _scene(whole, spec):
                found["scene"] = scene
            continue
        lengths = [taken[step] for life in whole if step in (taken := _seconds(life))]
        if lengths:
            found[step] = _length(median(lengths))
    return found


def _seconds(life: JobHistory) -> dict[str, float]:
    """Return how long each step lasted that went on to the next: what failed or was cancelled did not end by itself."""
    ended = [stretch.status for stretch in life.stretches[1:]]
    taken: dict[str, float] = {}
    for stretch, following in zip(life.stretches, ended, strict=False):
        step = PART_OF.get(stretch.step, stretch.step)
        if following not in {"failed", "cancelled"} and stretch.seconds is not None and step in STEPS:
            taken[step] = taken.get(step, 0.0) + stretch.seconds
    return {step: seconds for step, seconds in taken.items() if 0 <= seconds <= MAX_STEP}


def _scene(lives: Sequence[JobHistory], spec: Spec) -> dict[str, Any]:
    """Return how long a scene renders, and how often it reports.

    The longest scenes give the time for a second of output; the shortest, if they took longer than that, the least
    time of a scene.
    """
    measured = list(_renderings(lives, spec))
    if not measured:
        return {}
    longest, shortest = max(each.output_seconds for each in measured), min(each.output_seconds for each in measured)
    per_second = median(each.seconds / longest for each in measured if each.output_seconds == longest)
    briefly = median(each.seconds for each in measured if each.output_seconds == shortest)
    at_least = briefly if briefly > per_second * shortest * ALIKE else 0.0
    scene: dict[str, Any] = {
        "per_output_second": _length(min(per_second, MAX_PER_SECOND)),
        "at_least": _length(at_least),
    }
    if reports := [_reports(life, spec) for life in lives if _is_streamed(life) and "rendering" in _seconds(life)]:
        scene["reports"] = min(max(round(median(reports)), 1), MAX_REPORTS)
    return scene


def _renderings(lives: Iterable[JobHistory], spec: Spec) -> Iterator[Rendering]:
    for life in lives:
        taken = _seconds(life).get("rendering")
        if taken is not None and life.scenes:
            rounds = _rounds(life, spec)
            yield Rendering(taken / len(rounds), sum(map(max, rounds)) / len(rounds))


def _rounds(life: JobHistory, spec: Spec) -> list[tuple[float, ...]]:
    workers = _workers(life, spec)
    return [life.scenes[first : first + workers] for first in range(0, len(life.scenes), workers)]


def _workers(life: JobHistory, spec: Spec) -> int:
    """Return how many scenes rendered at a time (docs page /api-reference/schema/render-options)."""
    options = life.options or {}
    asked = options.get("requestedConcurrency")
    if isinstance(asked, int) and asked > 0:
        return asked
    default = spec.document["components"]["schemas"]["RenderOptions"]["properties"]["qualityPreset"].get("x-default")
    presets: Mapping[Any, int] = spec.presets
    preset = options.get("qualityPreset")
    return presets.get(preset if isinstance(preset, str) else default, min(presets.values()))


def _is_streamed(life: JobHistory) -> bool:
    return any(each.source == STREAM and each.phase == "rendering" for each in life.sightings)


def _reports(life: JobHistory, spec: Spec) -> float:
    """Return how often a scene reported progress; equal scenes of one round report at the same instants."""
    values = {each.progress for each in life.sightings if each.source == STREAM and each.phase == "rendering"}
    return len(values) / max(1, sum(len(set(scenes)) for scenes in _rounds(life, spec)))


def _length(seconds: float) -> str:
    whole = round(seconds * 1000)
    return f"{whole}ms" if whole < 1000 else f"{f'{whole / 1000:.3f}'.rstrip('0').rstrip('.')}s"


def _job_lines(job: Mapping[str, Any]) -> Iterator[str]:
    for step, value in job.items():
        if isinstance(value, Mapping):
            yield f"  {step}: {{{', '.join(f'{name}: {part}' for name, part in value.items())}}}"
        else:
            yield f"  {step}: {value}"


def _measured_lines(lives: Sequence[JobHistory], calls: Iterable[Exchange]) -> Iterator[str]:
    """Yield what was measured, for people and programs; the mock passes over keys that begin with `x-`."""
    yield "x-measured:"
    yield "  # seconds in each status and phase: how often it was seen, and the shortest, middle and longest"
    yield "  stretches:"
    for (status, phase), lengths in _stretches(lives).items():
        yield f"    - {{status: {scalar(status)}, phase: {scalar(phase)}, {_spread(lengths)}}}"
    gaps = [gap for life in lives for gap in life.gaps]
    if gaps:
        yield "  # seconds from one event of a stream to the next"
        yield f"  between_events: {{{_spread(gaps)}}}"
    quiet = [(b - a).total_seconds() for call in calls for a, b in pairwise(call.comments)]
    if quiet:
        yield "  # seconds from one keep-alive of a stream to the next"
        yield f"  between_keep_alives: {{{_spread(quiet)}}}"


def _stretches(lives: Iterable[JobHistory]) -> dict[tuple[str, str | None], list[float]]:
    found: dict[tuple[str, str | None], list[float]] = {}
    for life in lives:
        for stretch in life.stretches:
            if stretch.seconds is not None:
                found.setdefault((stretch.status, stretch.phase), []).append(stretch.seconds)
    return found


def _spread(lengths: Sequence[float]) -> str:
    shortest, middle, longest = (round(each, 3) for each in (min(lengths), median(lengths), max(lengths)))
    return f"seen: {len(lengths)}, shortest: {shortest}, median: {middle}, longest: {longest}"
