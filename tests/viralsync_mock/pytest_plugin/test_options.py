"""The options of a test's sandbox: each by each way, their precedence, and what is said of a wrong one."""

from __future__ import annotations

import pytest
from tests.support.pytester_runs import Run, passed, run

pytest_plugins = ["pytester"]
__all__ = ["run"]

SCENARIO_FILE = """
name: mine
description: Free to begin with.
account: {plan: free}
"""

BEHAVIOUR_FILE = "list: {key: items}\n"

SLOPPY = """
def test_sloppy(viralsync):
    get(viralsync, "/v1/nowhere")
"""

FACTS = {
    "scenario": "viralsync.scenario()",
    "plan": 'viralsync.account()["plan"]',
    "clock": "viralsync.clock.mode",
    "seed": 'get(viralsync, "/v1/usage", {"x-mock-fault": "status=503"}).headers["x-mock-seed"]',
    "behaviour": 'next(iter(get(viralsync, "/v1/jobs").json()))',
}

VALUES = {
    "scenario": ("scene-fails", "scene-fails"),
    "plan": ("enterprise", "enterprise"),
    "clock": ("frozen", "frozen"),
    "seed": ("42", "42"),
    "behaviour": ("mine.yaml", "items"),
}
"""By option: how a text gives it, and what the test sees then."""


def checks(option: str, mark: str = "") -> str:
    return f"{mark}\ndef test_inside(viralsync):\n    assert {FACTS[option]} == {VALUES[option][1]!r}\n"


