"""Whether an odd answer says something of the contract, or only that the target was not well.

A 5xx, a 429 that nobody asked for and a missing answer are tried again where that is safe, and held against a call
that must succeed: only what fails for this very request, again and again, while the target is well, is a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Category, Finding
from viralsync_conform.run.context import StopRunError
from viralsync_conform.run.http_client import Request, encoded
from viralsync_conform.run.response_checks import is_gateway_error
from viralsync_conform.target import Account

if TYPE_CHECKING:
    from viralsync_conform.run.context import RunContext
    from viralsync_conform.run.http_client import HttpClient

TRIES = 3
NOWHERE: Mapping[str, str] = MappingProxyType({})
PAUSES = (1.0, 3.0)
"""Real seconds before a failed call is tried again on a real target."""

RECOVERY = (5.0, 15.0, 40.0)
"""Real seconds that a target which is away is given to come back."""

LOCAL_RECOVERY = (0.1, 0.3, 0.6)
"""The same for a server on this machine, which is back at once or not at all."""

TOO_LATE = "the job had ended before it was cancelled"
"""Nobody's fault, and nothing to be told: a journey that needs a cancelled job says so itself."""

MAX_RETRY_AFTER = 120.0
SERVER_ERROR = 500
TOO_MANY, PAYMENT, CONFLICT, FORBIDDEN, UNAUTHORIZED = 429, 402, 409, 403, 401
OF_THE_KEY = frozenset({UNAUTHORIZED, FORBIDDEN})
OF_KEYS = frozenset({"UNAUTHORIZED", "API_KEY_REVOKED", "FORBIDDEN"})
"""Answers that are asked for by showing another key, or none."""


class Session(Protocol):
    """What is needed here of a journey under way."""

    @property
    def run(self) -> RunContext: ...
    @property
    def client(self) -> HttpClient: ...
    @property
    def account(self) -> Account: ...
    @property
    def journey(self) -> str: ...
    @property
    def is_paced(self) -> bool: ...


def send_with_retries(context: Session, request: Request, is_repeatable: bool) -> Exchange:
    """Send a request, again where its answer is no answer and that is safe; return the last."""
    call = context.client.send(request)
    for number in range(1, TRIES):
        if call.status == TOO_MANY and request.is_paced and request.expected != "RATE_LIMITED":
            _wait_out(context, call)
        elif not (is_repeatable and _is_failure(call)):
            break
        elif not context.run.target.is_local:
            context.run.target.pause(PAUSES[number - 1])
        call = context.client.send(replace(request, step=f"{request.step} again"))
    if _is_failure(call):
        _attribute_failure(context, call, is_repeatable)
    elif call.number > 1 and _is_failure(context.run.calls[call.number - 2]) and call.step.endswith(" again"):
        context.run.mark_inconclusive("outage", "the target failed for a moment", context.run.calls[call.number - 2])
    return call


def _is_failure(call: Exchange) -> bool:
    return call.status is None or call.status >= SERVER_ERROR or bool(call.problem)


def _wait_out(context: Session, call: Exchange) -> None:
    """Obey `Retry-After`, and note that a 429 was met which the run did not ask for."""
    context.run.mark_inconclusive("rate_limit", "the rate limit was met, though the run keeps below it", call)
    header = call.header("retry-after") or ""
    context.account.clock.wait(min(float(header) if header.isdecimal() else 5.0, MAX_RETRY_AFTER))


def _attribute_failure(context: Session, call: Exchange, is_repeatable: bool) -> None:
    """Say whose fault it is: the request's, if the target is well otherwise; raises StopRunError if it stays away."""
    if not is_healthy(context, call):
        context.run.mark_inconclusive("outage", f"the target was not well: {call.problem or call.status}", call)
        _await_recovery(context, call)
        return
    if call.status is None or call.problem or is_gateway_error(call) or not is_repeatable:
        context.run.mark_inconclusive("outage", f"no answer of the API came: {call.problem or call.status}", call)
        return
    context.run.asserted[facts.SERVER_ERROR] += 1
    context.run.findings.add(
        Finding(
            Category.FAILURE,
            facts.SERVER_ERROR.name,
            f"the server fails for this request, {TRIES} times of {TRIES}, and answers others",
            operation=call.operation,
            status=call.status,
            place=call.step.removesuffix(" again"),
            expected=call.expected,
            got=f"{call.status} {call.code or ''}".strip(),
            calls=(call.number,),
            journey=call.journey,
            mark=facts.SERVER_ERROR.mark,
            source=facts.SERVER_ERROR.source,
        )
    )


