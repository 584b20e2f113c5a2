"""Hold the kit against the independent server, in real time and without a control API: `make foreign`.

`python -m tests.foreign.measure` runs the four variants without a breach, then each breach, many at once since a run
mostly waits, and prints what was noticed, by which check, and whether a check that stands for the broken sentence
(`sentences.yaml`) is among them. `--conditions` and `--readings` are honest servers only: none may be called broken.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from tests.foreign.sentences import is_named
from tests.support.foreign_api import ACCOUNTS, CATALOGUE, VARIANTS, ForeignServer, Readings, Settings
from tests.support.foreign_api.readings import reading_from_text

from viralsync_conform.calls import Exchange
from viralsync_conform.conformance import Options, conform
from viralsync_conform.findings import Category, Finding, Verdict
from viralsync_conform.journeys import JOURNEYS
from viralsync_conform.run.journey import Journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_mock.randomness import digest

BROKEN = Verdict.BROKEN.name.lower()
REAL_ANSWER_SECONDS = 30.0
"""How long a run waits for an answer of a real target: this server stands for one."""

QUICK_JOURNEYS = (
    *("account", "keys_of_reads", "unknown_routes", "unknown_jobs", "reading_the_list"),
    *("life_by_polling", "life_by_stream", "ledger", "webhooks_of_a_life", "keys_of_jobs"),
)
QUICK_SCALE = 0.3
QUICK_FACTS = frozenset({"D-1.3", "D-1.13", "D-2.3", "D-5.1", "D-6.1", "D-9.12", "D-11.2", "D-11.6", "D-11.8"})
"""What a minute is enough for: journeys below the rate limit, and the sentences whose breaches they notice."""


@dataclass(frozen=True)
class Trial:
    """One server that is asked: a variant, with a breach or none, in some condition.

    `outage` is the second after the start at which the server answers 502 for two seconds. `is_brief` ends a run
    at the journey that noticed the breach and named it rightly.
    """

    variant: str
    breach: str = ""
    seed: int = 1
    scale: float = 1.0
    latency: tuple[float, float] = (0.0, 0.0)
    account: str = "pro"
    reading: str = ""
    outage: float = 0.0
    journeys: tuple[str, ...] = ()
    is_brief: bool = False

    @property
    def name(self) -> str:
        """What tells this trial from others."""
        parts = {
            self.account: self.account != "pro",
            f"scale {self.scale:g}": self.scale != 1,
            f"latency {self.latency[0]:g}-{self.latency[1]:g}": self.latency[1] > 0,
            f"502 at {self.outage:g} s": self.outage > 0,
            self.reading: bool(self.reading),
        }
        condition = " ".join(text for text, is_told in parts.items() if is_told)
        return f"{self.variant} {condition} {self.breach or 'honest'} seed {self.seed}".replace("  ", " ")


@dataclass(frozen=True)
class Measured:
    """What the kit said of it; `peak` is how many requests it made in any 60 seconds."""

    name: str
    breach: str
    verdict: str
    failures: tuple[str, ...]
    unclear: tuple[str, ...]
    checks: tuple[str, ...]
    is_named: bool
    requests: int
    peak: int
    minutes: float
    seconds: float
    unclean: int = 0
    learned: tuple[str, ...] = ()


def measured(trial: Trial) -> Measured:
    """Run the kit on a server of its own."""
    with ForeignServer(settings_of(trial)) as server:
        result = conform(options_of(trial, server), [_brief(each, trial) for each in _journeys(trial)])
    failures = [each for each in result.findings if each.category is Category.FAILURE]
    return Measured(
        trial.name,
        trial.breach,
        result.verdict.name.lower(),
        tuple(_told(failures)),
        tuple(_told(each for each in result.findings if each.category is Category.INCONCLUSIVE)),
        tuple(sorted({each.check for each in failures})),
        _is_named(trial, failures),
        result.budget.requests,
        _peak(result.calls),
        result.budget.charged,
        result.seconds,
        len(result.unclean),
        tuple(f"{key}={each.value}" for key, each in result.learned.seen.items()),
    )


def settings_of(trial: Trial) -> Settings:
    """Return what the server of a trial is started with."""
    settings = Settings(
        trial.variant,
        frozenset({trial.breach} if trial.breach else ()),
        render_scale=trial.scale,
        latency=trial.latency,
        seed=trial.seed,
        outages=((trial.outage, 2.0),) if trial.outage else (),
    )
    if trial.reading:
        name, _, value = trial.reading.partition("=")
        settings = replace(settings, readings=replace(settings.chosen, **{name: reading_from_text(name, value)}))
    return settings


def options_of(trial: Trial, server: ForeignServer) -> Options:
    """Return what the kit is told: an address, a key, a project and the secret of webhooks."""
    return Options(
        target=server.base_url,
        key=ACCOUNTS[trial.account].key,
        seed=str(trial.seed),
        webhook_secret=server.settings.webhook_secret,
        project_id="proj_demo01",
        has_fidelity=False,
        answer_seconds=REAL_ANSWER_SECONDS,
    )


def _journeys(trial: Trial) -> list[Journey]:
    return [each for each in JOURNEYS if not trial.journeys or each.name in trial.journeys]


def _brief(journey: Journey, trial: Trial) -> Journey:
    def until_noticed(context: JourneyContext) -> None:
        journey.function(context)
        if _is_named(trial, context.category(Category.FAILURE)):
            raise KeyboardInterrupt

    return replace(journey, function=until_noticed) if trial.is_brief and trial.breach else journey


def _is_named(trial: Trial, failures: Iterable[Finding]) -> bool:
    return bool(trial.breach) and any(is_named(CATALOGUE[trial.breach].fact, each) for each in failures)


def _peak(calls: Iterable[Exchange]) -> int:
    instants = sorted(call.at.timestamp() for call in calls)
    return max((sum(start <= at < start + 60 for at in instants) for start in instants), default=0)


def _told(findings: Iterable[Finding]) -> Iterator[str]:
    for each in findings:
        where = " ".join(str(part) for part in (each.operation, each.status, each.place, each.name) if part)
        yield f"{each.check}: {where}: {each.message[:160]} expected {each.expected[:80]} got {each.got[:160]}"


def conditions(seeds: int) -> Iterator[Trial]:
    """Yield honest servers in every condition that a correct server may be met in."""
    for variant in VARIANTS:
        for seed in range(1, seeds + 1):
            yield Trial(variant, seed=seed)
        for latency in ((0.05, 0.5), (0.5, 2.0), (1.9, 2.0)):
            yield Trial(variant, latency=latency)
        for scale in (0.05, 0.3, 5.0):
            yield Trial(variant, scale=scale)
        yield Trial(variant, scale=0.05, latency=(0.5, 2.0))
        yield Trial(variant, scale=5.0, latency=(0.5, 2.0))
        for outage in (20.0, 75.0, 140.0):
            yield Trial(variant, outage=outage)
        for account in ACCOUNTS:
            if account != "pro":
                yield Trial(variant, account=account)


def readings() -> Iterator[Trial]:
    """Yield variant A with each single reading changed, to each other choice there is."""
    hints, honest = get_type_hints(Readings), VARIANTS["A"]
    for field in fields(Readings):
        choices = get_args(hints[field.name]) or ((True, False) if hints[field.name] is bool else ())
        others = choices or {getattr(each, field.name) for each in VARIANTS.values()}
        for other in others:
            if other != getattr(honest, field.name):
                yield Trial("A", reading=f"{field.name}={other}")


def trials(arguments: argparse.Namespace) -> list[Trial]:
    """Return what is to be run: honest servers first."""
    if arguments.conditions:
        return list(conditions(arguments.seeds))
    if arguments.readings:
        return list(readings())
    if arguments.reading:
        return [Trial(arguments.variant, reading=each) for each in arguments.reading]
    variants = [arguments.variant] if arguments.sample else VARIANTS
    honest = [Trial(variant, seed=seed) for variant in variants for seed in range(1, arguments.seeds + 1)]
    if arguments.honest:
        return honest
    names = [
        name
        for name, breach in CATALOGUE.items()
        if breach.visible and (not arguments.quick or breach.fact in QUICK_FACTS)
    ]
    if arguments.breach:
        names, honest = [name for name in names if name in arguments.breach], []
    elif arguments.sample:
        names = sorted(names, key=lambda name: digest(str(arguments.draw), name))[: arguments.sample]
    broken = (Trial(_variant(name, arguments.variant), name, account=_account(name)) for name in names)
    return [*honest, *broken]


def _in_condition(trial: Trial, arguments: argparse.Namespace) -> Trial:
    changes: dict[str, Any] = {"journeys": tuple(arguments.journey), "is_brief": arguments.brief}
    if arguments.quick:
        changes |= {"journeys": QUICK_JOURNEYS, "scale": QUICK_SCALE}
    if arguments.scale != 1:
        changes["scale"] = arguments.scale
    if arguments.latency:
        changes["latency"] = (arguments.latency / 4, arguments.latency)
    if arguments.account != "pro":
        changes["account"] = arguments.account
    return replace(trial, **changes)


def _account(name: str) -> str:
    """Return the account on which a breach shows: one with hundreds of jobs where it needs them."""
    needs = CATALOGUE[name].needs
    return "pro_archive" if "more than" in needs or "of two types" in needs else "pro"


def _variant(name: str, wanted: str) -> str:
    return wanted if wanted in CATALOGUE[name].variants else CATALOGUE[name].variants[0]


def _earlier(path: Path | None) -> list[Measured]:
    """Return what an earlier call has measured already, so that it need not be measured again."""
    lines = path.read_text().splitlines() if path is not None and path.exists() else []
    return [Measured(**_tuples(json.loads(line))) for line in lines]


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def main() -> int:
    """Print a line for each trial and the sums; 1 for a false alarm or too few breaches noticed."""
    arguments = _parser().parse_args()
    found = _earlier(arguments.results)
    for each in found:
        _print(each, arguments.verbose)
    known = {each.name for each in found}
    wanted = [_in_condition(each, arguments) for each in trials(arguments)]
    asked = [each for each in wanted if each.name not in known]
    try:
        for each in _measured_at_once(asked, arguments.jobs):
            found.append(each)
            _print(each, arguments.verbose)
            if arguments.results is not None:
                with arguments.results.open("a") as file:
                    file.write(json.dumps(asdict(each)) + "\n")
    except KeyboardInterrupt:
        sys.stdout.write("interrupted\n")
    missing = len({each.name for each in wanted} - {each.name for each in found})
    return _sums(found, missing)


def _measured_at_once(asked: Iterable[Trial], jobs: int) -> Iterator[Measured]:
    """Yield what is measured as it comes; a trial that cannot be measured is said, and keeps no other from it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    pool = ProcessPoolExecutor(jobs)
    try:
        futures = {pool.submit(measured, each): each for each in asked}
        for future in as_completed(futures):
            if (problem := future.exception()) is None:
                yield future.result()
            else:
                sys.stdout.write(f"{futures[future].name}: not measured: {type(problem).__name__}: {problem}\n")
                sys.stdout.flush()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, help="only this many breaches, drawn by --draw, and one honest server")
    parser.add_argument("--quick", action="store_true", help="what a minute is enough for: some journeys and sentences")
    parser.add_argument("--draw", type=int, default=1)
    parser.add_argument("--honest", action="store_true", help="no breaches")
    parser.add_argument("--conditions", action="store_true", help="honest servers in every condition")
    parser.add_argument("--readings", action="store_true", help="variant A with each single reading changed")
    parser.add_argument("--seeds", type=int, default=1, help="of the honest servers")
    parser.add_argument("--variant", choices=sorted(VARIANTS), default="A", help="of the servers with a breach")
    parser.add_argument("--breach", action="append", metavar="NAME")
    parser.add_argument("--reading", action="append", metavar="NAME=VALUE", help="the variant with one other reading")
    parser.add_argument("--jobs", type=int, default=12, help="runs at once")
    parser.add_argument("--journey", action="append", default=[], metavar="NAME", help="only these, in their order")
    parser.add_argument("--brief", action="store_true", help="end a run where a breach is noticed and rightly named")
    parser.add_argument("--scale", type=float, default=1.0, help="how slow renders are: 1 is about six seconds")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to every answer, at most")
    parser.add_argument("--account", choices=sorted(ACCOUNTS), default="pro")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep results as JSON lines; go on from there")
    parser.add_argument("--verbose", action="store_true")
    return parser


