"""One conformance run, from a base URL to a result: the journeys, the clean-up, and what they come to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from viralsync_conform.budget import Budget
from viralsync_conform.calls import Exchange
from viralsync_conform.clocks import Clock, RealClock, measured, monotonic
from viralsync_conform.conclusion import build_result
from viralsync_conform.contract.schemas import ExpectedSpec
from viralsync_conform.journeys import JOURNEYS
from viralsync_conform.mock_comparison import Trace, trace_of
from viralsync_conform.profiles import PROFILES, Profile
from viralsync_conform.result import CanaryOutcome, JourneyOutcome, Result
from viralsync_conform.run.cleanup import clean, sweep
from viralsync_conform.run.context import RunContext
from viralsync_conform.run.http_client import HttpClient
from viralsync_conform.run.journey import Journey
from viralsync_conform.run.outages import check_stability
from viralsync_conform.run.runner import run_journeys
from viralsync_conform.target import Target, open_target, own_mock, seeded
from viralsync_conform.target.webhook_receiver import WebhookReceiver
from viralsync_mock.config.behaviour import BehaviourProfile, load_behaviour, to_document
from viralsync_mock.openapi.spec import Spec, load_spec
from viralsync_mock.settings import shipped

MOCK = "mock"
INTERRUPT = "interrupt"
SHIPPED_SECRET = "whsec_viralsync_mock"  # noqa: S105 - what the mock signs with, as its documentation says


@dataclass(frozen=True)
class Options:
    """What is asked of `conform`; None leaves a limit to the profile.

    `canary` runs the kit against a mutant, which must be noticed; `reference` is how the same journeys go on the
    mock, when it is known already. `uses_control` forbids the control API of a target that is a mock. `clock` is where
    a run waits for a real target, `answer_seconds` how long that may take for an answer, `deadline` minutes for it all.
    """

    target: str = MOCK
    profile: str = "nightly"
    key: str | None = field(default=None, repr=False)
    control_token: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    project_id: str | None = None
    webhook_url: str | None = None
    webhook_port: int = 0
    max_render_minutes: float | None = None
    max_requests: int | None = None
    deadline: float | None = None
    is_strict: bool = False
    behaviour: Path | None = None
    baseline: Path | None = None
    seed: str = "0"
    canary: Callable[[Options], CanaryOutcome] | None = None
    reference: Trace | None = None
    has_fidelity: bool = True
    uses_control: bool = True
    clock: Clock | None = None
    answer_seconds: float | None = None
    on_call: Callable[[Exchange], None] = lambda _: None
    on_journey: Callable[[str], None] = lambda _: None


def conform(options: Options, journeys: Sequence[Journey] = JOURNEYS) -> Result:
    """Run the kit against a target; raises UsageError for options that cannot be used.

    An interrupt ends the journeys, not the clean-up: the result then says that the run was cut short.
    """
    from viralsync_conform.baseline import read_baseline

    baseline = read_baseline(options.baseline) if options.baseline else None
    started_at = RealClock().now()
    with measured() as taken, open_run(options) as run:
        outcomes = _run_journeys(run, journeys)
    reference, is_whole = options.reference, not {finding.check for finding in run.findings} & {INTERRUPT, "deadline"}
    if reference is None and options.has_fidelity and options.target != MOCK and is_whole:
        reference = reference_of(options, run)
    canary = options.canary(options) if options.canary and run.profile.has_canary and is_whole else None
    return build_result(run, options.target, started_at, taken[0], outcomes, reference, canary, baseline)


@contextmanager
def open_run(options: Options) -> Iterator[RunContext]:
    """Yield a run that has done nothing yet; raises UsageError for options that cannot be used."""
    with ExitStack() as ending:
        url = options.target
        if url == MOCK:
            url = ending.enter_context(own_mock(options.behaviour, options.seed))
        target = ending.enter_context(_opened(options, url))
        if _has_receiver(options, target):
            receiver = WebhookReceiver(port=options.webhook_port, public_url=options.webhook_url, key=target.main.key)
            target.receiver = ending.enter_context(receiver)
        yield new_run(options, target)


@contextmanager
def _opened(options: Options, url: str) -> Iterator[Target]:
    """Yield the target; the kit's own mock has a few jobs where the profile makes none."""
    is_own = options.target == MOCK
    key = None if is_own else options.key
    with open_target(
        url, key, options.seed, control_token=options.control_token, uses_control=options.uses_control,
        clock=options.clock, answer_seconds=options.answer_seconds,
    ) as target:  # fmt: skip
        if is_own and not PROFILES[options.profile].renders:
            seeded(target, "pro", with_jobs=True)
        yield target


