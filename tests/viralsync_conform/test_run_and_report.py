"""The command `conform` in this process: what stops it before the first call, and what an error of ours comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from viralsync_conform.baseline import read_history
from viralsync_conform.cli import NO_VERDICT, run_and_report
from viralsync_conform.conformance import Options
from viralsync_conform.result import CanaryOutcome
from viralsync_mock.errors import UsageError

KEY = "vs_prod_" + "7e" * 16
NOWHERE = Options(target="http://127.0.0.1:9", profile="quick", key=KEY)


def fall_over(_: Options) -> CanaryOutcome:
    """Stand for any bug of ours."""
    raise RuntimeError(f"bug with {KEY}\x1b[2J\n::error::x")


def test_an_error_of_ours_is_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 70, one harmless line without the key, and the traceback in a file."""
    code = run_and_report(Options(canary=fall_over), tmp_path, has_canary=False)
    said = capsys.readouterr().err
    assert code == NO_VERDICT == 70
    assert "no verdict: an error in viralsync-mock itself: RuntimeError: bug with vs_prod_***" in said
    assert "Traceback" not in said and "\x1b" not in said and "\n::" not in said  # noqa: PT018
    details = (tmp_path / "crash.txt").read_text()
    assert "Traceback" in details and KEY not in details  # noqa: PT018


@pytest.mark.parametrize("is_history", [False, True])
def test_a_folder_that_cannot_be_written_stops_before_the_first_call(tmp_path: Path, is_history: bool) -> None:
    """Half a night is not spent on a report that nobody can read."""
    (tmp_path / "file").touch()
    history = tmp_path / "file" / "nights.jsonl" if is_history else None
    with pytest.raises(UsageError, match=r"--(report-dir|history) .*file.*: cannot be written"):
        run_and_report(NOWHERE, None if is_history else tmp_path / "file", history=history)


def test_a_broken_history_stops_before_the_first_call(tmp_path: Path) -> None:
    """The line is named, and nothing is overwritten."""
    path = tmp_path / "nights.jsonl"
    path.write_text("nonsense\n")
    with pytest.raises(UsageError, match="line 1"):
        run_and_report(NOWHERE, None, history=path)
    assert path.read_text() == "nonsense\n"


def test_a_night_is_added_to_the_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second run compares itself with the first."""
    path = tmp_path / "nights.jsonl"
    for said in ("No conclusive night before", "Nothing new since "):
        run_and_report(Options(profile="quick"), None, history=path)
        assert capsys.readouterr().out.startswith(said)
    assert [night.profile for night in read_history(path)] == ["quick", "quick"]
