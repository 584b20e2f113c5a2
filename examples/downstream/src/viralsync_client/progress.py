"""The progress of a job as the API streams it, over as many connections as it takes."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import httpx

from viralsync_client.door import Door
from viralsync_client.errors import error_of
from viralsync_client.records import Job
from viralsync_client.retrying import Outcome


@dataclass
class Progress:
    """The stream of one job; `silence` is how many seconds without a byte mean that the connection is lost."""

    door: Door
    job_id: str
    silence: float
    last_id: str = ""
    fruitless: int = 0
    """How many connections in a row told nothing new."""

    def updates(self) -> Iterator[Job]:
        """Yield the job at each change until it is over; raises an error when too many connections were fruitless."""
        while True:
            problem = yield from self._connection()
            if problem is None:
                return
            self.fruitless += 1
            wait = self.door.retries.wait_after(self.fruitless, problem)
            if wait is None:
                raise error_of(problem)
            self.door.sleep(wait)

    def _connection(self) -> Generator[Job, None, Outcome | None]:
        headers = {"accept": "text/event-stream"} | ({"last-event-id": self.last_id} if self.last_id else {})
        path, timeout = f"/v1/jobs/{self.job_id}/progress", httpx.Timeout(10.0, read=self.silence)
        try:
            with self.door.http.stream("GET", path, headers=headers, timeout=timeout) as answer:
                if not answer.is_success:
                    answer.read()
                    return answer
                for job in self._new(answer.iter_lines()):
                    yield job
                    if job.is_over:
                        return None
                return httpx.RemoteProtocolError("the stream ended before the job did")
        except httpx.RequestError as problem:
            return problem

    def _new(self, lines: Iterable[str]) -> Iterator[Job]:
        for number, data in events(lines):
            if number and number == self.last_id:
                continue
            try:
                job = Job.of(json.loads(data))
            except (ValueError, KeyError, TypeError) as problem:
                raise httpx.DecodingError(f"event {number} is broken: {problem!r}") from problem
            self.last_id, self.fruitless = number or self.last_id, 0
            yield job


def events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield id and data of each event that is whole; comments and other fields are passed over."""
    number, data = "", list[str]()
    for line in lines:
        name, _, value = line.partition(":")
        if name == "id":
            number = value.removeprefix(" ")
        elif name == "data":
            data.append(value.removeprefix(" "))
        elif not line:
            if data:
                yield number, "\n".join(data)
            data = []
