"""`report.sarif`: the findings as SARIF 2.1.0, for code scanning; a finding stands at its operation in the spec."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from viralsync_conform.baseline import is_new
from viralsync_conform.findings import Category, Finding
from viralsync_conform.reports.wording import known_keys, where, wrong
from viralsync_conform.result import Result
from viralsync_mock.artefacts.writing import one_line
from viralsync_mock.settings import shipped

LEVELS = {Category.FAILURE: "error", Category.WARNING: "warning", Category.INCONCLUSIVE: "none"}
"""Of the other categories: `note`."""

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "viralsyncFinding/v1"

OPERATION_ID = " " * 6 + "operationId: "
"""How the spec begins the line; deeper ones are links."""

Document = dict[str, Any]


def sarif_of(result: Result) -> Document:
    """Return the log; what the baseline or the last night knew is `unchanged`."""
    lines = _lines_of_operations()
    statements = {check.name: check.statement for check in result.asserted}
    names = sorted({finding.check for finding in result.findings})
    rules = [{"id": name, "shortDescription": {"text": statements.get(name) or name}} for name in names]
    run = {
        "tool": {"driver": {"name": "viralsync-mock conform", "version": result.version, "rules": rules}},
        "results": [_result(result, finding, lines) for finding in result.findings],
        "columnKind": "unicodeCodePoints",
        "properties": {"target": result.target, "verdict": result.verdict.name.lower()},
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(result: Result, finding: Finding, lines: dict[str, int]) -> Document:
    details = [f"expected {finding.expected}" if finding.expected else "", f"got {finding.got}" if finding.got else ""]
    text = ", ".join(part for part in (f"{where(finding)}: {finding.message}", *details) if part)
    level = LEVELS.get(finding.category, "note")
    document: Document = {
        "ruleId": finding.check,
        "kind": "fail" if level != "none" else "open",
        "level": level,
        "message": {"text": one_line(text, 1000)},
        "locations": [_location(finding, lines)],
        "partialFingerprints": {FINGERPRINT: sha256("\0".join(finding.key).encode()).hexdigest()},
        "properties": {"category": finding.category.value, "wrong": wrong(finding), "calls": list(finding.calls)},
    }
    was_known = finding.key in known_keys(result) or is_new(result, finding) is False
    if result.baseline or result.nights:
        document["baselineState"] = "unchanged" if was_known else "new"
    return document


def _location(finding: Finding, lines: dict[str, int]) -> Document:
    operation = finding.operation or ""
    artifact = {"uri": "openapi.yaml", "uriBaseId": "%SRCROOT%"}
    location: Document = {
        "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": lines.get(operation, 1)}}
    }
    if operation:
        location["logicalLocations"] = [{"name": operation, "kind": "function"}]
    return location


def _lines_of_operations() -> dict[str, int]:
    lines = shipped("openapi.yaml").read_text("utf-8").splitlines()
    return {line.split()[1]: number for number, line in enumerate(lines, 1) if line.startswith(OPERATION_ID)}
