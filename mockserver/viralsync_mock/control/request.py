"""A request of the control API, and the checks that it passes before its action: one list, in their order.

403 (token, origin) · 404 and 405 · 401 · 413 · 400. No call counts against a limit or moves an auto clock.
"""

from __future__ import annotations

from contextlib import contextmanager
from hmac import compare_digest
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse

from viralsync_mock.api.asgi import decode_body, has_body, read_body
from viralsync_mock.api.auth import KEY_HEADER, no_key, require_api_key
from viralsync_mock.config.yaml_source import preview
from viralsync_mock.errors import ApiError, did_you_mean
from viralsync_mock.jobs.models import parse_timestamp
from viralsync_mock.net import host_of, is_loopback
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from viralsync_mock.openapi.spec import Operation, Spec
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.scenarios.model import Scenario
    from viralsync_mock.state import MockServer
    from viralsync_mock.validation.validator import Validator

SANDBOX_HEADER = b"x-mock-sandbox"
"""Names a sandbox that exists by its `userId`, so that a page need not know its key."""

MAX_SNAPSHOT = 256 * 1024 * 1024

BODY_LIMITS: Mapping[str, int] = MappingProxyType({"restoreSnapshot": MAX_SNAPSHOT})
"""Bytes that the bodies of some operations may have; these bodies are validated by their actions."""


def instant_of(text: str, place: str) -> datetime:
    """Read an instant; raises `Invalid`."""
    try:
        return parse_timestamp(text)
    except (ValueError, OverflowError):
        invalid(place, f"expected an instant such as 2026-01-31T23:58:00Z, got {preview(text)}")


class JsonResponse(JSONResponse):
    """A JSON response, written by orjson."""

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class ControlRequest(Request):
    """A request as the control API's document declares it: `parameters` and `document`, the body, are JSON values.

    `sandbox` is that of the key, or the anonymous one for an operation that needs no key; `now` is its instant.
    """

    mock: MockServer
    validator: Validator
    operation: Operation
    headers_by_name: dict[bytes, bytes]
    sandbox: Sandbox
    scenario: Scenario
    now: datetime
    content: bytes
    parameters: Mapping[str, Any]
    document: Any = None

    @property
    def spec(self) -> Spec:
        return self.mock.files.spec

    def require_key(self) -> str:
        """Return the key that names the sandbox: in the spec's header or in `x-api-key`; raises UNAUTHORIZED."""
        if (user := self.headers_by_name.get(SANDBOX_HEADER)) is not None:
            if key := self.mock.sandboxes.find(user.decode("latin-1")):
                return key
            raise ApiError("UNAUTHORIZED", reason=f"there is no sandbox {preview(user.decode('latin-1'))}.")
        for header in (self.spec.key_header, KEY_HEADER):
            if key := require_api_key(self.headers_by_name, self.spec.key_pattern, header):
                return key
        raise ApiError("UNAUTHORIZED", reason=no_key(self.spec.key_header))

    @contextmanager
    def authenticated(self) -> Iterator[None]:
        """Find the sandbox of the key, revoked or not, and keep a jumping clock still; raises UNAUTHORIZED."""
        sandbox = self.mock.sandboxes.anonymous
        if self.operation.secured:
            sandbox = self.mock.sandbox(self.require_key())
            sandbox.clock.begin_call()
        sandbox.in_use += 1
        self.use(sandbox)
        try:
            yield
        finally:
            sandbox.in_use -= 1
            self.mock.sandboxes.count(self.sandbox)
            if self.operation.secured:
                sandbox.clock.end_call()

    def use(self, sandbox: Sandbox) -> None:
        """Continue in a sandbox, at its present instant."""
        self.sandbox = self.state.sandbox = sandbox
        self.scenario, self.now = self.mock.scenario_of(sandbox), sandbox.clock.now()

    async def read(self) -> None:
        """Read and validate parameters and body; raises PAYLOAD_TOO_LARGE, VALIDATION_ERROR or `ValidationFailed`."""
        operation, limit = self.operation, BODY_LIMITS.get(self.operation.id, self.spec.body_limit)
        headers = self.headers_by_name
        body = await read_body(self.receive, headers, limit) if has_body(headers) else b""
        body = decode_body(body, self.headers_by_name.get(b"content-encoding", b"identity"), limit)
        if body is None:
            raise ApiError("PAYLOAD_TOO_LARGE", limit=limit)
        self.content, self.now = body, self.sandbox.clock.now()
        query = self.scope["query_string"]
        self._check_names(query.decode("latin-1"))
        self.parameters = self.validator.parameters(operation, query, self.scope["headers"], self.path_params)
        if operation.id not in BODY_LIMITS:
            self.document = self.validator.body(operation, body, None, require_content_type=False)

    def _check_names(self, query: str) -> None:
        """Refuse an unknown query parameter: it may be a typing error."""
        known = [each.name for each in self.operation.parameters if each.location == "query"]
        for name, _ in parse_qsl(query, keep_blank_values=True):
            if name not in known:
                invalid(f"query.{name}", f"not a parameter of this call.{did_you_mean(name, known)}")


def is_authorized(mock: MockServer, headers: Mapping[bytes, bytes]) -> bool:
    try:
        authorize(mock, headers)
    except ApiError:
        return False
    return True


def authorize(mock: MockServer, headers: Mapping[bytes, bytes]) -> None:
    """Raise FORBIDDEN without the control token, or, where there is none, for a page or name of another machine."""
    if token := mock.settings.control_token:
        if not compare_digest(headers.get(b"x-mock-token", b""), token.encode()):
            raise ApiError("FORBIDDEN", reason="send the server's --control-token as x-mock-token.")
        return
    for name, allowed in (("host", mock.settings.allowed_hosts), ("origin", ())):
        host = host_of(headers.get(name.encode(), b"localhost").decode("latin-1"))
        if not is_loopback(host) and host not in allowed:
            reason = f"its {name} header is not of this machine. Start the server with --control-token and send it."
            raise ApiError("FORBIDDEN", reason=reason)
    is_cross_site = headers.get(b"sec-fetch-site") == b"cross-site" and b"origin" not in headers
    if is_cross_site and headers.get(b"sec-fetch-dest") != b"document":  # a link that is followed is no page's call
        reason = "a page of another site made this call. Start the server with --control-token and send it."
        raise ApiError("FORBIDDEN", reason=reason)