@pytest.fixture(autouse=True)
def _files(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", mine=BEHAVIOUR_FILE, script=SCENARIO_FILE)


@pytest.mark.parametrize("option", VALUES)
def test_a_marker_gives_an_option(run: Run, option: str) -> None:
    """Each option, as the marker of a test."""
    passed(run(checks(option, f"@pytest.mark.viralsync({option}={VALUES[option][0]!r})")), 1)


@pytest.mark.parametrize("option", VALUES)
def test_a_variable_gives_an_option(run: Run, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option, as VIRALSYNC_MOCK_<OPTION>."""
    monkeypatch.setenv(f"VIRALSYNC_MOCK_{option.upper()}", VALUES[option][0])
    passed(run(checks(option)), 1)


@pytest.mark.parametrize("option", VALUES)
def test_an_ini_file_gives_an_option(run: Run, option: str, pytester: pytest.Pytester) -> None:
    """Each option, as viralsync_<option>."""
    pytester.makeini(f"[pytest]\nviralsync_{option} = {VALUES[option][0]}\n")
    passed(run(checks(option)), 1)


@pytest.mark.parametrize("option", VALUES)
def test_the_factory_takes_an_option(run: Run, option: str) -> None:
    """Each option, as an argument of make_viralsync."""
    source = f"""
def test_inside(make_viralsync):
    viralsync = make_viralsync({option}={VALUES[option][0]!r})
    assert {FACTS[option]} == {VALUES[option][1]!r}
"""
    passed(run(source), 1)


@pytest.mark.parametrize("way", ["marker", "variable", "ini"])
def test_a_test_is_strict_in_each_way(
    run: Run, way: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A marker, a variable or an ini file makes it so."""
    if way == "variable":
        monkeypatch.setenv("VIRALSYNC_MOCK_STRICT", "1")
    if way == "ini":
        pytester.makeini("[pytest]\nviralsync_strict = yes\n")
    mark = "@pytest.mark.viralsync(strict=True)" if way == "marker" else ""
    assert run(mark + SLOPPY).parseoutcomes() == {"passed": 1, "errors": 1}


def test_a_sandbox_of_the_factory_is_strict_too(run: Run) -> None:
    """Its calls are judged at the end of the run."""
    source = """
def test_sloppy(make_viralsync):
    get(make_viralsync("sloppy", strict=True), "/v1/nowhere")
"""
    result = run(source)
    assert result.parseoutcomes() == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(["  call_*_1 GET /v1/nowhere"])


def test_marker_goes_before_variable_and_variable_before_ini(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands nearer to the test wins, for each option by itself."""
    pytester.makeini("[pytest]\nviralsync_plan = free\nviralsync_seed = ini\nviralsync_clock = frozen\n")
    monkeypatch.setenv("VIRALSYNC_MOCK_PLAN", "enterprise")
    monkeypatch.setenv("VIRALSYNC_MOCK_SEED", "variable")
    monkeypatch.setenv("VIRALSYNC_MOCK_SCENARIO", "")
    source = f"""
@pytest.mark.viralsync(plan="pro", seed=None)
def test_inside(viralsync):
    assert ({FACTS["plan"]}, {FACTS["clock"]}, {FACTS["scenario"]}) == ("pro", "frozen", "happy")
    assert {FACTS["seed"]} == "variable"
"""
    passed(run(source), 1)


def test_the_marker_of_a_test_goes_before_those_of_class_and_module(run: Run) -> None:
    """Each level adds what the nearer ones leave open."""
    source = f"""
pytestmark = pytest.mark.viralsync(plan="free", clock="frozen", seed="module")

@pytest.mark.viralsync(plan="enterprise", clock="real")
class TestInside:
    @pytest.mark.viralsync(plan="pro")
    def test_inside(self, viralsync):
        assert ({FACTS["plan"]}, {FACTS["clock"]}, {FACTS["seed"]}) == ("pro", "real", "module")
"""
    passed(run(source), 1)


def test_whole_documents_can_be_given_in_a_marker(run: Run) -> None:
    """A scenario, or nested switches, as a mapping."""
    source = f"""
WHOLE = {{"name": "inline", "description": "All fail.", "account": {{"plan": "free"}}}}

@pytest.mark.viralsync(scenario=WHOLE, behaviour={{"list": {{"key": "items"}}}})
def test_inside(viralsync):
    assert ({FACTS["scenario"]}, {FACTS["plan"]}) == ("inline", "free")
    viralsync.account(plan="pro")
    assert {FACTS["behaviour"]} == "items"
"""
    passed(run(source), 1)


def test_a_marker_finds_files_beside_the_test(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the run was started."""
    monkeypatch.chdir(pytester.mkdir("elsewhere"))
    source = f"""
@pytest.mark.viralsync(scenario="script.yaml")
def test_inside(viralsync):
    assert {FACTS["scenario"]} == "mine"
"""
    passed(run(source, str(pytester.path / "test_inner.py")), 1)


WRONG = {
    'scenario="scene-fail"': 'viralsync(scenario=...): $.scenario: there is no scenario "scene-fail". '
    'Did you mean "scene-fails"?',
    "scenario=3": "viralsync(scenario=...): expected the name of a scenario, a file (.yaml, .yml, .json) or a mapping, "
    "got 3.",
    'scenario="gone.yaml"': "gone.yaml: cannot be read: No such file or directory",
    'plan="entreprise"': "viralsync(plan=...): $.plan: expected one of free, pro, business, enterprise, "
    'got "entreprise". Did you mean "enterprise"?',
    'clock="froze"': 'viralsync(clock=...): expected one of real, scaled, frozen, auto, jump, got "froze". '
    'Did you mean "frozen"?',
    "seed=1.5": "viralsync(seed=...): expected a text or a whole number, got 1.5.",
    "behaviour=True": "viralsync(behaviour=...): expected nested switches or a file (.yaml, .yml, .json), got true.",
    'behaviour={"lst": {}}': "viralsync(behaviour=...): $.behaviour.lst: no such section.",
    'strict="perhaps"': 'viralsync(strict=...): expected true or false, got "perhaps".',
    'scenrio="x"': 'viralsync: there is no option "scenrio". Did you mean "scenario"? '
    "Options: scenario, plan, clock, seed, behaviour, strict, well_behaved, sleeps, exempt, state",
    '"scene-fails"': "viralsync: options are given by name, as in scenario=..., got 'scene-fails'.",
}


@pytest.mark.parametrize("argument", WRONG)
def test_a_wrong_option_is_told_with_its_place_and_without_a_traceback(run: Run, argument: str) -> None:
    """One sentence, with file and line of the test, what came, and what was expected."""
    result = run(f"@pytest.mark.viralsync({argument})\ndef test_inside(viralsync): pass")
    shown = result.stdout.str().partition("ERROR at setup of test_inside")[2].partition("====")[0]
    (line,) = shown.splitlines()[1:]
    assert WRONG[argument] in line
    assert line.startswith("viralsync: ")


def test_the_place_is_file_and_line_of_the_test(run: Run) -> None:
    """So an editor can go there."""
    result = run("\n\n@pytest.mark.viralsync(clock=1)\ndef test_inside(viralsync): pass")
    result.stdout.fnmatch_lines(["viralsync: test_inner.py:18: @pytest.mark.viralsync(clock=...): expected one of *"])


def test_a_wrong_variable_and_a_wrong_ini_value_are_named(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which of the two it was."""
    pytester.makeini("[pytest]\nviralsync_plan = prow\n")
    run("def test_inside(viralsync): pass").stdout.fnmatch_lines(
        ["viralsync: tox.ini: viralsync_plan: $.plan: expected one of *Did you mean*"]
    )
    monkeypatch.setenv("VIRALSYNC_MOCK_STRICT", "2")
    run("def test_inside(viralsync): pass").stdout.fnmatch_lines(
        ['viralsync: the variable VIRALSYNC_MOCK_STRICT: expected true or false, got "2".']
    )


def test_a_broken_file_is_told_with_its_own_line(run: Run, pytester: pytest.Pytester) -> None:
    """As the command says it."""
    pytester.makefile(".yaml", broken=SCENARIO_FILE + "jobs: 3\n", switches="list: {kee: x}")
    run('@pytest.mark.viralsync(scenario="broken.yaml")\ndef test_inside(viralsync): pass').stdout.fnmatch_lines(
        ['viralsync: test_inner.py:16: *(scenario=...): *broken.yaml:4: $.jobs: unknown key. Did you mean "job"?*', "*"]
    )
    run('@pytest.mark.viralsync(behaviour="switches.yaml")\ndef test_inside(viralsync): pass').stdout.fnmatch_lines(
        ["viralsync: test_inner.py:16: *(behaviour=...): *switches.yaml:1: $.list.kee: no such switch*"]
    )


def test_a_wrong_option_of_the_factory_is_shown_where_it_was_called(run: Run) -> None:
    """The traceback ends in the test."""
    result = run('def test_inside(make_viralsync):\n    make_viralsync(scenario="hapy")')
    result.stdout.fnmatch_lines(
        [
            '>*make_viralsync(scenario="hapy")',
            'E*SettingsError: make_viralsync(scenario=...): $.scenario: there is no scenario "hapy". *"happy"?',
            "test_inner.py:17: SettingsError",
        ]
    )


@pytest.mark.parametrize("way", ["marker", "variable", "ini"])
def test_sleeps_are_virtual_in_each_way(
    run: Run, way: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour passes on the sandbox's clock, and not for the exempt module."""
    if way == "variable":
        monkeypatch.setenv("VIRALSYNC_MOCK_SLEEPS", "virtual")
        monkeypatch.setenv("VIRALSYNC_MOCK_EXEMPT", "database")
    if way == "ini":
        pytester.makeini("[pytest]\nviralsync_sleeps = virtual\nviralsync_exempt = database, cache\n")
    pytester.makepyfile(database="import time\n\ndef nap(): time.sleep(0.001)\n")
    pytester.syspathinsert()
    mark = "@pytest.mark.viralsync(sleeps='virtual', exempt=['database'])" if way == "marker" else ""
    source = f"""
import time, database
{mark}
def test_inside(viralsync):
    start = viralsync.clock.now
    database.nap()
    time.sleep(3600)
    assert 3600 <= (viralsync.clock.now - start).total_seconds() < 3600.001
    assert viralsync.clock.mode == "jump"

def test_after():
    assert not hasattr(time.sleep, "__wrapped__")
"""
    passed(run(source), 2)


def test_the_factory_makes_sandboxes_that_nobody_sleeps_on(run: Run, pytester: pytest.Pytester) -> None:
    """Their clock is `auto` as ever: on a jumping one a job would never end."""
    pytester.makeini("[pytest]\nviralsync_sleeps = virtual\n")
    source = """
def test_inside(make_viralsync):
    assert make_viralsync().clock.mode == "auto"
    with pytest.raises(Exception, match="'sleeps' is an option of tests with the fixture"):
        make_viralsync(sleeps="virtual")
"""
    passed(run(source), 1)
