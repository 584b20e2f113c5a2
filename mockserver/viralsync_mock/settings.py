"""What a server is started with: plain values, and where the shipped files are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from viralsync_mock.clock import Mode, RealTime
from viralsync_mock.errors import SettingsError


def shipped(name: str) -> Path:
    """Return a shipped file or folder: from the package when installed, from the checkout otherwise."""
    package = Path(__file__).parent
    for root in (package / "_data", package.parents[1]):
        if (path := root / name).exists():
            return path
    raise SettingsError(f"{name} is missing from this installation: install viralsync-mock again")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a mock behaves where a sandbox has no setting of its own.

    `scenario` is a shipped name or a file; `speed` counts in clock mode `scaled`. `cors` lets in web pages on loopback
    origins and on `cors_origins`. A server on a loopback address answers to `Host`s that are loopback or among
    `allowed_hosts`. With `open_metrics` the metrics need no token. `sandboxes` bounds how many API keys are served at
    once, `memory` the bytes that they hold together; the one idle for longest goes first. `mock_headers` are those that
    the API does not send: `x-mock-call-id` and its like. Webhooks go to this machine and to the `webhook_hosts`.
    `check_answers` validates every response against the spec: for tests of the mock itself. `mutant` names a wrong
    server of the conformance kit, for tests of the tests of a client.
    """

    spec: Path = field(default_factory=lambda: shipped("openapi.yaml"))
    scenario: str = "happy"
    behaviour: Path | None = None
    seed: str = "0"
    renews_seed: bool = False
    """Whether a sandbox that is reset draws otherwise than before, so that no id of a job comes twice."""
    clock: Mode = Mode.REAL
    speed: float = 1.0
    is_rate_limited: bool = True
    cors: bool = True
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    control: bool = True
    control_token: str | None = field(default=None, repr=False)
    open_metrics: bool = False
    sandboxes: int = 10_000
    memory: int = 256 * 2**20
    journal_size: int = 1000
    mock_headers: bool = True
    webhook_hosts: tuple[str, ...] = ()
    check_answers: bool = False
    mutant: str | None = None
    state: str | None = None
    """A folder or a Redis URL in which sandboxes survive the process; None keeps them in memory only."""
    lease: float = 5.0
    """Real seconds after which another replica takes over the sandboxes of one that has died."""
    replica_address: str | None = None
    """HOST:PORT at which a proxy reaches this replica; by default where it listens."""
    real: RealTime = field(default_factory=RealTime)

    def __post_init__(self) -> None:
        if not (self.seed.isascii() and self.seed.isprintable()):  # it is sent as `x-mock-seed`
            raise SettingsError(f"seed: expected printable ASCII, got {self.seed!r}: choose another")

    @property
    def scenario_file(self) -> Path | None:
        """The file that `scenario` names, or None when it is the name of a shipped one."""
        path = Path(self.scenario)
        return path if path.suffix in {".yaml", ".yml", ".json"} else None
