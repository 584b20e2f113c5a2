"""The children of a job: its scenes and its assembly, which are jobs of their own."""

from __future__ import annotations

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.journeys.job_lifecycle import completed_job
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext


@journey(
    "children",
    "The scenes and the assembly of a job are jobs of their own, readable by id; what it does not have is none.",
    8,
    renders=True,
)
def children(trip: JourneyContext) -> None:
    life = completed_job(trip)
    last = len(life.job.body["movie"]["scenes"])
    for nobody, check in ((f"scene_{life.job.id}_000", facts.CHILD_UNKNOWN), (life.job.id.upper(), facts.CASE)):
        trip.call("getJob", "JOB_NOT_FOUND", fact=check, path={"jobId": nobody}, step=f"read no job: {check.name}")
    unknown = {"jobId": f"scene_{life.job.id}_{last + 1:03}"}
    trip.call("getJob", "JOB_NOT_FOUND", fact=facts.CHILD_UNKNOWN, path=unknown, step="read a scene too many")
    child = {"jobId": f"scene_{life.job.id}_001"}
    call = trip.call("streamJobProgress", 200, fact=facts.CHILD_STREAM, path=child, step="stream a child")
    trip.check(facts.CHILD_STREAM, call.is_success, call)
    for child_id, kind in (
        (f"scene_{life.job.id}_{last:03}", "render.scene"),
        (f"assemble_{life.job.id}", "render.assemble"),
    ):
        call = trip.call("getJob", 200, fact=facts.CHILD_READ, path={"jobId": child_id}, step=f"read a {kind}")
        if call.is_success:
            trip.check_equal(facts.CHILD_TYPE, kind, call.document.get("type"), call)
            trip.check_equal(facts.PARENT, life.job.id, call.document.get("parentJobId"), call)
            trip.check_equal(facts.JOB_ID, child_id, call.document.get("jobId"), call)
            trip.check_equal(facts.CHILDREN_DONE, life.status, call.document.get("status"), call, name="child")
