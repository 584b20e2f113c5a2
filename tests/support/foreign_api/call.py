"""One request on its way through the server."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .limits import Window
from .model import Account
from .wire import Refused


@dataclass(eq=False)
class Call:
    """A request, what is known about it so far, and its number since the start of the server."""

    request: web.Request
    number: int
    operation: str = ""
    job_id: str = ""
    header: str = ""
    account: Account = field(init=False)
    window: Window | None = None
    body: bytes = b""

    @property
    def method(self) -> str:
        """The method; a HEAD is treated as the GET it stands for."""
        return "GET" if self.request.method == "HEAD" else self.request.method

    def json(self) -> Any:
        """The body as JSON; refused as malformed when it is none."""
        try:
            return json.loads(self.body, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise Refused("malformed", "$ is not JSON.") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
