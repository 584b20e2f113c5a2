"""What a submit asks for, read from a body that has passed the rules (or that a breach let through)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .wire import Doc

SCENE_SECONDS = 5.0
"""How long a scene without a duration lasts."""


@dataclass(frozen=True)
class Order:
    """A render as ordered; `length` is seconds of video, `requested` the asked concurrency."""

    project_id: str
    movie: Doc
    scenes: list[Doc]
    width: float
    height: float
    preset: str
    requested: int | None
    callback_url: str | None

    @property
    def length(self) -> float:
        """The sum of the durations of the scenes, in seconds."""
        return sum(_number(scene.get("duration"), SCENE_SECONDS) for scene in self.scenes)

    def with_defaults(self, movie_id: str, defaults: Mapping[str, Any]) -> Doc:
        """The movie with every field that was left out filled in."""
        given = {name: value for name, value in self.movie.items() if value is not None}
        return {"id": movie_id, **{name: defaults[name] for name in ("title", "width", "height", "fps")}, **given}


def order_of(body: Any, defaults: Mapping[str, Any]) -> Order:
    """The order in a body; what is missing or of the wrong type is as if left out."""
    body = _object(body)
    movie, options = _object(body.get("movie")), _object(body.get("renderOptions"))
    scenes = movie.get("scenes")
    callback = body.get("callbackUrl")
    requested = _number(options.get("requestedConcurrency"), 0)
    return Order(
        project_id=str(body.get("projectId", "")),
        movie=movie,
        scenes=[_object(scene) for scene in scenes] if isinstance(scenes, list) else [],
        width=_number(movie.get("width"), defaults["width"]),
        height=_number(movie.get("height"), defaults["height"]),
        preset=str(options.get("qualityPreset") or defaults["preset"]),
        requested=max(1, int(requested)) if requested else None,
        callback_url=callback if isinstance(callback, str) else None,
    )


def scene_fails(scene: Doc) -> bool:
    """Whether an asset of the scene cannot be downloaded: its host ends in `.invalid`, which no name server knows."""
    layers = scene.get("layers")
    values = [value for layer in (layers if isinstance(layers, list) else []) for value in _object(layer).values()]
    return any(_host(value).endswith(".invalid") for value in values if isinstance(value, str))


def _host(text: str) -> str:
    try:
        return urlsplit(text).hostname or ""
    except ValueError:
        return ""


def _object(value: Any) -> Doc:
    return value if isinstance(value, dict) else {}


def _number(value: Any, default: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default
