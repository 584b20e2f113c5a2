"""What a test asserts of a sandbox: each failure shows the calls that came nearest, and what differs."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event, Timer
from typing import TYPE_CHECKING, Any

from viralsync_mock.client.records import format_last
from viralsync_mock.json_subset import differences, is_subset, short_repr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from viralsync_mock.client.records import Call, Delivery
    from viralsync_mock.client.resources import JournalView

NEAREST = 5
"""A failure shows so many calls."""

SETTLING = 1.0
"""Real seconds for which a webhook that is under way is waited for."""

POLL_INTERVAL = 0.01
"""Real seconds between two looks into the journal while a test waits for a call."""


class AssertionMixin:
    """The assertions of a sandbox, in pytest's manner: an AssertionError that says what came instead."""

    journal: JournalView

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """The webhooks."""
        raise NotImplementedError

    def assert_called(
        self,
        operation: str,
        *,
        times: int | None = None,
        body: Any = None,
        status: int | None = None,
        job_id: str | None = None,
    ) -> list[Call]:
        """Return the calls of an operation; fail unless there are so many, at least one when `times` is left out.

        `body` is what the request's JSON must contain: objects by their keys, all else by equality. `status` is that
        of the answer.
        """
        __tracebackhide__ = True
        sought = CallCriteria(operation, body, status, job_id)
        calls = self.journal.calls(operation)
        found = self._fitting(sought, calls)
        if len(found) != times if times is not None else not found:
            raise AssertionError(self._difference(sought, times, found, calls))
        return found

    def assert_not_called(self, operation: str) -> None:
        """Fail when the operation was called."""
        __tracebackhide__ = True
        if calls := self.journal.calls(operation):
            raise AssertionError(f"expected no call of {operation}, got {len(calls)}:{_last(calls)}")

    def assert_only_called(self, *operations: str) -> None:
        """Fail when anything else was called; not every one of them need have been."""
        __tracebackhide__ = True
        if calls := [call for call in self.journal.calls() if call.operation not in operations]:
            expected = f"calls of {', '.join(operations)} only" if operations else "no call at all"
            raise AssertionError(f"expected {expected}, got also:{_last(calls)}")

    def assert_webhook_delivered(
        self, kind: str | None = None, job_id: str | None = None, *, times: int | None = None
    ) -> list[Delivery]:
        """Return the webhooks that the receiver has taken: of a kind (`progress`, `done` ...), of a job.

        One that is just under way is waited for: its receiver knows of it before the mock knows that it was taken.
        """
        __tracebackhide__ = True
        made, found = self._settled(kind, job_id)
        taken = [each for each in found if each.outcome == "delivered"]
        if len(taken) != times if times is not None else not taken:
            noun = "webhook" if times in (None, 1) else "webhooks"
            what = " ".join(filter(None, (kind, noun, job_id and f"of {job_id}")))
            got = f"expected {'a' if times is None else times} {what} delivered, got {len(taken) or 'none'}"
            raise AssertionError(f"{got}{_last(found or made, '. Those that were made:') or '. None was made.'}")
        return taken

    def _settled(self, kind: str | None, job_id: str | None) -> tuple[Sequence[Delivery], list[Delivery]]:
        """Return all webhooks and those that are sought, once none of them is under its first attempt."""
        pause = Event()
        for _ in range(round(SETTLING / POLL_INTERVAL)):
            made = self.deliveries
            found = [each for each in made if kind in (None, each.kind) and job_id in (None, each.job_id)]
            if not any(each.outcome == "pending" and not each.attempts for each in found):
                break
            pause.wait(POLL_INTERVAL)
        return made, found

    def wait_for_call(
        self,
        operation: str,
        *,
        timeout: float = 5.0,
        times: int = 1,
        body: Any = None,
        status: int | None = None,
        job_id: str | None = None,
    ) -> Call:
        """Return the call of an operation, or the so many'th, once its answer has begun; fail after `timeout`.

        The time-out is in real seconds: what is waited for is the code under test, in a thread or process of its own.
        """
        __tracebackhide__ = True
        sought, is_over = CallCriteria(operation, body, status, job_id), Event()
        alarm = Timer(timeout, is_over.set)
        alarm.start()
        try:
            while True:
                is_last = is_over.is_set()
                calls = self.journal.calls(operation)
                found = self._fitting(sought, [call for call in calls if call.is_answered])
                if len(found) >= times:
                    return found[times - 1]
                if is_last:
                    difference = self._difference(sought, None if times == 1 else times, found, calls)
                    raise AssertionError(f"after {timeout:g} s: {difference}")
                is_over.wait(POLL_INTERVAL)
        finally:
            alarm.cancel()
            alarm.join()

    def _fitting(self, sought: CallCriteria, calls: list[Call]) -> list[Call]:
        likely = [call for call in calls if not sought.mismatches(call)]
        if sought.body is None:
            return likely
        return [call for call in map(self.journal.explain, likely) if is_subset(call.body, sought.body)]

    def _difference(self, sought: CallCriteria, times: int | None, found: list[Call], calls: list[Call]) -> str:
        """Say what was expected and what came: the calls that fit, those of the operation that do not, or all."""
        head = f"expected {sought.describe(times)}, got {len(found) or 'none'}"
        fitting = {call.id for call in found}
        others = [call for call in calls if call.id not in fitting]
        if others and (times is None or len(found) < times):
            near = self._nearest(sought, others)
            fit = f" These fit:{format_last(found, NEAREST)}\nThe nearest others:" if found else " The nearest:"
            return f"{head}.{fit}{format_last(near, NEAREST)}"
        if found:
            return f"{head}:{_last(found)}"
        return f"{head}.{_last(self.journal.calls(), ' Calls there were:') or ' There was no call at all.'}"

    def _nearest(self, sought: CallCriteria, calls: list[Call]) -> list[str]:
        """Return the calls that differ least, each with its differences, in the order in which they were made."""
        explained = calls if sought.body is None else [self.journal.explain(call) for call in calls[-50:]]
        reasons = {call.id: sought.differences(call) for call in explained}
        nearest = sorted(explained, key=lambda call: len(reasons[call.id]))[:NEAREST]
        return [f"{call!r}: {'; '.join(reasons[call.id])}" for call in explained if call in nearest]


@dataclass(frozen=True)
class CallCriteria:
    """The calls that an assertion is about."""

    operation: str
    body: Any
    status: int | None
    job_id: str | None

    def mismatches(self, call: Call) -> list[str]:
        """Return what keeps a call of the operation from being one of them, but for its body."""
        wanted = (("status", self.status, call.status), ("job", self.job_id, call.job_id))
        return [f"{what}: expected {one}, got {other}" for what, one, other in wanted if one not in (None, other)]

    def differences(self, call: Call) -> list[str]:
        """Return all that differs, the body's places too; the call is an explained one."""
        bodily = [] if self.body is None else list(differences(call.body, self.body))
        return [*self.mismatches(call), *bodily] or (["not answered yet"] if not call.is_answered else [])

    def describe(self, times: int | None) -> str:
        """Return what is expected, in words."""
        number = "a call" if times is None else f"{times} call{'' if times == 1 else 's'}"
        parts = [
            f"{number} of {self.operation}",
            f"about {self.job_id}" if self.job_id else "",
            f"answered {self.status}" if self.status is not None else "",
            f"with a body containing {short_repr(self.body)}" if self.body is not None else "",
        ]
        return " ".join(filter(None, parts))


def _last(things: Sequence[object], head: str = "") -> str:
    return f"{head}{format_last(things, NEAREST)}" if things else ""
