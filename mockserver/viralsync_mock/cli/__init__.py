"""The command line: `viralsync-mock`.

Exit codes: 0 fine · 1 something did not hold · 2 wrong use or bad file. What a subcommand needs is imported inside it,
so that `--help` does not wait for the server, and `serve` not for what others print with.
"""

from __future__ import annotations

import errno
import gc
import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from viralsync_mock.cli.certify import certify
from viralsync_mock.cli.challenge import challenge
from viralsync_mock.cli.conform import conform
from viralsync_mock.cli.faults import faults
from viralsync_mock.cli.health import health
from viralsync_mock.cli.init import init
from viralsync_mock.cli.options import FILE, VARIABLE_PREFIX, WRONG_USE, Port, Size, option, unknown_variables
from viralsync_mock.cli.scenarios import complete_scenario, scenarios
from viralsync_mock.cli.state import state
from viralsync_mock.errors import UsageError

if TYPE_CHECKING:
    import socket

    from viralsync_mock.app import App
    from viralsync_mock.cli.reload import Stamps
    from viralsync_mock.cli.request_log import RequestLog
    from viralsync_mock.clock import Mode
    from viralsync_mock.server import Binding, Server
    from viralsync_mock.settings import Settings

MAX_SPEED = 1e6
CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EIO, errno.EBADF})
_ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:_-]+", re.ASCII)  # browsers send it in lower case
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.IGNORECASE | re.ASCII)

EXAMPLES = """\b
Examples:
  viralsync-mock init && pytest tests/test_viralsync.py
  viralsync-mock serve --speed 20
  viralsync-mock conform
"""

SERVE_EXAMPLES = """\b
Examples:
  viralsync-mock serve                             on http://127.0.0.1:4747
  viralsync-mock serve --port 0 --auto             a free port; jobs end as soon as they are watched
  viralsync-mock serve --speed 10 --scenario my.yaml --watch
  VIRALSYNC_MOCK_CONTROL_TOKEN=... viralsync-mock serve --host 0.0.0.0

Every option has a variable, which the command line overrides: --port is VIRALSYNC_MOCK_PORT, --no-cors is
VIRALSYNC_MOCK_CORS=0.
"""


USES = {
    "Test your code": ("init", "scenarios", "faults", "challenge", "certify"),
    "Run a mock": ("serve", "state", "health"),
    "Check the API": ("conform",),
}
"""The commands by use, as `--help` and the documentation list them."""


class _UsageFailure(click.ClickException):
    """Wrong use, or a bad file: one line on standard error."""

    exit_code = WRONG_USE


