"""The own-ids guard: no unsafe method comes near an id that the run did not create."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OF_A_JOB = re.compile(r"/v1/jobs/(?P<id>\w[\w.~-]*)(/[a-z]+)?", re.ASCII)
"""Nothing that a client or a server could read as another path: no escapes, no dot segments, no empty ones."""


class ForeignIdError(Exception):
    """A call would have touched what this run did not create; it was not made."""


@dataclass(slots=True)
class OwnershipGuard:
    """Knows the jobs that a run created; those that it deleted stay its own."""

    created: list[str] = field(default_factory=list)

    def own(self, job_id: str) -> None:
        """Remember a job that the run created."""
        if job_id not in self.created:
            self.created.append(job_id)

    def check(self, method: str, path: str, submit_path: str, has_body: bool, plain: Collection[str] = ()) -> None:
        """Raise ForeignIdError for a call that could change anything but what the run created.

        `path` is without its query, `plain` the paths of the API without any id. Beside submissions, an unsafe method
        may go to a path with an own id; and POST without a body to a plain one, which no API takes for an order, to
        see it refused.
        """
        is_post = method.upper() == "POST"
        if method.upper() in SAFE or (is_post and (path == submit_path or (path in plain and not has_body))):
            return
        known = _OF_A_JOB.fullmatch(path)
        if known and any(_is_of(known["id"], own) for own in self.created):
            return
        raise ForeignIdError(f"{method} {path} was not sent: this run did not create what it is about")


def _is_of(job_id: str, own: str) -> bool:
    """Say whether an id is an own job's, or that of one of its children."""
    return (
        job_id == own
        or job_id == f"assemble_{own}"
        or re.fullmatch(rf"scene_{re.escape(own)}_[0-9]+", job_id) is not None
    )
