"""What the production of the tests takes for a submission: the documented constraints, checked by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

NUMBERS = {"width": (360, 3840), "height": (360, 2160), "fps": (1, 60)}
LAYERS = ("video", "image", "audio", "text")
PRESETS = ("stable", "balanced", "fast", "turbo", None)
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_URL = re.compile(r"https?://[\w.~:@%\[\]!$&'()*+,;=-]+(?:[/?#][\w.~:@%\[\]!$&'()*+,;=/?#-]*)?", re.ASCII)


def what_is_wrong(body: object) -> str:
    """Return the first thing that is wrong with a submission; empty where nothing is."""
    return next(_wrong(body), "")


def _wrong(body: object) -> Iterator[str]:
    if not isinstance(body, dict):
        yield "the body must be an object"
        return
    if body.get("kind") != "movie":
        yield "$.kind must be movie"
    if not (isinstance(body.get("projectId"), str) and body["projectId"]):
        yield "$.projectId must be a text"
    url = body.get("callbackUrl")
    if url is not None and not (isinstance(url, str) and _URL.fullmatch(url)):
        yield "$.callbackUrl must be a URL"
    yield from _wrong_options(body.get("renderOptions"))
    movie = body.get("movie")
    if isinstance(movie, dict):
        yield from _wrong_movie(movie)
    else:
        yield "$.movie must be an object"


def _wrong_options(options: Any) -> Iterator[str]:
    if options is None:
        return
    if not isinstance(options, dict):
        yield "$.renderOptions must be an object"
        return
    preset, workers = options.get("qualityPreset"), options.get("requestedConcurrency")
    if isinstance(preset, list | dict) or preset not in PRESETS:
        yield "$.renderOptions.qualityPreset is not known"
    if workers is not None and not (_is_number(workers) and workers == int(workers) and 1 <= workers <= 32):
        yield "$.renderOptions.requestedConcurrency must be from 1 to 32"


def _wrong_movie(movie: dict[str, Any]) -> Iterator[str]:
    for name, (least, most) in NUMBERS.items():
        value = movie.get(name)
        if value is not None and not (_is_number(value) and least <= value <= most):
            yield f"$.movie.{name} must be from {least} to {most}"
    for name in ("id", "title"):
        if not isinstance(movie.get(name), str | None):
            yield f"$.movie.{name} must be a text"
    scenes = movie.get("scenes")
    if not (isinstance(scenes, list) and scenes):
        yield "$.movie.scenes must have at least one scene"
        return
    for number, scene in enumerate(scenes):
        yield from (f"$.movie.scenes[{number}]: {wrong}" for wrong in _wrong_scene(scene))
    ids = [scene["id"] for scene in scenes if isinstance(scene, dict) and isinstance(scene.get("id"), str)]
    if len(set(ids)) < len(ids):
        yield "$.movie.scenes: two have the same id"


def _wrong_scene(scene: Any) -> Iterator[str]:
    if not isinstance(scene, dict):
        yield "must be an object"
        return
    if not isinstance(scene.get("id"), str):
        yield "id must be a text"
    if not (_is_number(scene.get("duration")) and scene["duration"] > 0):
        yield "duration must be more than 0"
    colour, layers = scene.get("bgColor"), scene.get("layers")
    if colour is not None and not (isinstance(colour, str) and _COLOUR.fullmatch(colour)):
        yield "bgColor must be a colour"
    if layers is not None and not isinstance(layers, list):
        yield "layers must be a list"
    for layer in layers if isinstance(layers, list) else ():
        if not (isinstance(layer, dict) and isinstance(layer.get("type"), str) and layer["type"] in LAYERS):
            yield "a layer must have a type"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
