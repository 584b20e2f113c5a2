"""What is unusual and valid all the same: a client may send it, and no server may fail over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.plan_limits import sandbox_of
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import attempt, refused, submit
from viralsync_mock.client import JobStatus

Changes = Mapping[str, Any]

ACCEPTED = Check("valid_accepted", "What is valid is accepted, however unusual it is.", facts.D, facts.RENDER)
UNIQUE_IDS = Check("unique_scene_ids", "The ids of scenes are unique within a movie.", facts.D, facts.RENDER)
TOLERATED = Check(
    "unknown_accepted", "What a request has beside what is documented is accepted.", facts.A, facts.RENDER
)
KIND = Check("kind", "The kind of a job is exactly `movie`.", facts.D, facts.RENDER)
NUMBERS = Check("numbers", "A number is no text.", facts.D, facts.RENDER)
CALLBACK = Check("callback_url", "A callback is an address of http or https.", facts.A, facts.RENDER)
SURVIVES = Check("odd_paths", "An odd path is refused like any other that leads nowhere.", facts.A, facts.ERRORS)
WORKERS = Check("workers", "As many scenes render at once as preset or number ask for.", facts.D, facts.PIPELINE)
METHODS = Check("head_and_options", "HEAD answers as GET does, OPTIONS names the methods.", facts.A, facts.ERRORS)

SCENES = 7
LONG_SCENES = {
    "name": "long-scenes-of-conform",
    "description": "Scenes take an hour.",
    "job": {"scene": {"at_least": "1h"}},
}


def scenes(number: int, **changes: Any) -> list[dict[str, Any]]:
    """Return this many short scenes."""
    return [{"id": f"scene {each}", "duration": 0.1, **changes} for each in range(number)]


def variations() -> Iterator[tuple[str, Changes]]:
    """Yield what is valid and unusual, by name: parts that go over the usual submission."""
    yield from _forms()
    yield from _texts()
    yield from _extremes()


def _forms() -> Iterator[tuple[str, Changes]]:
    layers = [{"type": kind, "x": {"deep": [1, None, {"y": "z"}]}} for kind in ("video", "image", "audio", "text")]
    yield "an upright frame", {"movie": {"width": 1080, "height": 1920, "scenes": scenes(1)}}
    yield "smallest frame", {"movie": {"width": 360, "height": 360, "fps": 1, "scenes": scenes(1)}}
    yield "defaults only", {"movie": {"scenes": scenes(1)}}
    yield "fractional rate", {"movie": {"fps": 29.97, "scenes": scenes(1)}}
    yield "largest frame", {"movie": {"width": 3840, "height": 2160, "fps": 60, "scenes": scenes(1)}}
    yield (
        "nulls",
        {
            "movie": {
                "id": None,
                "title": None,
                "width": None,
                "height": None,
                "fps": None,
                "scenes": scenes(1, layers=None),
            },
            "renderOptions": None,
            "callbackUrl": None,
        },
    )
    yield (
        "unknown fields",
        {
            "movie": {"scenes": scenes(1, later="field"), "later": {"field": 1}},
            "renderOptions": {"later": True},
            "later": ["field"],
        },
    )
    yield "every kind of layer", {"movie": {"scenes": scenes(1, layers=layers, bgColor="#abcdef")}}
    yield "a colour in capitals", {"movie": {"scenes": scenes(1, bgColor="#ABCDEF")}}


def _texts() -> Iterator[tuple[str, Changes]]:
    yield "other alphabets", {"movie": {"title": "Фильм 電影 🎬 \u202eright to left", "scenes": scenes(1)}}
    yield "quotes and markup", {"movie": {"title": "\"';--<script>&amp;{{7*7}}${x}%s\\", "scenes": scenes(1)}}
    yield "control characters", {"movie": {"title": "a\x00b\r\nc\td\x7f", "scenes": scenes(1)}}
    yield "a long title", {"movie": {"title": "t" * 5000, "scenes": scenes(1)}}
    yield "empty title", {"movie": {"title": "", "id": "", "scenes": scenes(1)}}


def _extremes() -> Iterator[tuple[str, Changes]]:
    yield "many scenes", {"movie": {"scenes": scenes(100)}}
    yield "a very short scene", {"movie": {"scenes": [{"id": "blink", "duration": 0.001}]}}
    yield "whole and fractional", {"movie": {"scenes": [{"id": "a", "duration": 1}, {"id": "b", "duration": 1.25}]}}
    yield "an odd project", {"projectId": 'Проект/ONE?1#&=%00 "x"'}
    yield "ids that differ in case", {"movie": {"scenes": [{"id": name, "duration": 0.1} for name in ("b", "B", "a")]}}
    yield "least concurrency", {"renderOptions": {"requestedConcurrency": 1}}
    yield "most concurrency", {"renderOptions": {"requestedConcurrency": 32, "qualityPreset": "stable"}}
    yield "an http callback", {"callbackUrl": "http://127.0.0.1:9/hook?a=b&c=%20#x"}


OPEN = frozenset(
    {"nulls", "unknown fields", "a colour in capitals", "empty title", "an odd project", "an http callback"}
)
"""What no page says is accepted."""


def vary(context: JourneyContext) -> Iterator[Any]:
    """Submit each variation, which must be accepted unless that is open, and yield the job."""
    for name, changes in variations():
        if name not in OPEN:
            yield submit(context, step=f"valid: {name}", fact=ACCEPTED, **changes)
        elif job := attempt(context, step=f"valid: {name}", fact=TOLERATED, **changes)[1]:
            yield job


@journey(
    "odd_submissions",
    "What JSON Schema cannot say is refused as well: doubled scene ids, and callbacks that are no web address.",
    8,
    renders=True,
)
def odd_submissions(context: JourneyContext) -> None:
    movie = {"scenes": [{"id": name, "duration": 0.1} for name in ("a", "b", "a")]}
    refused(context, "VALIDATION_ERROR", UNIQUE_IDS, step="doubled scene ids", movie=movie)
    refused(context, "VALIDATION_ERROR", KIND, step="kind in capitals", kind="MOVIE")
    call = refused(
        context, "VALIDATION_ERROR", NUMBERS, step="a number as text", movie={"width": "640", "scenes": scenes(1)}
    )
    if call.status == context.run.contract.status_of_code("VALIDATION_ERROR"):
        text = str(call.document.get("error"))
        context.check(facts.PLACE, "width" in text, call, expected="movie.width", got=text)
    for address in ("ftp://studio.example/hook", "studio.example/hook"):
        refused(context, "VALIDATION_ERROR", CALLBACK, step=f"callback {address}", callbackUrl=address)


@journey("odd_paths", "Ids that no job can have are unknown, whatever characters they are made of.", 12)
def odd_paths(context: JourneyContext) -> None:
    for name, job_id in {
        "NUL": "\x00",
        "another alphabet": "работа-🎬",
        "very long": "x" * 1500,
        "blank": " ",
        "percent": "%25",
    }.items():
        call = context.call("getJob", "JOB_NOT_FOUND", fact=SURVIVES, path={"jobId": job_id}, step=f"odd id: {name}")
        context.check(SURVIVES, not call.is_success, call)
    context.call("listJobs", 200, fact=TOLERATED, query={"later": "field", "limit": 1}, step="unknown query parameter")
    accepting = {"accept": "text/html", "accept-language": "xx", "cookie": "a=b"}
    context.call("getMe", 200, fact=TOLERATED, headers=accepting, step="odd headers")


@journey("other_methods", "HEAD answers as GET does, and OPTIONS names the methods of a path.", 2)
def other_methods(context: JourneyContext) -> None:
    head = context.request("HEAD", "/v1/me", 200, step="HEAD")
    context.check(METHODS, head.body == b"", head, expected="no body", got=len(head.body))
    options = context.request("OPTIONS", "/v1/me", 204, step="OPTIONS")
    if options.is_success:
        context.check(
            METHODS, "GET" in (options.header("allow") or ""), options, expected="GET", got=options.header("allow")
        )


@journey(
    "workers",
    "As many scenes render at once as the preset or the number says, and never more than there are.",
    14,
    needs_control=True,
)
def workers(context: JourneyContext) -> None:
    crew = context.as_account(context.run.target.account("crew", plan="enterprise", scenario=LONG_SCENES))
    presets = crew.run.contract.spec.presets
    default = crew.run.contract.document["components"]["schemas"]["RenderOptions"]["properties"]["qualityPreset"][
        "x-default"
    ]
    asked: dict[str, tuple[Changes, int]] = {
        name: ({"renderOptions": {"qualityPreset": name}}, min(number, SCENES)) for name, number in presets.items()
    }
    asked["nothing"] = {}, presets[default]
    asked["one"] = {"renderOptions": {"requestedConcurrency": 1, "qualityPreset": "turbo"}}, 1
    for name, (options, expected) in asked.items():
        job = submit(crew, step=f"submit for workers: {name}", movie={"scenes": scenes(SCENES)}, **options)
        sandbox_of(crew).clock.run_until(job.id, cast("JobStatus", crew.run.contract.behaviour.job_executing_status))
        sandbox_of(crew).clock.advance(2)
        call = crew.call("getJob", 200, path={"jobId": job.id}, step=f"workers: {name}")
        children = call.document.get("children")
        running = children.get("running") if isinstance(children, dict) else None
        crew.check_equal(WORKERS, expected, running, call, name=name)
