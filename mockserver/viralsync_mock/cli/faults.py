"""The subcommands about faults: `faults list` and `faults self-check`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from viralsync_mock.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from viralsync_mock.self_check.runner import CheckResult

SELF_CHECK_EXAMPLES = """\b
Examples:
  viralsync-mock faults self-check
  viralsync-mock faults self-check --client curl --client node --fault reset_peer
  viralsync-mock faults self-check --json > self-check.json

Clients that are not installed beside the mock (aiohttp, requests) or not on the PATH (curl, node) are skipped.
"""


@click.group()
def faults() -> None:
    """List the faults, or check them with HTTP clients."""


@faults.command("list")
def list_faults() -> None:
    """List every kind of fault with its target, an example value, and its effect.

    Prints a table, or tab-separated lines into a pipe.
    """
    # imported here: they bring the spec's readers along, and the clients that the values were chosen for
    from viralsync_mock.scenarios.fault_syntax import KINDS
    from viralsync_mock.self_check.expectations import EXPECTATIONS

    _print(
        ("fault", "of", "for example", "what happens"),
        [(name, kind.group, _written(EXPECTATIONS[name].value), kind.title) for name, kind in KINDS.items()],
    )


@faults.command("self-check", epilog=SELF_CHECK_EXAMPLES)
@click.option(
    "--client", "clients", multiple=True, metavar="NAME", help="Try this client only; by default all. Repeatable."
)
@click.option(
    "--fault", "kinds", multiple=True, metavar="NAME", help="Try this fault only; by default all. Repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def self_check(clients: tuple[str, ...], kinds: tuple[str, ...], as_json: bool) -> None:
    """Check with real HTTP clients that every fault does what it says.

    Starts a mock in this process, on a free port. Takes about half a minute. Exit code 1 if a fault does not do it.
    """
    # imported here: they bring the server and the clients along
    from viralsync_mock.self_check.clients import CLIENTS
    from viralsync_mock.self_check.runner import CHECKS, FAILED, NOT_INSTALLED, run

    cells = run(_chosen("--fault", kinds, CHECKS), _chosen("--client", clients, CLIENTS))
    verdicts = Counter(cell.verdict for cell in cells)
    if verdicts[NOT_INSTALLED] == len(cells):
        raise UsageError(f"--client: {' and '.join(clients)} cannot be found here: install it, or choose another.")
    if as_json:
        click.echo(json.dumps({"ok": not verdicts[FAILED], "cells": [cell._asdict() for cell in cells]}, indent=2))
    elif sys.stdout.isatty():
        _print_matrix(cells)
    else:
        _print((), cells)
    raise SystemExit(1 if verdicts[FAILED] else 0)


def _chosen(option: str, names: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """Return what was named, in the order in which it is known, or everything; raises UsageError for a wrong name."""
    for name in names:
        if name not in known:
            raise UsageError(
                f"{option}: expected {', '.join(known)}, got {json.dumps(name)}.{did_you_mean(name, known)}"
            )
    return tuple(name for name in known if not names or name in names)


def _written(value: object) -> str:
    return "true" if value is True else f"{value}"


def _print_matrix(cells: Sequence[CheckResult]) -> None:
    """Print the verdicts as a table of faults and clients, and below what was seen where it was not as promised."""
    clients = tuple(dict.fromkeys(cell.client for cell in cells))
    by_place = {(cell.fault, cell.client): cell for cell in cells}
    rows = [
        (kind, *(by_place[kind, client].verdict for client in clients))
        for kind in dict.fromkeys(cell.fault for cell in cells)
    ]
    _print(("fault", *clients), rows)
    for cell in cells:
        if cell.seen:
            click.echo(f"\n{cell.fault}, {cell.client}: {cell.seen}")


def _print(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table for people, or tab-separated lines into a pipe."""
    if not sys.stdout.isatty():
        click.echo("".join("\t".join(row) + "\n" for row in rows), nl=False)
        return
    # imported here: tables are only for people
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*titles, box=None, padding=(0, 2, 0, 0))
    for name, *rest in rows:
        table.add_row(Text(name, style="bold", no_wrap=True), *map(Text, rest))
    Console().print(table)
