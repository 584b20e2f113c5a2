"""The verdict on the client: how well the code under test behaved, rule by rule, from what the mock has seen of it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.verdict import polling, webhooks
from viralsync_mock.verdict import verdict_submissions as submissions
from viralsync_mock.verdict import verdict_tolerance as tolerance
from viralsync_mock.verdict.evidence import Evidence, Observation, Outcome
from viralsync_mock.verdict.reading import resumes_dropped_streams
from viralsync_mock.verdict.retries import backs_off_after_5xx, waits_out_retry_after
from viralsync_mock.verdict.verdict_pages import reads_each_page_once

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    Rule = Callable[[Evidence], Iterable[Observation]]

MAX_REASONS = 3
"""A judgement gives so many reasons."""

MAX_CALLS = 20
"""A judgement names so many calls."""


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "waits-out-retry-after": waits_out_retry_after,
        "backs-off-after-5xx": backs_off_after_5xx,
        "stops-at-terminal": polling.stops_at_terminal,
        "does-not-poll-while-streaming": polling.does_not_poll_while_streaming,
        "polls-no-faster-than": polling.polls_no_faster_than,
        "resumes-dropped-streams": resumes_dropped_streams,
        "reads-each-page-once": reads_each_page_once,
        "does-not-submit-twice": submissions.does_not_submit_twice,
        "answers-webhooks": webhooks.answers_webhooks,
        "refuses-bad-signatures": webhooks.refuses_bad_signatures,
        "survives-duplicates": webhooks.survives_duplicates,
        "survives-disorder": webhooks.survives_disorder,
        "ignores-unknown-fields": tolerance.ignores_unknown_fields,
        "ignores-unknown-statuses": tolerance.ignores_unknown_statuses,
        "cancels-what-it-abandons": polling.cancels_what_it_abandons,
        "sends-no-key-in-url": submissions.sends_no_key_in_url,
    }
)
"""By name."""


class RuleResult(NamedTuple):
    """What is to be said of one rule; `calls` are the ids of the calls and webhooks that show it."""

    rule: str
    outcome: Outcome
    reason: str
    calls: tuple[str, ...] = ()


def evaluate_rules(evidence: Evidence, excused: Collection[str] = ()) -> list[RuleResult]:
    """Judge a client by every rule; one that is broken and excused is `excused`. It never raises."""
    return [_judged(name, list(rule(evidence)), evidence, name in excused) for name, rule in RULES.items()]


def is_well_behaved(judgements: Iterable[RuleResult]) -> bool:
    """Say whether no rule is broken."""
    return all(each.outcome is not Outcome.BROKEN for each in judgements)


def _judged(name: str, cases: Sequence[Observation], evidence: Evidence, is_excused: bool) -> RuleResult:
    """Put the cases of a rule together: the worst says how it was kept."""
    if not cases:
        return _unseen(name, evidence)
    for outcome in (Outcome.BROKEN, Outcome.CANNOT_TELL, Outcome.HELD):
        found = [case for case in cases if case.outcome is outcome]
        if found:
            break
    reason = _together(found) if outcome is not Outcome.HELD else f"seen {_times(len(found))}, and kept"
    ids = dict.fromkeys(evidence.id_of(thing) for case in found for thing in case.things)
    shown = Outcome.EXCUSED if is_excused and outcome is Outcome.BROKEN else outcome
    return RuleResult(name, shown, reason, tuple(ids)[:MAX_CALLS])


def _unseen(name: str, evidence: Evidence) -> RuleResult:
    if evidence.is_whole:
        return RuleResult(name, Outcome.NOT_SEEN, "nothing that it speaks of has happened")
    return RuleResult(
        name, Outcome.CANNOT_TELL, "the journal has forgotten earlier calls, and the later do not show it"
    )


def _together(cases: Iterable[Observation]) -> str:
    reasons = list(dict.fromkeys(case.reason for case in cases))
    more = [f"and {len(reasons) - MAX_REASONS} more"] if len(reasons) > MAX_REASONS else []
    return "; ".join([*reasons[:MAX_REASONS], *more])


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
