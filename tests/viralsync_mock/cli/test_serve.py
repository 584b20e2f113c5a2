"""The command: what it accepts, what it refuses and how, and how a server starts and stops."""

import gc
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result
from tests.conftest import MOVIE

from viralsync_mock.cli import main, serve, settings_of
from viralsync_mock.cli.options import unknown_variables
from viralsync_mock.clock import Mode
from viralsync_mock.pytest_plugin import INI
from viralsync_mock.server import Binding, base_url, bind
from viralsync_mock.settings import Settings, shipped

COMMAND = [sys.executable, "-m", "viralsync_mock"]
SECRET = "0123456789abcdef0123456789abcdef"
KEY = {"x-api-key": f"vs_prod_{SECRET}"}
PATIENCE = 20
"""Seconds until a test gives up: a machine may be busy."""

OWN = {"real", "seed", "renews_seed"}
SETTINGS = {name: getattr(Settings(), name) for name in Settings.__slots__ if name not in OWN}


def run(*arguments: object, **variables: str) -> Result:
    """Run the command in this process; nothing that serves."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env=variables)


def context(*arguments: str) -> click.Context:
    """Return what `serve` makes of its arguments and of the environment."""
    return serve.make_context("serve", list(arguments), click.Context(main, **main.context_settings))


def settings(*arguments: str) -> Settings:
    """Return the settings that arguments and the environment make."""
    return settings_of(context(*arguments))


# --- what is accepted ------------------------------------------------------------------------------------------------


def test_without_options_the_defaults_of_the_library_hold() -> None:
    """The command repeats no other default than the library's own."""
    assert {name: getattr(settings(), name) for name in SETTINGS} == SETTINGS
    assert Binding(context().params["host"], context().params["port"]) == Binding()


def test_a_real_clock_has_a_new_seed_and_a_virtual_one_always_the_same() -> None:
    """No id of a job comes twice where nobody asked for it; tests stay repeatable."""
    fresh = [settings(*arguments) for arguments in ((), (), ("--speed", "20"))]
    assert len({each.seed for each in fresh}) == 3
    assert all(each.renews_seed for each in fresh)
    fixed = [settings(*arguments) for arguments in (("--frozen",), ("--auto",), ("--seed", "7"))]
    assert [(each.seed, each.renews_seed) for each in fixed] == [("0", False), ("0", False), ("7", False)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--scenario slow", {"scenario": "slow"}),
        ("--seed 7", {"seed": "7"}),
        ("--speed 2.5", {"clock": Mode.SCALED, "speed": 2.5}),
        ("--frozen", {"clock": Mode.FROZEN}),
        ("--auto", {"clock": Mode.AUTO}),
        ("--clock jump", {"clock": Mode.JUMP}),
        ("--clock real", {"clock": Mode.REAL}),
        ("--no-rate-limit", {"is_rate_limited": False}),
        ("--no-cors", {"cors": False}),
        ("--cors", {"cors": True}),
        ("--no-control", {"control": False}),
        ("--control-token sesame", {"control_token": "sesame"}),
        ("--journal-size 0", {"journal_size": 0}),
        ("--sandboxes 5", {"sandboxes": 5}),
        ("--memory 1GiB", {"memory": 2**30}),
        ("--memory 1.5m", {"memory": 3 * 2**19}),
        ("--memory 20MB", {"memory": 20_000_000}),
        ("--memory 2000000", {"memory": 2_000_000}),
        ("--no-mock-headers", {"mock_headers": False}),
        (
            "--allow-webhook-host hooks.example --allow-webhook-host 10.0.0.7",
            {"webhook_hosts": ("hooks.example", "10.0.0.7")},
        ),
        ("--host 0.0.0.0 --no-control", {"control": False}),
        ("--host :: --control-token t", {"control_token": "t"}),
        *((f"--host {host}", {}) for host in ("localhost", "127.0.0.9", "::1")),
        (f"--spec {shipped('openapi.yaml')}", {"spec": shipped("openapi.yaml")}),
        (f"--behaviour {__file__}", {"behaviour": Path(__file__)}),
    ],
)
def test_an_option_changes_its_setting_alone(arguments: str, expected: dict[str, object]) -> None:
    """Each option reaches the server, and nothing else changes."""
    made = settings(*arguments.split())
    assert {name: getattr(made, name) for name in SETTINGS | expected} == SETTINGS | expected


@pytest.mark.parametrize("option", serve.params, ids=lambda option: option.opts[0])
def test_every_option_has_a_variable_of_its_name(option: click.Parameter) -> None:
    """`--log-format` is VIRALSYNC_MOCK_LOG_FORMAT."""
    assert option.envvar == "VIRALSYNC_MOCK_" + option.opts[0].removeprefix("--").replace("-", "_").upper()


