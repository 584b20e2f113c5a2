"""The peer to beat: the same routes as a plain Starlette app would have them, with nothing behind them.

It parses and serialises with orjson, validates with jsonschema-rs against the same schema, and returns
constants. It checks no key, counts no requests, keeps no job and writes no journal.
"""

from typing import Any

import jsonschema_rs
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.contract import submit_schema
from benchmarks.payloads import ACCEPTED, JOB

VALIDATOR = jsonschema_rs.validator_for(submit_schema())


def respond(document: Any, status: int = 200) -> Response:
    """Serialise with orjson, as the mock does."""
    return Response(orjson.dumps(document), status, media_type="application/json")


def refusal(text: str) -> Response:
    """400 in the API's error shape."""
    return respond({"error": text, "code": "VALIDATION_ERROR"}, 400)


async def submit(request: Request) -> Response:
    """Parse and validate the body, then accept it."""
    try:
        body = orjson.loads(await request.body())
        VALIDATOR.validate(body)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        return refusal(str(error))
    return respond(ACCEPTED, 202)


async def get_job(request: Request) -> Response:
    """The constant job under the id that was asked for."""
    return respond({**JOB, "jobId": request.path_params["jobId"]})


async def list_jobs(request: Request) -> Response:
    """A page of constant jobs."""
    limit = request.query_params.get("limit", "25")
    if not limit.isdigit():
        return refusal("limit is not an integer")
    return respond({"jobs": [JOB] * int(limit), "nextCursor": None})


async def delete_job(request: Request) -> Response:
    """Say that the job is gone."""
    return respond({"jobId": request.path_params["jobId"], "deleted": True})


async def get_me(_: Request) -> Response:
    """A constant account."""
    return respond({"userId": "user_bench", "plan": "enterprise", "email": "bench@example.com"})


async def get_usage(_: Request) -> Response:
    """A constant usage."""
    return respond({"plan": "enterprise", "renderMinutes": {"used": 0, "limit": None, "remaining": None}})


app = Starlette(
    routes=[
        Route("/v1/render/jobs", submit, methods=["POST"]),
        Route("/v1/jobs", list_jobs, methods=["GET"]),
        Route("/v1/jobs/{jobId}", get_job, methods=["GET"]),
        Route("/v1/jobs/{jobId}/cancel", get_job, methods=["POST"]),
        Route("/v1/jobs/{jobId}", delete_job, methods=["DELETE"]),
        Route("/v1/me", get_me, methods=["GET"]),
        Route("/v1/usage", get_usage, methods=["GET"]),
    ]
)
