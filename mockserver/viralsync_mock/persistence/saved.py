"""Saved states: snapshots of sandboxes as files in a folder, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from viralsync_mock.errors import SettingsError, did_you_mean

FOLDER = "viralsync-states"
"""Where they are by default: in the working directory, or beside a test or above it."""


def saved_states(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by their names."""
    return {file.stem: file for file in sorted(folder.glob("*.json"))}


def find_state(name: str, near: Path) -> Path:
    """Return the file of a saved state, from the nearest folder; raises SettingsError with the nearest name."""
    found: dict[str, Path] = {}
    for directory in (near, *near.parents):
        found = saved_states(directory / FOLDER) | found
    if name not in found:
        names = f"Saved are: {', '.join(found)}" if found else f"No folder {FOLDER} is in {near} or above"
        raise SettingsError(f"no state {name!r} is saved.{did_you_mean(name, found)} {names}.")
    return found[name]


def read_state(file: Path) -> dict[str, Any]:
    """Return a saved state; raises SettingsError for a file that is none."""
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: expected a snapshot, as `viralsync-mock state save` writes it: {error}") from None
    if not isinstance(document, dict):
        raise SettingsError(
            f"{file}: expected a snapshot, as `viralsync-mock state save` writes it, got a list or value"
        )
    return document
