"""`python -m viralsync_conform.mutants`: measures what the contract tests notice on deliberately wrong servers."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

import click

from viralsync_conform.mutants.derived.mutations import sample
from viralsync_conform.mutants.measuring import Run, all_mutants, measure
from viralsync_conform.mutants.mutant import BEHAVIOUR, MECHANICAL, READING, Mutant
from viralsync_conform.mutants.schemathesis_baseline import PlainRun, run_schemathesis_alone
from viralsync_conform.mutants.score import UNDETECTABLE, Score, alarm_lines, is_alarm, lines
from viralsync_mock.errors import did_you_mean

T = TypeVar("T", Run, PlainRun)


@click.command()
@click.option("--source", type=click.Choice([BEHAVIOUR, MECHANICAL, READING]), help="Only mutants from this source.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this mutant; may be given several times.")
@click.option("--honest", is_flag=True, help="Only counter-mutants: they break no documented fact.")
@click.option("--sample", "number", type=click.IntRange(min=1), help="Only this many mutants, drawn by the seed.")
@click.option("--seed", default="0", show_default=True, help="Seed of the sample and of every run.")
@click.option("--clean", default=5, show_default=True, help="Runs against the mock itself, each with another seed.")
@click.option("--plain/--no-plain", default=False, show_default=True, help="Also run Schemathesis alone: slow.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=1), help="Processes.")
def main(
    source: str | None,
    only: Sequence[str],
    honest: bool,
    number: int | None,
    seed: str,
    clean: int,
    plain: bool,
    workers: int,
) -> None:
    """Run the nightly profile on each mutant and list which it noticed; exit code 1 if too few.

    With --honest no counter-mutant may be called broken.
    """
    chosen = _chosen(source, only, honest, number, seed)
    names = [mutant.name for mutant in chosen]
    with _pool(workers) as pool:
        if honest:
            _tell_alarms(_every(pool, "counter-mutants", measure, [(name, seed) for name in names]))
            return
        seeds = [str(index) for index in range(clean)]
        controls = _every(pool, "the mock", measure, [(None, each) for each in seeds])
        runs = _every(pool, "mutants", measure, [(name, seed) for name in names])
        alone: list[PlainRun] = []
        if plain:
            alone = _every(
                pool, "Schemathesis alone", run_schemathesis_alone, [(name, seed) for name in (None, *names)]
            )
    by_name = {run.mutant: run for run in alone}
    score = Score(
        mutants=chosen,
        runs={run.mutant: run for run in runs},
        clean=controls,
        plain={name: by_name[name] for name in names} if plain else {},
        plain_clean=by_name.get("mock"),
        excused=UNDETECTABLE,
    )
    for line in lines(score):
        click.echo(line)
    if not score.is_enough:
        raise SystemExit(1)


def _tell_alarms(runs: Sequence[Run]) -> None:
    for line in alarm_lines(runs):
        click.echo(line)
    if any(map(is_alarm, runs)):
        raise SystemExit(1)


def _chosen(source: str | None, only: Sequence[str], honest: bool, number: int | None, seed: str) -> tuple[Mutant, ...]:
    known = {m.name: m for m in all_mutants().values() if (m.is_permitted if honest else m.source != READING)}
    for name in only:
        if name not in known:
            raise click.UsageError(f"there is no mutant {name!r}.{did_you_mean(name, known)}")
    found = tuple(m for m in known.values() if source in (None, m.source) and (not only or m.name in only))
    return found if number is None else sample([m for m in found if not m.in_real_time], seed, number)


@contextmanager
def _pool(workers: int) -> Iterator[Executor]:
    """Yield fresh processes: servers and their threads do not survive a fork."""
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _every(
    pool: Executor, what: str, work: Callable[[str | None, str], T], tasks: Sequence[tuple[str | None, str]]
) -> list[T]:
    """Run all tasks with a progress bar; return their results in order."""
    futures = [pool.submit(work, *task) for task in tasks]
    with click.progressbar(length=len(futures), label=what, file=sys.stderr) as bar:
        for _ in as_completed(futures):
            bar.update(1)
    return [future.result() for future in futures]


if __name__ == "__main__":
    main()
