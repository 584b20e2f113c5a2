"""GET /__mock/metrics: counters and gauges in the text format of Prometheus, 0.0.4.

Counters are kept while the mock serves; everything else is read when the page is asked for.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response

from viralsync_mock.clock import Mode
from viralsync_mock.jobs.models import Status
from viralsync_mock.webhooks.delivery import DeliveryOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from viralsync_mock.control.request import ControlRequest
    from viralsync_mock.state import MockServer

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SANDBOXES_AT_ONCE = 100
"""Sandboxes that are read before waiting calls get their turn."""

Sample = tuple["Mapping[str, str]", float]


async def get_metrics(request: ControlRequest) -> Response:
    mock = request.mock
    jobs, modes = Counter[str](), Counter[str]()
    for number, sandbox in enumerate(mock.sandboxes.all(), 1):
        jobs.update(sandbox.store.usage(sandbox.clock.now()).jobs)
        modes[sandbox.clock.mode] += 1
        if number % SANDBOXES_AT_ONCE == 0:
            await mock.settings.real.sleep(0)
    families = _families(mock, jobs, modes)
    return Response("".join(line for each in families for line in _lines(*each)), media_type=MEDIA_TYPE)


def _families(
    mock: MockServer, jobs: Mapping[str, int], modes: Mapping[str, int]
) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    """Yield name, type, help and samples of each metric."""
    totals, settings = mock.totals, mock.settings
    home = mock.sandboxes.anonymous.clock
    ours = "viralsync_mock"
    yield f"{ours}_info", "gauge", "The version of the mock.", [({"version": version("viralsync-mock")}, 1)]
    calls = [
        ({"operation": operation or "none", "status": str(status or "aborted")}, number)
        for (operation, status), number in sorted(totals.calls.items(), key=str)
    ]
    yield f"{ours}_calls_total", "counter", "Calls of the API; a fault may have aborted one without a status.", calls
    yield f"{ours}_jobs", "gauge", "Jobs kept, by status.", _by("status", Status, jobs)
    yield f"{ours}_streams_total", "counter", "Progress streams opened.", [({}, totals.streams)]
    yield f"{ours}_open_streams", "gauge", "Progress streams open now.", [({}, totals.open_streams)]
    outcomes = [each for each in DeliveryOutcome if each is not DeliveryOutcome.PENDING]
    yield (
        f"{ours}_deliveries_total",
        "counter",
        "Webhooks that ended, by outcome.",
        _by("outcome", outcomes, totals.deliveries),
    )
    yield f"{ours}_sandboxes", "gauge", "Open sandboxes, by the mode of their clock.", _by("clock", Mode, modes)
    yield f"{ours}_sandboxes_max", "gauge", "Sandboxes that can be open.", [({}, settings.sandboxes)]
    yield (
        f"{ours}_clock_timestamp_seconds",
        "gauge",
        "The instant at which a new sandbox's clock would be.",
        [({}, home.now().timestamp())],
    )
    yield f"{ours}_clock_rate", "gauge", "Virtual seconds for a real one in a new sandbox.", [({}, home.rate)]
    yield "process_resident_memory_bytes", "gauge", "Memory of the process.", [({}, _memory())]


def _by(label: str, names: Iterable[str], numbers: Mapping[str, int]) -> list[Sample]:
    """Return a sample for each name, so that none is missing before it first happens."""
    return [({label: str(name)}, numbers.get(name, 0)) for name in names]


def _lines(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{{{inside}}} {value!r}\n" if inside else f"{name} {value!r}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _memory() -> int:
    """Return the resident bytes; where the system does not say, the most there ever were."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
