"""Tell failures of the contract from outages: retries, a health probe, recovery.

A 5xx, a 429 and a missing answer are tried again where that is safe. Only what fails for one request again and again,
while the target answers others, is a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from viralsync_conform.budget import worst_case
from viralsync_conform.calls import TERMINAL, Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.contract.schemas import ACCOUNT, CREATES, ENDS, LISTS, READS, STREAMS
from viralsync_conform.run.context import RunContext, StopRunError
from viralsync_conform.run.job_invariants import jobs_of
from viralsync_conform.run.request import Request, encoded
from viralsync_conform.run.response_checks import is_gateway_error
from viralsync_conform.target import Account
from viralsync_conform.target.wire import ENDLESS
from viralsync_mock.openapi.operations import Operation

Send = Callable[[Request], Exchange]
"""Sends a request once."""

TRIES = 3
PAUSES = (1.0, 3.0)
"""Real seconds before a failed call is tried again on a real target."""

RECOVERY = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Real seconds that a target which is away is given to come back: two minutes in all."""

LOCAL_RECOVERY = (0.1, 0.3, 0.6, 2.0)
"""The same for a server on this machine, which is back soon or not at all."""

TOO_LATE = "the job had ended before it was cancelled"
"""Nobody's fault, and not worth a finding: a journey that needs a cancelled job says so itself."""

SLOT_HELD = "a job that hangs holds a slot"
"""The cause is found already, as a job that does not end: what follows from it is no finding of its own."""

OWN_ERRORS = frozenset({500, 503})
MAX_EPISODES = 5
"""At how many different times a target may fail for a moment before that is no accident."""

DROPPED = ("RemoteProtocolError", "ReadError")
"""How a connection ends that was made, took the request, and was closed."""

MAX_DROPS, MAX_DROPPED = 6, 0.02
"""At how many different times that happens on a poor line, and to which share of the requests, at most."""

MIN_SHARE = 0.2
"""How much of the rate limit a run uses at least, however many 429s it meets."""

MAX_RETRY_AFTER = 120.0
SERVER_ERROR = 500
TOO_MANY, PAYMENT, CONFLICT, FORBIDDEN, UNAUTHORIZED = 429, 402, 409, 403, 401
OF_THE_KEY = frozenset({UNAUTHORIZED, FORBIDDEN})
QUOTA_CODES = frozenset({"RENDER_QUOTA_EXCEEDED", "RENDER_QUOTA_DAILY_EXCEEDED"})
KEY_CODES = frozenset({"UNAUTHORIZED", "API_KEY_REVOKED", "FORBIDDEN"})
"""What is expected where another key is shown, or none."""


def send_with_retries(run: RunContext, send: Send, request: Request) -> Exchange:
    """Send a request, again where its answer is none of the API's and that is safe; return the last exchange."""
    call = send(request)
    for number in range(1, TRIES):
        if call.status == TOO_MANY and request.is_paced and request.expected != "RATE_LIMITED":
            _wait_out(request.account, call)
        elif not (request.is_repeatable and _is_failure(call)) or _is_known_as_endless(run, call):
            break
        elif not run.target.is_local:
            run.target.pause(PAUSES[number - 1])
        call = send(replace(request, step=f"{request.step} again"))
    if call.status == TOO_MANY and request.is_paced and request.expected != "RATE_LIMITED":
        run.mark_inconclusive("rate_limit", f"the rate limit was met {TRIES} times in a row, each wait obeyed", call)
    if _is_failure(call):
        return _attribute_failure(run, send, request, call)
    if call.step.endswith(" again") and _is_failure(run.calls[call.number - 2]):
        run.mark_inconclusive("outage", "the target failed for a moment", run.calls[call.number - 2])
    return call


def _is_failure(call: Exchange) -> bool:
    return call.status is None or call.status >= SERVER_ERROR or bool(call.problem)


def _wait_out(account: Account, call: Exchange) -> None:
    """Obey `Retry-After`, and be slower from now on: the key is used by others too."""
    account.share = max(MIN_SHARE, account.share / 2)
    header = call.header("retry-after") or ""
    account.clock.wait(min(float(header) if header.isdecimal() else 5.0, MAX_RETRY_AFTER))


def _attribute_failure(run: RunContext, send: Send, request: Request, call: Exchange) -> Exchange:
    """Find out whether the request or the target is at fault; raises StopRunError if the target stays away."""
    if not is_healthy(run, send, call):
        run.mark_inconclusive("outage", f"the target was not well: {call.problem or call.status}", call)
        _await_recovery(run, send, call)
        return send(replace(request, step=f"{request.step} again")) if request.is_repeatable else call
    if request.is_repeatable and _is_endless(send, request, call):
        run.check(facts.BODY_ENDS, False, call, got=f"{call.problem}, {TRIES} times of {TRIES}")
        return call
    if call.status is None or call.problem or is_gateway_error(call) or not request.is_repeatable:
        run.mark_inconclusive("outage", f"no answer of the API came: {call.problem or call.status}", call)
        return call
    run.check(
        facts.SERVER_ERROR, False, call, expected=call.expected, got=f"{call.status} {call.code or ''}".strip(),
        place=call.step.removesuffix(" again"),
        message=f"the server fails for this request, {TRIES} times of {TRIES}, and answers others",
    )  # fmt: skip
    return call


def _is_known_as_endless(run: RunContext, call: Exchange) -> bool:
    known = (each for each in run.findings if each.check == facts.BODY_ENDS.name)
    return call.problem.startswith(ENDLESS) and any(each.operation == call.operation for each in known)


