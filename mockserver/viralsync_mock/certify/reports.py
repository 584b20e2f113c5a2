"""What a run leaves behind: text, JSON, JUnit, SARIF, Markdown, and a badge for shields.io."""

from __future__ import annotations

import shlex
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from viralsync_mock.artefacts.writing import as_json, cell, one_line, safe, write
from viralsync_mock.certify.page import page_of
from viralsync_mock.certify.result import SENTENCES, Check, Outcome, Report, TrialResult, Verdict
from viralsync_mock.redaction import sanitised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

COLOURS = {
    Verdict.CERTIFIED: "brightgreen",
    Verdict.FAILED: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.DIFFERS: "yellow",
}
LEVELS = {Outcome.FAILED: "error", Outcome.ERROR: "none", Outcome.UNPROVEN: "note", Outcome.EXPECTED: "note"}
KINDS = {Outcome.FAILED: "fail", Outcome.ERROR: "open", Outcome.UNPROVEN: "review", Outcome.EXPECTED: "review"}
SARIF = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def write_reports(report: Report, folder: Path) -> None:
    """Write every file into the folder, whole or not at all, without API keys and control characters."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        write(folder, name, text(report))


def counts_of(report: Report) -> dict[str, int]:
    return {outcome.value: len(report.of(outcome)) for outcome in Outcome}


def text_of(report: Report) -> Iterator[str]:
    for result in report.of(Outcome.ERROR, Outcome.FAILED, Outcome.UNPROVEN):
        yield from map(safe, _lines_of(result))
    yield ""
    proofs = report.proofs()
    yield f"rules proved: {sum(bool(each.passed) and not each.failed for each in proofs)} of {len(proofs)}"
    for proof in proofs:
        if not proof.passed and not proof.failed:
            yield f"  {proof.rule}: {proof.sentence}"
    for key in report.outdated:
        yield safe(f"passes now, take it off the list of expected failures: {key}")
    yield from _how_to_expect(report)
    yield ""
    found = ", ".join(f"{count} {outcome}" for outcome, count in counts_of(report).items() if count)
    yield f"{found}, in {report.seconds:.1f} s"
    yield SENTENCES[report.verdict]


def _lines_of(result: TrialResult) -> Iterator[str]:
    alone = ", also when run alone" if result.alone else ""
    yield f"{result.outcome.upper()} {result.trial.name}: {result.trial.title}{alone}"
    for check in result.of(Outcome.ERROR, Outcome.FAILED, Outcome.UNPROVEN):
        yield f"  {check.name}: {check.reason}"
        yield from (f"      {line}" for line in check.shown)
    if result.of(Outcome.FAILED) and result.output.strip():
        yield "  output of the program:"
        yield from (f"      {line}" for line in result.output.strip().splitlines()[-5:])


def _how_to_expect(report: Report) -> Iterator[str]:
    """Say how what was not proved is accepted, where nothing failed."""
    left = report.of(Outcome.UNPROVEN)
    if report.verdict is Verdict.INCONCLUSIVE and left:
        yield "if your client never does this, say so in a file for --expected-failures:"
        yield from (f"  {each.trial.name}: our client has no need of this" for each in left)


def document_of(report: Report) -> dict[str, Any]:
    return {
        "command": report.command,
        "suite": report.suite.name,
        "version": report.version,
        "startedAt": report.started_at.isoformat(),
        "seconds": round(report.seconds, 3),
        "verdict": report.verdict.name.lower(),
        "exitCode": int(report.verdict),
        "counts": counts_of(report),
        "rules": [
            {
                "rule": each.rule,
                "passed": list(each.passed),
                "failed": list(each.failed),
                "unproven": list(each.unproven),
                "sentence": each.sentence,
            }
            for each in report.proofs()
        ],
        "expectedButPassed": report.outdated,
        "scenarios": [_scenario(each) for each in report.results],
    }


def _scenario(result: TrialResult) -> dict[str, Any]:
    return {
        "name": result.trial.name,
        "title": result.trial.title,
        "task": result.trial.task,
        "outcome": result.outcome,
        "exitCode": result.exit_code,
        "seconds": round(result.seconds, 3),
        "calls": result.calls,
        "alone": result.alone,
        "checks": [
            {"name": each.name, "outcome": each.outcome, "reason": each.reason, "shown": list(each.shown)}
            for each in result.checks
        ],
        "output": result.output,
    }


def junit_of(report: Report) -> str:
    """Return a test case for each scenario; unproven ones and errors of the mock are skipped, not failed."""
    failed = report.of(Outcome.FAILED)
    skipped = report.of(Outcome.ERROR, Outcome.UNPROVEN, Outcome.EXPECTED)
    numbers = {"tests": len(report.results), "failures": len(failed), "errors": 0, "skipped": len(skipped)}
    attributes: dict[str, str] = {name: str(number) for name, number in numbers.items()}
    attributes["time"] = f"{report.seconds:.3f}"
    root = Element("testsuites", {"name": "certify", **attributes})
    suite = SubElement(root, "testsuite", {"name": report.suite.name, **attributes})
    for result in report.results:
        case = SubElement(suite, "testcase", classname=f"certify.{report.suite.name}", name=result.trial.name)
        case.set("time", f"{result.seconds:.3f}")
        if result.outcome is not Outcome.PASSED:
            kind = "failure" if result.outcome is Outcome.FAILED else "skipped"
            reasons = "; ".join(f"{each.name}: {each.reason}" for each in result.of(result.outcome))
            SubElement(case, kind, message=one_line(f"{result.outcome}: {reasons}", 400)).text = sanitised(
                "\n".join(_lines_of(result))
            )
        if result.output:
            SubElement(case, "system-out").text = sanitised(result.output)
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def sarif_of(report: Report) -> dict[str, Any]:
    """Return SARIF 2.1.0 for code scanning: a result for each check that did not pass, at the program's own file."""
    found = [(result, check) for result in report.results for check in result.of(*LEVELS)]
    names = sorted({check.name for _, check in found})
    rules = [{"id": name, "shortDescription": {"text": f"{name} (docs/verdict.md)"}} for name in names]
    run = {
        "tool": {"driver": {"name": "viralsync-mock certify", "version": report.version, "rules": rules}},
        "results": [_sarif_result(report, *each) for each in found],
        "columnKind": "unicodeCodePoints",
        "properties": {"suite": report.suite.name, "verdict": report.verdict.name.lower()},
    }
    return {"$schema": SARIF, "version": "2.1.0", "runs": [run]}


