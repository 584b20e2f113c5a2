"""Rules of the verdict about waiting: after a refusal for the rate, and after failures of the server."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

from viralsync_mock.clock import Mode
from viralsync_mock.verdict.evidence import TIMEOUT, failed, header, inconclusive, passed, waited

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.verdict.evidence import Evidence, Observation

TOLERANCE = 0.05
"""Seconds: timers are early by a little."""

AT_ONCE = 0.02
"""Seconds: a retry within them has not waited."""

LOST = frozenset({"reset_peer", "empty_response", TIMEOUT})
"""Endings without an answer."""

SERVER_ERROR = 500
ALONE = "calls were under way at once, and the journal does not tell who made which"


def waits_out_retry_after(evidence: Evidence) -> Iterator[Observation]:
    """After a 429 with Retry-After n the refused call is made again n seconds later, or after that."""
    for refused in evidence.calls:
        if refused.status == 429 and (seconds := _retry_after(refused)) is not None:
            yield _waited_out(evidence, refused, seconds)


def _retry_after(entry: JournalEntry) -> int | None:
    value = header(entry.answer_headers, b"retry-after") or b""
    return int(value) if value.isdigit() and len(value) < 7 else None


def _waited_out(evidence: Evidence, refused: JournalEntry, seconds: int) -> Observation:
    following = evidence.after(refused.answered_after)
    request = (refused.method, refused.path, refused.query, refused.body)
    again = next((each for each in evidence.by_request[request] if each.number > refused.answered_after), None)
    if not following:
        return passed(refused)
    early = _too_early(refused, again or following[0], seconds)
    if early is None:
        return _by_itself(refused, again or following[0], seconds)
    if again is None or not early:
        other = early or _too_early(refused, following[0], seconds)
        reason = "another call came within Retry-After: it may be of another part of the client"
        return inconclusive(reason, *other) if other else passed(refused, again or following[0])
    if not evidence.is_sequential(refused, again):
        return inconclusive(ALONE, refused, again)
    after = (again.at - (refused.answered_at or refused.at)).total_seconds()
    return failed(f"the call was made again {after:.3g} s after a 429 with Retry-After: {seconds}", refused, again)


def _too_early(refused: JournalEntry, later: JournalEntry, seconds: int) -> tuple[JournalEntry, ...] | None:
    """Return both calls when the later came too early, nothing when it did not; None where the clock does not tell."""
    gap = waited(refused, later, refused.answered_at)
    if gap is None:
        return None
    return (refused, later) if gap < seconds - TOLERANCE else ()


def _by_itself(refused: JournalEntry, later: JournalEntry, seconds: int) -> Observation:
    """Judge on a clock that went on by itself, or stood: who slept on it in addition has waited."""
    free_at = refused.slot.free_at if refused.slot is not None else None
    since: datetime = max(filter(None, (refused.answered_at or refused.at, free_at)))
    if later.at >= since + timedelta(seconds=seconds):
        return passed(refused, later)
    how = "went on by itself" if later.mode is Mode.AUTO else "did not move"
    return inconclusive(f"the sandbox's clock {how}: let the client sleep on it, with `sandbox.sleep`", refused, later)


def backs_off_after_5xx(evidence: Evidence) -> Iterator[Observation]:
    """Attempts at the same call after a 5xx, a reset or a time-out lie further and further apart."""
    for calls in evidence.by_request.values():
        start = 0
        while start < len(calls):
            failed = list(takewhile(_has_failed, calls[start:]))
            attempts = calls[start : start + len(failed) + 1]
            start += len(failed) + 1
            if failed and len(attempts) > 1:
                yield _backed_off(evidence, attempts)


def _has_failed(entry: JournalEntry) -> bool:
    return (entry.status or 0) >= SERVER_ERROR or (entry.status is None and entry.ending in LOST)


def _backed_off(evidence: Evidence, attempts: Sequence[JournalEntry]) -> Observation:
    gaps = [waited(one, other, one.answered_at) for one, other in pairwise(attempts)]
    known = [gap for gap in gaps if gap is not None]
    if len(known) < len(gaps):
        return inconclusive("the sandbox's clock does not tell how long the client waited", *attempts)
    if not evidence.is_sequential(attempts[0], attempts[-1]):
        return inconclusive(ALONE, *attempts)
    if any(_retry_after(each) is not None for each in attempts[:-1]):
        return inconclusive("the server said with Retry-After how long to wait", *attempts)
    apart = ", ".join(f"{gap:.3g}" for gap in known)
    if min(known) < AT_ONCE:
        return failed(f"the call was made again at once after it failed ({apart} s)", *attempts)
    if len(known) == 1 or max(known) > known[0] * 1.1 + AT_ONCE:
        return passed(*attempts)
    if max(known) - min(known) <= AT_ONCE + 0.02 * known[0]:
        return failed(f"the attempts at a failing call always lay equally far apart ({apart} s)", *attempts)
    return inconclusive(f"the attempts lay {apart} s apart, which may be chance: no growth is seen", *attempts)