def _is_endless(send: Send, request: Request, call: Exchange) -> bool:
    """Return whether a body that was too long or too late has no end; a page of many jobs may only be long."""
    if call.status is None or call.effect == STREAMS or not call.problem.startswith(ENDLESS):
        return False
    if call.effect == LISTS:
        shorter = {**request.query, "limit": 1}
        return send(replace(request, step="a short page", query=shorter)).problem.startswith(ENDLESS)
    return True


def check_stability(run: RunContext) -> None:
    """What comes and goes all the time is no outage: errors of the API's own, and connections closed unanswered."""
    failed = [call for call in run.calls if call.status in OWN_ERRORS and call.code is not None]
    dropped = [call for call in run.calls if call.status is None and call.problem.startswith(DROPPED)]
    for calls, name in ((failed, "again and again"), (dropped, "without an answer")):
        episodes = [call for call in calls if call.number > 1 and not _is_failure(run.calls[call.number - 2])]
        most = MAX_EPISODES if calls is failed else max(MAX_DROPS, MAX_DROPPED * len(run.calls))
        if len(episodes) >= most:
            run.excused.difference_update(call.number for call in episodes)
            got = f"{len(calls)} of {len(run.calls)} requests failed, at {len(episodes)} different times"
            run.check(facts.SERVER_ERROR, False, *episodes, got=got, name=name)


def is_healthy(run: RunContext, send: Send, call: Exchange) -> bool:
    """Ask the target for something that must succeed: what the account is, by another operation than the call's."""
    probes = [each for each in run.contract.having(ACCOUNT) if each.id != call.operation]
    return _probe(run, send, call, probes[0], run.target.main).is_success


def _probe(run: RunContext, send: Send, call: Exchange, known: Operation, account: Account) -> Exchange:
    path = run.contract.job_path(known, call.job_id)
    return send(
        Request(
            known.method,
            encoded(known.path, path),
            call.journey,
            "probe",
            account,
            operation=known.id,
            expected="200",
            path_parameters=path,
        )
    )


def _await_recovery(run: RunContext, send: Send, call: Exchange) -> None:
    target = run.target
    waits = (0.0, 0.0) if target.has_control else LOCAL_RECOVERY if target.is_local else RECOVERY
    for seconds in waits:
        target.pause(seconds)
        if is_healthy(run, send, call):
            return
    raise StopRunError("the target stays away")


def excusing_reason(run: RunContext, send: Send, account: Account, call: Exchange, *, is_paced: bool) -> str:
    """Return why an unexpected answer says nothing of the contract; empty where it does."""
    if call.problem or call.status is None:
        return f"no answer came: {call.problem}"
    if call.status >= SERVER_ERROR:
        return f"the target answered {call.status}"
    if call.status == TOO_MANY and is_paced:
        return "the rate limit was met"
    if call.status in OF_THE_KEY and call.expected not in KEY_CODES and not is_healthy(run, send, call):
        return "our own key is refused" if call.status == UNAUTHORIZED else "our own plan does not allow REST"
    return _excuse_of_the_account(run, send, account, call)


def _excuse_of_the_account(run: RunContext, send: Send, account: Account, call: Exchange) -> str:
    """Return why the account, and not the call, is what was refused: which check comes first is open."""
    if call.effect == ENDS and call.status == CONFLICT and call.expected.isdecimal():
        return TOO_LATE if _has_ended(run, send, account, call) else ""
    if call.effect != CREATES:
        return ""
    if call.status == PAYMENT and _is_quota_spent(run, send, account, call):
        return "the account's quota is spent"
    if call.status == CONFLICT and _has_others(run, send, account, call):
        return SLOT_HELD if run.hung - run.settled else "other jobs of the account take all its slots"
    return ""


def _is_quota_spent(run: RunContext, send: Send, account: Account, call: Exchange) -> bool:
    usage = _usage(run, send, account, call)
    parts = [part for name in ("renderMinutes", "daily") if isinstance(part := usage.get(name), dict)]
    if not parts:  # an account that does not say what it used has to be believed
        return account.sandbox is None and call.code in QUOTA_CODES
    # a submission may be refused by what it would cost; on a throwaway account that is what a journey asks
    asked = worst_case(call.sent) if account.sandbox is None else 0.0
    numbers = [(part.get("used"), part.get("limit")) for part in parts]
    return any(
        used + asked >= limit
        for used, limit in numbers
        if isinstance(used, int | float) and isinstance(limit, int | float)
    )


def _has_others(run: RunContext, send: Send, account: Account, call: Exchange) -> bool:
    """Return whether this run's own jobs take all slots of the account, or others are under way."""
    if account.sandbox is not None:
        return False
    own = run.jobs.keys() - run.settled
    terms = run.contract.spec.plans.get(str(run.plan).lower())
    if terms is None or (terms.jobs_at_once is not None and len(own) >= terms.jobs_at_once):
        return True
    page = _probe(run, send, call, run.contract.one(LISTS), account)
    jobs = [job for job in jobs_of(run, page) if job.get("parentJobId") is None]
    return any(job.get("status") not in TERMINAL and job.get("jobId") not in run.jobs for job in jobs)


def _has_ended(run: RunContext, send: Send, account: Account, call: Exchange) -> bool:
    """Return whether a job had ended by itself; on a mock's clock nothing happens between two calls."""
    if account.sandbox is not None:
        return False
    return _probe(run, send, call, run.contract.one(READS), account).document.get("status") == "done"


def _usage(run: RunContext, send: Send, account: Account, call: Exchange) -> dict[str, object]:
    return _probe(run, send, call, run.contract.having(ACCOUNT)[-1], account).document
