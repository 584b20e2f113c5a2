"""The control API under `/__mock`: a Starlette application with a route for each operation of its document."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from viralsync_mock import ui
from viralsync_mock.api.asgi import by_name, state_response
from viralsync_mock.api.routes import in_order
from viralsync_mock.config.yaml_source import Node, read_yaml
from viralsync_mock.control import (
    account,
    clock,
    deliveries,
    events,
    faults,
    jobs,
    journal,
    metrics,
    sandbox,
    verdict,
    workbench,
)
from viralsync_mock.control.request import ControlRequest, JsonResponse, authorize
from viralsync_mock.errors import ApiError, SpecError, StateError, did_you_mean
from viralsync_mock.openapi.extensions import read_errors
from viralsync_mock.openapi.operations import read_operations
from viralsync_mock.openapi.spec import Spec
from viralsync_mock.redaction import masked
from viralsync_mock.validation.validator import ValidationFailed, Validator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from viralsync_mock.openapi.operations import Operation
    from viralsync_mock.state import MockServer

    Action = Callable[[ControlRequest], Awaitable[Response]]

METHOD_NOT_ALLOWED = 405

DOCUMENT = Path(__file__).with_name("control.openapi.yaml")


class ControlSpec(Spec):
    """The control API's own document: operations, schemas and errors. It has no plans, limits or keys."""

    def __init__(self, root: Node) -> None:
        self.paths, self.places = read_operations(root)
        self.root, self.document = root, root.value
        self.operations = {each.id: each for methods in self.paths.values() for each in methods.values()}
        self.errors = read_errors(root["x-error-catalogue"])


def read_control_spec() -> ControlSpec:
    return ControlSpec(read_yaml(DOCUMENT, SpecError))


async def get_index(request: ControlRequest) -> Response:
    """GET /__mock: every call, with what it does."""
    calls = [
        {"method": each.method, "path": each.path, "summary": each.document["summary"]}
        for each in request.validator.spec.operations.values()
    ]
    return JsonResponse({"openapi": "/__mock/openapi.yaml", "calls": calls})


async def get_document(_request: ControlRequest) -> Response:
    """GET /__mock/openapi.yaml: the document as it is shipped."""
    return Response(DOCUMENT.read_bytes(), media_type="application/yaml")


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "getIndex": get_index,
        "getDocument": get_document,
        "getHealth": account.get_health,
        "getMetrics": metrics.get_metrics,
        "reset": account.reset,
        "listScenarios": account.list_scenarios,
        "getScenario": account.get_scenario,
        "chooseScenario": account.choose_scenario,
        "getAccount": account.get_account,
        "changeAccount": account.change_account,
        "getClock": clock.get_clock,
        "changeClock": clock.change_clock,
        "advanceClock": clock.advance_clock,
        "sleepOnClock": clock.sleep_on_clock,
        "getSpec": workbench.get_spec,
        "getScenarioSchema": workbench.get_scenario_schema,
        "readScenario": workbench.read_scenario,
        "listMovies": workbench.list_movies,
        "check": workbench.check,
        "listSandboxes": sandbox.list_sandboxes,
        "nameSandbox": sandbox.name_sandbox,
        "getInbox": deliveries.get_inbox,
        "changeInbox": deliveries.change_inbox,
        "clearInbox": deliveries.clear_inbox,
        "streamEvents": events.stream_events,
        "getCoverage": verdict.get_coverage,
        "takeSnapshot": sandbox.take_snapshot,
        "restoreSnapshot": sandbox.restore_snapshot,
        "listDeliveries": deliveries.list_deliveries,
        "getDelivery": deliveries.get_delivery,
        "redeliver": deliveries.redeliver,
        "getFaults": faults.get_faults,
        "armFaults": faults.arm_faults,
        "addFault": faults.add_fault,
        "disarmFault": faults.disarm_fault,
        "disarmFaults": faults.disarm_faults,
        "listTimelines": jobs.list_timelines,
        "getTimeline": jobs.get_timeline,
        "changeTimeline": jobs.change_timeline,
        "listCalls": journal.list_calls,
        "explainCall": journal.explain_call,
        "clearJournal": journal.clear_journal,
        "exportHar": journal.export_har,
        "openSandbox": sandbox.open_sandbox,
        "exhaustLimit": sandbox.exhaust_limit,
        "getVerdict": verdict.get_verdict,
    }
)
"""By operationId."""

CHANGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "chooseScenario": ("scenario", "account"),
        "changeAccount": ("account",),
        "exhaustLimit": ("account",),
        **dict.fromkeys(("armFaults", "addFault", "disarmFault"), ("faults",)),
        "disarmFaults": ("faults",),
        "clearJournal": ("journal",),
        "changeInbox": ("inbox",),
        "clearInbox": ("inbox",),
    }
)
"""What the listeners of a sandbox are told after an operation, where the sandbox itself does not notice."""


