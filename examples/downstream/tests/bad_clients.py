"""Two clients as one should not write them: they work on good days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from viralsync_client.progress import events


class Impatient:
    """Wants it now: knows no `Retry-After`, looks as often as it can, submits again whatever went wrong."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._http = httpx.Client(base_url=base_url, headers={"x-api-key": api_key})

    def render(self, movie: Mapping[str, Any]) -> str:
        """Submit until it works, then ask until it is over; return the status."""
        submission = {"kind": "movie", "projectId": "proj_hasty", "movie": movie}
        job_id = self._until_it_works("POST", "/v1/render/jobs", json=submission)["jobId"]
        while True:
            job = self._until_it_works("GET", f"/v1/jobs/{job_id}")
            if job["status"] in ("done", "failed", "cancelled"):
                return str(job["status"])

    def _until_it_works(self, method: str, path: str, **options: Any) -> Any:
        while True:
            try:
                answer = self._http.request(method, path, **options)
            except httpx.TransportError:
                continue
            if answer.is_success:
                return answer.json()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class Careless:
    """Hopes for the best: when a stream breaks, that was that."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._http = httpx.Client(base_url=base_url, headers={"x-api-key": api_key})

    def submit(self, movie: Mapping[str, Any], callback_url: str | None = None) -> str:
        """Submit a movie and return its job's id."""
        submission = {"kind": "movie", "projectId": "proj_lax", "movie": movie, "callbackUrl": callback_url}
        return str(self._http.post("/v1/render/jobs", json=submission).json()["jobId"])

    def progress(self, job_id: str) -> Iterator[str]:
        """Yield the data of the events that come while the connection lasts."""
        try:
            with self._http.stream("GET", f"/v1/jobs/{job_id}/progress") as answer:
                for _, data in events(answer.iter_lines()):
                    yield data
        except httpx.TransportError:
            return

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def careless_endpoint() -> Starlette:
    """Return an application that says yes to whatever comes."""

    async def receive(request: Request) -> Response:
        await request.json()
        return Response("thanks")

    return Starlette(routes=[Route("/", receive, methods=["POST"])])