def _has_receiver(options: Options, target: Target) -> bool:
    return PROFILES[options.profile].renders and (target.is_local or options.webhook_url is not None)


@cache
def _spec() -> Spec:
    return load_spec(shipped("openapi.yaml"))


@cache
def _contract(behaviour: Path | None) -> ExpectedSpec:
    return ExpectedSpec(_spec(), load_behaviour(behaviour, _spec().errors) if behaviour else BehaviourProfile())


def new_run(options: Options, target: Target) -> RunContext:
    """Return a run that has done nothing yet."""
    profile = PROFILES[options.profile]
    return RunContext(
        target=target,
        assumed=_contract(options.behaviour),
        profile=profile,
        budget=_budget(options, profile),
        seed=options.seed,
        is_strict=options.is_strict,
        deadline=monotonic() + 60 * (profile.max_minutes if options.deadline is None else options.deadline),
        project=options.project_id,
        secret=options.webhook_secret or (SHIPPED_SECRET if target.has_control else None),
        on_call=options.on_call,
        on_journey=options.on_journey,
    )


def _budget(options: Options, profile: Profile) -> Budget:
    requests = profile.max_requests if options.max_requests is None else options.max_requests
    minutes = profile.max_render_minutes if options.max_render_minutes is None else options.max_render_minutes
    return Budget(requests, minutes)


def _run_journeys(run: RunContext, journeys: Sequence[Journey]) -> list[JourneyOutcome]:
    """Make the journeys and clean up, whatever happens in between."""
    client = HttpClient(run)
    outcomes: list[JourneyOutcome] = []
    try:
        sweep(run, client)
        for outcome in run_journeys(run, client, journeys):
            outcomes.append(outcome)
    except KeyboardInterrupt:
        run.mark_inconclusive(INTERRUPT, "the run was interrupted", name="journeys")
    finally:
        clean(run, client)
    check_stability(run)
    return outcomes


def reference_of(options: Options, run: RunContext) -> Trace:
    """Return how the same journeys go on a mock that acts as was learned, on an account of the same plan."""
    target, plan = run.target, run.plan
    with ExitStack() as ending:
        behaviour = ending.enter_context(_profile_of(run, options.behaviour))
        url = ending.enter_context(own_mock(behaviour, options.seed))
        mock = ending.enter_context(open_target(url, None, options.seed))
        if plan in _spec().plans:
            seeded(mock, str(plan), with_jobs=not run.profile.renders)
        mock.has_control = target.has_control
        if target.receiver is not None:
            mock.receiver = ending.enter_context(WebhookReceiver())
        other = new_run(Options(profile=run.profile.name, seed=options.seed, behaviour=behaviour), mock)
        _run_journeys(other, [journey for journey in JOURNEYS if not journey.is_deep])  # those are not compared
    return trace_of(other.calls, with_lists=target.has_control)


@contextmanager
def _profile_of(run: RunContext, believed: Path | None) -> Iterator[Path | None]:
    """Yield a file with what was learned; the one that was believed, where nothing else was."""
    if not run.learned.differences(run.assumed.behaviour):
        yield believed
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "learned.yaml"
        path.write_text(json.dumps(to_document(run.learned.applied_to(run.assumed.behaviour))))  # JSON is YAML
        yield path