def test_variables_set_what_flags_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container is configured without arguments, switches and secrets included."""
    values = {"PORT": "0", "CORS": "0", "NO_RATE_LIMIT": "1", "CONTROL_TOKEN": "sesame", "AUTO": "true"}
    for name, value in values.items():
        monkeypatch.setenv(f"VIRALSYNC_MOCK_{name}", value)
    made = settings()
    assert (made.cors, made.is_rate_limited, made.control_token, made.clock) == (False, False, "sesame", Mode.AUTO)
    assert context().params["port"] == 0
    assert context("--port", "5").params["port"] == 5


def test_a_clock_on_the_command_line_overrides_one_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who types --frozen need not know what the environment says."""
    monkeypatch.setenv("VIRALSYNC_MOCK_SPEED", "10")
    made = settings("--frozen")
    assert (made.clock, made.speed) == (Mode.FROZEN, 1.0)
    assert settings().speed == 10


@pytest.mark.parametrize("arguments", [["-h"], ["serve", "-h"], ["serve", "--help"], ["scenarios", "--help"]])
def test_help_is_one_flag_away(arguments: list[str]) -> None:
    """Both spellings work on every level."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout.startswith("Usage: ")) == (0, True)


def test_help_shows_examples_to_copy() -> None:
    """The examples keep their lines, and the variables are explained."""
    text = run("serve", "--help").stdout
    assert "\n    viralsync-mock serve --port 0 --auto" in text
    assert "VIRALSYNC_MOCK_PORT" in text


def test_the_package_runs_as_a_module_and_says_its_version() -> None:
    """`python -m viralsync_mock` is the same command."""
    result = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, timeout=PATIENCE)
    assert (result.returncode, result.stdout) == (0, f"viralsync-mock, version {version('viralsync-mock')}\n")


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--port 65536", "expected a port: a whole number from 0 (picks a free one) to 65535, got '65536'."),
        ("--port abc", "expected a port: a whole number from 0 (picks a free one) to 65535, got 'abc'."),
        ("--speed 2 --frozen", "--speed and --frozen exclude each other: keep one."),
        ("--speed 2 --auto", "--speed and --auto exclude each other: keep one."),
        ("--frozen --auto", "--frozen and --auto exclude each other: keep one."),
        ("--speed 0", "expected a number above 0 and up to 1000000, got 0."),
        ("--speed nan", "expected a number above 0 and up to 1000000, got nan."),
        ("--speed inf", "expected a number above 0 and up to 1000000, got inf."),
        ("--journal-size -1", "-1 is not in the range"),
        ("--memory 1000", "expected a size of at least 1MiB, such as 256MiB or 1GiB, got '1000'."),
        ("--memory lots", "expected a size of at least 1MiB, such as 256MiB or 1GiB, got 'lots'."),
        ("--allow-webhook-host http://x:80/", "expected the name or address of a host, no scheme, port or path"),
        ("--allow-webhook-host vm:5999", "expected the name or address of a host"),
        ("--allow-webhook-host 10.0.0.0/8", "expected the name or address of a host"),
        ("--allow-webhook-host=", "expected the name or address of a host"),
        ("--host 0.0.0.0", "Protect it with --control-token T (or VIRALSYNC_MOCK_CONTROL_TOKEN), or leave it out"),
        ("--host example.com", "or leave it out with --no-control."),
        ("--control-token=", "expected printable ASCII"),
        ("--control-token ü", "expected printable ASCII"),
        ("--spec nowhere.yaml", "'nowhere.yaml' does not exist"),
        ("--behaviour .", "is a directory"),
        (f"--tls-cert {__file__}", "--tls-cert and --tls-key go together"),
        (f"--port 0 --tls-cert {__file__} --tls-key {__file__}", "Both are expected in PEM form"),
        (f"--port 0 --spec {__file__}", "test_serve.py:1"),
        ("--port 0 --scenario hapy", 'there is no scenario "hapy". Did you mean "happy"?'),
        ("--port 0 --scenario nowhere.yaml", "nowhere.yaml: cannot be read: No such file"),
        ("--log-format xml", "'xml' is not one of 'text', 'json'"),
        ("--sede 1", "--seed"),
        ("--port 0 --host 192.0.2.1 --no-control", "requested address. Choose another address with --host."),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_to_do(arguments: str, reason: str) -> None:
    """No traceback, nothing on standard output, and the last line names the place and the way out."""
    result = run("serve", *arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_no_scenario(tmp_path: Path) -> None:
    """Nobody may ever write to it: the command would wait for ever."""
    os.mkfifo(pipe := tmp_path / "pipe.yaml")
    result = run("serve", "--port", 0, "--scenario", pipe)
    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: {pipe}: a pipe, not a file: write its content to a file first\n",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (">&-", "standard output is closed: send it to /dev/null if you do not need it."),
        ("> /dev/full", "the output cannot be written: No space left on device."),
    ],
)
def test_an_output_that_cannot_be_written_is_a_sentence(where: str, reason: str) -> None:
    """Not a traceback."""
    if "full" in where and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command = f"exec {' '.join(COMMAND)} scenarios show happy {where}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (2, f"Error: {reason}\n")


def test_a_misspelt_variable_is_named() -> None:
    """It would be ignored in silence; those of the pytest plugin are known."""
    result = run("scenarios", "list", VIRALSYNC_MOCK_PROT="1", VIRALSYNC_MOCK_STRICT="1", VIRALSYNC_MOCK_WEBHOOK_URL="")
    assert result.exit_code == 0
    assert result.stderr == (
        'viralsync-mock: the variable VIRALSYNC_MOCK_PROT is no option. Did you mean "VIRALSYNC_MOCK_PORT"?\n'
    )


def test_every_variable_of_the_pytest_plugin_is_known() -> None:
    """The command shares its prefix with the plugin."""
    names = [f"VIRALSYNC_MOCK_{name.upper()}" for name, _ in INI]
    known = [str(each.envvar) for each in serve.params]
    assert list(unknown_variables(names, known)) == []


def test_a_refused_start_leaves_the_collector_of_garbage_on() -> None:
    """It is off only while the server's libraries load."""
    run("serve", "--port", "0", "--scenario", "hapy")
    assert gc.isenabled()


