"""Serve from the command line: `python -m foreign_api --variant A --breach NAME --scale 0.1 --latency 0.5`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import replace

from .accounts import ACCOUNTS
from .catalogue import CATALOGUE
from .facts import FACTS, NOTES
from .readings import VARIANTS, reading_from_text
from .server import RunningServer
from .settings import Settings


def facts_table() -> str:
    """Every documented sentence with the breaches that break it, as a Markdown document."""
    shown = sum(breach.visible for breach in CATALOGUE.values())
    rows = [
        f"# The documented facts and what breaks them\n\n{len(FACTS)} facts, {len(CATALOGUE)} breaches, {shown} of them"
        " visible on an ordinary Pro account; the others are marked with a star.\n",
        "| id | sentence | breaches | note |",
        "|---|---|---|---|",
    ]
    for fact, sentence in FACTS.items():
        broken = [breach for breach in CATALOGUE.values() if breach.fact == fact]
        names = ", ".join(f"`{breach.name}`{'' if breach.visible else '*'}" for breach in broken)
        text = sentence.replace("|", "\\|")
        rows.append(f"| {fact} | {text} | {names or '-'} | {NOTES.get(fact, '')} |")
    return "\n".join(rows)


def catalogue_text() -> str:
    """Every breach on a line: name, fact, whether it is visible, what it needs."""
    return "\n".join(
        f"{each.name:40} {each.fact:8} {'visible' if each.visible else 'hidden':8} {each.variants:5} {each.needs}"
        for each in CATALOGUE.values()
    )


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings that the command line asks for; ValueError for an unknown breach or reading."""
    if unknown := [name for name in arguments.breach if name not in CATALOGUE]:
        raise ValueError(f"no breach {', '.join(unknown)}; see --catalogue")
    readings = VARIANTS[arguments.variant]
    for text in arguments.reading:
        name, _, value = text.partition("=")
        readings = replace(readings, **{name: reading_from_text(name, value)})
    fewest, _, most = arguments.latency.partition("-")
    return Settings(
        variant=arguments.variant,
        breaches=frozenset(arguments.breach),
        render_scale=arguments.scale,
        latency=(float(fewest), float(most or fewest)),
        seed=arguments.seed,
        readings=readings,
        **({"webhook_secret": arguments.secret} if arguments.secret else {}),
    )


def parse(words: list[str]) -> argparse.Namespace:
    """The command line as named values."""
    parser = argparse.ArgumentParser(prog="foreign_api", description=__doc__)
    parser.add_argument("--variant", choices=sorted(VARIANTS), default="A")
    parser.add_argument("--breach", action="append", default=[], metavar="NAME")
    parser.add_argument("--reading", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is about six seconds for a render")
    parser.add_argument("--latency", default="0", help="seconds, or fewest-most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--secret", default="", help="the secret that webhooks are signed with")
    parser.add_argument("--facts", action="store_true", help="print the facts and their breaches, and stop")
    parser.add_argument("--catalogue", action="store_true", help="print the breaches, and stop")
    return parser.parse_args(words)


async def _serve(settings: Settings, port: int) -> None:
    async with RunningServer(settings, port) as server:
        keys = "".join(f"{name:20} {start.key}\n" for name, start in ACCOUNTS.items())
        sys.stdout.write(f"{server.base_url}\n{keys}")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> int:
    """Serve until interrupted; 2 for a command line that makes no sense."""
    arguments = parse(sys.argv[1:])
    if arguments.facts or arguments.catalogue:
        sys.stdout.write((facts_table() if arguments.facts else catalogue_text()) + "\n")
        return 0
    try:
        settings = settings_of(arguments)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        asyncio.run(_serve(settings, arguments.port))
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
