"""Everything that Schemathesis can think of, with what it makes of the answers."""

from __future__ import annotations

from viralsync_conform.fuzzing import coverage_run as generated
from viralsync_conform.fuzzing.results import add_findings
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext

EXPLORATION = "exploration"
KEPT_ASIDE = 6
"""Requests that a failing call may still need, to be looked into."""


@journey(
    "explored",
    "All phases of Schemathesis with all its checks find nothing: examples, coverage, fuzzing, walks along links.",
    300,
    renders=True,
    is_deep=True,
)
def explored(context: JourneyContext) -> None:
    from viralsync_conform.fuzzing.engine import explore  # loads the whole engine, which only this journey needs

    run = context.run
    has_control = run.target.has_control
    explorer = (
        context.as_account(run.target.account("explorer", plan="enterprise", clock="auto")) if has_control else context
    )
    exploration = explore(explorer)
    run.shared[EXPLORATION] = exploration
    add_findings(run, exploration)


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
