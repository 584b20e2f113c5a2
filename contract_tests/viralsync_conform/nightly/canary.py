"""The canary: the same kit against a server that is wrong on purpose, another one each day. It must be noticed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from viralsync_conform.clocks import RealClock
from viralsync_conform.conformance import Options, conform
from viralsync_conform.findings import Category, Verdict
from viralsync_conform.mutants import BEHAVIOUR_MUTANTS, Mutant, serving
from viralsync_conform.mutants.score import UNDETECTABLE
from viralsync_conform.result import CanaryOutcome
from viralsync_mock.randomness import digest


def mutant_of(day: date) -> Mutant:
    known = [mutant for mutant in BEHAVIOUR_MUTANTS if mutant.name not in UNDETECTABLE]
    return known[int.from_bytes(digest("canary", day.isoformat()), "big") % len(known)]


def canary(options: Options) -> CanaryOutcome:
    """Run the kit against the mutant of today; return whether it was noticed, and by which checks."""
    mutant = mutant_of(RealClock().now().date())
    with serving(mutant, seed=options.seed, behaviour=options.behaviour) as url:
        result = conform(
            replace(
                options,
                target=url,
                key=None,
                control_token=None,
                canary=None,
                baseline=None,
                webhook_url=None,
                max_requests=None,
                max_render_minutes=None,
                on_call=lambda _: None,
                on_journey=lambda _: None,
            )
        )
    by = sorted({finding.check for finding in result.findings if finding.category is not Category.INCONCLUSIVE})
    is_caught = result.verdict in {Verdict.BROKEN, Verdict.DIFFERS}
    return CanaryOutcome(mutant.name, mutant.statement, is_caught, tuple(by))
