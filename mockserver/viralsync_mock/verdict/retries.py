"""Rules about waiting: after a refusal for the rate limit, and after failures of the server."""

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
"""Seconds: a retry within them has not waited. One such retry is fine: urllib3 makes its first one at once."""

GROWTH = 1.5
"""The longest of several waits is this many times the shortest where waits grow, or are drawn at random."""

MANY_GAPS = 5
"""Waits after which the absence of growth is no chance any more."""

SAME = 0.02
"""Share by which equal waits may differ."""

MAX_SHOWN = 8
"""Waits that a reason lists."""

LOST = frozenset({"reset_peer", "empty_response", TIMEOUT})
"""Endings without a response."""

MANY_OTHERS = 3
"""Other calls that were refused within Retry-After: no longer other parts of a client that did not know of it."""

SERVER_ERROR = 500
ALONE = "calls were under way at once, and the journal does not show which part of the client made which"


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
    again = next(iter(evidence.repeats_of(refused, refused.answered_after)), None)
    if not following:
        return passed(refused)
    early = _too_early(refused, again or following[0], seconds)
    if early is None:
        return _by_itself(refused, again or following[0], seconds)
    if again is None or not early:
        return _others(refused, following, seconds, again or following[0])
    if not evidence.is_sequential(refused, again):
        return inconclusive(ALONE, refused, again)
    after = (again.at - (refused.answered_at or refused.at)).total_seconds()
    return failed(f"the call was made again {after:.3g} s after a 429 with Retry-After: {seconds}", refused, again)


def _others(refused: JournalEntry, following: Sequence[JournalEntry], seconds: int, later: JournalEntry) -> Observation:
    """Look at other calls within Retry-After: a few may be of other parts of the client, which had to learn it too."""
    others = list(takewhile(lambda each: _too_early(refused, each, seconds), following))
    if not others:
        return passed(refused, later)
    again = [each for each in others if each.status == refused.status]
    if len(again) >= MANY_OTHERS:
        return failed(f"{len(again)} other calls were made within Retry-After: {seconds}, and refused", refused, *again)
    return inconclusive(
        "another call came within Retry-After: it may be of another part of the client", refused, *others
    )


def _too_early(refused: JournalEntry, later: JournalEntry, seconds: int) -> tuple[JournalEntry, ...] | None:
    """Return both calls when the later came too early, nothing when it did not; None where the clock does not tell."""
    gap = waited(refused, later, refused.answered_at)
    if gap is None:
        return None
    return (refused, later) if gap < seconds - TOLERANCE else ()


def _by_itself(refused: JournalEntry, later: JournalEntry, seconds: int) -> Observation:
    """Decide on a clock that moves by itself, or stood: a client that slept on it as well has waited."""
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
        return inconclusive("the sandbox's clock does not show how long the client waited", *attempts)
    if not evidence.is_sequential(attempts[0], attempts[-1]):
        return inconclusive(ALONE, *attempts)
    asked = [_retry_after(each) for each in attempts[:-1]]
    if None not in asked and all(
        gap >= seconds - TOLERANCE for gap, seconds in zip(known, asked, strict=True) if seconds
    ):
        return passed(*attempts)
    apart = ", ".join([*(f"{gap:.3g}" for gap in known[:MAX_SHOWN]), *(["..."] if len(known) > MAX_SHOWN else [])])
    hurried = sum(gap < AT_ONCE for gap in known)
    if hurried > max(1, len(known) / 2):
        return failed(f"the call was made again at once after it failed ({apart} s)", *attempts)
    if len(known) == 1 or max(known) >= min(known) * GROWTH + AT_ONCE:
        return passed(*attempts)
    if len(known) >= MANY_GAPS or max(known) - min(known) <= AT_ONCE + SAME * known[0]:
        return failed(f"the attempts at a failing call always lay equally far apart ({apart} s)", *attempts)
    return inconclusive(f"the attempts lay {apart} s apart, which may be chance: no growth is seen", *attempts)
