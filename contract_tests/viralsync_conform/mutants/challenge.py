"""Runs the tests of a team against wrong servers, to say which bugs of the API they would not notice.

A mutant counts if it deviated in what the tests did; those that differ only in their spec are not tried, and neither
are those for which the tests' traffic has no occasion, and those that a correct server may be. The most telling come
first.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from viralsync_conform.clocks import monotonic
from viralsync_conform.mutants.catalogue import BEHAVIOUR_MUTANTS
from viralsync_conform.mutants.engine.server import NO_MUTANT
from viralsync_conform.mutants.engine.traffic import DEVIATED, TRAFFIC, WEBHOOK, Deviation
from viralsync_conform.mutants.mutant import Mutant
from viralsync_conform.suite.recorder import FAILED, FOLDER, SKIPPED
from viralsync_mock.certify.program import Programs
from viralsync_mock.errors import UsageError, did_you_mean
from viralsync_mock.redaction import sanitised

CONTROLS = 3
FIRST_TIMEOUT = 600.0
"""Seconds for the runs on the mock itself, of which nothing is known yet."""

_NO_CONTROL = "the budget was used up by the runs on the mock itself; give more with --budget"
_NOT_TRIED = "the budget was used up before a wrong server deviated; give more with --budget"
_NONE_DEVIATED = "no wrong server deviated in what they do"

NEEDS = {
    "streams": "streamJobProgress 200",
    "lists": "listJobs 200",
    "submissions": "submitRenderJob 202",
    "cancel": "cancelJob",
    "delete": "deleteJob",
    "usage": "getUsage",
    "charges": "getUsage",
    "rate limit": r"\w+ 429",
    "webhooks": WEBHOOK,
    "keys": r"\w+ 40[13]|getMe",
    "errors": r"\w+ [45]..|getMe|getJob 200",
    "validation": r"submitRenderJob 400|submitRenderJob 202",
}
"""The fact that must be in the traffic for a mutant of a subject to be tried, as a regular expression."""

FINER_NEEDS = {
    r"cursor-|later-pages": "listJobs (of several pages|with cursor)",
    r"limit-(?!default|forgets)": "listJobs with limit",
    r"status-(?!upper)|.*cursor-forgets-status|filtered": "listJobs with status",
    r"type-(unknown-ignored|finds|ignored)|.*forgets-type": "listJobs with type",
    r"child-|scene-(queued|ids)|unknown-scene|.*-child|children-on|parent-done-before": "child ",
    r"unknown-route": "None 404",
    r"wrong-method|method-": r"\w+ 405",
    r"too-large|payload-too-large": "code PAYLOAD_TOO_LARGE",
    r"accepts-|validation-|submission-invalid|crash-on|bad-json": "code VALIDATION_ERROR",
    r"unknown-job|job-not-found": "code JOB_NOT_FOUND",
    r".*foreign-": r"\w+ 404",
    r"revoked-": "code API_KEY_REVOKED",
    r"free-plan-": "code FORBIDDEN",
    r".*without-key|.*with-any-key|missing-key": "code UNAUTHORIZED",
    r"stream-resume|stream-replays": "streamJobProgress resumed",
    r".*(?<!-)cancell?ed|job-canceled|.*cancel-unsaid": "(job|webhook) cancelled",
    r".*failed|error-(as|missing|without)|job-error": "(job|webhook) failed",
    r"quota-(never|403|429|400|other|code)": "code RENDER_QUOTA",
    r"concurrency-(not|429|402|other)": "code CONCURRENCY_LIMIT_EXCEEDED",
    r"plan-limit": "code PLAN_LIMIT_EXCEEDED",
}
"""The same by the beginning of a mutant's name."""


