"""Requests per second of the mock against its peers, all of them running at once, taking turns."""

import os
import signal
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks.load import CONNECTIONS, Load, Request, drive, generator
from benchmarks.options import Options
from benchmarks.payloads import JOB_PATH, SUBMISSION, SUBMISSION_BODY, SUBMIT_PATH
from benchmarks.peers import Contender, contenders
from benchmarks.processes import Server
from benchmarks.report import BenchmarkError, Row, Section, at_least, median_and_spread, not_measured
from benchmarks.wire import Connection

OPERATIONS = ("GET /v1/jobs/{id}", "POST /v1/render/jobs")
HOW = """\
`{tool}`, one thread, {connections} connections, on one core; every server on the other core, all
started together and stopped (SIGSTOP) while another has its turn; {rounds} rounds of {seconds} s each in turn (A B C
A B C), after each was warmed until its rate had not risen by 3 % over two runs. A ratio is taken within each round,
then the median of the rounds; `median only` says that some round misses the bar. CPU is what the server's processes
used, user and system, over the requests answered. The body is a movie of three scenes ({size} bytes). A run with a
single refused or lost request counts as not measured.

- *mock*: key, rate limit (counting, never reached), validation, job, journal and request log on. Each of its
  turns begins with an empty sandbox; it reads a job that is being rendered, and keeps all that it takes.
- *plain Starlette*: `benchmarks/plain_app.py`: parses and serialises with orjson, validates with jsonschema-rs,
  answers with a constant. The goal is 1.0, the bar 0.7.
- *raw ASGI*: `benchmarks/raw_app.py` on the same uvicorn: a constant, nothing parsed.
- *Prism*: the same spec, logging off, answers from its examples; it checks the key header, parameters
  and body.
- *WireMock*: two stubs that match the key by pattern and the body by the same JSON Schema, constant
  answers, journal of 1,000."""

WARM_ROUNDS, RISE = 15, 1.03


@dataclass(frozen=True)
class Turn:
    """One turn of a server: what the load generator saw, and the server's processor time for each request."""

    load: Load
    cpu_microseconds: float


Runs = dict[tuple[str, str], list[Turn]]


def measure(options: Options) -> Section:
    """The ratios for both operations, and the absolute numbers behind them."""
    tool = generator()
    rounds, seconds = (2, 1) if options.quick else (7, 2)
    absent: dict[str, str] = {}
    runs: Runs = {}
    with ExitStack() as stack:
        servers = _start(stack, absent)
        for operation in OPERATIONS:
            for contender, server in servers:
                options.say(f"{operation}: {contender.name} is warmed")
                with alone(server, servers):
                    _warm(operation, contender, server, seconds)
            for turn in range(rounds):
                options.say(f"{operation}, round {turn + 1} of {rounds}")
                for contender, server in servers:
                    with alone(server, servers):
                        turn_taken = _turn(operation, contender, server, seconds)
                    runs.setdefault((operation, contender.name), []).append(turn_taken)
    how = HOW.format(tool=tool, connections=CONNECTIONS, rounds=rounds, seconds=seconds, size=len(SUBMISSION_BODY))
    return Section("Requests per second", how, _rows(runs, absent), HEADER, _detail(runs, absent))


def _turn(operation: str, contender: Contender, server: Server, seconds: float) -> Turn:
    request = request_of(operation, contender.name, server)
    before = server.cpu_seconds()
    load = drive(server.port, request, seconds)
    return Turn(load, (server.cpu_seconds() - before) * 1e6 / max(load.requests, 1))


def _warm(operation: str, contender: Contender, server: Server, seconds: float) -> None:
    """Drive a server until its rate has not risen for two runs: compilers take their time."""
    best, flat = 0.0, 0
    for _ in range(WARM_ROUNDS):
        rate = _turn(operation, contender, server, seconds).load.per_second
        flat = 0 if rate > best * RISE else flat + 1
        best = max(best, rate)
        if flat == 2:
            return


