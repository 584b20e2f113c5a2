"""A project of an outsider uses the kit from its wheel: its suite passes, and documents quote it as it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.project.test_wheel import wheel
from tests.support.paths import ROOT

__all__ = ["wheel"]  # a fixture: the wheel of the kit, whose source is gone

EXAMPLE = ROOT / "examples/downstream"
DOCUMENTS = ["README.md", "docs/pytest.md"]
MARK = "<!-- from: "
QUOTE = re.compile(MARK + r"(\S+) -->\n```python\n(.*?)```", re.DOTALL)
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")
"""No other variable of this run is to be seen by the project's."""


@dataclass(frozen=True)
class Project:
    """The example away from its source: its tests in a folder, and a Python in which its wheel is installed."""

    folder: Path
    python: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run this Python with the project's folder as the current one."""
        command = [str(self.python), *arguments]
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return subprocess.run(command, cwd=self.folder, env=kept, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Install both wheels into a fresh environment, which finds dependencies where this one has them."""
    folder, home = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=os.name != "nt")
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    offline = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    pip = [sys.executable, "-m", "pip", "install", *offline, "--no-build-isolation", "--target", str(site)]
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    subprocess.run([*pip, str(wheel), str(folder)], check=True, capture_output=True)
    shutil.rmtree(folder / "src")
    # a folder named in a .pth is searched, but the .pth files in it are not read: so the checkout stays out of sight
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Project(folder, Path(sysconfig.get_path("scripts", "venv", {"base": str(home)})) / "python")


def test_the_project_sees_wheels_only(project: Project) -> None:
    """Neither the checkout nor the example's source is where its Python looks for modules."""
    program = (
        "import sys, viralsync_mock as a, viralsync_client as b; print(a.__file__, b.__file__, *sys.path, sep='\\n')"
    )
    kit, client, *path = project.run("-c", program).stdout.splitlines()
    installed = project.python.parents[1]
    assert {str(ROOT), str(EXAMPLE / "src")}.isdisjoint(path)
    assert [Path(file).is_relative_to(installed) for file in (kit, client)] == [True, True]


def test_the_suite_of_the_project_passes(project: Project) -> None:
    """In random order and two processes at once; what its two bad clients get for a verdict is among it."""
    done = project.run("-m", "pytest", "-n", "2", "-p", "randomly", "-p", "no:cacheprovider", "--junitxml=junit.xml")
    assert done.returncode == 0, done.stdout + done.stderr
    cases = ET.parse(project.folder / "junit.xml").getroot().findall(".//testcase")  # noqa: S314 - pytest wrote it
    assert not [case.get("name") for case in cases if len(case.findall("skipped"))]
    shown = {case.get("name") for case in cases if case.get("classname") == "tests.test_bad_clients"}
    assert {"test_the_impatient_client_is_found_out", "test_the_careless_client_is_found_out"} <= shown


def test_the_names_that_the_project_uses_are_typed(project: Project) -> None:
    """A strict type checker finds nothing amiss: the kit's wheel carries its types."""
    done = project.run("-m", "mypy", "--cache-dir", os.devnull, str(EXAMPLE / "src"), "tests")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_quote_the_project_as_it_is(name: str) -> None:
    """A block marked `from:` is in that file, line by line; a mark without a block is a mistake."""
    text = (ROOT / name).read_text() if (ROOT / name).exists() else ""
    quotes = QUOTE.findall(text)
    assert text.count(MARK) == len(quotes)
    assert [file for file, code in quotes if code not in (ROOT / file).read_text()] == []
