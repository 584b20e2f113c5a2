"""Every block of docs/pytest.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.paths import ROOT
from tests.support.pytester_runs import Run, passed, run

pytest_plugins = ["pytester"]
__all__ = ["run"]

TEXT = (ROOT / "docs/pytest.md").read_text()
BLOCK = r"<!-- {kind}: ([\w/.]+){more} -->\n```\w+\n(.*?)```"
FILES = dict(re.findall(BLOCK.format(kind="file", more=""), TEXT, re.DOTALL))
TESTS = {
    name: (int(number), code)
    for name, number, code in re.findall(BLOCK.format(kind="test", more=r", (\d+)"), TEXT, re.DOTALL)
}
FAILURES = {
    name: (code, output)
    for name, code, output in re.findall(
        BLOCK.format(kind="fails", more="") + r"\n\n```text\n(.*?)\n```", TEXT, re.DOTALL
    )
}
NEEDED = {"ini": "options/pytest.ini", "settings": "conftest.py"}
USUAL = ("-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function")


@pytest.fixture(autouse=True)
def _renderer(pytester: pytest.Pytester) -> None:
    for name in ("renderer.py", "pytest.ini"):
        pytester.path.joinpath(name).write_text(FILES[name])
    pytester.syspathinsert()


@pytest.mark.parametrize("name", TESTS)
def test_a_block_of_tests_passes(name: str, pytester: pytest.Pytester) -> None:
    """With the file that stands before it."""
    number, code = TESTS[name]
    if name in NEEDED:
        pytester.path.joinpath(Path(NEEDED[name]).name).write_text(FILES[NEEDED[name]])
    pytester.path.joinpath(f"test_block_{name}.py").write_text(code)
    passed(pytester.runpytest_inprocess(*USUAL), number)


@pytest.mark.parametrize("name", FAILURES)
def test_a_block_that_fails_says_what_the_document_shows(name: str, pytester: pytest.Pytester) -> None:
    """Line by line."""
    code, output = FAILURES[name]
    pytester.path.joinpath(f"test_{name}.py").write_text(code)
    assert output in pytester.runpytest_inprocess(*USUAL).stdout.str()


def test_the_hook_of_the_document_is_called(run: Run, pytester: pytest.Pytester) -> None:
    """It sees the sandbox with its calls."""
    pytester.makeconftest(FILES["closing/conftest.py"])
    source = 'def test_inside(viralsync):\n    get(viralsync, "/v1/usage")'
    run(source, "-s").stdout.fnmatch_lines(["*test_inner.py::test_inside 1 calls"])


def test_every_block_is_tested() -> None:
    """But for the commands to install the kit and to ask for the verdict."""
    fences = re.findall(r"^```(\w+)", TEXT, re.MULTILINE)
    assert fences.count("sh") == 2
    assert len(fences) - 2 == len(FILES) + len(TESTS) + 2 * len(FAILURES)


def test_every_document_that_it_names_is_there() -> None:
    """No link leads nowhere."""
    links = re.findall(r"\]\(([\w.-]+\.md)\)", TEXT)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
