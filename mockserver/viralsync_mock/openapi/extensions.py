"""The terms of the service: errors, plans and limits, read from the spec's `x-` extensions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Any

from viralsync_mock.config.yaml_source import preview
from viralsync_mock.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from viralsync_mock.config.yaml_source import Node


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One row of `x-error-catalogue`; `text` is a `str.format` template with named placeholders."""

    code: str
    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """One paid plan; None means unlimited, lengths are seconds, `largest_frame` is (width, height)."""

    name: str
    minutes_per_month: float | None
    minutes_per_day: float | None
    longest_movie_seconds: float
    largest_frame: tuple[int, int]
    jobs_at_once: int | None
    rest: bool
    usd_per_month: float


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`requests` in any `window` seconds, sliding."""

    requests: int
    window: float


def read_errors(place: Node) -> dict[str, ErrorEntry]:
    """Return the catalogue of refusals by code."""
    return {code: _error(code, row.allow_keys("status", "text", "when")) for code, row in place.items()}


def read_job_errors(place: Node) -> dict[str, str]:
    """Return the templates of the texts that a failed job carries, by code."""
    return {code: read_template(row.allow_keys("text", "when", "phase")["text"]) for code, row in place.items()}


def read_phase_errors(place: Node) -> dict[str, str]:
    """Return the code with which a job fails in a phase, where nothing else is said."""
    return {row["phase"].expect(str): code for code, row in place.items() if "phase" in row.value}


def read_plans(place: Node) -> dict[str, Plan]:
    """Return the plans by name, in the order of the spec."""
    return {name: _plan(name, row) for name, row in place.items()}


def read_rate_limit(place: Node) -> RateLimit:
    """Return the sliding window that every key has."""
    place.allow_keys("requests", "windowSeconds")
    return RateLimit(number(place["requests"], int, least=1), number(place["windowSeconds"], float, least=0.001))


def number(place: Node, kind: type, *, least: float = 0) -> Any:
    """Return a number of at least `least`."""
    value = place.expect(kind)
    return value if value >= least else place.fail(f"expected {least} or more, got {preview(value)}")


def key_scheme(schemes: Node) -> Node:
    """Return the scheme that says in which header a key is sent; a scheme that the mock cannot check is refused."""
    found: Node | None = None
    for _, scheme in schemes.items():
        kind, where = scheme["type"].expect(str), scheme.value.get("in")
        if kind == "apiKey" and where != "header":
            scheme["in"].fail(f"expected header, got {preview(where)}: the mock reads keys from headers only")
        if kind == "apiKey":
            found = found or scheme
        elif kind != "http" or str(scheme.value.get("scheme")).lower() != "bearer":
            scheme.fail("expected type apiKey in a header, or type http with scheme bearer: the mock checks no other")
    return found or schemes.fail("no scheme of type apiKey: add one, with an `x-key-pattern`")


def read_key_pattern(scheme: Node) -> re.Pattern[str]:
    """Return what an API key looks like: the `x-key-pattern` of its scheme."""
    place = scheme["x-key-pattern"]
    try:
        return re.compile(place.expect(str))
    except re.error as problem:
        return place.fail(f"{preview(place.value)} is not a regular expression: {problem}")


def read_presets(root: Node) -> dict[str, int]:
    """Return the workers of every quality preset: `x-workers`, beside the `enum` that names the presets."""
    schema = next(_with_workers(root), None)
    if schema is None:
        root.fail("no schema has `x-workers`: add it to the one of qualityPreset, as in {stable: 2, turbo: 6}")
    workers = {name: number(place, int, least=1) for name, place in schema["x-workers"].items()}
    unnamed = [name for name in schema.value.get("enum", workers) if name is not None and name not in workers]
    if unnamed:
        schema["x-workers"].fail(f"{preview(unnamed[0])} has no workers: add it.{did_you_mean(unnamed[0], workers)}")
    return workers


def _with_workers(place: Node) -> Iterator[Node]:
    if isinstance(place.value, dict):
        if "x-workers" in place.value:
            yield place
        for _, part in place.items():
            yield from _with_workers(part)
    elif isinstance(place.value, list):
        for part in place:
            yield from _with_workers(part)


def _error(code: str, row: Node) -> ErrorEntry:
    status = row["status"].expect(int)
    if not 400 <= status <= 599:
        row["status"].fail(f"expected a status from 400 to 599, got {status}")
    return ErrorEntry(code, status, read_template(row["text"]))


def read_template(place: Node) -> str:
    """Return a text whose placeholders are plain names."""
    text: str = place.expect(str)
    try:
        fields = [
            (name, rest or conversion) for _, name, rest, conversion in Formatter().parse(text) if name is not None
        ]
    except ValueError as problem:
        place.fail(f"{preview(text)}: {problem}; write {{{{ and }}}} for braces that are meant as such")
    for name, more in fields:
        if not name.isidentifier() or more:
            place.fail(f"a placeholder is a name alone, as in {{seconds}}; got {{{name}{more or ''}}}")
    return text


def _plan(name: str, row: Node) -> Plan:
    row.allow_keys(
        *("usdPerMonth", "renderMinutesPerMonth", "renderMinutesPerDay", "longestMovieSeconds"),
        *("largestFrame", "jobsAtOnce", "rest"),
    )
    frame = row["largestFrame"].allow_keys("width", "height")
    return Plan(
        name=name,
        minutes_per_month=_limit(row["renderMinutesPerMonth"], float),
        minutes_per_day=_limit(row["renderMinutesPerDay"], float),
        longest_movie_seconds=number(row["longestMovieSeconds"], float),
        largest_frame=(number(frame["width"], int, least=1), number(frame["height"], int, least=1)),
        jobs_at_once=_limit(row["jobsAtOnce"], int),
        rest=row["rest"].expect(bool),
        usd_per_month=number(row["usdPerMonth"], float),
    )


def _limit(place: Node, kind: type) -> Any:
    return None if place.value is None else number(place, kind)
