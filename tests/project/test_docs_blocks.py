"""Every block of code in the documentation is at least well-formed, and names commands and options that there are.

Most blocks are also run, by the tests of what their page is about.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from tests.support.paths import ROOT

from viralsync_mock.cli import main

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"(?ms)^( *)```(\w*)[^\n]*\n(.*?)^\1```")
TARGETS = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the blocks of a page in these languages, without the indentation of lists."""
    return [
        re.sub(rf"(?m)^{indent}", "", text)
        for indent, language, text in FENCE.findall(page.read_text())
        if language in languages
    ]


def command_lines(page: Path, program: str) -> Iterator[list[str]]:
    """Yield the words of each line of a shell block that calls a program, up to the next operator or comment."""
    for block in blocks(page, "", "text", "sh", "bash", "yaml"):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(rf"(?:^|[\s`$/(])(?:{program}) ([^|&;>#`)]*)", line)
            if found and not line.lstrip().startswith(("#", "<", "- name")):
                yield shlex.split(found[1].replace("'", '"').replace('"', " "))


def faults_of(words: list[str]) -> list[str]:
    """Return what a line of `viralsync-mock` names and does not exist."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {
        "--help",
        "--version",
    }
    own = words[: words.index("--")] if "--" in words else words
    unknown = [word.partition("=")[0] for word in own if word.startswith("--")]
    missing = [name for name in unknown if name not in known]
    if isinstance(command, click.Group) and own and not own[0].startswith(("-", "[", "…", ".")):
        missing.append(own[0])
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_are_those_that_there_are(page: Path) -> None:
    """A renamed option would leave its old name on a page."""
    assert [missing for words in command_lines(page, "viralsync-mock") for missing in faults_of(words)] == []
    targets = [words[0] for words in command_lines(page, "make") if words and re.fullmatch(r"[a-z-]+", words[0])]
    assert [target for target in targets if target not in TARGETS] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_are_well_formed_in_their_language(page: Path) -> None:
    """Python compiles, YAML and JSON parse, bash finds no error of syntax."""
    for text in blocks(page, "python"):
        compile(text, str(page), "exec", dont_inherit=True)
    for text in blocks(page, "yaml"):
        assert list(yaml.safe_load_all(text))
    for text in blocks(page, "json"):
        json.loads(text)
    for text in blocks(page, "sh", "bash"):
        done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True)
        assert done.stderr == ""


def test_an_option_that_there_is_not_is_noticed() -> None:
    """Of a subcommand too, and an unknown subcommand."""
    lines = ["serve --sped 3", "scenarios chek x.yaml", "serve --speed 3", "challenge --budget 2m -- pytest --x"]
    assert [faults_of(shlex.split(line)) for line in lines] == [["--sped"], ["chek"], [], []]
