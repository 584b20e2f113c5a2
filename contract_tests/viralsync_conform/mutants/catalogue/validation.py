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
from viralsync_conform.mutants.engine.spec_edits import optional, put, schema, spec_mutant
from viralsync_conform.mutants.mutant import Mutant

SUBMIT = "submitRenderJob"
SCENE = {"id": "only", "duration": 1}
VALID = {"kind": "movie", "projectId": "proj_mutant", "movie": {"scenes": [SCENE]}}

taken = partial(response_mutant, "submissions")
accepts = partial(response_mutant, "validation")
bound = partial(spec_mutant, "validation")

INVALID = 400


def lenient(repair: Callable[[dict[str, Any]], object]) -> Layer:
    """Take a submission that was refused once it has been repaired."""

    async def repaired(visit: MutantCall, _answer: Answer) -> Answer | None:
        document = visit.request.document
        if not isinstance(document, dict):
            return None
        try:
            repair(document)
        except (KeyError, TypeError, AttributeError, ValueError):
            return None
        return await visit.again(visit.request.with_document(document))

    return after(SUBMIT, repaired, status=INVALID)


async def any_body(visit: MutantCall, _answer: Answer) -> Answer | None:
    """Take a body that is not JSON for a movie."""
    return await visit.again(visit.request.with_document(VALID)) if visit.request.document is None else None


async def as_json(visit: MutantCall, _answer: Answer) -> Answer | None:
    """Take a body for JSON whatever its type is called."""
    return await visit.again(visit.request.with_body(visit.request.body))


def texts_to_numbers(name: str) -> Callable[[dict[str, Any]], None]:
    """Return a repair that reads a number of the movie from a text."""

    def repair(document: dict[str, Any]) -> None:
        document["movie"][name] = float(document["movie"][name])

    return repair


def scene_texts(document: dict[str, Any]) -> None:
    """Read the lengths of scenes from texts."""
    for scene in document["movie"]["scenes"]:
        scene["duration"] = float(scene["duration"])


def numbered_ids(document: dict[str, Any]) -> None:
    """Read the ids of scenes from numbers."""
    for scene in document["movie"]["scenes"]:
        scene["id"] = str(scene["id"])


def one_scene(document: dict[str, Any]) -> None:
    """Take one scene for a list of them."""
    if isinstance(document["movie"]["scenes"], dict):
        document["movie"]["scenes"] = [document["movie"]["scenes"]]


def text_id(document: dict[str, Any]) -> None:
    """Take any project for a text."""
    document["projectId"] = str(document["projectId"])


def no_layers(document: dict[str, Any]) -> None:
    """Leave layers out that are not known."""
    for scene in document["movie"]["scenes"]:
        scene.pop("layers")


def no_movie(document: dict[str, Any]) -> None:
    """Take a submission without a movie for one with an empty scene."""
    document.setdefault("movie", {}).setdefault("scenes", [SCENE])


OPTIONS = "RenderOptions.properties"
MOVIE = "Movie.properties"


VALIDATION: tuple[Mutant, ...] = (
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
    bound(
        "accepts-duration-0",
        "A scene may last 0 seconds.",
        schema("Scene.properties.duration", {"type": "number", "minimum": 0}),
    ),
    bound(
        "accepts-negative-duration",
        "A scene may last less than nothing.",
        schema("Scene.properties.duration", {"type": "number"}),
    ),
    bound("accepts-no-duration", "A scene needs no duration.", optional("Scene", "duration")),
    bound("accepts-no-scene-id", "A scene needs no id.", optional("Scene", "id")),
    bound("accepts-duplicate-scene-ids", "Two scenes may have the same id.", schema(f"{MOVIE}.scenes.x-unique-by")),
    bound("accepts-fps-61", "`fps` may be 61.", schema(f"{MOVIE}.fps.maximum", 61)),
    bound("accepts-fps-0", "`fps` may be 0.", schema(f"{MOVIE}.fps.minimum", 0)),
    bound("accepts-width-359", "`width` may be 359.", schema(f"{MOVIE}.width.minimum", 359)),
    bound("accepts-width-3841", "`width` may be 3841.", schema(f"{MOVIE}.width.maximum", 3841)),
    bound("accepts-height-2161", "`height` may be 2161.", schema(f"{MOVIE}.height.maximum", 2161)),
    bound("accepts-height-359", "`height` may be 359.", schema(f"{MOVIE}.height.minimum", 359)),
    bound("refuses-fps-60", "`fps` may not be 60.", schema(f"{MOVIE}.fps.maximum", 59)),
    bound("refuses-width-360", "`width` may not be 360.", schema(f"{MOVIE}.width.minimum", 361)),
    accepts(
        "accepts-unknown-preset",
        "Any text is a quality preset.",
        lenient(lambda document: document["renderOptions"].pop("qualityPreset")),
    ),
    bound(
        "accepts-concurrency-0",
        "`requestedConcurrency` may be 0.",
        schema(f"{OPTIONS}.requestedConcurrency.minimum", 0),
    ),
    bound(
        "accepts-concurrency-33",
        "`requestedConcurrency` may be 33.",
        schema(f"{OPTIONS}.requestedConcurrency.maximum", 33),
    ),
    bound(
        "refuses-turbo",
        "The preset `turbo` is refused.",
        schema(
            f"{OPTIONS}.qualityPreset",
            {
                "enum": ["stable", "balanced", "fast", None],
                "default": "balanced",
                "x-workers": {"stable": 2, "balanced": 3, "fast": 4},
            },
        ),
    ),
    bound(
        "accepts-other-kinds",
        "`kind` may be any text.",
        schema("RenderJobSubmission.properties.kind", {"type": "string"}),
    ),
    bound("accepts-no-kind", "`kind` may be missing.", optional("RenderJobSubmission", "kind")),
    bound(
        "accepts-empty-project-id",
        "`projectId` may be empty.",
        schema("RenderJobSubmission.properties.projectId.minLength", 0),
    ),
    bound(
        "accepts-ftp-callback",
        "`callbackUrl` may be an ftp address.",
        schema("RenderJobSubmission.properties.callbackUrl.pattern", "^(https?|ftp)://[^/?#]+"),
    ),
    bound(
        "accepts-any-callback",
        "`callbackUrl` may be any text.",
        schema("RenderJobSubmission.properties.callbackUrl", {"type": ["string", "null"]}),
    ),
    bound("accepts-any-colour", "`bgColor` may be any text.", schema("Scene.properties.bgColor.pattern")),
    bound("refuses-null", "`null` for an optional field is refused.", schema(f"{MOVIE}.title.type", "string")),
    bound(
        "refuses-unknown-fields",
        "Unknown fields in a movie are refused.",
        lambda document: document["components"]["schemas"]["Movie"].update(additionalProperties=False),
    ),
    bound(
        "accepts-bodies-of-2-mib",
        "A body of two mebibytes is accepted.",
        put("x-body-limit.bytes", 2 * 1024 * 1024 + 4096),
    ),
    bound("refuses-bodies-of-1-kib", "A body of more than a kibibyte is refused.", put("x-body-limit.bytes", 1024)),
)
