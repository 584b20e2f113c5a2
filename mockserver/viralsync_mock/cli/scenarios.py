"""The subcommands about scenarios: `scenarios list`, `show` and `check`."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

import click

from viralsync_mock.cli.options import FILE, WRONG_USE, option
from viralsync_mock.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from viralsync_mock.scenarios.loader import ScenarioLibrary


def complete_scenario(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the name of a shipped scenario, or else a file's."""
    from click.shell_completion import CompletionItem

    from viralsync_mock.settings import shipped

    names = sorted(path.stem for path in shipped("fixtures/scenarios").glob(f"{glob.escape(begun)}*.yaml"))
    return [CompletionItem(name) for name in names] or [CompletionItem(begun, type="file")]


@click.group()
def scenarios() -> None:
    """List, show and check scenarios."""


@scenarios.command("list")
def list_scenarios() -> None:
    """List the shipped scenarios: as a table, or as tab-separated lines into a pipe."""
    import sys  # only here

    library = _library()
    rows = [(name, library.get(name).description) for name in library.names()]
    if sys.stdout.isatty():
        _print_table(rows)
    else:
        click.echo("".join(f"{name}\t{description}\n" for name, description in rows), nl=False)


def _library() -> ScenarioLibrary:
    # imported here: they bring YAML and the spec along
    from viralsync_mock.openapi.spec import load_spec
    from viralsync_mock.scenarios.loader import ScenarioLibrary
    from viralsync_mock.settings import shipped

    return ScenarioLibrary(shipped("fixtures/scenarios"), load_spec(shipped("openapi.yaml")))


def _print_table(rows: list[tuple[str, str]]) -> None:
    # imported here: tables are only for people
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("scenario", "what happens", box=None, padding=(0, 2, 0, 0))
    for name, description in rows:
        table.add_row(Text(name, style="bold", no_wrap=True), Text(description))
    Console().print(table)


@scenarios.command()
@click.argument("name", shell_complete=complete_scenario)
def show(name: str) -> None:
    """Print the file of a shipped scenario, as a start for your own."""
    from viralsync_mock.settings import shipped  # it brings asyncio along

    scenario = _library().get(name)
    click.echo((shipped("fixtures/scenarios") / f"{scenario.name}.yaml").read_text(encoding="utf-8"), nl=False)


@scenarios.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--spec", type=FILE, help="An OpenAPI document instead of the shipped one.")
def check(files: tuple[Path, ...], spec: Path | None) -> None:
    """Check scenario files; exit code 2 if one cannot be used."""
    # imported here: they bring YAML and the spec along
    from viralsync_mock.openapi.spec import load_spec
    from viralsync_mock.scenarios.loader import load_scenario
    from viralsync_mock.settings import shipped

    document = load_spec(spec or shipped("openapi.yaml"))
    exit_code = 0
    for file in files:
        try:
            load_scenario(file, document)
            click.echo(f"ok {file}")
        except UsageError as error:
            exit_code = WRONG_USE
            click.echo(f"Error: {error}", err=True)
    raise SystemExit(exit_code)
