"""What users see from outside is pinned: renaming a class, a function or a module must not change a word of it.

After a change that is meant, `python -m pytest tests/project/test_outside.py` shows the difference;
`VIRALSYNC_WRITE_PINS=1` in its environment writes the new file.
"""

import json
import os
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from viralsync_conform.journeys import JOURNEYS
from viralsync_mock.cli import main
from viralsync_mock.control.app import read_control_spec
from viralsync_mock.scenarios.fault_syntax import KINDS
from viralsync_mock.self_check.runner import CHECKS
from viralsync_mock.verdict.rules import RULES

PINNED = Path(__file__).with_name("outside.json")


def helps(command: click.Command, *path: str) -> dict[str, list[str]]:
    """Return the lines of `--help` of a command and of all below it."""
    output = CliRunner().invoke(main, [*path, "--help"], prog_name="viralsync-mock", terminal_width=100).output
    found = {" ".join(path) or "viralsync-mock": output.splitlines()}
    for name, each in getattr(command, "commands", {}).items():
        found |= helps(each, *path, name)
    return found


def outside() -> dict[str, Any]:
    """Return the names and texts that come from code."""
    return {
        "help": helps(main),
        "faults": {name: [kind.group, kind.title] for name, kind in KINDS.items()},
        "self_check": {name: promise.statement for name, promise in CHECKS.items()},
        "rules": list(RULES),
        "journeys": {journey.name: journey.statement for journey in JOURNEYS},
        "control_api": {name: f"{each.method} {each.path}" for name, each in read_control_spec().operations.items()},
    }


def test_what_users_see_stays() -> None:
    """Help texts, faults, rules, journeys and the calls of the control API are as they were written down."""
    seen = json.loads(json.dumps(outside()))
    if "VIRALSYNC_WRITE_PINS" in os.environ:
        PINNED.write_text(json.dumps(seen, indent=1, ensure_ascii=False) + "\n")
    assert json.loads(PINNED.read_text()) == seen
