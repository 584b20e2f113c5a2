"""Everything that Schemathesis can think of, with what it makes of the answers."""

from __future__ import annotations

from viralsync_conform.fuzzing import explored as findings
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext

EXPLORATION = "exploration"


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
    findings.add_findings(run, exploration)