def test_a_taken_port_is_named_with_a_way_out() -> None:
    """Two servers on one port are the commonest slip."""
    with bind(Binding(port=0)) as other:
        port = other.getsockname()[1]
        result = run("serve", "--port", port)
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: cannot listen on 127.0.0.1 port {port}: it is in use already. "
        "Stop what uses it, or choose another with --port (0 picks a free one).\n"
    )


def test_an_ipv6_address_stands_in_brackets() -> None:
    """`--host ::1` listens, and the URL can be pasted into a client."""
    binding = Binding("::1", 0)
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with bind(binding) as listener:
        assert re.fullmatch(r"http://\[::1\]:[1-9]\d*", base_url(binding, listener))


# --- scenarios -------------------------------------------------------------------------------------------------------


def test_the_list_of_scenarios_is_plain_in_a_pipe() -> None:
    """A name, a tab, and what happens: one line each."""
    lines = run("scenarios", "list").stdout.splitlines()
    shipped_names = sorted(path.stem for path in shipped("fixtures/scenarios").glob("*.yaml"))
    assert [line.split("\t")[0] for line in lines] == shipped_names
    assert all(len(line.split("\t")) == 2 for line in lines)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_the_list_of_scenarios_is_a_table_on_a_terminal() -> None:
    """For people there are columns, each with its head."""
    ours, theirs = os.openpty()
    environment = os.environ | {"COLUMNS": "200", "TERM": "xterm"}
    with subprocess.Popen([*COMMAND, "scenarios", "list"], stdout=theirs, env=environment) as process:
        os.close(theirs)
        first = os.read(ours, 4096).decode()
        os.close(ours)
        process.kill()
    assert re.search(r"scenario.*what happens", first)


def test_a_shown_scenario_is_the_file_as_it_ships() -> None:
    """What is printed can be saved and edited; `_` stands for `-`."""
    text = (shipped("fixtures/scenarios") / "scene-fails.yaml").read_text("utf-8")
    assert [run("scenarios", "show", name).stdout for name in ("scene-fails", "scene_fails")] == [text, text]


def test_an_unknown_scenario_cannot_be_shown() -> None:
    """The nearest name is proposed."""
    result = run("scenarios", "show", "scene-fail")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == 'Error: there is no scenario "scene-fail". Did you mean "scene-fails"?\n'


