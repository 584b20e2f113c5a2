"""The wheel carries all that the mock needs: it runs from there with the source away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest
import yaml
from tests.conftest import MOVIE
from tests.support.paths import ROOT

SHIPPED = ["mockserver", "contract_tests", "fixtures", "openapi.yaml", "README.md", "LICENSE", "pyproject.toml"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the source, then delete the copy."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SHIPPED:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*pip, str(out), str(source)], check=True, capture_output=True)
    shutil.rmtree(source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel where only its own package can be found."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def test_the_wheel_carries_spec_fixtures_schema_and_types(wheel: Path) -> None:
    """Everything that the mock reads at run time is in the wheel, and nothing of the tests."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "viralsync_mock/py.typed",
        "viralsync_mock/control/control.openapi.yaml",
        "viralsync_mock/ui/index.html",
        "viralsync_mock/ui/app.js",
        "viralsync_mock/ui/style.css",
        "viralsync_mock/self_check/self_check.mjs",
        "viralsync_mock/_data/openapi.yaml",
        "viralsync_mock/_data/fixtures/scenario.schema.json",
        "viralsync_mock/_data/fixtures/scenarios/happy.yaml",
        "viralsync_mock/_data/fixtures/behaviours/default.yaml",
        "viralsync_mock/_data/fixtures/movies/summer-promo.json",
    } <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_the_mock_serves_from_the_wheel(site: Path, tmp_path: Path) -> None:
    """`python -m viralsync_mock serve` from the unpacked wheel, elsewhere, takes a job."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "viralsync_mock", "serve", "--port", "0", "--auto"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().rsplit(" ", 1)[1].strip()
            headers = {"x-api-key": f"vs_prod_{'w' * 32}"}
            assert httpx.post(f"{url}/v1/render/jobs", json=MOVIE, headers=headers).status_code == 202
        finally:
            process.terminate()


def test_the_faults_prove_themselves_from_the_wheel(site: Path, tmp_path: Path) -> None:
    """Everything that `faults self-check` needs came along."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "viralsync_mock", "faults", "self-check", "--client", "httpx", "--fault", "status"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, "ok" in done.stdout) == (0, True), done.stderr


def test_the_mock_conforms_from_the_wheel(site: Path, tmp_path: Path) -> None:
    """`conform` finds the spec, the scenarios and the page's style in the wheel, and writes its reports."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "viralsync_mock", "conform", "--profile", "quick", "--report-dir", "report"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, "conforms (0)" in done.stdout) == (0, True), done.stdout + done.stderr
    assert "<style" in (tmp_path / "report" / "report.html").read_text()


def test_init_writes_a_project_whose_tests_pass(site: Path, tmp_path: Path) -> None:
    """From the wheel, in an empty folder, as its own workflow runs them; what was there stays."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1", "PATH": path}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    init = [sys.executable, "-m", "viralsync_mock", "init"]
    assert run(*init).count("wrote ") == 4
    workflow = yaml.safe_load((tmp_path / ".github/workflows/viralsync.yml").read_text())
    _, check, test = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert run("bash", "-c", check) == "ok scenarios/busy-once.yaml\n"
    assert "2 passed" in run("bash", "-c", test)
    (tmp_path / "tests/conftest.py").write_text("mine")
    assert run(*init).count("kept ") == 4
    assert (tmp_path / "tests/conftest.py").read_text() == "mine"


def test_the_package_that_serves_is_the_one_of_the_wheel(site: Path, tmp_path: Path) -> None:
    """What the test above ran came from the wheel, not from the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    program = "from viralsync_mock.settings import shipped; print(shipped('openapi.yaml'))"
    run = [sys.executable, "-c", program]
    printed = subprocess.run(run, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
    assert Path(printed.strip()) == site / "viralsync_mock/_data/openapi.yaml"
