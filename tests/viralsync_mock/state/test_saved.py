"""`viralsync-mock state`: sandboxes saved by name, loaded, used by tests, and carried from folder to folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.conftest import MOVIE, LiveServer
from tests.support.processes import KEY, mock_process

from viralsync_mock.cli import main
from viralsync_mock.clock import Mode
from viralsync_mock.settings import Settings

pytest_plugins = ["pytester"]


def run(*arguments: object, key: str = KEY) -> Result:
    """Run a subcommand of `state`."""
    return CliRunner().invoke(main, ["state", *map(str, arguments)], env={"VIRALSYNC_API_KEY": key})


@pytest.fixture
def server(start_mock: Callable[[Settings], LiveServer]) -> LiveServer:
    """Return a mock whose sandbox of KEY has two jobs."""
    server = start_mock(Settings(clock=Mode.FROZEN))
    with server.client(KEY) as client:
        for _ in range(2):
            client.post("/v1/render/jobs", json=MOVIE).raise_for_status()
    return server


def test_a_saved_state_is_listed_and_loaded_under_another_key(server: LiveServer, tmp_path: Path) -> None:
    """What was saved under one key is there under another."""
    where = ("--states", tmp_path, "--url", server.base_url)
    saved = run("save", "two-jobs", *where)
    assert (saved.exit_code, saved.stdout) == (0, f"saved 2 jobs to {tmp_path}/two-jobs.json\n")
    assert run("list", "--states", tmp_path).stdout == "two-jobs\t2 jobs\t2026-01-01T00:00:00Z\n"
    other = "vs_prod_" + "7" * 32
    assert run("load", "two-jobs", *where, key=other).exit_code == 0
    with server.client(other) as client:
        assert len(client.get("/v1/jobs").json()["jobs"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("load", "two-job"), "no state 'two-job' is saved in {folder}. Did you mean \"two-jobs\"?"),
        (("load", "broken"), "expected a snapshot, as `viralsync-mock state save` writes it"),
        (("save", "a/b"), "expected a name without slashes, got 'a/b'"),
    ],
)
def test_wrong_use_is_said_in_one_line(server: LiveServer, tmp_path: Path, arguments: tuple[str], said: str) -> None:
    """With the nearest name, and exit code 2."""
    where = ("--states", tmp_path, "--url", server.base_url)
    run("save", "two-jobs", *where)
    (tmp_path / "broken.json").write_text("no JSON")
    refused = run(*arguments, *where)
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert said.format(folder=tmp_path) in refused.stderr


def test_without_a_key_nothing_is_saved(tmp_path: Path) -> None:
    """The key comes from the environment alone."""
    refused = run("save", "x", "--states", tmp_path, key="")
    assert "no key: set VIRALSYNC_API_KEY" in refused.stderr


def test_an_export_carries_all_sandboxes_to_another_folder_without_keys(tmp_path: Path) -> None:
    """Under the same keys everything is there again; the file holds none of them."""
    with mock_process("--state", tmp_path / "one", "--frozen") as mock, mock.client() as client:
        job = client.post("/v1/render/jobs", json=MOVIE).json()["jobId"]
        assert "another server uses it" in run("export", tmp_path / "file", "--state", tmp_path / "one").stderr
        mock.stop()
    assert run("export", tmp_path / "file", "--state", tmp_path / "one").exit_code == 0
    assert KEY not in (tmp_path / "file").read_text()
    imported = run("import", tmp_path / "file", "--state", tmp_path / "two")
    assert imported.stdout == f"imported 1 sandbox to {tmp_path}/two\n"
    assert "(key not seen yet)\t1 jobs" in run("list", "--state", tmp_path / "two").stdout
    with mock_process("--state", tmp_path / "two", "--frozen") as mock, mock.client() as client:
        assert [each["jobId"] for each in client.get("/v1/jobs").json()["jobs"]] == [job]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: expected JSON"),
        ("[]", "line 1: expected an object"),
        ('{"format": "other"}', "line 1: expected an export, version 1, of the spec ViralSync"),
        (None, "line 2: expected a sandbox with its parts"),
    ],
)
def test_what_is_no_export_is_refused_and_nothing_imported(tmp_path: Path, content: str | None, said: str) -> None:
    """The line is named, and the folder is not made."""
    if content is None:
        with mock_process("--state", tmp_path / "one") as mock:
            mock.stop()
        run("export", tmp_path / "file", "--state", tmp_path / "one")
        content = (tmp_path / "file").read_text() + '{"sandbox": "x"}'
    (tmp_path / "wrong").write_text(content)
    refused = run("import", tmp_path / "wrong", "--state", tmp_path / "two")
    assert (refused.exit_code, said in refused.stderr) == (2, True)
    assert not (tmp_path / "two").exists()


def test_a_test_begins_with_a_saved_state(server: LiveServer, pytester: pytest.Pytester) -> None:
    """By name from a folder beside the test or above, on the clock of the fixture."""
    run("save", "two-jobs", "--states", pytester.path / "viralsync-states", "--url", server.base_url)
    pytester.mkdir("inner")
    test = """
        import pytest

        @pytest.mark.viralsync(state="two-jobs")
        def test_it(viralsync):
            assert len(viralsync.jobs) == 2
            assert viralsync.clock.mode == "auto"

        def test_other(make_viralsync):
            assert len(make_viralsync(state="viralsync-states/two-jobs.json", clock="frozen").jobs) == 2
    """
    pytester.makepyfile(**{"inner/test_states": test})
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=2)


def test_an_unknown_state_is_refused_with_the_nearest_name(server: LiveServer, pytester: pytest.Pytester) -> None:
    """The test fails with its line."""
    run("save", "two-jobs", "--states", pytester.path / "viralsync-states", "--url", server.base_url)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.viralsync(state="two-job")
        def test_it(viralsync):
            pass
    """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    assert "no state 'two-job' is saved. Did you mean \"two-jobs\"?" in result.stdout.str()


def test_a_saved_state_holds_no_key(server: LiveServer, tmp_path: Path) -> None:
    """It may lie in a repository."""
    run("save", "two-jobs", "--states", tmp_path, "--url", server.base_url)
    document = (tmp_path / "two-jobs.json").read_text()
    assert json.loads(document)["format"] == "viralsync-mock-snapshot"
    assert KEY not in document