def test_every_file_that_is_checked_has_its_line(tmp_path: Path) -> None:
    """A broken file does not hide the next one, and makes the exit code 2."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("name: good\ndescription: Fine.\n")
    bad.write_text("name: bad\ndescription: Not fine.\njobb: {}\n")
    result = run("scenarios", "check", bad, good, tmp_path / "none.yaml")
    assert (result.exit_code, result.stdout) == (2, f"ok {good}\n")
    assert re.fullmatch(rf"Error: {bad}:3: .*\"job\".*\nError: .*none.yaml: cannot be read.*\n", result.stderr)


def test_files_that_load_are_ok() -> None:
    """Every shipped scenario passes its own check."""
    result = run("scenarios", "check", *shipped("fixtures/scenarios").glob("*.yaml"))
    assert (result.exit_code, result.stderr) == (0, "")


def test_files_are_checked_against_a_spec_of_ones_own(tmp_path: Path) -> None:
    """A scenario may speak of what only this spec has."""
    spec, scenario = tmp_path / "spec.yaml", tmp_path / "mine.yaml"
    spec.write_text(shipped("openapi.yaml").read_text("utf-8").replace("operationId: getMe", "operationId: readMe"))
    scenario.write_text("name: mine\ndescription: '-'\nrules: [{match: {operation: readMe}, respond: {status: 200}}]\n")
    assert run("scenarios", "check", scenario).exit_code == 2
    assert run("scenarios", "check", "--spec", spec, scenario).exit_code == 0


# --- serving ---------------------------------------------------------------------------------------------------------


class Served:
    """A server in a process of its own; `base_url` is what its first line says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._pump = Thread(target=self._read, daemon=True)
        self._pump.start()
        assert process.stdout is not None
        self.first = process.stdout.readline()
        self.base_url = self.first.split()[-1] if self.first else ""

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)

    def line(self, word: str) -> str:
        """Wait for a line on standard error that holds a word."""
        seen = ""
        try:
            while word not in (line := self._lines.get(timeout=PATIENCE)):
                seen += line
        except Empty:
            pytest.fail(f"no line with {word!r} came, but {seen!r}")
        return line

    def stop(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit code and the rest of standard error."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._pump.join(PATIENCE)
        return code, "".join(self._lines.get() for _ in range(self._lines.qsize()))


@contextmanager
def served(*arguments: object, **variables: str) -> Iterator[Served]:
    """Start a server on a free port; it is killed at the end if it still runs."""
    environment = os.environ | {"VIRALSYNC_MOCK_PORT": "0"} | variables
    command = [*COMMAND, "serve", *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        server = Served(process)
        try:
            yield server
        finally:
            server.stop(signal.SIGKILL)


def submitted(client: httpx.Client) -> str:
    """Submit a job and return its id."""
    job_id: str = client.post("/v1/render/jobs", json=MOVIE).json()["jobId"]
    return job_id


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_open_streams_and_then_the_server_without_a_fuss(number: signal.Signals) -> None:
    """Ctrl-C, or `docker stop`: the stream is closed properly, the exit code is 0, and the log holds calls only."""
    with (
        served() as server,
        httpx.Client(base_url=server.base_url, headers=KEY) as client,
        client.stream("GET", f"/v1/jobs/{submitted(client)}/progress") as stream,
    ):
        chunks = stream.iter_text()
        assert "data: " in next(chunks)
        code, errors = server.stop(number)
        list(chunks)
    assert code == 0
    assert [line.split()[1:4] for line in errors.splitlines()] == [
        ["POST", "/v1/render/jobs", "202"],
        ["GET", str(stream.url.raw_path, "ascii"), "200"],
    ]


HELD = {
    "latency": b"GET /v1/me HTTP/1.1\r\nx-mock-fault: latency=10m\r\n",
    "no answer": b"GET /v1/me HTTP/1.1\r\nx-mock-fault: timeout\r\n",
    "a slow body": b"GET /v1/me HTTP/1.1\r\nx-mock-fault: slow_body=10m\r\n",
    "half a body": b"POST /v1/render/jobs HTTP/1.1\r\ncontent-length: 99\r\n",
}


@pytest.mark.parametrize(
    ("number", "held"),
    [*((signal.SIGTERM, held) for held in HELD), (signal.SIGHUP, "latency"), (signal.SIGINT, "latency")],
)
def test_a_signal_breaks_off_a_call_that_is_held(number: signal.Signals, held: str) -> None:
    """The client sees a broken connection within a second, never a whole response; that is no line in the log."""
    with served() as server:
        host, port = server.base_url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
            key = KEY["x-api-key"].encode()
            client.sendall(HELD[held] + b"host: localhost\r\nx-api-key: %b\r\n\r\n" % key)
            httpx.get(f"{server.base_url}/v1/usage", headers=KEY, timeout=PATIENCE)
            server.line("/v1/usage")
            code, errors = server.stop(number)
            received = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert code == 0
    assert [line for line in errors.splitlines() if " /v1/" not in line] == []
    assert not received.partition(b"\r\n\r\n")[2].endswith(b"}")
    assert b" 500 " not in received


def test_a_client_that_does_not_read_its_response_does_not_hold_up_the_stop() -> None:
    """What it has not read is thrown away."""
    large = {**MOVIE, "movie": {"scenes": [{"id": "one", "duration": 1, "layers": [{"type": "text"} | TEXT]}]}}
    with served("--no-rate-limit", "--frozen") as server, httpx.Client(base_url=server.base_url, headers=KEY) as client:
        client.patch("/__mock/account", json={"plan": "enterprise"})
        for _ in range(20):
            assert client.post("/v1/render/jobs", json=large).status_code == 202
        host, port = server.base_url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as slow:
            key = KEY["x-api-key"].encode()
            slow.sendall(b"GET /v1/jobs HTTP/1.1\r\nhost: localhost\r\nx-api-key: %b\r\n\r\n" % key)
            slow.recv(1)
            code, errors = server.stop(signal.SIGTERM)
    assert (code, "Cancel" in errors, "Traceback" in errors) == (0, False, False)


TEXT = {"text": "x" * 900_000}


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path]]:
    """Yield a server that logs JSON and watches a spec of its own, told so by variables only."""
    spec = tmp_path_factory.mktemp("watch") / "spec.yaml"
    spec.write_text(shipped("openapi.yaml").read_text("utf-8"))
    names = {"SPEC": str(spec), "LOG_FORMAT": "json", "WATCH": "1", "SEED": "3", "CONTROL_TOKEN": "sesame"}
    with served(**{f"VIRALSYNC_MOCK_{name}": value for name, value in names.items()}) as server:
        yield server, spec


