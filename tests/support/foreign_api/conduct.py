"""How a server keeps the documented facts, as values and small functions; a breach replaces some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .facts import FACTS

Hook = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Breach:
    """A regression that breaks one documented fact.

    `needs` says what a client must do to meet it; `visible` whether it can on an ordinary Pro account (otherwise
    `needs` names what else it takes); `variants` are the sets of readings in which it shows at all.
    `changes` are fields of `Conduct`; `hooks` change documents and replies on their way out.
    """

    name: str
    fact: str
    needs: str
    visible: bool = True
    variants: str = "ABCD"
    changes: Mapping[str, Any] = field(default_factory=dict)
    hooks: Mapping[str, Hook] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The sentence of the documentation that is broken."""
        return FACTS[self.fact]

    @property
    def section(self) -> str:
        """The section of the facts that holds the sentence."""
        return self.fact.removeprefix("D-").partition(".")[0]


def _workers() -> dict[str, int]:
    return {"stable": 2, "balanced": 3, "fast": 4, "turbo": 6}


def _defaults() -> dict[str, Any]:
    return {"title": "Untitled Movie", "width": 1920, "height": 1080, "fps": 30, "preset": "balanced"}


def _effective(requested: int | None, preset: int, scenes: int) -> int:
    return min(requested or preset, scenes)


@dataclass(frozen=True)
class Conduct:
    """The documented behaviour; the defaults keep every fact."""

    # requests: changes to the table of request fields, and to the table of refusals (None: not refused at all)
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refusals: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=_defaults)
    # keys
    key_headers: frozenset[str] = frozenset({"x-api-key", "authorization"})
    key_accepted_unseen: Callable[[str], bool] = lambda _key: False
    open_operations: frozenset[str] = frozenset()
    # rate limit: of a count, of a length in seconds, of a call
    rate_count: Callable[[int], int] = lambda count: count
    rate_seconds: Callable[[float], float] = lambda seconds: seconds
    rate_scope: Callable[[Any], str] = lambda call: str(call.account.key)
    rate_cost: Callable[[Any], int] = lambda _call: 1
    rate_slides: bool = True
    rate_penalty: bool = False
    retry_after: Callable[[int], str | None] = str
    event_cost: int = 0
    # plans and charges; `charged` are statuses
    plans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    charged: frozenset[str] = frozenset({"done"})
    charged_at_submit: bool = False
    charged_per_poll: float = 0.0
    minutes: Callable[[Any], float] = lambda job: float(job.length / 60)
    ended_job_holds_slot: Callable[[Any], bool] = lambda _job: False
    # renders
    workers: Mapping[str, int] = field(default_factory=_workers)
    effective: Callable[[int | None, int, int], int] = _effective
    failure_stops_all: bool = False
    stalls_at: str = ""
    assembles: bool = True
    answers_when_done: bool = False
    # cancel and delete
    cancel_outcome: str = "cancelled"
    cancel_of_ended: str = ""
    deleted_from: frozenset[str] = frozenset({"read", "list"})
    # list
    sort: Callable[[Any], Any] = lambda job: (job.created, job.number)
    page_size: Callable[[int], int] = lambda limit: limit
    default_limit: int = 25
    cursor_shift: int = 0
    always_more: bool = False
    filter_of_type: Callable[[str, str, str], bool] | None = None
    cursor_keeps_filter: bool = True
    # streams and webhooks
    stream_type: str = "text/event-stream"
    stream_buffered: bool = False
    webhook_pace: float = 1.0
    webhook_copies: int = 1
    webhook_after_end: bool = False
    # hooks by point: call, reply, job, page, event, frame, webhook, delivery
    hooks: Mapping[str, tuple[Hook, ...]] = field(default_factory=dict)

    def through(self, point: str, value: Any, context: Any) -> Any:
        """`value` after every hook of that point; None stays None."""
        for hook in self.hooks.get(point, ()):
            if value is not None:
                value = hook(value, context)
        return value


def conduct_with(breaches: Iterable[Breach]) -> Conduct:
    """The documented behaviour with these breaches in it; a mapping is merged, any other value is replaced."""
    conduct = Conduct()
    for breach in breaches:
        changes = {name: _merged(getattr(conduct, name), value) for name, value in breach.changes.items()}
        hooks = {point: (*conduct.hooks.get(point, ()), hook) for point, hook in breach.hooks.items()}
        conduct = replace(conduct, **changes, hooks={**conduct.hooks, **hooks})
    return conduct


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
