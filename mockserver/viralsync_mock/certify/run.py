"""Runs a suite: a mock, a receiver of webhooks, and for each scenario a fresh key, sandbox and process."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from viralsync_mock.app import create_app
from viralsync_mock.certify.program import Programs
from viralsync_mock.certify.receiver import Receiver
from viralsync_mock.certify.result import Check, Outcome, Report, TrialResult
from viralsync_mock.certify.suite import ANY, ENDS_IN_TIME, EXIT_CODE, WELL
from viralsync_mock.client import Sandbox, environment
from viralsync_mock.client.results import FAILED, PASSED
from viralsync_mock.clock import Mode, RealTime
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.redaction import masked
from viralsync_mock.scenarios.model import Webhooks
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from viralsync_mock.certify.program import Ending
    from viralsync_mock.certify.receiver import Line
    from viralsync_mock.certify.suite import Suite, Trial
    from viralsync_mock.client.results import RuleVerdict, Verdict

MOCK = "mock"
"""The check that the mock itself works: an error in it is no fault of the client's."""

SCALED_TIMES = "(these times are the clock's, {:g} times as fast as real time; waits are judged in real time)"

SETTLE_SECONDS = 0.05
"""Real seconds in which the mock sees that a program that has ended has hung up."""

BY_ABSENCE = frozenset(
    {
        "cancels-what-it-abandons",
        "believes-no-old-status",
        "resumes-dropped-streams",
        "reads-every-page",
        "ignores-unknown-fields",
        "ignores-unknown-statuses",
    }
)
"""Rules that fail because nothing more came: they say nothing of a program that was stopped."""

OF_WEBHOOKS = ("answers-webhooks", "answers-webhooks-at-once", "refuses-bad-signatures", "survives-")
"""Rules about the receiver, by their beginnings."""

MOVIE = {"scenes": [{"id": "only", "duration": 1}]}
JOB = {"kind": "movie", "projectId": "proj_certify", "movie": MOVIE}


@dataclass(frozen=True)
class Options:
    """How a suite is run; `jobs` scenarios at once. `clock` is `scaled`, or `jump` for a program that sleeps on it."""

    command: str
    suite: Suite
    expected: Mapping[str, str]
    clock: str = "scaled"
    jobs: int = 6
    callback_to: str | None = None


def certify(options: Options, on_result: Callable[[TrialResult], None] = lambda _: None) -> Report:
    """Run every scenario; one that does not pass is run again by itself, and the second result counts.

    Raises UsageError for a command that cannot be started. An error of the mock is an outcome, and no fault of the
    client's.
    """
    programs, real = Programs.of(options.command), RealTime()
    started, began = real.wall(), real.monotonic()
    app = create_app(Settings(clock=Mode.SCALED, seed=hexadecimal(str(os.getpid()), started, length=8)))
    bugs: list[str] = []
    app.mock.on_bug = lambda where, error: bugs.append(f"{where}: {type(error).__name__}: {error}")
    with BackgroundServer(app) as server, Receiver(options.callback_to) as receiver:
        runner = _Runner(options, programs, server.base_url, receiver, bugs)
        with ThreadPoolExecutor(options.jobs) as pool:
            try:
                results = []
                for result in pool.map(runner.run, options.suite.trials):
                    results.append(result)
                    on_result(result)
                results = [runner.confirm(each, on_result) for each in results]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                programs.stop()
                raise
    return Report(
        command=masked(options.command),
        suite=options.suite,
        results=tuple(results),
        started_at=started,
        seconds=real.monotonic() - began,
        version=version("viralsync-mock"),
        expected=options.expected,
    )


