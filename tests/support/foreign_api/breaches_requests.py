"""Breaches of sections 3 and 4: what a submit may hold, its defaults, its workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .breach_kinds import field_rule, hooked, tuned
from .conduct import Breach
from .wire import Doc

_SCENES, _MOVIE, _OPTIONS = "$.movie.scenes", "$.movie", "$.renderOptions"
_LAYER, _PRESET, _CONCURRENCY = f"{_SCENES}[].layers[].type", f"{_OPTIONS}.qualityPreset", "requestedConcurrency"
_LAYERS: Final = ("video", "image", "audio", "text")
_PRESETS: Final = ("stable", "balanced", "fast", "turbo")
_FRAME_NEEDS = "a submit with an Enterprise key (on Pro, the 400 or 402 in place of the other)"
_MANY = "a job of many scenes, watched while it renders"
_ECHO = "a job that shows the movie with its defaults"
_EDGES: Final = (
    ("width", "D-4.3", f"{_MOVIE}.width", 360, 3840),
    ("height", "D-4.4", f"{_MOVIE}.height", 360, 2160),
    ("fps", "D-4.5", f"{_MOVIE}.fps", 1, 60),
    ("concurrency", "D-4.13", f"{_OPTIONS}.{_CONCURRENCY}", 1, 32),
)


def _edges() -> Iterator[Breach]:
    for name, fact, place, low, high in _EDGES:
        large = name in {"width", "height"}
        needs, seen = (_FRAME_NEEDS, False) if large else ("a submit", True)
        yield field_rule(f"{name}-minimum-refused", fact, place, low=low + 1)
        yield field_rule(f"{name}-below-minimum-accepted", fact, place, low=low - 1)
        yield field_rule(f"{name}-maximum-refused", fact, place, needs, high=high - 1)
        yield field_rule(f"{name}-above-maximum-accepted", fact, place, needs, seen, high=high + 1)
        yield field_rule(f"{name}-unchecked", fact, place, low=None, high=None)
        yield field_rule(f"{name}-text-accepted", fact, place, type="numeric")


def _lists() -> Iterator[Breach]:
    for refused in _LAYERS:
        rest = tuple(each for each in _LAYERS if each != refused)
        yield field_rule(f"layer-{refused}-refused", "D-4.9", _LAYER, one_of=rest)
    for refused in _PRESETS:
        rest = tuple(each for each in _PRESETS if each != refused)
        yield field_rule(f"preset-{refused}-refused", "D-4.10", _PRESET, one_of=rest)
    for preset, workers in {"stable": 1, "balanced": 2, "fast": 3, "turbo": 4}.items():
        yield tuned(f"preset-{preset}-{workers}-workers", "D-4.11", _MANY, workers={preset: workers})


def _types() -> Iterator[Breach]:
    table = (
        ("title", "D-4.2", f"{_MOVIE}.title"),
        ("movie-id", "D-4.1", f"{_MOVIE}.id"),
        ("project", "D-3.2", "$.projectId"),
        ("scene-id", "D-4.8", f"{_SCENES}[].id"),
        ("callback", "D-3.5", "$.callbackUrl"),
        ("preset", "D-4.10", _PRESET),
    )
    for name, fact, place in table:
        yield field_rule(f"{name}-number-accepted", fact, place, type="any", format="", one_of=None)
    for name, fact, place in (
        ("kind", "D-3.1", "$.kind"),
        ("project", "D-3.2", "$.projectId"),
        ("movie", "D-3.3", _MOVIE),
        ("scenes", "D-4.6", _SCENES),
        ("scene-id", "D-4.8", f"{_SCENES}[].id"),
    ):
        yield field_rule(f"{name}-missing-accepted", fact, place, required=False)
    for name, fact, place in (
        ("title", "D-4.2", f"{_MOVIE}.title"),
        ("movie-id", "D-4.1", f"{_MOVIE}.id"),
        ("width", "D-4.3", f"{_MOVIE}.width"),
        ("render-options", "D-3.4", _OPTIONS),
        ("callback", "D-3.5", "$.callbackUrl"),
        ("preset", "D-4.10", _PRESET),
    ):
        yield field_rule(f"{name}-required", fact, place, required=True)


def _scenes_shown(order: Any) -> Any:
    def hook(document: Doc, _job: Any) -> Doc:
        payload = document.get("payload") or {}
        scenes = payload.get("movie", {}).get("scenes")
        if not scenes:
            return document
        return {**document, "payload": {**payload, "movie": {**payload["movie"], "scenes": order(scenes)}}}

    return hook


def _smaller(document: Doc, job: Any) -> Doc:
    media = document.get("mediaData")
    if not media or "width" not in media or job.preset not in {"fast", "turbo"}:
        return document
    return {**document, "mediaData": {**media, "width": media["width"] // 2, "height": media["height"] // 2}}


def _without_movie_id(document: Doc, _job: Any) -> Doc:
    payload = document.get("payload")
    if not payload or "movie" not in payload:
        return document
    movie = {name: value for name, value in payload["movie"].items() if name != "id"}
    return {**document, "payload": {**payload, "movie": movie}}


BREACHES: Final = (
    field_rule("kind-any-accepted", "D-3.1", "$.kind", one_of=None),
    field_rule("movie-array-accepted", "D-3.3", _MOVIE, type="any"),
    field_rule("render-options-text-accepted", "D-3.4", _OPTIONS, type="any"),
    *_edges(),
    *_lists(),
    *_types(),
    field_rule("fps-fraction-refused", "D-4.5", f"{_MOVIE}.fps", type="integer"),
    field_rule("width-fraction-refused", "D-4.3", f"{_MOVIE}.width", type="integer"),
    field_rule("concurrency-fraction-accepted", "D-4.13", f"{_OPTIONS}.{_CONCURRENCY}", type="number"),
    field_rule("scenes-empty-accepted", "D-4.6", _SCENES, low=0),
    field_rule("scenes-single-refused", "D-4.6", _SCENES, low=2),
    field_rule("scenes-over-ten-refused", "D-4.6", _SCENES, high=10),
    field_rule("scene-id-repeated-accepted", "D-4.8", f"{_SCENES}[].id", unique=""),
    field_rule("scene-id-repeated-accepted-apart", "D-4.8", f"{_SCENES}[].id", unique="adjacent"),
    field_rule("layer-any-accepted", "D-4.9", _LAYER, one_of=None),
    field_rule("preset-any-accepted", "D-4.10", _PRESET, one_of=None),
    field_rule("preset-case-ignored", "D-4.10", _PRESET, one_of=(*_PRESETS, *map(str.upper, _PRESETS))),
    tuned("preset-default-stable", "D-4.10", _MANY, defaults={"preset": "stable"}),
    tuned("preset-default-turbo", "D-4.10", _MANY, defaults={"preset": "turbo"}),
    hooked("preset-lowers-quality", "D-4.12", "a finished job on fast or turbo", variants="ABC", job=_smaller),
    tuned("width-default-1280", "D-4.3", "a finished job without width", variants="ABC", defaults={"width": 1280}),
    tuned("height-default-720", "D-4.4", "a finished job without height", variants="ABC", defaults={"height": 720}),
    tuned("title-default-empty", "D-4.2", _ECHO, variants="B", defaults={"title": ""}),
    tuned("fps-default-24", "D-4.5", _ECHO, variants="B", defaults={"fps": 24}),
    hooked("movie-id-not-generated", "D-4.1", _ECHO, variants="B", job=_without_movie_id),
    hooked(
        "scenes-reversed", "D-4.7", "a job that shows its movie", variants="ABC", job=_scenes_shown(lambda it: it[::-1])
    ),
    hooked(
        "scenes-sorted",
        "D-4.7",
        "a job whose scene ids are in no order",
        variants="ABC",
        job=_scenes_shown(lambda scenes: sorted(scenes, key=lambda scene: str(scene.get("id")))),
    ),
    tuned("concurrency-ignored", "D-4.14", _MANY, effective=lambda _asked, preset, scenes: min(preset, scenes)),
    tuned(
        "concurrency-capped-by-preset",
        "D-4.14",
        _MANY,
        effective=lambda asked, preset, scenes: min(asked or preset, preset, scenes),
    ),
    tuned("scenes-one-by-one", "D-4.15", _MANY, effective=lambda _asked, _preset, _scenes: 1),
    tuned("scenes-all-at-once", "D-4.15", _MANY, effective=lambda _asked, _preset, scenes: scenes),
)