@contextmanager
def alone(turn: Server, servers: list[tuple[Contender, Server]]) -> Iterator[None]:
    """Stop every other server for the length of a turn: a compiler or collector of theirs would take the core."""
    others = [server for _, server in servers if server is not turn]
    for server in others:
        os.killpg(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for server in others:
            os.killpg(server.process.pid, signal.SIGCONT)


def _start(stack: ExitStack, absent: dict[str, str]) -> list[tuple[Contender, Server]]:
    """Every contender that can be had; the reason for each that cannot goes into `absent`."""
    servers = []
    for contender in contenders():
        try:
            servers.append((contender, stack.enter_context(contender.start())))
        except BenchmarkError as error:
            absent[contender.name] = str(error)
    return servers


def request_of(operation: str, name: str, server: Server) -> Request:
    """The request of an operation; the mock begins each turn with an empty sandbox, and one job to be asked for."""
    path = JOB_PATH
    if name == "mock":
        with Connection(server.port) as connection:
            connection.call("POST", "/__mock/reset")
            path = f"/v1/jobs/{connection.call('POST', SUBMIT_PATH, SUBMISSION)['jobId']}"
    return Request("POST", SUBMIT_PATH, SUBMISSION_BODY) if operation.startswith("POST") else Request("GET", path)


def _rows(runs: Runs, absent: dict[str, str]) -> list[Row]:
    peers = [peer for peer in contenders() if peer.factor]
    rates = [_row(operation, peer, runs, absent) for operation in OPERATIONS for peer in peers]
    return rates + [_cpu_row(operation, runs, absent) for operation in OPERATIONS]


def _cpu_row(operation: str, runs: Runs, absent: dict[str, str]) -> Row:
    """How much of the mock's CPU a call would cost anyway: that of a raw ASGI constant over that of the mock."""
    what, bar = f"`{operation}`: CPU a call, raw ASGI / mock", "≥ 0.5 x" if operation.startswith("GET") else "-"
    if absent.keys() & {"mock", "raw ASGI"}:
        return not_measured(what, bar, "a server is not at hand")
    pairs = zip(runs[operation, "raw ASGI"], runs[operation, "mock"], strict=True)
    ratios = [raw.cpu_microseconds / mock.cpu_microseconds for raw, mock in pairs]
    return Row(what, f"{median_and_spread(ratios)} x", bar, at_least(ratios, 0.5) if bar != "-" else None)


def _row(operation: str, peer: Contender, runs: Runs, absent: dict[str, str]) -> Row:
    what = f"`{operation}`: mock / {peer.name}"
    bar = f"≥ {peer.factor:g} x" if peer.factor else "-"
    for name in ("mock", peer.name):
        reason = absent.get(name) or _spoiled(runs[operation, name])
        if reason:
            return not_measured(what, bar, f"{name} is not at hand" if name in absent else reason)
    pairs = zip(runs[operation, "mock"], runs[operation, peer.name], strict=True)
    ratios = [mock.load.per_second / other.load.per_second for mock, other in pairs]
    return Row(what, f"{median_and_spread(ratios)} x", bar, at_least(ratios, peer.factor) if peer.factor else None)


def _spoiled(turns: list[Turn]) -> str:
    refused = sum(turn.load.refused for turn in turns)
    return f"{refused} requests were refused or lost" if refused else ""


HEADER = ("operation", "server", "requests/s", "CPU a call, µs", "p50 ms", "p99 ms", "refused or lost")


def _detail(runs: Runs, absent: dict[str, str]) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for (operation, name), turns in runs.items():
        loads = [turn.load for turn in turns]
        p50, p99 = (statistics.median(values) for values in zip(*((load.p50, load.p99) for load in loads), strict=True))
        speed = median_and_spread((load.per_second for load in loads), 0)
        cpu = median_and_spread((turn.cpu_microseconds for turn in turns), 0)
        refused = sum(load.refused for load in loads)
        lines.append((f"`{operation}`", name, speed, cpu, f"{p50:.1f}", f"{p99:.1f}", str(refused)))
    return lines + [("both", name, f"not at hand: {reason}", "-", "-", "-", "-") for name, reason in absent.items()]