class _Main(click.Group):
    """All commands, listed by use; every UsageError, and an output that cannot be written, becomes exit code 2."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        others = tuple(name for name in self.list_commands(ctx) if not any(name in names for names in USES.values()))
        for title, names in {**USES, "More": others}.items():
            rows = [(name, self.commands[name].get_short_help_str(78)) for name in names if name in self.commands]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        if sys.stdout is None:  # `>&-` in a shell
            raise _UsageFailure("standard output is closed: send it to /dev/null if you do not need it.")
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise _UsageFailure(str(error)) from None
        except OSError as error:
            if error.errno in CANNOT_WRITE:
                raise _UsageFailure(f"the output cannot be written: {error.strerror}.") from None
            raise


@click.group(cls=_Main, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="viralsync-mock", prog_name="viralsync-mock")
@click.pass_context
def main(context: click.Context) -> None:
    """A mock of the ViralSync API, driven by its OpenAPI document."""
    groups = [context.command, *getattr(context.command, "commands", {}).values()]
    commands = [*groups, *(each for group in groups for each in getattr(group, "commands", {}).values())]
    known = {str(option.envvar) for command in commands for option in command.params if option.envvar}
    for complaint in unknown_variables(os.environ, known):
        click.echo(f"viralsync-mock: {complaint}", err=True)


main.add_command(certify)
main.add_command(challenge)
main.add_command(conform)
main.add_command(faults)
main.add_command(health)
main.add_command(init)
main.add_command(scenarios)
main.add_command(state)


def _speed(_context: click.Context, _parameter: click.Parameter, speed: float | None) -> float | None:
    if speed is not None and not 0 < speed <= MAX_SPEED:  # click's range lets NaN through
        raise click.BadParameter(f"expected a number above 0 and up to {MAX_SPEED:.0f}, got {speed:g}.")
    return speed


def _token(_context: click.Context, _parameter: click.Parameter, token: str | None) -> str | None:
    if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token != ""):
        raise click.BadParameter("expected printable ASCII without blanks around it: it is sent as a header.")
    return token


def _hosts(_context: click.Context, _parameter: click.Parameter, hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        if not (_HOST_NAME.fullmatch(host) or _is_address(host)):
            raise click.BadParameter(f"expected the name or address of a host, no scheme, port or path, got {host!r}.")
    return hosts


def _origins(_context: click.Context, _parameter: click.Parameter, origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if not (_ORIGIN.fullmatch(origin) or origin in ("*", "null")):
            raise click.BadParameter(f"expected an origin such as https://app.example:3000, * or null, got {origin!r}.")
    return origins


def _is_address(host: str) -> bool:
    from ipaddress import ip_address  # only here

    with suppress(ValueError):
        return bool(ip_address(host))
    return False


@main.command(epilog=SERVE_EXAMPLES)
@option("--host", default="127.0.0.1", help="The address to listen on.")
@option("--port", type=Port(), default=4747, help="The port to listen on; 0 picks a free one.")
@option(
    "--scenario",
    metavar="NAME|FILE",
    default="happy",
    help="How jobs go and which calls fail: a shipped scenario or a file.",
    shell_complete=complete_scenario,
)
@option("--behaviour", type=FILE, help="Answers to what the documentation leaves open (YAML).")
@option("--spec", type=FILE, help="An OpenAPI document instead of the shipped one.")
@option(
    "--seed",
    type=int,
    metavar="N",
    help="The same seed makes the same answers. By default a new one, shown at the start; 0 on a frozen or auto clock.",
)
@option(
    "--speed",
    type=float,
    metavar="N",
    callback=_speed,
    help="Run the clock N times as fast; by default it follows real time.",
)
@option("--frozen", is_flag=True, help="Stop the clock; the control API moves it.")
@option("--auto", is_flag=True, help="Let each read of a job move the clock to its next step.")
@option(
    "--clock",
    type=click.Choice(["real", "frozen", "auto", "jump"]),
    help="How time moves: `jump` goes to the next wake-up when everybody waits.",
)
@option("--no-rate-limit", is_flag=True, help="Never answer 429.")
@option("--watch", is_flag=True, help="Reload spec, scenario and profile within a second of a change.")
@option("--cors/--no-cors", default=True, help="Let web pages on localhost call the API.")
@option("--cors-origin", metavar="ORIGIN", multiple=True, callback=_origins, help="Let pages of this origin call too.")
@option(
    "--allow-host",
    metavar="HOST",
    multiple=True,
    callback=_hosts,
    help="On a loopback address, answer to this Host too.",
)
@option(
    "--control-token",
    metavar="T",
    callback=_token,
    help="Require this token, as x-mock-token, on every call to /__mock.",
)
@option("--no-control", is_flag=True, help="Serve no control API under /__mock.")
@option("--open-metrics", is_flag=True, help="Let everyone read /__mock/metrics, without the token.")
@option("--journal-size", type=click.IntRange(min=0), metavar="N", default=1000, help="Calls to keep for each API key.")
@option(
    "--sandboxes",
    type=click.IntRange(min=1),
    metavar="N",
    default=10_000,
    help="API keys to keep; the one idle longest is dropped first.",
)
@option(
    "--memory",
    type=Size(),
    metavar="SIZE",
    default="256MiB",
    help="What all sandboxes may hold together; the one idle longest is dropped first.",
)
@option(
    "--state",
    metavar="DIR|URL",
    help="Keep every sandbox in this folder, or in redis://HOST:PORT/DB for several replicas, over restarts and kills.",
)
@option(
    "--lease",
    type=click.FloatRange(min=0.1, max=3600),
    metavar="S",
    default=5.0,
    help="With Redis: seconds after which another replica takes over from one that has died.",
)
@option(
    "--replica-address", metavar="HOST:PORT", help="Where a proxy reaches this replica; by default --host and --port."
)
@option(
    "--mock-headers/--no-mock-headers",
    default=True,
    help="Send x-mock-call-id and other headers that the API does not have.",
)
@option(
    "--allow-webhook-host",
    metavar="HOST",
    multiple=True,
    callback=_hosts,
    help="Send webhooks to this host too; by default only to this machine. Repeatable.",
)
@option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Format of the request log, on standard error.",
)
@option("--mutant", metavar="NAME", hidden=True, help="Serve a deliberately wrong server: see `challenge`.")
@option("--tls-cert", type=FILE, help="Serve HTTPS with this certificate (PEM); needs --tls-key.")
@option("--tls-key", type=FILE, help="The private key of the certificate (PEM).")
@click.pass_context
def serve(context: click.Context, /, **_: Any) -> None:
    """Serve the API until Ctrl-C.

    It takes about a second to start. The first line on standard output is the address, printed once the socket accepts
    connections. The request log goes to standard error.
    """
    gc.disable()  # until the server runs: what is loaded now stays, and scanning it repeatedly takes time
    try:
        _serve(context)
    finally:
        gc.enable()


def _serve(context: click.Context) -> None:
    # imported here: only this subcommand needs a server, whose libraries take most of the time to start
    from viralsync_mock.app import create_app
    from viralsync_mock.cli.reload import read_stamps, watched
    from viralsync_mock.server import bind

    given = context.params
    settings, binding = settings_of(context), _binding(given)
    stamps = read_stamps(watched(settings)) if given["watch"] else None
    with bind(binding) as listener:
        app = create_app(settings)
        log = _request_log(given["log_format"])
        app.mock.on_call, app.mock.on_bug, app.mock.on_delivery = log.on_call, log.on_bug, log.on_delivery
        app.mock.sandboxes.report = log.message
        server = _server(app, binding, listener, log, stamps)
        try:
            server.run_in_foreground(listener)
        finally:
            log.flush()


def settings_of(context: click.Context) -> Settings:
    """Return the settings for the options of `serve`."""
    from viralsync_mock.net import is_loopback
    from viralsync_mock.settings import Settings  # it brings asyncio along

    given = context.params
    if not (is_loopback(given["host"]) or given["control_token"] or given["no_control"]):
        raise click.UsageError(
            f"--host {given['host']} would open the control API to everyone who reaches it. Protect it with "
            f"--control-token T (or {VARIABLE_PREFIX}CONTROL_TOKEN), or leave it out with --no-control."
        )
    mode, speed = _clock(context)
    files = {name: given[name] for name in ("spec", "behaviour") if given[name]}
    return Settings(
        **files,
        scenario=given["scenario"],
        seed=str(_new_seed(mode) if given["seed"] is None else given["seed"]),
        renews_seed=given["seed"] is None and mode.flows,
        clock=mode,
        speed=speed,
        is_rate_limited=not given["no_rate_limit"],
        cors=given["cors"],
        cors_origins=given["cors_origin"],
        allowed_hosts=given["allow_host"],
        control=not given["no_control"],
        control_token=given["control_token"],
        open_metrics=given["open_metrics"],
        journal_size=given["journal_size"],
        sandboxes=given["sandboxes"],
        memory=given["memory"],
        mock_headers=given["mock_headers"],
        mutant=given["mutant"],
        state=given["state"],
        lease=given["lease"],
        replica_address=given["replica_address"],
        webhook_hosts=given["allow_webhook_host"],
    )


def _new_seed(mode: Mode) -> int:
    """Return a seed that no run had before; where time does not flow by itself, the same in every run."""
    return int.from_bytes(os.urandom(4), "big") if mode.flows else 0


def _clock(context: click.Context) -> tuple[Mode, float]:
    from viralsync_mock.clock import Mode  # it brings asyncio along

    named = Mode(context.params["clock"] or Mode.REAL)
    modes = {"speed": Mode.SCALED, "frozen": Mode.FROZEN, "auto": Mode.AUTO, "clock": named}
    given = [name for name in modes if context.params[name]]
    typed = [name for name in given if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    chosen = typed or given
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(f'--{name}' for name in chosen)} exclude each other: keep one.")
    return modes[chosen[0]] if chosen else Mode.REAL, context.params["speed"] if chosen == ["speed"] else 1.0


def _binding(given: dict[str, Any]) -> Binding:
    from viralsync_mock.server import Binding  # it brings uvicorn along

    certificate, key = given["tls_cert"], given["tls_key"]
    if (certificate is None) != (key is None):
        raise click.UsageError("--tls-cert and --tls-key go together: give both, or neither for plain HTTP.")
    return Binding(given["host"], given["port"], certificate, key)


def _request_log(form: str) -> RequestLog:
    # imported here: only `serve` logs
    import logging

    from viralsync_mock.cli.request_log import LibraryRecords, RequestLog, is_for_colour

    log = RequestLog(sys.stderr, as_json=form == "json", in_colour=is_for_colour(sys.stderr, os.environ))
    logging.getLogger().addHandler(LibraryRecords(log))
    return log


def _server(app: App, binding: Binding, listener: socket.socket, log: RequestLog, stamps: Stamps | None) -> Server:
    import asyncio  # only here

    from viralsync_mock.cli.reload import watch
    from viralsync_mock.server import Server, base_url

    tasks = set[asyncio.Task[None]]()  # the loop itself keeps no task alive

    def on_ready() -> None:
        settings = app.mock.settings
        seed = f"\nseed {settings.seed}" if settings.renews_seed else ""  # the first line stays as scripts read it
        click.echo(f"viralsync-mock ready on {base_url(binding, listener)}{seed}")
        if stamps is not None:
            tasks.add(asyncio.get_running_loop().create_task(watch(app.mock, stamps, log.message)))

    return Server(app, binding, on_ready)
