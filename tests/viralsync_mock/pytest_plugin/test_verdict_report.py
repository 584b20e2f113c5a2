"""The section at the end of a run that tells how well the code under test behaved."""

from __future__ import annotations

import pytest
from tests.support.pytester_runs import Run, run

from viralsync_mock.pytest_plugin.reporting import RuleOutcome, verdict_lines

pytest_plugins = ["pytester"]
__all__ = ["run"]

SOURCE = """
def test_stops(viralsync):
    job = submit(viralsync)
    while get(viralsync, f"/v1/jobs/{job}").json()["status"] != "done":
        pass

def test_goes_on(viralsync):
    job = submit(viralsync)
    for _ in range(60):
        get(viralsync, f"/v1/jobs/{job}")
"""


def section(result: pytest.RunResult) -> str:
    """Return what stands in the section, without the lines that pytest adds."""
    _, _, rest = result.stdout.str().partition("= viralsync verdict =")
    return "\n".join(line for line in rest.splitlines()[1:] if line and not line.startswith("="))


def test_the_section_names_each_broken_rule_with_the_tests_that_break_it(run: Run) -> None:
    """A client that polls on after the end is found out, and the run passes all the same."""
    result = run(SOURCE, "--viralsync-verdict")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*= viralsync verdict =*",
            "*passed*failed*waived*inconclusive",
            "stops-at-terminal *1 *1 *- *-",
            "not_applicable: *",
            "stops-at-terminal failed in",
            "  test_inner.py::test_goes_on: *",
            "The client is not well behaved in 1 of 2 sandboxes.",
        ]
    )


def test_the_section_is_the_same_under_xdist(run: Run) -> None:
    """What the workers have collected comes together."""
    alone = section(run(SOURCE, "--viralsync-verdict", subprocess=True))
    assert section(run(SOURCE, "--viralsync-verdict", "-n", "2", subprocess=True)) == alone
    assert "1 of 2 sandboxes" in alone


def test_an_ini_file_asks_for_it_and_the_factory_is_judged_too(run: Run, pytester: pytest.Pytester) -> None:
    """Also a sandbox whose client was closed."""
    pytester.makeini("[pytest]\nviralsync_verdict = true\n")
    source = """
def test_key_in_url(make_viralsync):
    with make_viralsync("leak") as sandbox:
        get(sandbox, f"/v1/usage?key={sandbox.api_key}")
"""
    run(source).stdout.fnmatch_lines(["sends-no-key-in-url failed in", "  make_viralsync('leak'): *"])


@pytest.mark.parametrize(
    ("mark", "failed"),
    [
        ("well_behaved=True", 1),
        ("well_behaved=False", 0),
        ('well_behaved="decided", clock="frozen"', 1),
        ('well_behaved={"stops-at-terminal": "a demo"}', 0),
    ],
)
def test_a_marker_asks_for_good_behaviour(run: Run, mark: str, failed: int) -> None:
    """The test fails at its end, after its own assertions."""
    source = f"""
@pytest.mark.viralsync({mark})
def test_goes_on(viralsync):
    job = submit(viralsync)
    for _ in range(60):
        get(viralsync, f"/v1/jobs/{{job}}")
"""
    result = run(source)
    result.assert_outcomes(passed=1, errors=failed)
    if failed:
        result.stdout.fnmatch_lines(["viralsync, well_behaved: the client is not well behaved, 1 rule *:"])


def test_an_ini_file_asks_for_good_behaviour(run: Run, pytester: pytest.Pytester) -> None:
    """Of every test; a wrong value is refused with its place."""
    pytester.makeini("[pytest]\nviralsync_well_behaved = true\n")
    run(SOURCE).assert_outcomes(passed=2, errors=1)
    pytester.makeini("[pytest]\nviralsync_well_behaved = perhaps\n")
    run(SOURCE).stdout.fnmatch_lines(['viralsync: tox.ini: viralsync_well_behaved: expected true, false, "decided"*'])


def test_nothing_is_printed_unasked(run: Run) -> None:
    """Neither without the flag, nor when tests are only collected."""
    assert "viralsync verdict" not in run(SOURCE).stdout.str()
    assert "viralsync verdict" not in run(SOURCE, "--viralsync-verdict", "--collect-only").stdout.str()


def test_a_run_without_sandboxes_says_so(run: Run) -> None:
    """No praise for a client that nobody has seen."""
    result = run("def test_inside(): pass", "--viralsync-verdict")
    result.stdout.fnmatch_lines(["No test has used a sandbox of the ViralSync mock."])


def test_a_good_client_is_praised() -> None:
    """Outcomes are counted by rule; rules that nothing spoke of stand in one line."""
    judged = [
        RuleOutcome("a", "first", "passed", ""),
        RuleOutcome("b", "first", "waived", "a demo"),
        RuleOutcome("a", "second", "not_applicable", ""),
        RuleOutcome("b", "second", "not_applicable", ""),
    ]
    assert list(verdict_lines(judged)) == [
        "             passed        failed        waived  inconclusive",
        "first             1             -             1             -",
        "not_applicable: second",
        "The client is well behaved in all of 2 sandboxes.",
    ]
