"""Rules about the receiver of webhooks."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from viralsync_mock.verdict.evidence import failed, inconclusive, passed
from viralsync_mock.webhooks.delivery import DeliveryOutcome
from viralsync_mock.webhooks.payload import SIGNATURE_HEADER, sign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from viralsync_mock.verdict.evidence import Evidence, Observation
    from viralsync_mock.webhooks.delivery import Attempt, Delivery

POLITE = 2.0
"""Seconds in which a receiver answers."""

NOT_REACHED = frozenset({"refused_target", "redirected_away", "unreachable"})
"""Problems that say nothing of a receiver: there was none, or the mock may not send there."""


def answers_webhooks(evidence: Evidence) -> Iterator[Observation]:
    """Each webhook with a good signature is answered 2xx in time, by the last attempt at the latest."""
    for delivery in evidence.deliveries:
        if not delivery.attempts or is_forged(delivery):
            continue
        last = delivery.attempts[-1]
        if any(map(_was_taken, delivery.attempts)):
            yield passed(delivery)
        elif delivery.outcome is DeliveryOutcome.PENDING:
            continue
        elif last.problem in NOT_REACHED:
            yield inconclusive(f"the webhook reached no receiver: {last.reason}", delivery)
        else:
            yield failed(f"a webhook of {delivery.job_id} was answered {_answer(last)}", delivery)


def answers_webhooks_at_once(evidence: Evidence) -> Iterator[Observation]:
    """A webhook is answered before its work is done, not after (docs page /guides/webhooks)."""
    for delivery in evidence.deliveries:
        slow = [each for each in delivery.attempts if each.seconds > POLITE and each.problem not in NOT_REACHED]
        if slow:
            yield failed(f"a webhook of {delivery.job_id} was answered after {slow[0].seconds:.1f} s", delivery)
        elif any(each.status is not None for each in delivery.attempts):
            yield passed(delivery)


def refuses_bad_signatures(evidence: Evidence) -> Iterator[Observation]:
    """No webhook is answered 2xx whose signature is not that of its body."""
    for delivery in filter(is_forged, evidence.deliveries):
        if any(map(_was_taken, delivery.attempts)):
            yield failed(f"a webhook of {delivery.job_id} with a bad signature was answered 2xx", delivery)
        elif any(each.status is not None for each in delivery.attempts):
            yield passed(delivery)


def survives_duplicates(evidence: Evidence) -> Iterator[Observation]:
    """A webhook that comes again is answered 2xx, as it was before."""
    by_number = {each.number: each for each in evidence.deliveries}
    for delivery in evidence.deliveries:
        original = by_number.get(delivery.copy_of or 0)
        attempts = [*(original.attempts if original else ()), *delivery.attempts]
        own = len(attempts) - len(delivery.attempts)
        taken = next((at for at, each in enumerate(attempts) if _was_taken(each)), len(attempts))
        again = attempts[max(taken + 1, own) :]
        if not again or is_forged(delivery):
            continue
        things = (original, delivery) if original else (delivery,)
        refused = next((each for each in again if not _was_taken(each) and each.problem not in NOT_REACHED), None)
        reason = f"a webhook of {delivery.job_id} that came again was answered "
        yield failed(reason + _answer(refused), *things) if refused else passed(*things)


def survives_disorder(evidence: Evidence) -> Iterator[Observation]:
    """A webhook that comes after a later one is answered 2xx."""
    jobs: dict[str, list[Delivery]] = defaultdict(list)
    for delivery in evidence.deliveries:
        if delivery.attempts and not is_forged(delivery):
            jobs[delivery.job_id].append(delivery)
    for made in jobs.values():
        for at, late in enumerate(made):
            first = next((each for each in made[at + 1 :] if _overtakes(each, late)), None)
            if first is not None:
                yield from _disorder(late, first)


def _overtakes(later: Delivery, late: Delivery) -> bool:
    """Say whether a later webhook was sent first; on a clock that stands both are sent when the later is made."""
    one, other = late.attempts[0].at, later.attempts[0].at
    return later.copy_of != late.number and (one > other or (one == other == later.made_at > late.made_at))


def _disorder(late: Delivery, first: Delivery) -> Iterator[Observation]:
    last = late.attempts[-1]
    if any(map(_was_taken, late.attempts)):
        yield passed(first, late)
    elif any(map(_was_taken, first.attempts)) and last.problem not in NOT_REACHED:
        reason = f"a webhook of {late.job_id} that came after a later one was answered {_answer(last)}"
        yield failed(reason, first, late)


def is_forged(delivery: Delivery) -> bool:
    """Say whether the signature that was sent is not that of the body."""
    sent = dict(delivery.headers).get(SIGNATURE_HEADER, "")
    return sent != sign(delivery.body, delivery.hook.secret, delivery.hook.behaviour.webhook_signature)


def _was_taken(attempt: Attempt) -> bool:
    """Say whether the receiver answered 2xx, also when a fault lost its answer."""
    return attempt.status is not None and 200 <= attempt.status < 300


def _answer(attempt: Attempt) -> str:
    return str(attempt.status) if attempt.status is not None else f"not at all: {attempt.reason}"
