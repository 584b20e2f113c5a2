"""What every contender is asked: a key, a small movie, and the Job that a server answers with."""

import json
from pathlib import Path
from typing import Any

KEY = "vs_prod_" + "b3nch" * 6 + "00"

SUBMIT_PATH = "/v1/render/jobs"
JOB_PATH = "/v1/jobs/job_0123456789ab"

MOVIE: dict[str, Any] = {
    "id": "movie_bench",
    "title": "Three scenes",
    "width": 1280,
    "height": 720,
    "fps": 30,
    "scenes": [
        {
            "id": f"scene_{number}",
            "duration": 2,
            "bgColor": "#102030",
            "layers": [{"type": "text", "text": f"Scene {number}", "x": 40, "y": 40}],
        }
        for number in (1, 2, 3)
    ],
}

SUBMISSION: dict[str, Any] = {"kind": "movie", "projectId": "proj_bench01", "movie": MOVIE}
SUBMISSION_BODY = json.dumps(SUBMISSION, separators=(",", ":")).encode()

#: The echo that a job has to carry; what the mock keeps beyond it is overhead.
PAYLOAD = {"projectId": SUBMISSION["projectId"], "movie": MOVIE}
PAYLOAD_BYTES = len(json.dumps(PAYLOAD, separators=(",", ":")).encode())

ACCEPTED = {"jobId": "job_0123456789ab", "status": "queued"}

JOB: dict[str, Any] = {
    "jobId": "job_0123456789ab",
    "type": "render",
    "status": "waiting",
    "phase": "rendering",
    "progress": 0.5,
    "parentJobId": None,
    "outputUrl": None,
    "error": None,
    "mediaData": None,
    "payload": PAYLOAD,
    "children": {"total": 3, "succeeded": 1, "running": 1, "queued": 1, "failed": 0},
    "createdAt": "2026-01-01T00:00:00.000Z",
    "updatedAt": "2026-01-01T00:00:08.432Z",
}

#: The limiter counts and never refuses; the first steps last a second each: one `advance`, one step.
SCENARIO = """\
name: bench
description: The happy path under a rate limit that counts and is never reached.
account: {plan: enterprise}
limits: {rate: 999999/60s}
job:
  queued: 1s
  planning: 1s
  dispatching: 1s
"""


def write_scenario(folder: Path) -> Path:
    """The scenario file of the benchmarks, in `folder`."""
    path = folder / "bench.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path
