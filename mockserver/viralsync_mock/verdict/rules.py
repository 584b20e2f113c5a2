"""The verdict on the client: how well the code under test behaved, rule by rule, from what the mock has seen of it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.verdict import polling, reading, requests, webhooks
from viralsync_mock.verdict.evidence import Evidence, Observation, Outcome
from viralsync_mock.verdict.retries import backs_off_after_5xx, waits_out_retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    Rule = Callable[[Evidence], Iterable[Observation]]

MAX_REASONS = 3
"""Reasons in a result."""

MAX_CALLS = 20
"""Calls and webhooks in a result."""


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "waits-out-retry-after": waits_out_retry_after,
        "backs-off-after-5xx": backs_off_after_5xx,
        "stops-at-terminal": polling.stops_at_terminal,
        "does-not-poll-while-streaming": polling.does_not_poll_while_streaming,
        "polls-no-faster-than": polling.polls_no_faster_than,
        "sleeps-between-calls": polling.sleeps_between_calls,
        "resumes-dropped-streams": reading.resumes_dropped_streams,
        "stays-on-its-stream": reading.stays_on_its_stream,
        "reads-each-page-once": reading.reads_each_page_once,
        "reads-every-page": reading.reads_every_page,
        "does-not-submit-twice": requests.does_not_submit_twice,
        "does-not-resubmit-failed": requests.does_not_resubmit_failed,
        "does-not-repeat-refused": requests.does_not_repeat_refused,
        "answers-webhooks": webhooks.answers_webhooks,
        "answers-webhooks-at-once": webhooks.answers_webhooks_at_once,
        "refuses-bad-signatures": webhooks.refuses_bad_signatures,
        "survives-duplicates": webhooks.survives_duplicates,
        "survives-disorder": webhooks.survives_disorder,
        "ignores-unknown-fields": reading.ignores_unknown_fields,
        "ignores-unknown-statuses": reading.ignores_unknown_statuses,
        "believes-no-old-status": polling.believes_no_old_status,
        "cancels-what-it-abandons": polling.cancels_what_it_abandons,
        "sends-no-key-in-url": requests.sends_no_key_in_url,
    }
)
"""By name."""


class RuleResult(NamedTuple):
    """The outcome of one rule; `calls` are the ids of the calls and webhooks that show it."""

    rule: str
    outcome: Outcome
    reason: str
    calls: tuple[str, ...] = ()


def evaluate_rules(evidence: Evidence, waived: Collection[str] = ()) -> list[RuleResult]:
    """Evaluate every rule; a rule that failed and may fail is `waived`. Never raises."""
    return [_combine(name, list(rule(evidence)), evidence, name in waived) for name, rule in RULES.items()]


def is_well_behaved(results: Iterable[RuleResult]) -> bool:
    return all(each.outcome is not Outcome.FAILED for each in results)


def _combine(name: str, cases: Sequence[Observation], evidence: Evidence, is_waived: bool) -> RuleResult:
    """Combine the observations of a rule: the worst outcome wins."""
    if not cases:
        return _unseen(name, evidence)
    for outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.PASSED):
        found = [case for case in cases if case.outcome is outcome]
        if found:
            break
    times = "once" if len(found) == 1 else f"{len(found)} times"
    reason = _together(found) if outcome is not Outcome.PASSED else f"right {times}"
    ids = dict.fromkeys(evidence.id_of(thing) for case in found for thing in case.things)
    shown = Outcome.WAIVED if is_waived and outcome is Outcome.FAILED else outcome
    return RuleResult(name, shown, reason, tuple(ids)[:MAX_CALLS])


def _unseen(name: str, evidence: Evidence) -> RuleResult:
    if evidence.is_whole:
        return RuleResult(name, Outcome.NOT_APPLICABLE, "the situation that it is about never occurred")
    return RuleResult(
        name, Outcome.INCONCLUSIVE, "the journal has dropped earlier calls, and the later ones do not show it"
    )


def _together(cases: Iterable[Observation]) -> str:
    reasons = list(dict.fromkeys(case.reason for case in cases))
    more = [f"and {len(reasons) - MAX_REASONS} more"] if len(reasons) > MAX_REASONS else []
    return "; ".join([*reasons[:MAX_REASONS], *more])
