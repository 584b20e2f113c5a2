"""The subcommands about states: saved ones of a running mock, and those in the folder of `serve --state`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from viralsync_mock.cli.health import own_url
from viralsync_mock.cli.options import option
from viralsync_mock.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from viralsync_mock.client import Sandbox
    from viralsync_mock.persistence.sqlite import SqliteBackend

KEY_VARIABLE = "VIRALSYNC_API_KEY"
EXPORT = "viralsync-mock-export"

states_option = option(
    "--states", type=click.Path(path_type=Path), default=Path("viralsync-states"), help="The folder of saved states."
)
folder_option = option("--state", metavar="DIR", type=click.Path(path_type=Path), help="The folder of `serve --state`.")


def running(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that lead to a running mock."""
    url = option("--url", metavar="URL", help="Where the mock is; by default the address that `serve` takes.")
    token = option("--control-token", metavar="T", help="The token of its control API.")
    return states_option(url(token(command)))


@click.group(short_help="Save, load, list, export and import sandboxes.")
def state() -> None:
    """Save and load the sandbox of a running mock; list, export and import those of `serve --state`.

    `save` and `load` act on the sandbox of the key in VIRALSYNC_API_KEY.
    """


def _sandbox(url: str | None, token: str | None) -> Sandbox:
    from viralsync_mock.client import Sandbox  # it brings an HTTP client along

    key = os.environ.get(KEY_VARIABLE)
    if not key:
        raise SettingsError(f"no key: set {KEY_VARIABLE} to the key whose sandbox you mean")
    return Sandbox((url or own_url()).rstrip("/"), key, control_token=token)


@state.command()
@click.argument("name")
@click.option("--journal", is_flag=True, help="With the calls that were made.")
@running
def save(name: str, journal: bool, states: Path, url: str | None, control_token: str | None) -> None:
    """Save a sandbox under a name: jobs, clock, account, scenario, faults and webhooks."""
    if not name or name != Path(name).name:
        raise SettingsError(f"expected a name without slashes, got {name!r}")
    with _sandbox(url, control_token) as sandbox:
        document = sandbox.snapshot(journal=journal)
    states.mkdir(parents=True, exist_ok=True)
    file = states / f"{name}.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    click.echo(f"saved {len(document['jobs'])} jobs to {file}")


@state.command()
@click.argument("name")
@running
def load(name: str, states: Path, url: str | None, control_token: str | None) -> None:
    """Replace a sandbox by a saved state."""
    from viralsync_mock.errors import did_you_mean
    from viralsync_mock.persistence.saved import read_state, saved_states

    found = saved_states(states)
    if name not in found:
        raise SettingsError(f"no state {name!r} is saved in {states}.{did_you_mean(name, found)}")
    document = read_state(found[name])
    with _sandbox(url, control_token) as sandbox:
        sandbox.restore(document)
    click.echo(f"loaded {len(document['jobs'])} jobs from {found[name]}")


@state.command("list")
@states_option
@folder_option
def list_states(states: Path, state: Path | None) -> None:
    """List saved states; with --state, the sandboxes of that folder: tab-separated, one a line."""
    if state is None:
        from viralsync_mock.persistence.saved import read_state, saved_states

        for name, file in saved_states(states).items():
            document = read_state(file)
            click.echo(f"{name}\t{len(document.get('jobs', ()))} jobs\t{document.get('clock', {}).get('now', '?')}")
        return
    backend = _opened(state)
    for each in backend.ids():
        fields = backend.claim(each)
        if "head" not in fields:  # it was reset, and has a name still
            continue
        jobs, account = sum(name.startswith("job:") for name in fields), _user_id(fields)
        now, name = json.loads(fields["head"])["snapshot"]["clock"]["now"], json.loads(fields.get("name", b'""'))
        click.echo(f"{each}\t{account}\t{jobs} jobs\t{now}" + (f"\t{name}" if name else ""))
    backend.close()


def _user_id(fields: dict[str, bytes]) -> str:
    from viralsync_mock.sandbox import user_id  # it brings asyncio along

    return user_id(fields["key"].decode()) if "key" in fields else "(key not seen yet)"


def _opened(folder: Path, *, is_new: bool = False) -> SqliteBackend:
    from viralsync_mock.persistence.sqlite import FILE, SqliteBackend

    if not is_new and not (folder / FILE).exists():
        raise SettingsError(f"{folder} holds no state: expected the folder of `serve --state`")
    return SqliteBackend(folder, _spec())


def _spec() -> str:
    from viralsync_mock.openapi.spec import load_spec
    from viralsync_mock.persistence import written_with
    from viralsync_mock.settings import shipped

    return written_with(load_spec(shipped("openapi.yaml")))


@state.command("export")
@click.argument("file", type=click.File("w", encoding="utf-8"))
@folder_option
def export_state(file: Any, state: Path | None) -> None:
    """Write all sandboxes of a folder to one file of JSON lines, without their keys; `-` is standard output.

    No mock may be using the folder.
    """
    backend = _opened(_required(state))
    file.write(json.dumps({"format": EXPORT, "version": 1, "spec": _spec()}) + "\n")
    for each in backend.ids():
        parts = {name: content.decode() for name, content in backend.claim(each).items() if name != "key"}
        file.write(json.dumps({"sandbox": each, "parts": parts}) + "\n")
    backend.close()


@state.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@folder_option
def import_state(file: Any, state: Path | None) -> None:
    """Add the sandboxes of an export to a folder, in place of those of the same keys."""
    from viralsync_mock.persistence.backend import Change

    lines = iter(file)
    head = _line(next(lines, ""), 1)
    if (head.get("format"), head.get("version"), head.get("spec")) != (EXPORT, 1, _spec()):
        raise SettingsError(
            f"line 1: expected an export, version 1, of the spec {_spec()}, got {json.dumps(head)[:200]}"
        )
    changes = []
    for number, text in enumerate(lines, 2):
        line = _line(text, number)
        try:
            parts = {name: content.encode() for name, content in line["parts"].items()}
            changes.append(Change(str(line["sandbox"]), parts, replaces=True))
        except (KeyError, AttributeError):
            raise SettingsError(f"line {number}: expected a sandbox with its parts") from None
    backend = _opened(_required(state), is_new=True)
    backend.write(changes)
    backend.close()
    noun = "sandbox" if len(changes) == 1 else "sandboxes"
    click.echo(f"imported {len(changes)} {noun} to {state}")


def _required(state: Path | None) -> Path:
    if state is None:
        raise SettingsError("name the folder with --state DIR")
    return state


def _line(text: str, number: int) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"line {number}: expected JSON: {error}") from None
    if not isinstance(line, dict):
        raise SettingsError(f"line {number}: expected an object")
    return line
