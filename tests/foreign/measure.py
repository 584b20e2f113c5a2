"""Hold the kit against the independent server, in real time and without a control API: `make foreign`.

`python -m tests.foreign.measure` runs the four variants without a breach, then each breach, several at once since a
run mostly waits, and prints what was noticed, by which check, and whether that check names the broken sentence.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace

from tests.support.foreign_api import ACCOUNTS, CATALOGUE, VARIANTS, ForeignServer, Settings
from tests.support.foreign_api.readings import reading_from_text

from viralsync_conform.conformance import Options, conform
from viralsync_conform.findings import Category, Verdict
from viralsync_conform.journeys import JOURNEYS
from viralsync_mock.randomness import digest


@dataclass(frozen=True)
class Trial:
    """One server that is asked: a variant, with a breach or none, in some condition."""

    variant: str
    breach: str = ""
    seed: int = 1
    scale: float = 1.0
    latency: tuple[float, float] = (0.0, 0.0)
    account: str = "pro"
    reading: str = ""
    journeys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What tells this trial from others."""
        slow = f" latency {self.latency[1]:g}" if self.latency[1] else ""
        pace = f" scale {self.scale:g}" if self.scale != 1 else ""
        who = f" {self.account}" if self.account != "pro" else ""
        return f"{self.variant}{who}{pace}{slow} {self.breach or self.reading or 'honest'} seed {self.seed}"


@dataclass(frozen=True)
class Measured:
    """What the kit said of it."""

    trial: Trial
    verdict: str
    failures: tuple[str, ...]
    unclear: tuple[str, ...]
    requests: int
    minutes: float
    seconds: float
    learned: tuple[str, ...] = ()

    @property
    def checks(self) -> list[str]:
        """The checks that failed, each once."""
        return sorted({each.partition(":")[0] for each in self.failures})


def measured(trial: Trial) -> Measured:
    """Run the kit on a server of its own."""
    settings = Settings(
        trial.variant,
        frozenset({trial.breach} if trial.breach else ()),
        render_scale=trial.scale,
        latency=trial.latency,
        seed=trial.seed,
    )
    if trial.reading:
        name, _, value = trial.reading.partition("=")
        settings = replace(settings, readings=replace(settings.chosen, **{name: reading_from_text(name, value)}))
    with ForeignServer(settings) as server:
        result = conform(
            Options(
                target=server.base_url,
                key=ACCOUNTS[trial.account].key,
                seed=str(trial.seed),
                webhook_secret=settings.webhook_secret,
                project_id="proj_demo01",
                has_fidelity=False,
            ),
            [each for each in JOURNEYS if not trial.journeys or each.name in trial.journeys],
        )
    return Measured(
        trial,
        result.verdict.name.lower(),
        tuple(_told(result.findings, Category.FAILURE)),
        tuple(_told(result.findings, Category.INCONCLUSIVE)),
        result.budget.requests,
        result.budget.charged,
        result.seconds,
        tuple(f"{key}={each.value}" for key, each in result.learned.seen.items()),
    )


def _told(findings: Iterable[object], category: Category) -> Iterator[str]:
    for each in findings:
        if each.category is category:  # type: ignore[attr-defined]
            where = " ".join(str(part) for part in (each.operation, each.status, each.place, each.name) if part)  # type: ignore[attr-defined]
            yield f"{each.check}: {where}: {each.message[:120]} expected {each.expected[:60]} got {each.got[:120]}"  # type: ignore[attr-defined]


def trials(arguments: argparse.Namespace) -> list[Trial]:
    """Return what is to be run: honest servers first."""
    honest = [Trial(variant, seed=seed) for variant in VARIANTS for seed in range(1, arguments.seeds + 1)]
    if arguments.reading:
        return [Trial(arguments.variant, reading=each) for each in arguments.reading]
    if arguments.honest:
        return honest
    names = [name for name, breach in CATALOGUE.items() if breach.visible]
    if arguments.breach:
        names = [name for name in names if name in arguments.breach]
        honest = []
    elif arguments.sample:
        names = sorted(names, key=lambda name: digest(str(arguments.draw), name))[: arguments.sample]
    return [*honest, *(Trial(_variant(name, arguments.variant), name, account=_account(name)) for name in names)]


def _in_condition(trial: Trial, arguments: argparse.Namespace) -> Trial:
    return replace(
        trial,
        journeys=tuple(arguments.journey),
        scale=arguments.scale,
        latency=(arguments.latency / 4, arguments.latency),
        account=arguments.account if arguments.account != "pro" else trial.account,
    )


def _account(name: str) -> str:
    """Return the account on which a breach shows: one with hundreds of jobs where it needs them."""
    needs = CATALOGUE[name].needs
    return "pro_archive" if "more than" in needs or "of two types" in needs else "pro"


def _variant(name: str, wanted: str) -> str:
    return wanted if wanted in CATALOGUE[name].variants else CATALOGUE[name].variants[0]


def main() -> int:
    """Print a line for each trial and the sums; 1 for a false alarm or too few breaches noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, help="only so many breaches, drawn by --draw")
    parser.add_argument("--draw", type=int, default=1)
    parser.add_argument("--honest", action="store_true", help="no breaches")
    parser.add_argument("--seeds", type=int, default=1, help="of the honest servers")
    parser.add_argument("--variant", choices=sorted(VARIANTS), default="A", help="of the servers with a breach")
    parser.add_argument("--breach", action="append", metavar="NAME")
    parser.add_argument("--reading", action="append", metavar="NAME=VALUE", help="the variant with one other reading")
    parser.add_argument("--jobs", type=int, default=12, help="runs at once")
    parser.add_argument("--journey", action="append", default=[], metavar="NAME", help="only these, in their order")
    parser.add_argument("--scale", type=float, default=1.0, help="how slow renders are: 1 is about six seconds")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to every answer, at most")
    parser.add_argument("--account", choices=sorted(ACCOUNTS), default="pro")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    alarms, noticed, visible = 0, 0, 0
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for future in as_completed(
            [pool.submit(measured, _in_condition(each, arguments)) for each in trials(arguments)]
        ):
            found = future.result()
            is_broken = found.verdict == Verdict.BROKEN.name.lower()
            alarms += is_broken and not found.trial.breach
            visible += bool(found.trial.breach)
            noticed += is_broken and bool(found.trial.breach)
            _print(found, arguments.verbose)
    sys.stdout.write(f"\nfalse alarms: {alarms}; breaches noticed: {noticed} of {visible}\n")
    return int(alarms > 0 or noticed < 0.95 * visible)


def _print(found: Measured, is_verbose: bool) -> None:
    breach = CATALOGUE.get(found.trial.breach)
    fact = f" [{breach.fact} {breach.sentence}]" if breach else ""
    cost = f"{found.requests} requests, {found.minutes:.3f} min, {found.seconds:.0f} s"
    sys.stdout.write(f"{found.trial.name}: {found.verdict} by {', '.join(found.checks) or '-'} ({cost}){fact}\n")
    if is_verbose or (not breach and found.failures):
        for each in found.failures:
            sys.stdout.write(f"    failure {each}\n")
    if is_verbose:
        for each in found.unclear:
            sys.stdout.write(f"    inconclusive {each}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