def _sums(found: Iterable[Measured], missing: int) -> int:
    honest, broken = [each for each in found if not each.breach], [each for each in found if each.breach]
    alarms = sum(each.verdict == BROKEN for each in honest)
    noticed = sum(each.verdict == BROKEN for each in broken)
    named = sum(each.is_named for each in broken)
    sys.stdout.write(
        f"\nfalse alarms: {alarms} of {len(honest)} honest servers; "
        f"breaches noticed: {noticed} of {len(broken)}, rightly named: {named}; not measured: {missing}\n"
    )
    return int(alarms > 0 or missing > 0 or named < 0.95 * len(broken))


def _print(found: Measured, is_verbose: bool) -> None:
    breach = CATALOGUE.get(found.breach)
    fact = f" [{breach.fact} {breach.sentence}]" if breach else ""
    named = "" if not breach or found.verdict != BROKEN else " rightly named," if found.is_named else " WRONGLY NAMED,"
    cost = f"{found.requests} requests, at most {found.peak} a minute, {found.minutes:.3f} min, {found.seconds:.0f} s"
    sys.stdout.write(f"{found.name}: {found.verdict},{named} by {', '.join(found.checks) or '-'} ({cost}){fact}\n")
    if is_verbose or (not breach and found.failures):
        for each in found.failures:
            sys.stdout.write(f"    failure {each}\n")
    if is_verbose:
        for each in found.unclear:
            sys.stdout.write(f"    inconclusive {each}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
