"""Shared by the subcommands: options with their variables, ports, files, and the exit code of wrong use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from viralsync_mock.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

VARIABLE_PREFIX = "VIRALSYNC_MOCK_"
WRONG_USE = 2

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


OF_PYTEST = ("PLAN", "STRICT", "WELL_BEHAVED", "SLEEPS", "EXEMPT")
"""Variables that only the pytest plugin reads; it shares the others with `serve`."""


class Port(click.IntRange):
    """A port to listen on; 0 picks a free one."""

    name = "port"

    def __init__(self) -> None:
        super().__init__(0, 65535)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of the port."""
        try:
            port: int = super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"expected a port: a whole number from 0 (picks a free one) to 65535, got {value!r}.", param, ctx)
        return port


class Size(click.IntRange):
    """An amount of memory: bytes, or a number with KiB, MiB or GiB (KB, MB and GB are powers of ten)."""

    name = "size"

    def __init__(self) -> None:
        super().__init__(MIN_MEMORY)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes."""
        match = _SIZE.fullmatch(str(value).strip().lower())
        base = 1000 if match and match[3] == "b" else 1024
        size = round(float(match[1]) * base ** "_kmg".index(match[2] or "_")) if match else 0
        if size < MIN_MEMORY:
            self.fail(f"expected a size of at least 1MiB, such as 256MiB or 1GiB, got {value!r}.", param, ctx)
        return size


MIN_MEMORY = 1024 * 1024
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([kmg]?)(b|ib?|)", re.ASCII)


def unknown_variables(names: Iterable[str], known: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each variable that looks like an option's and is none."""
    options = {*known, *(f"{VARIABLE_PREFIX}{name}" for name in OF_PYTEST)}
    for name in sorted(names):
        if name.startswith(VARIABLE_PREFIX) and name not in options:
            yield f"the variable {name} is no option.{did_you_mean(name, options)}"


def option(flag: str, *, command: str = "", **rest: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an option, and the variable that can take its place; with `command` no other command reads it."""
    prefix = VARIABLE_PREFIX + (f"{command.upper()}_" if command else "")
    name = flag.split("/", maxsplit=1)[0].removeprefix("--").replace("-", "_").upper()
    return click.option(flag, envvar=prefix + name, show_default=rest.get("default") is not None, **rest)
