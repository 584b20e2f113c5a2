"""What the subcommands share: how an option is declared, and the exit code of wrong use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE_PREFIX = "VIRALSYNC_MOCK_"
WRONG_USE = 2

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def option(flag: str, **rest: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an option, and the variable that stands for it."""
    name = flag.split("/", maxsplit=1)[0].removeprefix("--").replace("-", "_").upper()
    return click.option(flag, envvar=VARIABLE_PREFIX + name, show_default=rest.get("default") is not None, **rest)