def test_the_first_line_says_where_the_server_answers(watching: tuple[Served, Path]) -> None:
    """Port 0 picks a free port, and a script may call as soon as it has read the line."""
    server, _ = watching
    assert re.fullmatch(r"viralsync-mock ready on http://127\.0\.0\.1:[1-9]\d*\n", server.first)
    assert httpx.get(f"{server.base_url}/v1/me", headers=KEY).status_code == 200


def test_the_log_can_be_read_by_programs_and_holds_no_key(watching: tuple[Served, Path]) -> None:
    """Each call is a line of JSON; the key in its header and in its query stays out."""
    server, _ = watching
    answer = httpx.get(f"{server.base_url}/v1/jobs?cursor=vs_prod_{SECRET}&limit=7", headers=KEY)
    line = server.line("limit=7")
    told: dict[str, Any] = json.loads(line)
    assert (told["operation"], told["status"], told["code"]) == ("listJobs", answer.status_code, "VALIDATION_ERROR")
    assert SECRET not in line


def test_the_control_token_reaches_the_server_by_its_variable(watching: tuple[Served, Path]) -> None:
    """A secret need not stand in the list of processes."""
    server, _ = watching
    url = f"{server.base_url}/__mock/scenarios"
    tokens: list[dict[str, str]] = [{}, {"x-mock-token": "sesame"}]
    assert [httpx.get(url, headers=token).is_success for token in tokens] == [False, True]


def test_an_edited_spec_is_served_and_a_broken_one_is_not(watching: tuple[Served, Path]) -> None:
    """With --watch an edit shows without a restart; a slip is told, and the last good spec goes on."""
    server, spec = watching
    text = spec.read_text("utf-8")
    spec.write_text(text.replace("/v1/me:", "/v1/myself:"))
    assert "reloaded" in server.line(str(spec))
    assert httpx.get(f"{server.base_url}/v1/myself", headers=KEY).status_code == 200
    spec.write_text("openapi: [")
    assert "still on the old files" in server.line(str(spec))
    assert httpx.get(f"{server.base_url}/v1/myself", headers=KEY).status_code == 200
    spec.write_text(text)
    assert "reloaded" in server.line(str(spec))


def test_a_certificate_makes_it_https(tmp_path: Path) -> None:
    """With a certificate and its key the server speaks TLS, says so, and its probe takes the certificate as it is."""
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)]
    try:
        subprocess.run([*command.split(), *names], check=True, capture_output=True, timeout=PATIENCE)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    with served("--tls-cert", certificate, "--tls-key", key) as server:
        assert server.base_url.startswith("https://127.0.0.1:")
        trusted = ssl.create_default_context(cafile=certificate)
        assert httpx.get(f"{server.base_url}/v1/me", headers=KEY, verify=trusted).status_code == 200
        port = server.base_url.rpartition(":")[2]
        variables = {"VIRALSYNC_MOCK_PORT": port, "VIRALSYNC_MOCK_TLS_CERT": str(certificate)}
        assert CliRunner().invoke(main, ["health"], env=variables).output == f"ok {server.base_url}\n"
