"""Mutants that answer submissions wrongly, accept what is not valid, or refuse what is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import UNUSED_KEY, Layer, MutantCall
from viralsync_conform.mutants.engine.layers import Document, after, edit_jobs, edit_request, when
from viralsync_conform.mutants.mutant import Section

SUBMIT = "submitRenderJob"
taken = Section("submissions")
accepts = Section("validation")


@taken("submit-same-id", "Two submissions get the same jobId.", after, SUBMIT, status=202)
async def same_id(call: MutantCall, answer: Answer) -> None:
    document = answer.document
    document["jobId"] = call.memory.setdefault("first", document["jobId"])
    answer.document = document


@taken("submit-twice", "Each submission makes two jobs.", after, SUBMIT, status=202)
async def made_twice(call: MutantCall, _answer: Answer) -> None:
    await call.again(call.request)


@taken("submit-idempotent", "Submitting the same movie again makes no new job.", when, SUBMIT)
async def same_movie_same_job(call: MutantCall) -> Answer | None:
    known = call.memory.setdefault("movies", {})
    if call.request.body not in known:
        answer = await call.proceed()
        if answer.status == 202:
            known[call.request.body] = answer.body
        return answer
    return Answer(202, [(b"content-type", b"application/json")], known[call.request.body])


@taken("submit-whole-job", "The answer to a submission is the whole job.", after, SUBMIT, status=202)
async def whole_job(call: MutantCall, answer: Answer) -> None:
    answer.body = (await call.ask("GET", f"/v1/jobs/{answer.document['jobId']}")).body


MAX_SCENES, MIN_LENGTH = 20, 0.1
KNOWN = frozenset({"kind", "projectId", "movie", "renderOptions", "callbackUrl"})


def _scenes(document: Any) -> list[Document]:
    try:
        return [scene for scene in document["movie"]["scenes"] if isinstance(scene, dict)]
    except (KeyError, TypeError):
        return []


def refusing(is_refused: Callable[[Any], object], violations: str) -> Layer:
    """Refuse what was submitted where this holds."""

    async def make(call: MutantCall) -> Answer | None:
        document = call.request.document
        is_wrong = isinstance(document, dict) and is_refused(document)
        return call.refusal("VALIDATION_ERROR", violations=violations) if is_wrong else None

    return when(make, "submitRenderJob")


def reading(change: Callable[[Document], object]) -> Layer:
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


@accepts.blind("scene-ids-unique-in-any-case", "Ids of scenes that differ in case only are refused.", refusing,
    "$.movie.scenes: an id came twice")  # fmt: skip
def any_case(document: Document) -> bool:
    ids = _ids(document)
    return len({each.lower() for each in ids}) < len(set(ids))


@accepts.blind("distant-twins-accepted", "An id may come twice, unless in neighbouring scenes.", reading)
def distant_twins(document: Document) -> None:
    scenes = _scenes(document)
    ids = _ids(document)
    if len(ids) == len(scenes) and all(one != two for one, two in pairwise(ids)):
        for number, scene in enumerate(scenes):
            if scene["id"] in ids[:number]:
                scene["id"] += f" ({number})"


def options(document: Document) -> Document:
    found = document.get("renderOptions")
    return found if isinstance(found, dict) else {}


@accepts.blind("concurrency-clamped", "A requestedConcurrency over 32 stands for 32.", reading)
def clamped(document: Document) -> None:
    wanted = options(document).get("requestedConcurrency")
    if isinstance(wanted, int) and wanted > 32:
        document["renderOptions"]["requestedConcurrency"] = 32


@accepts.blind("concurrency-over-scenes-refused", "A requestedConcurrency over the number of scenes is refused.",
    refusing, "$.renderOptions.requestedConcurrency: more than scenes")  # fmt: skip
def more_than_scenes(document: Document) -> bool:
    wanted = options(document).get("requestedConcurrency")
    return isinstance(wanted, int) and wanted <= 32 and wanted > len(_scenes(document)) > 0


@accepts.blind("preset-beats-concurrency", "A qualityPreset overrides requestedConcurrency.", reading)
def preset_wins(document: Document) -> None:
    if options(document).get("qualityPreset"):
        document["renderOptions"].pop("requestedConcurrency", None)


@accepts.blind("kind-in-any-case", "The kind may be written in capital letters.", reading)
def any_kind(document: Document) -> None:
    if isinstance(document.get("kind"), str) and document["kind"].lower() == "movie":
        document["kind"] = "movie"


@accepts.blind("title-in-ascii-only", "A title that is not ASCII is refused.", refusing, "$.movie.title: not ASCII")
def not_ascii(document: Document) -> bool:
    title = document["movie"].get("title") if isinstance(document.get("movie"), dict) else None
    return isinstance(title, str) and not title.isascii()


@accepts.blind("numbers-as-text-accepted", "Width, height and fps may be texts of digits.", reading)
def texts(document: Document) -> None:
    for name in ("width", "height", "fps"):
        value = document["movie"].get(name)
        if isinstance(value, str) and value.isdigit():
            document["movie"][name] = int(value)


@accepts.blind(
    "duration-in-thirtieths", "The duration of a movie is reckoned as if it had 30 frames a second.", edit_jobs
)
def slow_frames(job: Document, _: object) -> None:
    movie = job["payload"].get("movie", {})
    if job["mediaData"] and movie.get("fps") not in (None, 30):
        job["mediaData"]["duration"] = round(job["mediaData"]["duration"] * 30 / movie["fps"], 3)


taken.add("submit-ignores-options", "renderOptions are ignored: scenes are rendered one at a time.",
    reading(lambda document: document.update(renderOptions={"requestedConcurrency": 1})))  # fmt: skip
accepts.blind.add("twenty-scenes-at-most", "A movie of more than 20 scenes is refused.",
    refusing(lambda d: len(_scenes(d)) > MAX_SCENES, "$.movie.scenes: too many"))  # fmt: skip


SCENE = {"id": "only", "duration": 1}
VALID = {"kind": "movie", "projectId": "proj_mutant", "movie": {"scenes": [SCENE]}}
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


def each_scene(repair: Callable[[Document], object]) -> Callable[[Document], None]:
    def repair_all(document: Document) -> None:
        for scene in document["movie"]["scenes"]:
            repair(scene)

    return repair_all


def texts_to_numbers(name: str) -> Callable[[dict[str, Any]], None]:
    """Return a repair that reads a number of the movie from a text."""

    def repair(document: dict[str, Any]) -> None:
        document["movie"][name] = float(document["movie"][name])

    return repair


@accepts("accepts-one-scene-for-a-list", "`scenes` may be one scene.", lenient)
def one_scene(document: dict[str, Any]) -> None:
    if isinstance(document["movie"]["scenes"], dict):
        document["movie"]["scenes"] = [document["movie"]["scenes"]]


accepts.add("accepts-fps-as-text", "`fps` may be a text.", lenient(texts_to_numbers("fps")))
accepts.add("accepts-width-as-text", "`width` may be a text.", lenient(texts_to_numbers("width")))
accepts.add("accepts-unknown-preset", "Any text is a quality preset.",
    lenient(lambda document: document["renderOptions"].pop("qualityPreset")))  # fmt: skip
accepts.add("refuses-unknown-fields", "Unknown fields in a movie are refused.", None,
    edit_spec=lambda spec: spec["components"]["schemas"]["Movie"].update(additionalProperties=False))  # fmt: skip
accepts.add("accepts-duration-as-text", "`duration` may be a text.",
    lenient(each_scene(lambda scene: scene.update(duration=float(scene["duration"])))))  # fmt: skip
accepts.add("accepts-numbers-as-scene-ids", "A scene's id may be a number.",
    lenient(each_scene(lambda scene: scene.update(id=str(scene["id"])))))  # fmt: skip
accepts.add("accepts-unknown-layers", "A layer of an unknown type is accepted.",
    lenient(each_scene(lambda scene: scene.pop("layers"))))  # fmt: skip
accepts.add("accepts-any-project-id", "`projectId` may be a number.",
    lenient(lambda document: document.update(projectId=str(document["projectId"]))))  # fmt: skip
accepts.add("accepts-no-movie", "A submission without a movie is accepted.",
    lenient(lambda document: document.setdefault("movie", {}).setdefault("scenes", [SCENE])))  # fmt: skip
accepts.add("accepts-other-media-types", "A body of any type is accepted as JSON.",
    after(lambda call, _: call.again(call.request.with_body(call.request.body)), SUBMIT, status=INVALID))  # fmt: skip
taken.add("submit-lost", "The job of a submission cannot be read afterwards.",
    edit_request(lambda request: request.with_headers(x_api_key=UNUSED_KEY, authorization=None), SUBMIT))  # fmt: skip
accepts.blind.add("unknown-field-refused", "An unknown field beside the movie is refused.",
    refusing(lambda document: set(document) - KNOWN, "$: unknown field"))  # fmt: skip
accepts.blind.add("brief-scene-refused", "A scene of less than a tenth of a second is refused.",
    refusing(lambda d: any(isinstance(s.get("duration"), float) and 0 < s["duration"] < MIN_LENGTH for s in _scenes(d)),
        "$.movie.scenes[0].duration: too short"))  # fmt: skip
MUTANTS = (*taken.mutants, *accepts.mutants)
