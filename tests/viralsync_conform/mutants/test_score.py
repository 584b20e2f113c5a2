"""The mutation score: what counts as noticed, what is excused, and when it is enough."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from click.testing import CliRunner

from viralsync_conform.mutants import BEHAVIOUR, MECHANICAL, Mutant
from viralsync_conform.mutants.__main__ import main
from viralsync_conform.mutants.measuring import Run, measure
from viralsync_conform.mutants.schemathesis_baseline import PlainRun
from viralsync_conform.mutants.score import CONFORMS, Score, alarm_lines, is_alarm, lines

CLEAN = Run("mock", CONFORMS, requests=300, renders=1, seconds=1.0)


def mutant(name: str, source: str = BEHAVIOUR) -> Mutant:
    return Mutant(name, f"It is {name}.", source, "theme")


def score(
    noticed: Mapping[str, set[str]],
    *,
    clean: tuple[Run, ...] = (CLEAN,),
    excused: Mapping[str, str] | None = None,
    source: str = BEHAVIOUR,
    plain: Mapping[str, PlainRun] | None = None,
) -> Score:
    runs = {name: Run(name, "BROKEN", frozenset(checks)) for name, checks in noticed.items()}
    chosen = [mutant(name, source) for name in noticed]
    return Score(
        chosen, runs, clean, plain or {}, PlainRun("mock", frozenset({"Noise"})) if plain else None, excused or {}
    )


def test_a_check_that_fires_on_the_mock_notices_nothing() -> None:
    """A mutant that only such a check caught has survived."""
    noisy = Run("mock", "BROKEN", frozenset({"always"}))
    found = score({"one": {"always"}, "two": {"always", "real"}}, clean=(CLEAN, noisy))
    assert [each.name for each in found.survivors] == ["one"]
    assert found.noticed_by(mutant("two")) == ("real",)
    assert found.false_alarms == [noisy]


def test_what_is_excused_counts_for_nothing_unless_it_was_noticed() -> None:
    """An excuse takes a survivor out of the sum, and a mutant that was noticed after all stays in it."""
    found = score(
        {"one": set(), "two": {"real"}, "three": {"real"}}, excused={"one": "It is unseen.", "two": "It too."}
    )
    assert (found.survivors, found.percent(BEHAVIOUR), len(found.counted(BEHAVIOUR))) == ([], 100.0, 2)


@pytest.mark.parametrize(
    ("source", "caught", "of", "is_enough"),
    [(BEHAVIOUR, 19, 20, True), (BEHAVIOUR, 18, 20, False), (MECHANICAL, 49, 50, True), (MECHANICAL, 48, 50, False)],
)
def test_each_source_has_its_bar(source: str, caught: int, of: int, is_enough: bool) -> None:
    """95 % of the mutants written by hand, 98 % of those derived from the spec."""
    found = score({f"m{n}": {"real"} if n < caught else set() for n in range(of)}, source=source)
    assert found.is_enough is is_enough


def test_one_false_alarm_is_too_many() -> None:
    """Whatever the score, the mock as it is must pass."""
    assert not score({"one": {"real"}}, clean=(CLEAN, Run("mock", "INCONCLUSIVE"))).is_enough


def test_schemathesis_alone_is_judged_by_the_same_rule() -> None:
    """A failure that it also finds on the mock counts for nothing."""
    runs = {"one": PlainRun("one", frozenset({"Noise"})), "two": PlainRun("two", frozenset({"Noise", "Real"}))}
    found = score({"one": set(), "two": set()}, plain=runs)
    assert [found.noticed_plainly(mutant(name)) for name in ("one", "two", "three")] == [False, True, None]


def test_the_text_names_survivors_excuses_alarms_and_the_price() -> None:
    """Whoever reads it knows what to do next."""
    dear = Run("mock", "BROKEN", frozenset({"alarm"}), requests=401, renders=1, seconds=3.0)
    text = "\n".join(
        lines(score({"one": set(), "two": set()}, clean=(CLEAN, dear), excused={"two": "Nobody can see it."}))
    )
    assert "one: It is one." in text
    assert "two: Nobody can see it." in text
    assert "run 1: BROKEN, by alarm" in text
    assert "mock: 401 requests" in text


def test_a_run_that_breaks_down_says_so() -> None:
    """One mutant that cannot be run does not end the others: it has survived, and its verdict tells why."""
    run = measure("no-such-mutant", "0")
    assert (run.verdict, run.checks) == ("KeyError: 'no-such-mutant'", frozenset())


def test_the_kit_notices_a_mutant() -> None:
    """The whole way once: a server is started, the kit runs against it, and a check notices."""
    run = measure("get-me-200-drop-email", "0")
    assert run.verdict == "BROKEN"
    assert run.requests > 0


def test_a_name_that_is_none_is_answered_with_the_nearest() -> None:
    """A slip in a name is told before anything runs."""
    result = CliRunner().invoke(main, ["--only", "webhook-twic"])
    assert result.exit_code == 2
    assert "webhook-twice" in result.output


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (Run("one", "DIFFERS", frozenset({"schema"})), False),
        (Run("one", "INCONCLUSIVE"), False),
        (Run("one", "BROKEN", frozenset({"pages"}), failures=("pages: listJobs",)), True),
        (Run("one", "TimeoutError: gave up"), True),
    ],
)
def test_only_a_claim_that_a_fact_is_broken_is_a_false_alarm(run: Run, expected: bool) -> None:
    """A counter-mutant may differ and be inconclusive; broken it is not, and a run that breaks down says nothing."""
    assert is_alarm(run) is expected
    assert f"false alarms on 1 counter-mutants: {1 if expected else 'none'}" in "\n".join(alarm_lines([run]))


def test_an_honest_run_takes_counter_mutants_only() -> None:
    """What breaks a documented fact cannot be drawn among them, and they are no mutants of a usual run."""
    for arguments in (["--honest", "--only", "get-me-200-drop-email"], ["--only", "left-out-all"]):
        answer = CliRunner().invoke(main, arguments)
        assert (answer.exit_code, "there is no mutant" in answer.output) == (2, True)