@dataclass(frozen=True)
class Attempt:
    """One run of the tests: its exit code (None: stopped), the tests that failed, the lines of its traffic.

    `is_broken_off` if the budget was used up before the run had shown anything.
    """

    exit_code: int | None
    failed: tuple[str, ...]
    traffic: frozenset[str]
    seconds: float
    is_broken_off: bool = False

    @property
    def deviations(self) -> list[Deviation]:
        """Where the server deviated, as far as its traffic says."""
        return [found for line in sorted(self.traffic) if line.startswith(DEVIATED) and (found := Deviation.of(line))]


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed, and what the tests received of it."""

    mutant: Mutant
    deviations: tuple[Deviation, ...]

    @property
    def did(self) -> str:
        """What the server did, in a call of the tests."""
        first = self._first
        return f"{first.where}: {first.place} was {first.sent}, the mock says {first.right}" if first else ""

    @property
    def nearest(self) -> str:
        """The test that received most of it; empty where the server ran in another process."""
        tests = [each.test for each in self.deviations if each.test]
        return max(dict.fromkeys(tests), key=tests.count) if tests else ""

    @property
    def asserts(self) -> str:
        """What a test would assert."""
        first = self._first
        if not first:
            return f"the opposite of: {self.mutant.statement}"
        return f"{first.place} of {first.where} is {first.right}"

    @property
    def _first(self) -> Deviation | None:
        of_nearest = [each for each in self.deviations if each.test == self.nearest]
        return next(iter(of_nearest), None)


class OutOfBudget(Exception):
    """The budget was used up by the runs on the mock itself."""


@dataclass
class Challenge:
    """All runs of a command until a deadline, in `monotonic()` seconds.

    `left_out` are the tests that fail on the mock itself, each with how.
    """

    programs: Programs
    deadline: float
    controls: list[Attempt] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    noticed: dict[Mutant, str] = field(default_factory=dict)
    survivors: list[Survivor] = field(default_factory=list)
    unmet: list[Mutant] = field(default_factory=list)
    untried: list[Mutant] = field(default_factory=list)
    broken_off: list[Mutant] = field(default_factory=list)

    @property
    def percent(self) -> float | None:
        """The share of the mutants that deviated and were noticed; None if none deviated."""
        tried = len(self.noticed) + len(self.survivors)
        return 100.0 * len(self.noticed) / tried if tried else None

    def run(self, mutant: str, timeout: float, *, is_whole: bool = False) -> Attempt | None:
        """Run the command once, as long as the budget lasts; None if it is used up already.

        Unless `is_whole`, pytest stops at the first failing test.
        """
        left = self.deadline - monotonic()
        if left <= 0:
            return None
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / SKIPPED).write_text("".join(f"{test}\n" for test in self.left_out), "utf-8")
            addopts = f"{os.environ.get('PYTEST_ADDOPTS', '')} -p no:cacheprovider{'' if is_whole else ' -x'}"
            variables = {FOLDER: name, "VIRALSYNC_MOCK_MUTANT": mutant, "PYTEST_ADDOPTS": addopts.strip()}
            ending = self.programs.run(variables, min(timeout, left))
            failed, traffic = _lines(folder / FAILED), _lines(folder / TRAFFIC)
        is_broken_off = ending.exit_code is None and left < timeout and not failed
        unique = tuple(dict.fromkeys(failed))
        return Attempt(ending.exit_code, unique, frozenset(traffic), ending.seconds, is_broken_off)

    def control(self) -> Attempt:
        """Run the tests on the mock itself; raises OutOfBudget if the budget does not last for it."""
        attempt = self.run(NO_MUTANT, FIRST_TIMEOUT, is_whole=True)
        if attempt is None or attempt.is_broken_off:
            raise OutOfBudget
        self.controls.append(attempt)
        return attempt


def run_challenge(
    command: Sequence[str], budget: float, only: Sequence[str], report: Path | None, fail_under: float, workers: int
) -> int:
    """Run everything, print the result and return the exit code; raises UsageError for what cannot be used."""
    challenge, chosen = Challenge(Programs(command), monotonic() + budget), _chosen(only)
    try:
        _control(challenge)
    except OutOfBudget:
        challenge.untried += chosen
    else:
        _try(challenge, chosen, workers, is_any_likely=bool(only))
    for line in _report(challenge):
        click.echo(sanitised(line))
    if report is not None:
        report.write_text(json.dumps(_document(challenge), indent=2) + "\n", "utf-8")
    return int((challenge.percent or 0.0) < fail_under)


def _try(challenge: Challenge, chosen: Sequence[Mutant], workers: int, *, is_any_likely: bool) -> None:
    """Run the tests against each mutant for which they have an occasion."""
    timeout = 2 * max(each.seconds for each in challenge.controls) + 5
    seen = frozenset[str]().union(*(each.traffic for each in challenge.controls))
    likely = [mutant for mutant in chosen if is_any_likely or _is_likely(mutant, seen)]
    challenge.unmet += [mutant for mutant in chosen if mutant not in likely]
    ordered = tuple(_most_telling_first(likely))
    with ThreadPoolExecutor(workers) as pool:
        results = zip(ordered, pool.map(lambda mutant: challenge.run(mutant.name, timeout), ordered), strict=True)
        try:
            with click.progressbar(results, length=len(likely), label="wrong servers", file=sys.stderr) as bar:
                for mutant, attempt in bar:
                    _sort(challenge, mutant, attempt)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            challenge.programs.stop()
            raise


def _chosen(only: Sequence[str]) -> list[Mutant]:
    known = {mutant.name: mutant for mutant in BEHAVIOUR_MUTANTS if mutant.edit_spec is None}
    for name in only:
        if name not in known:
            raise UsageError(f"--only {name}: there is no such wrong server.{did_you_mean(name, known)}")
    return [mutant for name, mutant in known.items() if (name in only if only else not mutant.is_permitted)]


def _control(challenge: Challenge) -> None:
    """Run the tests on the mock itself several times, and once more without those that fail or flicker there."""
    if not any("None" not in line for line in challenge.control().traffic):
        raise UsageError(
            "the tests never called the mock: start it with the fixture `viralsync` or with `viralsync-mock serve`"
        )
    controls = challenge.controls
    while len(controls) < CONTROLS:
        challenge.control()
    for test in dict.fromkeys(test for each in controls for test in each.failed):
        is_constant = all(test in each.failed for each in controls)
        challenge.left_out[test] = "it fails there" if is_constant else "it flickers there"
    if any(each.exit_code != 0 for each in controls):
        challenge.control()
    if (code := controls[-1].exit_code) != 0:
        raise UsageError(f"the tests fail on the mock itself, with exit code {code}: run them by themselves first")


def _is_likely(mutant: Mutant, facts: Iterable[str]) -> bool:
    """Say whether the tests do anything that a mutant answers wrongly."""
    needs = [NEEDS.get(mutant.subject, "")]
    needs += [need for name, need in FINER_NEEDS.items() if re.match(name, mutant.name)]
    known = tuple(facts)
    return all(any(re.match(need, fact) for fact in known) for need in needs)


def _most_telling_first(mutants: Sequence[Mutant]) -> Iterator[Mutant]:
    """Yield the most telling mutants, then the others of all subjects in turn, so that a short budget meets each."""
    by_name = {mutant.name: mutant for mutant in mutants}
    telling = Path(__file__).with_name("telling.txt").read_text("utf-8").split("\n")
    yield from (by_name[name] for name in telling if name in by_name)
    subjects: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        if mutant.name not in telling:
            subjects.setdefault(mutant.subject, []).append(mutant)
    for row in zip_longest(*subjects.values()):
        yield from (mutant for mutant in row if mutant is not None)


def _sort(challenge: Challenge, mutant: Mutant, attempt: Attempt | None) -> None:
    if attempt is None:
        challenge.untried.append(mutant)
    elif attempt.is_broken_off:
        challenge.broken_off.append(mutant)
    elif attempt.exit_code is None:
        challenge.noticed[mutant] = "the tests did not end in time"
    elif attempt.exit_code != 0:
        challenge.noticed[mutant] = attempt.failed[0] if attempt.failed else f"exit code {attempt.exit_code}"
    elif any(line.startswith(DEVIATED) for line in attempt.traffic):
        challenge.survivors.append(Survivor(mutant, tuple(attempt.deviations)))
    else:
        challenge.unmet.append(mutant)


def _report(challenge: Challenge) -> Iterator[str]:
    if challenge.controls:
        yield f"{len(challenge.controls)} runs on the mock itself, {challenge.controls[-1].seconds:.1f} s each"
    for test, why in challenge.left_out.items():
        yield f"left out, since {why}: {test}"
    tried = len(challenge.noticed) + len(challenge.survivors)
    if challenge.percent is None:
        yield f"nothing is known about your tests: {_why_unknown(challenge)}"
    else:
        yield f"your tests notice {len(challenge.noticed)} of {tried} wrong servers ({challenge.percent:.0f} %)"
    rest = [f"{len(challenge.unmet)} never deviate in what your tests do"] if challenge.unmet else []
    rest += [f"{len(challenge.untried)} were not tried within the budget"] if challenge.untried else []
    rest += [f"{len(challenge.broken_off)} were broken off when it was used up"] if challenge.broken_off else []
    if rest:
        yield f"not counted: {', '.join(rest)}"
    if challenge.survivors:
        yield "not noticed:"
    for each in challenge.survivors:
        yield f"  {each.mutant.subject}: {each.mutant.name}: {each.mutant.statement}"
        yield from _details(each)


def _why_unknown(challenge: Challenge) -> str:
    if len(challenge.controls) < CONTROLS:
        return _NO_CONTROL
    return _NOT_TRIED if challenge.untried or challenge.broken_off else _NONE_DEVIATED


def _details(survivor: Survivor) -> Iterator[str]:
    if survivor.did:
        yield f"      the server: {survivor.did}"
    if survivor.nearest:
        yield f"      nearest: {survivor.nearest}"
    yield f"      a test would assert: {survivor.asserts}"


def _document(challenge: Challenge) -> dict[str, object]:
    return {
        "command": list(challenge.programs.command),
        "percent": None if challenge.percent is None else round(challenge.percent, 1),
        "noticed": {mutant.name: by for mutant, by in challenge.noticed.items()},
        "survivors": [
            {
                "name": each.mutant.name,
                "subject": each.mutant.subject,
                "statement": each.mutant.statement,
                "did": each.did,
                "nearest": each.nearest,
                "asserts": each.asserts,
            }
            for each in challenge.survivors
        ],
        "left_out": challenge.left_out,
        "unmet": [mutant.name for mutant in challenge.unmet],
        "untried": [mutant.name for mutant in challenge.untried],
        "broken_off": [mutant.name for mutant in challenge.broken_off],
    }


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []
