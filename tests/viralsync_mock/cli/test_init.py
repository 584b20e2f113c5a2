"""`viralsync-mock init`: what it writes and what it leaves alone; that it works is tested from the wheel."""

from pathlib import Path

from click.testing import CliRunner

from viralsync_mock.cli import main
from viralsync_mock.cli.init import FILES


def test_everything_is_written_and_the_next_steps_are_named(tmp_path: Path) -> None:
    """Into a folder that is made, too."""
    result = CliRunner().invoke(main, ["init", str(tmp_path / "new")])
    assert result.exit_code == 0
    assert [name for name in FILES if not (tmp_path / "new" / name).is_file()] == []
    assert "pytest tests/test_viralsync.py" in result.output


def test_what_is_there_stays_also_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    """A file of the user's, and a symbolic link through which one could be written."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/conftest.py").write_text("mine")
    (tmp_path / "tests/test_viralsync.py").symlink_to(tmp_path / "elsewhere.py")
    result = CliRunner().invoke(main, ["init", str(tmp_path)])
    assert (result.exit_code, result.output.count("kept "), result.output.count("wrote ")) == (0, 2, 2)
    assert ((tmp_path / "tests/conftest.py").read_text(), (tmp_path / "elsewhere.py").exists()) == ("mine", False)


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """One sentence, exit code 2."""
    (tmp_path / "tests").write_text("a file")
    result = CliRunner().invoke(main, ["init", str(tmp_path)])
    assert (result.exit_code, "Choose another folder." in result.output) == (2, True)
