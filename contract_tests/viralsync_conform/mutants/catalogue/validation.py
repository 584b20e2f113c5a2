"""Mutants that accept what is not valid, or refuse what is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    after,
)
from viralsync_conform.mutants.mutant import Section

SUBMIT = "submitRenderJob"
SCENE = {"id": "only", "duration": 1}
VALID = {"kind": "movie", "projectId": "proj_mutant", "movie": {"scenes": [SCENE]}}
accepts = Section("validation")
INVALID = 400


def lenient(repair: Callable[[dict[str, Any]], object]) -> Layer:
    """Take a submission that was refused once it has been repaired."""

    async def repaired(call: MutantCall, _answer: Answer) -> Answer | None:
        document = call.request.document
        if not isinstance(document, dict):
            return None
        try:
            repair(document)
        except (KeyError, TypeError, AttributeError, ValueError):
            return None
        return await call.again(call.request.with_document(document))

    return after(repaired, SUBMIT, status=INVALID)


@accepts("accepts-malformed-json", "A body that is not JSON is accepted.", after, SUBMIT, status=INVALID)
async def any_body(call: MutantCall, _answer: Answer) -> Answer | None:
    return await call.again(call.request.with_document(VALID)) if call.request.document is None else None


@accepts("accepts-other-media-types", "A body of any type is accepted as JSON.", after, SUBMIT, status=INVALID)
async def as_json(call: MutantCall, _answer: Answer) -> Answer | None:
    return await call.again(call.request.with_body(call.request.body))


def texts_to_numbers(name: str) -> Callable[[dict[str, Any]], None]:
    """Return a repair that reads a number of the movie from a text."""

    def repair(document: dict[str, Any]) -> None:
        document["movie"][name] = float(document["movie"][name])

    return repair


@accepts("accepts-duration-as-text", "`duration` may be a text.", lenient)
def scene_texts(document: dict[str, Any]) -> None:
    for scene in document["movie"]["scenes"]:
        scene["duration"] = float(scene["duration"])


@accepts("accepts-numbers-as-scene-ids", "A scene's id may be a number.", lenient)
def numbered_ids(document: dict[str, Any]) -> None:
    for scene in document["movie"]["scenes"]:
        scene["id"] = str(scene["id"])


@accepts("accepts-one-scene-for-a-list", "`scenes` may be one scene.", lenient)
def one_scene(document: dict[str, Any]) -> None:
    if isinstance(document["movie"]["scenes"], dict):
        document["movie"]["scenes"] = [document["movie"]["scenes"]]


@accepts("accepts-any-project-id", "`projectId` may be a number.", lenient)
def text_id(document: dict[str, Any]) -> None:
    document["projectId"] = str(document["projectId"])


@accepts("accepts-unknown-layers", "A layer of an unknown type is accepted.", lenient)
def no_layers(document: dict[str, Any]) -> None:
    for scene in document["movie"]["scenes"]:
        scene.pop("layers")


@accepts("accepts-no-movie", "A submission without a movie is accepted.", lenient)
def no_movie(document: dict[str, Any]) -> None:
    document.setdefault("movie", {}).setdefault("scenes", [SCENE])


accepts.add("accepts-fps-as-text", "`fps` may be a text.", lenient(texts_to_numbers("fps")))
accepts.add("accepts-width-as-text", "`width` may be a text.", lenient(texts_to_numbers("width")))
accepts.add(
    "accepts-unknown-preset",
    "Any text is a quality preset.",
    lenient(lambda document: document["renderOptions"].pop("qualityPreset")),
)
accepts.add(
    "refuses-unknown-fields",
    "Unknown fields in a movie are refused.",
    None,
    edit_spec=lambda document: document["components"]["schemas"]["Movie"].update(additionalProperties=False),
)
MUTANTS = accepts.mutants
