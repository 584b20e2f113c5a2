"""The children of a job: its scenes and its assembly, which are jobs of their own."""

from __future__ import annotations

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.journeys.job_lifecycle import ended_job
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext


@journey(
    "children",
    "The scenes and the assembly of a job are jobs of their own, readable by id; what it does not have is none.",
    8,
    renders=True,
)
def children(context: JourneyContext) -> None:
    life = ended_job(context)
    last = len(life.job.body["movie"]["scenes"])
    for nobody, check in ((f"scene_{life.job.id}_000", facts.CHILD_UNKNOWN), (life.job.id.upper(), facts.CASE)):
        context.call("getJob", "JOB_NOT_FOUND", fact=check, path={"jobId": nobody}, step=f"read no job: {check.name}")
    unknown = {"jobId": f"scene_{life.job.id}_{last + 1:03}"}
    context.call("getJob", "JOB_NOT_FOUND", fact=facts.CHILD_UNKNOWN, path=unknown, step="read a scene too many")
    child = {"jobId": f"scene_{life.job.id}_001"}
    call = context.call("streamJobProgress", 200, fact=facts.CHILD_STREAM, path=child, step="stream a child")
    context.check(facts.CHILD_STREAM, call.is_success, call)
    for child_id, kind in (
        (f"scene_{life.job.id}_{last:03}", "render.scene"),
        (f"assemble_{life.job.id}", "render.assemble"),
    ):
        call = context.call("getJob", 200, fact=facts.CHILD_READ, path={"jobId": child_id}, step=f"read a {kind}")
        if call.is_success:
            context.check_equal(facts.CHILD_TYPE, kind, call.document.get("type"), call)
            context.check_equal(facts.PARENT, life.job.id, call.document.get("parentJobId"), call)
            context.check_equal(facts.JOB_ID, child_id, call.document.get("jobId"), call)
            context.check_equal(facts.CHILDREN_DONE, life.status, call.document.get("status"), call, name="child")
