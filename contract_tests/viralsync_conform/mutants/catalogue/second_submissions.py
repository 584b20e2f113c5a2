"""A second set of servers, written without a look at the checks: submissions that are read wrongly."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import Document, edit_jobs, edit_request, response_mutant, when
from viralsync_conform.mutants.engine.spec_edits import schema, spec_mutant

THEME = "submitRenderJob"
MAX_SCENES, MIN_LENGTH = 20, 0.1


def _scenes(document: Any) -> list[Document]:
    try:
        return [scene for scene in document["movie"]["scenes"] if isinstance(scene, dict)]
    except (KeyError, TypeError):
        return []


def _refusing(is_refused: Callable[[Any], bool], violations: str) -> Layer:
    """Refuse what was submitted where this holds."""

    async def make(visit: MutantCall) -> Answer | None:
        document = visit.request.document
        is_wrong = isinstance(document, dict) and is_refused(document)
        return visit.refusal("VALIDATION_ERROR", violations=violations) if is_wrong else None

    return when("submitRenderJob", make)


def _reading(change: Callable[[Document], object]) -> Layer:
    """Take something else than was submitted, where it is an object."""

    def changed(request: Any) -> Any:
        document = request.document
        if not isinstance(document, dict) or not isinstance(document.get("movie"), dict):
            return request
        before = repr(document)
        change(document)
        return request if repr(document) == before else request.with_document(document)

    return edit_request(changed, "submitRenderJob")


def _ids(document: Any) -> list[str]:
    return [scene["id"] for scene in _scenes(document) if isinstance(scene.get("id"), str)]


def _any_case(document: Document) -> bool:
    ids = _ids(document)
    return len({each.lower() for each in ids}) < len(set(ids))


def _distant_twins(document: Document) -> None:
    scenes = _scenes(document)
    ids = _ids(document)
    if len(ids) == len(scenes) and all(one != two for one, two in pairwise(ids)):
        for number, scene in enumerate(scenes):
            if scene["id"] in ids[:number]:
                scene["id"] += f" ({number})"


def _brief(document: Document) -> bool:
    return any(isinstance(s.get("duration"), float) and 0 < s["duration"] < MIN_LENGTH for s in _scenes(document))


def _options(document: Document) -> Document:
    found = document.get("renderOptions")
    return found if isinstance(found, dict) else {}


def _clamped(document: Document) -> None:
    wanted = _options(document).get("requestedConcurrency")
    if isinstance(wanted, int) and wanted > 32:
        document["renderOptions"]["requestedConcurrency"] = 32


def _more_than_scenes(document: Document) -> bool:
    wanted = _options(document).get("requestedConcurrency")
    return isinstance(wanted, int) and wanted <= 32 and wanted > len(_scenes(document)) > 0


def _preset_wins(document: Document) -> None:
    if _options(document).get("qualityPreset"):
        document["renderOptions"].pop("requestedConcurrency", None)


def _any_kind(document: Document) -> None:
    if isinstance(document.get("kind"), str) and document["kind"].lower() == "movie":
        document["kind"] = "movie"


def _not_ascii(document: Document) -> bool:
    title = document["movie"].get("title") if isinstance(document.get("movie"), dict) else None
    return isinstance(title, str) and not title.isascii()


def _known_only(document: Document) -> bool:
    return bool(set(document) - {"kind", "projectId", "movie", "renderOptions", "callbackUrl"})


def _texts(document: Document) -> None:
    for name in ("width", "height", "fps"):
        value = document["movie"].get(name)
        if isinstance(value, str) and value.isdigit():
            document["movie"][name] = int(value)


def _slow_frames(job: Document, _: object) -> None:
    movie = job["payload"].get("movie", {})
    if job["mediaData"] and movie.get("fps") not in (None, 30):
        job["mediaData"]["duration"] = round(job["mediaData"]["duration"] * 30 / movie["fps"], 3)


_WORKERS = "RenderOptions.properties.qualityPreset.x-workers"

SECOND_SUBMISSIONS = (
    spec_mutant(
        THEME,
        "width-below-3840",
        "A movie may be 3839 pixels wide at most.",
        schema("Movie.properties.width.maximum", 3839),
    ),
    spec_mutant(
        THEME, "height-up-to-3840", "A movie may be 3840 pixels high.", schema("Movie.properties.height.maximum", 3840)
    ),
    spec_mutant(
        THEME, "width-from-320", "A movie may be 320 pixels wide.", schema("Movie.properties.width.minimum", 320)
    ),
    spec_mutant(
        THEME, "height-from-361", "A movie of 360 lines is refused.", schema("Movie.properties.height.minimum", 361)
    ),
    spec_mutant(
        THEME,
        "fps-sixty-refused",
        "A movie of 60 frames a second is refused.",
        schema("Movie.properties.fps.maximum", 59),
    ),
    spec_mutant(
        THEME,
        "fps-whole-only",
        "A movie of 29.97 frames a second is refused.",
        schema("Movie.properties.fps.type", ["integer", "null"]),
    ),
    spec_mutant(
        THEME, "fps-one-refused", "A movie of one frame a second is refused.", schema("Movie.properties.fps.minimum", 2)
    ),
    spec_mutant(
        THEME, "title-null-refused", "The title may not be null.", schema("Movie.properties.title.type", "string")
    ),
    spec_mutant(
        THEME,
        "duration-whole-only",
        "Scenes last whole seconds only.",
        schema("Scene.properties.duration.type", "integer"),
    ),
    spec_mutant(
        THEME,
        "colour-lower-case-only",
        "A colour in capital letters is refused.",
        schema("Scene.properties.bgColor.pattern", "^#[0-9a-f]{6}$"),
    ),
    spec_mutant(
        THEME, "turbo-with-four", "The preset turbo renders four scenes at a time.", schema(f"{_WORKERS}.turbo", 4)
    ),
    spec_mutant(
        THEME, "stable-with-one", "The preset stable renders one scene at a time.", schema(f"{_WORKERS}.stable", 1)
    ),
    *(
        response_mutant(THEME, name, statement, layer)
        for name, statement, layer in (
            (
                "scene-ids-unique-in-any-case",
                "Ids of scenes that differ in case only are refused.",
                _refusing(_any_case, "$.movie.scenes: an id came twice"),
            ),
            (
                "distant-twins-accepted",
                "An id may come twice, unless in neighbouring scenes.",
                _reading(_distant_twins),
            ),
            (
                "twenty-scenes-at-most",
                "A movie of more than 20 scenes is refused.",
                _refusing(lambda d: len(_scenes(d)) > MAX_SCENES, "$.movie.scenes: too many"),
            ),
            (
                "brief-scene-refused",
                "A scene of less than a tenth of a second is refused.",
                _refusing(_brief, "$.movie.scenes[0].duration: too short"),
            ),
            ("concurrency-clamped", "A requestedConcurrency over 32 stands for 32.", _reading(_clamped)),
            (
                "concurrency-over-scenes-refused",
                "A requestedConcurrency over the number of scenes is refused.",
                _refusing(_more_than_scenes, "$.renderOptions.requestedConcurrency: more than scenes"),
            ),
            ("preset-beats-concurrency", "A qualityPreset overrides requestedConcurrency.", _reading(_preset_wins)),
            ("kind-in-any-case", "The kind may be written in capital letters.", _reading(_any_kind)),
            (
                "title-in-ascii-only",
                "A title that is not ASCII is refused.",
                _refusing(_not_ascii, "$.movie.title: not ASCII"),
            ),
            (
                "unknown-field-refused",
                "An unknown field beside the movie is refused.",
                _refusing(_known_only, "$: unknown field"),
            ),
            ("numbers-as-text-accepted", "Width, height and fps may be texts of digits.", _reading(_texts)),
            (
                "duration-in-thirtieths",
                "The duration of a movie is reckoned as if it had 30 frames a second.",
                edit_jobs(_slow_frames),
            ),
        )
    ),
)
