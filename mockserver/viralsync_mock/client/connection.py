"""How the client speaks to the control API of one sandbox."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from functools import cache
from json import JSONDecodeError
from threading import Lock
from typing import TYPE_CHECKING, Any

import httpx2

from viralsync_mock.errors import ControlError
from viralsync_mock.webhooks.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEEPALIVE_SECONDS = 3.0
"""How long an idle connection is kept: less than the mock's server keeps it."""


def open_connections() -> httpx2.Client:
    """Return connections for any number of sandboxes; threads may share them. Certificates are not checked."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_SECONDS)
    # a mock's certificate is made up on the spot
    transport = Transport(verify=unverified(), trust_env=False, limits=limits)
    return httpx2.Client(transport=transport, trust_env=False)


@cache
def unverified() -> ssl.SSLContext:
    """Return the TLS settings that all clients share: reading the authorities' certificates takes 20 ms each time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class ControlConnection:
    """Calls the control API of one sandbox; raises ControlError for every refusal.

    Without `http` it opens connections of its own, which `close` closes; those that it is given stay open.
    """

    def __init__(
        self, base_url: str, api_key: str, control_token: str | None, timeout: float, http: httpx2.Client | None
    ) -> None:
        self.base_url, self.api_key = base_url.rstrip("/"), api_key
        self.control_token, self.timeout = control_token, timeout
        self.headers = {"x-api-key": api_key, **({"x-mock-token": control_token} if control_token else {})}
        self._is_shared, self._http = http is not None, http
        self._opening = Lock()

    def with_key(self, api_key: str) -> ControlConnection:
        """Return a connection for another key on the same mock; it shares this one's sockets."""
        return ControlConnection(self.base_url, api_key, self.control_token, self.timeout, self._open())

    def _open(self) -> httpx2.Client:
        with self._opening:
            self._http = open_connections() if self._http is None else self._http
        return self._http

    def request(self, method: str, path: str, document: object = None, **query: object) -> Any:
        """Make one call under `/__mock` and return the JSON values of its response."""
        target = f"/__mock{path}"
        try:
            response = self._open().request(
                method,
                f"{self.base_url}{target}",
                headers=self.headers,
                timeout=self.timeout,
                json=document,
                params={name: str(value) for name, value in query.items() if value is not None},
            )
        except httpx2.TimeoutException:
            raise ControlError(f"{self.base_url} has not answered {method} {target} in {self.timeout:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as problem:
            start = "Start one with: viralsync-mock serve"
            raise ControlError(f"no mock answers at {self.base_url}: {str(problem).rstrip('.')}. {start}") from None
        return self._read(response, f"{method} {target}")

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[Iterator[str]]:
        """Make a call whose response is a stream of events; yield its lines as they come."""
        call, sent = f"GET /__mock{path}", {**self.headers, **headers}
        try:
            with self._open().stream(
                "GET", f"{self.base_url}/__mock{path}", headers=sent, timeout=self.timeout
            ) as response:
                if not response.is_success:
                    response.read()
                    self._read(response, call)
                yield response.iter_lines()
        except (httpx2.HTTPError, httpx2.InvalidURL) as problem:
            raise ControlError(f"{self.base_url} has broken off {call}: {str(problem).rstrip('.')}") from None

    def _read(self, response: httpx2.Response, call: str) -> Any:
        try:
            document = response.json()
            if response.is_success:
                return document
            text, code = str(document["error"]), str(document["code"])
        except (JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
            got = f"{response.status_code} {response.headers.get('content-type', 'without a body')}"
            raise ControlError(f"{call}: {self.base_url} is no viralsync-mock: it answers {got}") from None
        raise ControlError(f"{call}: {text}{self._advice(text, code)}", code)

    def _advice(self, text: str, code: str) -> str:
        if code == "FORBIDDEN" and not self.control_token:
            return " Give it as Sandbox(..., control_token=...)."
        if code == "NOT_FOUND" and "control API" not in text:
            return f" {self.base_url} has no control API: is it a viralsync-mock, started without --no-control?"
        return ""

    def close(self) -> None:
        """Close the connections, unless they were given."""
        if self._http is not None and not self._is_shared:
            self._http.close()