@dataclass(frozen=True)
class _Runner:
    options: Options
    programs: Programs
    base_url: str
    receiver: Receiver
    bugs: list[str]

    def run(self, trial: Trial) -> TrialResult:
        if trial.needs_receiver and self.options.callback_to is None:
            reason = "needs a receiver of the client's: name it with --callback-to"
            return self._expecting(trial, [Check(rule, Outcome.UNPROVEN, reason) for rule in trial.rules])
        known = len(self.bugs)
        try:
            result = self._try(trial)
        except Exception as problem:  # whatever it is, it must not look like a fault of the client's
            return self._expecting(trial, [Check(MOCK, Outcome.ERROR, masked(f"{type(problem).__name__}: {problem}"))])
        errors = tuple(Check(MOCK, Outcome.ERROR, masked(each)) for each in self.bugs[known:])
        return replace(result, checks=(*errors, *result.checks))

    def confirm(self, result: TrialResult, on_result: Callable[[TrialResult], None]) -> TrialResult:
        """Run a scenario again by itself if other programs beside it may have been its misfortune."""
        was_alone = self.options.jobs == 1 or len(self.options.suite.trials) == 1 or not result.seconds
        if was_alone or not result.of(Outcome.FAILED, Outcome.UNPROVEN, Outcome.ERROR):
            return result
        again = replace(self.run(result.trial), alone=True)
        on_result(again)
        return again

    def _expecting(self, trial: Trial, checks: list[Check]) -> TrialResult:
        return TrialResult(trial, tuple(checks)).expecting(self.options.expected)

    def _try(self, trial: Trial) -> TrialResult:
        key = f"vs_prod_{os.urandom(16).hex()}"
        with Sandbox(self.base_url, key) as sandbox, self.receiver.line(f"{trial.name}-{key[-12:]}") as line:
            try:
                self._prepare(sandbox, trial)
                ending = self.programs.run(self._variables(sandbox, trial, line), trial.within)
                line.over.wait(SETTLE_SECONDS)
                has_ended = ending.exit_code is not None
                sleeps: Literal["real", "clock"] = "real" if self.options.clock == "scaled" else "clock"
                verdict = sandbox.verdict(sleeps=sleeps, client_ended=has_ended)
                hint = SCALED_TIMES.format(trial.speed) if sleeps == "real" and trial.speed > 1 else ""
                calls = len(sandbox.journal)
            finally:
                sandbox.reset()
        checks = [*_checks_of_program(trial, ending), *_checks_of_rules(trial, verdict, ending, line, calls, hint)]
        result = TrialResult(trial, tuple(checks), ending.exit_code, ending.seconds, masked(ending.output, key), calls)
        return result.expecting(self.options.expected)

    def _prepare(self, sandbox: Sandbox, trial: Trial) -> None:
        sandbox.open(scenario=trial.scenario, clock="frozen")
        if trial.jobs:
            with sandbox.client() as observer:
                for _ in range(trial.jobs):
                    observer.post("/v1/render/jobs", json=JOB)
        for fault in trial.faults:
            times = fault.get("times")
            sandbox.faults.arm(fault["fault"], match=fault.get("match"), times=times)
        if self.options.clock == "jump":
            sandbox.clock.jump()
        else:
            sandbox.clock.real(trial.speed)

    def _variables(self, sandbox: Sandbox, trial: Trial, line: Line) -> dict[str, str]:
        return {
            **environment(sandbox),
            "VIRALSYNC_SCENARIO": trial.name,
            "VIRALSYNC_TASK": trial.task,
            "VIRALSYNC_CALLBACK_URL": line.url,
            "VIRALSYNC_CALLBACK_PORT": str(line.port),
            "VIRALSYNC_WEBHOOK_SECRET": Webhooks().secret,
        }


def _checks_of_program(trial: Trial, ending: Ending) -> list[Check]:
    if ending.exit_code is None:
        reason = f"stopped after {trial.within:g} s"
        outcome = Outcome.PASSED if trial.ends == ANY else Outcome.FAILED
        return [Check(ENDS_IN_TIME, outcome, reason)]
    is_well = ending.exit_code == 0
    if trial.ends == ANY or is_well == (trial.ends == WELL):
        return [Check(EXIT_CODE, Outcome.PASSED, f"exit code {ending.exit_code}")]
    wanted = "0" if trial.ends == WELL else "another than 0, since there is no video"
    return [Check(EXIT_CODE, Outcome.FAILED, f"expected exit code {wanted}, got {ending.exit_code}")]


def _checks_of_rules(trial: Trial, verdict: Verdict, ending: Ending, line: Line, calls: int, hint: str) -> list[Check]:
    checks: list[Check] = []
    is_silent = calls <= trial.jobs
    for rule in verdict.rules:
        outcome = _outcome(rule, ending, line)
        if outcome is Outcome.UNPROVEN and rule.rule not in trial.rules:
            continue
        shown = (*rule.shown, hint) if hint and rule.shown and outcome is Outcome.FAILED else rule.shown
        checks.append(Check(rule.rule, outcome, _reason(rule, outcome, ending, line, is_silent=is_silent), shown))
    return checks


def _outcome(rule: RuleVerdict, ending: Ending, line: Line) -> Outcome:
    if rule.outcome == FAILED:
        is_cut_off = ending.exit_code is None and rule.rule in BY_ABSENCE
        return Outcome.UNPROVEN if is_cut_off else Outcome.FAILED
    is_ours = line.received > 0 and line.target is None and rule.rule.startswith(OF_WEBHOOKS)
    return Outcome.PASSED if rule.outcome == PASSED and not is_ours else Outcome.UNPROVEN


def _reason(rule: RuleVerdict, outcome: Outcome, ending: Ending, line: Line, *, is_silent: bool) -> str:
    if outcome is Outcome.PASSED:
        return rule.reason
    if outcome is Outcome.UNPROVEN and is_silent:
        return "proved nothing: the program made no call to the mock, whose address is in VIRALSYNC_BASE_URL"
    is_deaf = line.is_refused and rule.rule.startswith(OF_WEBHOOKS)
    reason = f"{rule.reason} (nothing listened at {line.target})" if is_deaf else rule.reason
    if outcome is not Outcome.UNPROVEN:
        return reason
    if ending.exit_code is None:
        return f"the program was stopped before it showed this ({reason})"
    return f"proved nothing: {reason}"
