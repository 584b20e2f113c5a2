"""All errors, as one tree.

MockError
├── ApiError            a refusal in the API's own shape: code from the spec, values for its text
│   └── RateLimited         with the seconds to wait (jobs/limits.py)
├── DeliveryFailed      a webhook has not reached its receiver (webhooks/sender.py)
├── StateError          what has to survive the process cannot be kept or read (persistence)
├── ValidationFailed    a request breaks the spec: where and how (validation/schema.py)
└── UsageError          a file, an option or a request to the mock itself is wrong: one clear sentence
    ├── SpecError           the OpenAPI document
    ├── ScenarioError       a scenario
    ├── BehaviourError      a behaviour profile
    ├── ClockError          time asked to go back, or out of bounds
    ├── SettingsError       an option of the command or a variable
    └── ControlError        the control API refuses a request of ours, or cannot be reached
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class MockError(Exception):
    """The root of all errors that the mock raises."""


class ApiError(MockError):
    """A refusal that the API itself would give.

    `code` is a key of the spec's `x-error-catalogue`, which holds the status and the text; `values` fill
    the placeholders of that text, or `text` takes its place; `headers` go out with the answer, beside the usual ones.
    """

    def __init__(
        self,
        code: str,
        *,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> None:
        super().__init__(code, values)
        self.code = code
        self.text = text
        self.values = values
        self.headers = headers or {}


class StateError(MockError):
    """What has to survive the process cannot be kept or read; the call is answered so, and nothing of it is promised.

    With an `owner`, the address of the replica that has the sandbox, a proxy sends the call there. `wait` are real
    seconds after which the owner is gone, if it seems to be dead.
    """

    def __init__(self, message: str, owner: str = "", wait: float = 0.0) -> None:
        super().__init__(message)
        self.owner, self.wait = owner, wait


class UsageError(MockError):
    """Wrong use; the message says what came, what was expected, where, and what to do."""


class SpecError(UsageError):
    """The OpenAPI document cannot be used."""


class ScenarioError(UsageError):
    """A scenario cannot be used."""


class BehaviourError(UsageError):
    """A behaviour profile cannot be used."""


class ClockError(UsageError):
    """A virtual clock was asked to go back, or out of bounds."""


class SettingsError(UsageError):
    """An option or a variable has a value that cannot be used."""


class ControlError(UsageError):
    """The control API refuses, or cannot be reached; `code` is that of its answer."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


def did_you_mean(word: object, options: Iterable[str]) -> str:
    """Return ` Did you mean "happy"?` for the option nearest to `word`, or an empty string."""
    near = get_close_matches(str(word), list(options), n=1, cutoff=0.5)
    return f' Did you mean "{near[0]}"?' if near else ""
