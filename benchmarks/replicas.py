"""Two replicas on two cores beside one on one core, each with nginx, Redis and the load on the same cores."""

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.contract import ROOT
from benchmarks.load import Load, Request, drive
from benchmarks.options import Options
from benchmarks.payloads import SUBMISSION_BODY, SUBMIT_PATH, write_scenario
from benchmarks.processes import Server, child, free_port, mock_command, ready_port, wait_until
from benchmarks.report import BenchmarkError, Row, Section, at_least, median_and_spread, not_measured

KEYS, CONNECTIONS = 64, 64
REQUESTS = (Request("GET", "/v1/me"), Request("POST", SUBMIT_PATH, SUBMISSION_BODY))
HOW = """\
{keys} keys in turn, {connections} connections through nginx with `deploy/nginx.conf`; {rounds} rounds of {seconds} s
each in turn. *One* is a replica with its nginx, its Redis and the load, all held to one core. *Two* are two replicas,
each held to a core, with the same beside them on both cores. So both have the same work for each call, and *two* has
twice the processor time.
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


class Stand(NamedTuple):
    """Replicas behind a proxy, and the core that all of it is held to (None: any)."""

    replicas: list[Server]
    proxy: Server
    redis: Server
    core: int | None


def measure(options: Options) -> Section:
    """The ratio of two replicas to one, as seen by clients."""
    for program in ("nginx", "redis-server"):
        if shutil.which(program) is None:
            raise BenchmarkError(f"{program} is not installed: `apt-get install {program}`")
    rounds, seconds = (2, 1) if options.quick else (5, 2)
    runs: dict[tuple[str, int], list[Turn]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-replicas-")))
        stands = {1: _stand(stack, folder / "1", [0], 0), 2: _stand(stack, folder / "2", [0, 1], None)}
        for request in REQUESTS:
            for turn in range(-1, rounds):  # the first only warms
                options.say(f"{request.method} {request.path}, round {turn + 1} of {rounds}")
                for count, stand in stands.items():
                    taken = _turn(request, stand, seconds)
                    if turn >= 0:
                        runs.setdefault((f"{request.method} {request.path}", count), []).append(taken)
    how = HOW.format(keys=KEYS, connections=CONNECTIONS, rounds=rounds, seconds=seconds)
    rows = [_row(f"{request.method} {request.path}", runs) for request in REQUESTS]
    return Section("Replicas", how, rows, HEADER, _detail(runs))


def _stand(stack: ExitStack, folder: Path, cores: list[int], core: int | None) -> Stand:
    folder.mkdir()
    redis = stack.enter_context(_listening(lambda port: ["redis-server", "--port", str(port), "--save", ""], core))
    replicas = [stack.enter_context(_replica(redis.port, folder, each)) for each in cores]
    return Stand(replicas, stack.enter_context(_nginx(replicas, folder, core)), redis, core)


def _turn(request: Request, stand: Stand, seconds: float) -> Turn:
    groups = (stand.replicas, [stand.proxy], [stand.redis])
    before = [sum(each.cpu_seconds() for each in group) for group in groups]
    keys = [f"vs_prod_{number:032x}" for number in range(KEYS)]
    load = drive(stand.proxy.port, request, seconds, CONNECTIONS, keys, stand.core)
    after = [sum(each.cpu_seconds() for each in group) for group in groups]
    return load, [(end - start) * 1e6 / max(load.requests, 1) for start, end in zip(before, after, strict=True)]


def _row(operation: str, runs: dict[tuple[str, int], list[Turn]]) -> Row:
    what, bar = f"`{operation}`: two replicas on two cores / one on one", "≥ 1.7 x"
    pairs = list(zip(runs[operation, 2], runs[operation, 1], strict=True))
    if refused := sum(load.refused for pair in pairs for load, _ in pair):
        return not_measured(what, bar, f"{refused} requests were refused or lost")
    ratios = [two.per_second / one.per_second for (two, _), (one, _) in pairs]
    return Row(what, f"{median_and_spread(ratios)} x", bar, at_least(ratios, 1.7))


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
def _listening(command: Callable[[int], list[str]], core: int | None) -> Iterator[Server]:
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
def _nginx(replicas: list[Server], folder: Path, core: int | None) -> Iterator[Server]:
    """Run nginx with the shipped configuration, but for its ports and paths."""
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

    with _listening(command, core) as server:
        yield server
