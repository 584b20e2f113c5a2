"""What a failing test shows of its sandbox: calls, limits, jobs, clock, faults and deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from viralsync_mock.client.records import format_last

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from viralsync_mock.client import Call, Sandbox

MAX_CALLS = 10
MAX_VIOLATIONS = 5


def describe(sandbox: Sandbox) -> str:
    """Return the section of a failed test; raises ControlError when the mock is gone."""
    calls = sandbox.journal.calls()
    return "\n".join(
        [
            f"scenario {sandbox.scenario()}, {sandbox.clock!r}",
            *_calls(sandbox, calls),
            *_limits(sandbox, calls),
            f"jobs:{format_last([*map(repr, sandbox.jobs)], MAX_CALLS) or ' none'}",
            *(f"fault armed and never met: {each}" for each in unmet_faults(sandbox)),
            *(f"delivery not taken: {each!r}" for each in sandbox.deliveries if each.outcome != "delivered"),
        ]
    )


def _calls(sandbox: Sandbox, calls: Sequence[Call]) -> Iterator[str]:
    """Yield the last calls, the refused ones with reason and places."""
    if not calls:
        yield (
            f"no call has come: the client has to use {sandbox.base_url} and the key {sandbox.api_key} "
            "(VIRALSYNC_BASE_URL, VIRALSYNC_API_KEY)"
        )
        return
    yield f"calls, the last {MAX_CALLS} of {len(calls)}:" if len(calls) > MAX_CALLS else "calls:"
    for call in calls[-MAX_CALLS:]:
        yield f"  {call!r}"
        if call.status is not None and call.status >= 400:
            explained = sandbox.journal.explain(call)
            yield f"    {explained.summary}"
            yield from (f"    {violation}" for violation in explained.violations[1:MAX_VIOLATIONS])


def _limits(sandbox: Sandbox, calls: Sequence[Call]) -> Iterator[str]:
    account = sandbox.account()
    yield f"plan {account['plan']}, {account['minutes_used']:g} render minutes used this month"
    if calls and (rate := sandbox.journal.explanation(calls[-1]).get("rateLimit")):
        used = f"rate limit: {rate['used']} of {rate['requests']} calls in {rate['windowSeconds']:g} s"
        yield f"{used}, the next slot frees at {rate['nextFreeAt']}"


def why_no_webhook(sandbox: Sandbox) -> str:
    """Return a likely reason for a webhook that does not come; empty when there is none."""
    submissions = [call for call in sandbox.journal.calls("submitRenderJob") if call.status == 202]
    if not submissions:
        return "No job was submitted."
    if not any("callbackUrl" in (sandbox.journal.explain(call).body or {}) for call in submissions):
        return "No job was submitted with a callbackUrl."
    if sandbox.clock.mode == "frozen":
        return "The clock is frozen: move it, as in viralsync.clock.run_until(job_id)."
    return ""


def unmet_faults(sandbox: Sandbox, *, counted: bool = False) -> list[str]:
    """Return the armed faults that no call has met, as they were written; `counted`: only those with `times`."""
    return [_written(each) for each in sandbox.faults if each["matched"] == 0 and ("times" in each or not counted)]


def _written(armed: Mapping[str, Any]) -> str:
    parts = (f"{name}={armed[name]}" for name in ("fault", "match", "times") if name in armed)
    return ", ".join(parts)
