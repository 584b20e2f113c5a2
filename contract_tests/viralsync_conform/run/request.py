"""What a run sends: a request before it has gone through the client's hooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from viralsync_conform.target import Account


@dataclass(frozen=True)
class Request:
    """What is to be sent. `path` is percent-encoded already; `content` goes out as it is.

    `auth` is `header`, `bearer` or `none`. `is_paced` keeps it below the rate limit, `is_repeatable` says that it may
    be sent again when it fails. `expected` is the status or code that is expected, for the record.
    """

    method: str
    path: str
    journey: str
    step: str
    account: Account
    operation: str | None = None
    expected: str = ""
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    auth: str = "header"
    is_paced: bool = True
    is_repeatable: bool = False
    is_generated: bool = False

    @property
    def target(self) -> str:
        """Path and query."""
        query = urlencode([(name, value) for name, value in self.query.items() if value is not None], doseq=True)
        return f"{self.path}?{query}" if query else self.path

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers with the key in them, as they go out."""
        key = self.account.key
        ways = {"header": {"x-api-key": key}, "bearer": {"authorization": f"Bearer {key}"}, "none": {}}
        return {**ways[self.auth], **self.headers}

    @property
    def document(self) -> Any:
        """The body as JSON values; None where it is something else."""
        try:
            return orjson.loads(self.content) if self.content else None
        except ValueError:
            return None


def encoded(path: str, parameters: Mapping[str, str]) -> str:
    """Return a path template with its parameters in place, percent-encoded."""
    for name, value in parameters.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


def as_json(document: object) -> bytes:
    """Return a document as it goes out."""
    return orjson.dumps(document)