def _sarif_result(report: Report, result: TrialResult, check: Check) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": _program_file(report.command)}, "region": {"startLine": 1}}
    text = one_line(f"{result.trial.name}: {result.trial.title}: {check.reason}", 1000)
    return {
        "ruleId": check.name,
        "kind": KINDS[check.outcome],
        "level": LEVELS[check.outcome] if check.outcome is Outcome.FAILED else "none",
        "message": {"text": text},
        "locations": [{"physicalLocation": place, "logicalLocations": [{"name": result.trial.name}]}],
        "partialFingerprints": {
            "viralsyncCertify/v1": sha256(f"{result.trial.name}\0{check.name}".encode()).hexdigest()
        },
        "properties": {"outcome": check.outcome.value},
    }


def _program_file(command: str) -> str:
    """Return the first word of the command that is a file below the working folder, in the form of a URI."""
    for word in shlex.split(command):
        path = Path(word)
        if not path.is_absolute() and ".." not in path.parts and path.is_file():
            return path.as_posix()
    return "."


def summary_of(report: Report) -> str:
    about = f"Command: {cell(report.command)}, suite {cell(report.suite.name)}"
    lines = [f"## {SENTENCES[report.verdict]}", "", about, ""]
    lines += ["| scenario | outcome | what was seen |", "|---|---|---|"]
    for result in report.results:
        reasons = "; ".join(f"{each.name}: {each.reason}" for each in result.of(*LEVELS))
        lines.append(f"| {cell(result.trial.name)} | {result.outcome} | {cell(reasons, 400)} |")
    lines += ["", "| rule | what is known |", "|---|---|"]
    lines += [f"| {cell(each.rule)} | {cell(each.sentence, 400)} |" for each in report.proofs()]
    if report.outdated:
        lines += ["", f"No longer fails, though it is expected to: {', '.join(map(cell, report.outdated))}"]
    return "\n".join(lines) + "\n"


def badge_of(report: Report) -> dict[str, Any]:
    passed, failed = len(report.of(Outcome.PASSED)), len(report.of(Outcome.FAILED))
    message = f"{failed} failed" if failed else f"{passed} of {len(report.results)} passed"
    return {"schemaVersion": 1, "label": "ViralSync client", "message": message, "color": COLOURS[report.verdict]}


FILES: Mapping[str, Callable[[Report], str]] = MappingProxyType(
    {
        "certificate.json": lambda report: as_json(document_of(report)),
        "junit.xml": junit_of,
        "report.sarif": lambda report: as_json(sarif_of(report)),
        "report.html": page_of,
        "summary.md": summary_of,
        "badge.json": lambda report: as_json(badge_of(report)),
    }
)
"""Every file that a run writes, and the function that makes its text."""
