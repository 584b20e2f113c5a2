"""Assertions on a sandbox. Each failure shows the nearest calls and what differs."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event, Timer
from typing import TYPE_CHECKING, Any

from viralsync_mock.client.records import format_last
from viralsync_mock.json_subset import differences, is_subset, short_repr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from viralsync_mock.client.literals import Operation, WebhookKind
    from viralsync_mock.client.records import Call, Delivery
    from viralsync_mock.client.resources import JournalView

MAX_SHOWN = 5
"""Calls that a failure shows."""

DELIVERY_TIMEOUT = 1.0
"""Real seconds to wait for webhooks in flight."""

POLL_INTERVAL = 0.01
"""Real seconds between two reads of the journal while a test waits for a call."""


class AssertionMixin:
    """The assertions of a sandbox; each raises AssertionError with what came instead."""

    journal: JournalView

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """The webhooks, oldest first."""
        raise NotImplementedError

    def assert_called(
        self,
        operation: Operation,
        *,
        times: int | None = None,
        body: Any = None,
        status: int | None = None,
        job_id: str | None = None,
    ) -> list[Call]:
        """Return the matching calls of an operation; fail unless there are `times` of them (default: at least one).

        `body` is what the request's JSON must contain: objects by their keys, all else by equality. `status` is the
        response's.
        """
        __tracebackhide__ = True
        criteria = CallCriteria(operation, body, status, job_id)
        calls = self.journal.calls(operation)
        found = self._matching(criteria, calls)
        if len(found) != times if times is not None else not found:
            raise AssertionError(self._difference(criteria, times, found, calls))
        return found

    def assert_not_called(self, operation: Operation) -> None:
        """Fail when the operation was called."""
        __tracebackhide__ = True
        if calls := self.journal.calls(operation):
            raise AssertionError(f"expected no call of {operation}, got {len(calls)}:{_last(calls)}")

    def assert_only_called(self, *operations: Operation) -> None:
        """Fail when any other operation was called."""
        __tracebackhide__ = True
        if calls := [call for call in self.journal.calls() if call.operation not in operations]:
            expected = f"calls of {', '.join(operations)} only" if operations else "no call at all"
            raise AssertionError(f"expected {expected}, got also:{_last(calls)}")

    def assert_webhook_delivered(
        self, kind: WebhookKind | None = None, job_id: str | None = None, *, times: int | None = None
    ) -> list[Delivery]:
        """Return the delivered webhooks of a kind (`progress`, `done` ...) or of a job; fail when there are none.

        Waits for one in flight: its receiver has it before the mock knows that it was accepted.
        """
        __tracebackhide__ = True
        made, found = self._deliveries_at_rest(kind, job_id)
        taken = [each for each in found if each.outcome == "delivered"]
        if len(taken) != times if times is not None else not taken:
            noun = "webhook" if times in (None, 1) else "webhooks"
            what = " ".join(filter(None, (kind, noun, job_id and f"of {job_id}")))
            got = f"expected {'a' if times is None else times} {what} delivered, got {len(taken) or 'none'}"
            raise AssertionError(f"{got}{_last(found or made, '. Those that were made:') or '. None was made.'}")
        return taken

    def _deliveries_at_rest(self, kind: str | None, job_id: str | None) -> tuple[Sequence[Delivery], list[Delivery]]:
        """Return all webhooks and the matching ones, once none of these is in its first attempt."""
        pause = Event()
        for _ in range(round(DELIVERY_TIMEOUT / POLL_INTERVAL)):
            made = self.deliveries
            found = [each for each in made if kind in (None, each.kind) and job_id in (None, each.job_id)]
            if not any(each.outcome == "pending" and not each.attempts for each in found):
                break
            pause.wait(POLL_INTERVAL)
        return made, found

    def wait_for_call(
        self,
        operation: Operation,
        *,
        timeout: float = 5.0,
        times: int = 1,
        body: Any = None,
        status: int | None = None,
        job_id: str | None = None,
    ) -> Call:
        """Return the first (or `times`-th) matching call once its response has begun.

        Fails after `timeout` real seconds. For code under test that runs in a thread or process of its own.
        """
        __tracebackhide__ = True
        criteria, is_over = CallCriteria(operation, body, status, job_id), Event()
        alarm = Timer(timeout, is_over.set)
        alarm.start()
        try:
            while True:
                is_last = is_over.is_set()
                calls = self.journal.calls(operation)
                found = self._matching(criteria, [call for call in calls if call.is_answered])
                if len(found) >= times:
                    return found[times - 1]
                if is_last:
                    difference = self._difference(criteria, None if times == 1 else times, found, calls)
                    raise AssertionError(f"after {timeout:g} s: {difference}")
                is_over.wait(POLL_INTERVAL)
        finally:
            alarm.cancel()
            alarm.join()

    def _matching(self, criteria: CallCriteria, calls: list[Call]) -> list[Call]:
        candidates = [call for call in calls if not criteria.mismatches(call)]
        if criteria.body is None:
            return candidates
        return [call for call in map(self.journal.explain, candidates) if is_subset(call.body, criteria.body)]

    def _difference(self, criteria: CallCriteria, times: int | None, found: list[Call], calls: list[Call]) -> str:
        """Say what was expected and what came: matching calls, other calls of the operation, or all calls."""
        head = f"expected {criteria.describe(times)}, got {len(found) or 'none'}"
        matching = {call.id for call in found}
        others = [call for call in calls if call.id not in matching]
        if others and (times is None or len(found) < times):
            near = self._nearest(criteria, others)
            fit = f" These fit:{format_last(found, MAX_SHOWN)}\nThe nearest others:" if found else " The nearest:"
            return f"{head}.{fit}{format_last(near, MAX_SHOWN)}"
        if found:
            return f"{head}:{_last(found)}"
        return f"{head}.{_last(self.journal.calls(), ' Calls there were:') or ' There was no call at all.'}"

    def _nearest(self, criteria: CallCriteria, calls: list[Call]) -> list[str]:
        """Return the calls with the fewest differences, each with these, in the order of the journal."""
        explained = calls if criteria.body is None else [self.journal.explain(call) for call in calls[-50:]]
        reasons = {call.id: criteria.differences(call) for call in explained}
        nearest = sorted(explained, key=lambda call: len(reasons[call.id]))[:MAX_SHOWN]
        return [f"{call!r}: {'; '.join(reasons[call.id])}" for call in explained if call in nearest]


@dataclass(frozen=True)
class CallCriteria:
    """Which calls an assertion is about."""

    operation: Operation
    body: Any
    status: int | None
    job_id: str | None

    def mismatches(self, call: Call) -> list[str]:
        """Return why a call of the operation does not match, its body apart."""
        wanted = (("status", self.status, call.status), ("job", self.job_id, call.job_id))
        return [f"{what}: expected {one}, got {other}" for what, one, other in wanted if one not in (None, other)]

    def differences(self, call: Call) -> list[str]:
        """Return everything that differs, also inside the body; needs an explained call."""
        bodily = [] if self.body is None else list(differences(call.body, self.body))
        return [*self.mismatches(call), *bodily] or (["not answered yet"] if not call.is_answered else [])

    def describe(self, times: int | None) -> str:
        """Return the expectation as text, `times` None for at least one call."""
        number = "a call" if times is None else f"{times} call{'' if times == 1 else 's'}"
        parts = [
            f"{number} of {self.operation}",
            f"about {self.job_id}" if self.job_id else "",
            f"answered {self.status}" if self.status is not None else "",
            f"with a body containing {short_repr(self.body)}" if self.body is not None else "",
        ]
        return " ".join(filter(None, parts))


def _last(things: Sequence[object], head: str = "") -> str:
    return f"{head}{format_last(things, MAX_SHOWN)}" if things else ""
