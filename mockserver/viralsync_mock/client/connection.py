"""How the client speaks to the control API of one sandbox."""

from __future__ import annotations

from json import JSONDecodeError
from typing import Any

import httpx

from viralsync_mock.errors import ControlError

MAX_IDLE_CONNECTIONS = 3.0
"""Seconds that an idle connection is kept: less than the mock's server keeps it."""


def open_connections() -> httpx.Client:
    """Return connections for any number of sandboxes; threads may share them. Certificates are not checked."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=MAX_IDLE_CONNECTIONS)
    # a mock's certificate is made up on the spot, and reading those of the authorities takes longer than a test
    return httpx.Client(transport=httpx.HTTPTransport(verify=False, trust_env=False, limits=limits), trust_env=False)


class ControlConnection:
    """Asks the control API of one sandbox; raises ControlError for every refusal.

    Without `http` the door has connections of its own, which `close` closes; those that it is given stay open.
    """

    def __init__(
        self, base_url: str, api_key: str, control_token: str | None, timeout: float, http: httpx.Client | None
    ) -> None:
        self.base_url, self.api_key = base_url.rstrip("/"), api_key
        self.control_token, self.timeout = control_token, timeout
        self._headers = {"x-api-key": api_key, **({"x-mock-token": control_token} if control_token else {})}
        self._is_shared = http is not None
        self._http = open_connections() if http is None else http

    def with_key(self, api_key: str) -> ControlConnection:
        """Return the door of another key on the same mock, with the same connections."""
        return ControlConnection(self.base_url, api_key, self.control_token, self.timeout, self._http)

    def request(self, method: str, path: str, document: object = None, **query: object) -> Any:
        """Make one call under `/__mock` and return its answer as JSON values."""
        target = f"/__mock{path}"
        try:
            answer = self._http.request(
                method,
                f"{self.base_url}{target}",
                headers=self._headers,
                timeout=self.timeout,
                json=document,
                params={name: str(value) for name, value in query.items() if value is not None},
            )
        except httpx.TimeoutException:
            raise ControlError(f"{self.base_url} has not answered {method} {target} in {self.timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            start = "Start one with: viralsync-mock serve"
            raise ControlError(f"no mock answers at {self.base_url}: {str(problem).rstrip('.')}. {start}") from None
        return self._read(answer, f"{method} {target}")

    def _read(self, answer: httpx.Response, call: str) -> Any:
        try:
            document = answer.json()
            if answer.is_success:
                return document
            text, code = str(document["error"]), str(document["code"])
        except (JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
            got = f"{answer.status_code} {answer.headers.get('content-type', 'without a body')}"
            raise ControlError(f"{call}: {self.base_url} is no viralsync-mock: it answers {got}") from None
        raise ControlError(f"{call}: {text}{self._advice(text, code)}", code)

    def _advice(self, text: str, code: str) -> str:
        if code == "FORBIDDEN" and not self.control_token:
            return " Give it as Sandbox(..., control_token=...)."
        if code == "NOT_FOUND" and "control API" not in text:
            return f" {self.base_url} has no control API: is it a viralsync-mock, started without --no-control?"
        return ""

    def close(self) -> None:
        """Close the door's own connections."""
        if not self._is_shared:
            self._http.close()