def is_healthy(context: Session, call: Exchange) -> bool:
    """Ask the target for something that must succeed: the account, or its usage where the account is in question."""
    probe = "getUsage" if call.operation == "getMe" else "getMe"
    return _probe(context, probe, context.run.target.main).is_success


def _probe(context: Session, operation: str, account: Account, path: Mapping[str, str] = NOWHERE) -> Exchange:
    known = context.run.contract.operations[operation]
    return context.client.send(
        Request(
            method=known.method,
            path=encoded(known.path, path),
            query={},
            headers={},
            content=None,
            operation=operation,
            path_parameters=path,
            journey=context.journey,
            step="probe",
            expected="200",
            account=account,
        )
    )


def _await_recovery(context: Session, call: Exchange) -> None:
    target = context.run.target
    waits = (0.0, 0.0) if target.has_control else LOCAL_RECOVERY if target.is_local else RECOVERY
    for seconds in waits:
        context.run.target.pause(seconds)
        if is_healthy(context, call):
            return
    raise StopRunError("the target stays away")


def excusing_reason(context: Session, call: Exchange) -> str:
    """Return why an unexpected answer says nothing of the contract; empty where it does."""
    if call.problem or call.status is None:
        return f"no answer came: {call.problem}"
    if call.status >= SERVER_ERROR:
        return f"the target answered {call.status}"
    if call.status == TOO_MANY and context.is_paced:
        return "the rate limit was met"
    if call.status in OF_THE_KEY and call.expected not in OF_KEYS and not is_healthy(context, call):
        return "our own key is refused" if call.status == UNAUTHORIZED else "our own plan does not allow REST"
    return _excuse_of_the_account(context, call) if call.expected.isdecimal() else ""


def _excuse_of_the_account(context: Session, call: Exchange) -> str:
    """Return why what should have succeeded could not."""
    if call.operation == "cancelJob" and call.status == CONFLICT and _has_ended(context, call):
        return TOO_LATE
    if call.operation != "submitRenderJob":
        return ""
    if call.status == PAYMENT and _is_quota_spent(context):
        return "the account's quota is spent"
    if call.status == CONFLICT and _has_others(context):
        return "other jobs of the account take all its slots"
    return ""


def _is_quota_spent(context: Session) -> bool:
    minutes = _usage(context).get("renderMinutes")
    if not isinstance(minutes, dict):
        return context.account.sandbox is None  # an account that does not say what it used has to be believed
    used, limit = minutes.get("used"), minutes.get("limit")
    return isinstance(used, int | float) and isinstance(limit, int | float) and used >= limit


def _has_others(context: Session) -> bool:
    """Say whether all slots of the account are taken, or more jobs are under way than this run's own."""
    if context.account.sandbox is not None:
        return False
    jobs = _usage(context).get("concurrentJobs")
    if not isinstance(jobs, dict):
        return True  # as above
    running, limit = jobs.get("running"), jobs.get("limit")
    own = len(context.run.jobs.keys() - context.run.settled)
    return isinstance(running, int) and (running > own or (isinstance(limit, int) and running >= limit))


def _has_ended(context: Session, call: Exchange) -> bool:
    """Say whether a job had ended by itself; on a mock's clock nothing happens between two calls."""
    if context.account.sandbox is not None:
        return False
    return _probe(context, "getJob", context.account, call.path_parameters).document.get("status") == "done"


def _usage(context: Session) -> dict[str, object]:
    return _probe(context, "getUsage", context.account).document
