"""Two replicas behind nginx beside one, on the same Redis."""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.contract import ROOT
from benchmarks.load import Load, Request, drive
from benchmarks.options import Options
from benchmarks.payloads import SUBMISSION_BODY, SUBMIT_PATH, write_scenario
from benchmarks.processes import Server, child, free_port, mock_command, ready_port, wait_until
from benchmarks.report import BenchmarkError, Row, Section, at_least, median_and_spread, not_measured

KEYS, CONNECTIONS = 64, 64
REQUESTS = (Request("GET", "/v1/me"), Request("POST", SUBMIT_PATH, SUBMISSION_BODY))
HOW = """\
{keys} keys in turn, {connections} connections through nginx with `deploy/nginx.conf`, in front of one replica and of
two (each held to a core), all on one Redis; {rounds} rounds of {seconds} s each in turn. The load, nginx and Redis
take part of the same {cores} cores, so on two cores two replicas cannot have twice the processor time of one. *By CPU*
is what the bar means where there are enough: calls for each CPU second of two replicas over the same of one, times 2.
"""
HEADER = (
    "operation",
    "replicas",
    "requests/s",
    "CPU a call: replicas, µs",
    "nginx, µs",
    "Redis, µs",
    "refused or lost",
)
Turn = tuple[Load, list[float]]


def measure(options: Options) -> Section:
    """The ratio of two replicas to one, as seen by clients and by CPU."""
    for program in ("nginx", "redis-server"):
        if shutil.which(program) is None:
            raise BenchmarkError(f"{program} is not installed: `apt-get install {program}`")
    rounds, seconds = (2, 1) if options.quick else (5, 2)
    runs: dict[tuple[str, int], list[Turn]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-replicas-")))
        redis = stack.enter_context(_listening(lambda port: ["redis-server", "--port", str(port), "--save", ""], 0))
        replicas = [stack.enter_context(_replica(redis.port, folder, core)) for core in (1, 0)]
        proxies = {count: stack.enter_context(_nginx(replicas[:count], folder / str(count))) for count in (1, 2)}
        for request in REQUESTS:
            for turn in range(-1, rounds):  # the first only warms
                options.say(f"{request.method} {request.path}, round {turn + 1} of {rounds}")
                for count, proxy in proxies.items():
                    taken = _turn(request, count, [*replicas[:count]], proxy, redis, seconds)
                    if turn >= 0:
                        runs.setdefault((f"{request.method} {request.path}", count), []).append(taken)
    how = HOW.format(keys=KEYS, connections=CONNECTIONS, rounds=rounds, seconds=seconds, cores=os.cpu_count())
    rows = [row for request in REQUESTS for row in _rows(f"{request.method} {request.path}", runs)]
    return Section("Replicas", how, rows, HEADER, _detail(runs))


def _turn(request: Request, count: int, replicas: list[Server], proxy: Server, redis: Server, seconds: float) -> Turn:
    groups = (replicas, [proxy], [redis])
    before = [sum(each.cpu_seconds() for each in group) for group in groups]
    keys = [f"vs_prod_{count}{number:031x}" for number in range(KEYS)]  # each proxy's own: it finds their owners
    load = drive(proxy.port, request, seconds, CONNECTIONS, keys)
    after = [sum(each.cpu_seconds() for each in group) for group in groups]
    return load, [(end - start) * 1e6 / max(load.requests, 1) for start, end in zip(before, after, strict=True)]


def _rows(operation: str, runs: dict[tuple[str, int], list[Turn]]) -> list[Row]:
    what = f"`{operation}`: two replicas / one"
    pairs = list(zip(runs[operation, 2], runs[operation, 1], strict=True))
    if refused := sum(load.refused for pair in pairs for load, _ in pair):
        return [not_measured(what, "≥ 1.7 x", f"{refused} requests were refused or lost")]
    seen = [two.per_second / one.per_second for (two, _), (one, _) in pairs]
    by_cpu = [2 * one[0] / two[0] for (_, two), (_, one) in pairs]
    return [
        Row(f"{what}, as clients see it", f"{median_and_spread(seen)} x"),
        Row(f"{what}, by CPU", f"{median_and_spread(by_cpu)} x", "≥ 1.7 x", at_least(by_cpu, 1.7)),
    ]


def _detail(runs: dict[tuple[str, int], list[Turn]]) -> list[tuple[str, ...]]:
    return [
        (
            f"`{operation}`",
            str(count),
            median_and_spread((load.per_second for load, _ in turns), 0),
            *(median_and_spread((cpu[at] for _, cpu in turns), 0) for at in range(3)),
            str(sum(load.refused for load, _ in turns)),
        )
        for (operation, count), turns in runs.items()
    ]


@contextmanager
def _listening(command: Callable[[int], list[str]], core: int) -> Iterator[Server]:
    port = free_port()
    with child(command(port), "server", core) as (process, output):
        wait_until(lambda: _accepts(port), process, output, "server", 20)
        yield Server(process, port)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _replica(redis: int, folder: Path, core: int) -> Iterator[Server]:
    state = f"redis://127.0.0.1:{redis}/0"
    command = mock_command("--port", "0", "--scenario", str(write_scenario(folder)), "--seed", "1", "--state", state)
    with child(command, f"replica-{core}", core) as (process, output):
        wait_until(lambda: ready_port(output) is not None, process, output, "a replica", 60)
        yield Server(process, ready_port(output) or 0)


@contextmanager
def _nginx(replicas: list[Server], folder: Path) -> Iterator[Server]:
    """Run nginx with the shipped configuration, but for its ports and paths."""
    folder.mkdir()
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for line, shipped in enumerate(("127.0.0.1:4747", "127.0.0.1:4748")):
        if line < len(replicas):
            text = text.replace(shipped, f"127.0.0.1:{replicas[line].port}")
        else:
            text = "\n".join(each for each in text.splitlines() if shipped not in each)

    def command(port: int) -> list[str]:
        paths = "".join(
            f"{each}_temp_path {folder}/{each}; " for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        own = f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        (folder / "nginx.conf").write_text(
            own + text.replace("http {", "http { access_log off; " + paths, 1).replace("8080", f"127.0.0.1:{port}")
        )
        return ["nginx", "-c", str(folder / "nginx.conf")]

    with _listening(command, 0) as server:
        yield server