def create_control(mock: MockServer, actions: Mapping[str, Action] = ACTIONS) -> Starlette:
    """Return the control API of a mock as an application of its own."""
    validator = Validator(read_control_spec())
    refusals = Refusals(mock, validator.spec)
    routes = [
        Route(path, _endpoint(mock, validator, operation, actions[operation.id]), methods=[operation.method])
        for path in in_order(validator.spec.paths)
        for operation in validator.spec.paths[path].values()
    ]
    application = Starlette(
        routes=[*routes, *ui.routes()],
        middleware=[Middleware(Access, mock, refusals)],
        exception_handlers={
            ApiError: refusals.api_error,
            ValidationFailed: refusals.validation_failed,
            HTTPException: refusals.no_route,
        },
    )
    application.router.redirect_slashes = False
    return application


def _endpoint(
    mock: MockServer, validator: Validator, operation: Operation, action: Action
) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of an operation: every check, then the action."""

    async def endpoint(plain: Request) -> Response:
        request = ControlRequest(plain.scope, plain.receive)
        request.mock, request.validator, request.operation = mock, validator, operation
        request.headers_by_name = by_name(request.scope["headers"])
        try:
            with request.authenticated():
                await request.read()
                response = await action(request)
                for part in CHANGES.get(operation.id, ()):
                    request.sandbox.note(part)
                if (keeper := mock.sandboxes.keeper) is not None and action is not account.get_health:
                    await keeper.before_answer(request.sandbox, None, waits=request.method != "GET")
        except (ApiError, ValidationFailed):
            raise
        except StateError as error:
            refused = state_response(error)
            headers = {name.decode(): value.decode() for name, value in refused.headers}
            response = Response(refused.body, refused.status, headers, "application/json")
        except Exception as error:  # a bug of ours: the client still gets the API's shape
            mock.on_bug(f"{request.method} {request.scope['path']}", error)
            raise ApiError("INTERNAL_ERROR") from error
        return dated(mock, request, response)

    return endpoint


def dated(mock: MockServer, request: Request, response: Response) -> Response:
    home = getattr(request.state, "sandbox", mock.sandboxes.anonymous)
    response.headers["date"] = home.date_header(home.clock.now()).decode()
    return response


class Access:
    """Middleware that refuses a request without the token, or of a page that is not of this machine.

    `/__mock/health` is open to all, and `/__mock/metrics` where the settings say so.
    """

    def __init__(self, app: ASGIApp, mock: MockServer, refusals: Refusals) -> None:
        self.app, self._mock, self._refusals = app, mock, refusals
        self._open = {"/__mock/health", *(["/__mock/metrics"] if mock.settings.open_metrics else [])}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http" and not self._is_open(scope["path"]):
            try:
                authorize(self._mock, by_name(scope["headers"]))
            except ApiError as error:
                app = await self._refusals.api_error(Request(scope), error)
        await app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        """Return whether a path needs no token: a browser that opens the page cannot send one, and it shows nothing."""
        is_page = path == ui.PREFIX or path.startswith(f"{ui.PREFIX}/")
        return path in self._open or (is_page and self._mock.settings.control_token is not None)


class Refusals:
    """The exception handlers: errors in the API's shape, codes and texts from the document.

    They are coroutines, because Starlette runs plain functions in a thread, where a sandbox has no business.
    """

    def __init__(self, mock: MockServer, spec: Spec) -> None:
        self._mock, self._spec = mock, spec

    async def api_error(self, request: Request, error: Exception) -> Response:
        """Refuse as the code says; the behaviour profile renames no codes of the control API."""
        assert isinstance(error, ApiError)  # noqa: S101 - registered for it
        entry = self._spec.errors[error.code]
        text = masked(error.text or entry.text.format_map(error.values))
        return dated(
            self._mock, request, JsonResponse({"error": text, "code": error.code}, entry.status, dict(error.headers))
        )

    async def validation_failed(self, request: Request, error: Exception) -> Response:
        return await self.api_error(request, ApiError("VALIDATION_ERROR", violations=error))

    async def no_route(self, request: Request, error: Exception) -> Response:
        """Refuse an unknown path, with the nearest one, or a method that its path does not have."""
        method, path = request.method, request.scope["path"]
        if not (isinstance(error, HTTPException) and error.status_code == METHOD_NOT_ALLOWED):
            hint = did_you_mean(path, tuple(self._spec.paths))
            return await self.api_error(request, ApiError("NOT_FOUND", method=method, path=path, hint=hint))
        methods = self._spec.paths[request.scope["route"].path]
        allow = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
        return await self.api_error(
            request, ApiError("METHOD_NOT_ALLOWED", method=method, path=path, allow=allow, headers={"allow": allow})
        )
