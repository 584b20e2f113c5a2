"""`serve --watch`: read the files anew when one of them changes on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from viralsync_mock.errors import UsageError
from viralsync_mock.openapi.external_files import FILES
from viralsync_mock.settings import shipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from viralsync_mock.settings import Settings
    from viralsync_mock.state import MockServer

POLL_SECONDS = 0.5

Stamps = dict[Path, tuple[int, int] | None]
"""For each file when it was changed (nanoseconds) and its size, or None while there is no such file."""


def watched(settings: Settings) -> tuple[Path, ...]:
    """Return the files that a server with these settings is made from."""
    scenario = settings.scenario_file or shipped("fixtures/scenarios") / f"{settings.scenario.replace('_', '-')}.yaml"
    return (settings.spec, scenario, *([settings.behaviour] if settings.behaviour else []))


def read_stamps(files: Iterable[Path]) -> Stamps:
    """Return the present stamps of files."""
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def poll(mock: MockServer, before: Stamps, after: Stamps, say: Callable[[str], None]) -> None:
    """Read the files anew if a stamp has changed; one that is broken, or only half written, leaves the old ones."""
    names = ", ".join(str(file) for file in after if after[file] != before[file])
    if not names:
        return
    try:
        mock.reload()
    except UsageError as error:
        say(f"still on the old files: {error}")
    except Exception as error:  # a bug of ours ends neither the server nor the watch
        mock.on_bug(f"reload of {names}", error)
    else:
        say(f"reloaded {names}")


async def watch(mock: MockServer, before: Stamps, say: Callable[[str], None]) -> None:
    """Poll for ever; `before` is how the files looked before they were read.

    The files to which spec and scenario refer are known once these have been read; they are watched from then on.
    """
    before = {**read_stamps(_referenced(mock)), **before}
    while True:
        await mock.settings.real.sleep(POLL_SECONDS)
        after = read_stamps(before)
        poll(mock, before, after, say)
        before = {**read_stamps(_referenced(mock)), **after}


def _referenced(mock: MockServer) -> tuple[Path, ...]:
    folder = mock.settings.spec.resolve().parent
    named = (folder / name for name in mock.files.spec.document.get(FILES, ()))
    return (*named, *mock.files.scenario.files)
