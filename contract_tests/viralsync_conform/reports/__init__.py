"""What a conformance run leaves behind: the same result for people, for CI systems, for the mock, for the next run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from viralsync_conform.baseline import baseline_of
from viralsync_conform.reports.har import archive_of
from viralsync_conform.reports.json_report import report_of
from viralsync_conform.reports.junit import junit_of
from viralsync_conform.reports.page import page_of
from viralsync_conform.reports.profile import profile_of
from viralsync_conform.reports.sarif import sarif_of
from viralsync_conform.reports.summary import summary_of
from viralsync_conform.reports.timings import scenario_of
from viralsync_conform.result import Result
from viralsync_mock.artefacts.writing import as_json, write

ARTEFACTS: Mapping[str, Callable[[Result], str]] = {
    "report.json": lambda result: as_json(report_of(result)),
    "junit.xml": junit_of,
    "report.sarif": lambda result: as_json(sarif_of(result)),
    "report.html": page_of,
    "summary.md": summary_of,
    "traffic.har": lambda result: as_json(archive_of(result)),
    "learned-behaviour.yaml": profile_of,
    "timings.yaml": scenario_of,
    "baseline.json": lambda result: as_json(baseline_of(result)),
}
"""Every file that a run writes, and the function that makes its text."""


def write_reports(result: Result, folder: Path) -> list[Path]:
    """Write every artefact into the folder, which is made if it is missing, and return their paths.

    Each file is written whole or not at all, without API keys and control characters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [write(folder, name, text(result)) for name, text in ARTEFACTS.items()]
