"""What a journey sees of a run: it calls operations, says what must hold, and learns what was left open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.contract.schemas import DELETES, ENDS, NO_CONTENT, STREAMS
from viralsync_conform.findings import CATEGORY_OF_MARK, Category, Check, Finding
from viralsync_conform.run import outages
from viralsync_conform.run.context import RunContext, StopJourneyError
from viralsync_conform.run.http_client import HttpClient
from viralsync_conform.run.request import Request, as_json, encoded
from viralsync_conform.target import Account
from viralsync_conform.target.event_stream import Stream

Expected = int | str
"""A status, or an error code of the spec."""

CATCH_UP_SECONDS, CATCH_UP_INTERVAL = 20.0, 2.0
"""How long lists, charges and cancels of a real target may lag behind, and how often they are looked at."""

OF_THE_ACCOUNT = frozenset({401, 402, 403, 429})
"""What may be said of a key, a plan, a quota or a pace, whatever else is wrong with a call."""

ANY_SUCCESS = frozenset({ENDS, DELETES})
"""What these operations answer is open, so long as it is a success."""

NOTHING: Mapping[str, Any] = {}


CONFLICT = 409


def _is_same_code(wanted: str, got: str) -> bool:
    """Say whether two codes are one as far as pages say: the letters are open, and what a revoked key is called."""
    return got.upper() == wanted.upper() or {wanted, got} == {"API_KEY_REVOKED", "UNAUTHORIZED"}


@dataclass
class JourneyContext:
    """One journey under way, on one account. Unpaced, it may run into the rate limit, which then says something."""

    run: RunContext
    client: HttpClient
    journey: str
    account: Account = field(init=False)
    is_paced: bool = True

    def __post_init__(self) -> None:
        self.account = self.run.target.main

    def as_account(self, account: Account) -> JourneyContext:
        """Return the same journey on another account."""
        other = JourneyContext(self.run, self.client, self.journey)
        other.account = account
        return other

    # calls

    def call(
        self,
        operation: str,
        expect: Expected,
        *,
        fact: Check | None = None,
        path: Mapping[str, str] = NOTHING,
        query: Mapping[str, Any] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: object = None,
        content: bytes | None = None,
        auth: str = "header",
        step: str = "",
        is_repeatable: bool | None = None,
    ) -> Exchange:
        """Call an operation of the spec and judge the answer; `expect` is a status, or a code of the spec.

        `fact` is what a wrong status breaks; without one it is what the spec says of the status. `auth` is `header`,
        `bearer` or `none`. Raises StopRunError when the target is away.
        """
        known = self.run.contract.operations[operation]
        if body is not None:
            content, headers = as_json(body), {"content-type": "application/json", **headers}
        if is_repeatable is None:
            is_repeatable = known.method == "GET" or isinstance(expect, str)
        request = self.build_request(
            known.method, encoded(known.path, path), expect, operation=operation, path_parameters=path, query=query,
            headers=headers, content=content, auth=auth, step=step or operation, is_repeatable=is_repeatable,
        )  # fmt: skip
        return self._expected(request, expect, fact)

    def call_any(
        self, operation: str, *, step: str, path: Mapping[str, str] = NOTHING, expect: Expected = "", **rest: Any
    ) -> Exchange:
        """Call an operation whatever its status; that and how it was answered is for the caller to judge."""
        known = self.run.contract.operations[operation]
        target = encoded(known.path, path)
        return self.client.send(
            self.build_request(
                known.method, target, expect, operation=operation, path_parameters=path, step=step, **rest
            )
        )

    def request(self, method: str, path: str, expect: Expected, *, step: str, auth: str = "header") -> Exchange:
        """Call what the spec does not have: an unknown path, or a method that a path has not."""
        request = self.build_request(method, path, expect, step=step, auth=auth, is_repeatable=True)
        return self._expected(request, expect, None)

    def build_request(self, method: str, path: str, expect: Expected, **rest: Any) -> Request:
        """Return a request of this journey."""
        rest = {"step": "", "is_paced": self.is_paced, **rest}
        return Request(method, path, self.journey, account=self.account, expected=str(expect), **rest)

    def _expected(self, request: Request, expect: Expected, fact: Check | None) -> Exchange:
        call = self.client.send(request)
        self.expect(call, expect, fact)
        return call

    # what must hold

    def check(self, check: Check, holds: bool, *calls: Exchange, **rest: Any) -> bool:
        """Say what must hold, with the calls that show it; see `Run.hold`."""
        return self.run.check(check, bool(holds), *calls, **rest)

    def check_equal(self, check: Check, expected: object, got: object, *calls: Exchange, **rest: Any) -> bool:
        """Say that two values must be equal."""
        return self.check(check, expected == got, *calls, expected=expected, got=got, **rest)

    def check_refusal(self, call: Exchange, status: int) -> None:
        """Say that if a call is refused, it is refused so; whether it is refused at all is open."""
        is_refused = call.status is not None and 400 <= call.status < 500 and call.status not in OF_THE_ACCOUNT
        self.check(facts.REFUSED_AS, not is_refused or call.status == status, call, expected=status, got=call.status)

    def learn(self, switch: str, value: object, *calls: Exchange) -> None:
        """Note in which position a switch of the behaviour profile was seen."""
        self.run.learned.learn(switch, value, *calls)

    def mark_unobservable(self, switch: str, reason: str) -> None:
        """Note why a switch cannot be seen."""
        self.run.learned.mark_unobservable(switch, reason)

    def stop(self, reason: str, *calls: Exchange) -> StopJourneyError:
        """Return what ends the journey; what is missing was found already, or is reported here."""
        if not self._is_explained(*calls):
            self.run.mark_inconclusive(
                "journey", f"{self.journey} could not go on: {reason}", *calls, name=self.journey
            )
        return StopJourneyError(reason)

    def _is_explained(self, *calls: Exchange) -> bool:
        """Say whether a finding rests on one of the calls."""
        numbers = {call.number for call in calls}
        return any(numbers & set(finding.calls) for finding in self.run.findings)

    def expect(self, call: Exchange, expect: Expected, fact: Check | None = None) -> None:
        """Hold the answer against what was expected; what is nobody's fault is inconclusive."""
        contract = self.run.contract
        status = expect if isinstance(expect, int) else contract.status_of_code(expect)
        if call.status == status or (isinstance(expect, int) and self._is_learned_success(call, status)):
            self._expect_code(call, expect, fact)
            self.run.asserted[fact or facts.STATUS] += 1
            return
        reason = outages.excusing_reason(self.run, self.client.attempt, self.account, call, is_paced=self.is_paced)
        if reason:
            self.run.excused.add(call.number)
            if reason == outages.SLOT_HELD:
                self.run.findings.extend(facts.ENDS.name, call.number)
            elif reason != outages.TOO_LATE and not self._is_explained(call):
                self.run.mark_inconclusive("outage", reason, call)
            return
        self.run.asserted[fact or facts.STATUS] += 1
        self._unexpected(call, expect, status, fact)

    def _unexpected(self, call: Exchange, expect: Expected, status: int, fact: Check | None) -> None:
        """Put a status that was not expected into the category of what it breaks."""
        mark = fact.mark if fact else self._mark(call, status, call.status)
        got = call.problem or f"{call.status} {call.code or ''}".strip()
        name = (fact or facts.STATUS).name
        text = fact.statement if fact else f"{call.operation or call.method} answers another status than documented"
        self.run.findings.add(
            Finding(
                CATEGORY_OF_MARK[mark],
                name,
                text,
                operation=call.operation,
                status=call.status,
                place=call.step,
                keyword="status",
                name=str(expect),
                expected=str(expect),
                got=got,
                calls=(call.number,),
                journey=self.journey,
                mark=mark,
                source=fact.source if fact else "",
            )
        )

    def _is_learned_success(self, call: Exchange, status: int) -> bool:
        """Say whether another 2xx is the other reading of a switch: 204 in the place of a body."""
        if not (200 <= status < 300 and call.operation is not None and call.is_success):
            return False
        if call.effect in ANY_SUCCESS:
            return True
        return str(call.status) == NO_CONTENT and NO_CONTENT in self.run.contract.responses(call.operation)

    def _mark(self, call: Exchange, status: int, got: int | None) -> Any:
        marks = self.run.contract.mark_of_status
        if call.operation is None:
            return facts.STATUS_A.mark
        is_error = (got or 500) >= 400
        return facts.D if status < 300 and is_error else marks(call.operation, status)

    def _expect_code(self, call: Exchange, expect: Expected, fact: Check | None) -> None:
        """Hold the code against what was expected; where the refusal is assumed, so is its code."""
        if isinstance(expect, int) or call.code is None:
            return
        is_documented = self.run.contract.mark_of_code(expect) is facts.D and (fact is None or fact.mark is facts.D)
        check = facts.ERROR_CODE if is_documented else facts.ERROR_CODE_A
        wanted = self.run.assumed.behaviour.code(expect)
        if check is facts.ERROR_CODE and not _is_same_code(wanted, call.code):
            self.check_equal(check, wanted, call.code, call, place=call.step, name=expect)
            return
        self.run.asserted[check] += 1
        self.learn(f"errors.{expect.lower()}", call.code, call)

    # streams

    @contextmanager
    def stream(
        self,
        job_id: str,
        expect: Expected = 200,
        *,
        step: str,
        last_event_id: str | None = None,
        auth: str = "header",
        has_ended: bool = False,
    ) -> Iterator[Stream]:
        """Open the stream of a job; raises StopJourneyError where there is none. Its call is judged at the end.

        The stream of a job that has ended may be over: 204 or 409 then stops the journey.
        """
        known = self.run.contract.one(STREAMS)
        path = self.run.contract.job_path(known, job_id)
        headers = {"accept": "text/event-stream", **({"Last-Event-ID": last_event_id} if last_event_id else {})}
        request = self.build_request(
            known.method, encoded(known.path, path), expect, operation=known.id, path_parameters=path, headers=headers,
            step=step, auth=auth,
        )  # fmt: skip
        with self.client.open(request) as (stream, call):
            if has_ended and str(call.status) == NO_CONTENT:
                self.learn("sse.after_end", "no_content", call)
                raise StopJourneyError("the stream of a job that has ended is over")
            if has_ended and call.status == CONFLICT:
                self.check(facts.ONE_EVENT, False, call, expected="a stream", got=call.status)
                raise StopJourneyError("the stream of a job that has ended is refused")
            self.expect(call, expect, None)
            if stream is None:
                raise self.stop("no stream was opened", call)
            try:
                yield stream
            finally:
                whole = self.client.finished(call, stream)
                stream.call = whole
            if whole.problem and not self.run.target.has_control:  # to a mock on this machine nothing breaks
                self.run.mark_inconclusive("outage", f"the stream broke off: {whole.problem}", whole)
                raise self.stop("the stream broke off", whole)

    # what many journeys need

    def settle(self, look: Callable[[], Exchange], holds: Callable[[Exchange], bool]) -> Exchange:
        """Look until something holds, for as long as a real target may take to catch up; return the last look."""
        waited, call = 0.0, look()
        while not holds(call) and call.is_success and waited < CATCH_UP_SECONDS and not self.run.target.has_control:
            self.account.clock.wait(CATCH_UP_INTERVAL)
            waited += CATCH_UP_INTERVAL
            call = look()
        return call

    def wait(self, seconds: float) -> None:
        """Let time pass for the target."""
        self.account.clock.wait(seconds)

    def category(self, category: Category) -> list[Finding]:
        """Return what lies in a category so far."""
        return self.run.findings.of(category)
