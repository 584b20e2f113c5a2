"""Load with `wrk`, else `oha`; both count what was refused, so that fast errors never look like speed."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.payloads import KEY
from benchmarks.processes import LOAD_CORE, pinned
from benchmarks.report import BenchmarkError

CONNECTIONS = 32
HOW_TO_GET = "neither wrk nor oha is installed: `apt-get install wrk`, `brew install wrk` or `cargo install oha`"

IN_TURN = """
local keys, turn = {{ {keys} }}, 0
request = function()
  turn = turn % #keys + 1
  wrk.headers["x-api-key"] = keys[turn]
  return wrk.format()
end
"""

SCRIPT = """\
wrk.method = "{method}"
wrk.headers["x-api-key"] = "{key}"
wrk.headers["content-type"] = "application/json"
wrk.body = {body}
done = function(summary, latency, requests)
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("\\nRESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    summary.errors.status, lost, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Request:
    """What is repeated."""

    method: str
    path: str
    body: bytes = b""


@dataclass(frozen=True)
class Load:
    """What one run of the load generator saw. Latencies in milliseconds."""

    requests: int
    per_second: float
    refused: int
    p50: float
    p99: float


def generator() -> str:
    """`wrk` or `oha`, whichever is installed; BenchmarkError with the remedy when neither is."""
    for name in ("wrk", "oha"):
        if shutil.which(name):
            return name
    raise BenchmarkError(HOW_TO_GET)


def drive(
    port: int,
    request: Request,
    seconds: float,
    connections: int = CONNECTIONS,
    keys: Sequence[str] = (),
    core: int | None = LOAD_CORE,
) -> Load:
    """Repeat `request` for `seconds`, with these keys in turn if there are any (`wrk` only); what came of it."""
    if keys:
        url = f"http://127.0.0.1:{port}{request.path}"
        return _wrk(url, request, max(1, round(seconds)), connections, keys, core)
    run = {"wrk": _wrk, "oha": _oha}[generator()]
    return run(f"http://127.0.0.1:{port}{request.path}", request, max(1, round(seconds)), connections)


def _output(command: list[str], seconds: int, core: int | None = LOAD_CORE) -> str:
    try:
        done = subprocess.run(pinned(command, core), capture_output=True, text=True, timeout=seconds + 30, check=False)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{command[0]} did not end") from None
    if done.returncode:
        raise BenchmarkError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def _wrk(
    url: str,
    request: Request,
    seconds: int,
    connections: int,
    keys: Sequence[str] = (),
    core: int | None = LOAD_CORE,
) -> Load:
    body = f"[==[{request.body.decode()}]==]" if request.body else "nil"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        script = Path(folder) / "request.lua"
        text = SCRIPT.format(method=request.method, key=KEY, body=body)
        text += IN_TURN.format(keys=", ".join(f'"{each}"' for each in keys)) if keys else ""
        script.write_text(text, encoding="utf-8")
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
        output = _output(command, seconds, core)
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$", output, re.M)
    if not found:
        raise BenchmarkError(f"wrk printed no result: {output.strip()[-300:]}")
    count, microseconds, refused, lost, p50, p99 = map(int, found.groups())
    return Load(count, count / microseconds * 1e6, refused + lost, p50 / 1000, p99 / 1000)


def _oha(url: str, request: Request, seconds: int, connections: int) -> Load:
    command = ["oha", "--no-tui", "--output-format", "json", "-z", f"{seconds}s", "-c", str(connections)]
    command += ["-m", request.method, "-H", f"x-api-key: {KEY}", "-H", "content-type: application/json"]
    command += ["-d", request.body.decode()] if request.body else []
    seen = json.loads(_output([*command, url], seconds))
    refused = sum(count for status, count in seen["statusCodeDistribution"].items() if int(status) >= 400)
    latency = seen["latencyPercentiles"]
    return Load(
        sum(seen["statusCodeDistribution"].values()),
        seen["summary"]["requestsPerSec"],
        refused,
        latency["p50"] * 1000,
        latency["p99"] * 1000,
    )
