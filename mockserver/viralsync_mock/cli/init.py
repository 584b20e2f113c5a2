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
            with (folder / name).open("xb") as file:
                file.write(template.read_bytes())
        except FileExistsError:
            click.echo(f"kept  {folder / name}: it was there. Ours is {template}")
        except OSError as error:
            raise UsageError(f"cannot write {folder / name}: {error.strerror}. Choose another folder.") from None
        else:
            click.echo(f"wrote {folder / name}")
    click.echo(NEXT, nl=False)
