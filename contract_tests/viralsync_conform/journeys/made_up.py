"""The calls that Schemathesis makes up, one after the other."""

from __future__ import annotations

from viralsync_conform.fuzzing import coverage_run as generated
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext

KEPT_ASIDE = 6
"""Requests that a failing call may still need, to be looked into."""


@journey(
    "generated_calls",
    "What the spec calls invalid is refused, what it calls valid is not, and nothing makes the server fail.",
    10,
)
def generated_calls(context: JourneyContext) -> None:
    target = context.run.target
    odd = context.as_account(target.account("odd", plan="enterprise")) if target.has_control else context
    for case in generated.unsent_cases(context.run):
        if context.run.budget.requests_left <= KEPT_ASIDE:
            break
        if generated.is_affordable(odd, case):
            generated.send(odd, case)
