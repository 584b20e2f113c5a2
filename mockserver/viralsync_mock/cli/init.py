"""The subcommand `init`: a start for a project's own tests."""

from __future__ import annotations

from pathlib import Path

import click

from viralsync_mock.errors import UsageError

FILES = {
    "scenarios/busy-once.yaml": "scenarios/busy-once.yaml",
    "tests/conftest.py": "tests/conftest.py",
    "tests/test_viralsync.py": "tests/test_viralsync.py",
    ".github/workflows/viralsync.yml": "workflow.yml",
}
"""What is written, and from which file of `fixtures/starter`."""

NEXT = """
Next:
  pip install "viralsync-mock[test]"
  pytest tests/test_viralsync.py                                          two tests pass
  viralsync-mock serve --scenario scenarios/busy-once.yaml --watch        the same API to try by hand
Then put your own client in place of the one in tests/conftest.py.
"""


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Write a test, a fixture, a scenario and a workflow that work.

    They go into FOLDER, by default this one. Files that are there already stay as they are.
    """
    from viralsync_mock.settings import shipped  # it brings asyncio along

    for name, source in FILES.items():
        template = shipped("fixtures/starter") / source
        try:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            is_new = _write(folder / name, template.read_bytes())
        except OSError as error:
            raise UsageError(f"cannot write {folder / name}: {error.strerror}. Choose another folder.") from None
        click.echo(f"wrote {folder / name}" if is_new else f"kept  {folder / name}: it was there. Ours is {template}")
    click.echo(NEXT, nl=False)


def _write(path: Path, content: bytes) -> bool:
    """Write a new file; return False for one that is there, also as a link that leads nowhere."""
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True
