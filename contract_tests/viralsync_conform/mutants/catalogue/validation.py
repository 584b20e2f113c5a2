"""Mutants that accept what is not valid, or refuse what is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    after,
    response_mutant,
)
from viralsync_conform.mutants.engine.spec_edits import spec_mutant
from viralsync_conform.mutants.mutant import Mutant

SUBMIT = "submitRenderJob"
SCENE = {"id": "only", "duration": 1}
VALID = {"kind": "movie", "projectId": "proj_mutant", "movie": {"scenes": [SCENE]}}
accepts = partial(response_mutant, "validation")
bound = partial(spec_mutant, "validation")
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

    return after(SUBMIT, repaired, status=INVALID)


async def any_body(call: MutantCall, _answer: Answer) -> Answer | None:
    return await call.again(call.request.with_document(VALID)) if call.request.document is None else None


async def as_json(call: MutantCall, _answer: Answer) -> Answer | None:
    return await call.again(call.request.with_body(call.request.body))


def texts_to_numbers(name: str) -> Callable[[dict[str, Any]], None]:
    """Return a repair that reads a number of the movie from a text."""

    def repair(document: dict[str, Any]) -> None:
        document["movie"][name] = float(document["movie"][name])

    return repair


def scene_texts(document: dict[str, Any]) -> None:
    for scene in document["movie"]["scenes"]:
        scene["duration"] = float(scene["duration"])


def numbered_ids(document: dict[str, Any]) -> None:
    for scene in document["movie"]["scenes"]:
        scene["id"] = str(scene["id"])


def one_scene(document: dict[str, Any]) -> None:
    if isinstance(document["movie"]["scenes"], dict):
        document["movie"]["scenes"] = [document["movie"]["scenes"]]


def text_id(document: dict[str, Any]) -> None:
    document["projectId"] = str(document["projectId"])


def no_layers(document: dict[str, Any]) -> None:
    for scene in document["movie"]["scenes"]:
        scene.pop("layers")


def no_movie(document: dict[str, Any]) -> None:
    document.setdefault("movie", {}).setdefault("scenes", [SCENE])


MUTANTS: tuple[Mutant, ...] = (
    accepts("accepts-malformed-json", "A body that is not JSON is accepted.", after(SUBMIT, any_body, status=INVALID)),
    accepts(
        "accepts-other-media-types", "A body of any type is accepted as JSON.", after(SUBMIT, as_json, status=INVALID)
    ),
    accepts("accepts-fps-as-text", "`fps` may be a text.", lenient(texts_to_numbers("fps"))),
    accepts("accepts-width-as-text", "`width` may be a text.", lenient(texts_to_numbers("width"))),
    accepts("accepts-duration-as-text", "`duration` may be a text.", lenient(scene_texts)),
    accepts("accepts-numbers-as-scene-ids", "A scene's id may be a number.", lenient(numbered_ids)),
    accepts("accepts-one-scene-for-a-list", "`scenes` may be one scene.", lenient(one_scene)),
    accepts("accepts-any-project-id", "`projectId` may be a number.", lenient(text_id)),
    accepts("accepts-unknown-layers", "A layer of an unknown type is accepted.", lenient(no_layers)),
    accepts("accepts-no-movie", "A submission without a movie is accepted.", lenient(no_movie)),
    accepts(
        "accepts-unknown-preset",
        "Any text is a quality preset.",
        lenient(lambda document: document["renderOptions"].pop("qualityPreset")),
    ),
    bound(
        "refuses-unknown-fields",
        "Unknown fields in a movie are refused.",
        lambda document: document["components"]["schemas"]["Movie"].update(additionalProperties=False),
    ),
)
