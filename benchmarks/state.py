"""What `--state` costs: the mock in memory, and with its sandboxes in a folder, taking turns."""

import tempfile
from contextlib import ExitStack

from benchmarks.load import Load, drive
from benchmarks.options import Options
from benchmarks.peers import Contender
from benchmarks.processes import Server, mock
from benchmarks.report import Row, Section, at_least, median_and_spread, not_measured
from benchmarks.throughput import OPERATIONS, alone, request_of

HOW = """\
The mock as in "Requests per second", in memory and with `--state DIR`, both started together and stopped (SIGSTOP)
while the other has its turn; {rounds} rounds of {seconds} s each. A ratio is taken within each round. Every submission
is committed before its answer; the temporary folder is on this machine's disk. CPU counts the thread that writes."""
HEADER = ("operation", "server", "requests/s", "CPU a call, µs", "p50 ms", "p99 ms")


def measure(options: Options) -> Section:
    """The ratio for both operations."""
    rounds, seconds = (2, 1) if options.quick else (7, 2)
    runs: dict[tuple[str, str], list[tuple[Load, float]]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-state-"))
        servers = {"memory": stack.enter_context(mock()), "state": stack.enter_context(mock("--state", folder))}
        stopped = [(Contender(name, mock), server) for name, server in servers.items()]
        for operation in OPERATIONS:
            for turn in range(-1, rounds):  # the first only warms
                options.say(f"{operation}, round {turn + 1} of {rounds}")
                for name, server in servers.items():
                    with alone(server, stopped):
                        taken = _turn(operation, server, seconds)
                    if turn >= 0:
                        runs.setdefault((operation, name), []).append(taken)
    how = HOW.format(rounds=rounds, seconds=seconds)
    return Section("Durable sandboxes", how, [_row(operation, runs) for operation in OPERATIONS], HEADER, _detail(runs))


def _turn(operation: str, server: Server, seconds: float) -> tuple[Load, float]:
    request = request_of(operation, "mock", server)
    before = server.cpu_seconds()
    load = drive(server.port, request, seconds)
    return load, (server.cpu_seconds() - before) * 1e6 / max(load.requests, 1)


def _row(operation: str, runs: dict[tuple[str, str], list[tuple[Load, float]]]) -> Row:
    what, bar = f"`{operation}`: with `--state DIR` / in memory", "≥ 0.6 x"
    pairs = list(zip(runs[operation, "state"], runs[operation, "memory"], strict=True))
    if refused := sum(load.refused for pair in pairs for load, _ in pair):
        return not_measured(what, bar, f"{refused} requests were refused or lost")
    ratios = [state.per_second / memory.per_second for (state, _), (memory, _) in pairs]
    return Row(what, f"{median_and_spread(ratios)} x", bar, at_least(ratios, 0.6))


def _detail(runs: dict[tuple[str, str], list[tuple[Load, float]]]) -> list[tuple[str, ...]]:
    return [
        (
            f"`{operation}`",
            name,
            median_and_spread((load.per_second for load, _ in turns), 0),
            median_and_spread((cpu for _, cpu in turns), 0),
            median_and_spread((load.p50 for load, _ in turns), 1),
            median_and_spread((load.p99 for load, _ in turns), 1),
        )
        for (operation, name), turns in runs.items()
    ]
