"""What a target sends can neither command the reader's terminal or CI, nor become markup: in no artefact."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.support.results import finding, written
from tests.viralsync_conform.reports.test_page import everywhere, page

from viralsync_conform.findings import Findings
from viralsync_conform.reports import ARTEFACTS
from viralsync_conform.reports.text import format_findings, format_headline, format_result

ESCAPES = "\x1b[2J\x1b]0;owned\x07 \x9b31m \x00\x08 \u202egnp.exe\u2066 a\rb"
COMMANDS = "\n::error::owned\n  ::add-mask::x\n##[error]owned\n::stop-commands::t"
MARKUP = "<script>alert(1)</script>]]><!--</pre>[x](http://x)`|@team #1 ![i](http://x/i.png)"
HOSTILE = f"hostile{ESCAPES}{COMMANDS}\n{MARKUP}"

OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|^\s*::|##\[", re.MULTILINE)


@pytest.mark.parametrize("name", ARTEFACTS)
def test_no_artefact_commands_a_terminal_or_a_log(tmp_path: Path, name: str) -> None:
    """Escape sequences and commands of CI systems are broken wherever a target's text stands."""
    text = written(tmp_path, everywhere(HOSTILE))[name]
    assert "hostile" in text
    assert OBEYED.findall(text) == []


def test_no_markup_comes_from_a_target(tmp_path: Path) -> None:
    """The page has no element of the target's, JUnit is XML, JSON is JSON, and Markdown links nothing."""
    texts = written(tmp_path, everywhere(HOSTILE))
    assert {"script", "img"} & {name for name, _ in page(tmp_path, everywhere(HOSTILE)).elements} == set()
    assert [each.tag for each in ElementTree.fromstring(texts["junit.xml"]).iter("script")] == []  # noqa: S314 - ours
    assert json.loads(texts["traffic.har"])["log"]["entries"]
    assert re.findall(r"(?<!\\)\]\(|<script|@team", texts["summary.md"]) == []


def test_what_is_printed_commands_no_terminal() -> None:
    """The text of a failed test, a finding in one line, and the lines of the command."""
    run = everywhere(HOSTILE)
    text = format_findings(run.findings, run.calls, "https://x") + format_headline(run.findings[0])
    text = "\n".join((text, *format_result(run)))
    assert OBEYED.findall(text) == []


def test_a_finding_is_harmless_from_the_start() -> None:
    """Its texts are made harmless when it is added, whatever is done with it afterwards."""
    findings = Findings()
    findings.add(finding(message=HOSTILE, place=HOSTILE, name=HOSTILE, expected=HOSTILE, got=HOSTILE))
    (found,) = findings
    assert OBEYED.findall("\n".join((found.message, *found.key, found.expected, found.got))) == []
