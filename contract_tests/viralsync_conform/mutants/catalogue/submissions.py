"""Mutants that answer submissions wrongly."""

from __future__ import annotations

from functools import partial

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import UNUSED_KEY, MutantCall
from viralsync_conform.mutants.engine.layers import (
    after,
    edit_jobs,
    edit_json,
    edit_request,
    edit_response,
    fields,
    response_mutant,
    status,
    when,
)
from viralsync_conform.mutants.engine.spec_edits import spec_mutant
from viralsync_conform.mutants.mutant import Mutant

SUBMIT = "submitRenderJob"
SCENE = {"id": "only", "duration": 1}
VALID = {"kind": "movie", "projectId": "proj_mutant", "movie": {"scenes": [SCENE]}}

taken = partial(response_mutant, "submissions")
accepts = partial(response_mutant, "validation")
bound = partial(spec_mutant, "validation")


async def as_stranger(visit: MutantCall) -> Answer:
    """Keep the job where its owner cannot find it."""
    return await visit.proceed(visit.request.with_headers(x_api_key=UNUSED_KEY, authorization=None))


async def same_id(visit: MutantCall, answer: Answer) -> None:
    """Answer each submission with the id of the first."""
    document = answer.document
    document["jobId"] = visit.memory.setdefault("first", document["jobId"])
    answer.document = document


async def made_twice(visit: MutantCall, _answer: Answer) -> None:
    """Submit again what was submitted."""
    await visit.again(visit.request)


async def same_movie_same_job(visit: MutantCall) -> Answer | None:
    """Answer a submission that was made before with the job that it made then."""
    known = visit.memory.setdefault("movies", {})
    if visit.request.body not in known:
        answer = await visit.proceed()
        if answer.status == 202:
            known[visit.request.body] = answer.body
        return answer
    return Answer(202, [(b"content-type", b"application/json")], known[visit.request.body])


async def whole_job(visit: MutantCall, answer: Answer) -> None:
    """Answer with the whole job."""
    answer.body = (await visit.ask("GET", f"/v1/jobs/{answer.document['jobId']}")).body


SUBMISSIONS: tuple[Mutant, ...] = (
    taken("submit-200", "A submission is answered with 200.", edit_response(status(200), SUBMIT)),
    taken("submit-201", "A submission is answered with 201.", edit_response(status(201), SUBMIT)),
    taken("submit-without-id", "The answer to a submission has no jobId.", edit_json(lambda d: d.pop("jobId"), SUBMIT)),
    taken(
        "submit-id-under-another-name",
        "The answer to a submission calls the jobId `id`.",
        edit_json(lambda d: d.update(id=d.pop("jobId")), SUBMIT),
    ),
    taken("submit-done-at-once", "The answer to a submission says `done`.", edit_json(fields(status="done"), SUBMIT)),
    taken(
        "submit-pending",
        "The answer to a submission has a status that is none.",
        edit_json(fields(status="pending"), SUBMIT),
    ),
    taken("submit-lost", "The job of a submission cannot be read afterwards.", when(SUBMIT, as_stranger)),
    taken("submit-same-id", "Two submissions get the same jobId.", after(SUBMIT, same_id, status=202)),
    taken("submit-twice", "Each submission makes two jobs.", after(SUBMIT, made_twice, status=202)),
    taken("submit-idempotent", "Submitting the same movie again makes no new job.", when(SUBMIT, same_movie_same_job)),
    taken("submit-whole-job", "The answer to a submission is the whole job.", after(SUBMIT, whole_job, status=202)),
    taken(
        "submit-ignores-options",
        "renderOptions are ignored: scenes are rendered one at a time.",
        edit_request(
            lambda r: (
                r.with_document({**r.document, "renderOptions": {"requestedConcurrency": 1}})
                if isinstance(r.document, dict)
                else r
            ),
            SUBMIT,
        ),
    ),
    taken(
        "submit-no-body",
        "A submission is answered with an empty body.",
        edit_response(lambda answer: setattr(answer, "body", b""), SUBMIT),
    ),
    taken(
        "submit-id-in-capitals",
        "GET calls the job by another spelling of its id.",
        edit_jobs(lambda d, _: d.update(jobId=d["jobId"].upper()), "getJob"),
    ),
)
